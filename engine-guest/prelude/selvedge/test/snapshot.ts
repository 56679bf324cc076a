/**
 * Snapshots that stand in the test itself. What is new, or is to be written anew, is told to the driver, which writes it
 * into the file.
 */
import { format, short } from "./format.ts";
import type { Verdict } from "./matchers.ts";

/** What becomes of a snapshot that is not there, and of one that differs. */
export type Update = "all" | "new" | "none";

export interface Written {
  /** Where the matcher was called. */
  stack: string;
  text: string;
}

let update: Update = "none";
let written: Written[] = [];

export function setUpdate(given: Update): void {
  update = given;
}

/** What is to be written since the last step. */
export function takeWritten(): Written[] {
  const taken = written;
  written = [];
  return taken;
}

/** Without the line breaks around it, and without the indentation that it has in its file. */
function unindented(text: string): string {
  const lines = text.split("\n");
  if (lines.length < 3 || lines[0]!.trim() !== "" || lines[lines.length - 1]!.trim() !== "") return text.trim();
  const inner = lines.slice(1, -1);
  const indent = /^\s*/.exec(inner.find((line) => line.trim() !== "") ?? "")![0];
  return inner.map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line)).join("\n");
}

export function toMatchInlineSnapshot(actual: unknown, args: unknown[], not: boolean, place: { stack?: string }): Verdict {
  if (not) throw new TypeError("a snapshot can't be compared with .not");
  const text = format(actual, false);
  const wanted = args[args.length - 1];
  if (args.length > 1 || (wanted !== undefined && typeof wanted !== "string")) {
    throw new TypeError("toMatchInlineSnapshot() takes the snapshot alone here; compare parts with toMatchObject()");
  }
  const expected = wanted === undefined ? null : unindented(wanted);
  const writes = text !== expected && (update === "all" || (update === "new" && expected === null));
  if (writes) written.push({ stack: place.stack ?? "", text });
  if (expected === null && !writes) {
    throw new Error(`there is no snapshot yet, and this run writes none (--update does); it would be: ${text}`);
  }
  const pass = writes || text === expected;
  return { pass, says: `to match the snapshot ${short(expected)}`, expected, actual: text, shows: true };
}

export function thrownBy(body: unknown): unknown {
  if (typeof body !== "function") throw new TypeError(`this calls a function, and got ${short(body)}`);
  try {
    body();
  } catch (error) {
    return error;
  }
  throw new Error("expected function to throw an error, but it did not throw");
}
