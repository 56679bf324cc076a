/**
 * What an algorithm can do. The functions get what is normalised and checked: that the key is one of the algorithm's,
 * and allows the use, is known. Each gives its result or a promise of it.
 */
import type { JsonWebKey } from "./jwk.ts";
import type { KeyState } from "./key.ts";
import type { Normalized } from "./normalize.ts";

export type Format = "raw" | "spki" | "pkcs8" | "jwk";

type Soon<T> = T | Promise<T>;

/** A pair of keys: the private one first. */
export type Pair = readonly [privateKey: KeyState, publicKey: KeyState];

export interface Implementation {
  encrypt?(params: Normalized, key: KeyState, data: Uint8Array): Soon<Uint8Array>;
  decrypt?(params: Normalized, key: KeyState, data: Uint8Array): Soon<Uint8Array>;
  wrapKey?(params: Normalized, key: KeyState, data: Uint8Array): Soon<Uint8Array>;
  unwrapKey?(params: Normalized, key: KeyState, data: Uint8Array): Soon<Uint8Array>;
  sign?(params: Normalized, key: KeyState, data: Uint8Array): Soon<Uint8Array>;
  verify?(params: Normalized, key: KeyState, signature: Uint8Array, data: Uint8Array): Soon<boolean>;
  /** `length` in bits; null for all that there is. */
  deriveBits?(params: Normalized, key: KeyState, length: number | null): Soon<Uint8Array>;
  /** Bits of a key that is derived for this algorithm; null for any. */
  keyLength?(params: Normalized): number | null;
  generateKey?(params: Normalized, extractable: boolean, usages: number): Soon<KeyState | Pair>;
  importKey?(
    params: Normalized, format: Format, data: Uint8Array | JsonWebKey, extractable: boolean, usages: number,
  ): Soon<KeyState>;
  exportKey?(key: KeyState, format: Format): Soon<Uint8Array | object>;
}
