/**
 * The classes that a worker extends so that its methods can be called from another worker.
 */
import { webClass } from "./primordials.ts";

/** What a worker exports, by default or by name: an object of it is made for each event. */
export class WorkerEntrypoint {
  ctx: unknown;
  env: unknown;

  constructor(ctx: unknown = undefined, environment: unknown = undefined) {
    this.ctx = ctx;
    this.env = environment;
  }
}
webClass(WorkerEntrypoint);

/** An object that stays where it is when it is passed to another worker, which gets a stub of it. */
export class RpcTarget {}
webClass(RpcTarget);
