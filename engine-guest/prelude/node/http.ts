/**
 * `node:http`: requests go out by `fetch` and come in by the `fetch` handler.
 */
import { objectAssign } from "../library.ts";
import { TypeError, regExpExec } from "../primordials.ts";
import { codedError } from "./internal/errors.ts";
import { absent } from "./internal/absent.ts";
import { EventEmitter } from "./internal/emitter.ts";

const INSTEAD = "use fetch for requests, and the fetch handler to answer them";

const EventEmitterBase: any = EventEmitter;
const DEFAULT_PORT = 80;
const PROTOCOL = "http:";

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

export const METHODS = [
  "ACL", "BIND", "CHECKOUT", "CONNECT", "COPY", "DELETE", "GET", "HEAD", "LINK", "LOCK", "M-SEARCH", "MERGE",
  "MKACTIVITY", "MKCALENDAR", "MKCOL", "MOVE", "NOTIFY", "OPTIONS", "PATCH", "POST", "PROPFIND", "PROPPATCH", "PURGE",
  "PUT", "QUERY", "REBIND", "REPORT", "SEARCH", "SOURCE", "SUBSCRIBE", "TRACE", "UNBIND", "UNLINK", "UNLOCK",
  "UNSUBSCRIBE",
];

export const STATUS_CODES: Record<number, string> = {
  100: "Continue", 101: "Switching Protocols", 102: "Processing", 103: "Early Hints", 200: "OK", 201: "Created",
  202: "Accepted", 203: "Non-Authoritative Information", 204: "No Content", 205: "Reset Content",
  206: "Partial Content", 207: "Multi-Status", 208: "Already Reported", 226: "IM Used", 300: "Multiple Choices",
  301: "Moved Permanently", 302: "Found", 303: "See Other", 304: "Not Modified", 305: "Use Proxy",
  307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request", 401: "Unauthorized",
  402: "Payment Required", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable",
  407: "Proxy Authentication Required", 408: "Request Timeout", 409: "Conflict", 410: "Gone", 411: "Length Required",
  412: "Precondition Failed", 413: "Payload Too Large", 414: "URI Too Long", 415: "Unsupported Media Type",
  416: "Range Not Satisfiable", 417: "Expectation Failed", 418: "I'm a Teapot", 421: "Misdirected Request",
  422: "Unprocessable Entity", 423: "Locked", 424: "Failed Dependency", 425: "Too Early", 426: "Upgrade Required",
  428: "Precondition Required", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
  451: "Unavailable For Legal Reasons", 500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway",
  503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported",
  506: "Variant Also Negotiates", 507: "Insufficient Storage", 508: "Loop Detected", 509: "Bandwidth Limit Exceeded",
  510: "Not Extended", 511: "Network Authentication Required",
};
export const maxHeaderSize = 16384;

const TOKEN = /^[\^_`a-zA-Z\-0-9!#$%&'*+.|~]+$/;
const FIELD = /[^\t\x20-\x7e\x80-\xff]/;

export function validateHeaderName(name: any): void {
  if (typeof name !== "string" || regExpExec(TOKEN, name) === null) {
    throw codedError(TypeError, "ERR_INVALID_HTTP_TOKEN", `Header name must be a valid HTTP token ["${name}"]`);
  }
}

export function validateHeaderValue(name: any, value: any): void {
  if (value === undefined) throw codedError(TypeError, "ERR_HTTP_INVALID_HEADER_VALUE", `Invalid value "undefined" for header "${name}"`);
  if (regExpExec(FIELD, `${value}`) !== null) {
    throw codedError(TypeError, "ERR_INVALID_CHAR", `Invalid character in header content ["${name}"]`);
  }
}

export const request = absent("http", "request", INSTEAD);
export const get = absent("http", "get", INSTEAD);
export const createServer = absent("http", "createServer", INSTEAD);
export const Server = absent("http", "Server", INSTEAD);
export const ClientRequest = absent("http", "ClientRequest", INSTEAD);
export const IncomingMessage = absent("http", "IncomingMessage", INSTEAD);
export const ServerResponse = absent("http", "ServerResponse", INSTEAD);
export const OutgoingMessage = absent("http", "OutgoingMessage", INSTEAD);
export const WebSocket = absent("http", "WebSocket", INSTEAD);
export const setMaxIdleHTTPParsers = absent("http", "setMaxIdleHTTPParsers", INSTEAD);

export default {
  request, get, createServer, Server, ClientRequest, IncomingMessage, ServerResponse, OutgoingMessage, WebSocket,
  setMaxIdleHTTPParsers, Agent, globalAgent, METHODS, STATUS_CODES, maxHeaderSize, validateHeaderName,
  validateHeaderValue,
};
