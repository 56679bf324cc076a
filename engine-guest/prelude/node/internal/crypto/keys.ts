/**
 * `KeyObject`, as far as secrets go. Public and private keys live in `crypto.subtle`.
 */
import { compareBytes } from "../../../native.ts";
import { Symbol, Uint8Array, bytesOf, isObject } from "../../../primordials.ts";
import { invalidArgType } from "../errors.ts";
import { Buffer, asBuffer } from "../buffer.ts";
import { encodingOf, bytesOfText } from "../encodings.ts";
import { TOKEN, elsewhere } from "./elsewhere.ts";

export let isKeyObject: (value: any) => boolean;
/** The bytes of a secret key. */
export let secretOf: (key: any) => Uint8Array;

export class KeyObject {
  #bytes: Uint8Array;

  constructor(token: unknown, bytes: Uint8Array) {
    if (token !== TOKEN) throw elsewhere("KeyObject.from and its constructor");
    this.#bytes = bytes;
  }

  static {
    isKeyObject = (value) => isObject(value) && #bytes in value;
    secretOf = (key) => key.#bytes;
  }

  static from(_key: any): never {
    throw elsewhere("KeyObject.from");
  }

  get type(): string {
    void this.#bytes;
    return "secret";
  }

  get symmetricKeySize(): number {
    return this.#bytes.length;
  }

  equals(other: any): boolean {
    if (!isKeyObject(other)) throw invalidArgType("otherKeyObject", "an instance of KeyObject", other);
    const bytes = secretOf(other);
    return this.#bytes.length === bytes.length && compareBytes(this.#bytes, bytes) === 0;
  }

  export(options: any = undefined): any {
    if (options?.format === "jwk") {
      return { kty: "oct", k: Buffer.from(this.#bytes).toString("base64url") };
    }
    return asBuffer(new Uint8Array(this.#bytes));
  }

  get [Symbol.toStringTag](): string {
    return "KeyObject";
  }
}

export function createSecretKey(key: any, encoding?: any): KeyObject {
  const bytes = typeof key === "string" ? bytesOfText(key, encodingOf(encoding)) : bytesOf(key);
  if (bytes === null) throw invalidArgType("key", "of type string or an instance of ArrayBuffer, Buffer, TypedArray, or DataView", key);
  return new KeyObject(TOKEN, new Uint8Array(bytes));
}
