/**
 * `node:stream/consumers`: a whole stream as one value. Streams of both kinds, and iterables.
 */
import { utf8Encode } from "../../native.ts";
import {
  ArrayBuffer, Promise, Uint8Array, bytesOf, concatBytes, jsonParse, typedArrayBuffer,
} from "../../primordials.ts";
import { invalidArgType } from "../internal/errors.ts";
import { Blob } from "../../blob.ts";
import { TextDecoder } from "../../encoding.ts";
import { Buffer } from "../internal/buffer.ts";

async function bytes(stream: any): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) {
    const part = typeof chunk === "string" ? utf8Encode(chunk) : bytesOf(chunk);
    if (part === null) throw invalidArgType("chunk", "of type string or an instance of Buffer or Uint8Array", chunk);
    chunks[chunks.length] = part;
  }
  return chunks.length === 1 ? new Uint8Array(chunks[0]!) : concatBytes(chunks);
}

export async function arrayBuffer(stream: any): Promise<ArrayBuffer> {
  return typedArrayBuffer(await bytes(stream));
}

export async function buffer(stream: any): Promise<any> {
  return Buffer.from(await arrayBuffer(stream));
}

export async function blob(stream: any): Promise<any> {
  return new (Blob as any)([await bytes(stream)]);
}

export async function text(stream: any): Promise<string> {
  const decoder: any = new (TextDecoder as any)();
  let whole = "";
  for await (const chunk of stream) whole += typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
  return whole + decoder.decode();
}

export async function json(stream: any): Promise<any> {
  return jsonParse(await text(stream));
}

export default { arrayBuffer, blob, buffer, json, text };
