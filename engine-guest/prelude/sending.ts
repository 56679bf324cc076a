/**
 * Sends a body that is not whole to the host: chunk by chunk, the next one when the host has room for it.
 * One pump serves responses, outgoing requests and KV values. A body that came from the host as a handle goes back as
 * one, and its bytes never come here, unless a script may still want to end it.
 */
import { isWatched } from "./abort.ts";
import { describeError } from "./errors.ts";
import { HostBody, cancelBody, handOver, readBody } from "./hostbody.ts";
import {
  CALL_STREAM_ABORT, CALL_STREAM_CLOSE, CALL_STREAM_LINK, CALL_STREAM_OPEN, OP_STREAM_WRITE, call, start,
} from "./native.ts";
import { cancelOperation, whenComplete, type Waiter } from "./operations.ts";
import { TypeError, bytesOf, typedArrayByteLength } from "./primordials.ts";
import { INVOCATION_SIGNAL, type Invocation } from "./state.ts";
import { type ReadableStream, type StreamSource, bytesInAll, flattened, isReadableStream, sourceOf } from "./streams/readable.ts";

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

/**
 * Opens a stream at the host for `body`; `invocation` is the one that it answers, if it answers one. Nothing flows until
 * `pump` is called, unless the body was handed over: then there is nothing to pump.
 */
export function openSending(body: unknown, invocation: Invocation | null = null): number {
  const streamId = call(CALL_STREAM_OPEN, isReadableStream(body) ? bytesInAll(body) : null);
  if (body instanceof HostBody && canHandOver(body, invocation)) {
    call(CALL_STREAM_LINK, streamId, body.handle);
    handOver(body);
  }
  return streamId;
}

/** True for a body that the host now has back. */
export function isHandedOver(body: unknown): boolean {
  return body instanceof HostBody && body.handedOver;
}

/**
 * A body that a signal can end must stay in reach; so must one while whose sending somebody listens for the client to
 * leave. The signal of the client itself ends nothing that its going would not end anyway.
 */
function canHandOver(body: HostBody, invocation: Invocation | null): boolean {
  if (body.done || body.failure !== null || body.operation !== 0) return false;
  const client = invocation === null ? null : invocation[INVOCATION_SIGNAL];
  if (body.signal !== null && body.signal !== client) return false;
  return client === null || !isWatched(client, body.signal === null ? 0 : 1);
}

/**
 * Moves `body` into the host's stream `streamId`; `ended` is called once, when all is sent or given up, and before it
 * `failed` if the body's own stream failed.
 */
export function pump(
  streamId: number, body: HostBody | ReadableStream, ended: () => void, failed: ((reason: unknown) => void) | null = null,
): Sending {
  if (isHandedOver(body)) {
    ended();
    return { streamId, stop: () => {} };
  }
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
    const { name, message, stack } = describeError(reason);
    call(CALL_STREAM_ABORT, streamId, name, message, stack);
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
    if (!ok) {
      if (failed !== null) failed(value);
      return fail(value);
    }
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
