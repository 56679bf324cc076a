/**
 * `Readable`: a queue that is read by pulling (`read`), flowing (`data`), piping or iterating.
 */
import { arrayUnshift, objectAssign, setClear, symbolFor } from "../../../library.ts";
import {
  Error, Set, Symbol, apply, arrayIndexOf, arrayJoin, arrayShift, arraySplice, bytesOf, defineProperties, isView,
  setAdd, setDelete, setPrototypeOf, setSize, trunc,
} from "../../../primordials.ts";
import { codedError, invalidArgType } from "../errors.ts";
import { Buffer, bufferOver } from "../buffer.ts";
import { StringDecoder } from "../../string_decoder.ts";
import { nextTick } from "../ticks.ts";
import { constructStream, destroy, errorOrDestroy, undestroy } from "./destroy.ts";
import { Stream, prependListener } from "./legacy.ts";
import { addAbortSignal, highWaterMarkOf } from "./options.ts";
import { EventEmitter } from "../emitter.ts";

const kPaused = Symbol("kPaused");

export function ReadableState(this: any, options: any, stream: any, duplex: boolean): void {
  const objectMode = !!options?.objectMode || (duplex && !!options?.readableObjectMode);
  objectAssign(this, {
    objectMode, highWaterMark: highWaterMarkOf(options, "readableHighWaterMark", duplex, objectMode), buffer: [], length: 0,
    pipes: [], flowing: null, ended: false, endEmitted: false, reading: false, constructed: true, sync: true,
    needReadable: false, emittedReadable: false, readableListening: false, resumeScheduled: false, errorEmitted: false,
    emitClose: options?.emitClose !== false, autoDestroy: options?.autoDestroy !== false, destroyed: false, errored: null,
    closed: false, closeEmitted: false, defaultEncoding: options?.defaultEncoding || "utf8", awaitDrainWriters: null,
    multiAwaitDrain: false, readingMore: false, dataEmitted: false, decoder: null, encoding: null, [kPaused]: null,
  });
  if (options?.encoding) {
    this.decoder = new (StringDecoder as any)(options.encoding);
    this.encoding = options.encoding;
  }
  void stream;
}

export function Readable(this: any, options?: any): any {
  if (!(this instanceof (Readable as any))) return new (Readable as any)(options);
  initReadable(this, options, false);
  Stream.call(this, options);
  constructStream(this, () => {
    if (this._readableState.needReadable) maybeReadMore(this, this._readableState);
  });
}

/** What a `Readable` and the readable side of a `Duplex` have in common. */
export function initReadable(stream: any, options: any, duplex: boolean): void {
  stream._readableState = new (ReadableState as any)(options, stream, duplex);
  if (!options) return;
  if (typeof options.read === "function") stream._read = options.read;
  if (typeof options.destroy === "function") stream._destroy = options.destroy;
  if (typeof options.construct === "function") stream._construct = options.construct;
  if (options.signal && !duplex) nextTick(() => addAbortSignal(options.signal, stream));
}

setPrototypeOf(Readable.prototype, Stream.prototype);
setPrototypeOf(Readable, Stream);
(Readable as any).ReadableState = ReadableState;
const proto: any = Readable.prototype;

proto.destroy = destroy;
proto._undestroy = undestroy;
proto._destroy = function (_error: any, callback: any): void {
  callback(_error);
};
proto[captureRejection()] = function (this: any, error: any): void {
  this.destroy(error);
};

function captureRejection(): symbol {
  return symbolFor("nodejs.rejection");
}

proto.push = function push(this: any, chunk: any, encoding?: any): boolean {
  return addToQueue(this, chunk, encoding, false);
};
proto.unshift = function unshift(this: any, chunk: any, encoding?: any): boolean {
  return addToQueue(this, chunk, encoding, true);
};

/** A chunk as the queue holds it: a Buffer, or a string in the stream's own encoding. */
function convert(state: any, chunk: any, encoding: any, front: boolean): { chunk: any; decoded: boolean } {
  if (typeof chunk === "string") {
    const given = encoding || state.defaultEncoding;
    if (state.encoding === given) return { chunk, decoded: true };
    if (front && state.encoding) return { chunk: Buffer.from(chunk, given).toString(state.encoding), decoded: true };
    return { chunk: Buffer.from(chunk, given), decoded: false };
  }
  if (chunk instanceof Buffer) return { chunk, decoded: false };
  if (isView(chunk)) return { chunk: bufferOver(bytesOf(chunk)!), decoded: false };
  throw invalidArgType("chunk", "of type string or an instance of Buffer, TypedArray, or DataView", chunk);
}

function addToQueue(stream: any, given: any, encoding: any, front: boolean): boolean {
  const state = stream._readableState;
  let chunk = given;
  let decoded = true;
  if (!state.objectMode && chunk !== null && chunk !== undefined) {
    try {
      const converted = convert(state, chunk, encoding, front);
      chunk = converted.chunk;
      decoded = converted.decoded;
    } catch (error) {
      errorOrDestroy(stream, error);
      return false;
    }
  }
  if (chunk === null || (chunk === undefined && !state.objectMode)) {
    state.reading = false;
    if (chunk === null) onEnd(stream, state);
    else if (!front) maybeReadMore(stream, state);
  } else if (state.objectMode || chunk.length > 0) {
    if (front) {
      if (state.endEmitted) errorOrDestroy(stream, codedError(Error, "ERR_STREAM_UNSHIFT_AFTER_END_EVENT", "stream.unshift() after end event"));
      else if (state.destroyed || state.errored) return false;
      else addChunk(stream, state, chunk, true);
    } else if (state.ended) {
      errorOrDestroy(stream, codedError(Error, "ERR_STREAM_PUSH_AFTER_EOF", "stream.push() after EOF"));
    } else if (state.destroyed || state.errored) {
      return false;
    } else {
      state.reading = false;
      if (state.decoder && !decoded) chunk = state.decoder.write(chunk);
      if (state.objectMode || chunk.length !== 0) addChunk(stream, state, chunk, false);
      else maybeReadMore(stream, state);
    }
  } else if (!front) {
    state.reading = false;
    maybeReadMore(stream, state);
  }
  return !state.ended && (state.length < state.highWaterMark || state.length === 0);
}

function addChunk(stream: any, state: any, chunk: any, front: boolean): void {
  if (state.flowing && state.length === 0 && !state.sync && stream.listenerCount("data") > 0) {
    if (state.multiAwaitDrain) setClear(state.awaitDrainWriters);
    else state.awaitDrainWriters = null;
    state.dataEmitted = true;
    stream.emit("data", chunk);
  } else {
    state.length += state.objectMode ? 1 : chunk.length;
    if (front) arrayUnshift(state.buffer, chunk);
    else state.buffer[state.buffer.length] = chunk;
    if (state.needReadable) emitReadable(stream);
  }
  maybeReadMore(stream, state);
}

function onEnd(stream: any, state: any): void {
  if (state.ended) return;
  if (state.decoder) {
    const chunk = state.decoder.end();
    if (chunk && chunk.length > 0) {
      state.buffer[state.buffer.length] = chunk;
      state.length += state.objectMode ? 1 : chunk.length;
    }
  }
  state.ended = true;
  if (state.sync) emitReadable(stream);
  else {
    state.needReadable = false;
    state.emittedReadable = true;
    emitReadableNow(stream);
  }
}

proto.isPaused = function isPaused(this: any): boolean {
  const state = this._readableState;
  return state[kPaused] === true || state.flowing === false;
};

proto.setEncoding = function setEncoding(this: any, encoding: any): any {
  const state = this._readableState;
  const decoder = new (StringDecoder as any)(encoding);
  state.decoder = decoder;
  state.encoding = decoder.encoding;
  let content = "";
  for (let i = 0; i < state.buffer.length; i++) content += decoder.write(state.buffer[i]);
  state.buffer = content === "" ? [] : [content];
  state.length = content.length;
  return this;
};

const HWM_MAX = 0x40000000;

function raisedMark(size: number): number {
  let mark = 1;
  while (mark < size && mark < HWM_MAX) mark *= 2;
  return mark;
}

function howMuch(size: number, state: any): number {
  if (size <= 0 || (state.length === 0 && state.ended)) return 0;
  if (state.objectMode) return 1;
  if (size !== size) return state.flowing && state.length ? state.buffer[0].length : state.length;
  if (size <= state.length) return size;
  return state.ended ? state.length : 0;
}

proto.read = function read(this: any, given?: any): any {
  const state = this._readableState;
  let size = given === undefined ? NaN : trunc(+given);
  const asked = size;
  if (size > state.highWaterMark) state.highWaterMark = raisedMark(size);
  if (size !== 0) state.emittedReadable = false;
  const enough = state.highWaterMark !== 0 ? state.length >= state.highWaterMark : state.length > 0;
  if (size === 0 && state.needReadable && (enough || state.ended)) {
    if (state.length === 0 && state.ended) endReadable(this);
    else emitReadable(this);
    return null;
  }
  size = howMuch(size, state);
  if (size === 0 && state.ended) {
    if (state.length === 0) endReadable(this);
    return null;
  }
  let wanted = state.needReadable || state.length === 0 || state.length - size < state.highWaterMark;
  if (state.ended || state.reading || state.destroyed || state.errored || !state.constructed) wanted = false;
  else if (wanted) {
    state.reading = true;
    state.sync = true;
    if (state.length === 0) state.needReadable = true;
    try {
      this._read(state.highWaterMark);
    } catch (error) {
      errorOrDestroy(this, error);
    }
    state.sync = false;
    if (!state.reading) size = howMuch(asked, state);
  }
  let result = size > 0 ? take(size, state) : null;
  if (result === null) {
    state.needReadable = state.length <= state.highWaterMark;
    size = 0;
  } else {
    state.length -= size;
    if (state.multiAwaitDrain) setClear(state.awaitDrainWriters);
    else state.awaitDrainWriters = null;
  }
  if (state.length === 0) {
    if (!state.ended) state.needReadable = true;
    if (asked !== size && state.ended) endReadable(this);
  }
  if (result !== null && !state.errored && !state.closeEmitted) {
    state.dataEmitted = true;
    this.emit("data", result);
  }
  return result;
};

/** Takes `size` units out of the queue. */
function take(size: number, state: any): any {
  const { buffer } = state;
  if (state.length === 0) return null;
  if (state.objectMode) return arrayShift(buffer);
  if (size >= state.length) {
    const whole = buffer.length === 1 ? buffer[0] : state.decoder ? arrayJoin(buffer, "") : Buffer.concat(buffer, state.length);
    state.buffer = [];
    return whole;
  }
  const first = buffer[0];
  if (size < first.length) {
    buffer[0] = first.slice(size);
    return first.slice(0, size);
  }
  if (size === first.length) return arrayShift(buffer);
  const parts: any[] = [];
  let left = size;
  while (left > 0) {
    const chunk = buffer[0];
    if (chunk.length > left) {
      parts[parts.length] = chunk.slice(0, left);
      buffer[0] = chunk.slice(left);
      left = 0;
    } else {
      parts[parts.length] = arrayShift(buffer);
      left -= chunk.length;
    }
  }
  return state.decoder ? arrayJoin(parts, "") : Buffer.concat(parts, size);
}

function emitReadable(stream: any): void {
  const state = stream._readableState;
  state.needReadable = false;
  if (state.emittedReadable) return;
  state.emittedReadable = true;
  nextTick(emitReadableNow, stream);
}

function emitReadableNow(stream: any): void {
  const state = stream._readableState;
  if (!state.destroyed && !state.errored && (state.length || state.ended)) {
    stream.emit("readable");
    state.emittedReadable = false;
  }
  state.needReadable = !state.flowing && !state.ended && state.length <= state.highWaterMark;
  flow(stream);
}

function maybeReadMore(stream: any, state: any): void {
  if (state.readingMore || !state.constructed) return;
  state.readingMore = true;
  nextTick(readMore, stream, state);
}

function readMore(stream: any, state: any): void {
  while (
    !state.reading && !state.ended && (state.length < state.highWaterMark || (state.flowing && state.length === 0))
  ) {
    const before = state.length;
    stream.read(0);
    if (before === state.length) break;
  }
  state.readingMore = false;
}

proto._read = function (): void {
  throw codedError(Error, "ERR_METHOD_NOT_IMPLEMENTED", "The _read() method is not implemented");
};

proto.pipe = function pipe(this: any, target: any, options?: any): any {
  const source = this;
  const state = this._readableState;
  if (state.pipes.length === 1 && !state.multiAwaitDrain) {
    state.multiAwaitDrain = true;
    state.awaitDrainWriters = new Set(state.awaitDrainWriters ? [state.awaitDrainWriters] : []);
  }
  state.pipes[state.pipes.length] = target;
  const end = (!options || options.end !== false) && !target._isStdio;
  const onEndOrUnpipe = end ? () => target.end() : () => source.unpipe(target);
  if (state.endEmitted) nextTick(onEndOrUnpipe);
  else source.once("end", onEndOrUnpipe);
  let onDrain: any;
  let cleaned = false;
  const pause = (): void => {
    if (cleaned) return;
    if (state.pipes.length === 1 && state.pipes[0] === target) {
      state.awaitDrainWriters = target;
      state.multiAwaitDrain = false;
    } else if (state.pipes.length > 1 && arrayIndexOf(state.pipes, target) >= 0) setAdd(state.awaitDrainWriters, target);
    source.pause();
    if (onDrain !== undefined) return;
    onDrain = () => {
      if (state.awaitDrainWriters === target) state.awaitDrainWriters = null;
      else if (state.multiAwaitDrain) setDelete(state.awaitDrainWriters, target);
      if ((!state.awaitDrainWriters || setSizeOf(state.awaitDrainWriters) === 0) && source.listenerCount("data") > 0) source.resume();
    };
    target.on("drain", onDrain);
  };
  const onData = (chunk: any): void => {
    if (target.write(chunk) === false) pause();
  };
  const onError = (error: any): void => {
    source.unpipe(target);
    target.removeListener("error", onError);
    if (target.listenerCount("error") > 0) return;
    const s = target._writableState || target._readableState;
    if (s && !s.errorEmitted) errorOrDestroy(target, error);
    else target.emit("error", error);
  };
  const onClose = (): void => {
    target.removeListener("finish", onFinish);
    source.unpipe(target);
  };
  const onFinish = (): void => {
    target.removeListener("close", onClose);
    source.unpipe(target);
  };
  const onUnpipe = (readable: any, info: any): void => {
    if (readable !== source || !info || info.hasUnpiped) return;
    info.hasUnpiped = true;
    target.removeListener("close", onClose);
    target.removeListener("finish", onFinish);
    if (onDrain !== undefined) target.removeListener("drain", onDrain);
    target.removeListener("error", onError);
    target.removeListener("unpipe", onUnpipe);
    source.removeListener("end", onEndOrUnpipe);
    source.removeListener("data", onData);
    cleaned = true;
    const waiting = state.awaitDrainWriters && (!target._writableState || target._writableState.needDrain);
    if (onDrain !== undefined && waiting) onDrain();
  };
  source.on("data", onData);
  prependListener(target, "error", onError);
  target.once("close", onClose);
  target.once("finish", onFinish);
  target.on("unpipe", onUnpipe);
  target.emit("pipe", source);
  if (target.writableNeedDrain === true) pause();
  else if (!state.flowing) source.resume();
  return target;
};

function setSizeOf(writers: any): number {
  return writers instanceof Set ? setSize(writers) : 1;
}

proto.unpipe = function unpipe(this: any, target?: any): any {
  const state = this._readableState;
  if (state.pipes.length === 0) return this;
  if (!target) {
    const all = state.pipes;
    state.pipes = [];
    this.pause();
    for (let i = 0; i < all.length; i++) all[i].emit("unpipe", this, { hasUnpiped: false });
    return this;
  }
  const index = arrayIndexOf(state.pipes, target);
  if (index < 0) return this;
  arraySplice(state.pipes, index, 1);
  if (state.pipes.length === 0) this.pause();
  target.emit("unpipe", this, { hasUnpiped: false });
  return this;
};

proto.on = function on(this: any, event: any, listener: any): any {
  const result = apply((EventEmitter as any).prototype.on, this, [event, listener]);
  const state = this._readableState;
  if (event === "data") {
    state.readableListening = this.listenerCount("readable") > 0;
    if (state.flowing !== false) this.resume();
  } else if (event === "readable" && !state.endEmitted && !state.readableListening) {
    state.readableListening = state.needReadable = true;
    state.flowing = false;
    state.emittedReadable = false;
    if (state.length) emitReadable(this);
    else if (!state.reading) nextTick(() => this.read(0));
  }
  return result;
};
proto.addListener = proto.on;

proto.removeListener = function removeListener(this: any, event: any, listener: any): any {
  const result = apply((EventEmitter as any).prototype.removeListener, this, [event, listener]);
  if (event === "readable") nextTick(updateListening, this);
  return result;
};
proto.off = proto.removeListener;

proto.removeAllListeners = function removeAllListeners(this: any, event?: any): any {
  const result = apply((EventEmitter as any).prototype.removeAllListeners, this, arguments as any);
  if (event === "readable" || event === undefined) nextTick(updateListening, this);
  return result;
};

function updateListening(self: any): void {
  const state = self._readableState;
  state.readableListening = self.listenerCount("readable") > 0;
  if (state.resumeScheduled && state[kPaused] === false) state.flowing = true;
  else if (self.listenerCount("data") > 0) self.resume();
  else if (!state.readableListening) state.flowing = null;
}

proto.resume = function resume(this: any): any {
  const state = this._readableState;
  if (!state.flowing) {
    state.flowing = !state.readableListening;
    if (!state.resumeScheduled) {
      state.resumeScheduled = true;
      nextTick(resumeNow, this, state);
    }
  }
  state[kPaused] = false;
  return this;
};

function resumeNow(stream: any, state: any): void {
  if (!state.reading) stream.read(0);
  state.resumeScheduled = false;
  stream.emit("resume");
  flow(stream);
  if (state.flowing && !state.reading) stream.read(0);
}

proto.pause = function pause(this: any): any {
  if (this._readableState.flowing !== false) {
    this._readableState.flowing = false;
    this.emit("pause");
  }
  this._readableState[kPaused] = true;
  return this;
};

function flow(stream: any): void {
  const state = stream._readableState;
  while (state.flowing && stream.read() !== null) {}
}

function endReadable(stream: any): void {
  const state = stream._readableState;
  if (state.endEmitted) return;
  state.ended = true;
  nextTick(endNow, state, stream);
}

function endNow(state: any, stream: any): void {
  if (state.errored || state.closeEmitted || state.endEmitted || state.length !== 0) return;
  state.endEmitted = true;
  stream.emit("end");
  if (stream.writable && stream.allowHalfOpen === false) nextTick(() => {
    if (stream.writable && !stream.writableEnded && !stream.destroyed) stream.end();
  });
  else if (state.autoDestroy) {
    const w = stream._writableState;
    if (!w || (w.autoDestroy && (w.finished || w.writable === false))) stream.destroy();
  }
}

/** Wraps a stream of the oldest kind, which only flows. */
proto.wrap = function wrap(this: any, stream: any): any {
  let paused = false;
  stream.on("data", (chunk: any) => {
    if (!this.push(chunk) && stream.pause) {
      paused = true;
      stream.pause();
    }
  });
  stream.on("end", () => this.push(null));
  stream.on("error", (error: any) => errorOrDestroy(this, error));
  stream.on("close", () => this.destroy());
  stream.on("destroy", () => this.destroy());
  this._read = () => {
    if (paused && stream.resume) {
      paused = false;
      stream.resume();
    }
  };
  return this;
};

function view(read: (stream: any) => any, write?: (stream: any, value: any) => void): PropertyDescriptor {
  return {
    configurable: true, enumerable: false,
    get(this: any) { return read(this); },
    set(this: any, value: any) { write?.(this, value); },
  };
}

defineProperties(proto, {
  readable: {
    configurable: true, enumerable: true,
    get(this: any) {
      const r = this._readableState;
      return !!r && r.readable !== false && !r.destroyed && !r.errorEmitted && !r.endEmitted;
    },
    set(this: any, value: any) {
      if (this._readableState) this._readableState.readable = !!value;
    },
  },
  readableDidRead: view((s) => s._readableState.dataEmitted),
  readableAborted: view((s) => !!(s._readableState.readable !== false && (s._readableState.destroyed || s._readableState.errored) && !s._readableState.endEmitted)),
  readableHighWaterMark: view((s) => s._readableState.highWaterMark),
  readableBuffer: view((s) => s._readableState?.buffer),
  readableFlowing: view((s) => s._readableState.flowing, (s, value) => {
    if (s._readableState) s._readableState.flowing = value;
  }),
  readableLength: view((s) => s._readableState.length),
  readableObjectMode: view((s) => (s._readableState ? s._readableState.objectMode : false)),
  readableEncoding: view((s) => (s._readableState ? s._readableState.encoding : null)),
  readableEnded: view((s) => (s._readableState ? s._readableState.endEmitted : false)),
  errored: view((s) => (s._readableState ? s._readableState.errored : null)),
  closed: view((s) => (s._readableState ? s._readableState.closed : false)),
  destroyed: view((s) => (s._readableState ? s._readableState.destroyed : false), (s, value) => {
    if (s._readableState) s._readableState.destroyed = value;
  }),
});
