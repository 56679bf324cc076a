/**
 * `Readable.from`, and reading a `Readable` with `for await`.
 */
import { symbolAsyncIterator, symbolIterator } from "../../../library.ts";
import { Promise, TypeError, isObject, promiseThen } from "../../../primordials.ts";
import { checkObject, codedError, invalidArgType } from "../errors.ts";
import { Buffer } from "../buffer.ts";
import { nextTick } from "../ticks.ts";
import { destroyer } from "./destroy.ts";
import { finished } from "./finished.ts";
import { Readable } from "./readable.ts";

export function from(iterable: any, options?: any): any {
  if (typeof iterable === "string" || iterable instanceof Buffer) {
    return new (Readable as any)({
      objectMode: true, ...options,
      read(this: any) {
        this.push(iterable);
        this.push(null);
      },
    });
  }
  let iterator: any;
  const async = !!iterable?.[symbolAsyncIterator];
  if (async) iterator = iterable[symbolAsyncIterator]();
  else if (iterable?.[symbolIterator]) iterator = iterable[symbolIterator]();
  else throw invalidArgType("iterable", "an instance of Iterable", iterable);
  const readable = new (Readable as any)({ objectMode: true, highWaterMark: 1, ...options });
  let reading = false;
  const next = async (): Promise<void> => {
    for (;;) {
      try {
        const step = async ? await iterator.next() : iterator.next();
        if (step.done) {
          readable.push(null);
          return;
        }
        const value = isObject(step.value) && typeof step.value.then === "function" ? await step.value : step.value;
        if (value === null) {
          reading = false;
          throw codedError(TypeError, "ERR_STREAM_NULL_VALUES", "May not write null values to stream");
        }
        if (!readable.push(value)) {
          reading = false;
          return;
        }
      } catch (error) {
        readable.destroy(error);
        return;
      }
    }
  };
  readable._read = () => {
    if (reading) return;
    reading = true;
    void next();
  };
  readable._destroy = (error: any, callback: any): void => {
    const close = async (): Promise<void> => {
      if (error && typeof iterator.throw === "function") {
        const { done } = await iterator.throw(error);
        if (done) return;
      }
      if (typeof iterator.return === "function") await iterator.return();
    };
    promiseThen(close(), () => nextTick(callback, error), (inner: any) => nextTick(callback, inner || error));
  };
  return readable;
}

/** Chunks of a readable, one at a time. */
export async function* iterate(stream: any, options?: any): AsyncGenerator<any> {
  let wake: () => void = () => {};
  let ready = false;
  const onReadable = (): void => {
    ready = true;
    wake();
  };
  stream.on("readable", onReadable);
  let over: any;
  let ended = false;
  const cleanup = finished(stream, { writable: false }, (error: any) => {
    over = error;
    ended = true;
    wake();
  });
  try {
    for (;;) {
      const chunk = stream.destroyed ? null : stream.read();
      if (chunk !== null) yield chunk;
      else if (ended) {
        if (over) throw over;
        return;
      } else {
        ready = false;
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (ready || ended) resolve();
        });
      }
    }
  } catch (error) {
    over = error;
    throw error;
  } finally {
    cleanup();
    stream.removeListener("readable", onReadable);
    if ((over || options?.destroyOnReturn !== false) && (!ended || stream._readableState?.autoDestroy)) destroyer(stream, null);
  }
}

(Readable as any).from = from;
const proto: any = Readable.prototype;
proto[symbolAsyncIterator] = function (this: any): any {
  return iterate(this);
};
proto.iterator = function iterator(this: any, options?: any): any {
  if (options !== undefined) checkObject(options, "options");
  return iterate(this, options);
};
