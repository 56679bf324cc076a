//! An object is put back to what it was: by itself, and by command.

use serde_json::{Value, json};

use crate::harness::{Node, Place, Request, until, write};

const MANIFEST: &str = "name = \"app\"
[workers.web]
entry = \"web.ts\"
bindings.NOTES = { object = \"Notes\" }
[[routes]]
match = \"/*\"
worker = \"web\"
";

const WEB: &str = r#"
import { DurableObject } from "cloudflare:workers";

export class Notes extends DurableObject {
  memory = 0;
  async add(text: string) {
    this.memory++;
    const { storage } = this.ctx;
    storage.sql.exec("CREATE TABLE IF NOT EXISTS note (text TEXT)");
    storage.sql.exec("INSERT INTO note VALUES (?)", text);
    await storage.put("last", text);
    return await storage.getCurrentBookmark();
  }
  async look() {
    const { storage } = this.ctx;
    let notes = [];
    try { notes = storage.sql.exec("SELECT text FROM note ORDER BY rowid").raw().toArray().flat(); } catch {}
    return [notes, (await storage.get("last")) ?? null, this.memory];
  }
  async mark() { return await this.ctx.storage.getCurrentBookmark(); }
  async at(ms: string) { return await this.ctx.storage.getBookmarkForTime(new Date(Number(ms))); }
  async back(bookmark: string) { return await this.ctx.storage.onNextSessionRestoreBookmark(bookmark); }
  async again() { this.ctx.abort("on purpose"); }
}
export default {
  async fetch(request: Request, env: any) {
    const [, name, what, ...args] = new URL(request.url).pathname.split("/");
    const stub = env.NOTES.getByName(name);
    try { return Response.json((await stub[what!]!(...args)) ?? null); }
    catch (error: any) { return Response.json({ name: error.name, message: error.message, code: error.code }); }
  },
};
"#;

/// Objects sleep almost at once.
const CONFIG: &str = "[limits]\nobject_idle_ms = 50\ninstance_idle_ms = 50\n";

fn serve(place: &Place) -> Node {
    let project = place.path("project");
    write(&project.join("selvedge.toml"), MANIFEST);
    write(&project.join("web.ts"), WEB);
    write(&place.path("node.toml"), CONFIG);
    place.deploy(&project).expect_success();
    place.serve_with(&["--config", place.path("node.toml").to_str().expect("a path")])
}

fn ask(node: &Node, path: &str) -> Value {
    node.send(&Request::get(path).at_app("app")).expect(200).json()
}

fn text(node: &Node, path: &str) -> String {
    let answer = ask(node, path);
    answer.as_str().unwrap_or_else(|| panic!("{path}: {answer}")).to_owned()
}

#[test]
fn an_object_puts_itself_back_to_a_bookmark_and_takes_that_back() {
    let place = Place::new();
    let node = serve(&place);
    let empty = text(&node, "/a/mark");
    let one = text(&node, "/a/add/one");
    let two = text(&node, "/a/add/two");
    assert!(empty < one && one < two, "{empty} {one} {two}");
    ask(&node, "/a/add/three");
    let undo = text(&node, &format!("/a/back/{one}"));
    assert_eq!(ask(&node, "/a/look")[1], json!("three"), "not before it starts again");
    assert_eq!(ask(&node, "/a/again")["code"], "object_reset");
    assert_eq!(ask(&node, "/a/look"), json!([["one"], "one", 0]));
    ask(&node, "/a/add/four");
    text(&node, &format!("/a/back/{undo}"));
    ask(&node, "/a/again");
    assert_eq!(ask(&node, "/a/look"), json!([["one", "two", "three"], "three", 0]));
    text(&node, &format!("/a/back/{empty}"));
    ask(&node, "/a/again");
    assert_eq!(ask(&node, "/a/look"), json!([[], null, 0]), "back to nothing");
    // A neighbour has noticed nothing, and a bookmark is good for no other object's past.
    text(&node, "/b/add/other");
    text(&node, &format!("/b/back/{empty}"));
    ask(&node, "/b/again");
    assert_eq!(ask(&node, "/b/look")[1], "other", "what can't be had changes nothing");
    for wrong in ["nonsense", "-", "zz-00000000", "0000000000000001-00000063", "ffffffffffffffff-00000000"] {
        assert_eq!(ask(&node, &format!("/a/back/{wrong}"))["code"], "object_past", "{wrong}");
    }
    assert_eq!(ask(&node, "/a/at/-5")["name"], "TypeError");
    assert!(text(&node, "/a/at/1000").starts_with("00000000000003e8-"));
}

#[test]
fn what_was_asked_for_outlives_the_node() {
    let place = Place::new();
    let mut node = serve(&place);
    let one = text(&node, "/a/add/one");
    ask(&node, "/a/add/two");
    text(&node, &format!("/a/back/{one}"));
    node.signal(rustix::process::Signal::KILL);
    node.wait();
    let node = place.serve();
    assert_eq!(ask(&node, "/a/look")[1], json!("one"));
}

#[test]
fn an_object_is_put_back_by_command_when_it_sleeps() {
    let place = Place::new();
    let node = serve(&place);
    let one = text(&node, "/a/add/one");
    let at = u64::from_str_radix(&one[..16], 16).expect("a moment").to_string();
    ask(&node, "/a/add/two");
    let restore = |object: &str, at: &str| place.on_data(&["objects", "app", "Notes", "restore", object, "--at", at]);
    until("the object to sleep", || restore("a", &at).ok.then_some(()));
    assert_eq!(ask(&node, "/a/look"), json!([["one"], "one", 0]));
    node.stop();
    assert!(restore("a", "1000d").expect_failure().contains("object_past"));
    assert!(restore("nobody", "0s").expect_failure().contains("object_past"));
    assert!(restore("a", "noon").expect_failure().contains("is no moment"));
    assert_eq!(place.on_data(&["objects", "app", "Notes", "list"]).expect_success().lines().count(), 1);
    // One that was deleted comes back.
    place.on_data(&["objects", "app", "Notes", "delete", "a"]).expect_success();
    let told = restore("a", &at).expect_success();
    assert!(told.contains("a is what its commit of "), "{told}");
    let node = place.serve();
    assert_eq!(ask(&node, "/a/look"), json!([["one"], "one", 0]));
}
