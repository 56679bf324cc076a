/**
 * RSA: RSASSA-PKCS1-v1_5, RSA-PSS and RSA-OAEP.
 */
import {
  CRYPTO_GENERATE, CRYPTO_RSA_DECRYPT, CRYPTO_RSA_ENCRYPT, CRYPTO_RSA_IMPORT, CRYPTO_RSA_PARTS, CRYPTO_SIGN,
  CRYPTO_VERIFY,
} from "../../native.ts";
import { Uint8Array } from "../../primordials.ts";
import type { Format, Implementation } from "./algorithms.ts";
import { type JsonWebKey, checkJwk, jwkBytes, newJwk } from "./jwk.ts";
import {
  DECRYPT, ENCRYPT, type KeyState, SIGN, UNWRAP_KEY, VERIFY, WRAP_KEY,
} from "./key.ts";
import { type Member, type Normalized, register } from "./normalize.ts";
import {
  INLINE_BYTES, compute, dataError, invalidAccess, notSupported, operationError, syntaxError, toBase64url,
} from "./run.ts";

interface Kind {
  name: string;
  privateUsages: number;
  publicUsages: number;
  use: "sig" | "enc";
  /** The `alg` of a JWK, by hash. */
  algs: Record<string, string>;
}

function kind(name: string, use: "sig" | "enc", privateUsages: number, publicUsages: number, algs: string[]): Kind {
  return {
    name, use, privateUsages, publicUsages,
    algs: { __proto__: null as any, "SHA-1": algs[0]!, "SHA-256": algs[1]!, "SHA-384": algs[2]!, "SHA-512": algs[3]! },
  };
}

/** 65537, whatever zeros lead it. */
function isUsualExponent(bytes: Uint8Array): boolean {
  const { length } = bytes;
  if (length < 3 || bytes[length - 1] !== 1 || bytes[length - 2] !== 0 || bytes[length - 3] !== 1) return false;
  for (let i = 0; i < length - 3; i++) if (bytes[i] !== 0) return false;
  return true;
}

/** A private key of more than 2048 bits is checked off the core. */
const MODULUS_BYTES = 256;
const QUICK_BYTES = 1_300;

const PRIVATE_PARTS = ["n", "e", "d", "p", "q", "dp", "dq", "qi"] as const;

function only(usages: number, allowed: number, of: Kind): void {
  if ((usages & ~allowed) !== 0) throw syntaxError(`keys for ${of.name} have no such usage`);
}

async function generate(of: Kind, params: Normalized, extractable: boolean, usages: number): Promise<any> {
  only(usages, of.privateUsages | of.publicUsages, of);
  if (!isUsualExponent(params.publicExponent)) throw operationError("the public exponent must be 65537");
  const bits = params.modulusLength;
  if (bits !== 2048 && bits !== 3072 && bits !== 4096) {
    throw operationError("RSA keys are generated with 2048, 3072 or 4096 bits");
  }
  if ((usages & of.privateUsages) === 0) throw syntaxError("a private key needs a usage");
  const made = await compute(true, CRYPTO_GENERATE, "RSA", bits);
  const algorithm = { name: of.name, modulusLength: bits, publicExponent: params.publicExponent, hash: params.hash };
  return [
    {
      type: "private", extractable, usages: usages & of.privateUsages, algorithm, material: made[0], companion: null,
    },
    {
      type: "public", extractable: true, usages: usages & of.publicUsages, algorithm, material: made[1], companion: null,
    },
  ];
}

async function importKey(
  of: Kind, params: Normalized, format: Format, data: any, extractable: boolean, usages: number,
): Promise<KeyState> {
  let isPrivate = format === "pkcs8";
  let parts: any;
  if (format === "spki" || format === "pkcs8") {
    only(usages, isPrivate ? of.privateUsages : of.publicUsages, of);
    parts = await compute(data.length > QUICK_BYTES, CRYPTO_RSA_IMPORT, format, data);
  } else if (format === "jwk") {
    const jwk: JsonWebKey = data;
    isPrivate = jwk.d !== undefined;
    only(usages, isPrivate ? of.privateUsages : of.publicUsages, of);
    checkJwk(jwk, "RSA", of.use, extractable, usages);
    const alg = of.algs[params.hash]!;
    if (jwk.alg !== undefined && jwk.alg !== alg) throw dataError(`the key's alg must be ${alg}`);
    parts = await importJwk(jwk, isPrivate);
  } else {
    throw notSupported(`RSA keys can't be imported as ${format}`);
  }
  const algorithm = { name: of.name, modulusLength: parts[1], publicExponent: parts[2], hash: params.hash };
  return {
    type: isPrivate ? "private" : "public", extractable, usages, algorithm, material: parts[0], companion: null,
  };
}

function importJwk(jwk: JsonWebKey, isPrivate: boolean): any {
  const n = jwkBytes(jwk.n, "n");
  const e = jwkBytes(jwk.e, "e");
  if (!isPrivate) return compute(n.length > QUICK_BYTES, CRYPTO_RSA_IMPORT, "public", n, e);
  const long = n.length > MODULUS_BYTES;
  if (jwk.oth !== undefined) throw notSupported("RSA keys of more than two primes are not supported");
  return compute(
    long, CRYPTO_RSA_IMPORT, "private", n, e, jwkBytes(jwk.d, "d"), jwkBytes(jwk.p, "p"), jwkBytes(jwk.q, "q"),
    jwkBytes(jwk.dp, "dp"), jwkBytes(jwk.dq, "dq"), jwkBytes(jwk.qi, "qi"),
  );
}

function exportKey(of: Kind, key: KeyState, format: Format): Uint8Array | object {
  const isPrivate = key.type === "private";
  if (format === "jwk") {
    const jwk = newJwk(key, "RSA");
    jwk.alg = of.algs[key.algorithm.hash!];
    const parts: Uint8Array[] = compute(false, CRYPTO_RSA_PARTS, isPrivate ? "pkcs8" : "spki", key.material);
    for (let i = 0; i < parts.length; i++) jwk[PRIVATE_PARTS[i]!] = toBase64url(parts[i]!);
    return jwk;
  }
  if (format === "raw") throw notSupported("RSA keys can't be exported as raw");
  if ((format === "pkcs8") !== isPrivate) throw invalidAccess(`a ${key.type} key can't be exported as ${format}`);
  return new Uint8Array(key.material);
}

function wants(key: KeyState, type: string): void {
  if (key.type !== type) throw invalidAccess(`this needs a ${type} key`);
}

function signing(of: Kind): Implementation {
  return {
    sign(params, key, data) {
      wants(key, "private");
      return compute(true, CRYPTO_SIGN, of.name, key.algorithm.hash, key.material, data, params.saltLength ?? 0);
    },
    verify(params, key, signature, data) {
      wants(key, "public");
      const { hash } = key.algorithm;
      const long = data.length + signature.length > INLINE_BYTES;
      return compute(long, CRYPTO_VERIFY, of.name, hash, key.material, data, signature, params.saltLength ?? 0);
    },
  };
}

function encrypting(): Implementation {
  return {
    encrypt(params, key, data) {
      wants(key, "public");
      const long = data.length + (params.label === undefined ? 0 : params.label.length) > INLINE_BYTES;
      return compute(long, CRYPTO_RSA_ENCRYPT, key.algorithm.hash, key.material, data, params.label);
    },
    decrypt(params, key, data) {
      wants(key, "private");
      return compute(true, CRYPTO_RSA_DECRYPT, key.algorithm.hash, key.material, data, params.label);
    },
  };
}

const GENERATE: readonly Member[] = [
  ["modulusLength", "long", true], ["publicExponent", "integer", true], ["hash", "hash", true],
];
const IMPORT: readonly Member[] = [["hash", "hash", true]];

function registerRsa(of: Kind, uses: Implementation, operations: object): void {
  register({
    name: of.name,
    operations: { ...operations, generateKey: GENERATE, importKey: IMPORT, exportKey: [] },
    implementation: {
      ...uses,
      generateKey: (params, extractable, usages) => generate(of, params, extractable, usages),
      importKey: (params, format, data, extractable, usages) => importKey(of, params, format, data, extractable, usages),
      exportKey: (key, format) => exportKey(of, key, format),
    },
  });
}

const PKCS1 = kind("RSASSA-PKCS1-v1_5", "sig", SIGN, VERIFY, ["RS1", "RS256", "RS384", "RS512"]);
registerRsa(PKCS1, signing(PKCS1), { sign: [], verify: [] });
const PSS = kind("RSA-PSS", "sig", SIGN, VERIFY, ["PS1", "PS256", "PS384", "PS512"]);
const PSS_PARAMS: readonly Member[] = [["saltLength", "long", true]];
registerRsa(PSS, signing(PSS), { sign: PSS_PARAMS, verify: PSS_PARAMS });
const OAEP = kind(
  "RSA-OAEP", "enc", DECRYPT | UNWRAP_KEY, ENCRYPT | WRAP_KEY, ["RSA-OAEP", "RSA-OAEP-256", "RSA-OAEP-384", "RSA-OAEP-512"],
);
const OAEP_PARAMS: readonly Member[] = [["label", "bytes", false]];
registerRsa(OAEP, encrypting(), { encrypt: OAEP_PARAMS, decrypt: OAEP_PARAMS });
