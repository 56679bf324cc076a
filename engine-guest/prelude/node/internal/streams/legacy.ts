/**
 * `Stream`, the base of all: an emitter with the oldest `pipe`.
 */
import { setPrototypeOf } from "../../../primordials.ts";
import { EventEmitter } from "../emitter.ts";

export function Stream(this: any, options?: any): void {
  EventEmitter.call(this, options);
}
setPrototypeOf(Stream.prototype, EventEmitter.prototype);
setPrototypeOf(Stream, EventEmitter);

const proto: any = Stream.prototype;

proto.pipe = function pipe(this: any, target: any, options?: any): any {
  const source = this;
  const onData = (chunk: any): void => {
    if (target.writable && target.write(chunk) === false && source.pause) source.pause();
  };
  const onDrain = (): void => {
    if (source.readable && source.resume) source.resume();
  };
  let ended = false;
  const onEnd = (): void => {
    if (ended) return;
    ended = true;
    target.end();
  };
  const onClose = (): void => {
    if (ended) return;
    ended = true;
    if (typeof target.destroy === "function") target.destroy();
  };
  const onError = function (this: any, error: any): void {
    cleanup();
    if (this.listenerCount("error") === 0) this.emit("error", error);
  };
  const cleanup = (): void => {
    source.removeListener("data", onData);
    target.removeListener("drain", onDrain);
    source.removeListener("end", onEnd);
    source.removeListener("close", onClose);
    source.removeListener("error", onError);
    target.removeListener("error", onError);
    source.removeListener("end", cleanup);
    source.removeListener("close", cleanup);
    target.removeListener("close", cleanup);
  };
  source.on("data", onData);
  target.on("drain", onDrain);
  if (!target._isStdio && (!options || options.end !== false)) {
    source.on("end", onEnd);
    source.on("close", onClose);
  }
  prependListener(source, "error", onError);
  prependListener(target, "error", onError);
  source.on("end", cleanup);
  source.on("close", cleanup);
  target.on("close", cleanup);
  target.emit("pipe", source);
  return target;
};

/** Adds a listener before the others, on emitters of any age. */
export function prependListener(emitter: any, event: string, listener: any): void {
  if (typeof emitter.prependListener === "function") emitter.prependListener(event, listener);
  else emitter.on(event, listener);
}
