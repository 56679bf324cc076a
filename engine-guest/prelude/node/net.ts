/**
 * `node:net`: addresses can be told apart; sockets there are none.
 */
import { regExpExec, stringIndexOf, stringSlice, stringSplit } from "../primordials.ts";
import { absent } from "./internal/absent.ts";

const INSTEAD = "use fetch";
const V4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)$/;

export function isIPv4(text: any): boolean {
  return regExpExec(V4, `${text}`) !== null;
}

/** Groups of four digits, one gap at most, and an address of version 4 at the end if there is one. */
export function isIPv6(given: any): boolean {
  const zone = stringIndexOf(`${given}`, "%");
  const text: string = zone < 0 ? `${given}` : stringSlice(`${given}`, 0, zone);
  const halves: string[] = stringSplit(text, "::");
  if (halves.length > 2 || stringIndexOf(text, ":") < 0) return false;
  let groups = 0;
  for (let h = 0; h < halves.length; h++) {
    if (halves[h] === "") {
      if (halves.length === 1) return false;
      continue;
    }
    const parts: string[] = stringSplit(halves[h]!, ":");
    for (let i = 0; i < parts.length; i++) {
      const last = h === halves.length - 1 && i === parts.length - 1;
      if (last && isIPv4(parts[i])) groups += 2;
      else if (regExpExec(/^[0-9a-f]{1,4}$/i, parts[i]) !== null) groups++;
      else return false;
    }
  }
  return halves.length === 2 ? groups < 8 : groups === 8;
}

export function isIP(text: any): number {
  return isIPv4(text) ? 4 : isIPv6(text) ? 6 : 0;
}

export const getDefaultAutoSelectFamily = (): boolean => true;
export function setDefaultAutoSelectFamily(_value: any): void {}
export const getDefaultAutoSelectFamilyAttemptTimeout = (): number => 250;
export function setDefaultAutoSelectFamilyAttemptTimeout(_value: any): void {}
export const connect = absent("net", "connect", INSTEAD);
export const createConnection = absent("net", "createConnection", INSTEAD);
export const createServer = absent("net", "createServer", INSTEAD);
export const Socket = absent("net", "Socket", INSTEAD);
export const Stream = absent("net", "Stream", INSTEAD);
export const Server = absent("net", "Server", INSTEAD);
export const BlockList = absent("net", "BlockList", INSTEAD);
export const SocketAddress = absent("net", "SocketAddress", INSTEAD);

export default {
  connect, createConnection, createServer, Socket, Stream, Server, BlockList, SocketAddress, isIP, isIPv4, isIPv6,
  getDefaultAutoSelectFamily, setDefaultAutoSelectFamily, getDefaultAutoSelectFamilyAttemptTimeout,
  setDefaultAutoSelectFamilyAttemptTimeout,
};
