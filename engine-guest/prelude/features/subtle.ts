/**
 * `crypto.subtle`: the Web Cryptography API. What is said here is what its specification says of arguments, usages and
 * formats, in its order; the algorithms are in `subtle/`, and what they compute is the host's.
 */
import { wholeBuffer } from "../body.ts";
import { INTERNAL } from "../internal.ts";
import { CRYPTO_DIGEST, CRYPTO_EQUAL, call, utf8Decode, utf8Encode } from "../native.ts";
import {
  TypeError, isArray, isObject, jsonParse, jsonStringify, objectCreate, objectKeys, toStr, typedArraySubarray, webClass,
} from "../primordials.ts";
import type { Format, Pair } from "./subtle/algorithms.ts";
import { type JsonWebKey, readJwk } from "./subtle/jwk.ts";
import {
  CryptoKey, DECRYPT, DERIVE_BITS, DERIVE_KEY, ENCRYPT, type KeyState, SIGN, UNWRAP_KEY, VERIFY, WRAP_KEY, keyState,
  newKey, usageBit, usageNames,
} from "./subtle/key.ts";
import {
  type Normalized, type Operation, normalize, register, supports,
} from "./subtle/normalize.ts";
import {
  INLINE_BYTES, bufferSource, compute, copyOf, dataError, invalidAccess, isBufferSource, notSupported, syntaxError,
} from "./subtle/run.ts";
import "./subtle/secrets.ts";
import "./subtle/rsa.ts";
import "./subtle/curves.ts";

function registerHash(name: string): void {
  register({ name, operations: { digest: [], hash: [] }, implementation: {} });
}
registerHash("SHA-1");
registerHash("SHA-256");
registerHash("SHA-384");
registerHash("SHA-512");
// For checksums that others have made; no key may name it.
register({ name: "MD5", operations: { digest: [] }, implementation: {} });

function need(given: number, wanted: number, method: string): void {
  if (given < wanted) throw new TypeError(`${method} takes ${wanted} arguments, not ${given}`);
}

function readFormat(value: unknown): Format {
  const format = toStr(value);
  if (format !== "raw" && format !== "spki" && format !== "pkcs8" && format !== "jwk") {
    throw new TypeError(`"${format}" is no format of keys (raw, spki, pkcs8 and jwk are)`);
  }
  return format;
}

function readUsages(value: any): number {
  if (!isObject(value)) throw new TypeError("the usages of a key are a list");
  let usages = 0;
  for (const entry of value) {
    const name = toStr(entry);
    const bit = usageBit(name);
    if (bit === 0) throw new TypeError(`"${name}" is no usage of a key`);
    usages |= bit;
  }
  return usages;
}

function checkBuffer(value: unknown, what: string): void {
  if (!isBufferSource(value)) throw new TypeError(`${what} must be an ArrayBuffer or a view of one`);
}

/** That the key is one of the algorithm's and may be used so. */
function checkUse(params: Normalized, key: KeyState, usage: number): void {
  if (params.name !== key.algorithm.name) {
    throw invalidAccess(`the key is one for ${key.algorithm.name}, not for ${params.name}`);
  }
  if ((key.usages & usage) === 0) throw invalidAccess(`the key may not be used for ${usageNames(usage)[0]}`);
}

function checkExtractable(key: KeyState): void {
  if (!supports("exportKey", key.algorithm.name)) throw notSupported(`keys for ${key.algorithm.name} can't be exported`);
  if (!key.extractable) throw invalidAccess("the key is not extractable");
}

/** A new key, provided that it has a usage if it needs one. */
function usableKey(key: KeyState): CryptoKey {
  if (key.type !== "public" && key.usages === 0) throw syntaxError(`a ${key.type} key needs a usage`);
  return newKey(key);
}

/** The key data of `importKey`, as its format asks for it. */
function readKeyData(format: Format, value: unknown): Uint8Array | JsonWebKey {
  const isBytes = isBufferSource(value);
  if (format === "jwk") {
    if (isBytes) throw new TypeError("a key in the format jwk is an object");
    return readJwk(value);
  }
  if (!isBytes) throw new TypeError(`a key in the format ${format} is an ArrayBuffer or a view of one`);
  return copyOf(value);
}

function exportState(key: KeyState, format: Format): any {
  return normalize("exportKey", key.algorithm.name).implementation.exportKey!(key, format);
}

/** JSON that nothing a worker did to prototypes can change. */
function jwkText(jwk: any): string {
  const bare = objectCreate(null);
  const names = objectKeys(jwk);
  for (let i = 0; i < names.length; i++) bare[names[i]!] = jwk[names[i]!];
  return jsonStringify(bare)!;
}

function parseJwk(bytes: Uint8Array): JsonWebKey {
  let value: unknown;
  try {
    value = jsonParse(utf8Decode(bytes, true, false));
  } catch {
    throw dataError("what was unwrapped is no JSON");
  }
  if (!isObject(value) || isArray(value)) throw dataError("what was unwrapped is no JSON Web Key");
  const jwk = readJwk(value);
  if (jwk.kty === undefined) throw dataError("the key has no kty");
  return jwk;
}

/** For wrapping, where there is no such operation, by encrypting. */
function normalizeWrapping(operation: Operation, fallback: Operation, algorithm: unknown): Normalized {
  return normalize(supports(operation, algorithm) ? operation : fallback, algorithm);
}

/** The operations of the Web Cryptography API. */
export class SubtleCrypto {
  #brand = true;

  constructor(token: unknown = undefined) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
  }

  async encrypt(algorithm: any, key: any, data: any): Promise<ArrayBuffer> {
    void this.#brand;
    need(arguments.length, 3, "encrypt");
    const state = keyState(key, "encrypt: the key");
    checkBuffer(data, "encrypt: the data");
    const params = normalize("encrypt", algorithm);
    const bytes = copyOf(data);
    // Whatever fails from here on is reported later than the next microtask, as the specification has it.
    await undefined;
    checkUse(params, state, ENCRYPT);
    return wholeBuffer(await params.implementation.encrypt!(params, state, bytes));
  }

  async decrypt(algorithm: any, key: any, data: any): Promise<ArrayBuffer> {
    void this.#brand;
    need(arguments.length, 3, "decrypt");
    const state = keyState(key, "decrypt: the key");
    checkBuffer(data, "decrypt: the data");
    const params = normalize("decrypt", algorithm);
    const bytes = copyOf(data);
    await undefined;
    checkUse(params, state, DECRYPT);
    return wholeBuffer(await params.implementation.decrypt!(params, state, bytes));
  }

  async sign(algorithm: any, key: any, data: any): Promise<ArrayBuffer> {
    void this.#brand;
    need(arguments.length, 3, "sign");
    const state = keyState(key, "sign: the key");
    checkBuffer(data, "sign: the data");
    const params = normalize("sign", algorithm);
    const bytes = copyOf(data);
    await undefined;
    checkUse(params, state, SIGN);
    return wholeBuffer(await params.implementation.sign!(params, state, bytes));
  }

  async verify(algorithm: any, key: any, signature: any, data: any): Promise<boolean> {
    void this.#brand;
    need(arguments.length, 4, "verify");
    const state = keyState(key, "verify: the key");
    checkBuffer(signature, "verify: the signature");
    checkBuffer(data, "verify: the data");
    const params = normalize("verify", algorithm);
    const signed = copyOf(signature);
    const bytes = copyOf(data);
    await undefined;
    checkUse(params, state, VERIFY);
    return params.implementation.verify!(params, state, signed, bytes);
  }

  async digest(algorithm: any, data: any): Promise<ArrayBuffer> {
    void this.#brand;
    need(arguments.length, 2, "digest");
    checkBuffer(data, "digest: the data");
    const { name } = normalize("digest", algorithm);
    const bytes = copyOf(data);
    await undefined;
    return wholeBuffer(await compute(bytes.length > INLINE_BYTES, CRYPTO_DIGEST, name, bytes));
  }

  async generateKey(algorithm: any, extractable: any, keyUsages: any): Promise<any> {
    void this.#brand;
    need(arguments.length, 3, "generateKey");
    const mayLeave = !!extractable;
    const usages = readUsages(keyUsages);
    const params = normalize("generateKey", algorithm);
    await undefined;
    const made = await params.implementation.generateKey!(params, mayLeave, usages);
    if (!isArray(made)) return usableKey(made as KeyState);
    const pair = made as unknown as Pair;
    return { publicKey: newKey(pair[1]), privateKey: usableKey(pair[0]) };
  }

  async deriveKey(
    algorithm: any, baseKey: any, derivedKeyType: any, extractable: any, keyUsages: any,
  ): Promise<CryptoKey> {
    void this.#brand;
    need(arguments.length, 5, "deriveKey");
    const state = keyState(baseKey, "deriveKey: the base key");
    const mayLeave = !!extractable;
    const usages = readUsages(keyUsages);
    const params = normalize("deriveBits", algorithm);
    const wanted = normalize("importKey", derivedKeyType);
    const sized = normalize("keyLength", derivedKeyType);
    await undefined;
    checkUse(params, state, DERIVE_KEY);
    const length = sized.implementation.keyLength!(sized);
    const secret = await params.implementation.deriveBits!(params, state, length);
    return usableKey(await wanted.implementation.importKey!(wanted, "raw", secret, mayLeave, usages));
  }

  async deriveBits(algorithm: any, baseKey: any, length: any = null): Promise<ArrayBuffer> {
    void this.#brand;
    need(arguments.length, 2, "deriveBits");
    const state = keyState(baseKey, "deriveBits: the base key");
    const bits = length === null ? null : unsignedLong(length);
    const params = normalize("deriveBits", algorithm);
    await undefined;
    checkUse(params, state, DERIVE_BITS);
    return wholeBuffer(await params.implementation.deriveBits!(params, state, bits));
  }

  async importKey(format: any, keyData: any, algorithm: any, extractable: any, keyUsages: any): Promise<CryptoKey> {
    void this.#brand;
    need(arguments.length, 5, "importKey");
    const kind = readFormat(format);
    const mayLeave = !!extractable;
    const usages = readUsages(keyUsages);
    const params = normalize("importKey", algorithm);
    const data = readKeyData(kind, keyData);
    await undefined;
    return usableKey(await params.implementation.importKey!(params, kind, data, mayLeave, usages));
  }

  async exportKey(format: any, key: any): Promise<any> {
    void this.#brand;
    need(arguments.length, 2, "exportKey");
    const kind = readFormat(format);
    const state = keyState(key, "exportKey: the key");
    await undefined;
    checkExtractable(state);
    const exported = await exportState(state, kind);
    return kind === "jwk" ? exported : wholeBuffer(exported);
  }

  async wrapKey(format: any, key: any, wrappingKey: any, wrapAlgorithm: any): Promise<ArrayBuffer> {
    void this.#brand;
    need(arguments.length, 4, "wrapKey");
    const kind = readFormat(format);
    const state = keyState(key, "wrapKey: the key");
    const wrapping = keyState(wrappingKey, "wrapKey: the wrapping key");
    const params = normalizeWrapping("wrapKey", "encrypt", wrapAlgorithm);
    await undefined;
    checkUse(params, wrapping, WRAP_KEY);
    checkExtractable(state);
    const exported = await exportState(state, kind);
    const bytes = kind === "jwk" ? utf8Encode(jwkText(exported)) : exported;
    const wrap = params.implementation.wrapKey ?? params.implementation.encrypt!;
    return wholeBuffer(await wrap(params, wrapping, bytes));
  }

  async unwrapKey(
    format: any, wrappedKey: any, unwrappingKey: any, unwrapAlgorithm: any, unwrappedKeyAlgorithm: any, extractable: any,
    keyUsages: any,
  ): Promise<CryptoKey> {
    void this.#brand;
    need(arguments.length, 7, "unwrapKey");
    const kind = readFormat(format);
    checkBuffer(wrappedKey, "unwrapKey: the wrapped key");
    const unwrapping = keyState(unwrappingKey, "unwrapKey: the unwrapping key");
    const mayLeave = !!extractable;
    const usages = readUsages(keyUsages);
    const params = normalizeWrapping("unwrapKey", "decrypt", unwrapAlgorithm);
    const wanted = normalize("importKey", unwrappedKeyAlgorithm);
    const wrapped = copyOf(wrappedKey);
    await undefined;
    checkUse(params, unwrapping, UNWRAP_KEY);
    const unwrap = params.implementation.unwrapKey ?? params.implementation.decrypt!;
    const bytes = await unwrap(params, unwrapping, wrapped);
    const data = kind === "jwk" ? parseJwk(bytes) : bytes;
    return usableKey(await wanted.implementation.importKey!(wanted, kind, data, mayLeave, usages));
  }

  /** Whether both hold the same bytes, in a time that depends on their length alone. Not part of the standard. */
  timingSafeEqual(a: any, b: any): boolean {
    void this.#brand;
    need(arguments.length, 2, "timingSafeEqual");
    const left = bufferSource(a, "timingSafeEqual: the first argument");
    const right = bufferSource(b, "timingSafeEqual: the second argument");
    if (left.length !== right.length) throw new TypeError("timingSafeEqual compares two of the same length");
    // Pieces that the host takes within a call.
    const step = INLINE_BYTES / 2;
    let equal = true;
    for (let at = 0; at < left.length; at += step) {
      if (!call(CRYPTO_EQUAL, piece(left, at, step), piece(right, at, step))) equal = false;
    }
    return equal;
  }
}
webClass(SubtleCrypto, 0);

function piece(bytes: Uint8Array, at: number, length: number): Uint8Array {
  return at === 0 && bytes.length <= length ? bytes : typedArraySubarray(bytes, at, at + length);
}

/** A number by WebIDL's rules for an unsigned long. */
function unsignedLong(value: any): number {
  return (+value) >>> 0;
}

export const subtle = new SubtleCrypto(INTERNAL);

export { CryptoKey };
