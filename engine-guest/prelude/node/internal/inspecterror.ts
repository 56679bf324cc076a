/**
 * Errors as `inspect` shows them: the stack, which also leads with the class, and the properties that it does not show.
 */
import { errorToString } from "../../library.ts";
import {
  arrayIndexOf, hasOwn, isArray, stringIndexOf, stringRepeat, stringReplaceAll, stringSlice, stringStartsWith,
} from "../../primordials.ts";
import type { Walk } from "./inspect.ts";

function headOf(error: any): string {
  try {
    return errorToString(error);
  } catch {
    return "Error";
  }
}

/** The base text; takes out of `keys` what it shows, and adds `cause` and `errors`. */
export function errorText(walk: Walk, error: any, name: string | null, tag: string, keys: any[], level: number): string {
  const head = headOf(error);
  let stack = typeof error.stack === "string" ? error.stack : "";
  while (stack[stack.length - 1] === "\n") stack = stringSlice(stack, 0, -1);
  // The engine's stacks are frames only.
  if (stack === "") stack = head;
  else if (stringStartsWith(stack, "    at ")) stack = `${head}\n${stack}`;
  const called = typeof error.name === "string" ? error.name : "Error";
  if (name !== null && name !== called && stringStartsWith(stack, called) && stringIndexOf(name, " ") < 0 && stringIndexOf(stack, name) < 0) {
    const code = typeof error.code === "string" ? ` [${error.code}]` : "";
    const rest: string = stringSlice(stack, called.length);
    stack = `${name}${code !== "" && !stringStartsWith(rest, code) ? "" : ""}${rest}`;
  } else if (name === null) {
    stack = `[${called}: null prototype]${stringSlice(stack, stringStartsWith(stack, called) ? called.length : 0)}`;
  }
  if (typeof error.code === "string" && stringStartsWith(stack, `${called}: `) && stringStartsWith(error.code, "ERR_")) {
    stack = `${called} [${error.code}]${stringSlice(stack, called.length)}`;
  }
  let to = 0;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i];
    const shown = (key === "name" || key === "message" || key === "stack") && stringIndexOf(stack, `${error[key]}`) >= 0;
    if (!shown) keys[to++] = key;
  }
  keys.length = to;
  if (hasOwn(error, "cause") && arrayIndexOf(keys, "cause") < 0) keys[keys.length] = "cause";
  if (isArray(error.errors) && hasOwn(error, "errors") && arrayIndexOf(keys, "errors") < 0) keys[keys.length] = "errors";
  if (tag !== "" && name !== tag && stringIndexOf(stack, tag) < 0) stack = `${stack} [${tag}]`;
  if (stringIndexOf(stack, "\n    at") < 0) stack = `[${stack}]`;
  if (walk.indentation !== 0) stack = stringReplaceAll(stack, "\n", `\n${stringRepeat(" ", walk.indentation)}`);
  return stack;
}
