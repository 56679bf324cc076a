/**
 * `node:https`: requests go out by `fetch`.
 */
import { objectAssign } from "../library.ts";
import { absent } from "./internal/absent.ts";
import { EventEmitter } from "./internal/emitter.ts";

const INSTEAD = "use fetch for requests, and the fetch handler to answer them";

const EventEmitterBase: any = EventEmitter;
const DEFAULT_PORT = 443;
const PROTOCOL = "https:";

/** Packages make agents when they are loaded; there is nothing for one to do. */
export class Agent extends EventEmitterBase {
  options: any;
  keepAlive: boolean;
  maxSockets: number;
  maxFreeSockets: number;
  requests: any = {};
  sockets: any = {};
  freeSockets: any = {};
  defaultPort = DEFAULT_PORT;
  protocol = PROTOCOL;

  constructor(options: any = {}) {
    super();
    this.options = objectAssign({}, options);
    this.keepAlive = !!options.keepAlive;
    this.maxSockets = options.maxSockets ?? Infinity;
    this.maxFreeSockets = options.maxFreeSockets ?? 256;
  }

  destroy(): void {
    this.requests = {};
  }
}
export const globalAgent = new Agent({ keepAlive: true });

export const request = absent("https", "request", INSTEAD);
export const get = absent("https", "get", INSTEAD);
export const createServer = absent("https", "createServer", INSTEAD);
export const Server = absent("https", "Server", INSTEAD);

export default {
  request, get, createServer, Server, Agent, globalAgent,
};
