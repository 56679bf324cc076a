// Made by `selvedge types` from the manifest. Run it again after a change.

/** What the worker `store` finds in `env`. */
interface StoreEnv {
  ITEMS: KVNamespace;
}

/** What the worker `web` finds in `env`. */
interface WebEnv {
  STORE: WorkerFetcher;
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
