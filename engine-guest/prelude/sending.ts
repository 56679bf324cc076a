/**
 * Sends a body that is not whole to the host: chunk by chunk, the next one when the host has room for it.
 * One pump serves responses, outgoing requests and KV values; a body that came from the host as a handle is passed on
 * without any stream object in between.
 */
import { describeError } from "./errors.ts";
import { HostBody, cancelBody, readBody } from "./hostbody.ts";
import {
  CALL_STREAM_ABORT, CALL_STREAM_CLOSE, CALL_STREAM_OPEN, OP_STREAM_WRITE, call, start,
} from "./native.ts";
import { cancelOperation, whenComplete, type Waiter } from "./operations.ts";
import { TypeError, bytesOf, typedArrayByteLength } from "./primordials.ts";
import { type ReadableStream, type StreamSource, flattened, sourceOf } from "./streams/readable.ts";

/** A body on its way out. */
export interface Sending {
  streamId: number;
  /** Gives up: the source is cancelled, and the host is told unless it already knows. */
  stop: (reason: unknown) => void;
}

function chunksOf(body: HostBody | ReadableStream): StreamSource {
  if (body instanceof HostBody) {
    return { read: (waiter) => readBody(body, waiter), cancel: () => cancelBody(body) };
  }
  return sourceOf(body);
}

/** Opens a stream at the host. Nothing flows until `pump` is called. */
export function openSending(): number {
  return call(CALL_STREAM_OPEN);
}

/** Moves `body` into the host's stream `streamId`; `ended` is called once, when all is sent or given up. */
export function pump(streamId: number, body: HostBody | ReadableStream, ended: () => void): Sending {
  const chunks = chunksOf(body);
  let over = false;
  let writing = 0;
  const end = (): void => {
    over = true;
    ended();
  };
  /** Gives the source up; it may answer a pending read on the spot, which must no longer count. */
  const cancel = (reason: unknown): void => {
    over = true;
    chunks.cancel(reason);
  };
  const fail = (reason: unknown): void => {
    const { name, message } = describeError(reason);
    call(CALL_STREAM_ABORT, streamId, `${name}: ${message}`);
    end();
  };
  const written: Waiter = (ok, value) => {
    writing = 0;
    if (over) return;
    if (ok) return read();
    cancel(value);
    end();
  };
  const received: Waiter = (ok, value) => {
    if (over) return;
    if (!ok) return fail(value);
    if (value === null) {
      call(CALL_STREAM_CLOSE, streamId);
      return end();
    }
    const bytes = bytesOf(value);
    if (bytes === null) {
      const error = new TypeError("a body's stream must give Uint8Array chunks");
      cancel(error);
      return fail(error);
    }
    if (typedArrayByteLength(bytes) === 0) return read();
    try {
      writing = start(OP_STREAM_WRITE, streamId, bytes);
    } catch (error) {
      cancel(error);
      return end();
    }
    whenComplete(writing, written);
  };
  const read = flattened(() => chunks.read(received));
  read();
  return {
    streamId,
    stop: (reason) => {
      if (over) return;
      if (writing !== 0) cancelOperation(writing);
      cancel(reason);
      fail(reason);
    },
  };
}
