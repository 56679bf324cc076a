/**
 * User timing and the timeline of it: `performance.mark` and `measure`, and observers (W3C User Timing, Performance
 * Timeline). The base has the methods, which come here.
 *
 * The timeline belongs to the instance, so it is bounded: the oldest entries go first.
 */
import { DOMException } from "../errors.ts";
import { INTERNAL } from "../internal.ts";
import { now } from "../native.ts";
import {
  TypeError, apply, arrayIndexOf, arraySlice, arraySort, arraySplice, defineProperty, freeze, isObject, promiseResolved,
  promiseThen, toStr, webClass,
} from "../primordials.ts";
import { report } from "../reporting.ts";
import { dictionary, readSequence } from "../webidl.ts";
import { structuredClone } from "./clone.ts";

/** Entries that the timeline, and the record of one observer, keep. */
const ENTRIES_MAX = 1000;

/** Something that took place at a time. */
export class PerformanceEntry {
  #name: string;
  #type: string;
  #start: number;
  #duration: number;

  constructor(token: unknown = undefined, name: any = "", type: any = "", start: any = 0, duration: any = 0) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#name = name;
    this.#type = type;
    this.#start = start;
    this.#duration = duration;
  }

  get name(): string {
    return this.#name;
  }

  get entryType(): string {
    return this.#type;
  }

  get startTime(): number {
    return this.#start;
  }

  get duration(): number {
    return this.#duration;
  }

  toJSON(): object {
    return { name: this.#name, entryType: this.#type, startTime: this.#start, duration: this.#duration };
  }
}
webClass(PerformanceEntry);

/** A moment that a script named. */
export class PerformanceMark extends PerformanceEntry {
  #detail: unknown;

  constructor(name: string, options: any = undefined) {
    if (arguments.length === 0) throw new TypeError("a mark needs a name");
    const text = toStr(name);
    const { detail, startTime } = dictionary(options, "the options of a mark");
    const start = startTime === undefined ? now() : timeOf(startTime);
    super(INTERNAL, text, "mark", start, 0);
    this.#detail = cloned(detail);
  }

  get detail(): unknown {
    return this.#detail;
  }
}
webClass(PerformanceMark, 1);

/** The time between two moments. */
export class PerformanceMeasure extends PerformanceEntry {
  #detail: unknown;

  constructor(token: unknown = undefined, name: any = "", start: any = 0, duration: any = 0, detail: any = null) {
    super(token, name, "measure", start, duration);
    this.#detail = detail;
  }

  get detail(): unknown {
    return this.#detail;
  }
}
webClass(PerformanceMeasure);

function cloned(detail: unknown): unknown {
  return detail === undefined || detail === null ? null : structuredClone(detail);
}

function timeOf(value: unknown): number {
  const time = +(value as number);
  if (time - time !== 0) throw new TypeError("a time must be a finite number");
  if (time < 0) throw new TypeError("a time must not be negative");
  return time;
}

/** A time, or that of the newest mark of a name. */
function momentOf(mark: unknown): number {
  if (typeof mark === "number") return timeOf(mark);
  const name = toStr(mark);
  for (let i = entries.length - 1; i >= 0; i--) {
    if (entries[i]!.entryType === "mark" && entries[i]!.name === name) return entries[i]!.startTime;
  }
  throw new DOMException(`there is no mark "${name}"`, "SyntaxError");
}

// ---- the timeline ----

let entries: PerformanceEntry[] = [];
const observers: ObserverState[] = [];

function mark(name: string, options: unknown): PerformanceMark {
  const entry = new PerformanceMark(name, options);
  record(entry);
  return entry;
}

function measure(name: string, startOrOptions: any, endMark: unknown): PerformanceMeasure {
  const text = toStr(name);
  let start: unknown;
  let end: unknown = endMark;
  let duration: unknown;
  let detail: unknown;
  if (isObject(startOrOptions)) {
    ({ detail, duration, end, start } = startOrOptions);
    const given = detail !== undefined || duration !== undefined || end !== undefined || start !== undefined;
    if (given && endMark !== undefined) throw new TypeError("an end mark stands beside options that have their own");
    if (given && start === undefined && end === undefined) throw new TypeError("a measure needs a start or an end");
    if (start !== undefined && end !== undefined && duration !== undefined) {
      throw new TypeError("a measure has a start and an end, or a duration and one of them");
    }
    if (!given) end = endMark;
  } else if (startOrOptions !== undefined && startOrOptions !== null) start = toStr(startOrOptions);
  const to = end !== undefined
    ? momentOf(end)
    : start !== undefined && duration !== undefined ? momentOf(start) + timeOf(duration) : now();
  const from = start !== undefined
    ? momentOf(start)
    : duration !== undefined ? to - timeOf(duration) : 0;
  const entry = new PerformanceMeasure(INTERNAL, text, from, to - from, cloned(detail));
  record(entry);
  return entry;
}

function record(entry: PerformanceEntry): void {
  append(entries, entry);
  for (let i = 0; i < observers.length; i++) {
    const observer = observers[i]!;
    if (!has(observer.types, entry.entryType)) continue;
    append(observer.records, entry);
    deliverSoon();
  }
}

function append(to: PerformanceEntry[], entry: PerformanceEntry): void {
  if (to.length >= ENTRIES_MAX) arraySplice(to, 0, 1);
  to[to.length] = entry;
}

function clear(type: string, name: unknown): void {
  const text = name === undefined ? undefined : toStr(name);
  const kept: PerformanceEntry[] = [];
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    if (entry.entryType !== type || (text !== undefined && entry.name !== text)) kept[kept.length] = entry;
  }
  entries = kept;
}

/** Those of a name and a type, by their time. */
function select(from: PerformanceEntry[], name: unknown, type: unknown): PerformanceEntry[] {
  const wantedName = name === undefined ? undefined : toStr(name);
  const wantedType = type === undefined ? undefined : toStr(type);
  const found: PerformanceEntry[] = [];
  for (let i = 0; i < from.length; i++) {
    const entry = from[i]!;
    if (wantedName !== undefined && entry.name !== wantedName) continue;
    if (wantedType !== undefined && entry.entryType !== wantedType) continue;
    found[found.length] = entry;
  }
  return arraySort(found, (a: PerformanceEntry, b: PerformanceEntry) => a.startTime - b.startTime);
}

/** What the methods of `performance` do. */
export const timeline = {
  mark,
  measure,
  clear,
  select: (name: unknown, type: unknown) => select(entries, name, type),
};

// ---- observers ----

const has = (list: readonly unknown[], value: unknown): boolean => arrayIndexOf(list, value) >= 0;

const TYPES = freeze(["mark", "measure"]);

interface ObserverState {
  observer: PerformanceObserver;
  callback: any;
  types: string[];
  /** Whether it observes lists of types, or one type after another; the two do not go together. */
  mode: "" | "multiple" | "single";
  records: PerformanceEntry[];
}

let delivering = false;

function deliverSoon(): void {
  if (delivering) return;
  delivering = true;
  promiseThen(promiseResolved(undefined), deliver);
}

function deliver(): void {
  delivering = false;
  const all: ObserverState[] = arraySlice(observers);
  for (let i = 0; i < all.length; i++) {
    const state = all[i]!;
    const { records, callback, observer } = state;
    if (records.length === 0) continue;
    state.records = [];
    try {
      apply(callback, observer, [new PerformanceObserverEntryList(INTERNAL, records), observer]);
    } catch (error) {
      report("a PerformanceObserver's callback threw", error);
    }
  }
}

/** What an observer is told of. */
export class PerformanceObserverEntryList {
  #entries: PerformanceEntry[];

  constructor(token: unknown = undefined, list: any = undefined) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#entries = list;
  }

  getEntries(): PerformanceEntry[] {
    return select(this.#entries, undefined, undefined);
  }

  getEntriesByType(type: string): PerformanceEntry[] {
    if (arguments.length === 0) throw new TypeError("getEntriesByType needs a type");
    return select(this.#entries, undefined, toStr(type));
  }

  getEntriesByName(name: string, type: any = undefined): PerformanceEntry[] {
    if (arguments.length === 0) throw new TypeError("getEntriesByName needs a name");
    return select(this.#entries, toStr(name), type);
  }
}
webClass(PerformanceObserverEntryList);

/** Hears of entries as they are made. */
export class PerformanceObserver {
  #state: ObserverState;

  constructor(callback: any) {
    if (typeof callback !== "function") throw new TypeError("a PerformanceObserver needs a function");
    this.#state = { observer: this, callback, types: [], mode: "", records: [] };
  }

  static get supportedEntryTypes(): readonly string[] {
    return TYPES;
  }

  observe(options: any = undefined): void {
    const state = this.#state;
    const { buffered, entryTypes, type } = dictionary(options, "the options of observe");
    if (entryTypes === undefined && type === undefined) throw new TypeError("observe needs entryTypes or type");
    if (entryTypes !== undefined && (type !== undefined || buffered !== undefined)) {
      throw new TypeError("entryTypes goes with neither type nor buffered");
    }
    const mode = entryTypes !== undefined ? "multiple" : "single";
    if (state.mode !== "" && state.mode !== mode) {
      throw new DOMException("an observer has entryTypes or type, not one after the other", "InvalidModificationError");
    }
    state.mode = mode;
    const wanted: string[] = [];
    const named: unknown[] = entryTypes !== undefined ? readSequence(entryTypes, "entryTypes") : [type];
    for (let i = 0; i < named.length; i++) {
      const name = toStr(named[i]);
      if (has(TYPES, name)) wanted[wanted.length] = name;
    }
    if (wanted.length === 0) return;
    if (mode === "multiple") state.types = wanted;
    else if (!has(state.types, wanted[0])) state.types[state.types.length] = wanted[0]!;
    if (!has(observers, state)) observers[observers.length] = state;
    if (mode === "single" && buffered) {
      for (let i = 0; i < entries.length; i++) if (entries[i]!.entryType === wanted[0]) append(state.records, entries[i]!);
      if (state.records.length > 0) deliverSoon();
    }
  }

  disconnect(): void {
    const state = this.#state;
    state.types = [];
    state.mode = "";
    state.records = [];
    const at = arrayIndexOf(observers, state);
    if (at >= 0) arraySplice(observers, at, 1);
  }

  takeRecords(): PerformanceEntry[] {
    const { records } = this.#state;
    this.#state.records = [];
    return records;
  }
}
webClass(PerformanceObserver, 1);
defineProperty(PerformanceObserver, "supportedEntryTypes", { enumerable: true });
