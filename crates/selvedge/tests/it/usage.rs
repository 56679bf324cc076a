//! What an app stores, and the quotas that a node's configuration gives it.

use serde_json::{Value, json};

use crate::harness::{Node, Place, Request, write};

const MANIFEST: &str = r#"
name = "NAME"
[workers.web]
entry = "index.ts"
bindings.DB = { sql = "main" }
bindings.OTHER = { sql = "other" }
bindings.KV = { kv = "kv" }
bindings.FILES = { blob = "files" }
bindings.THING = { object = "Thing" }
[[routes]]
match = "/*"
worker = "web"
"#;

const SOURCE: &str = r#"
import { DurableObject } from "cloudflare:workers";
export class Thing extends DurableObject {
  async fill() {
    for (let i = 0; i < 45; i++) await this.ctx.storage.put(`k${i}`, "x".repeat(100_000));
  }
  awake = 0;
  // Everything in one turn: what finds no room is refused, and the rest of the turn stays.
  async fillSql() {
    this.awake += 1;
    const { sql } = this.ctx.storage;
    sql.exec("CREATE TABLE IF NOT EXISTS t (v)");
    let code = null;
    try { for (let i = 0; i < 60; i++) sql.exec("INSERT INTO t VALUES (zeroblob(100000))"); } catch (e: any) { code = e.code; }
    sql.exec("INSERT INTO t VALUES ('small')");
    return [code, sql.exec("SELECT count(*) > 10 AS n FROM t").one().n, this.awake];
  }
  async empty() { await this.ctx.storage.deleteAll(); return [...await this.ctx.storage.list()].length; }
  async read() { return (await this.ctx.storage.list()).size; }
}
const tried = async (run: () => unknown) => { try { return (await run()) ?? null; } catch (e: any) { return e.code ?? e.message; } };
const fill = async (db: any) => {
  await db.exec("CREATE TABLE IF NOT EXISTS t (v)");
  for (let i = 0; i < 45; i++) await db.prepare("INSERT INTO t VALUES (zeroblob(100000))").run();
};
export default {
  async fetch(request: Request, env: any) {
    const { pathname } = new URL(request.url);
    const stub = env.THING.getByName("one");
    const steps: Record<string, () => unknown> = {
      "/sql": () => fill(env.DB), "/other": () => fill(env.OTHER),
      "/count": () => env.DB.prepare("SELECT count(*) > 0 AS n FROM t").first("n"),
      "/delete": () => env.DB.exec("DELETE FROM t"),
      "/again": () => env.DB.prepare("INSERT INTO t VALUES (zeroblob(1000))").run().then(() => "written"),
      "/kv": () => env.KV.put("a", "x".repeat(2_000_000)).then(() => null), "/blob": () => env.FILES.put("a", "x".repeat(2_000_000)).then(() => null),
      "/object": () => stub.fill(), "/object-read": () => stub.read().then((n: number) => n > 0),
      "/object-sql": () => stub.fillSql(),
      "/object-empty": () => stub.empty(),
    };
    return Response.json(await tried(steps[pathname]!));
  },
};
"#;

const CONFIG: &str = "[apps.small]
kv_app_bytes = 1000000
sql_app_bytes = 4000000
blob_app_bytes = 1000000
object_app_bytes = 4000000
";

fn serve(place: &Place) -> Node {
    for name in ["small", "large"] {
        let project = place.path(name);
        write(&project.join("selvedge.toml"), &MANIFEST.replace("NAME", name));
        write(&project.join("index.ts"), SOURCE);
        place.deploy(&project).expect_success();
    }
    write(&place.path("node.toml"), CONFIG);
    place.serve_with(&["--config", place.path("node.toml").to_str().expect("a path")])
}

fn ask(node: &Node, app: &str, path: &str) -> Value {
    node.send(&Request::get(path).at_app(app)).expect(200).json()
}

#[test]
fn a_quota_of_one_app_stops_its_writes_and_spares_reads_deletions_and_neighbours() {
    let place = Place::new();
    let node = serve(&place);
    for what in ["/sql", "/other", "/kv", "/object"] {
        assert_eq!(ask(&node, "small", what), json!("quota_exceeded"), "{what}");
    }
    assert_eq!(ask(&node, "small", "/blob"), json!("blob_quota"));
    assert_eq!(ask(&node, "small", "/count"), json!(1));
    assert_eq!(ask(&node, "small", "/object-empty"), json!(0));
    // The object is awake as before: nothing reset it.
    for awake in 1..=2 {
        assert_eq!(ask(&node, "small", "/object-sql"), json!(["quota_exceeded", 1, awake]));
    }
    assert_eq!(ask(&node, "small", "/object-empty"), json!(0));
    assert_eq!(ask(&node, "small", "/object"), json!("quota_exceeded"));
    assert_eq!(ask(&node, "small", "/object-read"), json!(true));
    let usage = place.on_data(&["--json", "usage", "small"]).json();
    for (service, most) in [("sql", 4_000_000), ("objects", 4_000_000), ("kv", 1_000_000), ("blobs", 1_000_000)] {
        let (bytes, max) = (usage[service]["bytes"].as_u64(), usage[service]["bytes_max"].as_u64());
        assert!(bytes.is_some_and(|bytes| bytes <= most) && max == Some(most), "{service}: {usage}");
    }
    assert!(usage["sql"]["bytes"].as_u64() > Some(1_000_000), "{usage}");
    // What was deleted is room for what comes.
    assert_eq!(ask(&node, "small", "/delete")["count"], json!(1));
    assert_eq!(ask(&node, "small", "/again"), json!("written"));
    assert_eq!(ask(&node, "small", "/object-empty"), json!(0));
    for what in ["/sql", "/kv", "/blob", "/object"] {
        assert_eq!(ask(&node, "large", what), json!(null), "{what}");
    }
    let usage = node.ask_admin(Request::get("/v1/apps/large/usage")).json();
    for service in ["sql", "kv", "blobs", "objects"] {
        assert!(usage[service]["bytes"].as_u64() > Some(1_900_000), "{service}: {usage}");
    }
    node.stop();
    let told = place.on_data(&["usage", "large"]).expect_success();
    assert_eq!(told.lines().count(), 4, "{told}");
    // The quotas that the node had last are those of the commands on its data.
    let usage = place.on_data(&["--json", "usage", "small"]).json();
    assert_eq!(usage["sql"]["bytes_max"], json!(4_000_000), "{usage}");
    let refused = place.on_data_with(&["kv", "put", "small", "kv", "large"], &[b'x'; 1_100_000]).expect_failure();
    assert!(refused.contains("quota_exceeded"), "{refused}");
    assert_eq!(place.on_data(&["--json", "usage", "nobody"]).json()["sql"]["bytes"], json!(0));
}

#[test]
fn quotas_change_while_the_node_serves() {
    let place = Place::new();
    let node = serve(&place);
    let full = |app: &str, service: &str| match service {
        "/blob" => assert_eq!(ask(&node, app, service), json!("blob_quota"), "{service} of {app}"),
        _ => assert_eq!(ask(&node, app, service), json!("quota_exceeded"), "{service} of {app}"),
    };
    let reload = |text: &str| {
        write(&place.path("node.toml"), text);
        place.on_data(&["reload"]).expect_success()
    };
    for service in ["/sql", "/kv", "/blob", "/object"] {
        full("small", service);
    }
    let told = reload("[apps.large]\nkv_namespace_bytes = 1000000\nblob_app_bytes = 1000000\n");
    assert!(told.contains("apps.large.kv_namespace_bytes is 1000000") && !told.contains("later"), "{told}");
    for service in ["/sql", "/kv", "/blob", "/object"] {
        assert_eq!(ask(&node, "small", service), json!(null), "{service}");
    }
    full("large", "/kv");
    full("large", "/blob");
    assert_eq!(place.on_data(&["--json", "usage", "large"]).json()["blobs"]["bytes_max"], json!(1_000_000));
    let used = place.on_data(&["--json", "kv", "usage", "small"]).json();
    assert!(used["namespaces"][0]["bytes"].as_u64() > Some(1_900_000), "{used}");

    // Of every app that has none of its own; what is stored beyond stays and is read.
    let told = reload("[limits]\nsql_app_bytes = 1048576\n[apps.large]\nsql_app_bytes = 100000000\n");
    assert!(told.contains("limits.sql_app_bytes is 1048576"), "{told}");
    full("small", "/sql");
    assert_eq!(ask(&node, "small", "/count"), json!(1));
    for service in ["/sql", "/kv", "/blob"] {
        assert_eq!(ask(&node, "large", service), json!(null), "{service}");
    }
    // A configuration that is none changes nothing.
    write(&place.path("node.toml"), "[apps.large]\nsql_app_bytes = 1\n");
    assert!(place.on_data(&["reload"]).expect_failure().contains("apps.large.sql_app_bytes is 1"));
    assert_eq!(ask(&node, "large", "/sql"), json!(null));
    node.stop();
    let usage = place.on_data(&["--json", "usage", "small"]).json();
    assert_eq!(usage["sql"]["bytes_max"], json!(1_048_576), "commands keep what the node had last: {usage}");
}

#[test]
fn a_quota_that_is_none_is_refused_with_its_place() {
    let place = Place::new();
    let config = place.path("node.toml");
    for (text, said) in [
        ("[apps.small]\nsql_ms = 1\n", "[apps.small] has no setting `sql_ms`"),
        ("[apps.small]\nsql_app_bytes = 1\n", "apps.small.sql_app_bytes is 1"),
        ("[apps.\"no name\"]\n", "is no name of an app"),
        ("apps = 1\n", "must be a table"),
    ] {
        write(&config, text);
        let failed = place.on_data(&["serve", "--config", config.to_str().expect("a path")]).expect_failure();
        assert!(failed.contains(said), "{failed}");
    }
}
