//! What an object is told when it asks for what can't be: by its name, and with nothing of the node's.

use serde_json::{Value, json};

use super::ask;
use crate::harness::{Node, Place};

const MANIFEST: &str = "name = \"app\"
[workers.web]
entry = \"web.ts\"
[workers.web.bindings]
ROOM = { object = \"Room\" }
NOTES = { kv = \"notes\" }
FILES = { blob = \"files\" }
";

const WEB: &str = r#"
import { DurableObject } from "cloudflare:workers";

const tried = async (run: () => unknown) => {
  try { return await run(); } catch (error: any) { return [error.name, error.code ?? null, error.message]; }
};
const halves = ["\ud800", "a\udc00", "\ud83d"];

export class Room extends DurableObject {
  get sql() { return this.ctx.storage.sql; }
  async keys() {
    const { storage } = this.ctx;
    const said = [];
    for (const half of halves) {
      said.push(await tried(() => storage.put(half, half)), await tried(() => storage.get(half)));
      said.push(await tried(() => storage.delete([half])), await tried(() => storage.list({ prefix: half })));
      said.push(await tried(() => storage.kv.put(half, 1)), await tried(() => storage.put({ fine: 1, [half]: 2 })));
    }
    return [said, [...(await storage.list()).keys()]];
  }
  async values() {
    await this.ctx.storage.put("half", "a\ud800b");
    this.sql.exec("CREATE TABLE IF NOT EXISTS text (t)");
    this.sql.exec("INSERT INTO text VALUES (?)", "a\ud800b");
    return [(await this.ctx.storage.get("half") as string) === "a\ud800b", this.sql.exec("SELECT t, length(t) AS n FROM text").one()];
  }
  family() {
    this.sql.exec("CREATE TABLE IF NOT EXISTS parent (id INTEGER PRIMARY KEY); CREATE TABLE IF NOT EXISTS child (of REFERENCES parent DEFERRABLE INITIALLY DEFERRED)");
  }
  orphan() { this.family(); this.sql.exec("INSERT INTO child VALUES (7)"); return "never"; }
  children() { this.family(); return this.sql.exec("SELECT count(*) AS n FROM child").one(); }
  undone() {
    this.sql.exec("CREATE TABLE IF NOT EXISTS one (n UNIQUE); INSERT OR REPLACE INTO one VALUES (1)");
    this.sql.exec("INSERT OR ROLLBACK INTO one VALUES (1)");
    return "never";
  }
  slow() { return tried(() => this.sql.exec("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n")); }
  several(value: string) {
    const cursor = this.sql.exec("CREATE TABLE IF NOT EXISTS word (w); INSERT INTO word VALUES ('a;b'); -- one\nSELECT w, ? AS given FROM word LIMIT 1", value);
    return [cursor.columnNames, cursor.toArray()];
  }
  async failing() {
    const told = await tried(() => this.sql.exec("CREATE TABLE lost (x); INSERT INTO nowhere VALUES (?)", 1));
    return [told, this.sql.exec("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'lost'").one()];
  }
  async platform() {
    this.sql.exec("CREATE TABLE IF NOT EXISTS mine (x)");
    return [
      await tried(() => this.sql.exec("ALTER TABLE mine RENAME TO _selvedge_mine")),
      await tried(() => this.sql.exec("SELECT 1; ALTER TABLE mine RENAME TO \"_SELVEDGE_mine\"")),
      this.sql.exec("ANALYZE; SELECT count(*) AS n FROM mine").one(),
    ];
  }
  async soon() {
    const later = await tried(() => this.ctx.storage.getBookmarkForTime(Date.now() + 60_000));
    return [later, typeof (await this.ctx.storage.getBookmarkForTime(Date.now()))];
  }
}

const elsewhere: Record<string, (env: any) => unknown> = {
  async names(env) {
    const said = [];
    for (const half of halves) {
      said.push(await tried(() => env.NOTES.put(half, half)), await tried(() => env.NOTES.get(half)));
      said.push(await tried(() => env.NOTES.get(["fine", half])), await tried(() => env.NOTES.delete(half)));
      said.push(await tried(() => env.NOTES.list({ prefix: half })), await tried(() => env.NOTES.add(half, 1)));
      said.push(await tried(() => env.NOTES.atomic().put(half, "x").commit()));
      said.push(await tried(() => env.NOTES.atomic().check({ key: half, revision: null }).commit()));
      said.push(await tried(() => env.FILES.put(half, half)), await tried(() => env.FILES.get(half)));
      said.push(await tried(() => env.FILES.head(half)), await tried(() => env.FILES.delete(half)));
      said.push(await tried(() => env.FILES.createMultipartUpload(half)), await tried(() => env.ROOM.idFromName(half)));
    }
    return [said, (await env.NOTES.list()).keys, (await env.FILES.list()).objects];
  },
  async written(env) {
    await env.NOTES.put("half", "a\ud800b");
    await env.FILES.put("half", "a\ud800\ud800b");
    return [await env.NOTES.get("half"), await (await env.FILES.get("half")).text()];
  },
};

export default {
  async fetch(request: Request, env: any) {
    const [, name, what, ...args] = new URL(request.url).pathname.split("/");
    if (name === "elsewhere") return Response.json(await elsewhere[what!]!(env));
    return Response.json((await tried(() => env.ROOM.getByName(name)[what!]!(...args))) ?? null);
  },
};
"#;

fn serve(place: &Place) -> Node {
    place.serve_project(&place.project("project", &[("selvedge.toml", MANIFEST), ("web.ts", WEB)]))
}

#[track_caller]
fn all_are_type_errors(said: &Value, count: usize) {
    let said = said.as_array().expect("what was said");
    assert_eq!(said.len(), count);
    for one in said {
        assert_eq!(one[0], "TypeError", "{one}");
        assert!(one[2].as_str().is_some_and(|text| text.contains("surrogate pair")), "{one}");
    }
}

#[test]
fn a_key_with_half_of_a_surrogate_pair_is_refused() {
    let place = Place::new();
    let node = serve(&place);
    let keys = ask(&node, "/a/keys");
    all_are_type_errors(&keys[0], 18);
    // What goes before it in the same put is undone by nobody, as in any that fails.
    assert!(keys[1].as_array().is_some_and(|keys| keys.iter().all(|key| key == "fine")), "{keys}");
    let names = ask(&node, "/elsewhere/names");
    all_are_type_errors(&names[0], 42);
    assert_eq!((&names[1], &names[2]), (&json!([]), &json!([])), "nothing was stored");
}

#[test]
fn half_of_a_surrogate_pair_in_a_value_becomes_one_replacement_character() {
    let place = Place::new();
    let node = serve(&place);
    assert_eq!(ask(&node, "/elsewhere/written"), json!(["a\u{fffd}b", "a\u{fffd}\u{fffd}b"]));
    assert_eq!(ask(&node, "/a/values")[1], json!({ "t": "a\u{fffd}b", "n": 3 }));
}

#[test]
fn what_breaks_a_deferred_foreign_key_is_told_as_that() {
    let place = Place::new();
    let node = serve(&place);
    let told = ask(&node, "/a/orphan");
    assert_eq!(told[1], "sql_constraint", "{told}");
    assert!(told[2].as_str().is_some_and(|text| text.contains("FOREIGN KEY constraint failed")), "{told}");
    assert_eq!(ask(&node, "/a/children"), json!({ "n": 0 }), "nothing of it was kept");
    let told = ask(&node, "/a/undone");
    assert_eq!(told[1], "sql_constraint", "{told}");
    for told in [told, ask(&node, "/b/orphan")] {
        assert!(!told.to_string().contains(".db"), "a file of the node's: {told}");
    }
}

#[test]
fn a_limit_of_objects_is_told_by_its_name() {
    let place = Place::new();
    let node = serve(&place);
    let told = ask(&node, "/a/slow");
    assert_eq!(told[1], "sql_time_limit");
    assert!(told[2].as_str().is_some_and(|text| text.contains("object_sql_ms allows, which is 500")), "{told}");
}

#[test]
fn of_several_statements_the_last_has_the_values_and_the_rows() {
    let place = Place::new();
    let node = serve(&place);
    assert_eq!(ask(&node, "/a/several/x"), json!([["w", "given"], [{ "w": "a;b", "given": "x" }]]));
    assert_eq!(ask(&node, "/a/failing")[1], json!({ "n": 0 }), "the others are undone with one that fails");
}

#[test]
fn no_table_of_an_object_gets_a_name_of_the_platforms() {
    let place = Place::new();
    let node = serve(&place);
    let told = ask(&node, "/a/platform");
    assert_eq!((&told[0][1], &told[1][1]), (&json!("sql_forbidden"), &json!("sql_forbidden")), "{told}");
    assert_eq!(told[2], json!({ "n": 0 }), "and ANALYZE reads what is there");
}

#[test]
fn there_is_no_bookmark_of_a_moment_to_come() {
    let place = Place::new();
    let node = serve(&place);
    let told = ask(&node, "/a/soon");
    assert_eq!((&told[0][1], &told[1]), (&json!("object_past"), &json!("string")), "{told}");
    let restore = |at: &str| place.on_data(&["objects", "app", "Room", "restore", "a", "--at", at]);
    node.stop();
    let refused = restore("2099-01-01T00:00:00Z").expect_failure();
    assert!(refused.contains("object_past") && refused.contains("yet to come"), "{refused}");
}
