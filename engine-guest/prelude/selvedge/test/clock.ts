/**
 * A clock that a test moves: `Date`, `performance.now` and the timers of this instance; the app's other workers and KV
 * are told where it stands. What the platform itself waits for (a fetch, `AbortSignal.timeout`, timers of the app behind
 * `SELF`) goes by the real one.
 */
import { now as realNow } from "../../native.ts";
import { Date as RealDate } from "../../primordials.ts";
import { setTimeout as realSetTimeout } from "../../timers.ts";
import { tellTime } from "./app.ts";

/** Timers that one call runs, before it is taken for an endless chain of them. */
const RUNS_MAX = 10_000;

interface Timer {
  id: number;
  at: number;
  every: number | null;
  callback: (...args: any[]) => unknown;
  args: unknown[];
}

const FAKES = [
  "setTimeout", "clearTimeout", "setInterval", "clearInterval", "setImmediate", "clearImmediate", "Date", "performance",
] as const;

let timers: Timer[] = [];
let nextId = 1;
/** The moved clock, or null while the real one goes. */
let at: number | null = null;
/** What was replaced, by name. */
const replaced = new Map<string, PropertyDescriptor | undefined>();

const current = (): number => at ?? realNow();

/** What was told last: the rest of the app is told only what is new. */
let told: number | null = null;

let last: Promise<void> = Promise.resolve();

/** With `step`, alarms of objects ring on the way; the promise is there when they have. */
function tell(step: boolean = false): Promise<void> {
  const now = at !== null && replaced.has("Date") ? at : null;
  if (now !== told) last = tellTime(now, step);
  told = now;
  return last;
}

function FakeDate(this: any, ...args: unknown[]): any {
  if (new.target === undefined) return new RealDate(current()).toString();
  return Reflect.construct(RealDate, args.length === 0 ? [current()] : args, new.target);
}
FakeDate.prototype = RealDate.prototype;
Object.setPrototypeOf(FakeDate, RealDate);
Object.defineProperty(FakeDate, "name", { value: "Date" });
Object.defineProperty(FakeDate, "now", { value: () => Math.floor(current()), writable: true, configurable: true });

function add(callback: any, delay: unknown, every: boolean, args: unknown[]): number {
  if (typeof callback !== "function") throw new TypeError("a timer takes a function");
  const ms = Math.max(0, Number(delay) || 0);
  const id = nextId++;
  timers.push({ id, at: current() + ms, every: every ? Math.max(1, ms) : null, callback, args });
  return id;
}

const clear = (id: unknown): void => void (timers = timers.filter((timer) => timer.id !== id));

const fakes: Record<string, unknown> = {
  setTimeout: (callback: any, delay: unknown = 0, ...args: unknown[]) => add(callback, delay, false, args),
  setInterval: (callback: any, delay: unknown = 0, ...args: unknown[]) => add(callback, delay, true, args),
  setImmediate: (callback: any, ...args: unknown[]) => add(callback, 0, false, args),
  clearTimeout: clear, clearInterval: clear, clearImmediate: clear, Date: FakeDate,
};

function replace(name: string): void {
  if (replaced.has(name)) return;
  const on: any = name === "performance" ? globalThis.performance : globalThis;
  const key = name === "performance" ? "now" : name;
  replaced.set(name, Object.getOwnPropertyDescriptor(on, key));
  const value = name === "performance" ? current : fakes[name];
  Object.defineProperty(on, key, { value, writable: true, configurable: true, enumerable: false });
}

function momentOf(given: unknown): number {
  const moment = given instanceof RealDate ? +given : typeof given === "string" ? +new RealDate(given) : Number(given);
  if (!Number.isFinite(moment)) throw new TypeError("this is no time");
  return moment;
}

export function useFakeTimers(options: { now?: unknown; toFake?: string[]; toNotFake?: string[] } = {}): void {
  useRealTimers();
  at = options.now === undefined ? realNow() : momentOf(options.now);
  for (const name of options.toFake ?? FAKES) {
    if (!(FAKES as readonly string[]).includes(name)) throw new TypeError(`useFakeTimers(): ${name} can't be faked; there are ${FAKES.join(", ")}`);
    if (!options.toNotFake?.includes(name)) replace(name);
  }
  tell();
}

export function useRealTimers(): void {
  for (const [name, descriptor] of replaced) {
    const on: any = name === "performance" ? globalThis.performance : globalThis;
    const key = name === "performance" ? "now" : name;
    if (descriptor === undefined) delete on[key];
    else Object.defineProperty(on, key, descriptor);
  }
  replaced.clear();
  timers = [];
  at = null;
  tell();
}

export const isFakeTimers = (): boolean => replaced.has("setTimeout");

/** Moves the clock without running timers. Without fake timers, `Date` alone is faked. */
export function setSystemTime(moment: unknown = realNow()): void {
  const to = momentOf(moment);
  if (at === null) replace("Date");
  else for (const timer of timers) timer.at += to - at;
  at = to;
  tell();
}

export const mockedSystemTime = (): Date | null => (at === null ? null : new RealDate(at));
export const realSystemTime = (): number => Math.floor(realNow());
export const timerCount = (): number => timers.length;
export const clearAllTimers = (): void => void (timers = []);

function needFakes(): void {
  if (!isFakeTimers()) throw new Error("the timers are the real ones: call vi.useFakeTimers() first");
}

function next(until: number): Timer | null {
  let first: Timer | null = null;
  for (const timer of timers) {
    if (timer.at <= until && (first === null || timer.at < first.at || (timer.at === first.at && timer.id < first.id))) first = timer;
  }
  return first;
}

function run(timer: Timer): void {
  at = Math.max(current(), timer.at);
  if (timer.every === null) clear(timer.id);
  else timer.at += timer.every;
  timer.callback(...timer.args);
}

const endless = (): Error => new Error(`${RUNS_MAX} timers have run, and there are more: is there an endless interval?`);

function runUntil(until: number, among: ((timer: Timer) => boolean) | null): void {
  needFakes();
  for (let runs = 0; ; runs++) {
    const timer = next(until);
    if (timer === null || (among !== null && !among(timer))) break;
    if (runs >= RUNS_MAX) throw endless();
    run(timer);
  }
  tell();
}

/** Lets promises, and what the host has ready, go on. */
const settle = (): Promise<void> => new Promise((resolve) => void realSetTimeout(resolve, 0));

async function runUntilAsync(until: number, among: ((timer: Timer) => boolean) | null): Promise<void> {
  needFakes();
  await settle();
  for (let runs = 0; ; runs++) {
    const timer = next(until);
    if (timer === null || (among !== null && !among(timer))) break;
    if (runs >= RUNS_MAX) throw endless();
    run(timer);
    await tell(true);
    await settle();
  }
}

export function advanceTimersByTime(ms: number): void {
  const until = current() + ms;
  runUntil(until, null);
  at = until;
  tell();
}

export async function advanceTimersByTimeAsync(ms: number): Promise<void> {
  const until = current() + ms;
  await runUntilAsync(until, null);
  at = until;
  await tell(true);
}

export const runAllTimers = (): void => runUntil(Infinity, null);
export const runAllTimersAsync = (): Promise<void> => runUntilAsync(Infinity, null);

export function advanceTimersToNextTimer(): void {
  needFakes();
  const timer = next(Infinity);
  if (timer !== null) run(timer);
  tell();
}

export async function advanceTimersToNextTimerAsync(): Promise<void> {
  advanceTimersToNextTimer();
  await tell();
  await settle();
}

/** Those that are pending now, and none that these set. */
function pending(): [number, (timer: Timer) => boolean] {
  const ids = new Set(timers.map((timer) => timer.id));
  const last = Math.max(current(), ...timers.map((timer) => timer.at));
  return [last, (timer) => ids.delete(timer.id)];
}

export function runOnlyPendingTimers(): void {
  const [last, among] = pending();
  runUntil(last, among);
}

export async function runOnlyPendingTimersAsync(): Promise<void> {
  const [last, among] = pending();
  await runUntilAsync(last, among);
}
