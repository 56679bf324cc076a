/**
 * `node:worker_threads`: this is the one thread.
 */
import { symbolFor } from "../library.ts";
import { Map, mapGet, mapSet } from "../primordials.ts";
import { absent } from "./internal/absent.ts";

const INSTEAD = "use a service binding";
export const isMainThread = true;
export const parentPort = null;
export const workerData = null;
export const threadId = 0;
export const resourceLimits = {};
export const SHARE_ENV = symbolFor("nodejs.worker_threads.SHARE_ENV");
export const { MessageChannel, MessagePort, BroadcastChannel } = globalThis as any;
export function markAsUntransferable(_object: any): void {}
export const isMarkedAsUntransferable = (_object: any): boolean => false;
export const getEnvironmentData = (key: any): any => mapGet(environmentData, key);
export function setEnvironmentData(key: any, value: any): void {
  mapSet(environmentData, key, value);
}
const environmentData = new Map<any, any>();
export const Worker = absent("worker_threads", "Worker", INSTEAD);
export const markAsUncloneable = absent("worker_threads", "markAsUncloneable", INSTEAD);
export const moveMessagePortToContext = absent("worker_threads", "moveMessagePortToContext", INSTEAD);
export const receiveMessageOnPort = absent("worker_threads", "receiveMessageOnPort", INSTEAD);
export const postMessageToThread = absent("worker_threads", "postMessageToThread", INSTEAD);

export default {
  Worker, markAsUncloneable, moveMessagePortToContext, receiveMessageOnPort, postMessageToThread, isMainThread,
  parentPort, workerData, threadId, resourceLimits, SHARE_ENV, MessageChannel, MessagePort, BroadcastChannel,
  markAsUntransferable, isMarkedAsUntransferable, getEnvironmentData, setEnvironmentData,
};
