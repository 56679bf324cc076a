/**
 * Snapshots that stand in the test itself. They are compared, and never written: a run changes no file.
 */
import { format, short } from "./format.ts";
import type { Verdict } from "./matchers.ts";

/** Without the line breaks around it, and without the indentation that it has in its file. */
function unindented(text: string): string {
  const lines = text.split("\n");
  if (lines.length < 3 || lines[0]!.trim() !== "" || lines[lines.length - 1]!.trim() !== "") return text.trim();
  const inner = lines.slice(1, -1);
  const indent = /^\s*/.exec(inner.find((line) => line.trim() !== "") ?? "")![0];
  return inner.map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line)).join("\n");
}

export function toMatchInlineSnapshot(actual: unknown, args: unknown[]): Verdict {
  const text = format(actual, false);
  const wanted = args[args.length - 1];
  if (args.length > 1 || (wanted !== undefined && typeof wanted !== "string")) {
    throw new TypeError("toMatchInlineSnapshot() takes the snapshot alone here; compare parts with toMatchObject()");
  }
  if (wanted === undefined) throw new Error(`there is no snapshot, and none is written here; it would be: ${text}`);
  const expected = unindented(wanted);
  return { pass: text === expected, says: `to match the snapshot ${short(expected)}`, expected, actual: text, shows: true };
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
