/**
 * JSON Web Keys (RFC 7517): what a caller gives, member by member, and the checks that all kinds of keys share.
 */
import {
  TypeError, isObject, setAdd, setHas, Set, toStr,
} from "../../primordials.ts";
import { type KeyState, usageBit, usageNames } from "./key.ts";
import { dataError, fromBase64url } from "./run.ts";

export interface JsonWebKey {
  alg?: string; crv?: string; d?: string; dp?: string; dq?: string; e?: string; ext?: boolean; k?: string;
  key_ops?: string[]; kty?: string; n?: string; oth?: unknown; p?: string; q?: string; qi?: string; use?: string;
  x?: string; y?: string;
}

/** In the order in which WebIDL reads them. */
const MEMBERS = [
  "alg", "crv", "d", "dp", "dq", "e", "ext", "k", "key_ops", "kty", "n", "oth", "p", "q", "qi", "use", "x", "y",
] as const;

/** Reads a dictionary of the caller's. */
export function readJwk(value: any): JsonWebKey {
  if (!isObject(value)) throw new TypeError("a JSON Web Key is an object");
  const jwk: any = { __proto__: null };
  for (let i = 0; i < MEMBERS.length; i++) {
    const member = MEMBERS[i]!;
    const given = value[member];
    if (given === undefined) continue;
    if (member === "ext") jwk.ext = !!given;
    else if (member === "key_ops") jwk.key_ops = readList(given);
    else if (member === "oth") jwk.oth = given;
    else jwk[member] = toStr(given);
  }
  return jwk;
}

function readList(value: any): string[] {
  if (!isObject(value)) throw new TypeError("key_ops is a list");
  const list: string[] = [];
  for (const entry of value) list[list.length] = toStr(entry);
  return list;
}

/** The checks that every kind of key makes, but for its own members. */
export function checkJwk(jwk: JsonWebKey, kty: string, use: "sig" | "enc", extractable: boolean, usages: number): void {
  if (jwk.kty !== kty) throw dataError(`the key's kty must be ${kty}`);
  if (usages !== 0 && jwk.use !== undefined && jwk.use !== use) throw dataError(`the key's use must be ${use}`);
  if (jwk.key_ops !== undefined) {
    const seen = new Set<string>();
    let allowed = 0;
    for (let i = 0; i < jwk.key_ops.length; i++) {
      const entry = jwk.key_ops[i]!;
      if (setHas(seen, entry)) throw dataError("the key's key_ops name a usage twice");
      setAdd(seen, entry);
      allowed |= usageBit(entry);
    }
    if ((usages & ~allowed) !== 0) throw dataError("the key's key_ops don't allow these usages");
  }
  if (jwk.ext === false && extractable) throw dataError("the key's ext forbids that it be extractable");
}

/** The bytes of a member that has to be there. */
export function jwkBytes(text: string | undefined, member: string): Uint8Array {
  const bytes = text === undefined ? null : fromBase64url(text);
  if (bytes === null) throw dataError(`the key's ${member} must be base64url`);
  return bytes;
}

/** A new JWK of this key, without the members of its kind. */
export function newJwk(key: KeyState, kty: string): any {
  return { key_ops: usageNames(key.usages), ext: key.extractable, kty };
}
