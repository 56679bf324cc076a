/**
 * `node:events`. `EventEmitter` is a function rather than a class: old packages call it on their own objects.
 */
import { objectAssign } from "../library.ts";
import { once, on } from "./internal/eventwaits.ts";
import { EventEmitterAsyncResource, linkEmitter } from "./internal/emitterresource.ts";
import {
  EventEmitter, captureRejectionSymbol, errorMonitor, getEventListeners, getMaxListeners, listenerCount,
  setMaxListeners,
} from "./internal/emitter.ts";
import { addAbortListener } from "./internal/abortlistener.ts";

const statics: any = {
  once, on, getEventListeners, getMaxListeners, listenerCount, setMaxListeners, addAbortListener, errorMonitor,
  captureRejectionSymbol, EventEmitter, usingDomains: false,
};
linkEmitter(EventEmitter);
objectAssign(EventEmitter, statics);
EventEmitter.EventEmitterAsyncResource = EventEmitterAsyncResource;

export const usingDomains = false;
export const defaultMaxListeners: number = EventEmitter.defaultMaxListeners;
export const captureRejections: boolean = EventEmitter.captureRejections;
export const init = EventEmitter.init;
export {
  EventEmitter, EventEmitterAsyncResource, addAbortListener, captureRejectionSymbol, errorMonitor, getEventListeners,
  getMaxListeners, listenerCount, on, once, setMaxListeners,
};
export default EventEmitter;
