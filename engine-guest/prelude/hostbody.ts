/**
 * A body whose bytes are still with the host, read by handle. It is what a streamed request, a fetched response or a
 * large KV value holds until somebody reads it; it becomes no stream object as long as nobody asks for one.
 */
import { CALL_BODY_CANCEL, OP_BODY_READ, OP_BODY_REST, call, start } from "./native.ts";
import { cancelOperation, whenComplete, type Waiter } from "./operations.ts";
import { concatBytes } from "./primordials.ts";
import type { AbortSource } from "./abort.ts";
import { abortReason, isAborted, offAbort, onAbort } from "./abort.ts";

/** A handle at the host, and the read that is under way, if any. */
export class HostBody {
  handle: number;
  operation = 0;
  waiter: Waiter | null = null;
  /** Why reading ends early, once it has. */
  failure: { reason: unknown } | null = null;
  done = false;
  /** Given to a stream of the host's: the bytes take the short way. */
  handedOver = false;
  /** Told once how the body ended; to be handed over is a good end. */
  ended: ((failure: { reason: unknown } | null) => void) | null = null;
  signal: AbortSource | null;
  /** The content coding that the host decodes when the body is read, as the header spelt it; null for none. */
  coding: string | null;
  onAbort: (() => void) | null = null;

  constructor(handle: number, signal: AbortSource | null = null, coding: string | null = null) {
    this.handle = handle;
    this.signal = signal;
    this.coding = coding;
    if (signal !== null) {
      this.onAbort = () => failBody(this, abortReason(signal));
      if (isAborted(signal)) this.onAbort();
      else onAbort(signal, this.onAbort);
    }
  }
}

/** Reads the next chunk: `(true, bytes)`, `(true, null)` at the end, `(false, error)`. One read at a time. */
export function readBody(body: HostBody, waiter: Waiter): void {
  if (body.failure !== null) return waiter(false, body.failure.reason);
  if (body.done) return waiter(true, null);
  begin(body, waiter, () => start(OP_BODY_READ, body.handle), (value) => value === null);
}

/** Begins what reads; `isEnd` tells whether nothing comes after its result. */
function begin(body: HostBody, waiter: Waiter, read: () => number, isEnd: (value: any) => boolean): void {
  let id: number;
  try {
    id = read();
  } catch (error) {
    endBody(body, { reason: error });
    return waiter(false, error);
  }
  body.operation = id;
  body.waiter = waiter;
  whenComplete(id, (ok, value) => {
    body.operation = 0;
    body.waiter = null;
    if (!ok) endBody(body, { reason: value });
    else if (isEnd(value)) endBody(body);
    waiter(ok, value);
  });
}

/** The body goes elsewhere as it is: nothing of it comes this way any more. */
export function handOver(body: HostBody): void {
  endBody(body);
  body.handedOver = true;
}

function endBody(body: HostBody, failure: { reason: unknown } | null = null): void {
  body.done = true;
  const { ended } = body;
  body.ended = null;
  if (ended !== null) ended(failure);
  if (body.onAbort !== null) {
    offAbort(body.signal!, body.onAbort);
    body.onAbort = null;
  }
}

/** Gives the rest of the body up. */
export function cancelBody(body: HostBody, reason: unknown = undefined): void {
  if (body.done) return;
  endBody(body, { reason });
  if (body.operation !== 0) cancelOperation(body.operation);
  body.operation = 0;
  call(CALL_BODY_CANCEL, body.handle);
}

/** Ends the body with an error, which a pending read and every later one gets. */
export function failBody(body: HostBody, reason: unknown): void {
  if (body.done) return;
  cancelBody(body, reason);
  body.failure = { reason };
  const { waiter } = body;
  body.waiter = null;
  if (waiter !== null) waiter(false, reason);
}

/**
 * Reads everything that is left: `(true, bytes)` or `(false, error)`. Where text is wanted, it is `(true, text)` if all
 * of it was at the host before it came here, which is so for bodies of usual sizes.
 */
export function readWholeBody(body: HostBody, asText: boolean, waiter: Waiter): void {
  readRest(body, asText, [], waiter);
}

/** No function of this holds itself: what a script makes of the body would wait for the collector of cycles. */
function readRest(body: HostBody, asText: boolean, chunks: Uint8Array[], waiter: Waiter): void {
  if (body.failure !== null) return waiter(false, body.failure.reason);
  if (body.done) return waiter(true, concatBytes(chunks));
  const wanted = asText && chunks.length === 0;
  begin(body, (ok, value) => {
    if (!ok) return waiter(false, value);
    const part: string | Uint8Array = value[0];
    if (typeof part === "string") return waiter(true, part);
    chunks[chunks.length] = part;
    if (value[1] === true) waiter(true, concatBytes(chunks));
    else readRest(body, asText, chunks, waiter);
  }, () => start(OP_BODY_REST, body.handle, wanted), (value) => value[1] === true);
}
