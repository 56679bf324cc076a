/**
 * `Writable`: chunks go to `_write` one at a time; what comes meanwhile waits in a queue.
 */
import { hasInstance, objectAssign, symbolFor } from "../../../library.ts";
import {
  Error, Symbol, TypeError, apply, arrayShift, arraySlice, bytesOf, defineProperties, defineProperty, isView,
  setPrototypeOf, stringLower,
} from "../../../primordials.ts";
import { codedError, invalidArgType } from "../errors.ts";
import { Buffer, bufferOver } from "../buffer.ts";
import { nextTick } from "../ticks.ts";
import { constructStream, destroy, errorOrDestroy, undestroy } from "./destroy.ts";
import { Stream } from "./legacy.ts";
import { addAbortSignal, highWaterMarkOf } from "./options.ts";
import { knownEncoding } from "../encodings.ts";

const nothing = (): void => {};
const kOnFinished = Symbol("kOnFinished");

export function WritableState(this: any, options: any, stream: any, duplex: boolean): void {
  const objectMode = !!options?.objectMode || (duplex && !!options?.writableObjectMode);
  objectAssign(this, {
    objectMode, highWaterMark: highWaterMarkOf(options, "writableHighWaterMark", duplex, objectMode), finalCalled: false,
    needDrain: false, ending: false, ended: false, finished: false, destroyed: false,
    decodeStrings: options?.decodeStrings !== false, defaultEncoding: options?.defaultEncoding || "utf8", length: 0,
    writing: false, corked: 0, sync: true, bufferProcessing: false, writecb: null, writelen: 0, afterWriteTickInfo: null,
    buffered: [], pendingcb: 0, constructed: true, prefinished: false, errorEmitted: false,
    emitClose: options?.emitClose !== false, autoDestroy: options?.autoDestroy !== false, errored: null, closed: false,
    closeEmitted: false, [kOnFinished]: [],
  });
  this.onwrite = (error?: any): void => onWrite(stream, error);
}

WritableState.prototype.getBuffer = function (this: any): any[] {
  return arraySlice(this.buffered);
};
defineProperty(WritableState.prototype, "bufferedRequestCount", {
  get(this: any) {
    return this.buffered.length;
  },
});

export function Writable(this: any, options?: any): any {
  if (!(this instanceof (Writable as any))) return new (Writable as any)(options);
  initWritable(this, options, false);
  Stream.call(this, options);
  constructStream(this, () => {
    const state = this._writableState;
    if (!state.writing) clearBuffer(this, state);
    finishMaybe(this, state);
  });
}

export function initWritable(stream: any, options: any, duplex: boolean): void {
  stream._writableState = new (WritableState as any)(options, stream, duplex);
  if (!options) return;
  if (typeof options.write === "function") stream._write = options.write;
  if (typeof options.writev === "function") stream._writev = options.writev;
  if (typeof options.destroy === "function") stream._destroy = options.destroy;
  if (typeof options.final === "function") stream._final = options.final;
  if (typeof options.construct === "function") stream._construct = options.construct;
  if (options.signal) nextTick(() => addAbortSignal(options.signal, stream));
}

setPrototypeOf(Writable.prototype, Stream.prototype);
setPrototypeOf(Writable, Stream);
(Writable as any).WritableState = WritableState;

/** A Duplex is a Writable too, though no instance of the class. */
defineProperty(Writable, Symbol.hasInstance, {
  value(this: any, object: any) {
    if (hasInstance(this, object)) return true;
    return this === Writable && !!object && object._writableState instanceof (WritableState as any);
  },
});

export const writableMethods: any = {};
const proto: any = Writable.prototype;

writableMethods.write = function write(this: any, chunk: any, encoding?: any, callback?: any): boolean {
  if (typeof encoding === "function") {
    callback = encoding;
    encoding = null;
  }
  return writeChunk(this, chunk, encoding, callback) === true;
};

function writeChunk(stream: any, given: any, encoding: any, callback: any): any {
  const state = stream._writableState;
  const done = typeof callback === "function" ? callback : nothing;
  let chunk = given;
  let known = encoding || state.defaultEncoding;
  if (encoding && encoding !== "buffer" && knownEncoding(encoding) === undefined) {
    throw codedError(TypeError, "ERR_UNKNOWN_ENCODING", `Unknown encoding: ${encoding}`);
  }
  if (chunk === null) throw codedError(TypeError, "ERR_STREAM_NULL_VALUES", "May not write null values to stream");
  if (!state.objectMode) {
    if (typeof chunk === "string") {
      if (state.decodeStrings) {
        chunk = Buffer.from(chunk, known);
        known = "buffer";
      }
    } else if (chunk instanceof Buffer) known = "buffer";
    else if (isView(chunk)) {
      chunk = bufferOver(bytesOf(chunk)!);
      known = "buffer";
    } else throw invalidArgType("chunk", "of type string or an instance of Buffer, TypedArray, or DataView", chunk);
  }
  let error: any;
  if (state.ending) error = codedError(Error, "ERR_STREAM_WRITE_AFTER_END", "write after end");
  else if (state.destroyed) error = codedError(Error, "ERR_STREAM_DESTROYED", "Cannot call write after a stream was destroyed");
  if (error) {
    nextTick(done, error);
    errorOrDestroy(stream, error, true);
    return error;
  }
  state.pendingcb++;
  return writeOrBuffer(stream, state, chunk, known, done);
}

function writeOrBuffer(stream: any, state: any, chunk: any, encoding: any, callback: any): boolean {
  const length = state.objectMode ? 1 : chunk.length;
  state.length += length;
  const room = state.length < state.highWaterMark;
  if (!room) state.needDrain = true;
  if (state.writing || state.corked || state.errored || !state.constructed) {
    state.buffered[state.buffered.length] = { chunk, encoding, callback };
  } else {
    startWrite(state, length, callback);
    stream._write(chunk, encoding, state.onwrite);
    state.sync = false;
  }
  return room && !state.errored && !state.destroyed;
}

function startWrite(state: any, length: number, callback: any): void {
  state.writelen = length;
  state.writecb = callback;
  state.writing = true;
  state.sync = true;
}

function onWriteError(stream: any, state: any, error: any, callback: any): void {
  --state.pendingcb;
  callback(error);
  failBuffered(state);
  errorOrDestroy(stream, error);
}

function onWrite(stream: any, error: any): void {
  const state = stream._writableState;
  const { sync, writecb } = state;
  if (typeof writecb !== "function") {
    errorOrDestroy(stream, codedError(Error, "ERR_MULTIPLE_CALLBACK", "Callback called multiple times"));
    return;
  }
  state.writing = false;
  state.writecb = null;
  state.length -= state.writelen;
  state.writelen = 0;
  if (error) {
    if (!state.errored) state.errored = error;
    const r = stream._readableState;
    if (r && !r.errored) r.errored = error;
    if (sync) nextTick(onWriteError, stream, state, error, writecb);
    else onWriteError(stream, state, error, writecb);
    return;
  }
  if (state.buffered.length > 0) clearBuffer(stream, state);
  if (!sync) return afterWrite(stream, state, 1, writecb);
  if (state.afterWriteTickInfo !== null && state.afterWriteTickInfo.callback === writecb) {
    state.afterWriteTickInfo.count++;
  } else {
    const info = (state.afterWriteTickInfo = { count: 1, callback: writecb });
    nextTick(() => {
      if (state.afterWriteTickInfo === info) state.afterWriteTickInfo = null;
      afterWrite(stream, state, info.count, info.callback);
    });
  }
}

function afterWrite(stream: any, state: any, count: number, callback: any): void {
  const needDrain = !state.ending && !stream.destroyed && state.length === 0 && state.needDrain;
  if (needDrain) {
    state.needDrain = false;
    stream.emit("drain");
  }
  while (count-- > 0) {
    state.pendingcb--;
    callback(null);
  }
  if (state.destroyed) failBuffered(state);
  finishMaybe(stream, state);
}

function failBuffered(state: any): void {
  if (state.writing) return;
  const { buffered } = state;
  state.buffered = [];
  for (let i = 0; i < buffered.length; i++) {
    const { chunk, callback } = buffered[i];
    state.length -= state.objectMode ? 1 : chunk.length;
    callback(state.errored ?? codedError(Error, "ERR_STREAM_DESTROYED", "Cannot call write after a stream was destroyed"));
  }
  callFinished(state, state.errored ?? codedError(Error, "ERR_STREAM_DESTROYED", "Cannot call end after a stream was destroyed"));
}

function callFinished(state: any, error?: any): void {
  const callbacks = state[kOnFinished];
  state[kOnFinished] = [];
  for (let i = 0; i < callbacks.length; i++) {
    if (error === undefined) callbacks[i]();
    else callbacks[i](error);
  }
}

function clearBuffer(stream: any, state: any): void {
  if (state.corked || state.bufferProcessing || state.destroyed || !state.constructed || state.buffered.length === 0) return;
  state.bufferProcessing = true;
  if (state.buffered.length > 1 && stream._writev) {
    const chunks: any = state.buffered;
    state.buffered = [];
    state.pendingcb -= chunks.length - 1;
    const callback = (error: any): void => {
      for (let i = 0; i < chunks.length; i++) chunks[i].callback(error);
    };
    let buffers = true;
    for (let i = 0; i < chunks.length; i++) buffers &&= chunks[i].encoding === "buffer";
    chunks.allBuffers = buffers;
    startWrite(state, state.length, callback);
    stream._writev(chunks, state.onwrite);
    state.sync = false;
  } else {
    while (state.buffered.length > 0 && !state.writing) {
      const { chunk, encoding, callback } = arrayShift(state.buffered);
      startWrite(state, state.objectMode ? 1 : chunk.length, callback);
      stream._write(chunk, encoding, state.onwrite);
      state.sync = false;
    }
  }
  state.bufferProcessing = false;
}

writableMethods._write = function (this: any, chunk: any, encoding: any, callback: any): void {
  if (!this._writev) throw codedError(Error, "ERR_METHOD_NOT_IMPLEMENTED", "The _write() method is not implemented");
  this._writev([{ chunk, encoding }], callback);
};
writableMethods._writev = null;

writableMethods.cork = function cork(this: any): void {
  this._writableState.corked++;
};
writableMethods.uncork = function uncork(this: any): void {
  const state = this._writableState;
  if (!state.corked) return;
  state.corked--;
  if (!state.writing) clearBuffer(this, state);
};
writableMethods.setDefaultEncoding = function setDefaultEncoding(this: any, encoding: any): any {
  const known = typeof encoding === "string" ? stringLower(encoding) : encoding;
  if (knownEncoding(known) === undefined) throw codedError(TypeError, "ERR_UNKNOWN_ENCODING", `Unknown encoding: ${encoding}`);
  this._writableState.defaultEncoding = known;
  return this;
};

writableMethods.end = function end(this: any, chunk?: any, encoding?: any, callback?: any): any {
  const state = this._writableState;
  if (typeof chunk === "function") {
    callback = chunk;
    chunk = null;
    encoding = null;
  } else if (typeof encoding === "function") {
    callback = encoding;
    encoding = null;
  }
  let error: any;
  if (chunk !== null && chunk !== undefined) {
    const result = writeChunk(this, chunk, encoding, undefined);
    if (result instanceof Error) error = result;
  }
  if (state.corked) {
    state.corked = 1;
    this.uncork();
  }
  if (!error && !state.errored && !state.ending) {
    state.ending = true;
    finishMaybe(this, state, true);
    state.ended = true;
  } else if (!error) {
    if (state.finished) error = codedError(Error, "ERR_STREAM_ALREADY_FINISHED", "Cannot call end after a stream was finished");
    else if (state.destroyed) error = codedError(Error, "ERR_STREAM_DESTROYED", "Cannot call end after a stream was destroyed");
  }
  if (typeof callback === "function") {
    if (error) nextTick(callback, error);
    else if (state.errored) nextTick(callback, state.errored);
    else if (state.finished) nextTick(callback);
    else state[kOnFinished][state[kOnFinished].length] = callback;
  }
  return this;
};

function needsFinish(state: any): boolean {
  return state.ending && !state.destroyed && state.constructed && state.length === 0 && !state.errored
    && state.buffered.length === 0 && !state.finished && !state.writing && !state.errorEmitted && !state.closeEmitted;
}

function finalize(stream: any, state: any): void {
  let called = false;
  const done = (error?: any): void => {
    if (called) {
      errorOrDestroy(stream, error ?? codedError(Error, "ERR_MULTIPLE_CALLBACK", "Callback called multiple times"));
      return;
    }
    called = true;
    state.pendingcb--;
    if (error) {
      callFinished(state, error);
      errorOrDestroy(stream, error, state.sync);
    } else if (needsFinish(state)) {
      state.prefinished = true;
      stream.emit("prefinish");
      state.pendingcb++;
      nextTick(finish, stream, state);
    }
  };
  state.sync = true;
  state.pendingcb++;
  try {
    stream._final(done);
  } catch (error) {
    done(error);
  }
  state.sync = false;
}

function prefinish(stream: any, state: any): void {
  if (state.prefinished || state.finalCalled) return;
  if (typeof stream._final === "function" && !state.destroyed) {
    state.finalCalled = true;
    finalize(stream, state);
  } else {
    state.prefinished = true;
    stream.emit("prefinish");
  }
}

function finishMaybe(stream: any, state: any, sync: boolean = false): void {
  if (!needsFinish(state)) return;
  prefinish(stream, state);
  if (state.pendingcb !== 0) return;
  if (sync) {
    state.pendingcb++;
    nextTick(() => {
      if (needsFinish(state)) finish(stream, state);
      else state.pendingcb--;
    });
  } else if (needsFinish(state)) {
    state.pendingcb++;
    finish(stream, state);
  }
}

function finish(stream: any, state: any): void {
  state.pendingcb--;
  state.finished = true;
  callFinished(state);
  stream.emit("finish");
  if (!state.autoDestroy) return;
  const r = stream._readableState;
  if (!r || (r.autoDestroy && (r.endEmitted || r.readable === false))) stream.destroy();
}

writableMethods.destroy = function (this: any, error?: any, callback?: any): any {
  const state = this._writableState;
  if (!state.destroyed && (state.buffered.length > 0 || state[kOnFinished].length > 0)) nextTick(failBuffered, state);
  return apply(destroy, this, [error, callback]);
};
writableMethods._undestroy = undestroy;
writableMethods._destroy = function (error: any, callback: any): void {
  callback(error);
};
objectAssign(proto, writableMethods);
proto.pipe = function (this: any): void {
  errorOrDestroy(this, codedError(Error, "ERR_STREAM_CANNOT_PIPE", "Cannot pipe, not readable"));
};
proto[symbolFor("nodejs.rejection")] = function (this: any, error: any): void {
  this.destroy(error);
};

function view(read: (state: any, stream: any) => any, write?: (state: any, value: any) => void): PropertyDescriptor {
  return {
    configurable: true, enumerable: false,
    get(this: any) { return this._writableState ? read(this._writableState, this) : undefined; },
    set(this: any, value: any) { if (this._writableState) write?.(this._writableState, value); },
  };
}

export const writableViews: PropertyDescriptorMap = {
  writable: view(
    (w) => w.writable !== false && !w.destroyed && !w.errored && !w.ending && !w.ended,
    (w, value) => { w.writable = !!value; },
  ),
  writableFinished: view((w) => w.finished),
  writableObjectMode: view((w) => w.objectMode),
  writableBuffer: view((w) => w.getBuffer()),
  writableEnded: view((w) => w.ending),
  writableNeedDrain: view((w) => !w.destroyed && !w.ending && w.needDrain),
  writableHighWaterMark: view((w) => w.highWaterMark),
  writableCorked: view((w) => w.corked),
  writableLength: view((w) => w.length),
  writableAborted: view((w) => !!(w.writable !== false && (w.destroyed || w.errored) && !w.finished)),
};
defineProperties(proto, writableViews);
defineProperties(proto, {
  destroyed: view((w) => w.destroyed, (w, value) => { w.destroyed = value; }),
  errored: view((w) => w.errored),
  closed: view((w) => w.closed),
});
