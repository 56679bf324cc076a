/**
 * The entries of the book, in KV.
 *
 * A list of keys comes in ascending order, and a guestbook is read from its newest entry on. So a
 * key holds the time counted *down*: `entry-8234059264000-k3f9…`. The end of the key is random,
 * which keeps two entries of the same millisecond apart.
 */
export interface Entry {
  /** The key, which is also the anchor of the entry on its page. */
  id: string;
  name: string;
  message: string;
  /** Milliseconds since the Unix epoch. */
  writtenAt: number;
}

export interface Page {
  entries: Entry[];
  /** Where the next page begins; null if this is the last. */
  cursor: string | null;
}

/** The cursor was not made by this list. */
export class BadCursor extends Error {}

type Stored = Omit<Entry, "id">;

const PREFIX = "entry-";
const LATEST = 9_999_999_999_999;

export async function addEntry(kv: KVNamespace, entry: { name: string; message: string }): Promise<string> {
  const writtenAt = Date.now();
  const countdown = String(LATEST - writtenAt).padStart(13, "0");
  const id = `${PREFIX}${countdown}-${crypto.randomUUID().slice(0, 8)}`;
  const stored: Stored = { ...entry, writtenAt };
  await kv.put(id, JSON.stringify(stored));
  return id;
}

/** A page of entries, newest first: one read for the keys, one for all values. */
export async function listEntries(kv: KVNamespace, limit: number, cursor: string | null): Promise<Page> {
  const listed = await listKeys(kv, limit, cursor);
  const ids = listed.keys.map((key) => key.name);
  const values = ids.length > 0 ? await kv.get<Stored>(ids, "json") : new Map<string, Stored | null>();
  const entries: Entry[] = [];
  for (const id of ids) {
    // An entry may have been removed since its key was listed.
    const stored = values.get(id);
    if (stored) entries.push({ id, ...stored });
  }
  return { entries, cursor: listed.list_complete ? null : listed.cursor };
}

async function listKeys(kv: KVNamespace, limit: number, cursor: string | null) {
  try {
    return await kv.list({ prefix: PREFIX, limit, cursor });
  } catch (error) {
    if ((error as { code?: string }).code === "bad_cursor") throw new BadCursor();
    throw error;
  }
}
