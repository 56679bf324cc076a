/**
 * `node:cluster`: there is one process, which is the primary.
 */
import { absent } from "./internal/absent.ts";

const INSTEAD = "the node runs as many instances as it needs";
export const isMaster = true;
export const isPrimary = true;
export const isWorker = false;
export const workers = {};
export const settings = {};
export const SCHED_NONE = 1;
export const SCHED_RR = 2;
export const fork = absent("cluster", "fork", INSTEAD);
export const disconnect = absent("cluster", "disconnect", INSTEAD);
export const setupPrimary = absent("cluster", "setupPrimary", INSTEAD);
export const setupMaster = absent("cluster", "setupMaster", INSTEAD);
export const Worker = absent("cluster", "Worker", INSTEAD);

export default {
  fork, disconnect, setupPrimary, setupMaster, Worker, isMaster, isPrimary, isWorker, workers, settings, SCHED_NONE,
  SCHED_RR,
};
