/**
 * Key derivation. The synchronous functions hold up the core, so the host allows them less than the others.
 */
import { arrayConcat } from "../../../library.ts";
import { CALL_KDF, OP_KDF, call, start } from "../../../native.ts";
import {
  ArrayBuffer, RangeError, TypeError, Uint8Array, apply, promiseThen, typedArraySet, typedArraySubarray,
} from "../../../primordials.ts";
import { checkFunction, checkInteger, checkString, codedError, invalidArgType, outOfRange } from "../errors.ts";
import { operation } from "../../../operations.ts";
import { wholeBuffer } from "../../../body.ts";
import { asBuffer } from "../buffer.ts";
import { nextTick } from "../ticks.ts";
import { digestOf, hashName, createHmac } from "./hash.ts";
import { bytesIn, keyBytes } from "./input.ts";

const LENGTH_MAX = 2 ** 31 - 1;

function deliver(arguments_: any[], callback: any): void {
  let id: number;
  try {
    id = apply(start as any, undefined, arrayConcat([OP_KDF], arguments_));
  } catch (error) {
    nextTick(callback, error);
    return;
  }
  // The callback is called outside of the promise, so that what it throws is no rejection.
  promiseThen(
    operation<Uint8Array>(id), (key: Uint8Array) => nextTick(callback, null, asBuffer(key)),
    (error: unknown) => nextTick(callback, error),
  );
}

function pbkdf2Arguments(password: any, salt: any, iterations: any, length: any, digest: any): any[] {
  checkString(digest, "digest");
  const secret = keyBytes(password, "utf8", "password");
  const salted = bytesIn(salt, "utf8", "salt");
  checkInteger(iterations, "iterations", 1, LENGTH_MAX);
  checkInteger(length, "keylen", 0, LENGTH_MAX);
  const name = hashName(digest);
  if (name === undefined) throw codedError(TypeError, "ERR_CRYPTO_INVALID_DIGEST", `Invalid digest: ${digest}`);
  return ["pbkdf2", name, secret, salted, length, iterations];
}

export function pbkdf2Sync(password: any, salt: any, iterations: any, length: any, digest: any): any {
  const args = pbkdf2Arguments(password, salt, iterations, length, digest);
  return asBuffer(apply(call as any, undefined, arrayConcat([CALL_KDF], args)));
}

export function pbkdf2(password: any, salt: any, iterations: any, length: any, digest: any, callback?: any): void {
  if (typeof digest === "function") throw invalidArgType("digest", "of type string", undefined);
  const args = pbkdf2Arguments(password, salt, iterations, length, digest);
  checkFunction(callback, "callback");
  deliver(args, callback);
}

const MEMORY_MAX = 32 << 20;

function scryptArguments(password: any, salt: any, length: any, options: any): any[] {
  const secret = keyBytes(password, "utf8", "password");
  const salted = bytesIn(salt, "utf8", "salt");
  checkInteger(length, "keylen", 0, LENGTH_MAX);
  const n = options?.N ?? options?.cost ?? 16384;
  const r = options?.r ?? options?.blockSize ?? 8;
  const p = options?.p ?? options?.parallelization ?? 1;
  const memory = options?.maxmem ?? MEMORY_MAX;
  checkInteger(n, "N", 0, 2 ** 32 - 1);
  checkInteger(r, "r", 0, 2 ** 32 - 1);
  checkInteger(p, "p", 0, 2 ** 32 - 1);
  if (n < 2 || (n & (n - 1)) !== 0 || r < 1 || p < 1) {
    throw codedError(RangeError, "ERR_CRYPTO_INVALID_SCRYPT_PARAMS", "Invalid scrypt params");
  }
  if (128 * n * r > memory) {
    throw codedError(RangeError, "ERR_CRYPTO_INVALID_SCRYPT_PARAMS", "Invalid scrypt params: memory limit exceeded");
  }
  return ["scrypt", secret, salted, length, n, r, p];
}

export function scryptSync(password: any, salt: any, length: any, options?: any): any {
  const args = scryptArguments(password, salt, length, options);
  return asBuffer(apply(call as any, undefined, arrayConcat([CALL_KDF], args)));
}

export function scrypt(password: any, salt: any, length: any, options: any, callback?: any): void {
  if (typeof options === "function") return scrypt(password, salt, length, undefined, options);
  const args = scryptArguments(password, salt, length, options);
  checkFunction(callback, "callback");
  deliver(args, callback);
}

export function hkdfSync(digest: any, key: any, salt: any, info: any, length: any): ArrayBuffer {
  checkString(digest, "digest");
  const secret = keyBytes(key, "utf8", "ikm");
  const salted = bytesIn(salt, "utf8", "salt");
  const context = bytesIn(info, "utf8", "info");
  if (context.length > 1024) throw outOfRange("info", "must not contain more than 1024 bytes", context.length);
  checkInteger(length, "length", 0, LENGTH_MAX);
  const name = hashName(digest);
  if (name === undefined) throw codedError(TypeError, "ERR_CRYPTO_INVALID_DIGEST", `Invalid digest: ${digest}`);
  const size = digestOf(name, []).length;
  if (length > 255 * size) throw codedError(RangeError, "ERR_CRYPTO_INVALID_KEYLEN", "Invalid key length");
  const extracted: Uint8Array = createHmac(name, salted).update(secret).digest();
  const out = new Uint8Array(length);
  let block = new Uint8Array(0);
  for (let at = 0, index = 1; at < length; at += size, index++) {
    const counter = new Uint8Array(1);
    counter[0] = index;
    block = createHmac(name, extracted).update(block).update(context).update(counter).digest();
    typedArraySet(out, at + size > length ? typedArraySubarray(block, 0, length - at) : block, at);
  }
  return wholeBuffer(out);
}

export function hkdf(digest: any, key: any, salt: any, info: any, length: any, callback: any): void {
  checkFunction(callback, "callback");
  nextTick(callback, null, hkdfSync(digest, key, salt, info, length));
}
