//! SQL, as a worker uses it: the API that code for D1 knows, what Selvedge adds, and its bounds.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{Node, Place, Request, until, write};

mod component;
mod feed;

const MANIFEST: &str = r#"
name = "app"

[workers.web]
entry = "src/index.ts"
limits = { subrequests = 10000, cpu_ms = 60000 }

[workers.web.bindings]
DB = { sql = "main" }
TENANTS = { sql = "tenant-*", migrations = "tenants" }

[[routes]]
match = "/*"
worker = "web"
"#;

/// Runs the body of each request as a function of `db` and `env`, and answers what it returns or throws.
const SOURCE: &str = r#"
import * as steps from "./steps";
export default {
  async fetch(request: Request, env: any, ctx: any): Promise<Response> {
    const name = new URL(request.url).pathname.slice(1);
    const show = (_: string, value: any) => {
      if (typeof value === "bigint") return { bigint: String(value) };
      if (value instanceof ArrayBuffer) return { bytes: [...new Uint8Array(value)] };
      return value;
    };
    try {
      return new Response(JSON.stringify((await (steps as any)[name](env.DB, env, ctx)) ?? null, show));
    } catch (error: any) {
      return new Response(JSON.stringify({ error: error.message, code: error.code }), { status: 500 });
    }
  },
};
"#;

fn project(place: &Place, steps: &str) -> PathBuf {
    let files = [
        ("selvedge.toml", MANIFEST),
        ("src/index.ts", SOURCE),
        ("src/steps.ts", steps),
        ("tenants/0001_notes.sql", "CREATE TABLE note (text TEXT NOT NULL);"),
    ];
    place.project("project", &files)
}

fn run(node: &Node, step: &str) -> Value {
    let answer = node.get(&format!("/{step}"));
    serde_json::from_str(&answer.text()).unwrap_or_else(|_| panic!("{step}: {}", answer.text()))
}

#[test]
fn the_api_of_d1_is_there() {
    let place = Place::new();
    let node = place.dev(&project(
        &place,
        r#"
        export const make = (db) => db.exec("CREATE TABLE user (id INTEGER PRIMARY KEY, name TEXT UNIQUE, photo BLOB, score REAL);\nINSERT INTO user (name) VALUES ('root');");
        export const add = (db) => db.prepare("INSERT INTO user (name, photo, score) VALUES (?, ?, ?)")
          .bind("Ada", new Uint8Array([1, 2, 255]), 1.5).run();
        export const first = (db) => db.prepare("SELECT * FROM user WHERE name = ?1").bind("Ada").first();
        export const column = (db) => db.prepare("SELECT score FROM user WHERE id = 2").first("score");
        export const none = (db) => db.prepare("SELECT * FROM user WHERE id = 99").first();
        export const all = (db) => db.prepare("SELECT id, name FROM user ORDER BY id").all();
        export const raw = (db) => db.prepare("SELECT id, name FROM user ORDER BY id").raw({ columnNames: true });
        export const batch = async (db) => {
          const insert = db.prepare("INSERT INTO user (name) VALUES (?)");
          const results = await db.batch([insert.bind("Bob"), insert.bind("Eve"), db.prepare("SELECT count(*) AS n FROM user")]);
          return results.map((r) => [r.success, r.meta.changes, r.meta.last_row_id, r.results]);
        };
        export const broken = async (db) => {
          const insert = db.prepare("INSERT INTO user (name) VALUES (?)");
          const error = await db.batch([insert.bind("Kim"), insert.bind("Ada")]).catch((error) => error);
          return [error.message, error.code, error.cause.message, await db.prepare("SELECT count(*) AS n FROM user").first("n")];
        };
        export const typo = (db) => db.prepare("SELEC 1").all();
        export const missing = (db) => db.prepare("SELECT * FROM absent").all();
        export const unbound = (db) => db.prepare("SELECT ?").all();
        export const undef = (db) => db.prepare("SELECT ?").bind(undefined).all();
        export const two = (db) => db.prepare("SELECT 1; SELECT 2").all();
        export const bad_exec = (db) => db.exec("CREATE TABLE x (y); SELEC 1");
        export const session = async (db) => {
          const s = db.withSession("first-primary");
          return [await s.prepare("SELECT 1 AS one").first("one"), s.getBookmark()];
        };
        export const prototype = async (db) => {
          const row = await db.prepare('SELECT 1 AS "__proto__", 2 AS b').first();
          return [Object.keys(row), Object.getPrototypeOf(row) === Object.prototype];
        };
        "#,
    ));
    assert_eq!(run(&node, "make")["count"], 2);
    let added = run(&node, "add");
    assert_eq!(added["success"], true);
    let meta = &added["meta"];
    assert_eq!((&meta["changes"], &meta["last_row_id"], &meta["rows_written"]), (&json!(1), &json!(2), &json!(1)));
    assert_eq!((&meta["changed_db"], &meta["durability"]), (&json!(true), &json!("fsync")));
    assert!(meta["size_after"].as_u64() >= Some(8_192), "{meta}");
    assert_eq!(run(&node, "first"), json!({ "id": 2, "name": "Ada", "photo": { "bytes": [1, 2, 255] }, "score": 1.5 }));
    assert_eq!(run(&node, "column"), 1.5);
    assert_eq!(run(&node, "none"), Value::Null);
    let all = run(&node, "all");
    assert_eq!(all["results"], json!([{ "id": 1, "name": "root" }, { "id": 2, "name": "Ada" }]));
    assert_eq!((&all["meta"]["rows_read"], &all["meta"]["changed_db"]), (&json!(2), &json!(false)));
    assert_eq!(run(&node, "raw"), json!([["id", "name"], [1, "root"], [2, "Ada"]]));
    assert_eq!(run(&node, "batch"), json!([[true, 1, 3, []], [true, 1, 4, []], [true, 0, 4, [{ "n": 4 }]]]));
    let unique = "UNIQUE constraint failed: user.name";
    let error = format!("D1_ERROR: {unique}: SQLITE_CONSTRAINT");
    assert_eq!(run(&node, "broken"), json!([error, "sql_constraint", unique, 4]));
    let failed = |step: &str, message: &str| {
        let error = run(&node, step)["error"].as_str().unwrap_or_default().to_owned();
        assert!(error.starts_with(message), "{step}: {error}");
    };
    failed("typo", "D1_ERROR: near \"SELEC\": syntax error");
    failed("missing", "D1_ERROR: no such table: absent");
    failed("unbound", "D1_ERROR: Wrong number of parameter bindings for SQL query");
    failed("undef", "D1_TYPE_ERROR: Type 'undefined' not supported for value 'undefined'");
    failed("two", "D1_ERROR: A prepared SQL statement must contain only one statement.");
    failed("bad_exec", "D1_EXEC_ERROR: near \"SELEC\": syntax error");
    assert_eq!(run(&node, "session"), json!([1, null]));
    assert_eq!(run(&node, "prototype"), json!([["__proto__", "b"], true]));
}

#[test]
fn a_statement_is_bound_as_often_as_one_likes() {
    let place = Place::new();
    let node = place.dev(&project(
        &place,
        r#"
        const thrown = (work) => { try { work(); return "nothing"; } catch (error) { return error.name; } };
        export const again = async (db) => {
          const statement = db.prepare("SELECT ? AS v");
          const bound = [1, -0.5, "two", true, null, [1, 2], new Uint8Array([3])].map((value) => statement.bind(value));
          const first = await Promise.all(bound.map((one) => one.first("v")));
          return [first, await bound[2].first(), await bound[2].raw(), (await bound[2].run()).results];
        };
        export const columns = async (db) => {
          const statement = db.prepare("SELECT 1 AS one, 2 AS two");
          const named = { toString: () => "two" };
          return [await statement.first(named), await statement.first("none").catch((error) => error.message)];
        };
        export const shape = (db) => {
          const statement = db.prepare("SELECT 1");
          const prototype = Object.getPrototypeOf(statement);
          return [prototype.constructor.name, Object.keys(prototype).sort(), Object.keys(statement)];
        };
        export const strangers = (db) => {
          const statement = db.prepare("SELECT 1");
          const { bind, first, all, raw, safeIntegers, constructor } = Object.getPrototypeOf(statement);
          const strange = [bind, first, all, raw, safeIntegers].flatMap((method) =>
            [{}, null, Object.create(statement)].map((value) => thrown(() => method.call(value))));
          return [[...new Set(strange)], thrown(() => new constructor()), thrown(() => statement.first(Symbol()))];
        };
        export const unbindable = (db) => {
          const statement = db.prepare("SELECT ?");
          return [Symbol(), {}, () => 1].map((value) => thrown(() => statement.bind(value)));
        };
        export const inside = (db) => db.transaction(async (within) => {
          const statement = within.prepare("SELECT ? AS v");
          return [await statement.bind(5).first("v"), await statement.bind("x").raw(), (await statement.bind(6).all()).results];
        });
        "#,
    ));
    let bytes = |list: &[u8]| json!({ "bytes": list });
    let first = json!([1, -0.5, "two", 1, null, bytes(&[1, 2]), bytes(&[3])]);
    assert_eq!(run(&node, "again"), json!([first, { "v": "two" }, [["two"]], [{ "v": "two" }]]));
    assert_eq!(run(&node, "columns"), json!([2, "D1_ERROR: Column not found (none)"]));
    let methods = json!(["all", "bind", "first", "raw", "run", "safeIntegers"]);
    assert_eq!(run(&node, "shape"), json!(["D1PreparedStatement", methods, []]));
    assert_eq!(run(&node, "strangers"), json!([["TypeError"], "TypeError", "TypeError"]));
    assert_eq!(run(&node, "unbindable"), json!(["TypeError", "Error", "Error"]));
    assert_eq!(run(&node, "inside"), json!([5, [["x"]], [{ "v": 6 }]]));
}

#[test]
fn integers_keep_their_64_bits() {
    let place = Place::new();
    let node = place.dev(&project(
        &place,
        r#"
        export const store = async (db) => {
          await db.exec("CREATE TABLE n (v)");
          const put = db.prepare("INSERT INTO n VALUES (?)");
          await db.batch([put.bind(9223372036854775807n), put.bind(-9223372036854775808n), put.bind(9007199254740991), put.bind(7), put.bind(true)]);
          return db.prepare("SELECT v, typeof(v) FROM n").raw();
        };
        export const exact = (db) => db.prepare("SELECT v FROM n").safeIntegers().raw();
        export const large = (db) => db.prepare("SELECT ?").bind(9223372036854775808n).all();
        "#,
    ));
    let big = |digits: &str| json!({ "bigint": digits });
    let (most, least) = (big("9223372036854775807"), big("-9223372036854775808"));
    let stored = run(&node, "store");
    let kinds = json!([
        [most, "integer"],
        [least, "integer"],
        [9007199254740991_u64, "integer"],
        [7, "integer"],
        [1, "integer"]
    ]);
    assert_eq!(stored, kinds);
    assert_eq!(run(&node, "exact"), json!([[most], [least], [big("9007199254740991")], [big("7")], [big("1")]]));
    assert_eq!(run(&node, "large")["code"], "sql_parameters");
}

#[test]
fn a_transaction_is_whole_or_not_at_all_and_ends_with_its_request() {
    let place = Place::new();
    let node = place.dev(&project(
        &place,
        r#"
        const count = (db) => db.prepare("SELECT count(*) AS n FROM t").first("n");
        const add = (db, v) => db.prepare("INSERT INTO t VALUES (?)").bind(v).run();
        export const make = (db) => db.exec("CREATE TABLE t (v)");
        export const commit = async (db) => {
          const inside = await db.transaction(async (tx) => {
            await add(tx, 1);
            const [a, b] = await Promise.all([add(tx, 2), tx.prepare("SELECT count(*) AS n FROM t").first("n")]);
            return [a.meta.changes, b, await count(db)];
          });
          return [...inside, await count(db)];
        };
        export const thrown = async (db) => {
          const error = await db.transaction(async (tx) => { await add(tx, 3); throw new Error("no"); }).catch((e) => e.message);
          return [error, await count(db)];
        };
        export const constraint = async (db) => {
          await db.exec("CREATE TABLE u (v UNIQUE)");
          return db.transaction(async (tx) => {
            await tx.prepare("INSERT INTO u VALUES (1)").run();
            await tx.prepare("INSERT INTO u VALUES (1)").run().catch(() => {});
            await tx.prepare("INSERT INTO u VALUES (2)").run();
          }).then(() => db.prepare("SELECT count(*) AS n FROM u").first("n"));
        };
        export const left_open = (db) => new Promise((resolve) => {
          db.transaction(async (tx) => { await add(tx, 4); resolve("answered"); await new Promise(() => {}); }).catch(() => {});
        });
        export const after = (db) => add(db, 5).then(() => db.prepare("SELECT v FROM t ORDER BY v").raw());
        export const statements = (db) => db.transaction((tx) => tx.prepare("COMMIT").run());
        "#,
    ));
    run(&node, "make");
    assert_eq!(run(&node, "commit"), json!([1, 2, 0, 2]));
    assert_eq!(run(&node, "thrown"), json!(["no", 2]));
    assert_eq!(run(&node, "constraint"), 2, "a statement that failed is undone alone");
    assert_eq!(run(&node, "left_open"), "answered");
    assert_eq!(run(&node, "after"), json!([[1], [2], [5]]), "what the request left open was rolled back");
    assert_eq!(run(&node, "statements")["code"], "sql_forbidden");
}

#[test]
fn a_large_result_streams_and_one_that_is_too_large_is_refused() {
    let place = Place::new();
    let node = place.dev(&project(
        &place,
        r#"
        const MANY = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 50000) SELECT x, zeroblob(1000) AS b FROM n";
        export const stream = async (db) => {
          let rows = 0, sum = 0, bytes = 0;
          for await (const row of db.prepare(MANY)) { rows++; sum += row.x; bytes += row.b.byteLength; }
          return [rows, sum, bytes];
        };
        export const part = async (db) => {
          const seen = [];
          for await (const row of db.prepare(MANY)) { seen.push(row.x); if (seen.length === 3) break; }
          return seen;
        };
        export const whole = (db) => db.prepare(MANY).all();
        export const bad = async (db) => { for await (const _ of db.prepare("SELECT * FROM nowhere")); };
        export const gigabyte = (db) => db.prepare("SELECT zeroblob(1000000000)").all();
        export const endless = (db) => db.prepare("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n").all();
        export const alive = (db) => db.prepare("SELECT 'yes' AS a").first("a");
        "#,
    ));
    assert_eq!(run(&node, "stream"), json!([50_000, 1_250_025_000_u64, 50_000_000]));
    assert_eq!(run(&node, "part"), json!([1, 2, 3]));
    assert_eq!(run(&node, "whole")["code"], "sql_result_too_large");
    assert!(run(&node, "bad")["error"].as_str().unwrap_or_default().contains("no such table"));
    assert_eq!(run(&node, "gigabyte")["code"], "sql_limit");
    assert_eq!(run(&node, "endless")["code"], "sql_time_limit");
    assert_eq!(run(&node, "alive"), "yes");
}

#[test]
fn what_a_statement_may_not_do_is_refused_with_a_reason() {
    let place = Place::new();
    let node = place.dev(&project(
        &place,
        r#"
        const code = (db, sql) => db.prepare(sql).all().then(() => "ok", (error) => error.code);
        export const refused = async (db) => {
          const statements = ["ATTACH 'other.db' AS o", "PRAGMA writable_schema = ON", "VACUUM INTO 'x.db'", "BEGIN", "SELECT load_extension('x')",
            "DELETE FROM _selvedge_migration", "PRAGMA journal_mode = DELETE"];
          return Promise.all(statements.map((sql) => code(db, sql)));
        };
        export const json = (db) => db.prepare("SELECT json_extract(?, '$' || replace(hex(zeroblob(50)), '00', '[0]') || replace(hex(zeroblob(50)), '00', '[0]')) AS v")
          .bind("[".repeat(100) + "42" + "]".repeat(100)).first("v");
        export const injection = async (db) => {
          await db.exec("CREATE TABLE t (name); INSERT INTO t VALUES ('Ada')");
          const name = "Ada'; DROP TABLE t; --";
          return [await db.prepare("SELECT count(*) AS n FROM t WHERE name = ?").bind(name).first("n"), await code(db, `SELECT * FROM t WHERE name = '${name}'`),
            await db.prepare("SELECT count(*) AS n FROM t").first("n")];
        };
        "#,
    ));
    assert_eq!(run(&node, "refused"), json!(vec!["sql_forbidden"; 7]));
    assert_eq!(run(&node, "json"), 42);
    assert_eq!(run(&node, "injection"), json!([0, "sql_error", 1]));
}

#[test]
fn each_tenant_has_a_database_of_its_own() {
    let place = Place::new();
    let project = project(
        &place,
        r#"
        export const write = async (_, env) => {
          for (const key of ["acme", "globex@example.com", "a.b"]) {
            await env.TENANTS.get(key).prepare("INSERT INTO note VALUES (?)").bind(`of ${key}`).run();
          }
        };
        export const read = (_, env) => Promise.all(["acme", "globex@example.com", "empty"].map((key) =>
          env.TENANTS.get(key).prepare("SELECT text FROM note").raw()));
        export const traversal = (_, env) => Promise.all(["../other", "a/b", ".", "x".repeat(129)].map((key) =>
          env.TENANTS.get(key).prepare("SELECT 1").all().catch((error) => error.code)));
        export const many = async (_, env) => {
          for (let n = 0; n < 20; n++) await env.TENANTS.get(`t${n}`).prepare("INSERT INTO note VALUES ('x')").run();
          return env.TENANTS.get("t0").prepare("SELECT count(*) AS n FROM note").first("n");
        };
        "#,
    );
    let node = place.dev(&project);
    run(&node, "write");
    assert_eq!(run(&node, "read"), json!([[["of acme"]], [["of globex@example.com"]], []]));
    assert_eq!(run(&node, "traversal"), json!(vec!["sql_name"; 4]));
    assert_eq!(run(&node, "many"), 1);
    node.stop();
    let node = place.dev(&project);
    assert_eq!(run(&node, "read"), json!([[["of acme"]], [["of globex@example.com"]], []]), "they outlive the node");
}

fn migrated(place: &Place, second: &str) -> PathBuf {
    let manifest = MANIFEST.replace("DB = { sql = \"main\" }", "DB = { sql = \"main\", migrations = \"migrations\" }");
    let steps = "export const names = (db) => db.prepare(\"SELECT name FROM user ORDER BY id\").raw();";
    let files = [
        ("selvedge.toml", manifest.as_str()),
        ("src/index.ts", SOURCE),
        ("src/steps.ts", steps),
        ("tenants/0001_notes.sql", "CREATE TABLE note (text TEXT NOT NULL);"),
        ("migrations/0001_users.sql", "CREATE TABLE user (id INTEGER PRIMARY KEY, name TEXT);"),
        ("migrations/0002_root.sql", second),
    ];
    place.project("project", &files)
}

const ROOT: &str = "INSERT INTO user (name) VALUES ('root');";

#[test]
fn migrations_are_applied_before_a_deployment_is_served() {
    let place = Place::new();
    let project = migrated(&place, ROOT);
    place.deploy(&project).expect_success();
    let node = place.serve();
    let names = |node: &Node| node.send(&Request::get("/names").at_app("app")).text();
    assert_eq!(names(&node), "[[\"root\"]]");

    // A new one, while the node serves.
    std::fs::write(project.join("migrations/0003_ada.sql"), "INSERT INTO user (name) VALUES ('Ada');").unwrap();
    place.deploy(&project).expect_success();
    node.until(&Request::get("/names").at_app("app"), |answer| answer.text() == "[[\"root\"],[\"Ada\"]]");

    // One that fails half-way leaves nothing, and the deployment is not released.
    let broken = "INSERT INTO user (name) VALUES ('Eve'); INSERT INTO nowhere VALUES (1);";
    std::fs::write(project.join("migrations/0004_eve.sql"), broken).unwrap();
    let refused = place.deploy(&project).stderr;
    assert!(refused.contains("the migration 0004_eve.sql failed and changed nothing: no such table"), "{refused}");
    assert_eq!(names(&node), "[[\"root\"],[\"Ada\"]]");
    std::fs::remove_file(project.join("migrations/0004_eve.sql")).unwrap();

    // One that was applied and has changed.
    std::fs::write(project.join("migrations/0002_root.sql"), "INSERT INTO user (name) VALUES ('admin');").unwrap();
    let refused = place.deploy(&project).stderr;
    assert!(refused.contains("the migration 0002_root.sql was applied and has changed since"), "{refused}");
    let list = place.on_data(&["sql", "migrations", "app", "main"]).expect_success();
    assert_eq!(list.lines().filter(|line| line.ends_with(".sql")).count(), 3, "{list}");
}

#[test]
fn the_command_line_queries_imports_and_exports() {
    let place = Place::new();
    place.deploy(&migrated(&place, ROOT)).expect_success();
    let check = |node: &str| {
        let query = place.on_data(&[
            "sql",
            "query",
            "app",
            "main",
            "SELECT id, name FROM user WHERE id = ?",
            "--params",
            "[1]",
        ]);
        assert!(query.expect_success().starts_with("id | name\n1 | root\n(1 rows"), "{node}");
    };
    check("stopped");
    let text = "CREATE TABLE pet (id INTEGER PRIMARY KEY, photo BLOB, owner REFERENCES user (id));
        CREATE VIRTUAL TABLE words USING fts5(text); INSERT INTO words VALUES ('it''s a cat');
        INSERT INTO pet VALUES (9223372036854775807, X'00FF', 1); CREATE INDEX pet_owner ON pet (owner);";
    let imported = place.on_data_with(&["sql", "import", "app", "main"], text.as_bytes()).expect_success();
    assert_eq!(imported.split_once(',').map(|(first, _)| first), Some("5 statements ran"));
    let node = place.serve();
    check("running");
    assert_eq!(place.on_data(&["sql", "list", "app"]).expect_success(), "main\n");
    let export = place.on_data(&["sql", "export", "app", "main"]).expect_success();
    place.on_data_with(&["sql", "import", "app", "copy"], export.as_bytes()).expect_success();
    assert_eq!(place.on_data(&["sql", "export", "app", "copy"]).expect_success(), export);
    let dump = "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE IF NOT EXISTS t(x);\nINSERT INTO t VALUES(1);\nCOMMIT;\n";
    place.on_data_with(&["sql", "import", "app", "dumped"], dump.as_bytes()).expect_success();
    let contentless = "CREATE VIRTUAL TABLE bare USING fts5(text, content = '')";
    place.on_data_with(&["sql", "import", "app", "dumped"], contentless.as_bytes()).expect_success();
    let refused = place.on_data(&["sql", "export", "app", "dumped"]).expect_failure();
    assert!(refused.contains("bare is a full-text table without content"), "{refused}");
    let shell = "SELECT count(*) FROM words\n WHERE words MATCH 'cat';\nSELECT photo FROM pet;\nSELEC;\nSELECT 7;\n";
    let said = place.on_data_with(&["sql", "shell", "app", "copy"], shell.as_bytes());
    assert!(said.stderr.contains("syntax error"), "{}", said.stderr);
    assert!(said.stderr.contains("1 of the statements failed"), "{}", said.stderr);
    let said = said.stdout.clone();
    assert!(said.contains("count(*)\n1\n") && said.contains("photo\nx'00ff'\n") && said.contains("7\n7\n"), "{said}");
    for sql in ["ATTACH 'x' AS y", "ALTER TABLE user RENAME TO _selvedge_user"] {
        let refused = place.on_data(&["sql", "query", "app", "main", sql]).expect_failure();
        assert!(refused.contains("sql_forbidden"), "{refused}");
    }
    place.on_data(&["sql", "query", "app", "main", "ANALYZE"]).expect_success();
    let mathematics = "SELECT sqrt(16) + ln(exp(1)) + pow(2, 3) + ceil(0.5) + mod(7, 4) + round(degrees(pi()))";
    let table = place.on_data(&["sql", "query", "app", "main", mathematics, "--json"]).json();
    assert_eq!(table["rows"][0][0], 197.0, "SQLite was built with LIBSQLITE3_FLAGS of .cargo/config.toml");
    drop(node);
}

#[test]
fn an_export_that_is_larger_than_a_result_is_read_page_by_page() {
    let place = Place::new();
    place.deploy(&migrated(&place, ROOT)).expect_success();
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1500)";
    let text = format!(
        "CREATE TABLE many (rowid TEXT, oid BLOB); INSERT INTO many {numbers} SELECT 'row ' || i, x'00ff' FROM n;
         DELETE FROM many WHERE _rowid_ % 3 = 0;
         CREATE TABLE keyed (k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO keyed {numbers} SELECT i, i / 7.0 FROM n;
         CREATE VIRTUAL TABLE words USING fts5(text); INSERT INTO words {numbers} SELECT 'word ' || i FROM n;"
    );
    place.on_data_with(&["sql", "import", "app", "main"], text.as_bytes()).expect_success();
    let whole = place.on_data(&["sql", "export", "app", "main"]).expect_success();
    let config = place.project("config", &[("node.toml", "[limits]\nsql_result_bytes = 10000\n")]).join("node.toml");
    let node = place.serve_with(&["--config", &config.display().to_string()]);
    let paged = place.on_data(&["sql", "export", "app", "main"]).expect_success();
    assert_eq!(place.on_data(&["sql", "list", "app"]).expect_success(), "main\n", "the branch is gone");
    drop(node);
    let other = Place::new();
    other.on_data_with(&["sql", "import", "app", "main"], paged.as_bytes()).expect_success();
    assert_eq!(other.on_data(&["sql", "export", "app", "main"]).expect_success(), whole);
}

#[test]
fn a_database_is_branched_and_its_past_is_brought_back() {
    let place = Place::new();
    place.deploy(&migrated(&place, ROOT)).expect_success();
    let node = place.serve();
    let query = |database: &str, sql: &str| place.on_data(&["sql", "query", "app", database, sql, "--json"]).json();
    let names = |database: &str| {
        let rows = query(database, "SELECT group_concat(name ORDER BY id) FROM user");
        rows["rows"][0][0].as_str().expect("names").to_owned()
    };
    query("main", "INSERT INTO user (name) VALUES ('ada')");
    let moment = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a time").as_millis() as u64;
    // A commit of the next millisecond is after that moment.
    while std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a time").as_millis() as u64 <= moment {}
    query("main", "INSERT INTO user (name) VALUES ('eve')");
    assert_eq!(names("main"), "root,ada,eve");

    let copy = |args: &[&str]| place.on_data(&[&["sql"], args].concat());
    let told = copy(&["branch", "app", "main", "branch"]).expect_success();
    assert!(told.starts_with("branch is what main is now, "), "{told}");
    query("branch", "DELETE FROM user WHERE name = 'root'");
    let told = copy(&["restore", "app", "main", "past", "--at", &moment.to_string()]).expect_success();
    assert!(told.starts_with("past is main as its commit of "), "{told}");
    let check = || {
        assert_eq!(names("main"), "root,ada,eve");
        assert_eq!(names("branch"), "ada,eve");
        assert_eq!(names("past"), "root,ada");
    };
    check();
    for (args, reason) in [
        (["restore", "app", "main", "branch", "--at", "1s"], "there is a database branch already"),
        (["restore", "app", "main", "older", "--at", "1000d"], "the archive of "),
        (["restore", "app", "main", "later", "--at", "3000-01-01T00:00:00Z"], "the moment is yet to come"),
        (["restore", "app", "nothing", "new", "--at", "1s"], "nothing is archived of "),
        (["restore", "app", "main", "../x", "--at", "1s"], "is no name of a database"),
    ] {
        let refused = copy(&args).expect_failure();
        assert!(refused.contains(reason), "{reason}: {refused}");
    }
    for args in [
        &["query", "app", "mian", "SELECT 1"][..],
        &["query", "app", "mian", "INSERT INTO user (name) VALUES ('x')"],
        &["export", "app", "mian"],
        &["changes", "app", "mian", "--once"],
    ] {
        let refused = copy(args).expect_failure();
        assert!(refused.contains("not_found") && refused.contains("app/mian is no database"), "{args:?}: {refused}");
    }
    assert_eq!(copy(&["list", "app"]).expect_success(), "branch\nmain\npast\n", "and none was made");
    assert!(copy(&["branch", "app", "nothing", "new"]).expect_failure().contains("there is no database nothing"));
    assert!(copy(&["restore", "app", "main", "x", "--at", "noon"]).expect_failure().contains("is no moment"));
    node.stop();
    // They outlive the process, whose log told nobody of their making.
    check();

    assert!(copy(&["delete", "app", "branch"]).expect_failure().contains("say --yes"));
    assert!(copy(&["delete", "app", "brnach", "--yes"]).expect_failure().contains("not_found"));
    let node = place.serve();
    assert_eq!(names("branch"), "ada,eve");
    copy(&["delete", "app", "branch", "--yes"]).expect_success();
    assert_eq!(copy(&["list", "app"]).expect_success(), "main\npast\n");
    assert!(copy(&["query", "app", "branch", "SELECT 1"]).expect_failure().contains("not_found"));
    node.stop();
    assert_eq!(copy(&["list", "app"]).expect_success(), "main\npast\n", "and it stays away");
    copy(&["restore", "app", "branch", "again", "--at", "0s"]).expect_success();
    assert_eq!(names("again"), "ada,eve", "its past is kept");
}

#[test]
fn a_database_is_put_back_in_its_place() {
    let place = Place::new();
    place.deploy(&migrated(&place, ROOT)).expect_success();
    let node = place.serve();
    let query = |sql: &str| place.on_data(&["sql", "query", "app", "main", sql, "--json"]).json();
    let names = || query("SELECT group_concat(name ORDER BY id) FROM user")["rows"][0][0].as_str().map(str::to_owned);
    let names = || names().expect("names");
    let copy = |args: &[&str]| place.on_data(&[&["sql"], args].concat());
    query("INSERT INTO user (name) VALUES ('ada')");
    let moment = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a time").as_millis() as u64;
    // A commit of the next millisecond is after that moment.
    while std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a time").as_millis() as u64 <= moment {}
    query("INSERT INTO user (name) VALUES ('eve')");
    assert_eq!(names(), "root,ada,eve");
    let through = copy(&["changes", "app", "main", "--once"]).expect_success();
    let through = through.trim().trim_start_matches("(through ").trim_end_matches(')').to_owned();
    assert!(copy(&["restore", "app", "main", "--at", &moment.to_string()]).expect_failure().contains("say --yes"));
    let told = copy(&["restore", "app", "main", "--at", &moment.to_string(), "--yes"]).expect_success();
    assert!(told.starts_with("main is put back to its commit of "), "{told}");
    assert_eq!(names(), "root,ada");
    query("INSERT INTO user (name) VALUES ('kim')");
    assert_eq!(names(), "root,ada,kim");
    let gone = copy(&["changes", "app", "main", "--after", &through, "--once"]).expect_failure();
    assert!(gone.contains("sql_changes_gone"), "who followed it reads the tables anew: {gone}");
    node.stop();
    assert_eq!(names(), "root,ada,kim", "it outlives the process");
}

#[test]
fn the_past_is_copied_to_another_directory_and_the_operator_sees_how_far() {
    let place = Place::new();
    place.deploy(&migrated(&place, ROOT)).expect_success();
    let config = place.path("node.toml");
    write(&config, "[archive]\ndirectory = \"elsewhere\"\n[limits]\narchive_copy_ms = 100\n");
    std::fs::create_dir(place.path("elsewhere")).expect("a directory");
    let node = place.serve_with(&["--config", &config.display().to_string()]);
    let query = |sql: &str| place.on_data(&["sql", "query", "app", "main", sql, "--json"]).json();
    query("INSERT INTO user (name) VALUES ('ada')");
    let copied = || {
        let found = place.on_data(&["fsck", "--json"]).json();
        assert_eq!(found["damage"].as_array().map(Vec::len), Some(0), "{found}");
        (found["archive"]["behind_ms"] == 0).then_some(())
    };
    until("the copy has everything", copied);
    let told = place.on_data(&["fsck"]).expect_success();
    assert!(told.contains("the copy of the archive in ") && told.contains(" has everything"), "{told}");
    let metrics = node.ask_admin(Request::get("/metrics")).expect(200).text();
    for name in ["selvedge_archive_copy_behind_seconds", "selvedge_archive_copy_failures_total"] {
        assert!(metrics.lines().any(|line| line.starts_with(name)), "{name}: {metrics}");
    }
    node.stop();

    let kept: Vec<_> = std::fs::read_dir(place.path("elsewhere")).expect("the copy").collect();
    assert_eq!(kept.len(), 1, "one data directory, one folder: {kept:?}");
}

#[test]
fn rows_are_metered_and_a_slow_statement_is_logged_with_its_plan() {
    let place = Place::new();
    let node = place.dev(&project(
        &place,
        r#"
        export const make = (db) => db.exec("CREATE TABLE t (v); INSERT INTO t VALUES (1), (2), (3)");
        export const read = (db) => db.prepare("SELECT v FROM t").all();
        export const slow = (db) => db.prepare("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 2000000) SELECT count(*) AS n FROM n, (SELECT 'secret' = ?)")
          .bind("never shown").first("n");
        "#,
    ));
    run(&node, "make");
    run(&node, "read");
    assert_eq!(run(&node, "slow"), 2_000_000);
    let said = node.wait_for_stderr("a slow statement");
    assert!(said.contains("plan") && said.contains("SCAN") && said.contains("local/app/main"), "{said}");
    assert!(!said.contains("never shown"), "values stay out of the log: {said}");
    let metrics = node.ask_admin(Request::get("/metrics")).expect(200).text();
    let value = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {metrics}"));
        line.rsplit(' ').next().and_then(|number| number.parse::<u64>().ok()).unwrap_or_default()
    };
    assert_eq!(value("selvedge_sql_rows_written_total"), 3);
    assert!(value("selvedge_sql_rows_read_total") >= 3);
}
