/**
 * `node:tty`: nothing is a terminal.
 */
import { absent } from "./internal/absent.ts";

const INSTEAD = "write to the console";
export const isatty = (_descriptor: any): boolean => false;
export const ReadStream = absent("tty", "ReadStream", INSTEAD);
export const WriteStream = absent("tty", "WriteStream", INSTEAD);

export default {
  ReadStream, WriteStream, isatty,
};
