
type SqlValue = null | number | bigint | boolean | string | ArrayBuffer | ArrayBufferView;

interface D1Meta {
  served_by: string;
  duration: number;
  changes: number;
  last_row_id: number;
  changed_db: boolean;
  size_after: number;
  rows_read: number;
  rows_written: number;
  /** None within a transaction that is not committed yet. */
  durability?: "memory" | "fsync" | "quorum";
}

interface D1Result<Row = Record<string, unknown>> {
  success: true;
  meta: D1Meta & Record<string, unknown>;
  results: Row[];
}

interface D1PreparedStatement extends AsyncIterable<Record<string, any>> {
  bind(...values: unknown[]): D1PreparedStatement;
  safeIntegers(on?: boolean): D1PreparedStatement;
  first<Value = unknown>(column: string): Promise<Value | null>;
  first<Row = Record<string, unknown>>(): Promise<Row | null>;
  all<Row = Record<string, unknown>>(): Promise<D1Result<Row>>;
  run<Row = Record<string, unknown>>(): Promise<D1Result<Row>>;
  raw<Row = unknown[]>(options: { columnNames: true }): Promise<[string[], ...Row[]]>;
  raw<Row = unknown[]>(options?: { columnNames?: false }): Promise<Row[]>;
}

interface SqlTransaction {
  prepare(sql: string): D1PreparedStatement;
}

interface SqlChange {
  sequence: number;
  time: number;
  table: string;
  type: "insert" | "update" | "delete" | "drop";
  rowid: number | bigint | null;
  key: unknown[] | null;
}

interface D1Database {
  prepare(sql: string): D1PreparedStatement;
  batch<Row = unknown>(statements: D1PreparedStatement[]): Promise<D1Result<Row>[]>;
  exec(text: string): Promise<{ count: number; duration: number; durability: "memory" | "fsync" | "quorum" }>;
  transaction<Value>(work: (transaction: SqlTransaction) => Value | Promise<Value>): Promise<Value>;
  changes(options?: { after?: number | null; limit?: number | null }): AsyncIterableIterator<SqlChange>;
  withSession(constraint?: string): D1DatabaseSession;
  dump(): Promise<ArrayBuffer>;
}

interface D1DatabaseSession extends D1Database {
  getBookmark(): string | null;
}

interface SqlFamily {
  get(key: string): D1Database;
}
