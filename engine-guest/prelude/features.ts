/**
 * The parts of the prelude that most workers do without. They are not in the base image, so that the image of an app
 * stays small: a *feature* is a module under `features/` that exports what its globals are; it is evaluated when one of
 * them is touched for the first time, or before a script whose source names it (the host sees to that). Which feature
 * has which globals is a table of the host's, `base::builtin`.
 */
import { CALL_FEATURES, call, load } from "./native.ts";
import { defineProperty } from "./primordials.ts";

function define(target: object, name: string, value: unknown, enumerable: boolean): void {
  defineProperty(target, name, { value, writable: true, configurable: true, enumerable });
}

const moduleOf = (name: string): string => `selvedge:features/${name}.ts`;

/** The exports of a feature; evaluates it when that has not happened yet. */
export function feature(name: string): any {
  return load(moduleOf(name));
}

/** Gives `target` a property that becomes the value when it is read for the first time. */
export function lazy(target: object, name: string, read: () => unknown, enumerable: boolean = false): void {
  defineProperty(target, name, {
    get(): unknown {
      const value = read();
      define(target, name, value, enumerable);
      return value;
    },
    set(value: unknown): void {
      define(target, name, value, enumerable);
    },
    configurable: true,
    enumerable,
  });
}

/** [feature, [global, …], …] */
const table: any[] = call(CALL_FEATURES);

/** Puts every global of every feature on the global object. */
export function installFeatures(): void {
  for (let i = 0; i < table.length; i += 2) {
    const names: string[] = table[i + 1];
    for (let k = 0; k < names.length; k++) lazy(globalThis, names[k]!, () => feature(table[i])[names[k]!]);
  }
}

/** Evaluates features and modules ahead of a script that will want them. */
export function preload(modules: string[]): void {
  for (let i = 0; i < modules.length; i++) {
    load(modules[i]!);
    for (let k = 0; k < table.length; k += 2) {
      if (moduleOf(table[k]) !== modules[i]) continue;
      // A read makes it a plain property.
      for (let g = 0; g < table[k + 1].length; g++) (globalThis as any)[table[k + 1][g]];
    }
  }
}
