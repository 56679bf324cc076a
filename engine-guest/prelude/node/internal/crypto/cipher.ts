/**
 * `createCipheriv` and `createDecipheriv` for AES. But for CTR, what `update` is given is kept until `final`, which answers
 * all of it: code that joins both gets the same, and nothing unauthenticated is ever given out.
 */
import { typedArraySlice } from "../../../library.ts";
import { CALL_CIPHER, call } from "../../../native.ts";
import {
  Error, RangeError, TypeError, Uint8Array, arrayIndexOf, arrayJoin, concatBytes, defineProperty, floor, regExpExec,
  setPrototypeOf, stringLower,
} from "../../../primordials.ts";
import { checkString, codedError } from "../errors.ts";
import { Transform } from "../streams/duplex.ts";
import { bytesIn, given, keyBytes } from "./input.ts";

const NAME = /^(?:id-)?aes-?(128|192|256)-(gcm|cbc|ctr)$/i;
const SHORT = /^aes(128|192|256)$/i;
const TAG_BYTES = 16;

export function getCiphers(): string[] {
  return [
    "aes-128-cbc", "aes-128-ctr", "aes-128-gcm", "aes-192-cbc", "aes-192-ctr", "aes-256-cbc", "aes-256-ctr", "aes-256-gcm",
  ];
}

function modeOf(algorithm: string): { bits: number; mode: string } {
  const short = regExpExec(SHORT, algorithm);
  const found = short ?? regExpExec(NAME, algorithm);
  const mode = short !== null ? "cbc" : found === null ? "" : stringLower(found[2]);
  if (found === null || arrayIndexOf(getCiphers(), `aes-${found[1]}-${mode}`) < 0) {
    throw codedError(Error, "ERR_CRYPTO_UNKNOWN_CIPHER", `Unknown cipher; available are ${arrayJoin(getCiphers(), ", ")}`);
  }
  return { bits: +found[1], mode };
}

function Cipher(this: any, algorithm: any, key: any, iv: any, options: any, encrypting: boolean): void {
  checkString(algorithm, "cipher");
  const { bits, mode } = modeOf(algorithm);
  const secret = keyBytes(key, "utf8", "key");
  if (secret.length * 8 !== bits) throw codedError(RangeError, "ERR_CRYPTO_INVALID_KEYLEN", "Invalid key length");
  if (iv === null || iv === undefined) throw codedError(TypeError, "ERR_CRYPTO_INVALID_IV", "Invalid initialization vector");
  const vector = bytesIn(iv, "utf8", "iv");
  if (vector.length !== (mode === "gcm" ? 12 : 16)) {
    const hint = mode === "gcm" && vector.length > 0 ? " (AES-GCM takes 12 bytes here)" : "";
    throw codedError(TypeError, "ERR_CRYPTO_INVALID_IV", `Invalid initialization vector${hint}`);
  }
  Transform.call(this, options);
  defineProperty(this, "_cipher", {
    value: {
      mode, encrypting, key: new Uint8Array(secret), iv: new Uint8Array(vector), parts: [], aad: new Uint8Array(0), tag: null,
      padding: true, done: false, count: 0,
    },
  });
}
setPrototypeOf(Cipher.prototype, Transform.prototype);

const proto: any = Cipher.prototype;

proto.update = function update(this: any, data: any, inputEncoding?: any, outputEncoding?: any): any {
  const state = this._cipher;
  if (state.done) throw codedError(Error, "ERR_CRYPTO_INVALID_STATE", "Invalid state for operation update");
  const bytes = bytesIn(data, inputEncoding, "data");
  if (state.mode === "ctr") return given(counted(state, bytes), outputEncoding);
  state.parts[state.parts.length] = new Uint8Array(bytes);
  return given(new Uint8Array(0), outputEncoding);
};

proto.final = function final(this: any, outputEncoding?: any): any {
  const state = this._cipher;
  if (state.done) throw codedError(Error, "ERR_CRYPTO_INVALID_STATE", "Invalid state for operation final");
  state.done = true;
  const data = state.parts.length === 0 ? new Uint8Array(0) : concatBytes(state.parts);
  if (state.mode === "gcm" && !state.encrypting && state.tag === null) {
    throw new Error("Unsupported state or unable to authenticate data");
  }
  let made: Uint8Array;
  try {
    made = state.mode === "ctr" ? data : run(state, data);
  } catch (error) {
    throw (error as any).code === "ERR_OSSL_BAD_DECRYPT" ? codedError(Error, "ERR_OSSL_BAD_DECRYPT", "error:1C800064:Provider routines::bad decrypt") : error;
  }
  if (state.mode === "gcm" && state.encrypting) {
    const end = made.length - TAG_BYTES;
    state.tag = typedArraySlice(made, end);
    made = typedArraySlice(made, 0, end);
  }
  return given(made, outputEncoding);
};

/** The next piece in counter mode, which needs none of the others. */
function counted(state: any, data: Uint8Array): Uint8Array {
  const used = state.count % 16;
  const counter = new Uint8Array(state.iv);
  let carry = floor(state.count / 16);
  for (let i = 15; i >= 0 && carry > 0; i--) {
    const sum = counter[i]! + (carry % 256);
    counter[i] = sum;
    carry = floor(carry / 256) + (sum > 255 ? 1 : 0);
  }
  const padded = used === 0 ? data : concatBytes([new Uint8Array(used), data]);
  const made: Uint8Array = call(CALL_CIPHER, "ctr", state.encrypting, state.key, counter, state.aad, null, padded);
  state.count += data.length;
  return used === 0 ? made : typedArraySlice(made, used);
}

function run(state: any, data: Uint8Array): Uint8Array {
  const { mode, encrypting, key, iv, aad, tag } = state;
  if (mode !== "cbc" || state.padding) return call(CALL_CIPHER, mode, encrypting, key, iv, aad, encrypting ? null : tag, data);
  if (data.length % 16 !== 0) throw codedError(Error, "ERR_OSSL_WRONG_FINAL_BLOCK_LENGTH", "error:1C80006B:Provider routines::wrong final block length");
  if (data.length === 0) return data;
  // Without padding: the padded block that encryption adds is taken off; for decryption one that fits is put behind.
  if (encrypting) return typedArraySlice(call(CALL_CIPHER, mode, true, key, iv, aad, null, data), 0, data.length);
  const last = typedArraySlice(data, data.length - 16);
  const padding: Uint8Array = typedArraySlice(call(CALL_CIPHER, mode, true, key, last, aad, null, new Uint8Array(0)), 0, 16);
  return call(CALL_CIPHER, mode, false, key, iv, aad, null, concatBytes([data, padding]));
}

proto.setAutoPadding = function setAutoPadding(this: any, padding: any = true): any {
  this._cipher.padding = !!padding;
  return this;
};
proto.setAAD = function setAAD(this: any, data: any, options?: any): any {
  this._cipher.aad = concatBytes([this._cipher.aad, bytesIn(data, options?.encoding, "aadbuf")]);
  return this;
};
proto.getAuthTag = function getAuthTag(this: any): any {
  const state = this._cipher;
  if (!state.done || !state.encrypting || state.tag === null) {
    throw codedError(Error, "ERR_CRYPTO_INVALID_STATE", "Invalid state for operation getAuthTag");
  }
  return given(new Uint8Array(state.tag), undefined);
};
proto.setAuthTag = function setAuthTag(this: any, tag: any, encoding?: any): any {
  const bytes = bytesIn(tag, encoding, "buffer");
  if (bytes.length !== TAG_BYTES) {
    throw codedError(TypeError, "ERR_CRYPTO_INVALID_AUTH_TAG", `Invalid authentication tag length: ${bytes.length}`);
  }
  this._cipher.tag = new Uint8Array(bytes);
  return this;
};
proto._transform = function (this: any, chunk: any, encoding: any, callback: any): void {
  this.update(chunk, encoding);
  callback();
};
proto._flush = function (this: any, callback: any): void {
  let made: any;
  try {
    made = this.final();
  } catch (error) {
    return callback(error);
  }
  this.push(made);
  callback();
};

export function Cipheriv(this: any, algorithm: any, key: any, iv: any, options?: any): any {
  if (!(this instanceof (Cipheriv as any))) return new (Cipheriv as any)(algorithm, key, iv, options);
  Cipher.call(this, algorithm, key, iv, options, true);
}
setPrototypeOf(Cipheriv.prototype, proto);

export function Decipheriv(this: any, algorithm: any, key: any, iv: any, options?: any): any {
  if (!(this instanceof (Decipheriv as any))) return new (Decipheriv as any)(algorithm, key, iv, options);
  Cipher.call(this, algorithm, key, iv, options, false);
}
setPrototypeOf(Decipheriv.prototype, proto);

export function createCipheriv(algorithm: any, key: any, iv: any, options?: any): any {
  return new (Cipheriv as any)(algorithm, key, iv, options);
}

export function createDecipheriv(algorithm: any, key: any, iv: any, options?: any): any {
  return new (Decipheriv as any)(algorithm, key, iv, options);
}


export function getCipherInfo(name: any, _options?: any): any {
  let found: { bits: number; mode: string };
  try {
    found = modeOf(`${name}`);
  } catch {
    return undefined;
  }
  const { bits, mode } = found;
  return {
    mode, name: mode === "gcm" ? `id-aes${bits}-GCM` : `aes-${bits}-${mode}`, ...(mode === "cbc" ? { blockSize: 16 } : {}),
    ivLength: mode === "gcm" ? 12 : 16, keyLength: bits / 8,
  };
}
