/**
 * What differs between two values, line by line.
 */
import { format } from "./format.ts";

/** Lines of each side that are compared; the table of a comparison grows with their product. */
const LINES_MAX = 2_000;
/** Equal lines around a difference that are shown. */
const AROUND = 5;

/** Lines that begin with `- ` (expected), `+ ` (received) or two spaces; null if nothing can be shown. */
export function diff(expected: unknown, received: unknown): string[] | null {
  const texts = typeof expected === "string" && typeof received === "string" && (expected + received).includes("\n")
    ? [expected, received] : [format(expected), format(received)];
  const [left, right] = texts as [string, string];
  if (left === right) return null;
  const cut = (text: string): string[] => {
    const lines = text.split("\n");
    return lines.length <= LINES_MAX ? lines : [...lines.slice(0, LINES_MAX), `… ${lines.length - LINES_MAX} more lines`];
  };
  return folded(compare(cut(left), cut(right)));
}

/** The longest common subsequence, between a common head and tail. */
function compare(expected: string[], received: string[]): string[] {
  let head = 0;
  while (head < expected.length && head < received.length && expected[head] === received[head]) head++;
  let tail = 0;
  while (
    tail < expected.length - head && tail < received.length - head
    && expected[expected.length - 1 - tail] === received[received.length - 1 - tail]
  ) tail++;
  const a = expected.slice(head, expected.length - tail);
  const b = received.slice(head, received.length - tail);
  const same = (line: string): string => `  ${line}`;
  return [
    ...expected.slice(0, head).map(same), ...changed(a, b), ...expected.slice(expected.length - tail).map(same),
  ];
}

function changed(a: string[], b: string[]): string[] {
  const width = b.length + 1;
  const table = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let k = b.length - 1; k >= 0; k--) {
      table[i * width + k] = a[i] === b[k]
        ? table[(i + 1) * width + k + 1]! + 1
        : Math.max(table[(i + 1) * width + k]!, table[i * width + k + 1]!);
    }
  }
  const lines: string[] = [];
  let i = 0;
  let k = 0;
  while (i < a.length || k < b.length) {
    if (i < a.length && k < b.length && a[i] === b[k]) {
      lines.push(`  ${a[i++]}`);
      k++;
    } else if (i < a.length && (k === b.length || table[(i + 1) * width + k]! >= table[i * width + k + 1]!)) {
      lines.push(`- ${a[i++]}`);
    } else lines.push(`+ ${b[k++]}`);
  }
  return lines;
}

/** Leaves out equal lines that are far from any difference. */
function folded(lines: string[]): string[] {
  const near = lines.map(() => false);
  lines.forEach((line, at) => {
    if (line.startsWith("  ")) return;
    for (let k = Math.max(0, at - AROUND); k <= at + AROUND && k < near.length; k++) near[k] = true;
  });
  const out: string[] = [];
  let left = 0;
  lines.forEach((line, at) => {
    if (near[at]) {
      if (left > 0) out.push(`@@ ${left} equal lines @@`);
      left = 0;
      out.push(line);
    } else left++;
  });
  if (left > 0) out.push(`@@ ${left} equal lines @@`);
  return out;
}
