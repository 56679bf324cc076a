// One page's count. The object takes every view, durably, and tells the database in batches.

import { DurableObject } from "cloudflare:workers";

/** How long a view may wait until it is in the database. */
export const BEHIND_MS = 1_000;

/** What is to be written: kept until the database has it. */
interface Batch {
  number: number;
  views: number;
}

export class Page extends DurableObject<Env> {
  /** Counts a view; answers how many there are. Nothing here waits for the database but a page's very first view. */
  async view(name: string): Promise<number> {
    const { known, pending } = await this.counts(name);
    // One turn: the two are written together, and are durable before this is answered.
    await this.ctx.storage.put("pending", pending + 1);
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(Date.now() + BEHIND_MS);
    return known + pending + 1;
  }

  /** How many there are, those on their way included: who wrote reads what they wrote. */
  async views(name: string): Promise<number> {
    const { known, pending } = await this.counts(name);
    return known + pending;
  }

  /** Writes what is pending. It may run again, after a crash or an error, with the same batch. */
  async alarm(): Promise<void> {
    const storage = this.ctx.storage;
    let batch = await storage.get<Batch>("batch");
    const name = await storage.get<string>("name");
    if (name === undefined) return;
    if (batch === undefined) {
      const views = (await storage.get<number>("pending")) ?? 0;
      if (views === 0) return;
      batch = { number: ((await storage.get<number>("last")) ?? 0) + 1, views };
      // From here on these views are this batch's; those that come meanwhile are the next one's.
      await storage.put({ batch, pending: 0, known: ((await storage.get<number>("known")) ?? 0) + views });
    }
    await write(this.env.DB, name, batch);
    await storage.put("last", batch.number);
    await storage.delete("batch");
    if (((await storage.get<number>("pending")) ?? 0) > 0) await storage.setAlarm(Date.now() + BEHIND_MS);
  }

  private async counts(name: string): Promise<{ known: number; pending: number }> {
    const storage = this.ctx.storage;
    if ((await storage.get<number>("known")) === undefined) {
      // Its first time, or its storage was emptied: the database says what there was, and nobody counts meanwhile.
      await this.ctx.blockConcurrencyWhile(async () => {
        if ((await storage.get<number>("known")) !== undefined) return;
        const page = await read(this.env.DB, name);
        await storage.put({ name, known: page.views, last: page.batch });
      });
    }
    const counts = await storage.get<number>(["known", "pending"]);
    return { known: counts.get("known") ?? 0, pending: counts.get("pending") ?? 0 };
  }
}

/** Adds a batch, once. */
export async function write(db: D1Database, name: string, batch: Batch): Promise<void> {
  const upsert = db.prepare(
    `INSERT INTO page VALUES (?1, ?2, ?3) ON CONFLICT (name) DO UPDATE
     SET views = views + excluded.views, batch = excluded.batch WHERE excluded.batch > page.batch`,
  );
  await upsert.bind(name, batch.views, batch.number).run();
}

async function read(db: D1Database, name: string): Promise<{ views: number; batch: number }> {
  const row = await db.prepare("SELECT views, batch FROM page WHERE name = ?").bind(name).first<{ views: number; batch: number }>();
  return row ?? { views: 0, batch: 0 };
}

/** The most viewed pages, as the database has them: up to a second behind. */
export async function top(db: D1Database): Promise<{ name: string; views: number }[]> {
  type Row = { name: string; views: number };
  return (await db.prepare("SELECT name, views FROM page ORDER BY views DESC, name LIMIT 10").all<Row>()).results;
}
