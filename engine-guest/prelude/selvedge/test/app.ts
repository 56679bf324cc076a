/**
 * The app under test: its bindings, its own worker, and the context that a handler is given.
 */
import { env } from "../../env.ts";
import { framesOf } from "../../errors.ts";
import { ScheduledController } from "../../scheduled.ts";
import { INTERNAL } from "../../internal.ts";
import { short } from "./format.ts";

export { env };

/** The name of the binding that the driver adds for the app. */
const SELF_BINDING = "__SELVEDGE_SELF";

/** And that of the driver itself. */
const CONTROL_BINDING = "__SELVEDGE_CONTROL";

let self: any = null;
let control: any = null;

/** Takes the driver's bindings out of `env`, which is then as the manifest has it. */
export function prepareEnv(): void {
  self = env[SELF_BINDING] ?? null;
  control = env[CONTROL_BINDING] ?? null;
  delete env[SELF_BINDING];
  delete env[CONTROL_BINDING];
}

function worker(): any {
  if (self === null) throw new Error("SELF has no worker to call: it works in tests that selvedge test runs");
  return self;
}

/**
 * Tells the app's workers, and KV, what time it is; null for the clock's. What is begun later goes by it. The promise is
 * there when the alarms of objects that are due by then have rung: with `step` each at its own time, and the others
 * together at this one.
 */
export async function tellTime(ms: number | null, step: boolean): Promise<void> {
  const query = ms === null ? "" : `?us=${Math.round(ms * 1000)}${step ? "&step" : ""}`;
  // A test that ended has nobody to tell.
  await control?.fetch(`http://driver/clock${query}`).catch(() => undefined);
}

function idOf(stub: any): string {
  const id = stub?.id?.toString();
  if (typeof id !== "string" || control === null) throw new TypeError(`this takes a stub of a durable object, and got ${short(stub)}`);
  return id;
}

/** Runs the alarm of an object now, whenever it is due; false if it has set none. */
export async function runDurableObjectAlarm(stub: any): Promise<boolean> {
  const answer = await control.fetch(`http://driver/alarm?${idOf(stub)}`);
  if (answer.status === 500) throw new Error(`the alarm failed: ${await answer.text()}`);
  return answer.status !== 404;
}

/** The ids of the objects of a class that hold something. */
export async function listDurableObjectIds(namespace: any): Promise<any[]> {
  if (typeof namespace?.idFromString !== "function") {
    throw new TypeError(`listDurableObjectIds() takes a binding of durable objects, and got ${short(namespace)}`);
  }
  const answer = await control.fetch("http://driver/objects");
  const ids: any[] = [];
  for (const text of (await answer.text()).split("\n")) {
    try {
      if (text !== "") ids.push(namespace.idFromString(text));
    } catch {
      // It is of another class.
    }
  }
  return ids;
}

/** Empties the app's data; each test begins with data of its own anyway. */
export async function reset(): Promise<void> {
  await control?.fetch("http://driver/reset");
}

/** The app, in instances of its own, as a client's request would reach it. */
export const SELF = {
  fetch(input: any, init: any = undefined): Promise<Response> {
    const path = typeof input === "string" && input.startsWith("/");
    const place: { stack?: string } = {};
    (Error as any).captureStackTrace(place, SELF.fetch);
    const response: Promise<Response> = worker().fetch(path ? `http://localhost${input}` : input, init);
    return response.catch((error: any) => {
      // The host made it, and knows no place in the test.
      const stack = `${error.name}: ${error.message}\n${framesOf(place.stack ?? "", "", "")}`;
      Object.defineProperty(error, "stack", { value: stack, writable: true, configurable: true });
      throw error;
    });
  },
};

const waits = new WeakMap<object, unknown[]>();

/** What a handler gets as its third argument, for a test that calls the handler itself. */
export class ExecutionContext {
  props: any = {};

  constructor() {
    waits.set(this, []);
  }

  waitUntil(promise: unknown): void {
    const list = waits.get(this);
    if (list === undefined) throw new TypeError("Illegal invocation");
    // A rejection is for whoever waits for the context.
    Promise.resolve(promise).catch(() => undefined);
    list.push(promise);
  }

  passThroughOnException(): void {}
}

export function createExecutionContext(): ExecutionContext {
  return new ExecutionContext();
}

/** Waits for everything that was passed to `waitUntil`, also meanwhile; throws what failed. */
export async function waitOnExecutionContext(ctx: ExecutionContext): Promise<void> {
  const list = waits.get(ctx);
  if (list === undefined) throw new TypeError("waitOnExecutionContext() takes a context of createExecutionContext()");
  const failed: unknown[] = [];
  while (list.length > 0) {
    for (const outcome of await Promise.allSettled(list.splice(0))) {
      if (outcome.status === "rejected") failed.push(outcome.reason);
    }
  }
  if (failed.length === 1) throw failed[0];
  if (failed.length > 1) throw new AggregateError(failed, `${failed.length} promises passed to waitUntil were rejected`);
}

export function createScheduledController(options: { cron?: string; scheduledTime?: Date | number } = {}): ScheduledController {
  return new ScheduledController(INTERNAL, options.cron ?? "", Number(options.scheduledTime ?? Date.now()));
}
