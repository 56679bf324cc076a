/**
 * Values as they are stored: the tokens that calls of methods travel in, without what only a call can carry.
 */
import { DOMException } from "../../errors.ts";
import { TypeError } from "../../primordials.ts";
import { decode } from "../rpc/decode.ts";
import { encode } from "../rpc/encode.ts";

export function encodeValue(value: unknown): any[] {
  const { tokens, exports, bodies } = encode(value);
  if (exports.length > 0 || bodies.length > 0) {
    throw new DOMException("functions, stubs and streams can't be stored", "DataCloneError");
  }
  return tokens;
}

function notStored(): never {
  throw new TypeError("a stored value is not well-formed");
}

export function decodeValue(tokens: any): any {
  return decode(tokens, { body: notStored, stub: notStored });
}
