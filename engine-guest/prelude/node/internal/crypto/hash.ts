/**
 * `Hash` and `Hmac`. The host computes; the state of a hash lies here between two calls, so that a copy is a copy and
 * nobody has to clean up.
 *
 * Both are also transform streams. Most are never used as one, so the streams' state is made when it is touched.
 */
import { CALL_HASH, call } from "../../../native.ts";
import {
  Error, Uint8Array, defineProperty, freeze, objectCreate, setPrototypeOf, stringLower,
} from "../../../primordials.ts";
import { checkString, codedError } from "../errors.ts";
import { Transform } from "../streams/duplex.ts";
import { bytesIn, given, inPieces, keyBytes } from "./input.ts";

const NAMES: Record<string, string> = {
  __proto__: null as any,
  "md5": "md5", "ripemd160": "ripemd160", "rmd160": "ripemd160", "sha1": "sha1", "sha-1": "sha1", "sha224": "sha224",
  "sha-224": "sha224", "sha256": "sha256", "sha-256": "sha256", "sha384": "sha384", "sha-384": "sha384",
  "sha512": "sha512", "sha-512": "sha512", "sha512-224": "sha512-224", "sha512-256": "sha512-256",
  "rsa-md5": "md5", "rsa-sha1": "sha1", "rsa-sha256": "sha256", "rsa-sha384": "sha384", "rsa-sha512": "sha512",
};
freeze(NAMES);

const BLOCKS: Record<string, number> = { __proto__: null as any, "sha384": 128, "sha512": 128, "sha512-224": 128, "sha512-256": 128 };

export function getHashes(): string[] {
  return [
    "RSA-MD5", "RSA-SHA1", "RSA-SHA256", "RSA-SHA384", "RSA-SHA512", "md5", "ripemd160", "sha1", "sha224", "sha256",
    "sha384", "sha512", "sha512-224", "sha512-256",
  ];
}

/** The host's name of a hash; undefined if there is none. */
export function hashName(name: any): string | undefined {
  return NAMES[stringLower(name)];
}

const EMPTY = new Uint8Array(0);

/** A hash of everything that `feed` was given. */
class Running {
  name: string;
  state: Uint8Array | null = null;
  /** What was given and not sent yet, so that a short hash costs one call. */
  held: Uint8Array = EMPTY;

  constructor(name: string) {
    this.name = name;
  }

  feed(data: Uint8Array): void {
    inPieces(data, (piece) => {
      if (this.held.length > 0) this.state = call(CALL_HASH, this.name, this.state, this.held, false);
      this.held = piece;
    });
    // It may change before the digest is asked for.
    this.held = new Uint8Array(this.held);
  }

  finish(): Uint8Array {
    return call(CALL_HASH, this.name, this.state, this.held, true);
  }

  copy(): Running {
    const copy = new Running(this.name);
    copy.state = this.state;
    copy.held = this.held;
    return copy;
  }
}

/** Feeds and finishes at once. */
export function digestOf(name: string, parts: Uint8Array[]): Uint8Array {
  const running = new Running(name);
  for (let i = 0; i < parts.length; i++) running.feed(parts[i]!);
  return running.finish();
}

/** Gives a prototype the streams' state when it is touched. */
function lazyStream(proto: any): void {
  const names = ["_readableState", "_writableState"];
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    defineProperty(proto, name, {
      configurable: true,
      get(this: any): any {
        if (this === proto || this._streamOptions === undefined) return undefined;
        const options = this._streamOptions;
        defineProperty(this, "_streamOptions", { value: undefined, configurable: true });
        Transform.call(this, options);
        return this[name];
      },
      set(this: any, value: any): void {
        defineProperty(this, name, { value, writable: true, configurable: true, enumerable: true });
      },
    });
  }
}

function initialize(self: any, running: Running, options: any): void {
  defineProperty(self, "_running", { value: running, writable: true, configurable: true });
  defineProperty(self, "_streamOptions", { value: options ?? null, writable: true, configurable: true });
}

export function Hash(this: any, algorithm: any, options?: any): any {
  if (!(this instanceof (Hash as any))) return new (Hash as any)(algorithm, options);
  checkString(algorithm, "algorithm");
  const name = hashName(algorithm);
  if (name === undefined) throw new Error("Digest method not supported");
  initialize(this, new Running(name), options);
}
setPrototypeOf(Hash.prototype, Transform.prototype);
setPrototypeOf(Hash, Transform);
lazyStream(Hash.prototype);

function finalized(): any {
  return codedError(Error, "ERR_CRYPTO_HASH_FINALIZED", "Digest already called");
}

const hashProto: any = Hash.prototype;
hashProto.update = function update(this: any, data: any, encoding?: any): any {
  if (this._running === null) throw finalized();
  this._running.feed(bytesIn(data, encoding, "data"));
  return this;
};
hashProto.digest = function digest(this: any, encoding?: any): any {
  if (this._running === null) throw finalized();
  const bytes = this._running.finish();
  this._running = null;
  return given(bytes, encoding);
};
hashProto.copy = function copy(this: any, options?: any): any {
  if (this._running === null) throw finalized();
  const other = objectCreate(hashProto);
  initialize(other, this._running.copy(), options);
  return other;
};
hashProto._transform = function (this: any, chunk: any, encoding: any, callback: any): void {
  this.update(chunk, encoding);
  callback();
};
hashProto._flush = function (this: any, callback: any): void {
  this.push(this.digest());
  callback();
};

export function Hmac(this: any, algorithm: any, key: any, options?: any): any {
  if (!(this instanceof (Hmac as any))) return new (Hmac as any)(algorithm, key, options);
  checkString(algorithm, "hmac");
  const secret = keyBytes(key, options?.encoding, "key");
  const name = hashName(algorithm);
  if (name === undefined) throw codedError(Error, "ERR_CRYPTO_INVALID_DIGEST", `Invalid digest: ${algorithm}`);
  const block = BLOCKS[name] ?? 64;
  const short = secret.length > block ? digestOf(name, [secret]) : secret;
  const inner = new Uint8Array(block);
  const outer = new Uint8Array(block);
  for (let i = 0; i < block; i++) {
    const byte = i < short.length ? short[i]! : 0;
    inner[i] = byte ^ 0x36;
    outer[i] = byte ^ 0x5c;
  }
  const running = new Running(name);
  running.feed(inner);
  initialize(this, running, options);
  defineProperty(this, "_outer", { value: outer, configurable: true });
}
setPrototypeOf(Hmac.prototype, Transform.prototype);
setPrototypeOf(Hmac, Transform);
lazyStream(Hmac.prototype);

const hmacProto: any = Hmac.prototype;
hmacProto.update = function update(this: any, data: any, encoding?: any): any {
  if (this._running === null) throw finalized();
  this._running.feed(bytesIn(data, encoding, "data"));
  return this;
};
hmacProto.digest = function digest(this: any, encoding?: any): any {
  // A second digest of an HMAC is empty, as in Node.js.
  if (this._running === null) return given(new Uint8Array(0), encoding);
  const { name } = this._running;
  const bytes = digestOf(name, [this._outer, this._running.finish()]);
  this._running = null;
  return given(bytes, encoding);
};
hmacProto._transform = hashProto._transform;
hmacProto._flush = hashProto._flush;

export function createHash(algorithm: any, options?: any): any {
  return new (Hash as any)(algorithm, options);
}

export function createHmac(algorithm: any, key: any, options?: any): any {
  return new (Hmac as any)(algorithm, key, options);
}

/** A digest in one call. */
export function hash(algorithm: any, data: any, encoding: any = "hex"): any {
  checkString(algorithm, "algorithm");
  const name = hashName(algorithm);
  if (name === undefined) throw new Error("Digest method not supported");
  return given(digestOf(name, [bytesIn(data, "utf8", "input")]), encoding);
}
