/**
 * `node:tls`: the host speaks TLS.
 */
import { absent } from "./internal/absent.ts";

const INSTEAD = "use fetch";
export const DEFAULT_MIN_VERSION = "TLSv1.2";
export const DEFAULT_MAX_VERSION = "TLSv1.3";
export const DEFAULT_ECDH_CURVE = "auto";
export const DEFAULT_CIPHERS = "";
export const CLIENT_RENEG_LIMIT = 3;
export const CLIENT_RENEG_WINDOW = 600;
export const rootCertificates: string[] = [];
export const connect = absent("tls", "connect", INSTEAD);
export const createServer = absent("tls", "createServer", INSTEAD);
export const createSecureContext = absent("tls", "createSecureContext", INSTEAD);
export const checkServerIdentity = absent("tls", "checkServerIdentity", INSTEAD);
export const getCiphers = absent("tls", "getCiphers", INSTEAD);
export const TLSSocket = absent("tls", "TLSSocket", INSTEAD);
export const Server = absent("tls", "Server", INSTEAD);
export const SecureContext = absent("tls", "SecureContext", INSTEAD);
export const convertALPNProtocols = absent("tls", "convertALPNProtocols", INSTEAD);

export default {
  connect, createServer, createSecureContext, checkServerIdentity, getCiphers, TLSSocket, Server, SecureContext,
  convertALPNProtocols, DEFAULT_MIN_VERSION, DEFAULT_MAX_VERSION, DEFAULT_ECDH_CURVE, DEFAULT_CIPHERS,
  CLIENT_RENEG_LIMIT, CLIENT_RENEG_WINDOW, rootCertificates,
};
