/**
 * `CryptoKey`: the material of a key with what may be done with it. The material never leaves the instance, but as
 * an argument of a computation: the host keeps no keys.
 */
import { registerCloner } from "../../cloners.ts";
import { INTERNAL } from "../../internal.ts";
import { TypeError, Uint8Array, isObject, webClass } from "../../primordials.ts";

export type KeyType = "secret" | "private" | "public";

/** What `algorithm` shows, in the form the computations want. */
export interface KeyAlgorithm {
  name: string;
  /** Bits of a secret. */
  length?: number;
  hash?: string;
  modulusLength?: number;
  publicExponent?: Uint8Array;
  namedCurve?: string;
}

export interface KeyState {
  type: KeyType;
  extractable: boolean;
  /** The usages as bits, by their place in `USAGES`. */
  usages: number;
  algorithm: KeyAlgorithm;
  /** A secret; a scalar, seed or point; a PKCS#8 or SubjectPublicKeyInfo document of an RSA key. */
  material: Uint8Array;
  /** The public key that belongs to a private key of a curve. */
  companion: Uint8Array | null;
}

/** In the order in which they are listed. */
export const USAGES = [
  "encrypt", "decrypt", "sign", "verify", "deriveKey", "deriveBits", "wrapKey", "unwrapKey",
] as const;
export const ENCRYPT = 1;
export const DECRYPT = 2;
export const SIGN = 4;
export const VERIFY = 8;
export const DERIVE_KEY = 16;
export const DERIVE_BITS = 32;
export const WRAP_KEY = 64;
export const UNWRAP_KEY = 128;

/** The bit of a usage; 0 if there is none of this name. */
export function usageBit(name: string): number {
  for (let i = 0; i < USAGES.length; i++) if (USAGES[i] === name) return 1 << i;
  return 0;
}

/** The names of usages. */
export function usageNames(usages: number): string[] {
  const names: string[] = [];
  for (let i = 0; i < USAGES.length; i++) if ((usages & (1 << i)) !== 0) names[names.length] = USAGES[i]!;
  return names;
}

let stateOf: (key: CryptoKey) => KeyState;
let brand: (value: unknown) => value is CryptoKey;

/** A key for `crypto.subtle`. */
export class CryptoKey {
  #state: KeyState;
  #algorithm: object | null = null;
  #usages: string[] | null = null;

  constructor(token: unknown = undefined, state: KeyState | undefined = undefined) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#state = state!;
  }

  static {
    stateOf = (key) => key.#state;
    brand = (value): value is CryptoKey => isObject(value) && #state in value;
  }

  get type(): KeyType {
    return this.#state.type;
  }

  get extractable(): boolean {
    return this.#state.extractable;
  }

  get algorithm(): object {
    return (this.#algorithm ??= shown(this.#state.algorithm));
  }

  get usages(): string[] {
    return (this.#usages ??= usageNames(this.#state.usages));
  }
}
webClass(CryptoKey, 0);

/** An object of the caller's own: what it changes there changes no key. */
function shown(algorithm: KeyAlgorithm): object {
  const { name, length, hash, modulusLength, publicExponent, namedCurve } = algorithm;
  const object: any = { name };
  if (modulusLength !== undefined) object.modulusLength = modulusLength;
  if (publicExponent !== undefined) object.publicExponent = new Uint8Array(publicExponent);
  if (hash !== undefined) object.hash = { name: hash };
  if (length !== undefined) object.length = length;
  if (namedCurve !== undefined) object.namedCurve = namedCurve;
  return object;
}

export function isCryptoKey(value: unknown): value is CryptoKey {
  return brand(value);
}

/** The state of a key, or the TypeError that this is none. */
export function keyState(value: unknown, what: string): KeyState {
  if (!brand(value)) throw new TypeError(`${what} must be a CryptoKey`);
  return stateOf(value);
}

export function newKey(state: KeyState): CryptoKey {
  return new CryptoKey(INTERNAL, state);
}

registerCloner((value) => (brand(value) ? newKey(stateOf(value)) : null));
