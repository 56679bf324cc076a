//! Whoever asks is told what an acknowledgement outlives, wherever something is written.

use serde_json::json;

use crate::harness::{Place, Request};

const MANIFEST: &str = r#"
name = "app"
[workers.web]
entry = "index.ts"
bindings.DB = { sql = "main" }
bindings.KV = { kv = "kv" }
bindings.FILES = { blob = "files" }
bindings.THING = { object = "Thing" }
"#;

const SOURCE: &str = r#"
import { DurableObject } from "cloudflare:workers";
export class Thing extends DurableObject {
  async write() {
    await this.ctx.storage.put("k", 1);
    return await this.ctx.storage.sync();
  }
}
const told = async (run: () => any) => {
  try { return await run(); } catch (error: any) { return `${error.name}: ${error.message}`; }
};
export default {
  async fetch(request: Request, env: any) {
    const insert = env.DB.prepare("INSERT INTO t VALUES (1)");
    const answers: any = {
      exec: await env.DB.exec("CREATE TABLE t (x)"),
      run: (await insert.run()).meta,
      batch: (await env.DB.batch([insert]))[0].meta,
      put: await env.KV.put("k", "v"),
      delete: await env.KV.delete("k"),
      nothing: await env.KV.delete("none"),
      commit: await env.KV.atomic().add("n").commit(),
      blob: await env.FILES.put("k", "v"),
      unblob: await env.FILES.delete(["k", "none"]),
      object: await env.THING.getByName("one").write(),
    };
    const refused = [
      await told(() => env.KV.list({ limit: -1 })),
      await told(() => env.FILES.put("k", "v", { ssecKey: "00".repeat(32) })),
      await told(() => env.FILES.get("k", { ssecKey: "00".repeat(32) })),
    ];
    const names = Object.keys(answers).filter((name) => answers[name]?.durability !== "fsync");
    return Response.json({ names, empty: (await env.FILES.delete([])) === undefined, refused });
  },
};
"#;

#[test]
fn every_acknowledgement_says_what_it_outlives() {
    let place = Place::new();
    let node = place.dev(&place.project("project", &[("selvedge.toml", MANIFEST), ("index.ts", SOURCE)]));
    let answer = node.send(&Request::get("/").at_app("app")).expect(200).json();
    assert_eq!(answer["names"], json!([]), "those that do not tell");
    assert_eq!(answer["empty"], json!(true));
    let no_key =
        "TypeError: ssecKey is not supported: blobs are encrypted with the app's own key; encrypt before put instead";
    let refused = ["TypeError: limit must be a number of keys, at least 1", no_key, no_key];
    assert_eq!(answer["refused"], json!(refused));
}
