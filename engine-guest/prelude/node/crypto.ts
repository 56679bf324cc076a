/**
 * `node:crypto`: hashes, HMAC, random numbers, key derivation, AES. Signatures and key pairs are `crypto.subtle`'s.
 */
import { RangeError, bytesOf } from "../primordials.ts";
import { codedError, invalidArgType } from "./internal/errors.ts";
import { crypto as web } from "../crypto.ts";
import {
  Cipheriv, Decipheriv, createCipheriv, createDecipheriv, getCipherInfo, getCiphers,
} from "./internal/crypto/cipher.ts";
import { constants } from "./internal/crypto/constants.ts";
import { hkdf, hkdfSync, pbkdf2, pbkdf2Sync, scrypt, scryptSync } from "./internal/crypto/derive.ts";
import { absent } from "./internal/crypto/elsewhere.ts";
import { Hash, Hmac, createHash, createHmac, getHashes, hash } from "./internal/crypto/hash.ts";
import { KeyObject, createSecretKey } from "./internal/crypto/keys.ts";
import { randomBytes, randomFill, randomFillSync, randomInt, randomUUID } from "./internal/crypto/random.ts";

/** Compares in a time that depends on the lengths alone. */
export function timingSafeEqual(a: any, b: any): boolean {
  const left = bytesOf(a);
  const right = bytesOf(b);
  if (left === null) throw invalidArgType("buf1", "an instance of ArrayBuffer, Buffer, TypedArray, or DataView", a);
  if (right === null) throw invalidArgType("buf2", "an instance of ArrayBuffer, Buffer, TypedArray, or DataView", b);
  if (left.length !== right.length) {
    throw codedError(RangeError, "ERR_CRYPTO_TIMING_SAFE_EQUAL_LENGTH", "Input buffers must have the same byte length");
  }
  let difference = 0;
  for (let i = 0; i < left.length; i++) difference |= left[i]! ^ right[i]!;
  return difference === 0;
}

export const webcrypto = web;
export const { subtle } = web;
export const getRandomValues = (view: any): any => web.getRandomValues(view);
export { constants };
export const fips = 0;
export const getFips = (): number => 0;
export const secureHeapUsed = (): any => ({ total: 0, used: 0, utilization: 0, min: 0 });
export const getCurves = (): string[] => [];

export const createSign = absent("createSign");
export const createVerify = absent("createVerify");
export const sign = absent("sign");
export const verify = absent("verify");
export const createPrivateKey = absent("createPrivateKey");
export const createPublicKey = absent("createPublicKey");
export const generateKey = absent("generateKey");
export const generateKeySync = absent("generateKeySync");
export const generateKeyPair = absent("generateKeyPair");
export const generateKeyPairSync = absent("generateKeyPairSync");
export const generatePrime = absent("generatePrime");
export const generatePrimeSync = absent("generatePrimeSync");
export const checkPrime = absent("checkPrime");
export const checkPrimeSync = absent("checkPrimeSync");
export const createDiffieHellman = absent("createDiffieHellman");
export const createDiffieHellmanGroup = absent("createDiffieHellmanGroup");
export const getDiffieHellman = absent("getDiffieHellman");
export const createECDH = absent("createECDH");
export const diffieHellman = absent("diffieHellman");
export const publicEncrypt = absent("publicEncrypt");
export const publicDecrypt = absent("publicDecrypt");
export const privateEncrypt = absent("privateEncrypt");
export const privateDecrypt = absent("privateDecrypt");
export const setEngine = absent("setEngine");
export const setFips = absent("setFips");
export const Sign = absent("Sign");
export const Verify = absent("Verify");
export const ECDH = absent("ECDH");
export const DiffieHellman = absent("DiffieHellman");
export const Cipher = absent("Cipher");
export const Decipher = absent("Decipher");
export const DiffieHellmanGroup = absent("DiffieHellmanGroup");
export const Certificate = absent("Certificate");
export const X509Certificate = absent("X509Certificate");

export {
  Cipheriv, Decipheriv, Hash, Hmac, KeyObject, createCipheriv, createDecipheriv, createHash, createHmac, createSecretKey,
  getCipherInfo, getCiphers, getHashes, hash, hkdf, hkdfSync, pbkdf2, pbkdf2Sync, randomBytes, randomFill, randomFillSync,
  randomInt, randomUUID, scrypt, scryptSync,
};
export default {
  Certificate, Cipher, Cipheriv, Decipher, DiffieHellmanGroup, Decipheriv, DiffieHellman, ECDH, Hash, Hmac, KeyObject, Sign, Verify, X509Certificate, checkPrime,
  checkPrimeSync, constants, createCipheriv, createDecipheriv, createDiffieHellman, createDiffieHellmanGroup, createECDH,
  createHash, createHmac, createPrivateKey, createPublicKey, createSecretKey, createSign, createVerify, diffieHellman, fips,
  generateKey, generateKeyPair, generateKeyPairSync, generateKeySync, generatePrime, generatePrimeSync, getCipherInfo,
  getCiphers, getCurves, getDiffieHellman, getFips, getHashes, getRandomValues, hash, hkdf, hkdfSync, pbkdf2, pbkdf2Sync,
  privateDecrypt, privateEncrypt, publicDecrypt, publicEncrypt, randomBytes, randomFill, randomFillSync, randomInt,
  randomUUID, scrypt, scryptSync, secureHeapUsed, setEngine, setFips, sign, subtle, timingSafeEqual, verify, webcrypto,
};
