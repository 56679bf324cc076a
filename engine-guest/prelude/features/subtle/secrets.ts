/**
 * Keys that are bytes: AES in its modes, HMAC, and the secrets that HKDF and PBKDF2 derive from.
 */
import { CRYPTO_DECRYPT, CRYPTO_ENCRYPT, CRYPTO_HKDF, CRYPTO_HMAC, CRYPTO_HMAC_VERIFY, CRYPTO_PBKDF2 } from "../../native.ts";
import { TypeError, Uint8Array } from "../../primordials.ts";
import { randomBytes } from "../../random.ts";
import type { Format, Implementation } from "./algorithms.ts";
import { type JsonWebKey, checkJwk, jwkBytes, newJwk } from "./jwk.ts";
import {
  DECRYPT, DERIVE_BITS, DERIVE_KEY, ENCRYPT, type KeyState, SIGN, UNWRAP_KEY, VERIFY, WRAP_KEY,
} from "./key.ts";
import { type Member, type Normalized, register } from "./normalize.ts";
import {
  INLINE_BYTES, compute, dataError, firstBits, notSupported, operationError, syntaxError, toBase64url,
} from "./run.ts";

function only(usages: number, allowed: number, name: string): void {
  if ((usages & ~allowed) !== 0) throw syntaxError(`keys for ${name} have no such usage`);
}

function secret(
  algorithm: KeyState["algorithm"], material: Uint8Array, extractable: boolean, usages: number,
): KeyState {
  return { type: "secret", extractable, usages, algorithm, material, companion: null };
}

function exportSecret(key: KeyState, format: Format, alg: string): Uint8Array | object {
  if (format === "raw") return new Uint8Array(key.material);
  if (format !== "jwk") throw notSupported(`a secret key can't be exported as ${format}`);
  const jwk = newJwk(key, "oct");
  jwk.alg = alg;
  jwk.k = toBase64url(key.material);
  return jwk;
}

// AES.

const NONE = new Uint8Array(0);

function aesLength(length: number): boolean {
  return length === 128 || length === 192 || length === 256;
}

function aes(mode: "CBC" | "CTR" | "GCM" | "KW", usages: number): Implementation {
  const name = `AES-${mode}`;
  const crypt = (code: number) => (params: Normalized, key: KeyState, data: Uint8Array): any => {
    let iv: Uint8Array = NONE;
    let extra: Uint8Array = NONE;
    let bits = 0;
    if (mode === "CBC") {
      iv = params.iv;
    } else if (mode === "CTR") {
      iv = params.counter;
      bits = params.length!;
    } else if (mode === "GCM") {
      iv = params.iv;
      extra = params.additionalData ?? NONE;
      bits = params.tagLength ?? 128;
    }
    const long = data.length + iv.length + extra.length > INLINE_BYTES;
    return compute(long, code, mode, key.material, data, iv, extra, bits);
  };
  const encrypt = crypt(CRYPTO_ENCRYPT);
  const decrypt = crypt(CRYPTO_DECRYPT);
  return {
    ...(mode === "KW" ? { wrapKey: encrypt, unwrapKey: decrypt } : { encrypt, decrypt }),
    keyLength(params) {
      if (!aesLength(params.length!)) throw operationError("AES keys have 128, 192 or 256 bits");
      return params.length!;
    },
    generateKey(params, extractable, wanted) {
      only(wanted, usages, name);
      const length = params.length!;
      if (!aesLength(length)) throw operationError("AES keys have 128, 192 or 256 bits");
      if (wanted === 0) throw syntaxError("a secret key needs a usage");
      return secret({ name, length }, randomBytes(length / 8), extractable, wanted);
    },
    importKey(_, format, data, extractable, wanted) {
      only(wanted, usages, name);
      if (format !== "raw" && format !== "jwk") throw notSupported(`AES keys can't be imported as ${format}`);
      const jwk = format === "jwk" ? (data as JsonWebKey) : null;
      if (jwk !== null && jwk.kty !== "oct") throw dataError("the key's kty must be oct");
      const material = jwk === null ? (data as Uint8Array) : jwkBytes(jwk.k, "k");
      const length = material.length * 8;
      if (!aesLength(length)) throw dataError("AES keys have 128, 192 or 256 bits");
      if (jwk !== null) {
        if (jwk.alg !== undefined && jwk.alg !== `A${length}${mode}`) throw dataError(`the key's alg must be A${length}${mode}`);
        checkJwk(jwk, "oct", "enc", extractable, wanted);
      }
      return secret({ name, length }, material, extractable, wanted);
    },
    exportKey: (key, format) => exportSecret(key, format, `A${key.algorithm.length}${mode}`),
  };
}

const LENGTH: readonly Member[] = [["length", "short", true]];

function registerAes(mode: "CBC" | "CTR" | "GCM" | "KW", params: readonly Member[]): void {
  const wraps = mode === "KW";
  const implementation = aes(mode, (wraps ? 0 : ENCRYPT | DECRYPT) | WRAP_KEY | UNWRAP_KEY);
  register({
    name: `AES-${mode}`,
    operations: {
      ...(wraps ? { wrapKey: params, unwrapKey: params } : { encrypt: params, decrypt: params }),
      generateKey: LENGTH, importKey: [], exportKey: [], keyLength: LENGTH,
    },
    implementation,
  });
}
registerAes("CBC", [["iv", "bytes", true]]);
registerAes("CTR", [["counter", "bytes", true], ["length", "octet", true]]);
registerAes("GCM", [["additionalData", "bytes", false], ["iv", "bytes", true], ["tagLength", "octet", false]]);
registerAes("KW", []);

// HMAC.

const HASH_NAMES: Record<string, string> = {
  __proto__: null as any, "SHA-1": "HS1", "SHA-256": "HS256", "SHA-384": "HS384", "SHA-512": "HS512",
};

function blockBits(hash: string): number {
  return hash === "SHA-384" || hash === "SHA-512" ? 1024 : 512;
}

const hmac: Implementation = {
  sign: (_, key, data) =>
    compute(data.length > INLINE_BYTES, CRYPTO_HMAC, key.algorithm.hash, key.material, data),
  verify: (_, key, signature, data) =>
    compute(
      data.length + signature.length > INLINE_BYTES, CRYPTO_HMAC_VERIFY, key.algorithm.hash, key.material, data, signature,
    ),
  keyLength(params) {
    if (params.length === undefined) return blockBits(params.hash);
    if (params.length === 0) throw new TypeError("an HMAC key of no length");
    return params.length;
  },
  generateKey(params, extractable, usages) {
    only(usages, SIGN | VERIFY, "HMAC");
    const length = params.length ?? blockBits(params.hash);
    if (length === 0) throw operationError("an HMAC key of no length");
    if (usages === 0) throw syntaxError("a secret key needs a usage");
    if (length > 8 * INLINE_BYTES) throw operationError("an HMAC key of more than 64 KiB");
    const material = firstBits(randomBytes((length + 7) >> 3), length);
    return secret({ name: "HMAC", hash: params.hash, length }, material, extractable, usages);
  },
  importKey(params, format, data, extractable, usages) {
    only(usages, SIGN | VERIFY, "HMAC");
    if (format !== "raw" && format !== "jwk") throw notSupported(`HMAC keys can't be imported as ${format}`);
    const jwk = format === "jwk" ? (data as JsonWebKey) : null;
    if (jwk !== null && jwk.kty !== "oct") throw dataError("the key's kty must be oct");
    let material = jwk === null ? (data as Uint8Array) : jwkBytes(jwk.k, "k");
    if (jwk !== null) {
      const alg = HASH_NAMES[params.hash];
      if (jwk.alg !== undefined && jwk.alg !== alg) throw dataError(`the key's alg must be ${alg}`);
      checkJwk(jwk, "oct", "sig", extractable, usages);
    }
    let length = material.length * 8;
    if (length === 0) throw dataError("the key is empty");
    if (params.length !== undefined) {
      if (params.length > length || params.length <= length - 8) throw dataError("the key is not of the length given");
      length = params.length;
      material = firstBits(material, length);
    }
    return secret({ name: "HMAC", hash: params.hash, length }, material, extractable, usages);
  },
  exportKey: (key, format) => exportSecret(key, format, HASH_NAMES[key.algorithm.hash!]!),
};
const HMAC_KEY: readonly Member[] = [["hash", "hash", true], ["length", "long", false]];
register({
  name: "HMAC",
  operations: { sign: [], verify: [], generateKey: HMAC_KEY, importKey: HMAC_KEY, exportKey: [], keyLength: HMAC_KEY },
  implementation: hmac,
});

// HKDF and PBKDF2.

function derivation(name: string, derive: (params: Normalized, key: KeyState, bytes: number) => any): Implementation {
  return {
    deriveBits(params, key, length) {
      if (length === null || length === 0 || length % 8 !== 0) throw operationError(`${name} derives whole bytes, and has to be told how many`);
      return derive(params, key, length / 8);
    },
    keyLength: () => null,
    importKey(_, format, data, extractable, usages) {
      if (format !== "raw") throw notSupported(`a secret for ${name} can't be imported as ${format}`);
      only(usages, DERIVE_KEY | DERIVE_BITS, name);
      if (extractable) throw syntaxError(`a secret for ${name} can't be extractable`);
      return secret({ name }, data as Uint8Array, false, usages);
    },
  };
}

register({
  name: "HKDF",
  operations: {
    deriveBits: [["hash", "hash", true], ["info", "bytes", true], ["salt", "bytes", true]], importKey: [], keyLength: [],
  },
  implementation: derivation("HKDF", (params, key, bytes) => {
    const long = key.material.length + params.salt.length + params.info.length > INLINE_BYTES;
    return compute(long, CRYPTO_HKDF, params.hash, key.material, params.salt, params.info, bytes);
  }),
});
register({
  name: "PBKDF2",
  operations: {
    deriveBits: [["hash", "hash", true], ["iterations", "long", true], ["salt", "bytes", true]], importKey: [], keyLength: [],
  },
  implementation: derivation("PBKDF2", (params, key, bytes) => {
    if (params.iterations === 0) throw operationError("PBKDF2 needs one iteration at least");
    return compute(true, CRYPTO_PBKDF2, params.hash, key.material, params.salt, params.iterations, bytes);
  }),
});
