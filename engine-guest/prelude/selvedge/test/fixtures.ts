/**
 * What `test.extend` gives to tests: values that are made when a test names them, and cleared up after it.
 */

type Use = (value: unknown) => Promise<void>;
type Make = (context: any, use: Use) => unknown;

export interface Fixture {
  name: string;
  /** A function that makes it, or the value itself. */
  value: unknown;
  auto: boolean;
}

/** `{ name: value }`, `{ name: async ({ other }, use) => … }`, `{ name: [either, { auto: true }] }`. */
export function fixturesOf(given: Record<string, unknown>): Fixture[] {
  return Object.keys(given).map((name) => {
    const one = given[name];
    const isPair = Array.isArray(one) && one.length === 2 && typeof one[1] === "object" && one[1] !== null
      && ("auto" in one[1] || "scope" in one[1] || "injected" in one[1]);
    if (isPair && one[1].scope !== undefined && one[1].scope !== "test") {
      throw new Error(`the fixture ${name} has the scope ${one[1].scope}; here each test makes its own`);
    }
    return { name, value: isPair ? one[0] : one, auto: isPair && one[1].auto === true };
  });
}

/** Later ones stand for earlier ones of the same name. */
export function merged(base: Fixture[], more: Fixture[]): Fixture[] {
  return [...base.filter((one) => !more.some((other) => other.name === one.name)), ...more];
}

/** The names that a function takes out of its argument at this place; null for all of them. */
function namesIn(body: (...args: any[]) => unknown, place: number): string[] | null {
  const text = Function.prototype.toString.call(body);
  const open = text.indexOf("(");
  const parameters = open < 0 ? [] : split(text.slice(open + 1));
  const pattern = (parameters[place] ?? "").trim();
  if (!pattern.startsWith("{")) return [];
  const names = split(pattern.slice(1)).map((part) => part.trim()).filter((part) => part !== "");
  if (names.some((name) => name.startsWith("..."))) return null;
  return names.map((name) => name.split(/[:=]/)[0]!.trim());
}

/** Splits at commas, up to the bracket that closes. */
function split(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    const c = text[at]!;
    if ("([{".includes(c)) depth++;
    else if (")]}".includes(c) && depth-- === 0) return [...parts, text.slice(from, at)];
    else if (c === "," && depth === 0) {
      parts.push(text.slice(from, at));
      from = at + 1;
    }
  }
  return parts;
}

/** The fixtures that a test wants, each behind those that it wants itself. */
function wanted(fixtures: Fixture[], names: string[] | null): Fixture[] {
  const order: Fixture[] = [];
  const add = (fixture: Fixture, around: Fixture[]): void => {
    if (order.includes(fixture)) return;
    if (around.includes(fixture)) throw new Error(`the fixtures ${around.map((one) => one.name).join(", ")} want each other`);
    if (typeof fixture.value === "function") {
      const needs = namesIn(fixture.value as Make, 0);
      for (const other of fixtures) {
        // One that wants its own name extends what that was before, which is gone here.
        if (other !== fixture && (needs === null || needs.includes(other.name))) add(other, [...around, fixture]);
      }
    }
    order.push(fixture);
  };
  for (const fixture of fixtures) if (fixture.auto || names === null || names.includes(fixture.name)) add(fixture, []);
  return order;
}

/** Makes what the body names, runs it, and lets each fixture clear up, whatever came of the body. */
export async function withFixtures(
  fixtures: Fixture[], body: (...args: any[]) => unknown, place: number, context: any, run: () => unknown,
): Promise<void> {
  const order = wanted(fixtures, namesIn(body, place));
  let failed: { error: unknown } | null = null;
  const start = async (at: number): Promise<void> => {
    const fixture = order[at];
    if (fixture === undefined) {
      try {
        await run();
      } catch (error) {
        failed = { error };
      }
      return;
    }
    if (typeof fixture.value !== "function") {
      context[fixture.name] = fixture.value;
      return start(at + 1);
    }
    let used = false;
    await (fixture.value as Make)(context, async (value) => {
      used = true;
      context[fixture.name] = value;
      await start(at + 1);
    });
    if (!used) throw new Error(`the fixture ${fixture.name} never called use()`);
  };
  await start(0);
  if (failed !== null) throw (failed as { error: unknown }).error;
}
