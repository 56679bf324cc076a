/**
 * Algorithm identifiers as callers write them, to what the computations want: the name as it is registered, and the
 * members that the operation asks for, converted as WebIDL says and copied.
 */
import {
  TypeError, Uint8Array, isInteger, isObject, isUint8Array, regExpExec, stringUpper, toStr, trunc,
} from "../../primordials.ts";
import { type Implementation } from "./algorithms.ts";
import { type KeyState, keyState } from "./key.ts";
import { bufferSource, copyOf, notSupported } from "./run.ts";

export type Operation =
  "digest" | "hash" | "encrypt" | "decrypt" | "sign" | "verify" | "deriveBits" | "wrapKey" | "unwrapKey" | "generateKey" |
  "importKey" | "exportKey" | "keyLength";

type Kind = "bytes" | "integer" | "octet" | "short" | "long" | "hash" | "text" | "key";

/** A member of a dictionary: its name, its type, and whether it has to be there. */
export type Member = readonly [name: string, kind: Kind, required: boolean];

/** Which operations an algorithm has, with the members that each takes, in the order in which WebIDL reads them. */
export interface Registered {
  name: string;
  operations: { readonly [operation in Operation]?: readonly Member[] };
  implementation: Implementation;
}

/** An algorithm identifier, normalised. */
export interface Normalized {
  name: string;
  implementation: Implementation;
  iv: Uint8Array;
  counter: Uint8Array;
  additionalData?: Uint8Array;
  label?: Uint8Array;
  info: Uint8Array;
  salt: Uint8Array;
  publicExponent: Uint8Array;
  length?: number;
  tagLength?: number;
  modulusLength: number;
  saltLength: number;
  iterations: number;
  hash: string;
  namedCurve: string;
  public: KeyState;
}

/** By upper-case name. */
const registry: Record<string, Registered> = { __proto__: null as any };

export function register(algorithm: Registered): void {
  registry[stringUpper(algorithm.name)] = algorithm;
}

const ASCII = /^[\x20-\x7e]*$/;

/** The registered algorithm if it has this operation. */
function find(operation: Operation, name: string): Registered | undefined {
  // Names are compared without regard to case, of ASCII letters alone.
  if (regExpExec(ASCII, name) === null) return undefined;
  const known = registry[stringUpper(name)];
  return known === undefined || known.operations[operation] === undefined ? undefined : known;
}

function nameOf(algorithm: unknown): string {
  if (!isObject(algorithm)) return toStr(algorithm);
  const { name } = algorithm;
  if (name === undefined) throw new TypeError("an algorithm needs a name");
  return toStr(name);
}

/** Whether the algorithm has the operation; used to fall back from wrapping to encrypting. */
export function supports(operation: Operation, algorithm: unknown): boolean {
  return find(operation, nameOf(algorithm)) !== undefined;
}

export function normalize(operation: Operation, algorithm: unknown): Normalized {
  const name = nameOf(algorithm);
  const known = find(operation, name);
  if (known === undefined) throw notSupported(`the algorithm "${name}" is not supported for ${described(operation)}`);
  const normalized: any = { name: known.name, implementation: known.implementation };
  const members = known.operations[operation]!;
  for (let i = 0; i < members.length; i++) {
    const member = members[i]!;
    const key = member[0];
    const value = isObject(algorithm) ? algorithm[key] : undefined;
    if (value !== undefined) normalized[key] = convert(value, member[1], `${known.name}: ${key}`);
    else if (member[2]) throw new TypeError(`${known.name}: ${key} is missing`);
  }
  return normalized;
}

function described(operation: Operation): string {
  return operation === "hash" ? "this purpose" : operation === "keyLength" ? "derived keys" : operation;
}

function convert(value: any, kind: Kind, what: string): unknown {
  switch (kind) {
    case "bytes":
      return bufferSource(value, what);
    case "integer":
      if (!isUint8Array(value)) throw new TypeError(`${what} must be a Uint8Array`);
      return copyOf(value);
    case "octet":
      return enforceRange(value, 0xff, what);
    case "short":
      return enforceRange(value, 0xffff, what);
    case "long":
      return enforceRange(value, 0xffff_ffff, what);
    case "hash":
      return normalize("hash", value).name;
    case "text":
      return toStr(value);
    case "key":
      return keyState(value, what);
  }
}

/** A number as WebIDL's [EnforceRange] takes it. */
export function enforceRange(value: any, max: number, what: string): number {
  const number = trunc(+value);
  if (!isInteger(number) || number < 0 || number > max) {
    throw new TypeError(`${what} must be a number between 0 and ${max}`);
  }
  // Not a negative zero.
  return number + 0;
}
