/**
 * The store: items in KV, and the rules that keep them right when several writers meet.
 *
 * Every write names the revision that it read. If somebody else was faster, KV refuses it with the
 * code `revision_conflict`, and nothing was written.
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import type { Answer, Item, ItemChange, ItemPage, NewItem, Refusal } from "./item.ts";

type Stored = Omit<NewItem, "sku">;

/** How often a change is tried again when another writer was faster. */
const ATTEMPTS = 8;

/** What `web` calls. Nobody else can, so arguments are as `web` checked them. */
export default class Store extends WorkerEntrypoint<StoreEnv> {
  async list(limit: number, cursor: string | null): Promise<Answer<ItemPage>> {
    try {
      const page = await this.env.ITEMS.list({ limit, cursor });
      const skus = page.keys.map((key) => key.name);
      const found = skus.length > 0 ? await this.env.ITEMS.getWithMetadata<Stored>(skus, "json") : new Map();
      const items: Item[] = [];
      for (const sku of skus) {
        const { value, revision } = found.get(sku)!;
        // An item may have been removed since its key was listed.
        if (value !== null) items.push({ sku, ...value, revision });
      }
      return done({ items, cursor: page.list_complete ? null : page.cursor });
    } catch (error) {
      if (codeOf(error) === "bad_cursor") return refused({ reason: "bad_cursor" });
      throw error;
    }
  }

  async get(sku: string): Promise<Answer<Item>> {
    const { value, revision } = await this.env.ITEMS.getWithMetadata<Stored>(sku, "json");
    return value === null ? refused({ reason: "no_item" }) : done({ sku, ...value, revision: revision! });
  }

  async create({ sku, ...stored }: NewItem): Promise<Answer<Item>> {
    try {
      const { revision } = await this.env.ITEMS.put(sku, JSON.stringify(stored), { ifAbsent: true });
      return done({ sku, ...stored, revision });
    } catch (error) {
      if (isConflict(error)) return refused({ reason: "exists" });
      throw error;
    }
  }

  async replace(sku: string, change: ItemChange, revision: number): Promise<Answer<Item>> {
    try {
      const written = await this.env.ITEMS.put(sku, JSON.stringify(change), { ifRevision: revision });
      return done({ sku, ...change, revision: written.revision });
    } catch (error) {
      if (isConflict(error)) return this.#changed(sku);
      throw error;
    }
  }

  async remove(sku: string, revision: number): Promise<Answer<null>> {
    try {
      await this.env.ITEMS.delete(sku, { ifRevision: revision });
      return done(null);
    } catch (error) {
      if (isConflict(error)) return this.#changed(sku);
      throw error;
    }
  }

  /**
   * Takes some out of stock: read, decide, write if nothing has changed; otherwise once more, from
   * the beginning. So two callers can never take the same piece.
   */
  async take(sku: string, quantity: number): Promise<Answer<Item>> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const read = await this.get(sku);
      if (!read.ok) return read;
      const { name, stock, revision } = read.value;
      if (stock < quantity) return refused({ reason: "out_of_stock", stock });
      const written = await this.replace(sku, { name, stock: stock - quantity }, revision);
      if (written.ok || written.refusal.reason !== "changed") return written;
    }
    return refused({ reason: "contended" });
  }

  /** The answer to a write that lost: what the item's revision is now. Private, so no call reaches it. */
  async #changed(sku: string): Promise<{ ok: false; refusal: Refusal }> {
    const now = await this.get(sku);
    return now.ok ? refused({ reason: "changed", revision: now.value.revision }) : now;
  }
}

function done<T>(value: T): Answer<T> {
  return { ok: true, value };
}

function refused(refusal: Refusal): { ok: false; refusal: Refusal } {
  return { ok: false, refusal };
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null)?.code;
}

function isConflict(error: unknown): boolean {
  return codeOf(error) === "revision_conflict";
}
