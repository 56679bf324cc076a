/**
 * Options that all streams share: high-water marks, and the signal that ends a stream.
 */
import { floor, isInteger } from "../../../primordials.ts";
import { checkInteger, checkSignal, invalidArgType, invalidArgValue, nodeAbortError } from "../errors.ts";
import { finished } from "./finished.ts";

let bytesMark = 16 * 1024;
let objectsMark = 16;

export function getDefaultHighWaterMark(objectMode: boolean): number {
  return objectMode ? objectsMark : bytesMark;
}

export function setDefaultHighWaterMark(objectMode: boolean, value: any): void {
  checkInteger(value, "value", 0);
  if (objectMode) objectsMark = value;
  else bytesMark = value;
}

export function highWaterMarkOf(options: any, key: string, duplex: boolean, objectMode: boolean): number {
  const mark = options?.highWaterMark ?? (duplex ? options?.[key] : undefined);
  if (mark === undefined || mark === null) return getDefaultHighWaterMark(objectMode);
  if (!isInteger(mark) || mark < 0) {
    const name = duplex && options?.highWaterMark === undefined ? `options.${key}` : "options.highWaterMark";
    throw invalidArgValue(name, mark);
  }
  return floor(mark);
}

/** Destroys the stream when the signal aborts. */
export function addAbortSignal(signal: any, stream: any): any {
  checkSignal(signal, "signal");
  if (signal === undefined) throw invalidArgType("signal", "an instance of AbortSignal", signal);
  const abort = (): void => {
    stream.destroy(nodeAbortError(signal.reason));
  };
  if (signal.aborted) abort();
  else {
    signal.addEventListener("abort", abort, { once: true });
    finished(stream, () => signal.removeEventListener("abort", abort));
  }
  return stream;
}
