/**
 * `crypto`: random bytes from the host; `crypto.subtle` is a feature, loaded when it is first asked for.
 */
import { DOMException } from "./errors.ts";
import { feature } from "./features.ts";
import type { DigestStream } from "./features/digeststream.ts";
import type { SubtleCrypto } from "./features/subtle.ts";
import { INTERNAL } from "./internal.ts";
import { randomBytes } from "./random.ts";
import { TypeError, bytesOf, isView, numberToString, typedArraySet, typedArrayTag, webClass } from "./primordials.ts";

const RANDOM_MAX = 65_536;

const HEX: string[] = [];
for (let i = 0; i < 256; i++) HEX[i] = (i < 16 ? "0" : "") + numberToString(i, 16);

let subtle: SubtleCrypto | undefined;

/** Random numbers, and `subtle`. */
export class Crypto {
  #brand = true;

  constructor(token: unknown = undefined) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
  }

  get subtle(): SubtleCrypto {
    void this.#brand;
    return (subtle ??= feature("subtle").subtle);
  }

  /** Digests what is written to it; not part of the standard. */
  get DigestStream(): typeof DigestStream {
    void this.#brand;
    return feature("digeststream").DigestStream;
  }

  getRandomValues<T extends ArrayBufferView>(view: T): T {
    void this.#brand;
    if (!isView(view)) throw new TypeError("getRandomValues fills an array of integers");
    const tag = typedArrayTag(view);
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
    void this.#brand;
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
