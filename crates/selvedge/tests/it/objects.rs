//! Durable objects, over HTTP, WebSocket and the command line.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Node, Place, Request, until, write};

mod chat;
mod faults;
mod many;
mod past;

const MANIFEST: &str = "name = \"app\"
[workers.web]
entry = \"web.ts\"
[workers.web.bindings]
COUNTER = { object = \"Counter\", worker = \"things\" }
PLAIN = { object = \"Plain\", worker = \"things\" }
[workers.things]
entry = \"things.ts\"
[[routes]]
match = \"/*\"
worker = \"web\"
";

const WEB: &str = r#"
const tried = async (run: () => unknown) => {
  try { return await run(); } catch (error: any) { return { name: error.name, message: error.message, code: error.code }; }
};
export default {
  async fetch(request: Request, env: any) {
    const [, name, what, ...args] = new URL(request.url).pathname.split("/");
    if (name === "plain") return env.PLAIN.getByName("one").fetch(request);
    if (name === "ids") {
      const { COUNTER } = env;
      const id = COUNTER.idFromName("a"), unique = COUNTER.newUniqueId();
      return Response.json([
        id.equals(COUNTER.idFromString(id.toString())), id.name, unique.name, unique.equals(COUNTER.newUniqueId()),
        COUNTER.get(id).id === id, await tried(() => COUNTER.idFromString("nonsense")),
        await tried(() => env.PLAIN.idFromString(id.toString())),
      ]);
    }
    const stub = env.COUNTER.getByName(name);
    if (what === "fetch") return stub.fetch(request);
    return Response.json((await tried(() => stub[what!]!(...args))) ?? null);
  },
};
"#;

const THINGS: &str = r#"
import { DurableObject } from "cloudflare:workers";

export class Counter extends DurableObject {
  started = VERSION;
  memory = 0;
  constructor(ctx: any, env: any) {
    super(ctx, env);
    ctx.blockConcurrencyWhile(async () => { this.started += `:${await ctx.storage.get("value") ?? 0}`; });
  }
  async increment() {
    const value = (await this.ctx.storage.get("value") ?? 0) + 1;
    await this.ctx.storage.put("value", value);
    this.memory++;
    return value;
  }
  look() { return [this.started, this.memory, this.ctx.id.name]; }
  async fetch(request: Request) { return new Response(`${request.method} ${new URL(request.url).pathname} ${await this.ctx.storage.get("value") ?? 0}`); }
  async values() {
    const { storage } = this.ctx;
    const value = { date: new Date(5), map: new Map([["a", new Set([1n])]]), bytes: new Uint8Array([1, 2]), list: [1, , undefined, null] };
    await storage.put({ a: value, b: "two", c: 3 });
    const many = await storage.get(["a", "b", "missing"]);
    const listed = await storage.list({ start: "b", reverse: true });
    const { date, map, bytes } = many.get("a");
    const before = [date.getTime(), map.get("a").has(1n), bytes[1], many.has("missing"), [...listed], await storage.delete(["a", "b", "x"])];
    storage.kv.put("k", { x: 1 });
    return [...before, storage.kv.get("k"), [...storage.kv.list()], storage.kv.delete("k"), await storage.get("a") ?? "gone"];
  }
  async wrong() {
    const { storage } = this.ctx;
    const code = async (run: () => unknown) => { try { await run(); return null; } catch (error: any) { return typeof error.code === "string" ? error.code : error.name; } };
    return [
      await code(() => storage.put("", 1)), await code(() => storage.put("k".repeat(2049), 1)),
      await code(() => storage.put("k", "v".repeat(2 << 20))), await code(() => storage.put("k", () => 1)),
      await code(() => storage.put("k", undefined)), await code(() => storage.get(Array(129).fill("k"))),
      await code(() => storage.list({ start: "a", startAfter: "b" })), await code(() => storage.get(7)),
      await code(() => storage.setAlarm("soon")), await code(() => storage.sql.exec("SELEC 1")),
      await code(() => storage.sql.exec("ATTACH 'x' AS y")), await code(() => storage.sql.exec("PRAGMA writable_schema = 1")),
      await code(() => storage.sql.exec("SELECT * FROM _selvedge_entry")), await code(() => storage.sql.exec("COMMIT")),
      await code(() => storage.sql.exec("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n")),
    ];
  }
  async sql() {
    const { sql } = this.ctx.storage;
    sql.exec("CREATE TABLE IF NOT EXISTS note (id INTEGER PRIMARY KEY, text TEXT, data BLOB); CREATE INDEX IF NOT EXISTS note_text ON note (text)");
    sql.exec("DELETE FROM note");
    sql.exec("INSERT INTO note (text, data) VALUES (?, ?), (?, NULL)", "one", new Uint8Array([7]), "two");
    const cursor = sql.exec("SELECT id, text, data FROM note ORDER BY id");
    const names = cursor.columnNames;
    const rows = cursor.toArray();
    const { n } = sql.exec("SELECT count(*) AS n FROM note WHERE text > ?", "p").one();
    return [names, rows.map((row: any) => row.text), new Uint8Array(rows[0].data)[0], n, sql.exec("SELECT 1.5, -3, NULL").raw().toArray(), sql.databaseSize > 0];
  }
  async transactions() {
    const { storage } = this.ctx;
    await storage.put("t", 0);
    const failed = await storage.transaction(async (tx: any) => { await tx.put("t", 1); await new Promise((done) => setTimeout(done, 5)); throw new Error("no"); }).catch((e: any) => e.message);
    await storage.transaction(async (tx: any) => { await tx.put("t", 2); tx.rollback(); });
    const after = await storage.get("t");
    const kept = await storage.transaction(async (tx: any) => { await tx.put("t", 3); return "kept"; });
    const sync = storage.transactionSync(() => { storage.sql.exec("CREATE TABLE IF NOT EXISTS x (y)"); return storage.kv.get("t"); });
    let thrown = "";
    try { storage.transactionSync(() => { storage.kv.put("t", 4); throw new Error("undone"); }); } catch (error: any) { thrown = error.message; }
    return [failed, after, kept, sync, thrown, await storage.get("t")];
  }
  // What the caller sees is the failure of the commit, and not this answer.
  async break() { await this.ctx.storage.put("value", 1_000_000); this.ctx.abort("on purpose"); return "never"; }
  async later(ms: string, failures = "0") {
    await this.ctx.storage.put("failures", Number(failures));
    await this.ctx.storage.setAlarm(Date.now() + Number(ms));
    return await this.ctx.storage.getAlarm() !== null;
  }
  async alarm(info: any) {
    const runs = await this.ctx.storage.get("runs") ?? [];
    const during = await this.ctx.storage.getAlarm();
    const failures = await this.ctx.storage.get("failures");
    await this.ctx.storage.put({ runs: [...runs, [info.retryCount, info.isRetry, during]], failures: failures - 1 });
    if (failures > 0) throw new Error("the alarm fails");
  }
  async runs() { return [await this.ctx.storage.get("runs") ?? [], await this.ctx.storage.getAlarm()]; }
  async slow(ms: string) { await new Promise((done) => setTimeout(done, Number(ms))); return [this.started, await this.ctx.storage.get("value") ?? 0]; }
  #hidden() {}
}

// The older shape: no base class, and so no methods.
export class Plain {
  state: any;
  constructor(state: any) { this.state = state; }
  async fetch() {
    const times = (await this.state.storage.get("times") ?? 0) + 1;
    this.state.storage.put("times", times);
    return new Response(`plain ${times}`);
  }
}
export default {};
"#;

fn project(place: &Place) -> PathBuf {
    let things = THINGS.replace("VERSION", "\"one\"");
    place.project("project", &[("selvedge.toml", MANIFEST), ("web.ts", WEB), ("things.ts", things.as_str())])
}

fn ask(node: &Node, path: &str) -> Value {
    node.send(&Request::get(path).at_app("app")).expect(200).json()
}

fn text(node: &Node, path: &str) -> String {
    node.send(&Request::get(path).at_app("app")).expect(200).text()
}

#[test]
fn an_object_is_called_by_its_methods_and_by_fetch() {
    let place = Place::new();
    let node = place.serve_project(&project(&place));
    assert_eq!(ask(&node, "/a/increment"), json!(1));
    assert_eq!(ask(&node, "/a/increment"), json!(2));
    assert_eq!(ask(&node, "/b/increment"), json!(1), "another object of the class has a storage of its own");
    assert_eq!(ask(&node, "/a/look"), json!(["one:0", 2, "a"]));
    assert_eq!(text(&node, "/a/fetch/x"), "GET /a/fetch/x 2");
    assert_eq!(text(&node, "/plain/x"), "plain 1");
    assert_eq!(text(&node, "/plain/x"), "plain 2");
    let ids = ask(&node, "/ids");
    assert_eq!((&ids[0], &ids[1], &ids[2]), (&json!(true), &json!("a"), &Value::Null), "{ids}");
    assert_eq!((&ids[3], &ids[4]), (&json!(false), &json!(true)), "{ids}");
    for wrong in [&ids[5], &ids[6]] {
        assert_eq!((&wrong["name"], &wrong["code"]), (&json!("TypeError"), &json!("bad_object_id")), "{ids}");
    }
}

#[test]
fn storage_keeps_what_structured_clone_can_and_refuses_the_rest() {
    let place = Place::new();
    let node = place.serve_project(&project(&place));
    let values = ask(&node, "/a/values");
    let listed = json!([["c", 3], ["b", "two"]]);
    let kept = json!([["c", 3], ["k", { "x": 1 }]]);
    assert_eq!(values, json!([5, true, 2, false, listed, 2, { "x": 1 }, kept, true, "gone"]));
    let wrong = json!([
        "key_empty",
        "key_too_long",
        "value_too_large",
        "DataCloneError",
        "TypeError",
        "too_many_keys",
        "TypeError",
        "TypeError",
        "TypeError",
        "sql_error",
        "sql_forbidden",
        "sql_forbidden",
        "sql_forbidden",
        "sql_forbidden",
        "sql_time_limit",
    ]);
    assert_eq!(ask(&node, "/a/wrong"), wrong);
    let rows = json!([["id", "text", "data"], ["one", "two"], 7, 1, [[1.5, -3, null]], true]);
    assert_eq!(ask(&node, "/a/sql"), rows);
    assert_eq!(ask(&node, "/a/transactions"), json!(["no", 0, "kept", 3, "undone", 3]));
}

#[test]
fn increments_from_many_callers_lose_nothing_and_each_value_comes_once() {
    const CALLERS: usize = 64;
    const EACH: usize = 8;
    let place = Place::new();
    let node = place.serve_project(&project(&place));
    let failed = AtomicUsize::new(0);
    let mut values: Vec<u64> = std::thread::scope(|scope| {
        let call = || {
            let mut values = Vec::new();
            for _ in 0..EACH {
                match ask(&node, "/hot/increment").as_u64() {
                    Some(value) => values.push(value),
                    None => drop(failed.fetch_add(1, Ordering::Relaxed)),
                }
            }
            values
        };
        let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(call)).collect();
        callers.into_iter().flat_map(|caller| caller.join().expect("a caller")).collect()
    });
    assert_eq!(failed.into_inner(), 0);
    values.sort_unstable();
    assert_eq!(values, (1..=(CALLERS * EACH) as u64).collect::<Vec<_>>());
    let memory = ask(&node, "/hot/look")[1].as_u64();
    assert_eq!(memory, Some((CALLERS * EACH) as u64), "all of them in one instance");
}

#[test]
fn what_was_acknowledged_is_there_after_kill_9() {
    let place = Place::new();
    let project = project(&place);
    let rounds = std::env::var("SELVEDGE_CRASH_ROUNDS").map_or(3, |text| text.parse().expect("a number"));
    let mut acknowledged = 0;
    for round in 0..rounds {
        let mut node = if round == 0 { place.serve_project(&project) } else { place.serve() };
        let before = ask(&node, "/a/increment").as_u64().expect("a number");
        assert!(before > acknowledged, "round {round}: {acknowledged} were acknowledged, {before} is next");
        acknowledged = std::thread::scope(|scope| {
            let address = node.address;
            let call = move || {
                let mut last = 0;
                while let Ok(answer) = Request::get("/a/increment").at_app("app").send(address) {
                    match answer.status {
                        200 => last = answer.json().as_u64().unwrap_or(last),
                        _ => break,
                    }
                }
                last
            };
            let callers: Vec<_> = (0..8).map(|_| scope.spawn(call)).collect();
            until("some increments", || (ask(&node, "/a/look")[1].as_u64() > Some(40)).then_some(()));
            node.signal(Signal::KILL);
            node.wait();
            callers.into_iter().map(|caller| caller.join().expect("a caller")).max().unwrap_or(0)
        });
        assert!(acknowledged > before);
    }
}

#[test]
fn an_object_that_is_reset_forgets_its_turn_and_wakes_anew() {
    let place = Place::new();
    let node = place.serve_project(&project(&place));
    assert_eq!(ask(&node, "/a/increment"), json!(1));
    let failed = ask(&node, "/a/break");
    assert_eq!(failed["code"], "object_reset", "{failed}");
    assert_eq!(ask(&node, "/a/look"), json!(["one:1", 0, "a"]), "its turn is undone, its memory gone");
    assert_eq!(ask(&node, "/a/increment"), json!(2));
    let missing = ask(&node, "/a/nothing");
    assert!(missing["message"].as_str().is_some_and(|m| m.contains("nothing")), "{missing}");
    let hidden = ask(&node, "/a/alarm");
    assert_eq!(hidden["name"], "TypeError", "a handler is no method: {hidden}");
}

#[test]
fn an_alarm_wakes_its_object_and_runs_again_until_it_succeeds_also_after_a_restart() {
    let place = Place::new();
    let node = place.serve_project(&project(&place));
    assert_eq!(ask(&node, "/a/later/50"), json!(true));
    let ran = |node: &Node, runs: Value| {
        until("the alarm's runs", || (ask(node, "/a/runs") == json!([runs, null])).then_some(()));
    };
    ran(&node, json!([[0, false, null]]));
    assert_eq!(ask(&node, "/a/later/10/1"), json!(true));
    ran(&node, json!([[0, false, null], [0, false, null], [1, true, null]]));
    assert_eq!(ask(&node, "/b/later/1500"), json!(true));
    node.stop();
    let node = place.serve();
    until("the alarm of an object that slept", || {
        (ask(&node, "/b/runs")[0] == json!([[0, false, null]])).then_some(())
    });
}

#[test]
fn a_new_deployment_takes_an_object_over_between_two_events() {
    let place = Place::new();
    let project = project(&place);
    let node = place.serve_project(&project);
    assert_eq!(ask(&node, "/a/increment"), json!(1));
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| ask(&node, "/a/slow/1500"));
        until("the slow event", || (ask(&node, "/a/look")[1] == json!(1)).then_some(()));
        write(&project.join("things.ts"), &THINGS.replace("VERSION", "\"two\""));
        place.deploy(&project).expect_success();
        let taken = until("the new code", || {
            let look = ask(&node, "/a/look");
            look[0].as_str().is_some_and(|started| started.starts_with("two")).then_some(look)
        });
        assert_eq!(taken, json!(["two:1", 0, "a"]));
        assert_eq!(slow.join().expect("it ends"), json!(["one:0", 1]), "what was in progress went on to its end");
    });
    assert_eq!(ask(&node, "/a/increment"), json!(2));
}

#[test]
fn a_class_that_is_not_there_or_is_two_workers_is_an_error_of_the_deployment() {
    let place = Place::new();
    let project = project(&place);
    let wrong = |from: &str, to: &str, parts: &[&str]| {
        write(&project.join("selvedge.toml"), &MANIFEST.replace(from, to));
        let said = place.deploy(&project).expect_failure();
        parts.iter().for_each(|part| assert!(said.contains(part), "{part}: {said}"));
    };
    wrong("\"Counter\"", "\"Conter\"", &["has no export `Conter`", "did you mean `Counter`?", "selvedge.toml:5:"]);
    let twice = "\"things\" }\nOTHER = { object = \"Counter\" }\nPLAIN";
    wrong("\"things\" }\nPLAIN", twice, &["the class `Counter` can't be both"]);
    wrong("\"Counter\"", "\"not a name\"", &["is no name for a class of objects"]);
}

#[test]
fn objects_are_listed_looked_at_and_moved_by_command() {
    let place = Place::new();
    let node = place.serve_project(&project(&place));
    let objects = |args: &[&str]| place.on_data(&[&["objects", "app", "Counter"], args].concat());
    assert_eq!(objects(&["list"]).expect_success(), "");
    assert_eq!(ask(&node, "/a/increment"), json!(1));
    assert_eq!(ask(&node, "/a/sql")[3], json!(1));
    let listed = objects(&["list"]).expect_success();
    let id = listed.trim();
    assert_eq!(id.len(), 64, "{listed}");
    let info = place.on_data(&["--json", "objects", "app", "Counter", "inspect", "a"]).json();
    assert_eq!((&info["id"], &info["name"], &info["entries"]), (&json!(id), &json!("a"), &json!(1)), "{info}");
    assert_eq!(info["tables"], json!(["note"]));
    assert!(objects(&["inspect", "nobody"]).expect_failure().contains("stores anything"));

    // An export is taken of an object that is awake; to put one in its place, it has to sleep.
    let file = place.path("a.db");
    let path = file.to_str().expect("a path");
    objects(&["export", "a", path]).expect_success();
    for to_stdout in [&["export", "a", "-"][..], &["export", "a"]] {
        let args = ["objects", "app", "Counter"].into_iter().chain(to_stdout.iter().copied());
        let written = place.command(args).arg("--data").arg(place.data()).output().expect("it runs").stdout;
        assert!(written == std::fs::read(&file).expect("the export"), "{} bytes on standard output", written.len());
    }
    assert_eq!(ask(&node, "/a/increment"), json!(2));
    assert!(objects(&["import", "a", path]).expect_failure().contains("object_awake"));
    objects(&["import", "b", path]).expect_success();
    assert_eq!(ask(&node, "/b/increment"), json!(2), "what it had when it was exported");
    node.stop();
    objects(&["import", "a", path]).expect_success();
    objects(&["delete", "b"]).expect_success();
    let nonsense = place.path("nonsense");
    write(&nonsense, "no database");
    let refused = objects(&["import", "c", nonsense.to_str().expect("a path")]).expect_failure();
    assert!(refused.contains("bad_object_data"), "{refused}");
    let node = place.serve();
    assert_eq!(ask(&node, "/a/increment"), json!(2));
    assert_eq!(ask(&node, "/b/increment"), json!(1));
}
