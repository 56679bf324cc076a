/**
 * `vi`: mocks, the clock, and stand-ins for globals.
 */
import { setTimeout as realSetTimeout } from "../../timers.ts";
import { now as realNow } from "../../native.ts";
import * as clock from "./clock.ts";
import { eachMock, isMock, makeMock, spyOn } from "./mock.ts";
import { mock, unmock } from "./mocking.ts";

const globals = new Map<PropertyKey, PropertyDescriptor | undefined>();
const variables = new Map<string, string | undefined>();

function unsupported(name: string, instead: string) {
  return (): never => {
    throw new Error(`vi.${name}() is not supported: ${instead}`);
  };
}

/** The build gives the calls that it sees another name; what is left are those that it can't see. */
const UNSEEN = "it works in the file of tests itself, with the name of the module written out as a string";

/** Runs until it throws no more (or, with `truth`, gives something true). */
async function patiently(ask: () => unknown, options: any, truth: boolean): Promise<unknown> {
  const { interval = 50, timeout = 1_000 } = typeof options === "number" ? { timeout: options } : (options ?? {});
  const begun = realNow();
  let last: unknown = new Error("the condition did not come true in time");
  for (;;) {
    try {
      const value = await ask();
      if (!truth || value) return value;
    } catch (error) {
      if (truth) throw error;
      last = error;
    }
    if (realNow() - begun >= timeout) throw last;
    if (clock.isFakeTimers()) clock.advanceTimersByTime(interval);
    await new Promise((resolve) => void realSetTimeout(resolve, interval));
  }
}

export const vi: any = {
  fn: (implementation?: (...args: any[]) => any) => makeMock(implementation),
  spyOn,
  isMockFunction: isMock,
  mocked: (value: unknown) => value,
  hoisted: (body: () => unknown) => body(),
  clearAllMocks: () => (eachMock("mockClear"), vi),
  resetAllMocks: () => (eachMock("mockReset"), vi),
  restoreAllMocks: () => (eachMock("mockRestore"), vi),

  useFakeTimers: (options: any = {}) => (clock.useFakeTimers(options), vi),
  useRealTimers: () => (clock.useRealTimers(), vi),
  setSystemTime: (moment?: unknown) => (clock.setSystemTime(moment), vi),
  advanceTimersByTime: (ms: number) => (clock.advanceTimersByTime(ms), vi),
  advanceTimersByTimeAsync: async (ms: number) => (await clock.advanceTimersByTimeAsync(ms), vi),
  advanceTimersToNextTimer: () => (clock.advanceTimersToNextTimer(), vi),
  advanceTimersToNextTimerAsync: async () => (await clock.advanceTimersToNextTimerAsync(), vi),
  runAllTimers: () => (clock.runAllTimers(), vi),
  runAllTimersAsync: async () => (await clock.runAllTimersAsync(), vi),
  runOnlyPendingTimers: () => (clock.runOnlyPendingTimers(), vi),
  runOnlyPendingTimersAsync: async () => (await clock.runOnlyPendingTimersAsync(), vi),
  runAllTicks: () => vi,
  clearAllTimers: () => (clock.clearAllTimers(), vi),
  getTimerCount: clock.timerCount,
  isFakeTimers: clock.isFakeTimers,
  getMockedSystemTime: clock.mockedSystemTime,
  getRealSystemTime: clock.realSystemTime,

  stubGlobal(name: PropertyKey, value: unknown) {
    if (!globals.has(name)) globals.set(name, Object.getOwnPropertyDescriptor(globalThis, name));
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: true });
    return vi;
  },
  unstubAllGlobals() {
    for (const [name, before] of globals) {
      if (before === undefined) delete (globalThis as any)[name];
      else Object.defineProperty(globalThis, name, before);
    }
    globals.clear();
    return vi;
  },
  stubEnv(name: string, value: string | undefined) {
    const { env } = (globalThis as any).process;
    if (!variables.has(name)) variables.set(name, env[name]);
    if (value === undefined) delete env[name];
    else env[name] = `${value}`;
    return vi;
  },
  unstubAllEnvs() {
    const { env } = (globalThis as any).process;
    for (const [name, before] of variables) {
      if (before === undefined) delete env[name];
      else env[name] = before;
    }
    variables.clear();
    return vi;
  },

  waitFor: (ask: () => unknown, options?: any) => patiently(ask, options, false),
  waitUntil: (ask: () => unknown, options?: any) => patiently(ask, options, true),

  $mock: (specifier: string, given?: unknown) => (mock("mock", specifier, given), vi),
  $doMock: (specifier: string, given?: unknown) => (mock("doMock", specifier, given), vi),
  $unmock: (specifier: string) => (unmock("unmock", specifier), vi),
  $doUnmock: (specifier: string) => (unmock("doUnmock", specifier), vi),
  mock: unsupported("mock", UNSEEN),
  doMock: unsupported("doMock", UNSEEN),
  unmock: unsupported("unmock", UNSEEN),
  doUnmock: unsupported("doUnmock", UNSEEN),
  importActual: unsupported("importActual", UNSEEN),
  importMock: unsupported("importMock", "vi.mock() without a factory replaces the module by mocks"),
  resetModules: unsupported("resetModules", "a module is evaluated once in each test file"),
};
