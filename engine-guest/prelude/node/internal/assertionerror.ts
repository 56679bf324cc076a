/**
 * `AssertionError`, and the messages that show what differs.
 */
import { captureStackTrace } from "../../library.ts";
import {
  Error, arrayJoin, defineProperty, isObject, max, min, stringIndexOf, stringSplit,
} from "../../primordials.ts";
import { checkObject } from "./errors.ts";
import { inspect } from "./inspect.ts";

const TITLES: Record<string, string> = {
  __proto__: null as any,
  deepStrictEqual: "Expected values to be strictly deep-equal:",
  strictEqual: "Expected values to be strictly equal:",
  strictEqualObject: 'Expected "actual" to be reference-equal to "expected":',
  deepEqual: "Expected values to be loosely deep-equal:",
  notDeepStrictEqual: 'Expected "actual" not to be strictly deep-equal to:',
  notStrictEqual: 'Expected "actual" to be strictly unequal to:',
  notStrictEqualObject: 'Expected "actual" not to be reference-equal to "expected":',
  notDeepEqual: 'Expected "actual" not to be loosely deep-equal to:',
  notIdentical: "Values identical but not reference-equal:",
  notDeepEqualUnequal: "Expected values not to be loosely deep-equal:",
};

function show(value: unknown): string {
  return inspect(value, {
    compact: false, customInspect: false, depth: 1000, maxArrayLength: Infinity, showHidden: false, showProxy: false,
    breakLength: Infinity, sorted: true, getters: true,
  });
}

const LINES_MAX = 1000;

/** The lines of both, with `+` for what only the actual has and `-` for what only the expected has. */
function diff(actual: string[], expected: string[]): string[] {
  const n = min(actual.length, LINES_MAX);
  const m = min(expected.length, LINES_MAX);
  const table: number[][] = [];
  for (let i = n; i >= 0; i--) {
    const row: number[] = [];
    for (let k = m; k >= 0; k--) {
      if (i === n || k === m) row[k] = 0;
      else row[k] = actual[i] === expected[k] ? table[i + 1]![k + 1]! + 1 : max(table[i + 1]![k]!, row[k + 1]!);
    }
    table[i] = row;
  }
  const lines: string[] = [];
  let i = 0;
  let k = 0;
  while (i < n || k < m) {
    if (i < n && k < m && actual[i] === expected[k]) {
      lines[lines.length] = `  ${actual[i]}`;
      i++;
      k++;
    } else if (i < n && (k === m || table[i + 1]![k]! >= table[i]![k + 1]!)) lines[lines.length] = `+ ${actual[i++]}`;
    else lines[lines.length] = `- ${expected[k++]}`;
  }
  return lines;
}

function differenceMessage(actual: unknown, expected: unknown, operator: string): string {
  const left = show(actual);
  const right = show(expected);
  let kind = operator;
  if (operator === "strictEqual" && isObject(actual) && isObject(expected)) kind = "strictEqualObject";
  if (left === right) return `${TITLES.notIdentical}\n\n${left}\n`;
  const single = stringIndexOf(left, "\n") < 0 && stringIndexOf(right, "\n") < 0;
  if (single && !(isObject(actual) && isObject(expected)) && left.length + right.length <= 78) {
    return `${TITLES[kind]}\n\n${left} !== ${right}\n`;
  }
  const lines = diff(stringSplit(left, "\n"), stringSplit(right, "\n"));
  return `${TITLES[kind]}\n+ actual - expected\n\n${arrayJoin(lines, "\n")}`;
}

function messageOf(actual: unknown, expected: unknown, operator: string): string {
  if (operator === "deepStrictEqual" || operator === "strictEqual") return differenceMessage(actual, expected, operator);
  if (operator === "notDeepStrictEqual" || operator === "notStrictEqual") {
    const kind = operator === "notStrictEqual" && isObject(actual) ? "notStrictEqualObject" : operator;
    const text = show(actual);
    return stringIndexOf(text, "\n") < 0 && text.length <= 5 ? `${TITLES[kind]} ${text}` : `${TITLES[kind]}\n\n${text}\n`;
  }
  if (operator === "deepEqual" || operator === "notDeepEqual") {
    const left = show(actual);
    const right = show(expected);
    if (operator === "notDeepEqual" && left === right) return `${TITLES.notDeepEqual}\n\n${left}`;
    const title = operator === "deepEqual" ? TITLES.deepEqual : TITLES.notDeepEqualUnequal;
    return `${title}\n\n${left}\n\nshould ${operator === "deepEqual" ? "" : "not "}loosely deep-equal\n\n${right}`;
  }
  const left = inspect(actual);
  const right = inspect(expected);
  if (operator === "==" || operator === "!=") return `${left} ${operator} ${right}`;
  return `${left} ${operator} ${right}`;
}

/** What a failed assertion throws. */
export class AssertionError extends Error {
  generatedMessage: boolean;
  code: string;
  actual: unknown;
  expected: unknown;
  operator: string;

  constructor(options: any) {
    checkObject(options, "options");
    const { message, operator, actual, expected, stackStartFn } = options;
    super(message !== undefined && message !== null ? `${message}` : messageOf(actual, expected, operator));
    this.generatedMessage = !message;
    defineProperty(this, "name", { value: "AssertionError", writable: true, configurable: true });
    this.code = "ERR_ASSERTION";
    this.actual = actual;
    this.expected = expected;
    this.operator = operator;
    if (stackStartFn !== undefined) captureStackTrace(this, stackStartFn);
  }

  toString(): string {
    return `${this.name} [${this.code}]: ${this.message}`;
  }
}
