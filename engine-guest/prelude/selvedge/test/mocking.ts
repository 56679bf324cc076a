/**
 * Modules that a test replaces. The build has seen each call (`vi.mock` is `vi.$mock` by now) and put a facade in front of
 * each module that one names; the facade asks here, once, when it is evaluated.
 */
import { short } from "./format.ts";
import { makeMock } from "./mock.ts";

interface Replacement {
  factory: ((original: () => Promise<any>) => unknown) | null;
  /** Whether functions go on doing what they did. */
  spy: boolean;
}

/** By the specifiers of the file of tests. */
const replacements = new Map<string, Replacement>();
/** Those whose facade was evaluated: nothing can change for who has imported it. */
const settled = new Set<string>();

function note(method: string, specifier: string): void {
  if (settled.has(specifier)) {
    throw new Error(`vi.${method}("${specifier}") comes too late: the module was imported already, and modules are evaluated once`);
  }
}

export function mock(method: string, specifier: string, given: any): void {
  note(method, specifier);
  if (given !== undefined && given !== null && typeof given !== "function" && typeof given !== "object") {
    throw new TypeError(`vi.${method}() takes a factory or options after the name of the module, and got ${short(given)}`);
  }
  replacements.set(specifier, { factory: typeof given === "function" ? given : null, spy: given?.spy === true });
}

export function unmock(method: string, specifier: string): void {
  note(method, specifier);
  replacements.delete(specifier);
}

/** What a facade exports: `original` and `manual` import the module, and the one in `__mocks__` beside it. */
export async function replaced(
  specifiers: string[], original: () => Promise<any>, manual: (() => Promise<any>) | null, names: string[],
): Promise<any> {
  for (const specifier of specifiers) settled.add(specifier);
  const specifier = specifiers.find((name) => replacements.has(name));
  if (specifier === undefined) return original();
  const { factory, spy } = replacements.get(specifier)!;
  if (factory !== null) return complete(specifier, await run(specifier, factory, original), names);
  if (manual !== null && !spy) return manual();
  return automatic(await original(), spy);
}

async function run(specifier: string, factory: (original: () => Promise<any>) => unknown, original: () => Promise<any>): Promise<any> {
  let made: any;
  try {
    made = await factory(original);
  } catch (cause) {
    const hint = cause instanceof ReferenceError
      ? "; vi.mock() runs before the imports and variables of the file are there: make what it uses in vi.hoisted()" : "";
    throw new Error(`the factory of vi.mock("${specifier}") failed${hint}`, { cause });
  }
  if (made === null || typeof made !== "object" || Array.isArray(made)) {
    throw new TypeError(`the factory of vi.mock("${specifier}") returns an object with what the module exports, and returned ${short(made)}`);
  }
  return made;
}

/** What the factory left out is an error where it is called, and not where a module imports it. */
function complete(specifier: string, made: any, names: string[]): any {
  const all: any = {};
  for (const name of names) {
    all[name] = name in made ? made[name] : function missing(): never {
      throw new Error(`there is no export "${name}" in what the factory of vi.mock("${specifier}") returned; ` +
        "return it too, or all of the module: async (importOriginal) => ({ ...(await importOriginal()), … })");
    };
  }
  return all;
}

/** The module with a mock in place of each function: as Vitest has it, lists are empty and other values stay. */
function automatic(module: any, spy: boolean): any {
  const seen = new Map<object, unknown>();
  const of = (value: any): any => {
    if (typeof value !== "function" && (typeof value !== "object" || value === null)) return value;
    if (seen.has(value)) return seen.get(value);
    if (Array.isArray(value) && !spy) return [];
    if (typeof value === "object" && (spy || !isPlain(value))) return value;
    const made: any = typeof value === "function" ? functionOf(value, spy) : {};
    seen.set(value, made);
    fill(made, value);
    return made;
  };
  const fill = (made: any, from: any): void => {
    for (const key of Reflect.ownKeys(from)) {
      if (Object.hasOwn(made, key)) continue;
      const descriptor = Object.getOwnPropertyDescriptor(from, key)!;
      if ("value" in descriptor) Object.defineProperty(made, key, { ...descriptor, value: of(descriptor.value), configurable: true });
      else Object.defineProperty(made, key, descriptor);
    }
  };
  const all: any = {};
  for (const name of Object.keys(module)) all[name] = of(module[name]);
  return all;
}

const isPlain = (value: object): boolean =>
  Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null ||
  Object.prototype.toString.call(value) === "[object Module]";

/** A mock of a function, or of a class whose methods are mocks. */
function functionOf(value: any, spy: boolean): any {
  const made = makeMock(spy ? value : undefined).mockName(value.name);
  const { prototype } = value;
  if (typeof prototype !== "object" || prototype === null) return made;
  if (spy) {
    made.prototype = prototype;
    return made;
  }
  for (const key of Reflect.ownKeys(prototype)) {
    const descriptor = Object.getOwnPropertyDescriptor(prototype, key)!;
    if (key === "constructor" || typeof descriptor.value !== "function") continue;
    Object.defineProperty(made.prototype, key, { ...descriptor, value: makeMock(undefined).mockName(String(key)), configurable: true });
  }
  return made;
}
