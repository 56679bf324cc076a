/**
 * `crypto`: random bytes and digests from the host.
 */
import { DOMException } from "./errors.ts";
import { INTERNAL } from "./internal.ts";
import { OP_DIGEST, start } from "./native.ts";
import { operation } from "./operations.ts";
import { randomBytes } from "./random.ts";
import {
  TypeError, bytesOf, isObject, isView, numberToString, stringUpper, toStr, typedArraySet, typedArrayTag, webClass,
} from "./primordials.ts";
import { wholeBuffer } from "./body.ts";

const RANDOM_MAX = 65_536;

const HEX: string[] = [];
for (let i = 0; i < 256; i++) HEX[i] = (i < 16 ? "0" : "") + numberToString(i, 16);

/** Digests. */
export class SubtleCrypto {
  #brand = true;

  constructor(token: unknown = undefined) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
  }

  async digest(algorithm: string | { name: string }, data: ArrayBuffer | ArrayBufferView): Promise<ArrayBuffer> {
    void this.#brand;
    const given = isObject(algorithm) ? (algorithm as { name: string }).name : algorithm;
    const name = stringUpper(toStr(given));
    if (name !== "SHA-1" && name !== "SHA-256" && name !== "SHA-384" && name !== "SHA-512") {
      throw new DOMException(
        `digest: the algorithm "${toStr(given)}" is not supported (SHA-1, SHA-256, SHA-384, SHA-512 are)`,
        "NotSupportedError",
      );
    }
    const bytes = bytesOf(data);
    if (bytes === null) throw new TypeError("digest: the data must be an ArrayBuffer or a view of one");
    return wholeBuffer(await operation<Uint8Array>(start(OP_DIGEST, name, bytes)));
  }
}
webClass(SubtleCrypto);

/** Random numbers, and `subtle`. */
export class Crypto {
  #subtle = new SubtleCrypto(INTERNAL);

  constructor(token: unknown = undefined) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
  }

  get subtle(): SubtleCrypto {
    return this.#subtle;
  }

  getRandomValues<T extends ArrayBufferView>(view: T): T {
    void this.#subtle;
    const tag = isView(view) ? typedArrayTag(view) : undefined;
    if (tag === undefined || tag === "Float32Array" || tag === "Float64Array" || tag === "Float16Array") {
      throw new DOMException("getRandomValues fills an array of integers", "TypeMismatchError");
    }
    const bytes = bytesOf(view)!;
    if (bytes.length > RANDOM_MAX) {
      throw new DOMException(
        `getRandomValues gives at most ${RANDOM_MAX} bytes at a time, not ${bytes.length}`, "QuotaExceededError",
      );
    }
    if (bytes.length > 0) typedArraySet(bytes, randomBytes(bytes.length));
    return view;
  }

  randomUUID(): string {
    void this.#subtle;
    const b = randomBytes(16);
    b[6] = (b[6]! & 0x0f) | 0x40;
    b[8] = (b[8]! & 0x3f) | 0x80;
    let text = "";
    for (let i = 0; i < 16; i++) {
      if (i === 4 || i === 6 || i === 8 || i === 10) text += "-";
      text += HEX[b[i]!];
    }
    return text;
  }
}
webClass(Crypto);

export const crypto = new Crypto(INTERNAL);
