/**
 * Durable objects, from both sides: what `env.ROOM` is to those who call, and what an instance that is an object does
 * with its events.
 */
export { WebSocketRequestResponsePair } from "./objects/autoresponse.ts";
export { decodeValue, encodeValue } from "./objects/values.ts";
export { onAlarm, onClosed, onFetch, onInit, onMessage, onRpc } from "./objects/events.ts";
export { makeNamespace } from "./objects/namespace.ts";
