/**
 * What `Error.prepareStackTrace` is given: QuickJS's call sites have half of V8's methods, and libraries that walk a
 * stack ask for the other half.
 */
import { Error, defineProperty, getOwnPropertyDescriptor, getPrototypeOf } from "./primordials.ts";

function example(): any {
  const hooks = Error as any;
  const before = hooks.prepareStackTrace;
  const holder: any = {};
  hooks.prepareStackTrace = (_: unknown, sites: unknown[]) => sites;
  hooks.captureStackTrace(holder);
  const site = holder.stack[0];
  hooks.prepareStackTrace = before;
  return site;
}

const more: Record<string, (this: any) => unknown> = {
  getThis: () => undefined,
  getTypeName: () => null,
  getMethodName: () => null,
  getEvalOrigin: () => undefined,
  getPromiseIndex: () => null,
  isToplevel: () => true,
  isEval: () => false,
  isAsync: () => false,
  isPromiseAll: () => false,
  getScriptNameOrSourceURL() {
    return this.getFileName();
  },
  toString() {
    const place = this.isNative() ? "native" : `${this.getFileName()}:${this.getLineNumber()}:${this.getColumnNumber()}`;
    const name = this.getFunctionName();
    return name === null ? place : `${name} (${place})`;
  },
};

const prototype = getPrototypeOf(example());
for (const name in more) {
  if (getOwnPropertyDescriptor(prototype, name) !== undefined) continue;
  defineProperty(prototype, name, { value: more[name], writable: true, configurable: true });
}
