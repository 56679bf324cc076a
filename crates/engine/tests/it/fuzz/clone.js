// Values made of bytes, of every kind that can be cloned and of some that can't, with cycles, shared buffers, getters and
// transfers. A copy has to tell the same story as what it was made of.
const ERRORS = [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError];
const VIEWS = [Uint8Array, Int16Array, Float64Array, BigInt64Array, Uint8ClampedArray, DataView];
const NUMBERS = [0, -0, 1, -1, 0.5, NaN, Infinity, 2 ** 31, 2 ** 53, 1e300];

function make(bytes) {
  let at = 0;
  const byte = () => (at < bytes.length ? bytes[at++] : 0);
  const below = (count) => byte() % count;
  const made = [];
  const transfer = [];
  let wild = false;
  const keep = (object) => (made.push(object), object);
  const text = () => Array.from({ length: below(6) }, () => String.fromCharCode(byte() * (1 + below(2) * 216))).join("");
  const fill = (count, put) => {
    for (let i = below(count); i > 0; i--) put();
  };
  const buffer = () => {
    const found = made.filter((object) => object instanceof ArrayBuffer);
    if (found.length > 0 && below(2) === 0) return found[below(found.length)];
    const fresh = keep(new ArrayBuffer(8 * below(6)));
    new Uint8Array(fresh).fill(byte());
    if (below(4) === 0) transfer.push(fresh);
    return fresh;
  };
  const view = () => {
    const of = buffer();
    const View = VIEWS[below(VIEWS.length)];
    const from = 8 * below(of.byteLength / 8 + 1);
    const unit = View.BYTES_PER_ELEMENT ?? 1;
    return keep(new View(of, from, below((of.byteLength - from) / unit + 1)));
  };
  const value = (depth) => {
    if (depth > 12) return byte();
    const inner = () => value(depth + 1);
    switch (below(24)) {
      case 0: return undefined;
      case 1: return null;
      case 2: return below(2) === 0;
      case 3: return NUMBERS[below(NUMBERS.length)];
      case 4: return BigInt(byte()) ** BigInt(below(9)) * (below(2) === 0 ? 1n : -1n);
      case 5: return text();
      case 6: return keep(new Date(below(3) === 0 ? NaN : byte() * 1e9));
      case 7: return keep(new RegExp(["a", "(b)+", "[c]", "\\/"][below(4)], ["", "g", "iu", "sy"][below(4)]));
      case 8: return keep(Object([true, 1, text(), 5n][below(4)]));
      case 9: return buffer();
      case 10: case 11: return view();
      case 12: {
        const map = keep(new Map());
        fill(5, () => map.set(inner(), inner()));
        return map;
      }
      case 13: {
        const set = keep(new Set());
        fill(5, () => set.add(inner()));
        return set;
      }
      case 14: {
        const error = keep(new ERRORS[below(ERRORS.length)](text()));
        if (below(3) === 0) error.cause = inner();
        return error;
      }
      case 15: case 16: {
        const array = keep([]);
        fill(6, () => { array[array.length + below(3)] = inner(); });
        if (below(4) === 0) array.length += below(4);
        if (below(4) === 0) array[text()] = inner();
        return array;
      }
      case 17: case 18: case 19: {
        const object = keep({});
        fill(6, () => { Object.defineProperty(object, text(), { value: inner(), enumerable: true, configurable: true }); });
        return object;
      }
      case 20: case 21: return made.length === 0 ? null : made[below(made.length)];
      case 22: {
        const what = below(3);
        wild = true;
        return keep({
          get a() {
            if (what === 0) throw new Error("asked");
            // What is being copied changes under way.
            const other = made[below(made.length)];
            if (what === 1 && Array.isArray(other)) other.length = 0;
            if (other instanceof Map || other instanceof Set) other.clear();
            if (what === 2 && other instanceof ArrayBuffer && !transfer.includes(other)) other.transfer();
            return other;
          },
        });
      }
      default: {
        wild = true;
        return [() => {}, Symbol("s"), new WeakMap(), Promise.resolve(), new Proxy({}, {})][below(5)];
      }
    }
  };
  const whole = value(0);
  return { whole: below(8) === 0 ? [whole, whole, ...made] : whole, transfer: below(6) === 0 ? [...transfer, ...transfer] : transfer, wild };
}

const number = (n) => (Object.is(n, -0) ? "-0" : String(n));

/** A text that is the same for equal graphs, and for no others. */
function tell(root) {
  const seen = new Map();
  const members = (object) => Object.keys(object).map((key) => `${JSON.stringify(key)}=${value(object[key])}`).join();
  const value = (v) => {
    if (typeof v === "number") return number(v);
    if (typeof v === "bigint") return `${v}n`;
    if (typeof v === "string") return JSON.stringify(v);
    if (typeof v !== "object" || v === null) return String(v);
    if (seen.has(v)) return `#${seen.get(v)}`;
    seen.set(v, seen.size);
    const kind = Object.prototype.toString.call(v);
    if (v instanceof Date) return `${kind}${number(v.getTime())}`;
    if (v instanceof RegExp) return `${kind}${v}${v.lastIndex}`;
    if (v instanceof ArrayBuffer) return `${kind}${new Uint8Array(v)}`;
    if (ArrayBuffer.isView(v)) return `${kind}${v.byteOffset},${v.byteLength},${value(v.buffer)}`;
    if (v instanceof Map) return `${kind}{${[...v].map(([k, w]) => `${value(k)}=>${value(w)}`).join()}}`;
    if (v instanceof Set) return `${kind}{${[...v].map(value).join()}}`;
    if (v instanceof Error) return `${v.name}:${value(v.message)},${"cause" in v ? value(v.cause) : ""}`;
    if (Array.isArray(v)) return `[${v.length}:${members(v)}]`;
    if (kind !== "[object Object]") return `${kind}${value(v.valueOf())}`;
    return `{${members(v)}}`;
  };
  return value(root);
}

function check(bytes) {
  const { whole, transfer, wild } = make(bytes);
  const before = wild ? "" : tell(whole);
  let copy;
  try {
    copy = structuredClone(whole, { transfer });
  } catch (error) {
    return `threw ${error.name}`;
  }
  if (wild) {
    tell(copy);
    return "copied";
  }
  for (const [how, found] of [["the copy", copy], ["its copy", structuredClone(copy)]]) {
    const after = tell(found);
    if (after !== before) return `differs: ${how}\n${before}\n${after}`;
  }
  const left = transfer.filter((buffer) => buffer.byteLength > 0).length;
  return left > 0 ? `differs: ${left} buffers were not transferred` : `same ${before.slice(0, 200)}`;
}
