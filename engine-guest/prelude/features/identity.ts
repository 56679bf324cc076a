/**
 * `IdentityTransformStream` and `FixedLengthStream`, as Workers have them: bytes go through as they are, and with the
 * second so many and no others.
 */
import {
  Number, RangeError, TypeError, bytesOf, typedArrayByteLength, webClass,
} from "../primordials.ts";
import { readableState } from "../streams/readable.ts";
import { TransformStream, type TransformStreamDefaultController } from "../streams/transform.ts";
import { writableState } from "../streams/writable.ts";

function bytesIn(chunk: unknown): Uint8Array {
  const bytes = bytesOf(chunk);
  if (bytes === null) throw new TypeError("this stream takes bytes: an ArrayBuffer or a view of one");
  return bytes;
}

/** Bytes in, the same bytes out. */
export class IdentityTransformStream extends TransformStream {
  constructor() {
    super({
      transform(chunk: unknown, controller: TransformStreamDefaultController): void {
        const bytes = bytesIn(chunk);
        if (typedArrayByteLength(bytes) > 0) controller.enqueue(bytes);
      },
    });
    const readable = readableState(this.readable);
    readable.bytes = true;
    writableState(this.writable).identity = readable;
  }
}
webClass(IdentityTransformStream);

/** As many bytes as were promised: more are refused when they are written, fewer when it is closed. */
export class FixedLengthStream extends TransformStream {
  constructor(expectedLength: number | bigint) {
    const expected = typeof expectedLength === "bigint" ? Number(expectedLength) : +expectedLength;
    if (!(expected >= 0) || expected % 1 !== 0) throw new TypeError("FixedLengthStream needs a length in bytes");
    let left = expected;
    super({
      transform(chunk: unknown, controller: TransformStreamDefaultController): void {
        const bytes = bytesIn(chunk);
        const length = typedArrayByteLength(bytes);
        if (length > left) throw new RangeError(`more than the ${expected} bytes of this FixedLengthStream were written`);
        left -= length;
        if (length > 0) controller.enqueue(bytes);
      },
      flush(): void {
        if (left > 0) throw new RangeError(`${left} bytes are missing of the ${expected} of this FixedLengthStream`);
      },
    });
    const readable = readableState(this.readable);
    readable.bytes = true;
    readable.bytesInAll = expected;
  }
}
webClass(FixedLengthStream, 1);
