/**
 * `Duplex`, `Transform` and `PassThrough`.
 */
import { objectAssign } from "../../../library.ts";
import {
  Error, Symbol, apply, defineProperties, defineProperty, objectKeys, setPrototypeOf,
} from "../../../primordials.ts";
import { codedError } from "../errors.ts";
import { nextTick } from "../ticks.ts";
import { constructStream, errorOrDestroy } from "./destroy.ts";
import { Stream } from "./legacy.ts";
import { Readable, initReadable } from "./readable.ts";
import { initWritable, writableMethods, writableViews } from "./writable.ts";

export function Duplex(this: any, options?: any): any {
  if (!(this instanceof (Duplex as any))) return new (Duplex as any)(options);
  initReadable(this, options, true);
  initWritable(this, options, true);
  this.allowHalfOpen = options?.allowHalfOpen !== false;
  if (options?.readable === false) {
    objectAssign(this._readableState, { readable: false, ended: true, endEmitted: true });
  }
  if (options?.writable === false) {
    objectAssign(this._writableState, { writable: false, ending: true, ended: true, finished: true });
  }
  Stream.call(this, options);
  constructStream(this, () => {
    const { _writableState: w } = this;
    if (this._readableState.needReadable) this.read(0);
    if (!w.writing && w.buffered.length > 0) {
      w.corked++;
      this.uncork();
    }
  });
}
setPrototypeOf(Duplex.prototype, Readable.prototype);
setPrototypeOf(Duplex, Readable);

const proto: any = Duplex.prototype;
const names = objectKeys(writableMethods);
for (let i = 0; i < names.length; i++) {
  const name = names[i]!;
  if (name !== "_destroy" && name !== "_undestroy") proto[name] = writableMethods[name];
}
defineProperties(proto, writableViews);
defineProperty(proto, "destroyed", {
  configurable: true,
  get(this: any) {
    const { _readableState: r, _writableState: w } = this;
    return r !== undefined && w !== undefined && r.destroyed && w.destroyed;
  },
  set(this: any, value: any) {
    if (!this._readableState || !this._writableState) return;
    this._readableState.destroyed = value;
    this._writableState.destroyed = value;
  },
});

const kCallback = Symbol("kCallback");

export function Transform(this: any, options?: any): any {
  if (!(this instanceof (Transform as any))) return new (Transform as any)(options);
  const mark = options ? options.readableHighWaterMark ?? options.highWaterMark : undefined;
  const given = mark === 0 && options.writableHighWaterMark === undefined
    ? { ...options, highWaterMark: null, readableHighWaterMark: 0, writableHighWaterMark: 0 } : options;
  Duplex.call(this, given);
  this._readableState.sync = false;
  this[kCallback] = null;
  if (options) {
    if (typeof options.transform === "function") this._transform = options.transform;
    if (typeof options.flush === "function") this._flush = options.flush;
  }
  this.on("prefinish", prefinish);
}
setPrototypeOf(Transform.prototype, Duplex.prototype);
setPrototypeOf(Transform, Duplex);

function flushed(this: any, callback?: any): void {
  const end = (error?: any, data?: any): void => {
    if (error) {
      if (callback) callback(error);
      else this.destroy(error);
      return;
    }
    if (data !== null && data !== undefined) this.push(data);
    this.push(null);
    if (callback) callback();
  };
  if (typeof this._flush === "function" && !this.destroyed) this._flush(end);
  else end();
}

function prefinish(this: any): void {
  if (this._final !== flushed) apply(flushed, this, []);
}

const transform: any = Transform.prototype;
transform._final = flushed;
transform._transform = function (): void {
  throw codedError(Error, "ERR_METHOD_NOT_IMPLEMENTED", "The _transform() method is not implemented");
};
transform._write = function (this: any, chunk: any, encoding: any, callback: any): void {
  const r = this._readableState;
  const w = this._writableState;
  const { length } = r;
  this._transform(chunk, encoding, (error: any, data: any) => {
    if (error) return callback(error);
    if (data !== null && data !== undefined) this.push(data);
    if (w.ended || length === r.length || r.length < r.highWaterMark) callback();
    else this[kCallback] = callback;
  });
};
transform._read = function (this: any): void {
  const callback = this[kCallback];
  if (!callback) return;
  this[kCallback] = null;
  callback();
};

export function PassThrough(this: any, options?: any): any {
  if (!(this instanceof (PassThrough as any))) return new (PassThrough as any)(options);
  Transform.call(this, options);
}
setPrototypeOf(PassThrough.prototype, Transform.prototype);
setPrototypeOf(PassThrough, Transform);
(PassThrough as any).prototype._transform = function (chunk: any, _encoding: any, callback: any): void {
  callback(null, chunk);
};

/** A duplex out of a readable and a writable that are linked elsewhere. */
export function pair(readable: any, writable: any): any {
  const duplex = new (Duplex as any)({
    readableObjectMode: !!readable?.readableObjectMode, writableObjectMode: !!writable?.writableObjectMode,
    readable: !!readable, writable: !!writable,
  });
  let resume: any = null;
  if (writable) {
    duplex._write = (chunk: any, encoding: any, callback: any): void => {
      if (writable.write(chunk, encoding)) callback();
      else resume = callback;
    };
    duplex._final = (callback: any): void => {
      writable.end();
      writable.once("finish", () => callback());
    };
    writable.on("drain", () => {
      const callback = resume;
      resume = null;
      if (callback) callback();
    });
    writable.on("error", (error: any) => errorOrDestroy(duplex, error));
  }
  if (readable) {
    const pull = (): void => {
      for (let chunk = readable.read(); chunk !== null; chunk = readable.read()) if (!duplex.push(chunk)) return;
    };
    readable.on("readable", pull);
    readable.on("end", () => duplex.push(null));
    readable.on("error", (error: any) => errorOrDestroy(duplex, error));
    duplex._read = () => nextTick(pull);
  }
  duplex._destroy = (error: any, callback: any): void => {
    if (readable && !readable.destroyed) readable.destroy(error);
    if (writable && !writable.destroyed && (error || !writable.writableFinished)) writable.destroy(error);
    callback(error);
  };
  return duplex;
}
