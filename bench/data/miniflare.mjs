// miniflare as a server: node miniflare.mjs PORT WORKER FOLDER. All kinds of data are kept in files, as `wrangler dev`
// keeps them.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [port, worker, folder] = process.argv.slice(2);
const { Miniflare } = createRequire(join(process.env.SELVEDGE_BENCH_PEERS, "x.js"))("miniflare");
const source = readFileSync(worker, "utf8");
const has = (word) => source.includes(`env.${word}`);
const miniflare = new Miniflare({
  host: "127.0.0.1",
  port: Number(port),
  modules: true,
  script: source,
  compatibilityDate: "2025-01-01",
  cf: false,
  kvNamespaces: has("STORE") ? ["STORE"] : [],
  kvPersist: join(folder, "kv"),
  d1Databases: has("DB") ? ["DB"] : [],
  d1Persist: join(folder, "d1"),
  r2Buckets: has("FILES") ? ["FILES"] : [],
  r2Persist: join(folder, "r2"),
  durableObjects: has("COUNTER") ? { COUNTER: "Counter" } : {},
  durableObjectsPersist: join(folder, "do"),
});
await miniflare.ready;
