/**
 * zlib and brotli: the functions that take everything at once, synchronous and not.
 */
import { CALL_ZIP, OP_ZIP, call, start, utf8Encode } from "../../native.ts";
import { Error, Promise, Uint8Array, bytesOf, promiseThen } from "../../primordials.ts";
import { checkFunction, codedError, invalidArgType, outOfRange } from "./errors.ts";
import { operation } from "../../operations.ts";
import { asBuffer } from "./buffer.ts";
import { nextTick } from "./ticks.ts";

/** What is done to data: a format of the host, or `unzip`, which sees which one it is. */
export interface Work {
  format: "gzip" | "deflate" | "deflate-raw" | "brotli" | "unzip";
  compress: boolean;
}

const NUMBERS: Record<string, number> = {
  Z_NO_ERROR: 0, Z_BUF_ERROR: -5, Z_DATA_ERROR: -3, Z_MEM_ERROR: -4, Z_NEED_DICT: 2, Z_STREAM_ERROR: -2,
};

/** zlib's errors carry its own number. */
function withNumber(error: any): any {
  const number = NUMBERS[error?.code];
  if (number !== undefined) error.errno = number;
  return error;
}

export function zlibError(code: string, message: string): any {
  return withNumber(codedError(Error, code, message));
}

/** Refuses what begins like nothing of the format. */
export function checkHeader(format: string, bytes: Uint8Array): void {
  if (bytes.length < 2) return;
  const wrong = format === "gzip" ? bytes[0] !== 0x1f || bytes[1] !== 0x8b
    : format === "deflate" && ((bytes[0]! & 0x0f) !== 8 || ((bytes[0]! << 8) | bytes[1]!) % 31 !== 0);
  if (wrong) throw zlibError("Z_DATA_ERROR", "incorrect header check");
}

export const BROTLI_QUALITY = 1;
export const BROTLI_WINDOW = 2;
const LENGTH_MAX = 2 ** 32;

function checkRange(value: any, name: string, least: number, most: number, absent: number): number {
  if (value === undefined || value === null || value !== value) return absent;
  if (typeof value !== "number") throw invalidArgType(name, "of type number", value);
  if (value < least || value > most) throw outOfRange(name, `>= ${least} and <= ${most}`, value);
  return value;
}

/** Options as the host takes them. */
export interface Settings {
  level: number;
  window: number;
  most: number;
  partial: boolean;
}

const FINISH = 4;
const BROTLI_FINISH = 2;

export function settingsOf(work: Work, options: any): Settings {
  if (options !== undefined && options !== null && typeof options !== "object") throw invalidArgType("options", "of type object", options);
  if (options?.dictionary !== undefined) {
    throw codedError(Error, "ERR_METHOD_NOT_IMPLEMENTED", "zlib dictionaries are not available here");
  }
  const most = checkRange(options?.maxOutputLength, "options.maxOutputLength", 1, LENGTH_MAX, LENGTH_MAX);
  if (work.format === "brotli") {
    const params = options?.params ?? {};
    return {
      level: checkRange(params[BROTLI_QUALITY], "options.params[quality]", 0, 11, -1),
      window: checkRange(params[BROTLI_WINDOW], "options.params[lgwin]", 10, 30, 22), most,
      partial: options?.finishFlush !== undefined && options.finishFlush !== BROTLI_FINISH,
    };
  }
  return {
    level: checkRange(options?.level, "options.level", -1, 9, -1),
    window: checkRange(options?.windowBits, "options.windowBits", 0, 15, 15), most,
    partial: options?.finishFlush !== undefined && options.finishFlush !== FINISH,
  };
}

function inputBytes(data: any): Uint8Array {
  if (typeof data === "string") return utf8Encode(data);
  const bytes = bytesOf(data);
  if (bytes === null) throw invalidArgType("buffer", "of type string or an instance of Buffer, TypedArray, DataView, or ArrayBuffer", data);
  return bytes;
}

export function formatOf(work: Work, bytes: Uint8Array): string {
  if (work.format !== "unzip") return work.format;
  return bytes[0] === 0x1f && (bytes.length < 2 || bytes[1] === 0x8b) ? "gzip" : "deflate";
}

export function wholeSync(work: Work, data: any, options: any): any {
  const bytes = inputBytes(data);
  const { level, window, most, partial } = settingsOf(work, options);
  try {
    return asBuffer(call(CALL_ZIP, formatOf(work, bytes), work.compress, level, window, most, partial, bytes));
  } catch (error) {
    throw withNumber(error);
  }
}

export async function wholeAsync(work: Work, data: any, settings: Settings): Promise<any> {
  const bytes = inputBytes(data);
  const { level, window, most, partial } = settings;
  try {
    const id = start(OP_ZIP, formatOf(work, bytes), work.compress, level, window, most, partial, bytes);
    return asBuffer(await operation<Uint8Array>(id));
  } catch (error) {
    throw withNumber(error);
  }
}

/** The function of Node's that calls back. */
export function callbackOf(work: Work): any {
  return function (data: any, options: any, callback?: any): void {
    if (typeof options === "function") {
      callback = options;
      options = undefined;
    }
    checkFunction(callback, "callback");
    inputBytes(data);
    promiseThen(
      wholeAsync(work, data, settingsOf(work, options)), (made: any) => nextTick(callback, null, made),
      (error: unknown) => nextTick(callback, error),
    );
  };
}
