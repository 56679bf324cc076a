//! Workers that call each other's methods, over HTTP and as they are deployed.

use std::path::PathBuf;

use serde_json::json;

use crate::harness::{Place, Request, until};

const MANIFEST: &str = "name = \"app\"
[workers.web]
entry = \"web.ts\"
[workers.web.bindings]
BACK = { worker = \"back\" }
ADMIN = { worker = \"back\", entrypoint = \"Admin\", props = { role = \"writer\", regions = [\"eu\", \"us\"] } }
PLAIN = { worker = \"back\", entrypoint = \"plain\" }
SELF = { worker = \"web\" }
ASSETS = { assets = \"public\" }
[workers.back]
entry = \"back.ts\"
[[routes]]
match = \"/*\"
worker = \"web\"
";

const BACK: &str = r#"
import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

class Counter extends RpcTarget {
  #value = 0;
  increment(by = 1) { return (this.#value += by); }
}

export default class extends WorkerEntrypoint {
  fetch(request: Request) { return new Response(`default ${new URL(request.url).pathname} ${JSON.stringify(this.ctx.props)}`); }
  add(a: number, b: number) { return a + b; }
  counter() { return new Counter(); }
  async each(list: number[], visit: (item: number) => Promise<number>) {
    let sum = 0;
    for (const item of list) sum += await visit(item);
    return sum;
  }
  fail(): never { throw new RangeError("too far"); }
}

export class Admin extends WorkerEntrypoint {
  fetch(request: Request) { return new Response(`admin ${new URL(request.url).pathname} ${this.ctx.props.role}`); }
  whoami() { return { ...this.ctx.props, greeting: this.env.GREETING }; }
}

export const plain = { fetch: (_: Request, env: any, ctx: any) => Response.json([env.GREETING, ctx.props]) };
"#;

const WEB: &str = r#"
const tried = async (run: () => unknown) => {
  try { return await run(); } catch (error: any) { return { name: error.name, message: error.message, code: error.code, stack: error.stack }; }
};
const asked: Record<string, (env: any) => unknown> = {
  "/add": (env) => env.BACK.add(1, 2),
  "/count": async (env) => {
    using counter = await env.BACK.counter();
    await counter.increment();
    return counter.increment(5);
  },
  "/each": (env) => env.BACK.each([1, 2, 3], async (item: number) => item * 10),
  "/pipelined": (env) => env.BACK.counter().increment(7),
  "/fetch": async (env) => (await env.BACK.fetch("http://x/path")).text(),
  "/admin": async (env) => [await env.ADMIN.whoami(), await (await env.ADMIN.fetch("http://x/path")).text()],
  "/plain": async (env) => (await env.PLAIN.fetch("http://x/")).json(),
  "/fail": (env) => tried(() => env.BACK.fail()),
  "/object": (env) => tried(() => env.PLAIN.add(1)),
  "/self": (env) => tried(() => env.SELF.add(1)),
  "/files": (env) => tried(() => env.ASSETS.add(1)),
  "/uncaught": (env) => env.BACK.fail(),
};
export default {
  async fetch(request: Request, env: any) {
    return Response.json((await asked[new URL(request.url).pathname]!(env)) ?? null);
  },
};
"#;

fn project(place: &Place) -> PathBuf {
    let manifest = MANIFEST.replace("entry = \"back.ts\"\n", "entry = \"back.ts\"\nvars = { GREETING = \"hello\" }\n");
    let files = [("selvedge.toml", manifest.as_str()), ("web.ts", WEB), ("back.ts", BACK), ("public/a.txt", "a")];
    place.project("project", &files)
}

#[test]
fn a_worker_calls_methods_of_another() {
    let place = Place::new();
    let node = place.serve_project(&project(&place));
    let ask = |path: &str| node.send(&Request::get(path).at_app("app")).expect(200).json();
    assert_eq!(ask("/add"), json!(3));
    assert_eq!(ask("/count"), json!(6));
    assert_eq!(ask("/each"), json!(60));
    assert_eq!(ask("/pipelined"), json!(7));
}

#[test]
fn a_binding_names_the_export_that_answers_and_what_it_is_told() {
    let place = Place::new();
    let node = place.serve_project(&project(&place));
    let ask = |path: &str| node.send(&Request::get(path).at_app("app")).expect(200).json();
    assert_eq!(ask("/fetch"), json!("default /path {}"));
    let props = json!({ "role": "writer", "regions": ["eu", "us"], "greeting": "hello" });
    assert_eq!(ask("/admin"), json!([props, "admin /path writer"]));
    assert_eq!(ask("/plain"), json!(["hello", {}]));

    for path in ["/object", "/self"] {
        let answer = ask(path);
        assert_eq!(answer["name"], "TypeError", "{answer}");
        assert!(answer["message"].as_str().is_some_and(|m| m.contains("extends WorkerEntrypoint")), "{answer}");
    }
    assert_eq!(ask("/files")["code"], "no_handler");
}

#[test]
fn an_export_that_is_not_there_is_an_error_of_the_deployment() {
    let place = Place::new();
    let project = project(&place);
    let manifest = std::fs::read_to_string(project.join("selvedge.toml")).expect("the manifest");
    std::fs::write(project.join("selvedge.toml"), manifest.replace("\"Admin\"", "\"Admn\"")).expect("a write");
    let said = place.deploy(&project).expect_failure();
    for part in [
        "the worker `back` has no export `Admn`, which the binding `ADMIN` names",
        "selvedge.toml:6:",
        "did you mean `Admin`?",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn the_stack_of_an_error_leaves_a_worker_in_dev_only() {
    let place = Place::new();
    let project = project(&place);
    let served = place.serve_project(&project);
    let failed = served.send(&Request::get("/fail").at_app("app")).expect(200).json();
    assert_eq!((&failed["name"], &failed["message"]), (&json!("RangeError"), &json!("too far")));
    assert_eq!(failed["stack"], "RangeError: too far");
    let uncaught = served.send(&Request::get("/uncaught").at_app("app")).expect_problem(500, "guest_exception");
    assert!(uncaught.get("detail").is_none(), "{uncaught}");
    // What does not leave the worker stands in its log.
    let line = "a method that another worker called threw: RangeError: too far";
    until("the stack in the log", || {
        let log = served.log();
        (log.contains(line) && log.contains("at fail (back.ts:18:25)")).then_some(())
    });
    served.stop();

    let node = place.dev(&project);
    let failed = node.get("/fail").expect(200).json();
    assert!(failed["stack"].as_str().is_some_and(|stack| stack.contains("back.ts:18:25")), "{failed}");
}

#[test]
fn calls_nest_as_deep_as_the_app_allows_and_no_deeper() {
    let place = Place::new();
    let manifest =
        "name = \"app\"\n[workers.web]\nentry = \"web.ts\"\n[workers.web.bindings]\nSELF = { worker = \"web\" }\n";
    let web = "import { WorkerEntrypoint } from \"cloudflare:workers\";
        export default class extends WorkerEntrypoint {
          async fetch() { try { return new Response(String(await this.down(1e9))); } catch (e: any) { return new Response(`${e.code}: ${e.message}`); } }
          async down(n: number): Promise<number> { return n === 0 ? 0 : 1 + await this.env.SELF.down(n - 1); }
        }";
    let node = place.serve_project(&place.project("project", &[("selvedge.toml", manifest), ("web.ts", web)]));
    let answer = node.send(&Request::get("/").at_app("app")).expect(200).text();
    assert!(answer.starts_with("nesting_exceeded: ") && answer.contains("limits.nesting allows 16"), "{answer}");
}

#[test]
fn calls_work_where_every_event_gets_a_sandbox_of_its_own() {
    let place = Place::new();
    let manifest = MANIFEST.replace("entry = \"web.ts\"\n", "entry = \"web.ts\"\nisolation = \"request\"\n");
    let manifest = manifest.replace("entry = \"back.ts\"\n", "entry = \"back.ts\"\nisolation = \"request\"\n");
    let files = [("selvedge.toml", manifest.as_str()), ("web.ts", WEB), ("back.ts", BACK), ("public/a.txt", "a")];
    let node = place.serve_project(&place.project("project", &files));
    let ask = |path: &str| node.send(&Request::get(path).at_app("app")).expect(200).json();
    for _ in 0..3 {
        assert_eq!(ask("/add"), json!(3));
        assert_eq!(ask("/count"), json!(6));
        assert_eq!(ask("/each"), json!(60));
    }
}

#[test]
fn a_wrangler_project_binds_its_own_entry_points() {
    let place = Place::new();
    let manifest = r#"{
      "name": "app", "main": "index.ts",
      "services": [{ "binding": "ADMIN", "service": "app", "entrypoint": "Admin", "props": { "n": 2 } }]
    }"#;
    let source = "import { WorkerEntrypoint } from \"cloudflare:workers\";
        export class Admin extends WorkerEntrypoint { double(x: number) { return x * this.ctx.props.n; } }
        export default { async fetch(_: Request, env: any) { return new Response(String(await env.ADMIN.double(21))); } };";
    let project = place.project("project", &[("wrangler.jsonc", manifest), ("index.ts", source)]);
    let types = place.run(&["types", &project.display().to_string()]).expect_success();
    assert!(types.contains("ADMIN: WorkerService<typeof import(\"./index\").Admin>;"), "{types}");
    let checked = place.run(&["check", &project.display().to_string()]).expect_success();
    assert!(checked.contains("worker app, its export Admin"), "{checked}");
    let node = place.dev(&project);
    assert_eq!(node.get("/").expect(200).text(), "42");
}
