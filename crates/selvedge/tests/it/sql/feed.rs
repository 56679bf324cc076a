//! The change feed of a database: for a worker, for the command line, and over the admin API.

use serde_json::{Value, json};

use crate::harness::{Node, Place, Request, write};

const MANIFEST: &str = r#"
name = "app"
[workers.web]
entry = "index.ts"
bindings.DB = { sql = "main" }
bindings.EACH = { sql = "each-*" }
[[routes]]
match = "/*"
worker = "web"
"#;

const SOURCE: &str = r#"
const take = async (feed: any, many: number) => {
  const found = [];
  for await (const { table, type, rowid, key, sequence, time } of feed) {
    if (!(sequence > 0 && Math.abs(Date.now() - time) < 60_000)) throw new Error("when?");
    found.push([table, type, rowid, key]);
    if (found.length === many) break;
  }
  return found;
};
const tried = async (run: () => unknown) => { try { return await run(); } catch (e: any) { return e.code ?? e.name; } };
export default {
  async fetch(request: Request, env: any) {
    const { DB } = env, { pathname, searchParams } = new URL(request.url);
    if (pathname === "/setup") {
      await DB.exec("CREATE TABLE note (id INTEGER PRIMARY KEY, text); CREATE TABLE tag (name TEXT PRIMARY KEY) WITHOUT ROWID");
      return Response.json(null);
    }
    if (pathname === "/write") {
      await DB.prepare("INSERT INTO note (text) VALUES (?)").bind(searchParams.get("text")).run();
      return Response.json(null);
    }
    if (pathname === "/now") {
      const feed = DB.changes();
      const first = feed.next();
      await DB.batch([
        DB.prepare("INSERT INTO note VALUES (9007199254740993, 'large')"), DB.prepare("INSERT INTO tag VALUES ('a')"),
        DB.prepare("DELETE FROM note"),
      ]);
      const { sequence } = (await first).value;
      const rest = await take(feed, 2);
      const again = await take(DB.changes({ after: sequence - 1, limit: 1 }), 3);
      return Response.json([rest, again].map((part) => part.map((one) => one.map(String))));
    }
    if (pathname === "/wait") return Response.json(await take(DB.changes({ after: Number(searchParams.get("after")) }), 1));
    if (pathname === "/each") {
      const db = env.EACH.get("one");
      const feed = db.changes();
      const told = feed.next();
      await db.exec("CREATE TABLE t (v); INSERT INTO t VALUES (1)");
      const { value } = await told;
      await feed.return();
      return Response.json([value.table, value.type, value.rowid, (await feed.next()).done]);
    }
    return Response.json([
      await tried(() => DB.changes({ after: 1e6 }).next()), await tried(() => DB.changes({ after: -1 })),
      await tried(() => DB.changes({ limit: 0 })),
    ]);
  },
};
"#;

fn serve(place: &Place) -> Node {
    let project = place.path("project");
    write(&project.join("selvedge.toml"), MANIFEST);
    write(&project.join("index.ts"), SOURCE);
    place.serve_project(&project)
}

fn ask(node: &Node, path: &str) -> Value {
    node.send(&Request::get(path).at_app("app")).expect(200).json()
}

#[test]
fn a_worker_iterates_over_what_was_written() {
    let place = Place::new();
    let node = serve(&place);
    ask(&node, "/setup");
    let large = "9007199254740993";
    let all =
        json!([["note", "insert", large, "null"], ["tag", "insert", "null", "a"], ["note", "delete", large, "null"]]);
    assert_eq!(ask(&node, "/now"), json!([[all[1], all[2]], all]));
    assert_eq!(ask(&node, "/each"), json!(["t", "insert", 1, true]));
    assert_eq!(ask(&node, "/wrong"), json!(["sql_changes_gone", "TypeError", "TypeError"]));
}

#[test]
fn who_waits_hears_of_another_request_and_the_feed_outlives_the_node() {
    let place = Place::new();
    let node = serve(&place);
    ask(&node, "/setup");
    let changes = |args: &[&str]| place.on_data(&[&["sql", "changes", "app", "main"], args].concat());
    let begin = changes(&["--once"]).expect_success();
    let begin = begin.trim().trim_start_matches("(through ").trim_end_matches(')').to_owned();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| ask(&node, &format!("/wait?after={begin}")));
        ask(&node, "/write?text=one");
        assert_eq!(waiting.join().expect("it ends"), json!([["note", "insert", 1, null]]));
    });
    let mut node = node;
    ask(&node, "/write?text=two");
    node.signal(rustix::process::Signal::KILL);
    node.wait();
    let node = place.serve();
    ask(&node, "/write?text=three");
    let told =
        place.on_data(&["--json", "sql", "changes", "app", "main", "--after", &begin, "--once"]).expect_success();
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let rows: Vec<&Value> = told.iter().map(|change| &change["rowid"]).collect();
    assert_eq!(rows, [&json!(1), &json!(2), &json!(3)], "{told:?}");
    let asked = node.ask_admin(Request::get(&format!("/v1/apps/app/sql/main/changes?after={begin}&limit=1")));
    assert_eq!(asked.json()["changes"].as_array().map(Vec::len), Some(1));
    assert!(changes(&["--after", "999", "--once"]).expect_failure().contains("sql_changes_gone"));
    // The platform's tables are in no export.
    let export = place.on_data(&["sql", "export", "app", "main"]).expect_success();
    assert!(!export.contains("_selvedge"), "{export}");
}
