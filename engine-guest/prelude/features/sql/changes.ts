/** The change feed of a SQL database: which rows were written, in the order of the commits. */
import { INTERNAL } from "../../internal.ts";
import { isSafeInteger } from "../../library.ts";
import { OP_SQL_CHANGES, start } from "../../native.ts";
import { TypeError, jsonParse, webClass } from "../../primordials.ts";
import { Watcher, type Source } from "../feed/watcher.ts";

/** One row that was written. */
interface Change {
  /** Its position; where to go on. */
  sequence: number;
  /** When it was committed. */
  time: number;
  table: string;
  type: "insert" | "update" | "delete" | "drop";
  rowid: number | bigint | null;
  /** The values of the primary key, where that is not the rowid. */
  key: unknown[] | null;
}

const PARTS = 6;

function gather(parts: any[], told: Change[]): void {
  for (let i = 0; i < parts.length; i += PARTS) {
    told[told.length] = {
      sequence: parts[i],
      time: parts[i + 1],
      table: parts[i + 2],
      type: parts[i + 3],
      rowid: parts[i + 4],
      key: parts[i + 5] === null ? null : jsonParse(parts[i + 5]),
    };
  }
}

function whole(value: unknown, name: string, least: number): number | null {
  if (value === undefined || value === null) return null;
  if (isSafeInteger(value) && (value as number) >= least) return value as number;
  throw new TypeError(`${name} must be a whole number of at least ${least}`);
}

/** An async iterator of changes, without an end of its own. */
export class SqlChanges extends Watcher<Change> {
  constructor(token: unknown = undefined, binding: number = 0, key: string | null = null, options: any = undefined) {
    const limit = whole(options?.limit, "limit", 1);
    const source: Source<Change> = {
      read: (position, first) => start(OP_SQL_CHANGES, binding, key, position, limit, first),
      gather,
    };
    super(token, source, whole(options?.after, "after", 0));
  }
}
webClass(SqlChanges);

export function makeChanges(binding: number, key: string | null, options: any): SqlChanges {
  return new SqlChanges(INTERNAL, binding, key, options);
}
