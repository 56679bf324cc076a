// Made by `selvedge types` from the manifest. Run it again after a change.

/** What the worker `store` finds in `env`. */
interface StoreEnv {
  ITEMS: KVNamespace;
}

/** What the worker `web` finds in `env`. */
interface WebEnv {
  STORE: WorkerService<typeof import("./src/store").default>;
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
  ): Promise<{ revision: number }>;
  delete(key: Key, options?: { ifRevision?: number }): Promise<void>;
  list<Metadata = unknown>(options?: {
    prefix?: string | null;
    cursor?: string | null;
    limit?: number;
  }): Promise<KVNamespaceListResult<Metadata, Key>>;
}

interface KVNamespaceListKey<Metadata, Key extends string = string> {
  name: Key;
  revision: number;
  expiration?: number;
  metadata?: Metadata;
}

type KVNamespaceListResult<Metadata, Key extends string = string> =
  | { list_complete: false; keys: KVNamespaceListKey<Metadata, Key>[]; cursor: string; cacheStatus: string | null }
  | { list_complete: true; keys: KVNamespaceListKey<Metadata, Key>[]; cacheStatus: string | null };

interface KVNamespaceGetWithMetadataResult<Value, Metadata> {
  value: Value | null;
  metadata: Metadata | null;
  cacheStatus: string | null;
  revision: number | null;
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
