/**
 * `FormData`: a flat list `[name, value, …]` whose values are strings or files.
 */
import { type File, isBlob, isFile, renamedFile } from "../../blob.ts";
import { knowForms } from "../../forms.ts";
import { INTERNAL } from "../../internal.ts";
import { forEachPair, iteratePairs, pairIterator } from "../../pairs.ts";
import { Symbol, TypeError, defineProperty, isObject, stringWellFormed, toStr, webClass } from "../../primordials.ts";

export type FormValue = string | File;

let brand: (value: unknown) => value is FormData;
let listOf: (form: FormData) => any[];

const FORM_ITERATOR = pairIterator("FormData");

function usv(value: unknown): string {
  return stringWellFormed(toStr(value));
}

function entryValue(value: unknown, filename: unknown, named: boolean): FormValue {
  if (!isBlob(value)) {
    if (named) throw new TypeError("only a Blob or File has a file name");
    return usv(value);
  }
  if (isFile(value) && filename === undefined) return value;
  return renamedFile(value, filename === undefined ? "blob" : usv(filename));
}

function needArguments(count: number, wanted: number, method: string): void {
  if (count < wanted) throw new TypeError(`FormData.${method} needs ${wanted} arguments, not ${count}`);
}

/** The fields of a form. */
export class FormData {
  #list: any[];

  constructor(token: unknown = undefined, list: any[] = []) {
    if (token !== INTERNAL && token !== undefined) throw new TypeError("FormData takes no form element here");
    this.#list = token === INTERNAL ? list : [];
  }

  static {
    brand = (value): value is FormData => isObject(value) && #list in value;
    listOf = (form) => form.#list;
  }

  append(name: string, value: unknown, filename: string | undefined = undefined): void {
    const list = this.#list;
    needArguments(arguments.length, 2, "append");
    const key = usv(name);
    const entry = entryValue(value, filename, arguments.length > 2);
    list[list.length] = key;
    list[list.length] = entry;
  }

  delete(name: string): void {
    const list = this.#list;
    needArguments(arguments.length, 1, "delete");
    const key = usv(name);
    let to = 0;
    for (let at = 0; at < list.length; at += 2) {
      if (list[at] === key) continue;
      list[to] = list[at];
      list[to + 1] = list[at + 1];
      to += 2;
    }
    list.length = to;
  }

  get(name: string): FormValue | null {
    const list = this.#list;
    needArguments(arguments.length, 1, "get");
    const key = usv(name);
    for (let at = 0; at < list.length; at += 2) if (list[at] === key) return list[at + 1];
    return null;
  }

  getAll(name: string): FormValue[] {
    const list = this.#list;
    needArguments(arguments.length, 1, "getAll");
    const key = usv(name);
    const found: FormValue[] = [];
    for (let at = 0; at < list.length; at += 2) if (list[at] === key) found[found.length] = list[at + 1];
    return found;
  }

  has(name: string): boolean {
    const list = this.#list;
    needArguments(arguments.length, 1, "has");
    const key = usv(name);
    for (let at = 0; at < list.length; at += 2) if (list[at] === key) return true;
    return false;
  }

  set(name: string, value: unknown, filename: string | undefined = undefined): void {
    const list = this.#list;
    needArguments(arguments.length, 2, "set");
    const key = usv(name);
    const entry = entryValue(value, filename, arguments.length > 2);
    let found = false;
    let to = 0;
    for (let at = 0; at < list.length; at += 2) {
      if (list[at] === key && found) continue;
      const replace = list[at] === key;
      list[to] = list[at];
      list[to + 1] = replace ? entry : list[at + 1];
      found ||= replace;
      to += 2;
    }
    list.length = to;
    if (!found) {
      list[to] = key;
      list[to + 1] = entry;
    }
  }

  forEach(callback: any, thisArg: unknown = undefined): void {
    forEachPair(() => this.#list, this, callback, thisArg);
  }

  entries(): IterableIterator<[string, FormValue]> {
    void this.#list;
    return iteratePairs(FORM_ITERATOR, () => this.#list, 0);
  }

  keys(): IterableIterator<string> {
    void this.#list;
    return iteratePairs(FORM_ITERATOR, () => this.#list, 1);
  }

  values(): IterableIterator<FormValue> {
    void this.#list;
    return iteratePairs(FORM_ITERATOR, () => this.#list, 2);
  }

  declare [Symbol.iterator]: () => IterableIterator<[string, FormValue]>;
}
webClass(FormData);
defineProperty(FormData.prototype, Symbol.iterator, {
  value: FormData.prototype.entries, writable: true, configurable: true,
});

knowForms(brand);

/** The form's own list; not to be changed. */
export function formList(form: FormData): any[] {
  return listOf(form);
}

/** A form around a list made by the prelude. */
export function formFrom(list: any[]): FormData {
  return new FormData(INTERNAL, list);
}
