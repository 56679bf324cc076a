import { Color, Space, type Only } from "./shapes.ts";
import json from "./data.json" with { type: "json" };

const log: string[] = [];
const say = (text: string) => { log.push(text); };

type Context = { kind: string; name: string | symbol; static?: boolean; private?: boolean; access?: any; addInitializer(f: () => void): void };

function traced(label: string) {
  say(`evaluated ${label}`);
  return (value: any, context: Context): any => {
    say(`${label}: ${context.kind} ${String(context.name)} ${context.static} ${context.private} ${typeof value}`);
    context.addInitializer(function (this: any) { say(`initializer of ${label} ${typeof this}`); });
    if (context.kind === "method") return function (this: any, ...args: unknown[]) { return `<${value.apply(this, args)}>`; };
    if (context.kind === "getter") return function (this: any) { return value.call(this) + 1; };
    if (context.kind === "field") return (initial: number) => (initial ?? 0) * 10;
    if (context.kind === "accessor") return { init: (initial: number) => initial + 100, get(this: any) { return value.get.call(this) + 0.5; } };
    if (context.kind === "class") return class extends value { added = true; };
    return undefined;
  };
}

const KEY = Symbol("key");

@traced("class one") @traced("class two")
class Decorated {
  @traced("static field") static count = 1;
  @traced("field") field = 2;
  @traced("bare field") bare?: number;
  @traced("private field") #hidden = 3;
  @traced("accessor") accessor auto = 4;
  accessor plain = 5;
  static accessor shared = 6;
  static self = () => Decorated.name;
  constructor(readonly given = 7) { say(`constructed ${this.field}`); }
  @traced("first") @traced("second") method(text: string) { return `${text} ${this.#hidden}`; }
  @traced("static method") static make() { return "made"; }
  @traced("getter") get value() { return this.given; }
  @traced("computed") [`com${"puted"}`]() { return "c"; }
  @traced("symbol") [KEY]() { return "s"; }
}

class Derived extends Decorated {
  @traced("derived field") more = 1;
}

const Expression = @traced("expression") class Named { who = Named.name; };

namespace Outer {
  export const one = 1;
  export namespace Inner { export const two = one + 1; }
  export function sum() { return one + Inner.two; }
}

enum Level { Low = 1, Mid = Low << 2, High = "abc".length, Text = "text" as any }
const enum Fixed { A = 10, B }

abstract class Base<T> {
  declare declared: string;
  protected abstract size(): number;
  constructor(protected items: T[], private readonly label: string = "base") {}
  describe(): string { return `${this.label} ${this.size()} ${"declared" in this}`; }
}
class List extends Base<number> {
  override size() { return this.items.length; }
}

function overloaded(value: string): string;
function overloaded(value: number): number;
function overloaded(value: any) { return value; }

function assertText(value: unknown): asserts value is string {
  if (typeof value !== "string") throw new TypeError("no text");
}

const routes: Record<string, () => unknown> = {
  "/decorators": () => {
    const it = new Decorated() as any;
    const derived = new Derived(8) as any;
    return {
      values: [it.field, it.bare, it.auto, it.plain, it.method("m"), it.value, it.computed(), it[KEY](), it.added],
      statics: [Decorated.count, Decorated.shared, Decorated.make(), Decorated.self(), Decorated.name],
      derived: [derived.more, derived.field, derived.value, derived instanceof Decorated],
      expression: [new (Expression as any)().who, (Expression as any).name],
    };
  },
  "/log": () => log,
  "/enums": () => ({ Level, fixed: [Fixed.A, Fixed.B], color: Color.Green, name: Color[Color.Green], space: Space.origin }),
  "/namespaces": () => [Outer.one, Outer.Inner.two, Outer.sum()],
  "/classes": () => [new List([1, 2, 3]).describe(), new List([], "x").describe(), Object.keys(new List([1]))],
  "/functions": () => {
    const value: unknown = "text";
    assertText(value);
    const only = { a: 1 } satisfies Only;
    return [overloaded("a"), overloaded(1), value!.length, only, (<T,>(x: T) => x)(1), json.list];
  },
  "/using": () => {
    const order: string[] = [];
    {
      using a = { [Symbol.dispose ?? Symbol.for("Symbol.dispose")]: () => order.push("a") } as any;
      using b = { [Symbol.dispose ?? Symbol.for("Symbol.dispose")]: () => order.push("b") } as any;
      order.push(`body ${typeof a} ${typeof b}`);
    }
    return order;
  },
};

export default {
  fetch(request: Request): Response {
    const route = routes[new URL(request.url).pathname];
    return route ? Response.json(route()) : new Response("no such route", { status: 404 });
  },
};
