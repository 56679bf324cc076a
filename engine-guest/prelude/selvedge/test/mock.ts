/**
 * Functions that note how they were called: `vi.fn`, `vi.spyOn`.
 */

interface Settings {
  implementation: ((...args: any[]) => any) | undefined;
  once: ((...args: any[]) => any)[];
  name: string;
}

const MOCK = Symbol("mock");

/** Every mock of this file, for `vi.clearAllMocks` and its like. */
const mocks = new Set<any>();

let order = 0;

export function isMock(value: any): boolean {
  return typeof value === "function" && value[MOCK] === true;
}

function newRecord(): any {
  const record: any = { calls: [], results: [], settledResults: [], instances: [], contexts: [], invocationCallOrder: [] };
  Object.defineProperty(record, "lastCall", { get: () => record.calls[record.calls.length - 1], enumerable: true });
  return record;
}

/** `first` is what it falls back to at `mockReset`; `restore` gives a spy's object its own method back. */
export function makeMock(first: ((...args: any[]) => any) | undefined, restore: () => void = () => {}): any {
  const settings: Settings = { implementation: first, once: [], name: first?.name || "vi.fn()" };
  let record = newRecord();
  const mock: any = function (this: any, ...args: any[]): any {
    record.calls.push(args);
    record.contexts.push(this);
    record.instances.push(this);
    record.invocationCallOrder.push(++order);
    const result: any = { type: "incomplete", value: undefined };
    record.results.push(result);
    const at = record.results.length - 1;
    const run = settings.once.shift() ?? settings.implementation;
    try {
      const value = new.target ? constructed(run, args, new.target, this) : run?.apply(this, args);
      result.type = "return";
      result.value = value;
      noteSettled(record, at, value);
      return value;
    } catch (error) {
      result.type = "throw";
      result.value = error;
      throw error;
    }
  };
  Object.defineProperty(mock, "mock", { get: () => record, enumerable: true });
  Object.defineProperty(mock, MOCK, { value: true });
  const chained = (change: (...args: any[]) => void) => (...args: any[]) => {
    change(...args);
    return mock;
  };
  const use = (run: any): void => void (settings.implementation = run);
  const once = (run: any): void => void settings.once.push(run);
  Object.assign(mock, {
    getMockName: () => settings.name,
    getMockImplementation: () => settings.once[0] ?? settings.implementation,
    mockName: chained((name: string) => void (settings.name = name)),
    mockImplementation: chained(use),
    mockImplementationOnce: chained(once),
    mockReturnThis: chained(() => use(function (this: any) { return this; })),
    mockReturnValue: chained((value: unknown) => use(() => value)),
    mockReturnValueOnce: chained((value: unknown) => once(() => value)),
    mockResolvedValue: chained((value: unknown) => use(async () => value)),
    mockResolvedValueOnce: chained((value: unknown) => once(async () => value)),
    mockRejectedValue: chained((reason: unknown) => use(async () => { throw reason; })),
    mockRejectedValueOnce: chained((reason: unknown) => once(async () => { throw reason; })),
    mockClear: chained(() => void (record = newRecord())),
    mockReset: chained(() => {
      record = newRecord();
      settings.implementation = first;
      settings.once = [];
    }),
    mockRestore: chained(() => {
      mock.mockReset();
      restore();
    }),
    withImplementation(run: any, during: () => unknown) {
      const before = settings.implementation;
      settings.implementation = run;
      const back = (): void => void (settings.implementation = before);
      const result: any = during();
      if (typeof result?.then === "function") return result.then(() => (back(), mock));
      back();
      return mock;
    },
  });
  mocks.add(mock);
  return mock;
}

function constructed(run: any, args: unknown[], target: any, self: any): unknown {
  if (run === undefined) return self;
  try {
    return Reflect.construct(run, args, target);
  } catch (error) {
    // An arrow function makes no objects; what it returns is the object then.
    if (error instanceof TypeError && run.prototype === undefined) return run.apply(self, args);
    throw error;
  }
}

function noteSettled(record: any, at: number, value: any): void {
  const { settledResults } = record;
  if (typeof value?.then !== "function") {
    settledResults[at] = { type: "fulfilled", value };
    return;
  }
  settledResults[at] = { type: "incomplete", value: undefined };
  value.then(
    (it: unknown) => void (settledResults[at] = { type: "fulfilled", value: it }),
    (reason: unknown) => void (settledResults[at] = { type: "rejected", value: reason }),
  );
}

/** Puts a mock in place of a method (or of an accessor), which goes on doing what it did. */
export function spyOn(object: any, key: PropertyKey, access?: "get" | "set"): any {
  if (object === null || object === undefined) throw new TypeError(`spyOn() takes an object, and got ${object}`);
  let owner = object;
  while (owner !== null && !Object.hasOwn(owner, key)) owner = Object.getPrototypeOf(owner);
  const descriptor = owner === null ? undefined : Object.getOwnPropertyDescriptor(owner, key);
  if (descriptor === undefined) throw new TypeError(`spyOn(): there is no ${String(key)} on the object`);
  if (isMock(descriptor.value)) return descriptor.value;
  const own = owner === object;
  const restore = (): void => {
    if (own) Object.defineProperty(object, key, descriptor);
    else delete object[key];
  };
  if (access !== undefined) {
    const before: any = descriptor[access];
    if (before === undefined) throw new TypeError(`spyOn(): ${String(key)} has no ${access}ter`);
    const mock = makeMock(before, restore);
    Object.defineProperty(object, key, { ...descriptor, [access]: mock, configurable: true });
    return mock.mockName(String(key));
  }
  const before = object[key];
  if (typeof before !== "function") throw new TypeError(`spyOn(): ${String(key)} is no function`);
  const mock = makeMock(before, restore).mockName(String(key));
  Object.defineProperty(object, key, {
    value: mock, writable: true, configurable: true, enumerable: descriptor.enumerable === true,
  });
  return mock;
}

export function eachMock(method: "mockClear" | "mockReset" | "mockRestore"): void {
  for (const mock of mocks) mock[method]();
}
