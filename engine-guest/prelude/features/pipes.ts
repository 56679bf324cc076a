/**
 * What a stream of bytes that only passes through a worker has no need of: places to put chunks, transforms, pipes
 * between them, and the strategies by which they queue.
 */
export { pipeThrough, pipeTo } from "../streams/pipe.ts";
export { ByteLengthQueuingStrategy, CountQueuingStrategy } from "../streams/strategies.ts";
export { TransformStream, TransformStreamDefaultController } from "../streams/transform.ts";
export { WritableStream, WritableStreamDefaultController, WritableStreamDefaultWriter } from "../streams/writable.ts";
