/**
 * `node:zlib`. The streams keep what is written to them and work on all of it at their end; for data that should flow,
 * there are `CompressionStream` and `DecompressionStream`.
 */
import { objectAssign } from "../library.ts";
import {
  Error, Uint8Array, bytesOf, concatBytes, defineProperty, promiseResolved, promiseThen, setPrototypeOf,
} from "../primordials.ts";
import { codedError } from "./internal/errors.ts";
import { Transform } from "./internal/streams/duplex.ts";
import { Buffer } from "./internal/buffer.ts";
import { type Work, callbackOf, settingsOf, wholeAsync, wholeSync } from "./internal/zip.ts";
import { CODES, CONSTANTS, crc32 } from "./internal/zipconstants.ts";

export const constants = CONSTANTS;
export const codes = CODES;

/** A class of stream for one kind of work. */
function streamClass(name: string, work: Work): any {
  const type: any = function (this: any, options?: any): any {
    if (!(this instanceof type)) return new type(options);
    const settings = settingsOf(work, options);
    Transform.call(this, options);
    defineProperty(this, "_zip", { value: { settings, parts: [] } });
    this.bytesWritten = 0;
  };
  setPrototypeOf(type.prototype, Transform.prototype);
  setPrototypeOf(type, Transform);
  defineProperty(type, "name", { value: name, configurable: true });
  objectAssign(type.prototype, {
    _transform(this: any, chunk: any, encoding: any, callback: any): void {
      const bytes = typeof chunk === "string" ? Buffer.from(chunk, encoding) : new Uint8Array(bytesOf(chunk)!);
      this._zip.parts[this._zip.parts.length] = bytes;
      this.bytesWritten += bytes.length;
      callback();
    },
    _flush(this: any, callback: any): void {
      const { settings, parts } = this._zip;
      const data = parts.length === 0 ? new Uint8Array(0) : concatBytes(parts);
      promiseThen(wholeAsync(work, data, settings), (made: any) => {
        this.push(made);
        callback();
      }, (error: unknown) => callback(error));
    },
    close(this: any, callback?: any): void {
      if (typeof callback === "function") this.once("close", callback);
      this.destroy();
    },
    flush(_kind: any, callback?: any): void {
      const done = typeof _kind === "function" ? _kind : callback;
      if (typeof done === "function") promiseThen(promiseResolved(undefined), () => done());
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
