// Made by `selvedge types` from the manifest. Run it again after a change.

/** What the worker `web` finds in `env`. */
interface Env {
  ROOMS: DurableObjectNamespace<import("./src/index").Room>;
}

/** Another worker of the app, or its files. A call to it does not leave the process. */
interface WorkerFetcher {
  fetch(input: Request | URL | string, init?: RequestInit): Promise<Response>;
}

/** Another worker of the app: `fetch`, and the methods of the class that answers. */
type WorkerService<Exported> = WorkerFetcher &
  (Exported extends abstract new (...args: any[]) => infer Entry ? RpcMembers<Omit<Entry, RpcReserved>> : {});

/** Another worker, of which no more is known than that it is called by name. */
type UntypedService = WorkerFetcher & { [name: string]: any };

type RpcReserved = "fetch" | "connect" | "scheduled" | "queue" | "email" | "tail" | "trace" | "alarm" | "ctx" | "env" | "dup";

type RpcMembers<Target> = { [Name in keyof Target]: RpcMember<Target[Name]> };

type RpcMember<Value> = Value extends (...args: infer Args) => infer Result
  ? (...args: Args) => RpcPromise<Awaited<Result>>
  : RpcPromise<Awaited<Value>>;

/** What a call gives: a promise whose members can be called before it is there. */
type RpcPromise<Value> = Promise<RpcResult<Value>> & RpcPipeline<Value>;

type RpcPipeline<Value> = Value extends (...args: any[]) => any
  ? RpcMember<Value>
  : Value extends RpcCopied ? {} : Value extends object ? RpcMembers<Value> : {};

/** What arrives: copies of values, and stubs of what is passed by reference. */
type RpcResult<Value> = Value extends (...args: any[]) => any
  ? RpcMember<Value> & RpcStub
  : Value extends RpcCopied
    ? Value
    : Value extends object
      ? { [Name in keyof Value]: Value[Name] extends (...args: any[]) => any ? RpcMember<Value[Name]> : RpcResult<Value[Name]> } & RpcStub
      : Value;

type RpcCopied =
  | string | number | boolean | bigint | symbol | null | undefined | void | Date | RegExp | Error | ArrayBuffer
  | ArrayBufferView | ReadonlyMap<any, any> | ReadonlySet<any> | Blob | Headers | Request | Response | ReadableStream;

/** What is held of another worker until it is disposed of, or the request is over. */
type RpcStub = SymbolConstructor extends { readonly dispose: infer Key extends symbol } ? { [Name in Key]: () => void } : {};

interface WorkerContext<Props = unknown> {
  readonly props: Props;
  waitUntil(promise: Promise<unknown>): void;
}

declare module "cloudflare:workers" {
  export abstract class WorkerEntrypoint<Env = unknown, Props = unknown> {
    protected readonly ctx: WorkerContext<Props>;
    protected readonly env: Env;
    constructor(ctx: WorkerContext<Props>, env: Env);
  }
  export abstract class RpcTarget {}
  export const RpcStub: new <Target>(target: Target) => RpcResult<Target>;
  export const env: any;
}

/** A class of durable objects. */
interface DurableObjectNamespace<Class = unknown> {
  idFromName(name: string): DurableObjectId;
  newUniqueId(options?: { jurisdiction?: string }): DurableObjectId;
  idFromString(id: string): DurableObjectId;
  get(id: DurableObjectId, options?: { locationHint?: string }): DurableObjectStub<Class>;
  getByName(name: string, options?: { locationHint?: string }): DurableObjectStub<Class>;
  jurisdiction(jurisdiction: string): DurableObjectNamespace<Class>;
}

interface DurableObjectId {
  readonly name?: string;
  toString(): string;
  equals(other: DurableObjectId): boolean;
}

type DurableObjectStub<Class = unknown> = WorkerFetcher & { readonly id: DurableObjectId; readonly name?: string } &
  RpcMembers<Omit<Class, RpcReserved | "webSocketMessage" | "webSocketClose" | "webSocketError">>;

interface DurableObjectState<Props = unknown> {
  readonly id: DurableObjectId;
  readonly storage: DurableObjectStorage;
  readonly props: Props;
  waitUntil(promise: Promise<unknown>): void;
  blockConcurrencyWhile<Result>(callback: () => Promise<Result>): Promise<Result>;
  acceptWebSocket(socket: WebSocket, tags?: string[]): void;
  getWebSockets(tag?: string): WebSocket[];
  getTags(socket: WebSocket): string[];
  setWebSocketAutoResponse(pair?: WebSocketRequestResponsePair): void;
  getWebSocketAutoResponse(): WebSocketRequestResponsePair | null;
  getWebSocketAutoResponseTimestamp(socket: WebSocket): Date | null;
  abort(reason?: string): never;
}

interface WebSocketRequestResponsePair {
  readonly request: string;
  readonly response: string;
}
declare var WebSocketRequestResponsePair: new (request: string, response: string) => WebSocketRequestResponsePair;

interface DurableObjectListOptions {
  start?: string;
  startAfter?: string;
  end?: string;
  prefix?: string;
  reverse?: boolean;
  limit?: number;
}

interface DurableObjectTransaction {
  get<Value = unknown>(key: string): Promise<Value | undefined>;
  get<Value = unknown>(keys: string[]): Promise<Map<string, Value>>;
  list<Value = unknown>(options?: DurableObjectListOptions): Promise<Map<string, Value>>;
  put(key: string, value: unknown): Promise<void>;
  put(entries: Record<string, unknown>): Promise<void>;
  delete(key: string): Promise<boolean>;
  delete(keys: string[]): Promise<number>;
  getAlarm(): Promise<number | null>;
  setAlarm(at: number | Date): Promise<void>;
  deleteAlarm(): Promise<void>;
  rollback(): void;
}

interface SqlStorageCursor<Row extends Record<string, SqlStorageValue>> extends Iterable<Row> {
  next(): { done?: false; value: Row } | { done: true; value?: never };
  toArray(): Row[];
  one(): Row;
  raw<Raw extends SqlStorageValue[] = SqlStorageValue[]>(): IterableIterator<Raw> & { toArray(): Raw[] };
  readonly columnNames: string[];
  readonly rowsRead: number;
  readonly rowsWritten: number;
}

type SqlStorageValue = ArrayBuffer | string | number | null;

interface SqlStorage {
  exec<Row extends Record<string, SqlStorageValue>>(query: string, ...bindings: any[]): SqlStorageCursor<Row>;
  readonly databaseSize: number;
}

interface DurableObjectStorage extends Omit<DurableObjectTransaction, "rollback"> {
  readonly kv: {
    get<Value = unknown>(key: string): Value | undefined;
    list<Value = unknown>(options?: DurableObjectListOptions): Iterable<[string, Value]>;
    put(key: string, value: unknown): void;
    delete(key: string): boolean;
  };
  readonly sql: SqlStorage;
  deleteAll(): Promise<void>;
  sync(): Promise<{ durability: "memory" | "fsync" | "quorum" }>;
  transaction<Result>(callback: (transaction: DurableObjectTransaction) => Promise<Result>): Promise<Result>;
  transactionSync<Result>(callback: () => Result): Result;
}

declare module "cloudflare:workers" {
  export abstract class DurableObject<Env = unknown, Props = unknown> {
    protected readonly ctx: DurableObjectState<Props>;
    protected readonly env: Env;
    constructor(ctx: DurableObjectState<Props>, env: Env);
  }
}
