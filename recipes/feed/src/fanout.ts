// The fan-out: an object that works through the outbox, some readers at a time, and goes on after whatever ended it.

import { DurableObject } from "cloudflare:workers";
import { brought, next } from "./posts.ts";
import { bring } from "./timelines.ts";

/** Readers in one step: their timelines are written at once. */
const STEP = 100;
/** Steps of one alarm, so that no event lasts for ever. */
const STEPS = 20;

export class Fanout extends DurableObject<Env> {
  /** There is something in the outbox. */
  async wake(): Promise<void> {
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(Date.now());
  }

  /** If it ends in the middle it runs again, and the outbox says how far it came. */
  async alarm(): Promise<void> {
    for (let step = 0; step < STEPS; step += 1) {
      const found = await next(this.env.DB, STEP);
      if (found === null) return;
      const { post, readers } = found;
      await Promise.all(readers.map((reader) => bring(this.env.TIMELINES, reader, post)));
      await brought(this.env.DB, post.id, readers, readers.length < STEP);
    }
    await this.ctx.storage.setAlarm(Date.now());
  }
}
