// Made by `selvedge types` from the manifest. Run it again after a change.

/** What the worker `web` finds in `env`. */
interface Env {
  COOKIE_KEY: string;
  COOKIE_KEY_BEFORE: string | undefined;
  IDLE_MINUTES: number;
  SESSIONS: KVNamespace;
  SESSIONS_PER_USER: number;
}

interface KVNamespace<Key extends string = string> {
  get(key: Key, options?: "text" | { type?: "text"; cacheTtl?: number }): Promise<string | null>;
  get<Value = unknown>(key: Key, options: "json" | { type: "json"; cacheTtl?: number }): Promise<Value | null>;
  get(key: Key, options: "arrayBuffer" | { type: "arrayBuffer"; cacheTtl?: number }): Promise<ArrayBuffer | null>;
  get(key: Key, options: "stream" | { type: "stream"; cacheTtl?: number }): Promise<ReadableStream | null>;
  get(keys: Key[], options?: "text" | { type?: "text"; cacheTtl?: number }): Promise<Map<string, string | null>>;
  get<Value = unknown>(keys: Key[], options: "json" | { type: "json"; cacheTtl?: number }): Promise<Map<string, Value | null>>;
  getWithMetadata<Metadata = unknown>(
    key: Key,
    options?: "text" | { type?: "text"; cacheTtl?: number },
  ): Promise<KVNamespaceGetWithMetadataResult<string, Metadata>>;
  getWithMetadata<Value = unknown, Metadata = unknown>(
    key: Key,
    options: "json" | { type: "json"; cacheTtl?: number },
  ): Promise<KVNamespaceGetWithMetadataResult<Value, Metadata>>;
  getWithMetadata<Metadata = unknown>(
    key: Key,
    options: "arrayBuffer" | { type: "arrayBuffer"; cacheTtl?: number },
  ): Promise<KVNamespaceGetWithMetadataResult<ArrayBuffer, Metadata>>;
  getWithMetadata<Metadata = unknown>(
    key: Key,
    options: "stream" | { type: "stream"; cacheTtl?: number },
  ): Promise<KVNamespaceGetWithMetadataResult<ReadableStream, Metadata>>;
  getWithMetadata<Metadata = unknown>(
    keys: Key[],
    options?: "text" | { type?: "text"; cacheTtl?: number },
  ): Promise<Map<string, KVNamespaceGetWithMetadataResult<string, Metadata>>>;
  getWithMetadata<Value = unknown, Metadata = unknown>(
    keys: Key[],
    options: "json" | { type: "json"; cacheTtl?: number },
  ): Promise<Map<string, KVNamespaceGetWithMetadataResult<Value, Metadata>>>;
  put(
    key: Key,
    value: string | ArrayBuffer | ArrayBufferView | ReadableStream,
    options?: {
      expiration?: number;
      expirationTtl?: number;
      metadata?: unknown;
      /** Only if the key still has this revision; null: only if there is no such key. */
      ifRevision?: number | null;
      /** Only if there is no such key. */
      ifAbsent?: boolean;
    },
  ): Promise<{ revision: number; durability: "memory" | "fsync" | "quorum" }>;
  delete(key: Key, options?: { ifRevision?: number }): Promise<{ durability: "memory" | "fsync" | "quorum" }>;
  list<Metadata = unknown>(options?: {
    prefix?: string | null;
    cursor?: string | null;
    limit?: number;
    /** Only keys that were written after this revision. */
    changedSince?: number | null;
    /** With the values; null for one of more than 64 KiB. */
    values?: "text" | "json" | "arrayBuffer";
  }): Promise<KVNamespaceListResult<Metadata, Key>>;
  /** Adds to a counter, a whole number in decimal, and gives what it holds then: a number where that is exact. */
  add(key: Key, by?: number | bigint): Promise<number | bigint>;
  /** Begins a transaction: checks and writes that happen at one moment, all or none. */
  atomic(): KVAtomicOperation<Key>;
  /** What is written from now on, or after a revision. A gap is an error (`changes_gone`). */
  watch(options?: { prefix?: string | null; since?: number | null }): AsyncIterableIterator<KVWritten<Key>>;
}

interface KVAtomicOperation<Key extends string = string> {
  /** That the key has this revision (null: that there is none), or that it exists or does not. */
  check(condition: { key: Key; revision: number | null } | { key: Key; exists: boolean }): this;
  put(
    key: Key,
    value: string | ArrayBuffer | ArrayBufferView,
    options?: { expiration?: number; expirationTtl?: number; metadata?: unknown },
  ): this;
  delete(key: Key): this;
  add(key: Key, by?: number | bigint): this;
  /** Rejects with the code `revision_conflict`, and nothing is done, if a check does not hold. */
  commit(): Promise<{ revision: number; counters: Map<Key, number | bigint>; durability: "memory" | "fsync" | "quorum" }>;
}

/** What one write changed. */
interface KVWritten<Key extends string = string> {
  revision: number;
  changes: { key: Key; type: "put" | "delete" | "expire" }[];
}

interface KVNamespaceListKey<Metadata, Key extends string = string> {
  name: Key;
  revision: number;
  expiration?: number;
  metadata?: Metadata;
  /** If values were asked for. */
  value?: any;
}

type KVNamespaceListResult<Metadata, Key extends string = string> =
  | {
    list_complete: false;
    keys: KVNamespaceListKey<Metadata, Key>[];
    cursor: string;
    revision: number;
    cacheStatus: string | null;
  }
  | { list_complete: true; keys: KVNamespaceListKey<Metadata, Key>[]; revision: number; cacheStatus: string | null };

interface KVNamespaceGetWithMetadataResult<Value, Metadata> {
  value: Value | null;
  metadata: Metadata | null;
  cacheStatus: string | null;
  revision: number | null;
}

/** What files of tests import, and `selvedge test` runs. */
declare module "selvedge:test" {
  /** The bindings of the worker under test. */
  export const env: Env;
  /** The app as a client meets it, in instances of its own. */
  export const SELF: { fetch(input: Request | URL | string, init?: RequestInit): Promise<Response> };
  export interface ExecutionContext {
    waitUntil(promise: Promise<unknown>): void;
    passThroughOnException(): void;
    props: any;
  }
  export function createExecutionContext(): ExecutionContext;
  export function waitOnExecutionContext(ctx: ExecutionContext): Promise<void>;
  /** Runs the alarm of a durable object now; false if none is set. */
  export function runDurableObjectAlarm(stub: { readonly id: unknown }): Promise<boolean>;
  /** The ids of the durable objects of a class that hold something. */
  export function listDurableObjectIds<Id>(namespace: { idFromString(text: string): Id }): Promise<Id[]>;
  /** Empties the app's data. */
  export function reset(): Promise<void>;

  type Awaitable = unknown | Promise<unknown>;
  interface Options { timeout?: number; retry?: number; repeats?: number; skip?: boolean; only?: boolean; todo?: boolean; fails?: boolean }
  export interface TestContext {
    expect: Expect;
    task: { name: string };
    skip(note?: string): never;
    onTestFinished(body: () => Awaitable): void;
    onTestFailed(body: () => Awaitable): void;
  }
  type Row<T> = T extends readonly unknown[] ? T : [T];
  interface Declare<Context extends unknown[]> {
    (name: string | Function, body?: (...context: Context) => Awaitable, options?: number | Options): void;
    (name: string | Function, options: Options, body?: (...context: Context) => Awaitable): void;
    skip: Declare<Context>;
    only: Declare<Context>;
    todo: Declare<Context>;
    fails: Declare<Context>;
    concurrent: Declare<Context>;
    sequential: Declare<Context>;
    skipIf(condition: unknown): Declare<Context>;
    runIf(condition: unknown): Declare<Context>;
    each<const T>(rows: readonly T[]): (name: string, body: (...row: Row<T> & any[]) => Awaitable, options?: number | Options) => void;
    each(names: TemplateStringsArray, ...values: unknown[]): (name: string, body: (row: any) => Awaitable) => void;
    for<T>(rows: readonly T[]): (name: string, body: (row: T, context: TestContext) => Awaitable, options?: number | Options) => void;
  }
  type Fixture<T, All> = T | ((context: TestContext & All, use: (value: T) => Promise<void>) => Promise<void>);
  interface Test<Context> extends Declare<[Context]> {
    extend<More extends object>(fixtures: {
      [Name in keyof More]: Fixture<More[Name], More & Context> | [Fixture<More[Name], More & Context>, { auto?: boolean }];
    }): Test<Context & More>;
  }
  export const test: Test<TestContext>;
  export const it: typeof test;
  export const describe: Declare<[]>;
  export const suite: typeof describe;
  type Hook = (body: (...context: any[]) => Awaitable, timeout?: number) => void;
  export const beforeAll: Hook;
  export const afterAll: Hook;
  export const beforeEach: Hook;
  export const afterEach: Hook;
  export const onTestFinished: (body: () => Awaitable) => void;
  export const onTestFailed: (body: () => Awaitable) => void;

  interface Matchers<Result> {
    not: Matchers<Result>;
    resolves: Matchers<Promise<void>>;
    rejects: Matchers<Promise<void>>;
    toBe(expected: unknown): Result;
    toEqual(expected: unknown): Result;
    toStrictEqual(expected: unknown): Result;
    toMatchObject(expected: object): Result;
    toBeTruthy(): Result;
    toBeFalsy(): Result;
    toBeNull(): Result;
    toBeUndefined(): Result;
    toBeDefined(): Result;
    toBeNaN(): Result;
    toBeTypeOf(type: string): Result;
    toBeInstanceOf(type: Function): Result;
    toBeOneOf(options: Iterable<unknown>): Result;
    toBeGreaterThan(than: number | bigint): Result;
    toBeGreaterThanOrEqual(than: number | bigint): Result;
    toBeLessThan(than: number | bigint): Result;
    toBeLessThanOrEqual(than: number | bigint): Result;
    toBeCloseTo(expected: number, digits?: number): Result;
    toContain(item: unknown): Result;
    toContainEqual(item: unknown): Result;
    toHaveLength(length: number): Result;
    toHaveProperty(path: PropertyKey | PropertyKey[], value?: unknown): Result;
    toMatch(pattern: string | RegExp): Result;
    toSatisfy(predicate: (value: any) => unknown): Result;
    toThrow(expected?: unknown): Result;
    toMatchInlineSnapshot(snapshot?: string): Result;
    toThrowErrorMatchingInlineSnapshot(snapshot?: string): Result;
    toHaveBeenCalled(): Result;
    toHaveBeenCalledOnce(): Result;
    toHaveBeenCalledTimes(count: number): Result;
    toHaveBeenCalledWith(...args: unknown[]): Result;
    toHaveBeenLastCalledWith(...args: unknown[]): Result;
    toHaveBeenNthCalledWith(nth: number, ...args: unknown[]): Result;
    toHaveReturnedWith(value: unknown): Result;
  }
  interface Asymmetric {
    objectContaining(sample: object): any;
    arrayContaining(sample: readonly unknown[]): any;
    stringContaining(sample: string): any;
    stringMatching(sample: string | RegExp): any;
    closeTo(sample: number, digits?: number): any;
  }
  interface Expect extends Asymmetric {
    (value: unknown, message?: string): Matchers<void>;
    soft(value: unknown, message?: string): Matchers<void>;
    poll(ask: () => unknown, options?: { interval?: number; timeout?: number }): Matchers<Promise<void>>;
    any(type: Function): any;
    anything(): any;
    not: Asymmetric;
    assertions(count: number): void;
    hasAssertions(): void;
    extend(matchers: Record<string, (...args: any[]) => any>): void;
    fail(message?: string): never;
    unreachable(message?: string): never;
  }
  export const expect: Expect;

  export interface Mock<Args extends any[] = any[], Result = any> {
    (...args: Args): Result;
    mock: { calls: Args[]; results: { type: string; value: any }[]; lastCall: Args | undefined };
    mockName(name: string): this;
    mockClear(): this;
    mockReset(): this;
    mockRestore(): this;
    mockImplementation(body: (...args: Args) => any): this;
    mockImplementationOnce(body: (...args: Args) => any): this;
    mockReturnValue(value: any): this;
    mockReturnValueOnce(value: any): this;
    mockResolvedValue(value: any): this;
    mockResolvedValueOnce(value: any): this;
    mockRejectedValue(reason: any): this;
    mockRejectedValueOnce(reason: any): this;
  }
  interface Vi {
    fn<Args extends any[] = any[], Result = any>(body?: (...args: Args) => Result): Mock<Args, Result>;
    spyOn(object: object, key: PropertyKey, access?: "get" | "set"): Mock;
    isMockFunction(value: unknown): boolean;
    /** Replaces a module for everybody who imports it, before anything of this file runs. */
    mock<Module = any>(module: string | Promise<Module>, given?: ((original: <M = Module>() => Promise<M>) => unknown) | { spy?: boolean }): Vi;
    doMock<Module = any>(module: string | Promise<Module>, given?: ((original: <M = Module>() => Promise<M>) => unknown) | { spy?: boolean }): Vi;
    unmock(module: string): Vi;
    doUnmock(module: string): Vi;
    importActual<Module = any>(module: string): Promise<Module>;
    hoisted<Result>(body: () => Result): Result;
    mocked<Value>(value: Value): Value & Mock;
    clearAllMocks(): Vi;
    resetAllMocks(): Vi;
    restoreAllMocks(): Vi;
    useFakeTimers(options?: { now?: number | Date; toFake?: string[]; toNotFake?: string[] }): Vi;
    useRealTimers(): Vi;
    setSystemTime(time: number | string | Date): Vi;
    advanceTimersByTime(ms: number): Vi;
    advanceTimersByTimeAsync(ms: number): Promise<Vi>;
    advanceTimersToNextTimer(): Vi;
    runAllTimers(): Vi;
    runAllTimersAsync(): Promise<Vi>;
    runOnlyPendingTimers(): Vi;
    runOnlyPendingTimersAsync(): Promise<Vi>;
    getTimerCount(): number;
    clearAllTimers(): Vi;
    stubGlobal(name: PropertyKey, value: unknown): Vi;
    unstubAllGlobals(): Vi;
    stubEnv(name: string, value: string | undefined): Vi;
    unstubAllEnvs(): Vi;
    waitFor<T>(ask: () => T | Promise<T>, options?: number | { interval?: number; timeout?: number }): Promise<T>;
    waitUntil<T>(ask: () => T | Promise<T>, options?: number | { interval?: number; timeout?: number }): Promise<T>;
  }
  export const vi: Vi;
}
