
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
