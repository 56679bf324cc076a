/**
 * The store: items in KV, and the rules that keep them right when several writers meet.
 *
 * Every write names the revision that it read. If somebody else was faster, KV refuses it with the
 * code `revision_conflict`, and nothing was written.
 */
import type { Answer, Item, ItemChange, ItemPage, NewItem, Refusal, StoreCalls } from "./item.ts";

type Stored = Omit<NewItem, "sku">;
type Handlers = { [K in keyof StoreCalls]: (kv: KVNamespace, takes: StoreCalls[K]["takes"]) => Promise<Answer<StoreCalls[K]["answers"]>> };

/** How often a change is tried again when another writer was faster. */
const ATTEMPTS = 8;

const handlers: Handlers = { list, get, create, replace, remove, take };

export default {
  /** `POST /NAME` with the arguments as JSON. Only `web` can call, so they are as `web` checked them. */
  async fetch(request: Request, env: StoreEnv): Promise<Response> {
    const name = new URL(request.url).pathname.slice(1);
    if (!Object.hasOwn(handlers, name)) return new Response(`the store has no call named ${name}`, { status: 404 });
    const handler = handlers[name as keyof StoreCalls] as (kv: KVNamespace, takes: unknown) => Promise<Answer<unknown>>;
    return Response.json(await handler(env.ITEMS, await request.json()));
  },
};

async function list(kv: KVNamespace, { limit, cursor }: { limit: number; cursor: string | null }): Promise<Answer<ItemPage>> {
  try {
    const page = await kv.list({ limit, cursor });
    const skus = page.keys.map((key) => key.name);
    const found = skus.length > 0 ? await kv.getWithMetadata<Stored>(skus, "json") : new Map();
    const items: Item[] = [];
    for (const sku of skus) {
      const { value, revision } = found.get(sku)!;
      // An item may have been removed since its key was listed.
      if (value !== null) items.push({ sku, ...value, revision });
    }
    return done({ items, cursor: page.list_complete ? null : page.cursor });
  } catch (error) {
    return codeOf(error) === "bad_cursor" ? refused({ reason: "bad_cursor" }) : fail(error);
  }
}

async function get(kv: KVNamespace, { sku }: { sku: string }): Promise<Answer<Item>> {
  const { value, revision } = await kv.getWithMetadata<Stored>(sku, "json");
  return value === null ? refused({ reason: "no_item" }) : done({ sku, ...value, revision: revision! });
}

async function create(kv: KVNamespace, { sku, ...stored }: NewItem): Promise<Answer<Item>> {
  try {
    const { revision } = await kv.put(sku, JSON.stringify(stored), { ifAbsent: true });
    return done({ sku, ...stored, revision });
  } catch (error) {
    return isConflict(error) ? refused({ reason: "exists" }) : fail(error);
  }
}

async function replace(
  kv: KVNamespace,
  { sku, change, revision }: { sku: string; change: ItemChange; revision: number },
): Promise<Answer<Item>> {
  try {
    const written = await kv.put(sku, JSON.stringify(change), { ifRevision: revision });
    return done({ sku, ...change, revision: written.revision });
  } catch (error) {
    return isConflict(error) ? changed(kv, sku) : fail(error);
  }
}

async function remove(kv: KVNamespace, { sku, revision }: { sku: string; revision: number }): Promise<Answer<null>> {
  try {
    await kv.delete(sku, { ifRevision: revision });
    return done(null);
  } catch (error) {
    return isConflict(error) ? changed(kv, sku) : fail(error);
  }
}

/**
 * Takes some out of stock: read, decide, write if nothing has changed; otherwise once more, from
 * the beginning. So two callers can never take the same piece.
 */
async function take(kv: KVNamespace, { sku, quantity }: { sku: string; quantity: number }): Promise<Answer<Item>> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const read = await get(kv, { sku });
    if (!read.ok) return read;
    const { name, stock, revision } = read.value;
    if (stock < quantity) return refused({ reason: "out_of_stock", stock });
    const written = await replace(kv, { sku, change: { name, stock: stock - quantity }, revision });
    if (written.ok || written.refusal.reason !== "changed") return written;
  }
  return refused({ reason: "contended" });
}

function done<T>(value: T): Answer<T> {
  return { ok: true, value };
}

function refused(refusal: Refusal): { ok: false; refusal: Refusal } {
  return { ok: false, refusal };
}

/** The answer to a write that lost: what the item's revision is now. */
async function changed(kv: KVNamespace, sku: string): Promise<{ ok: false; refusal: Refusal }> {
  const now = await get(kv, { sku });
  return now.ok ? refused({ reason: "changed", revision: now.value.revision }) : now;
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null)?.code;
}

function isConflict(error: unknown): boolean {
  return codeOf(error) === "revision_conflict";
}

function fail(error: unknown): never {
  throw error;
}
