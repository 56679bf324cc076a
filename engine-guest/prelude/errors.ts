/**
 * `DOMException`, the errors that the host's failures become, and the one way in which an error is written out.
 */
import { setErrorFactory } from "./native.ts";
import {
  Error, RangeError, SyntaxError, TypeError, defineProperty, freeze, isArray, isObject, setPrototypeOf, stringIndexOf,
  stringSlice, stringStartsWith, toStr, webClass,
} from "./primordials.ts";

const LEGACY_CODES: Record<string, number> = {
  __proto__: null as any,
  IndexSizeError: 1, HierarchyRequestError: 3, WrongDocumentError: 4, InvalidCharacterError: 5,
  NoModificationAllowedError: 7, NotFoundError: 8, NotSupportedError: 9, InUseAttributeError: 10,
  InvalidStateError: 11, SyntaxError: 12, InvalidModificationError: 13, NamespaceError: 14, InvalidAccessError: 15,
  TypeMismatchError: 17, SecurityError: 18, NetworkError: 19, AbortError: 20, URLMismatchError: 21,
  QuotaExceededError: 22, TimeoutError: 23, InvalidNodeTypeError: 24, DataCloneError: 25,
  // Younger ones, which have no number.
  DataError: 0, OperationError: 0,
};
freeze(LEGACY_CODES);

/** Writes down where an error came about. */
const captureStackTrace: (error: object, from: unknown) => void = (Error as any).captureStackTrace;

/** An error of the web platform. Its `name` says which; `code` is the legacy number, 0 where there is none. */
export class DOMException {
  #name: string;
  #message: string;
  declare stack: string;

  constructor(message: string = "", options: any = "Error") {
    this.#message = toStr(message);
    if (isObject(options)) {
      this.#name = options.name === undefined ? "Error" : toStr(options.name);
      if ("cause" in options) {
        defineProperty(this, "cause", { value: options.cause, writable: true, configurable: true });
      }
    } else {
      this.#name = toStr(options);
    }
    captureStackTrace(this, DOMException);
    // It begins with what plain properties say, and name and message are none.
    const { stack } = this;
    if (typeof stack === "string" && stringStartsWith(stack, "Error")) {
      const head = this.#message === "" ? this.#name : `${this.#name}: ${this.#message}`;
      const at = stringIndexOf(stack, "\n");
      const value = at < 0 ? head : head + stringSlice(stack, at);
      defineProperty(this, "stack", { value, writable: true, configurable: true });
    }
  }

  get name(): string {
    return this.#name;
  }

  get message(): string {
    return this.#message;
  }

  get code(): number {
    return LEGACY_CODES[this.#name] ?? 0;
  }
}
webClass(DOMException);
// An error to `instanceof` and to those who print it; the constructor inherits nothing of Error's (WebIDL, section 3.14.1).
setPrototypeOf(DOMException.prototype, Error.prototype);
for (const [constant, code] of [
  ["INDEX_SIZE_ERR", 1], ["DOMSTRING_SIZE_ERR", 2], ["HIERARCHY_REQUEST_ERR", 3], ["WRONG_DOCUMENT_ERR", 4],
  ["INVALID_CHARACTER_ERR", 5], ["NO_DATA_ALLOWED_ERR", 6], ["NO_MODIFICATION_ALLOWED_ERR", 7], ["NOT_FOUND_ERR", 8],
  ["NOT_SUPPORTED_ERR", 9], ["INUSE_ATTRIBUTE_ERR", 10], ["INVALID_STATE_ERR", 11], ["SYNTAX_ERR", 12],
  ["INVALID_MODIFICATION_ERR", 13], ["NAMESPACE_ERR", 14], ["INVALID_ACCESS_ERR", 15], ["VALIDATION_ERR", 16],
  ["TYPE_MISMATCH_ERR", 17], ["SECURITY_ERR", 18], ["NETWORK_ERR", 19], ["ABORT_ERR", 20], ["URL_MISMATCH_ERR", 21],
  ["QUOTA_EXCEEDED_ERR", 22], ["TIMEOUT_ERR", 23], ["INVALID_NODE_TYPE_ERR", 24], ["DATA_CLONE_ERR", 25],
] as [string, number][]) {
  const constantProperty = { value: code, enumerable: true };
  defineProperty(DOMException, constant, constantProperty);
  defineProperty(DOMException.prototype, constant, constantProperty);
}

/** Classes of errors that the host names and not every image has. */
const CLASSES: Record<string, new (message: string) => Error> = { __proto__: null as any };

/** Lets the host raise errors of this class by its name. */
export function registerError(name: string, ctor: any): void {
  CLASSES[name] = ctor;
}

/** Makes the error that a host failure `[name, message, code]` stands for. */
export function hostError(name: string, message: string, code?: string): Error {
  let error: Error;
  if (name === "TypeError") error = new TypeError(message);
  else if (name === "RangeError") error = new RangeError(message);
  else if (name === "SyntaxError") error = new SyntaxError(message);
  else if (name === "Error" || name === "") error = new Error(message);
  else if (CLASSES[name] !== undefined) error = new CLASSES[name](message);
  else if (LEGACY_CODES[name] !== undefined) error = new DOMException(message, name);
  else {
    error = new Error(message);
    defineProperty(error, "name", { value: name, writable: true, configurable: true });
  }
  if (code !== undefined && code !== "") {
    defineProperty(error, "code", { value: code, writable: true, configurable: true, enumerable: true });
  }
  return error;
}

/** The reason a signal gives when nobody named one. */
export function abortError(message: string = "The operation was aborted"): DOMException {
  return new DOMException(message, "AbortError");
}

const CAUSES_MAX = 8;
/** Of the errors that an AggregateError has. */
const PARTS_MAX = 8;

function safeString(value: unknown): string {
  try {
    return typeof value === "symbol" ? "a symbol" : toStr(value);
  } catch {
    return "an object that cannot be turned into a string";
  }
}

const FRAME = "    at ";

/** The calls of a stack trace, without the error that it begins with. */
export function framesOf(stack: string, name: string, message: string): string {
  if (stringStartsWith(stack, FRAME)) return stack;
  const head = message === "" ? name : `${name}: ${message}`;
  if (stringStartsWith(stack, head) && stack[head.length] === "\n") return stringSlice(stack, head.length + 1);
  const at = stringIndexOf(stack, `\n${FRAME}`);
  return at < 0 ? "" : stringSlice(stack, at + 1);
}

/** What belongs to an error that was thrown: a line of its own, and its calls. */
function related(how: string, value: unknown): string {
  if (!(value instanceof Error)) return `\n${how}: ${safeString(value)}`;
  const name = safeString(value.name);
  const message = safeString(value.message);
  const frames = value.stack ? framesOf(safeString(value.stack), name, message) : "";
  return `\n${how}: ${name}: ${message}${frames === "" ? "" : `\n${frames}`}`;
}

/** The errors that an AggregateError is made of. */
function partsOf(errors: unknown): string {
  if (!isArray(errors)) return "";
  let text = "";
  for (let i = 0; i < errors.length && i < PARTS_MAX; i++) text += related(`error ${i + 1} of ${errors.length}`, errors[i]);
  return text;
}

/** Reads `name`, `message` and the stack (causes and parts included) of anything that can be thrown, and never throws itself. */
export function describeError(thrown: unknown): { name: string; message: string; stack: string } {
  try {
    if (!isObject(thrown) || !(thrown instanceof Error)) {
      return { name: "Error", message: `a value that is no Error was thrown: ${safeString(thrown)}`, stack: "" };
    }
    const name = safeString(thrown.name);
    const message = safeString(thrown.message);
    let stack = framesOf(safeString(thrown.stack ?? ""), name, message);
    stack += partsOf((thrown as any).errors);
    let cause: any = (thrown as any).cause;
    for (let depth = 0; cause !== undefined && cause !== null && depth < CAUSES_MAX; depth++) {
      stack += related("caused by", cause);
      if (!(cause instanceof Error)) break;
      stack += partsOf((cause as any).errors);
      cause = (cause as any).cause;
    }
    return { name, message, stack };
  } catch {
    return { name: "Error", message: "an error that cannot be read was thrown", stack: "" };
  }
}

setErrorFactory(hostError);
