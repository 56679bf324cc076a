// Made by `selvedge types` from the manifest. Run it again after a change.

/** What the worker `web` finds in `env`. */
interface Env {
  DB: PostgresDatabase;
}

/** What PostgreSQL answered. */
interface PostgresResult<Row = Record<string, any>> {
  rows: Row[];
  fields: { name: string; dataTypeID: number }[];
  rowCount: number | null;
  command: string;
}

interface PostgresQueryOptions {
  /** "object" by the names of columns (the default), or "array" in their order. */
  rowMode?: "object" | "array";
  /** "date" for Date objects (the default), or "string" as the server writes them. */
  timestamps?: "date" | "string";
  /** Less than limits.statement_ms, for this statement. */
  timeoutMs?: number;
}

interface PostgresQueryable {
  query<Row = Record<string, any>>(
    text: string, params?: unknown[], options?: PostgresQueryOptions,
  ): Promise<PostgresResult<Row>>;
  query<Row = Record<string, any>>(
    config: { text: string; values?: unknown[] } & PostgresQueryOptions,
  ): Promise<PostgresResult<Row>>;
  /** Values become parameters, never text. */
  sql<Row = Record<string, any>>(strings: TemplateStringsArray, ...params: unknown[]): Promise<PostgresResult<Row>>;
}

interface PostgresTransaction extends PostgresQueryable {
  /** A savepoint: what the function throws undoes what it did. */
  transaction<T>(run: (tx: PostgresTransaction) => T | Promise<T>): Promise<T>;
}

interface PostgresTransactionOptions {
  isolation?: "read committed" | "repeatable read" | "serializable";
  readOnly?: boolean;
  deferrable?: boolean;
}

interface PostgresNotification {
  channel: string;
  payload: string;
  processId: number;
}

interface PostgresDatabase extends PostgresQueryable {
  /** Commits when the function's promise resolves, rolls back when it rejects. */
  transaction<T>(
    run: (tx: PostgresTransaction) => T | Promise<T>, options?: PostgresTransactionOptions,
  ): Promise<T>;
  listen(channel: string): AsyncIterableIterator<PostgresNotification>;
  notify(channel: string, payload?: string): Promise<void>;
}
