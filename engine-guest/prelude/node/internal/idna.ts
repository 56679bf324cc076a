/**
 * Punycode (RFC 3492), as `node:punycode` offers it, and names of hosts in it.
 */
import { stringCodePointAt, stringLastIndexOf, stringReplace } from "../../library.ts";
import {
  RangeError, arrayJoin, arraySplice, floor, fromCharCode, regExpExec, stringCharCodeAt, stringLower, stringSlice,
  stringSplit, stringStartsWith,
} from "../../primordials.ts";

const BASE = 36;
const T_MIN = 1;
const T_MAX = 26;
const SKEW = 38;
const DAMP = 700;
const BIAS = 72;
const FIRST = 128;
const LARGEST = 0x7fffffff;

function overflow(): never {
  throw new RangeError("Overflow: input needs wider integers to process");
}

function adapt(given: number, points: number, first: boolean): number {
  let delta = first ? floor(given / DAMP) : given >> 1;
  delta += floor(delta / points);
  let k = 0;
  for (; delta > ((BASE - T_MIN) * T_MAX) >> 1; k += BASE) delta = floor(delta / (BASE - T_MIN));
  return floor(k + ((BASE - T_MIN + 1) * delta) / (delta + SKEW));
}

function threshold(k: number, bias: number): number {
  return k <= bias ? T_MIN : k >= bias + T_MAX ? T_MAX : k - bias;
}

/** The code points of a string; lone surrogates are kept. */
export function points(text: string): number[] {
  const list: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const point: number = stringCodePointAt(text, i);
    list[list.length] = point;
    if (point > 0xffff) i++;
  }
  return list;
}

export function fromPoints(list: number[]): string {
  let text = "";
  for (let i = 0; i < list.length; i++) text += fromCodePoint(list[i]!);
  return text;
}

function fromCodePoint(point: number): string {
  if (point <= 0xffff) return fromCharCode(point);
  const rest = point - 0x10000;
  return fromCharCode(0xd800 + (rest >> 10), 0xdc00 + (rest & 0x3ff));
}

function digitOf(code: number): number {
  if (code >= 0x30 && code < 0x3a) return 26 + (code - 0x30);
  if (code >= 0x41 && code < 0x5b) return code - 0x41;
  return code >= 0x61 && code < 0x7b ? code - 0x61 : BASE;
}

export function decode(input: string): string {
  const output: number[] = [];
  const dash: number = stringLastIndexOf(input, "-");
  for (let i = 0; i < dash; i++) {
    const code = stringCharCodeAt(input, i);
    if (code >= 0x80) throw new RangeError("Illegal input >= 0x80 (not a basic code point)");
    output[i] = code;
  }
  let n = FIRST;
  let i = 0;
  let bias = BIAS;
  for (let at = dash > 0 ? dash + 1 : 0; at < input.length;) {
    const before = i;
    for (let weight = 1, k = BASE; ; k += BASE) {
      if (at >= input.length) throw new RangeError("Invalid input");
      const digit = digitOf(stringCharCodeAt(input, at++));
      if (digit >= BASE) throw new RangeError("Invalid input");
      if (digit > floor((LARGEST - i) / weight)) overflow();
      i += digit * weight;
      const t = threshold(k, bias);
      if (digit < t) break;
      if (weight > floor(LARGEST / (BASE - t))) overflow();
      weight *= BASE - t;
    }
    const length = output.length + 1;
    bias = adapt(i - before, length, before === 0);
    if (floor(i / length) > LARGEST - n) overflow();
    n += floor(i / length);
    i %= length;
    arraySplice(output, i++, 0, n);
  }
  return fromPoints(output);
}

function digitText(digit: number): string {
  return fromCharCode(digit < 26 ? 0x61 + digit : 0x30 + digit - 26);
}

export function encode(text: string): string {
  const input = points(text);
  let output = "";
  for (let i = 0; i < input.length; i++) if (input[i]! < 0x80) output += fromCharCode(input[i]!);
  const basic = output.length;
  let handled = basic;
  if (basic > 0) output += "-";
  let n = FIRST;
  let delta = 0;
  let bias = BIAS;
  while (handled < input.length) {
    let next = LARGEST;
    for (let i = 0; i < input.length; i++) if (input[i]! >= n && input[i]! < next) next = input[i]!;
    if (next - n > floor((LARGEST - delta) / (handled + 1))) overflow();
    delta += (next - n) * (handled + 1);
    n = next;
    for (let i = 0; i < input.length; i++) {
      const point = input[i]!;
      if (point < n && ++delta > LARGEST) overflow();
      if (point !== n) continue;
      let q = delta;
      for (let k = BASE; ; k += BASE) {
        const t = threshold(k, bias);
        if (q < t) break;
        output += digitText(t + ((q - t) % (BASE - t)));
        q = floor((q - t) / (BASE - t));
      }
      output += digitText(q);
      bias = adapt(delta, handled + 1, handled === basic);
      delta = 0;
      handled++;
    }
    delta++;
    n++;
  }
  return output;
}

const DOTS = /[\u3002\uFF0E\uFF61]/g;

function eachLabel(domain: string, change: (label: string) => string): string {
  const at: number = stringLastIndexOf(domain, "@");
  const user = at >= 0 ? stringSlice(domain, 0, at + 1) : "";
  const labels: string[] = stringSplit(stringReplace(at >= 0 ? stringSlice(domain, at + 1) : domain, DOTS, "."), ".");
  for (let i = 0; i < labels.length; i++) labels[i] = change(labels[i]!);
  return user + arrayJoin(labels, ".");
}

export function toASCII(domain: string): string {
  return eachLabel(domain, (label) => (regExpExec(/[^\0-\x7F]/, label) === null ? label : `xn--${encode(label)}`));
}

export function toUnicode(domain: string): string {
  return eachLabel(domain, (label) => (stringStartsWith(label, "xn--") ? decode(stringLower(stringSlice(label, 4))) : label));
}
