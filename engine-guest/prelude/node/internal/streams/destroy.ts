/**
 * How streams end early, and in which order they say so: the callback, `error`, `close`.
 */
import { AggregateError, objectAssign } from "../../../library.ts";
import { Error, Symbol, isArray } from "../../../primordials.ts";
import { codedError, nodeAbortError } from "../errors.ts";
import { nextTick } from "../ticks.ts";

export const kDestroy = Symbol("kDestroy");
export const kConstruct = Symbol("kConstruct");

function note(error: any, w: any, r: any): void {
  if (!error) return;
  void error.stack;
  if (w && !w.errored) w.errored = error;
  if (r && !r.errored) r.errored = error;
}

/** One error out of two; the second was the cause to end. */
function both(inner: any, outer: any): any {
  if (!inner || !outer || inner === outer) return inner || outer;
  if (isArray(outer.errors)) {
    outer.errors[outer.errors.length] = inner;
    return outer;
  }
  const error: any = new AggregateError([outer, inner], outer.message);
  error.code = outer.code;
  return error;
}

export function destroy(this: any, error?: any, callback?: any): any {
  const r = this._readableState;
  const w = this._writableState;
  const s = w || r;
  if (w?.destroyed || r?.destroyed) {
    if (typeof callback === "function") callback();
    return this;
  }
  note(error, w, r);
  if (w) w.destroyed = true;
  if (r) r.destroyed = true;
  if (!s.constructed) this.once(kDestroy, (inner: any) => finish(this, both(inner, error), callback));
  else finish(this, error, callback);
  return this;
}

function finish(self: any, given: any, callback: any): void {
  let called = false;
  const done = (error: any): void => {
    if (called) return;
    called = true;
    const r = self._readableState;
    const w = self._writableState;
    note(error, w, r);
    if (w) w.closed = true;
    if (r) r.closed = true;
    if (typeof callback === "function") callback(error);
    if (error) nextTick(emitErrorAndClose, self, error);
    else nextTick(emitClose, self);
  };
  try {
    self._destroy(given || null, done);
  } catch (error) {
    done(error);
  }
}

function emitErrorAndClose(self: any, error: any): void {
  emitError(self, error);
  emitClose(self);
}

function emitClose(self: any): void {
  const r = self._readableState;
  const w = self._writableState;
  if (w) w.closeEmitted = true;
  if (r) r.closeEmitted = true;
  if (w?.emitClose || r?.emitClose) self.emit("close");
}

function emitError(self: any, error: any): void {
  const r = self._readableState;
  const w = self._writableState;
  if (w?.errorEmitted || r?.errorEmitted) return;
  if (w) w.errorEmitted = true;
  if (r) r.errorEmitted = true;
  self.emit("error", error);
}

/** Makes a destroyed stream usable again; for those that reconnect. */
export function undestroy(this: any): void {
  const r = this._readableState;
  const w = this._writableState;
  if (r) {
    objectAssign(r, {
      constructed: true, closed: false, closeEmitted: false, destroyed: false, errored: null, errorEmitted: false,
      reading: false, ended: r.readable === false, endEmitted: r.readable === false,
    });
  }
  if (w) {
    objectAssign(w, {
      constructed: true, destroyed: false, closed: false, closeEmitted: false, errored: null, errorEmitted: false,
      finalCalled: false, prefinished: false, ended: w.writable === false, ending: w.writable === false,
      finished: w.writable === false,
    });
  }
}

export function errorOrDestroy(stream: any, error: any, sync: boolean = false): void {
  const r = stream._readableState;
  const w = stream._writableState;
  if (w?.destroyed || r?.destroyed) return;
  if (r?.autoDestroy || w?.autoDestroy) stream.destroy(error);
  else if (error) {
    note(error, w, r);
    if (sync) nextTick(emitError, stream, error);
    else emitError(stream, error);
  }
}

/** Runs `_construct`, before anything else happens to the stream. */
export function constructStream(stream: any, callback: () => void): void {
  if (typeof stream._construct !== "function") return;
  const r = stream._readableState;
  const w = stream._writableState;
  if (r) r.constructed = false;
  if (w) w.constructed = false;
  stream.once(kConstruct, callback);
  if (stream.listenerCount(kConstruct) > 1) return;
  nextTick(() => {
    let called = false;
    const done = (error?: any): void => {
      if (called) return errorOrDestroy(stream, error ?? codedError(Error, "ERR_MULTIPLE_CALLBACK", "Callback called multiple times"));
      called = true;
      if (r) r.constructed = true;
      if (w) w.constructed = true;
      const s = w || r;
      if (s.destroyed) stream.emit(kDestroy, error);
      else if (error) errorOrDestroy(stream, error, true);
      else stream.emit(kConstruct);
    };
    try {
      stream._construct((error: any) => nextTick(done, error));
    } catch (error) {
      nextTick(done, error);
    }
  });
}

export function isRequest(stream: any): boolean {
  return stream?.setHeader !== undefined && typeof stream.abort === "function";
}

/** Ends whatever kind of stream it is. */
export function destroyer(stream: any, error: any): void {
  if (!stream || isDestroyed(stream)) return;
  if (!error && !isFinished(stream)) error = nodeAbortError();
  if (isRequest(stream)) stream.abort();
  else if (typeof stream.destroy === "function") stream.destroy(error);
  else if (typeof stream.close === "function") stream.close();
  if (!stream.destroyed) stream._destroyed = true;
}

export function isDestroyed(stream: any): boolean {
  return !!(stream.destroyed || stream._destroyed || stream._readableState?.destroyed || stream._writableState?.destroyed);
}

function isFinished(stream: any): boolean {
  const r = stream._readableState;
  const w = stream._writableState;
  return (!r || r.endEmitted || stream.readable === false) && (!w || w.finished || stream.writable === false);
}
