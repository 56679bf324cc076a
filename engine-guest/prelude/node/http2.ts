/**
 * `node:http2`: requests go out by `fetch`, which chooses the protocol itself.
 */
import { Symbol, freeze } from "../primordials.ts";
import { absent } from "./internal/absent.ts";

const INSTEAD = "use fetch";
export const constants = freeze({
  NGHTTP2_CANCEL: 8, NGHTTP2_NO_ERROR: 0, HTTP2_HEADER_STATUS: ":status", HTTP2_HEADER_METHOD: ":method",
  HTTP2_HEADER_PATH: ":path", HTTP2_HEADER_AUTHORITY: ":authority", HTTP2_HEADER_SCHEME: ":scheme",
});
export const sensitiveHeaders = Symbol("nodejs.http2.sensitiveHeaders");
export const connect = absent("http2", "connect", INSTEAD);
export const createServer = absent("http2", "createServer", INSTEAD);
export const createSecureServer = absent("http2", "createSecureServer", INSTEAD);
export const getDefaultSettings = absent("http2", "getDefaultSettings", INSTEAD);
export const getPackedSettings = absent("http2", "getPackedSettings", INSTEAD);
export const getUnpackedSettings = absent("http2", "getUnpackedSettings", INSTEAD);
export const performServerHandshake = absent("http2", "performServerHandshake", INSTEAD);
export const Http2ServerRequest = absent("http2", "Http2ServerRequest", INSTEAD);
export const Http2ServerResponse = absent("http2", "Http2ServerResponse", INSTEAD);

export default {
  connect, createServer, createSecureServer, getDefaultSettings, getPackedSettings, getUnpackedSettings,
  performServerHandshake, Http2ServerRequest, Http2ServerResponse, constants, sensitiveHeaders,
};
