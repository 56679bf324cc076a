/**
 * What a test file declares: a tree of suites and tests, with hooks. Nothing runs here but the bodies of `describe`,
 * which are entered one after another once the file itself has been evaluated, so that they may be asynchronous.
 */
import { callSite } from "../../native.ts";
import { type Fixture, fixturesOf, merged } from "./fixtures.ts";
import { short } from "./format.ts";

export type Mode = "run" | "only" | "skip" | "todo";
export type Hook = { body: (...args: any[]) => unknown; timeout: number | null };

export interface Suite {
  kind: "suite";
  id: number;
  name: string;
  mode: Mode;
  site: string | null;
  parent: Suite | null;
  children: (Suite | Test)[];
  factory: (() => unknown) | null;
  beforeAll: Hook[];
  afterAll: Hook[];
  beforeEach: Hook[];
  afterEach: Hook[];
}

export interface Test {
  kind: "test";
  id: number;
  name: string;
  mode: Mode;
  site: string | null;
  parent: Suite;
  body: ((context: any) => unknown) | null;
  fixtures: Fixture[];
  fails: boolean;
  timeout: number | null;
  retry: number;
  repeats: number;
}

interface Flags {
  mode: Mode;
  fails: boolean;
  fixtures: Fixture[];
}

/** The function that a test of a table was written as, and which of its arguments is the context. */
const written = new WeakMap<object, [(...args: any[]) => unknown, number]>();

export function writtenAs(body: (...args: any[]) => unknown): [(...args: any[]) => unknown, number] {
  return written.get(body) ?? [body, 0];
}

/** Tests of one file; an endless loop that declares tests ends here. */
const DECLARED_MAX = 100_000;

function newSuite(name: string, mode: Mode, parent: Suite | null, factory: (() => unknown) | null): Suite {
  return {
    kind: "suite", id: 0, name, mode, site: callSite() ?? null, parent, children: [], factory,
    beforeAll: [], afterAll: [], beforeEach: [], afterEach: [],
  };
}

export const root: Suite = newSuite("", "run", null, null);
/** By their ids. */
export const declared: (Suite | Test)[] = [root];

/** The suite that declarations go to; null once the tests run. */
let open: Suite | null = root;

function declare(what: Suite | Test, to: Suite): void {
  if (declared.length >= DECLARED_MAX) throw new RangeError(`a test file declares ${DECLARED_MAX} tests and suites at most`);
  what.id = declared.length;
  declared.push(what);
  to.children.push(what);
}

function openFor(name: string): Suite {
  if (open === null) throw new Error(`${name}() was called while tests run; declare at the top of the file, or in describe()`);
  return open;
}

/** Enters the bodies of all suites, in order. */
export async function collect(): Promise<void> {
  await enter(root);
  open = null;
}

async function enter(suite: Suite): Promise<void> {
  open = suite;
  if (suite.factory !== null) await suite.factory();
  for (const child of suite.children) if (child.kind === "suite") await enter(child);
}

function nameOf(given: unknown): string {
  if (typeof given === "function") return given.name === "" ? "(anonymous)" : given.name;
  return `${given as any}`;
}

/** The longest limit there is, in ms; 0 and Infinity ask for it. */
const TIMEOUT_MAX = 3_600_000;

function timeoutOf(given: unknown): number | null {
  if (given === undefined || given === null) return null;
  const ms = Number(given);
  if (Number.isNaN(ms) || ms < 0) throw new RangeError(`a timeout is a number of milliseconds, and not ${short(given)}`);
  return ms === 0 ? TIMEOUT_MAX : Math.min(Math.ceil(ms), TIMEOUT_MAX);
}

type Options = { timeout?: number; retry?: number; repeats?: number; skip?: boolean; only?: boolean; todo?: boolean; fails?: boolean };

/** `(body, options)`, whichever way round they were given. */
function bodyAndOptions(a: unknown, b: unknown): [((...args: any[]) => unknown) | null, Options] {
  const body = typeof a === "function" ? a : typeof b === "function" ? b : null;
  const other = typeof a === "function" ? b : a;
  const options = typeof other === "number" ? { timeout: other } : (other ?? {});
  return [body as any, options as Options];
}

function modeOf(flags: Flags, options: Options): Mode {
  if (options.todo) return "todo";
  if (options.skip) return "skip";
  return options.only ? "only" : flags.mode;
}

function addTest(flags: Flags, name: unknown, a: unknown, b: unknown): void {
  const [body, options] = bodyAndOptions(a, b);
  const parent = openFor("test");
  const mode = modeOf(flags, options);
  if (body === null && mode === "run") return addTest({ ...flags, mode: "todo" }, name, options, undefined);
  declare({
    kind: "test", id: 0, name: nameOf(name), mode, site: callSite() ?? null, parent, body, fixtures: flags.fixtures,
    fails: flags.fails || options.fails === true, timeout: timeoutOf(options.timeout),
    retry: options.retry ?? 0, repeats: options.repeats ?? 0,
  }, parent);
}

function addSuite(flags: Flags, name: unknown, a: unknown, b: unknown): void {
  const [body, options] = bodyAndOptions(a, b);
  const parent = openFor("describe");
  declare(newSuite(nameOf(name), body === null ? "todo" : modeOf(flags, options), parent, body), parent);
}

type Add = (flags: Flags, name: unknown, a: unknown, b: unknown) => void;

/** A function with the modifiers that may follow it: `test.skip`, `describe.only.each`. */
function declarer(add: Add, flags: Flags): any {
  const api: any = (name: unknown, a: unknown, b: unknown) => add(flags, name, a, b);
  const modifiers: Record<string, Partial<Flags>> = {
    skip: { mode: "skip" }, only: { mode: "only" }, todo: { mode: "todo" }, fails: { fails: true },
    // Tests run one after another whatever they ask for.
    concurrent: {}, sequential: {}, shuffle: {},
  };
  for (const name of Object.keys(modifiers)) {
    Object.defineProperty(api, name, { get: () => declarer(add, { ...flags, ...modifiers[name] }), enumerable: true });
  }
  api.skipIf = (condition: unknown) => (condition ? api.skip : api);
  api.runIf = (condition: unknown) => (condition ? api : api.skip);
  api.each = (...table: any[]) => overTable(rowsOf(table), add, flags, true);
  api.for = (...table: any[]) => overTable(rowsOf(table), add, flags, false);
  api.extend = (given: Record<string, unknown>) =>
    declarer(add, { ...flags, fixtures: merged(flags.fixtures, fixturesOf(given)) });
  return api;
}

export const test = declarer(addTest, { mode: "run", fails: false, fixtures: [] });
export const describe = declarer(addSuite, { mode: "run", fails: false, fixtures: [] });

function overTable(rows: unknown[], add: Add, flags: Flags, spread: boolean) {
  return (name: unknown, a: unknown, b: unknown): void => {
    const [body, options] = bodyAndOptions(a, b);
    rows.forEach((row, index) => {
      const args = Array.isArray(row) ? row : [row];
      const bound = body === null ? undefined : (context: unknown) => (spread ? body(...args) : body(row, context));
      if (bound !== undefined) written.set(bound, [body!, spread ? args.length : 1]);
      add(flags, titleOf(nameOf(name), row, args, index), bound, options);
    });
  };
}

/** The rows of `each([…])`, or of its template form with a header of names. */
function rowsOf(given: any[]): unknown[] {
  const [first] = given;
  if (!Array.isArray(first)) throw new TypeError("each() takes an array of rows, or a template");
  if (!Object.hasOwn(first, "raw")) return first;
  const names = (first[0] as string).split("|").map((name) => name.trim()).filter((name) => name !== "");
  const values = given.slice(1);
  const rows: unknown[] = [];
  for (let at = 0; at + names.length <= values.length; at += names.length) {
    const row: Record<string, unknown> = {};
    names.forEach((name, k) => (row[name] = values[at + k]));
    rows.push(row);
  }
  return rows;
}

/** Fills `%s` and its like from the arguments, and `$name` from an object. */
function titleOf(title: string, row: unknown, args: unknown[], index: number): string {
  let next = 0;
  const filled = title.replace(/%[sdifjoO#$%]/g, (directive) => {
    if (directive === "%%") return "%";
    if (directive === "%#") return `${index}`;
    if (directive === "%$") return `${index + 1}`;
    if (next >= args.length) return directive;
    const value = args[next++];
    switch (directive) {
      case "%d": return `${Number(value)}`;
      case "%i": return `${Math.trunc(Number(value))}`;
      case "%f": return `${Number.parseFloat(`${value as any}`)}`;
      case "%s": return typeof value === "string" ? value : short(value);
      default: return typeof value === "object" && directive === "%j" ? JSON.stringify(value) : short(value);
    }
  });
  if (typeof row !== "object" || row === null || Array.isArray(row)) return filled;
  return filled.replace(/\$([A-Za-z_][\w.]*)/g, (whole, path: string) => {
    let value: any = row;
    for (const name of path.split(".")) {
      if (value === null || value === undefined || !(name in Object(value))) return whole;
      value = value[name];
    }
    return typeof value === "string" ? value : short(value);
  });
}

function hook(kind: "beforeAll" | "afterAll" | "beforeEach" | "afterEach") {
  return (body: (...args: any[]) => unknown, timeout: unknown = undefined): void => {
    if (typeof body !== "function") throw new TypeError(`${kind}() takes a function`);
    openFor(kind)[kind].push({ body, timeout: timeoutOf(timeout) });
  };
}

export const beforeAll = hook("beforeAll");
export const afterAll = hook("afterAll");
export const beforeEach = hook("beforeEach");
export const afterEach = hook("afterEach");

/** The suites around a test or suite, outermost first, itself included if it is one. */
export function chainOf(of: Suite | Test): Suite[] {
  const chain: Suite[] = [];
  for (let at: Suite | null = of.kind === "suite" ? of : of.parent; at !== null; at = at.parent) chain.unshift(at);
  return chain;
}

/** The tree as the driver outside knows it. */
export function describeTree(of: Suite | Test): object {
  if (of.kind === "test") {
    const { id, name, mode, site, fails, timeout } = of;
    const around = chainOf(of).flatMap((suite) => [...suite.beforeEach, ...suite.afterEach]);
    const hooks = Math.max(0, ...around.map((each) => each.timeout ?? 0));
    return { kind: "test", id, name, mode, site, fails, timeout, hooks };
  }
  const longest = (hooks: Hook[]): number | null =>
    hooks.length === 0 ? null : Math.max(...hooks.map((each) => each.timeout ?? 0));
  return {
    kind: "suite", id: of.id, name: of.name, mode: of.mode, site: of.site, before: longest(of.beforeAll),
    after: longest(of.afterAll), children: of.children.map(describeTree),
  };
}
