/**
 * Operators on readable streams: `map`, `filter`, `toArray` and the rest.
 */
import { objectAssign } from "../../../library.ts";
import { Promise, Symbol, TypeError, arrayShift, floor, promiseThen, trunc } from "../../../primordials.ts";
import {
  checkFunction, checkInteger, checkObject, checkSignal, codedError, nodeAbortError, outOfRange,
} from "../errors.ts";
import { AbortController } from "../../../abort.ts";
import { from, iterate } from "./from.ts";
import { Readable } from "./readable.ts";
import { addAbortSignal } from "./options.ts";

function checkOptions(options: any): void {
  if (options === undefined || options === null) return;
  checkObject(options, "options");
  checkSignal(options.signal, "options.signal");
}

function throwIfAborted(options: any): void {
  if (options?.signal?.aborted) throw nodeAbortError(options.signal.reason);
}

/** Runs `fn` on up to `concurrency` chunks at once, in order. */
async function* mapped(stream: any, fn: any, options: any): AsyncGenerator<any> {
  const concurrency = options?.concurrency === undefined ? 1 : floor(options.concurrency);
  checkInteger(concurrency, "options.concurrency", 1);
  const { signal = new AbortController().signal } = options ?? {};
  const pending: Promise<any>[] = [];
  const source = iterate(stream);
  let ended = false;
  try {
    while (!ended || pending.length > 0) {
      while (!ended && pending.length < concurrency) {
        const step = await source.next();
        throwIfAborted(options);
        if (step.done) ended = true;
        else {
          const result = (async () => fn(step.value, { signal }))();
          promiseThen(result, undefined, () => {});
          pending[pending.length] = result;
        }
      }
      if (pending.length > 0) yield await arrayShift(pending);
      throwIfAborted(options);
    }
  } finally {
    await source.return(undefined);
  }
}

async function* mapOf(stream: any, fn: any, options: any): AsyncGenerator<any> {
  yield* mapped(stream, fn, options);
}

async function* filterOf(stream: any, fn: any, options: any): AsyncGenerator<any> {
  const results = mapped(stream, async (value: any, context: any) => [await fn(value, context), value], options);
  for await (const pair of results) if (pair[0]) yield pair[1];
}

async function* flatMapOf(stream: any, fn: any, options: any): AsyncGenerator<any> {
  for await (const part of mapped(stream, fn, options)) yield* part;
}

async function* dropOf(stream: any, count: number, options: any): AsyncGenerator<any> {
  throwIfAborted(options);
  let left = count;
  for await (const value of iterate(stream)) {
    throwIfAborted(options);
    if (left-- <= 0) yield value;
  }
}

async function* takeOf(stream: any, count: number, options: any): AsyncGenerator<any> {
  throwIfAborted(options);
  let left = count;
  if (left <= 0) return;
  for await (const value of iterate(stream)) {
    throwIfAborted(options);
    yield value;
    if (--left <= 0) return;
  }
}

async function* indexed(stream: any, options: any): AsyncGenerator<any> {
  let index = 0;
  for await (const value of iterate(stream)) {
    throwIfAborted(options);
    yield [index++, value];
  }
}

function countOf(value: any): number {
  const count = +value;
  if (count !== count || count < 0) throw outOfRange("number", ">= 0", count);
  return trunc(count);
}

const NOTHING = Symbol("nothing");

const operators: any = {
  map(this: any, fn: any, options?: any): any {
    checkFunction(fn, "fn");
    checkOptions(options);
    return from(mapOf(this, fn, options));
  },
  filter(this: any, fn: any, options?: any): any {
    checkFunction(fn, "fn");
    checkOptions(options);
    return from(filterOf(this, fn, options));
  },
  flatMap(this: any, fn: any, options?: any): any {
    checkFunction(fn, "fn");
    checkOptions(options);
    return from(flatMapOf(this, fn, options));
  },
  drop(this: any, count: any, options?: any): any {
    checkOptions(options);
    return from(dropOf(this, countOf(count), options));
  },
  take(this: any, count: any, options?: any): any {
    checkOptions(options);
    return from(takeOf(this, countOf(count), options));
  },
  asIndexedPairs(this: any, options?: any): any {
    checkOptions(options);
    return from(indexed(this, options));
  },
  compose(this: any, transform: any, options?: any): any {
    checkOptions(options);
    if (typeof transform === "function") return from(transform(this, { signal: options?.signal }));
    this.pipe(transform);
    this.on("error", (error: any) => transform.destroy(error));
    return options?.signal ? addAbortSignal(options.signal, transform) : transform;
  },
  async forEach(this: any, fn: any, options?: any): Promise<void> {
    checkFunction(fn, "fn");
    checkOptions(options);
    const results = mapped(this, async (value: any, context: any) => {
      await fn(value, context);
    }, options);
    for (let step = await results.next(); !step.done;) step = await results.next();
  },
  async toArray(this: any, options?: any): Promise<any[]> {
    checkOptions(options);
    throwIfAborted(options);
    if (options?.signal) addAbortSignal(options.signal, this);
    const list: any[] = [];
    for await (const value of iterate(this)) list[list.length] = value;
    return list;
  },
  async find(this: any, fn: any, options?: any): Promise<any> {
    checkFunction(fn, "fn");
    for await (const value of filterOf(this, fn, options)) return value;
    return undefined;
  },
  async some(this: any, fn: any, options?: any): Promise<boolean> {
    checkFunction(fn, "fn");
    for await (const _ of filterOf(this, fn, options)) return true;
    return false;
  },
  async every(this: any, fn: any, options?: any): Promise<boolean> {
    checkFunction(fn, "fn");
    for await (const _ of filterOf(this, async (value: any, context: any) => !(await fn(value, context)), options)) return false;
    return true;
  },
  async reduce(this: any, fn: any, initial: any = NOTHING, options?: any): Promise<any> {
    checkFunction(fn, "reducer");
    checkOptions(options);
    throwIfAborted(options);
    let value = arguments.length < 2 ? NOTHING : initial;
    const { signal = new AbortController().signal } = options ?? {};
    for await (const chunk of iterate(this)) {
      throwIfAborted(options);
      value = value === NOTHING ? chunk : await fn(value, chunk, { signal });
    }
    if (value === NOTHING) throw codedError(TypeError, "ERR_MISSING_ARGS", "Reduce of an empty stream requires an initial value");
    return value;
  },
};
objectAssign(Readable.prototype, operators);
