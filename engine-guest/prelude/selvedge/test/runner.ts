/**
 * The worker that a test file becomes. The driver outside (`selvedge test`) knows the order of things; this runs one step
 * for each of its requests: load the file, one suite's hooks, one test. So each step has the limits of a request, and
 * what ends one leaves the others alone.
 *
 * A step names the instance that it is meant for: if the sandbox was lost meanwhile, this is another one, which says so.
 */
import { describeError } from "../../errors.ts";
import { stringWellFormed } from "../../primordials.ts";
import { Response } from "../../response.ts";
import { makeGlobal } from "./globals.ts";
import { prepareEnv } from "./app.ts";
import { AssertionError, type Count, checkCount, expect, startCounting } from "./expect.ts";
import { withFixtures } from "./fixtures.ts";
import { type Update, setUpdate, takeWritten } from "./snapshot.ts";
import {
  type Hook, type Suite, type Test, chainOf, collect, declared, describeTree, root, writtenAs,
} from "./suite.ts";

/** What stands for a module that a test replaces asks here what to be. */
export { replaced } from "./mocking.ts";

interface Problem {
  name: string;
  message: string;
  stack: string;
  diff: string[] | null;
}

interface Step {
  instance: string;
  id: number;
}

/** Thrown by `context.skip()`. */
class Skip {
  note: string;

  constructor(note: string) {
    this.note = note;
  }
}

/** Which instance this is; made when the file is loaded, since an image holds no randomness. */
let instance = "";
let loading: Promise<Problem[]> | null = null;
/** What nobody caught, since the last step. */
let uncaught: Problem[] = [];
/** Clean-ups that the hooks of each suite returned, and those of the test that runs. */
const suiteCleanups = new Map<number, (() => unknown)[]>();
let testCleanups: (() => unknown)[] = [];

/** What of an error crosses to the driver, in characters and lines. */
const TEXT_MAX = 20_000;
const LINE_MAX = 1_000;
const LINES_MAX = 1_000;

const cut = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most)}…` : text);

export function problemOf(thrown: any): Problem {
  const { name, message, stack } = describeError(thrown);
  const shown = thrown instanceof AssertionError ? thrown.diff : null;
  const lines = shown === null ? null : shown.slice(0, LINES_MAX).map((line) => cut(line, LINE_MAX));
  return { name: cut(name, LINE_MAX), message: cut(message, TEXT_MAX), stack: cut(stack, TEXT_MAX), diff: lines };
}

function listen(): void {
  globalThis.addEventListener("unhandledrejection", (event: any) => {
    event.preventDefault();
    uncaught.push(problemOf(event.reason));
  });
  globalThis.addEventListener("error", (event: any) => {
    event.preventDefault();
    uncaught.push(problemOf(event.error));
  });
}

async function load(file: () => Promise<unknown>): Promise<Problem[]> {
  instance = crypto.randomUUID();
  listen();
  prepareEnv();
  try {
    await file();
    await collect();
    return [];
  } catch (error) {
    return [problemOf(error)];
  }
}

async function attempt(problems: Problem[], body: () => unknown): Promise<void> {
  try {
    await body();
  } catch (error) {
    if (!(error instanceof Skip)) problems.push(problemOf(error));
  }
}

/** Hooks that set up: the first that fails is the last that runs. */
async function setUp(hooks: Hook[], cleanups: (() => unknown)[], problems: Problem[], context?: object): Promise<boolean> {
  for (const { body } of hooks) {
    await attempt(problems, async () => {
      const cleanup = await body(context);
      if (typeof cleanup === "function") cleanups.push(cleanup as () => unknown);
    });
    if (problems.length > 0) return false;
  }
  return true;
}

/** Hooks that clear up: all of them run, the last one first. */
async function tearDown(hooks: Hook[], cleanups: (() => unknown)[], problems: Problem[], context?: object): Promise<void> {
  while (cleanups.length > 0) await attempt(problems, cleanups.pop()!);
  for (let at = hooks.length - 1; at >= 0; at--) await attempt(problems, () => hooks[at]!.body(context));
}

async function before(suite: Suite): Promise<object> {
  const problems: Problem[] = [];
  const cleanups: (() => unknown)[] = [];
  suiteCleanups.set(suite.id, cleanups);
  startCounting();
  await setUp(suite.beforeAll, cleanups, problems);
  return { problems };
}

async function after(suite: Suite): Promise<object> {
  const problems: Problem[] = [];
  await tearDown(suite.afterAll, suiteCleanups.get(suite.id) ?? [], problems);
  return { problems };
}

interface Finish {
  failed: ((result: object) => unknown)[];
  finished: ((result: object) => unknown)[];
}

let finish: Finish = { failed: [], finished: [] };

export const onTestFinished = (body: (result: object) => unknown): void => void finish.finished.push(body);
export const onTestFailed = (body: (result: object) => unknown): void => void finish.failed.push(body);

function contextOf(test: Test): any {
  return {
    task: { id: `${test.id}`, name: test.name, mode: test.mode, type: "test", suite: { name: test.parent.name } },
    expect, onTestFinished, onTestFailed,
    skip(condition: unknown = true, note: unknown = "") {
      const text = typeof condition === "string" ? condition : typeof note === "string" ? note : "";
      if (condition !== false) throw new Skip(text);
    },
  };
}

async function body(test: Test, context: object, problems: Problem[]): Promise<string | null> {
  const count: Count = startCounting();
  let skipped: string | null = null;
  try {
    const [wants, place] = writtenAs(test.body!);
    await withFixtures(test.fixtures, wants, place, context, () => test.body!(context));
    // Assertions that nobody awaited.
    await Promise.all(count.pending);
    checkCount(count);
  } catch (error) {
    if (error instanceof Skip) skipped = error.note;
    else problems.push(problemOf(error));
  }
  for (const error of count.soft) problems.push(problemOf(error));
  return skipped;
}

/** One run of a test, with the hooks around it. */
async function once(test: Test): Promise<{ problems: Problem[]; skipped: string | null }> {
  const problems: Problem[] = [];
  const context = contextOf(test);
  const chain = chainOf(test);
  testCleanups = [];
  finish = { failed: [], finished: [] };
  let skipped: string | null = null;
  let ready = true;
  for (const suite of chain) ready = ready && await setUp(suite.beforeEach, testCleanups, problems, context);
  if (ready) skipped = await body(test, context, problems);
  await endOf(test, chain, context, problems);
  return { problems, skipped };
}

async function endOf(test: Test, chain: Suite[], context: object, problems: Problem[]): Promise<void> {
  while (testCleanups.length > 0) await attempt(problems, testCleanups.pop()!);
  for (let at = chain.length - 1; at >= 0; at--) await tearDown(chain[at]!.afterEach, [], problems, context);
  const result = { state: problems.length > 0 ? "fail" : "pass", errors: problems };
  for (const each of finish.finished.reverse()) await attempt(problems, () => each(result));
  if (problems.length > 0) for (const each of finish.failed) await attempt(problems, () => each(result));
  finish = { failed: [], finished: [] };
}

async function run(test: Test): Promise<object> {
  let outcome = await once(test);
  for (let retry = 0; retry < test.retry && outcome.problems.length > 0; retry++) outcome = await once(test);
  for (let repeat = 0; repeat < test.repeats && outcome.problems.length === 0; repeat++) outcome = await once(test);
  return outcome;
}

/** After a test that was ended from outside: the hooks that it never came to. */
async function clean(test: Test): Promise<object> {
  const problems: Problem[] = [];
  await endOf(test, chainOf(test), contextOf(test), problems);
  return { problems };
}

async function step(command: string, { instance: wanted, id }: Step): Promise<object> {
  if (wanted !== instance) return { stale: true, problems: [] };
  const on = declared[id]!;
  switch (command) {
    case "before": return before(on as Suite);
    case "after": return after(on as Suite);
    case "test": return run(on as Test);
    case "clean": return clean(on as Test);
    // Whether the instance is free to answer.
    case "ping": return { problems: [] };
    default: throw new Error(`there is no step ${command}`);
  }
}

async function answer(request: Request, file: () => Promise<unknown>): Promise<object> {
  const command = new URL(request.url).pathname.slice(1);
  if (command !== "load") return step(command, await request.json() as Step);
  setUpdate((await request.json() as { update: Update }).update);
  loading ??= load(file);
  const problems = await loading;
  return { instance, problems, tree: describeTree(root) };
}

const { stringify } = JSON;

/** Half a surrogate pair is no text for the driver. */
function toJson(value: unknown): string {
  return stringify(value, (_, part: unknown) => (typeof part === "string" ? stringWellFormed(part) : part));
}

/** The default export of the worker that a test file becomes. */
export function serve(file: () => Promise<unknown>, options: { globals: boolean }): object {
  if (options.globals) makeGlobal();
  return {
    async fetch(request: Request): Promise<Response> {
      const result = await answer(request, file);
      const caught = uncaught;
      uncaught = [];
      return new Response(toJson({ ...result, uncaught: caught, snapshots: takeWritten() }));
    },
  };
}
