/**
 * `cloudflare:workers`: the environment as an import, and the classes that an entry point may extend.
 */
import { env } from "../env.ts";
import { webClass } from "../primordials.ts";

/** What a worker's default export may extend: an object of it is made for each event. */
export class WorkerEntrypoint {
  ctx: unknown;
  env: unknown;

  constructor(ctx: unknown = undefined, environment: unknown = undefined) {
    this.ctx = ctx;
    this.env = environment;
  }
}
webClass(WorkerEntrypoint);

export { env };
