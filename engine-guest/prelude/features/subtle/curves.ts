/**
 * Elliptic curves: ECDSA and ECDH on the curves of NIST, Ed25519 and X25519.
 */
import {
  CRYPTO_AGREE, CRYPTO_CURVE_EXPORT, CRYPTO_CURVE_IMPORT, CRYPTO_GENERATE, CRYPTO_SIGN, CRYPTO_VERIFY,
} from "../../native.ts";
import { Uint8Array, concatBytes, typedArraySubarray } from "../../primordials.ts";
import type { Format, Implementation } from "./algorithms.ts";
import { type JsonWebKey, checkJwk, jwkBytes, newJwk } from "./jwk.ts";
import { DERIVE_BITS, DERIVE_KEY, type KeyState, SIGN, VERIFY } from "./key.ts";
import { type Member, type Normalized, register } from "./normalize.ts";
import {
  INLINE_BYTES, compute, dataError, firstBits, invalidAccess, notSupported, operationError, syntaxError, toBase64url,
} from "./run.ts";

interface Kind {
  name: string;
  /** The only curve there is, or null where keys name theirs. */
  curve: string | null;
  privateUsages: number;
  publicUsages: number;
  use: "sig" | "enc";
}

const ECDSA: Kind = { name: "ECDSA", curve: null, privateUsages: SIGN, publicUsages: VERIFY, use: "sig" };
const ECDH: Kind = { name: "ECDH", curve: null, privateUsages: DERIVE_KEY | DERIVE_BITS, publicUsages: 0, use: "enc" };
const ED25519: Kind = { name: "Ed25519", curve: "Ed25519", privateUsages: SIGN, publicUsages: VERIFY, use: "sig" };
const X25519: Kind = {
  name: "X25519", curve: "X25519", privateUsages: DERIVE_KEY | DERIVE_BITS, publicUsages: 0, use: "enc",
};

/** Far more than any key of a curve takes. */
const DOCUMENT_BYTES_MAX = 4096;

/** The bytes of a coordinate; 0 for a curve that is not known. */
function coordinateBytes(curve: string): number {
  switch (curve) {
    case "P-256": case "Ed25519": case "X25519": return 32;
    case "P-384": return 48;
    case "P-521": return 66;
    default: return 0;
  }
}

/** Whether a private operation takes more than about 100 µs. */
function isSlow(curve: string): boolean {
  return curve === "P-384" || curve === "P-521";
}

function only(usages: number, allowed: number, of: Kind): void {
  if ((usages & ~allowed) !== 0) throw syntaxError(`keys for ${of.name} have no such usage`);
}

function curveOf(of: Kind, key: KeyState): string {
  return of.curve ?? key.algorithm.namedCurve!;
}

function algorithmOf(of: Kind, curve: string): KeyState["algorithm"] {
  return of.curve === null ? { name: of.name, namedCurve: curve } : { name: of.name };
}

async function generate(of: Kind, params: Normalized, extractable: boolean, usages: number): Promise<any> {
  only(usages, of.privateUsages | of.publicUsages, of);
  const curve = of.curve ?? params.namedCurve;
  if (coordinateBytes(curve) === 0 || (of.curve === null && curve[0] !== "P")) {
    throw notSupported(`there is no curve "${curve}" for ${of.name}`);
  }
  if ((usages & of.privateUsages) === 0) throw syntaxError("a private key needs a usage");
  const made = await compute(true, CRYPTO_GENERATE, curve);
  const algorithm = algorithmOf(of, curve);
  return [
    {
      type: "private", extractable, usages: usages & of.privateUsages, algorithm, material: made[0], companion: made[1],
    },
    {
      type: "public", extractable: true, usages: usages & of.publicUsages, algorithm, material: made[1], companion: null,
    },
  ];
}

function importKey(
  of: Kind, params: Normalized, format: Format, data: any, extractable: boolean, usages: number,
): KeyState {
  const curve = of.curve ?? params.namedCurve;
  const isPrivate = format === "pkcs8" || (format === "jwk" && data.d !== undefined);
  only(usages, isPrivate ? of.privateUsages : of.publicUsages, of);
  if (coordinateBytes(curve) === 0 || (of.curve === null && curve[0] !== "P")) {
    throw dataError(`there is no curve "${curve}" for ${of.name}`);
  }
  if (format !== "jwk" && data.length > DOCUMENT_BYTES_MAX) throw dataError("a key of this length is for no curve");
  const parts = format === "jwk"
    ? importJwk(of, curve, data, extractable, usages)
    : compute(false, CRYPTO_CURVE_IMPORT, curve, format, data, null);
  const algorithm = algorithmOf(of, curve);
  return isPrivate
    ? { type: "private", extractable, usages, algorithm, material: parts[0], companion: parts[1] }
    : { type: "public", extractable, usages, algorithm, material: parts[1], companion: null };
}

function importJwk(of: Kind, curve: string, jwk: JsonWebKey, extractable: boolean, usages: number): any {
  checkJwk(jwk, of.curve === null ? "EC" : "OKP", of.use, extractable, usages);
  if (jwk.crv !== curve) throw dataError(`the key's crv must be ${curve}`);
  checkAlg(of, curve, jwk.alg);
  const x = coordinate(curve, jwk.x, "x");
  let point = x;
  if (of.curve === null) point = concatBytes([new Uint8Array([4]), x, coordinate(curve, jwk.y, "y")]);
  if (jwk.d === undefined) return compute(false, CRYPTO_CURVE_IMPORT, curve, "raw", point, null);
  return compute(false, CRYPTO_CURVE_IMPORT, curve, "private", coordinate(curve, jwk.d, "d"), point);
}

function checkAlg(of: Kind, curve: string, alg: string | undefined): void {
  if (alg === undefined) return;
  if (of === ECDSA && alg !== ecdsaAlg(curve)) throw dataError(`the key's alg must be ${ecdsaAlg(curve)}`);
  if (of === ED25519 && alg !== "Ed25519" && alg !== "EdDSA") throw dataError("the key's alg must be Ed25519 or EdDSA");
}

function ecdsaAlg(curve: string): string {
  return curve === "P-256" ? "ES256" : curve === "P-384" ? "ES384" : "ES512";
}

function coordinate(curve: string, text: string | undefined, member: string): Uint8Array {
  const bytes = jwkBytes(text, member);
  if (bytes.length !== coordinateBytes(curve)) throw dataError(`the key's ${member} is not of the curve's length`);
  return bytes;
}

function exportKey(of: Kind, key: KeyState, format: Format): Uint8Array | object {
  const curve = curveOf(of, key);
  if (format === "jwk") return exportJwk(of, curve, key);
  if ((format === "pkcs8") !== (key.type === "private")) {
    throw invalidAccess(`a ${key.type} key can't be exported as ${format}`);
  }
  if (format === "raw") return new Uint8Array(key.material);
  if (format === "spki") return compute(false, CRYPTO_CURVE_EXPORT, curve, "spki", null, key.material);
  return compute(false, CRYPTO_CURVE_EXPORT, curve, "pkcs8", key.material, key.companion);
}

function exportJwk(of: Kind, curve: string, key: KeyState): object {
  const point = key.companion ?? key.material;
  const jwk = newJwk(key, of.curve === null ? "EC" : "OKP");
  jwk.crv = curve;
  if (of.curve === null) {
    const bytes = coordinateBytes(curve);
    jwk.x = toBase64url(typedArraySubarray(point, 1, 1 + bytes));
    jwk.y = toBase64url(typedArraySubarray(point, 1 + bytes));
  } else {
    jwk.x = toBase64url(point);
  }
  if (of === ED25519) jwk.alg = "Ed25519";
  if (key.type === "private") jwk.d = toBase64url(key.material);
  return jwk;
}

function wants(key: KeyState, type: string): void {
  if (key.type !== type) throw invalidAccess(`this needs a ${type} key`);
}

function signing(of: Kind): Implementation {
  return {
    sign(params, key, data) {
      wants(key, "private");
      const curve = curveOf(of, key);
      const long = isSlow(curve) || data.length > INLINE_BYTES;
      return compute(long, CRYPTO_SIGN, curve, params.hash ?? "", key.material, data, key.companion);
    },
    verify(params, key, signature, data) {
      wants(key, "public");
      const curve = curveOf(of, key);
      const long = isSlow(curve) || data.length + signature.length > INLINE_BYTES;
      return compute(long, CRYPTO_VERIFY, curve, params.hash ?? "", key.material, data, signature);
    },
  };
}

function agreement(of: Kind): Implementation {
  return {
    async deriveBits(params, key, length) {
      wants(key, "private");
      const peer = params.public;
      if (peer.type !== "public") throw invalidAccess("the other key must be a public one");
      if (peer.algorithm.name !== of.name || peer.algorithm.namedCurve !== key.algorithm.namedCurve) {
        throw invalidAccess("the other key is one for another algorithm or curve");
      }
      const curve = curveOf(of, key);
      const secret: Uint8Array = await compute(isSlow(curve), CRYPTO_AGREE, curve, key.material, peer.material);
      if (length === null) return secret;
      if (length > secret.length * 8) throw operationError(`${curve} gives ${secret.length * 8} bits, not ${length}`);
      return firstBits(secret, length);
    },
  };
}

function registerCurve(of: Kind, params: readonly Member[], uses: Implementation, operations: object): void {
  register({
    name: of.name,
    operations: { ...operations, generateKey: params, importKey: params, exportKey: [] },
    implementation: {
      ...uses,
      generateKey: (given, extractable, usages) => generate(of, given, extractable, usages),
      importKey: (given, format, data, extractable, usages) => importKey(of, given, format, data, extractable, usages),
      exportKey: (key, format) => exportKey(of, key, format),
    },
  });
}

const NAMED_CURVE: readonly Member[] = [["namedCurve", "text", true]];
const ECDSA_PARAMS: readonly Member[] = [["hash", "hash", true]];
const PEER: readonly Member[] = [["public", "key", true]];
registerCurve(ECDSA, NAMED_CURVE, signing(ECDSA), { sign: ECDSA_PARAMS, verify: ECDSA_PARAMS });
registerCurve(ECDH, NAMED_CURVE, agreement(ECDH), { deriveBits: PEER });
registerCurve(ED25519, [], signing(ED25519), { sign: [], verify: [] });
registerCurve(X25519, [], agreement(X25519), { deriveBits: PEER });
