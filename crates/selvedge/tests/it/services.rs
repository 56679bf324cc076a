//! What workers are given: secrets, KV, and each other. And the commands for the first two.

use std::path::PathBuf;

use serde_json::json;

use crate::harness::{Node, ONE_WORKER, Place, Request};

fn with_secret(place: &Place) -> PathBuf {
    let manifest = format!("{ONE_WORKER}[workers.web.bindings]\nTOKEN = {{ secret = \"token\" }}\n");
    let source = "export default { fetch: (_: Request, env: { TOKEN: string }) => new Response(env.TOKEN.split(\"\").reverse().join(\"\")) };\n";
    place.project("project", &[("selvedge.toml", &manifest), ("src/index.ts", source)])
}

#[test]
fn a_secret_reaches_the_worker_and_nobody_else() {
    let place = Place::new();
    let project = with_secret(&place);
    // The app must be there before it can have a secret.
    let deployed = place.deploy(&project);
    assert!(deployed.stderr.contains("token has no value yet"), "{}", deployed.stderr);
    deployed.expect_success();

    let node = place.serve();
    let request = Request::get("/").at_app("app");
    let refused = node.send(&request).expect_problem(500, "secret_missing");
    assert!(refused.get("detail").is_none(), "a client learns nothing about secrets: {refused}");

    let put = |value: &str| place.on_data_with(&["secret", "put", "app", "token"], value.as_bytes());
    let said = put("opensesame").expect_success();
    assert_eq!(said, "app: token is set, version 1\n");
    node.until(&request, |answer| answer.text() == "emasesnepo");
    put("swordfish\n").expect_success();
    node.until(&request, |answer| answer.text() == "hsifdrows");

    let list = place.on_data(&["secret", "list", "app"]).expect_success();
    assert!(list.starts_with("token ") && list.contains("version 2"), "{list}");
    let list_json = place.on_data(&["secret", "list", "app", "--json"]).expect_success();
    place.on_data(&["secret", "delete", "app", "token"]).expect_success();
    node.until(&request, |answer| answer.status == 500);
    let everything = [list, list_json, node.stderr(), node.log()].concat();
    for value in ["opensesame", "swordfish"] {
        assert!(!everything.contains(value), "{value} is told: {everything}");
    }
}

#[test]
fn a_secret_outlives_the_node_and_lies_nowhere_in_clear() {
    let place = Place::new();
    let project = with_secret(&place);
    place.deploy(&project).expect_success();
    place.on_data_with(&["secret", "put", "app", "token"], b"opensesame").expect_success();
    let node = place.serve();
    assert_eq!(node.send(&Request::get("/").at_app("app")).expect(200).text(), "emasesnepo");
    node.stop();
    for name in ["data", "data.keys"] {
        visit(&place.path(name), &mut |file, content| {
            let found = content.windows(10).any(|window| window == b"opensesame");
            assert!(!found, "{} holds the secret", file.display());
        });
    }
}

fn visit(path: &std::path::Path, each: &mut impl FnMut(&std::path::Path, &[u8])) {
    for entry in std::fs::read_dir(path).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            visit(&path, each);
        } else if path.is_file() && path.extension().is_none_or(|extension| extension != "code") {
            each(&path, &std::fs::read(&path).expect("a file"));
        }
    }
}

#[test]
fn a_rotated_secret_overlaps_and_an_environment_has_its_own() {
    let place = Place::new();
    let manifest = format!(
        "{ONE_WORKER}[workers.web.bindings]\nKEY = {{ secret = \"key\" }}\nOLD = {{ secret = \"key\", previous = true }}\n\
         [env.staging]\n[env.staging.workers.web]\nvars = {{ STAGE = \"staging\" }}\n"
    );
    let source = "export default { fetch: (_: Request, env: any) => new Response(`${env.KEY} ${env.OLD}`) };\n";
    let project = place.project("project", &[("selvedge.toml", &manifest), ("src/index.ts", source)]);
    place.on_data_with(&["secret", "put", "app", "key"], b"one").expect_success();
    place.deploy(&project).expect_success();
    let node = place.serve();
    let request = Request::get("/").at_app("app");
    assert_eq!(node.send(&request).expect(200).text(), "one undefined");
    place.on_data_with(&["secret", "put", "app", "key", "--overlap", "2"], b"two").expect_success();
    node.until(&request, |answer| answer.text() == "two one");
    let versions = place.on_data(&["secret", "versions", "app", "key"]).expect_success();
    assert!(versions.contains("current") && versions.contains("previous until 20"), "{versions}");
    node.until(&request, |answer| answer.text() == "two undefined");
    assert_eq!(
        place.on_data(&["secret", "rollback", "app", "key", "1"]).expect_success(),
        "app: key is what version 1 was, version 3\n"
    );
    node.until(&request, |answer| answer.text() == "one undefined");
    let unknown = place.on_data(&["secret", "rollback", "app", "key", "9"]).expect_failure();
    assert!(unknown.contains("has no version 9"), "{unknown}");

    place.on_data_with(&["secret", "put", "app", "key", "--env", "staging"], b"for staging").expect_success();
    let said = place.on_data(&["deploy", &project.display().to_string(), "--env", "staging"]);
    said.expect_success();
    node.until(&request, |answer| answer.text() == "for staging undefined");
    let list = place.on_data(&["secret", "list", "app"]).expect_success();
    assert!(list.contains("key (staging)"), "{list}");
    place.on_data(&["secret", "delete", "app", "key", "--env", "staging"]).expect_success();
    node.until(&request, |answer| answer.text() == "one undefined");
}

#[test]
fn an_empty_secret_is_refused_with_the_way_to_set_one() {
    let place = Place::new();
    let said = place.on_data(&["secret", "put", "app", "token"]).expect_failure();
    assert!(said.contains("the value is empty; pass it on standard input"), "{said}");
}

#[test]
fn kv_is_read_and_written_from_the_command_line_of_a_stopped_node_and_of_a_running_one() {
    let place = Place::new();
    let manifest = format!("{ONE_WORKER}[workers.web.bindings]\nNOTES = {{ kv = \"notes\" }}\n");
    let source = "export default { async fetch(r: Request, env: any) { const key = new URL(r.url).pathname.slice(1); if (r.method === \"PUT\") await env.NOTES.put(key, await r.text()); return new Response(await env.NOTES.get(key) ?? \"nothing\"); } };\n";
    let project = place.project("project", &[("selvedge.toml", &manifest), ("src/index.ts", source)]);
    place.deploy(&project).expect_success();
    let round = || {
        let stored = place.on_data(&["kv", "put", "app", "notes", "greeting", "hello there"]).expect_success();
        assert!(stored.starts_with("stored 11 bytes, revision "), "{stored}");
        assert_eq!(place.on_data(&["kv", "get", "app", "notes", "greeting"]).expect_success(), "hello there");
        let bytes = [0xff, 0x00, b'\n'];
        place.on_data_with(&["kv", "put", "app", "notes", "a/b c", "--metadata", "{\"n\":1}"], &bytes).expect_success();
        let entry = place.on_data(&["kv", "get", "app", "notes", "a/b c", "--json"]).json();
        assert_eq!(
            entry["metadata"]
                .as_str()
                .map_or(entry["metadata"].clone(), |t| serde_json::from_str(t).unwrap_or_default()),
            json!({ "n": 1 }),
            "{entry}"
        );
        assert_eq!(place.on_data(&["kv", "list", "app", "notes"]).expect_success(), "a/b c\ngreeting\n");
        assert_eq!(place.on_data(&["kv", "list", "app", "notes", "--prefix", "g"]).expect_success(), "greeting\n");
        let page = place.on_data(&["kv", "list", "app", "notes", "--limit", "1"]).expect_success();
        assert!(page.starts_with("a/b c\n(there are more: --cursor "), "{page}");
        assert_eq!(place.on_data(&["kv", "delete", "app", "notes", "a/b c"]).expect_success(), "deleted\n");
        let missing = place.on_data(&["kv", "get", "app", "notes", "a/b c"]).expect_failure();
        assert!(missing.contains("notes has no entry under \"a/b c\""), "{missing}");
    };
    round();
    let node = place.serve();
    assert_eq!(node.send(&Request::get("/greeting").at_app("app")).expect(200).text(), "hello there");
    round();
    node.send(&Request::put("/from-worker", "written").at_app("app")).expect(200);
    assert_eq!(place.on_data(&["kv", "get", "app", "notes", "from-worker"]).expect_success(), "written");
}

#[test]
fn an_acknowledged_write_survives_a_kill() {
    let place = Place::new();
    let manifest = format!("{ONE_WORKER}[workers.web.bindings]\nNOTES = {{ kv = \"notes\" }}\n");
    let source = "export default { async fetch(r: Request, env: any) { await env.NOTES.put(new URL(r.url).pathname.slice(1), \"kept\"); return new Response(\"stored\"); } };\n";
    let project = place.project("project", &[("selvedge.toml", &manifest), ("src/index.ts", source)]);
    let node = place.serve_project(&project);
    for n in 0..20 {
        assert_eq!(node.send(&Request::get(&format!("/key-{n:02}")).at_app("app")).expect(200).text(), "stored");
    }
    drop(node); // SIGKILL
    let list = place.on_data(&["kv", "list", "app", "notes"]).expect_success();
    assert_eq!(list.lines().count(), 20, "{list}");
}

#[test]
fn a_binary_value_passes_through_the_command_line_unchanged() {
    let place = Place::new();
    place.deploy(&place.worker("export default { fetch: () => new Response() };\n")).expect_success();
    let text = "ä\u{1F980}\n\n".repeat(30_000);
    place.on_data_with(&["kv", "put", "app", "notes", "large"], text.as_bytes()).expect_success();
    assert_eq!(place.on_data(&["kv", "get", "app", "notes", "large"]).expect_success(), text);
}

#[test]
fn a_worker_calls_another_and_one_that_calls_itself_is_stopped() {
    let place = Place::new();
    let manifest = "name = \"app\"\n[workers.web]\nentry = \"web.ts\"\n[workers.web.bindings]\nNEXT = { worker = \"back\" }\nSELF = { worker = \"web\" }\n\
                    [workers.back]\nentry = \"back.ts\"\n[[routes]]\nmatch = \"/*\"\nworker = \"web\"\n";
    let web = "export default { async fetch(r: Request, env: any) { const self = new URL(r.url).pathname === \"/self\"; return (self ? env.SELF : env.NEXT).fetch(r); } };\n";
    let back = "export default { async fetch(r: Request) { return new Response(`back got ${r.method} ${new URL(r.url).pathname} ${await r.text()}`, { status: 202 }); } };\n";
    let node = place.dev(&place.project("project", &[("selvedge.toml", manifest), ("web.ts", web), ("back.ts", back)]));

    let answer = node.send(&Request::post("/path", "a body")).expect(202);
    assert_eq!(answer.text(), "back got POST /path a body");
    let stopped = node.get("/self");
    assert!((500..=508).contains(&stopped.status), "{}", stopped.status);
    assert!(stopped.text().contains("limits.nesting allows 16"), "{}", stopped.text());
    // The node is none the worse for it.
    node.send(&Request::post("/path", "again")).expect(202);
}

#[test]
fn isolation_decides_whether_a_request_meets_what_another_left() {
    let place = Place::new();
    let source = "let count = 0;\nexport default { fetch: () => new Response(String(++count)) };\n";
    let counts = |name: &str, isolation: &str| -> Vec<String> {
        let manifest = format!("{ONE_WORKER}isolation = \"{isolation}\"\n");
        let project = place.project(name, &[("selvedge.toml", &manifest), ("src/index.ts", source)]);
        let mut command = place.command(["dev"]);
        let node = Node::start(command.arg(project).args(["--cores", "1"]), &place.data());
        let counts = (0..4).map(|_| node.get("/").expect(200).text()).collect();
        node.stop();
        counts
    };
    assert_eq!(counts("shared", "shared"), ["1", "2", "3", "4"]);
    assert_eq!(counts("fresh", "request"), ["1", "1", "1", "1"]);
}
