//! `selvedge dev`: an edit is live at once, a mistake is shown with its line, and no request is lost
//! meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::{Place, Request, write};

const ONE: &str = "export default { fetch(): Response { return new Response(\"one\"); } };\n";
const TWO: &str = "export default { fetch(): Response { return new Response(\"two\"); } };\n";

#[test]
fn an_edit_is_live_without_a_restart() {
    let place = Place::new();
    let project = place.worker(ONE);
    let node = place.dev(&project);
    assert_eq!(node.get("/").text(), "one");

    write(&project.join("src/index.ts"), TWO);
    node.until(&Request::get("/"), |answer| answer.text() == "two");
    let said = node.wait_for_stderr("src/index.ts changed: live after");
    assert!(!said.contains("error"), "{said}");
}

#[test]
fn an_imported_file_an_asset_and_the_manifest_are_watched_too() {
    let place = Place::new();
    let manifest = "name = \"app\"\n[workers.web]\nentry = \"src/index.ts\"\nvars = { WORD = \"first\" }\n\
                    [[routes]]\nmatch = \"/*\"\nassets = \"public\"\nworker = \"web\"\n";
    let project = place.project(
        "project",
        &[
            ("selvedge.toml", manifest),
            ("src/index.ts", "import { text } from \"./text.ts\";\nexport default { fetch(_: Request, env: { WORD: string }) { return new Response(text + env.WORD); } };\n"),
            ("src/text.ts", "export const text: string = \"a \";\n"),
            ("public/note.txt", "old"),
        ],
    );
    let node = place.dev(&project);
    assert_eq!(node.get("/").text(), "a first");
    assert_eq!(node.get("/note.txt").text(), "old");

    write(&project.join("src/text.ts"), "export const text: string = \"b \";\n");
    node.until(&Request::get("/"), |answer| answer.text() == "b first");
    write(&project.join("selvedge.toml"), &manifest.replace("first", "second"));
    node.until(&Request::get("/"), |answer| answer.text() == "b second");
    write(&project.join("public/note.txt"), "new");
    node.until(&Request::get("/note.txt"), |answer| answer.text() == "new");
    write(&project.join("public/more.txt"), "more");
    node.until(&Request::get("/more.txt"), |answer| answer.text() == "more");
}

#[test]
fn a_syntax_error_is_shown_with_its_line_and_goes_away_when_mended() {
    let place = Place::new();
    let project = place.worker(ONE);
    let node = place.dev(&project);

    write(
        &project.join("src/index.ts"),
        "interface Greeting { text: string }\n\nconst greeting: Greeting = { text: };\n",
    );
    let page = node.until(&Request::get("/").for_a_browser(), |answer| answer.status == 500);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let html = page.text();
    assert!(html.contains("src/index.ts:3:"), "the place: {html}");
    assert!(html.contains("const greeting: Greeting"), "the line, in TypeScript: {html}");
    assert!(html.contains("<mark>"), "{html}");

    let problem = node.get("/any/path").expect_problem(500, "bad_script");
    assert!(problem["source"].as_str().is_some_and(|source| source.starts_with("src/index.ts:3:")), "{problem}");
    let said = node.wait_for_stderr("const greeting: Greeting");
    assert!(said.contains("src/index.ts:3:"), "{said}");

    write(&project.join("src/index.ts"), TWO);
    node.until(&Request::get("/"), |answer| answer.status == 200 && answer.text() == "two");
}

#[test]
fn an_exception_three_calls_deep_shows_the_original_line() {
    let place = Place::new();
    let source = "import { outer } from \"./deep.ts\";\n\nexport default {\n  fetch(request: Request): Response {\n    return new Response(outer(request.url));\n  },\n};\n";
    let deep = "type Text = string;\n\ninterface Options {\n  loud: boolean;\n}\n\nexport function outer(text: Text): Text {\n  return middle(text, { loud: true });\n}\n\nfunction middle(text: Text, options: Options): Text {\n  return inner<Text>(text, options);\n}\n\nfunction inner<T>(value: T, _: Options): T {\n  throw new TypeError(`nothing fits ${value}`);\n}\n";
    let project = place.project(
        "project",
        &[("selvedge.toml", crate::harness::ONE_WORKER), ("src/index.ts", source), ("src/deep.ts", deep)],
    );
    let node = place.dev(&project);

    let html = node.send(&Request::get("/x").for_a_browser()).expect(500).text();
    assert!(html.contains("src/deep.ts:16:"), "the throw: {html}");
    assert!(html.contains("throw new TypeError"), "the line: {html}");
    for frame in ["src/deep.ts:12:", "src/deep.ts:8:", "src/index.ts:5:"] {
        assert!(html.contains(frame), "the caller {frame}: {html}");
    }
    let problem = node.get("/x").expect_problem(500, "guest_exception");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("nothing fits")), "{problem}");
}

#[test]
fn a_throw_at_start_is_shown_with_its_line() {
    let place = Place::new();
    let project = place.worker("type Port = number;\nconst port: Port = 1;\nif (port < 2) throw new Error(\"no port\");\nexport default { fetch: () => new Response() };\n");
    let node = place.dev(&project);
    let problem = node.get("/").expect_problem(500, "start_failed");
    assert!(problem["source"].as_str().is_some_and(|source| source.starts_with("src/index.ts:3:")), "{problem}");
    assert!(node.stderr().contains("no port"), "{}", node.stderr());
}

#[test]
fn a_project_that_is_broken_at_the_start_is_served_once_it_is_mended() {
    let place = Place::new();
    let project =
        place.project("project", &[("selvedge.toml", "name = \"app\"\n[workers.web]\nentri = \"src/index.ts\"\n")]);
    let node = place.dev(&project);
    let html = node.send(&Request::get("/").for_a_browser()).expect(422).text();
    for part in ["The manifest is not valid", "selvedge.toml:3:", "entri", "did you mean"] {
        assert!(html.contains(part), "{part}: {html}");
    }

    assert!(node.stderr().contains("the project is served on"), "{}", node.stderr());

    // Mended in two steps: the entry file comes last.
    write(&project.join("selvedge.toml"), crate::harness::ONE_WORKER);
    node.until(&Request::get("/"), |answer| answer.text().contains("src/index.ts"));
    write(&project.join("src/index.ts"), ONE);
    node.until(&Request::get("/"), |answer| answer.status == 200 && answer.text() == "one");
}

#[test]
fn no_request_is_dropped_while_the_code_is_swapped() {
    let place = Place::new();
    let project = place.worker(ONE);
    let node = place.dev(&project);
    let done = AtomicBool::new(false);
    let answers = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut answers = 0;
            while !done.load(Ordering::Relaxed) {
                let answer = node.get("/").expect(200).text();
                assert!(answer == "one" || answer == "two", "{answer}");
                answers += 1;
            }
            answers
        });
        for round in 0..10 {
            let (source, text) = if round % 2 == 0 { (TWO, "two") } else { (ONE, "one") };
            write(&project.join("src/index.ts"), source);
            node.until(&Request::get("/"), |answer| answer.text() == text);
        }
        done.store(true, Ordering::Relaxed);
        asking.join().expect("every request was answered")
    });
    assert!(answers > 10, "{answers}");
}

#[test]
fn a_slow_request_ends_with_the_code_that_it_began_with() {
    let place = Place::new();
    let slow = "export default { async fetch(r: Request) { if (r.url.endsWith(\"/slow\")) await new Promise((f) => setTimeout(f, 400)); return new Response(\"one\"); } };\n";
    let project = place.worker(slow);
    let node = place.dev(&project);
    node.get("/").expect(200);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| node.get("/slow").expect(200).text());
        write(&project.join("src/index.ts"), TWO);
        node.until(&Request::get("/"), |answer| answer.text() == "two");
        let text = slow.join().expect("an answer");
        assert!(text == "one" || text == "two", "{text}");
    });
}

#[test]
fn what_the_worker_logs_is_in_the_access_log() {
    let place = Place::new();
    let project = place.worker("export default { fetch() { console.log(\"a word\", { n: 1 }); return new Response(\"ok\", { status: 201 }); } };\n");
    let node = place.dev(&project);
    node.get("/path").expect(201);
    node.wait_for_log("a word");
    let log = node.wait_for_log("/path");
    let find = |part: &str| -> serde_json::Value {
        let line = log.lines().find(|line| line.contains(part)).expect("the line");
        serde_json::from_str(line).expect("one JSON object a line")
    };
    let (request, line) = (find("/path"), find("a word"));
    assert_eq!(request["status"], 201, "{request}");
    assert_eq!(line["request_id"], request["request_id"], "{line}");
}

#[test]
fn dev_vars_are_given_and_not_shown() {
    let place = Place::new();
    let manifest = format!("{}[workers.web.bindings]\nTOKEN = {{ secret = \"token\" }}\n", crate::harness::ONE_WORKER);
    let project = place.project(
        "project",
        &[
            ("selvedge.toml", &manifest),
            (".dev.vars", "TOKEN=hush-hush-value\n"),
            ("src/index.ts", "export default { fetch(_: Request, env: { TOKEN: string }) { return new Response(String(env.TOKEN.length)); } };\n"),
        ],
    );
    let node = place.dev(&project);
    assert_eq!(node.get("/").expect(200).text(), "15");
    assert!(!node.stderr().contains("hush-hush") && !node.log().contains("hush-hush"));
}
