/**
 * `node:zlib`. The streams work on data as it comes, with the codecs of `CompressionStream` and `DecompressionStream`.
 */
import { objectAssign } from "../library.ts";
import { CALL_CODEC_OPEN, CALL_CODEC_STEP, CALL_HELD_DROP, call } from "../native.ts";
import {
  Error, Uint8Array, bytesOf, concatBytes, defineProperty, setPrototypeOf, typedArraySubarray,
} from "../primordials.ts";
import { codedError } from "./internal/errors.ts";
import { Transform } from "./internal/streams/duplex.ts";
import { Buffer, asBuffer } from "./internal/buffer.ts";
import {
  type Settings, type Work, callbackOf, checkHeader, formatOf, settingsOf, wholeSync, zlibError,
} from "./internal/zip.ts";
import { CODES, CONSTANTS, crc32 } from "./internal/zipconstants.ts";

export const constants = CONSTANTS;
export const codes = CODES;

/** What one call is given at the most, so that it stays short. */
const PIECE_BYTES = 64 << 10;

/** Written to a stream for `flush()`: it has its place among what is written. */
const FLUSH = Buffer.alloc(0);

/** The codec of one stream. It is the host's, opened with the first bytes, and goes with the request. */
interface Zip {
  work: Work;
  settings: Settings;
  handle: number;
  /** The first byte, where two tell the format. */
  first: Uint8Array | null;
  began: boolean;
  /** Goes on when somebody reads. */
  waiting: (() => void) | null;
}

function drop(zip: Zip): void {
  if (zip.handle !== 0) call(CALL_HELD_DROP, zip.handle);
  zip.handle = 0;
  zip.waiting = null;
}

function open(zip: Zip, bytes: Uint8Array): void {
  const { work, settings } = zip;
  const format = formatOf(work, bytes);
  if (!work.compress) checkHeader(format, bytes);
  zip.handle = call(CALL_CODEC_OPEN, format, work.compress, settings.level);
}

/** What the host found wrong, in zlib's words. */
function failureOf(zip: Zip, error: any): any {
  if (error.code === "Z_BUF_ERROR") return zlibError("Z_BUF_ERROR", "unexpected end of file");
  if (error.code !== "Z_DATA_ERROR") return error;
  if (zip.work.format === "brotli") return codedError(Error, "ERR__ERROR_FORMAT_PADDING_1", "Decompression failed");
  return zlibError("Z_DATA_ERROR", "invalid stored block lengths, code or distance");
}

/** Takes bytes through the codec, piece by piece; waits where nobody takes what comes out. */
function run(stream: any, input: Uint8Array | null, finish: boolean, flush: boolean, done: (error?: unknown) => void): void {
  const zip: Zip = stream._zip;
  let at = 0;
  let fed = false;
  const step = (): void => {
    for (;;) {
      if (stream.destroyed) return;
      let made: Uint8Array;
      let more: boolean;
      const left = input === null ? 0 : input.length - at;
      const piece = left > 0 && !fed ? typedArraySubarray(input!, at, at + PIECE_BYTES) : null;
      const last = left <= PIECE_BYTES;
      try {
        [made, more] = call(CALL_CODEC_STEP, zip.handle, piece, finish && last, flush && last);
      } catch (error: any) {
        zip.handle = 0;
        if (error.code === "Z_BUF_ERROR" && zip.settings.partial) return done();
        return done(failureOf(zip, error));
      }
      fed = more;
      if (!more && left > 0) at += PIECE_BYTES;
      const room = made.length === 0 || stream.push(asBuffer(made));
      if (!more && (input === null || at >= input.length)) {
        // The host let it go with the last piece.
        if (finish) zip.handle = 0;
        return done();
      }
      if (!room) {
        zip.waiting = step;
        return;
      }
    }
  };
  step();
}

/** A class of stream for one kind of work. */
function streamClass(name: string, work: Work): any {
  const type: any = function (this: any, options?: any): any {
    if (!(this instanceof type)) return new type(options);
    const settings = settingsOf(work, options);
    Transform.call(this, options);
    const zip: Zip = { work, settings, handle: 0, first: null, began: false, waiting: null };
    defineProperty(this, "_zip", { value: zip });
    this.bytesWritten = 0;
  };
  setPrototypeOf(type.prototype, Transform.prototype);
  setPrototypeOf(type, Transform);
  defineProperty(type, "name", { value: name, configurable: true });
  objectAssign(type.prototype, {
    _transform(this: any, chunk: any, encoding: any, callback: any): void {
      const zip: Zip = this._zip;
      if (chunk === FLUSH) return zip.handle === 0 ? callback() : run(this, null, false, true, callback);
      let bytes: Uint8Array = typeof chunk === "string" ? Buffer.from(chunk, encoding) : new Uint8Array(bytesOf(chunk)!);
      this.bytesWritten += bytes.length;
      if (bytes.length === 0) return callback();
      if (zip.first !== null) bytes = concatBytes([zip.first, bytes]);
      zip.first = null;
      if (zip.handle === 0) {
        // Behind the end of the data everything is passed over.
        if (zip.began) return callback();
        if (bytes.length === 1 && !work.compress && work.format !== "brotli") {
          zip.first = bytes;
          return callback();
        }
        zip.began = true;
        try {
          open(zip, bytes);
        } catch (error) {
          return callback(error);
        }
      }
      run(this, bytes, false, false, callback);
    },
    _flush(this: any, callback: any): void {
      const zip: Zip = this._zip;
      const { first } = zip;
      if (zip.handle === 0) {
        if (zip.began) return callback();
        try {
          open(zip, first ?? new Uint8Array(0));
        } catch (error) {
          return callback(error);
        }
      }
      run(this, first, true, false, callback);
    },
    _read(this: any, size: number): void {
      const { waiting } = this._zip;
      if (waiting === null) return Transform.prototype._read.call(this, size);
      this._zip.waiting = null;
      waiting();
    },
    _destroy(this: any, error: any, callback: any): void {
      drop(this._zip);
      Transform.prototype._destroy.call(this, error, callback);
    },
    close(this: any, callback?: any): void {
      if (typeof callback === "function") this.once("close", callback);
      this.destroy();
    },
    flush(this: any, kind: any, callback?: any): void {
      this.write(FLUSH, typeof kind === "function" ? kind : callback);
    },
    params(_level: any, _strategy: any, callback: any): void {
      callback(codedError(Error, "ERR_METHOD_NOT_IMPLEMENTED", "zlib's params() is not available here; make a new stream"));
    },
  });
  return type;
}

const GZIP: Work = { format: "gzip", compress: true };
const GUNZIP: Work = { format: "gzip", compress: false };
const DEFLATE: Work = { format: "deflate", compress: true };
const INFLATE: Work = { format: "deflate", compress: false };
const DEFLATE_RAW: Work = { format: "deflate-raw", compress: true };
const INFLATE_RAW: Work = { format: "deflate-raw", compress: false };
const UNZIP: Work = { format: "unzip", compress: false };
const BROTLI: Work = { format: "brotli", compress: true };
const UNBROTLI: Work = { format: "brotli", compress: false };

function sync(work: Work): any {
  return (data: any, options?: any): any => wholeSync(work, data, options);
}

export const Gzip = streamClass("Gzip", GZIP);
export const Gunzip = streamClass("Gunzip", GUNZIP);
export const Deflate = streamClass("Deflate", DEFLATE);
export const Inflate = streamClass("Inflate", INFLATE);
export const DeflateRaw = streamClass("DeflateRaw", DEFLATE_RAW);
export const InflateRaw = streamClass("InflateRaw", INFLATE_RAW);
export const Unzip = streamClass("Unzip", UNZIP);
export const BrotliCompress = streamClass("BrotliCompress", BROTLI);
export const BrotliDecompress = streamClass("BrotliDecompress", UNBROTLI);

export const createGzip = (options?: any): any => new Gzip(options);
export const createGunzip = (options?: any): any => new Gunzip(options);
export const createDeflate = (options?: any): any => new Deflate(options);
export const createInflate = (options?: any): any => new Inflate(options);
export const createDeflateRaw = (options?: any): any => new DeflateRaw(options);
export const createInflateRaw = (options?: any): any => new InflateRaw(options);
export const createUnzip = (options?: any): any => new Unzip(options);
export const createBrotliCompress = (options?: any): any => new BrotliCompress(options);
export const createBrotliDecompress = (options?: any): any => new BrotliDecompress(options);

export const gzip = callbackOf(GZIP);
export const gunzip = callbackOf(GUNZIP);
export const deflate = callbackOf(DEFLATE);
export const inflate = callbackOf(INFLATE);
export const deflateRaw = callbackOf(DEFLATE_RAW);
export const inflateRaw = callbackOf(INFLATE_RAW);
export const unzip = callbackOf(UNZIP);
export const brotliCompress = callbackOf(BROTLI);
export const brotliDecompress = callbackOf(UNBROTLI);

export const gzipSync = sync(GZIP);
export const gunzipSync = sync(GUNZIP);
export const deflateSync = sync(DEFLATE);
export const inflateSync = sync(INFLATE);
export const deflateRawSync = sync(DEFLATE_RAW);
export const inflateRawSync = sync(INFLATE_RAW);
export const unzipSync = sync(UNZIP);
export const brotliCompressSync = sync(BROTLI);
export const brotliDecompressSync = sync(UNBROTLI);

export { crc32 };
export default {
  ...CONSTANTS, constants, codes, crc32, Gzip, Gunzip, Deflate, Inflate, DeflateRaw, InflateRaw, Unzip, BrotliCompress,
  BrotliDecompress, createGzip, createGunzip, createDeflate, createInflate, createDeflateRaw, createInflateRaw, createUnzip,
  createBrotliCompress, createBrotliDecompress, gzip, gunzip, deflate, inflate, deflateRaw, inflateRaw, unzip,
  brotliCompress, brotliDecompress, gzipSync, gunzipSync, deflateSync, inflateSync, deflateRawSync, inflateRawSync,
  unzipSync, brotliCompressSync, brotliDecompressSync,
};
