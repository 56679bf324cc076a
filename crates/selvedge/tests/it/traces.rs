//! Stack traces and console lines name the file, the line and the column that their author wrote,
//! wherever they are shown.

use serde_json::Value;

use crate::harness::{Node, ONE_WORKER, Place, Request};

const INDEX: &str = r#"import { outer } from "./deep.ts";
import bundled from "../dist/bundle.js";

interface Env {}

export default {
  async fetch(request: Request, env: Env, ctx: { waitUntil(work: Promise<unknown>): void }): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/throws") return new Response(outer(pathname));
    if (pathname === "/bundled") bundled();
    if (pathname === "/unhandled") void Promise.reject(new RangeError("nobody looks"));
    if (pathname === "/later") ctx.waitUntil(Promise.resolve().then(() => outer("late")));
    if (pathname === "/console") {
      console.log("a word");
      console.error(new Error("an error"));
    }
    if (pathname === "/stack") {
      try {
        outer("x");
      } catch (error) {
        return new Response((error as Error).stack);
      }
    }
    if (pathname === "/cause") throw new Error("above", { cause: new TypeError("below") });
    return new Response("ok");
  },
};
"#;

const DEEP: &str = r#"type Text = string;

interface Options {
  loud: boolean;
}

export function outer(text: Text): Text {
  return middle(text, { loud: true });
}

function middle(text: Text, options: Options): Text {
  return inner<Text>(text, options);
}

function inner<T>(value: T, _: Options): T {
  throw new TypeError(`nothing fits ${value}`);
}
"#;

/// Three calls deep, from the throw up.
const CALLS: [&str; 3] = ["inner (src/deep.ts:16:9)", "middle (src/deep.ts:12:10)", "outer (src/deep.ts:8:10)"];

/// What a bundler makes of `lib/thrower.ts`, whose third line throws.
const BUNDLE: &str =
    "var f=()=>{throw new Error(\"bundled\")};export{f as default};\n//# sourceMappingURL=bundle.js.map\n";
const BUNDLE_MAP: &str =
    r#"{"version":3,"sources":["../lib/thrower.ts"],"sourcesContent":[null],"names":[],"mappings":"WAEE"}"#;

fn node(place: &Place) -> Node {
    let files = [
        ("selvedge.toml", ONE_WORKER),
        ("src/index.ts", INDEX),
        ("src/deep.ts", DEEP),
        ("dist/bundle.js", BUNDLE),
        ("dist/bundle.js.map", BUNDLE_MAP),
    ];
    let project = place.project("project", &files);
    place.dev(&project)
}

/// The first line of the log with all of these parts.
#[track_caller]
fn logged(node: &Node, parts: &[&str]) -> Value {
    let log = node.wait_for_log(parts[0]);
    let line = log.lines().find(|line| parts.iter().all(|part| line.contains(part)));
    serde_json::from_str(line.unwrap_or_else(|| panic!("no line with {parts:?} in\n{log}"))).expect("one object a line")
}

#[track_caller]
fn in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("no {part:?}, in this order, in\n{text}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn a_throw_three_calls_deep_shows_three_right_lines_everywhere() {
    let place = Place::new();
    let node = node(&place);

    let html = node.send(&Request::get("/throws").for_a_browser()).expect(500).text();
    in_order(&html, &["TypeError: nothing fits /throws", "src/deep.ts:16:", "<mark>", "throw new TypeError"]);
    in_order(&html, &CALLS);
    assert_eq!(html.matches("nothing fits /throws").count(), 1, "the error is told once: {html}");

    let line = logged(&node, &["nothing fits", "\"path\":\"/throws\""]);
    let detail = line["detail"].as_str().expect("a detail");
    in_order(detail, &["TypeError: nothing fits /throws\n", CALLS[0], CALLS[1], CALLS[2], "fetch (src/index.ts:9:"]);

    let problem = node.get("/throws").expect_problem(500, "guest_exception");
    in_order(problem["stack"].as_str().expect("a stack"), &CALLS);
}

#[test]
fn a_bundle_is_traced_to_what_was_bundled() {
    let place = Place::new();
    let node = node(&place);
    let problem = node.get("/bundled").expect_problem(500, "guest_exception");
    assert!(problem["source"].as_str().is_some_and(|s| s.starts_with("lib/thrower.ts:3:")), "{problem}");
}

#[test]
fn what_nobody_handles_is_traced_in_the_log() {
    let place = Place::new();
    let node = node(&place);
    node.get("/unhandled").expect(200);
    let line = logged(&node, &["nobody looks"]);
    in_order(line["text"].as_str().expect("a text"), &["RangeError: nobody looks\n", "fetch (src/index.ts:11:"]);
    node.get("/later").expect(200);
    in_order(logged(&node, &["nothing fits late"])["text"].as_str().expect("a text"), &CALLS);
}

#[test]
fn console_lines_say_where_they_were_written() {
    let place = Place::new();
    let node = node(&place);
    node.get("/console").expect(200);
    let line = logged(&node, &["a word"]);
    assert!(line["source"].as_str().is_some_and(|source| source.starts_with("src/index.ts:14:")), "{line}");
    let line = logged(&node, &["an error"]);
    assert!(line["source"].as_str().is_some_and(|source| source.starts_with("src/index.ts:15:")), "{line}");
    in_order(line["text"].as_str().expect("a text"), &["Error: an error\n", "fetch (src/index.ts:15:"]);
}

#[test]
fn what_is_logged_while_modules_are_evaluated_has_its_place_too() {
    let place = Place::new();
    let source = "type T = string;\n\nconst text: T = \"early\";\nconsole.log(text);\nexport default { fetch: () => new Response(text) };\n";
    let node = place.dev(&place.worker(source));
    assert!(node.stderr().contains("early (src/index.ts:4:"), "{}", node.stderr());
}

#[test]
fn a_script_sees_a_stack_that_begins_with_its_error() {
    let place = Place::new();
    let node = node(&place);
    let stack = node.get("/stack").expect(200).text();
    let lines: Vec<&str> = stack.lines().collect();
    assert_eq!(lines[0], "TypeError: nothing fits x");
    assert!(lines[1..].iter().all(|line| line.starts_with("    at ")), "{stack}");
    assert!(lines[1].starts_with("    at inner (src/deep.ts:"), "{stack}");
}

#[test]
fn a_cause_has_its_own_trace() {
    let place = Place::new();
    let node = node(&place);
    let problem = node.get("/cause").expect_problem(500, "guest_exception");
    let stack = problem["stack"].as_str().expect("a stack");
    in_order(stack, &["fetch (src/index.ts:24:", "caused by: TypeError: below\n", "fetch (src/index.ts:24:"]);
}

#[test]
fn a_deployed_app_is_traced_too() {
    let place = Place::new();
    let files = [
        ("selvedge.toml", ONE_WORKER),
        ("src/index.ts", INDEX),
        ("src/deep.ts", DEEP),
        ("dist/bundle.js", BUNDLE),
        ("dist/bundle.js.map", BUNDLE_MAP),
    ];
    let project = place.project("project", &files);
    let node = place.serve_project(&project);
    let request = |path: &str| Request::get(path).header("host", "app.localhost");
    node.send(&request("/throws")).expect(500);
    in_order(logged(&node, &["nothing fits"])["detail"].as_str().expect("a detail"), &CALLS);
    node.send(&request("/console")).expect(200);
    let line = logged(&node, &["a word"]);
    assert!(line["source"].as_str().is_some_and(|source| source.starts_with("src/index.ts:14:")), "{line}");
}
