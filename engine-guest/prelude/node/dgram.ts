/**
 * `node:dgram`: no datagrams.
 */
import { absent } from "./internal/absent.ts";

const INSTEAD = "use fetch";
export const createSocket = absent("dgram", "createSocket", INSTEAD);
export const Socket = absent("dgram", "Socket", INSTEAD);

export default {
  createSocket, Socket,
};
