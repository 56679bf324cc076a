//! `deploy`, `serve`, `releases`, `rollback`, on a stopped node and on a running one.

use std::path::PathBuf;

use rustix::process::Signal;

use crate::harness::{Place, Request};

fn app(place: &Place, name: &str, text: &str) -> PathBuf {
    place.project(
        name,
        &[
            ("selvedge.toml", &format!("name = \"{name}\"\n[workers.web]\nentry = \"src/index.ts\"\n")),
            ("src/index.ts", &format!("export default {{ fetch: () => new Response(\"{text}\") }};\n")),
        ],
    )
}

fn greeting(name: &str) -> Request {
    Request::get("/").at_app(name)
}

#[test]
fn what_is_deployed_is_served_at_its_own_host() {
    let place = Place::new();
    let said = place.deploy(&app(&place, "shop", "first")).expect_success();
    assert!(said.starts_with("shop: deployment "), "{said}");
    assert!(said.contains("is released, as release 1") && said.contains("shop.localhost"), "{said}");

    let node = place.serve();
    assert!(node.stderr().contains("serving 1 apps"), "{}", node.stderr());
    assert_eq!(node.send(&greeting("shop")).expect(200).text(), "first");
    node.send(&greeting("other")).expect_problem(404, "no_app");
    // The host in the request's target counts, not the field (RFC 9112, section 3.2.2).
    let absolute = |host: &str, field: &str| {
        let bytes = format!("GET http://{host}/ HTTP/1.1\r\nhost: {field}\r\nconnection: close\r\n\r\n");
        node.raw(bytes.as_bytes()).expect("an answer").status
    };
    assert_eq!(absolute("shop.localhost", "other.localhost"), 200);
    assert_eq!(absolute("other.localhost", "shop.localhost"), 404);
}

#[test]
fn a_running_node_takes_deployments_and_rollbacks() {
    let place = Place::new();
    let node = place.serve();
    place.deploy(&app(&place, "shop", "first")).expect_success();
    node.until(&greeting("shop"), |answer| answer.text() == "first");
    place.deploy(&app(&place, "shop", "second")).expect_success();
    node.until(&greeting("shop"), |answer| answer.text() == "second");
    let again = place.deploy(&app(&place, "shop", "second")).expect_success();
    assert!(again.contains("was known already and is released, as release 2"), "{again}");

    let releases = place.on_data(&["releases", "shop", "--json"]).json();
    let current: Vec<_> = releases.as_array().expect("a list").iter().map(|r| r["current"].clone()).collect();
    assert_eq!(current, [true, false], "{releases}");

    let said = place.on_data(&["rollback", "shop"]).expect_success();
    assert!(said.contains("is released again, as release 3"), "{said}");
    node.until(&greeting("shop"), |answer| answer.text() == "first");
    let id = releases[0]["id"].as_str().expect("an id");
    place.on_data(&["rollback", "shop", id]).expect_success();
    node.until(&greeting("shop"), |answer| answer.text() == "second");
}

#[test]
fn a_restart_serves_the_last_release() {
    let place = Place::new();
    let node = place.serve();
    place.deploy(&app(&place, "shop", "first")).expect_success();
    place.deploy(&app(&place, "shop", "second")).expect_success();
    node.stop();
    let node = place.serve();
    assert_eq!(node.send(&greeting("shop")).expect(200).text(), "second");
    drop(node);
    // Nor does an end without a farewell lose it.
    place.on_data(&["rollback", "shop"]).expect_success();
    assert_eq!(place.serve().send(&greeting("shop")).expect(200).text(), "first");
}

#[test]
fn a_message_stands_in_the_list_of_releases() {
    let place = Place::new();
    let project = app(&place, "shop", "first").display().to_string();
    place.on_data(&["deploy", &project, "--message", "the first one"]).expect_success();
    let list = place.on_data(&["releases", "shop"]).expect_success();
    assert!(list.starts_with("*    1  ") && list.trim_end().ends_with("the first one"), "{list}");
}

#[test]
fn there_is_no_way_back_from_the_first_release() {
    let place = Place::new();
    let unknown = place.on_data(&["rollback", "shop"]).expect_failure();
    assert!(unknown.contains("(unknown_app)"), "{unknown}");
    place.deploy(&app(&place, "shop", "first")).expect_success();
    let first = place.on_data(&["rollback", "shop"]).expect_failure();
    assert!(first.contains("(no_previous_release)"), "{first}");
    let nothing = place.on_data(&["rollback", "shop", "0123456789ab"]).expect_failure();
    assert!(nothing.contains("(unknown_deployment)"), "{nothing}");
}

#[test]
fn a_host_is_claimed_once() {
    let place = Place::new();
    let claiming = |name: &str| {
        let manifest = format!(
            "name = \"{name}\"\n[workers.web]\nentry = \"index.js\"\n[[routes]]\nmatch = \"www.example.com/*\"\nworker = \"web\"\n"
        );
        let source = format!("export default {{ fetch: () => new Response(\"{name}\") }};\n");
        place.project(name, &[("selvedge.toml", &manifest), ("index.js", &source)])
    };
    place.deploy(&claiming("shop")).expect_success();
    let refused = place.deploy(&claiming("thief")).expect_failure();
    assert!(refused.contains("(host_claimed)"), "{refused}");
    assert!(refused.contains("www.example.com") && refused.contains("shop"), "{refused}");

    let node = place.serve();
    let at_host = Request::get("/").header("host", "www.example.com");
    assert_eq!(node.send(&at_host).expect(200).text(), "shop");
    let refused = place.deploy(&claiming("thief")).expect_failure();
    assert!(refused.contains("(host_claimed)"), "{refused}");
    assert_eq!(node.send(&at_host).expect(200).text(), "shop");
}

#[test]
fn files_are_deployed_with_the_app() {
    let place = Place::new();
    let manifest = "name = \"pages\"\n[[routes]]\nmatch = \"/*\"\nassets = \"public\"\nnot_found = \"404-page\"\n";
    let project = place.project(
        "pages",
        &[("selvedge.toml", manifest), ("public/index.html", "<p>home</p>"), ("public/404.html", "<p>lost</p>")],
    );
    let node = place.serve();
    place.deploy(&project).expect_success();
    std::fs::remove_dir_all(&project).expect("the sources are not needed any more");
    node.until(&greeting("pages"), |answer| answer.text() == "<p>home</p>");
    assert_eq!(node.send(&Request::get("/x").at_app("pages")).expect(404).text(), "<p>lost</p>");
}

/// A worker that cannot start is refused at the door, with the reason, and what was served stays.
#[track_caller]
fn refused_and_the_old_release_stays(source: &str, reasons: &[&str]) {
    let place = Place::new();
    let good = app(&place, "shop", "good");
    let node = place.serve_project(&good);
    crate::harness::write(&good.join("src/index.ts"), source);

    let running = place.deploy(&good).expect_failure();
    assert_eq!(node.send(&greeting("shop")).expect(200).text(), "good");
    node.stop();
    let stopped = place.deploy(&good).expect_failure();
    for reason in reasons {
        assert!(running.contains(reason), "{reason}: {running}");
        assert!(stopped.contains(reason), "{reason}: {stopped}");
    }
    let releases = place.on_data(&["releases", "shop", "--json"]).json();
    assert_eq!(releases.as_array().map(Vec::len), Some(1), "{releases}");
}

#[test]
fn a_throw_at_the_top_level_is_refused() {
    let source = "const limit: number = 1;\n\nthrow new RangeError(`over ${limit}`);\n";
    refused_and_the_old_release_stays(source, &["over 1", "src/index.ts:3:", "(start_failed)"]);
}

#[test]
fn an_endless_loop_at_the_top_level_is_refused() {
    refused_and_the_old_release_stays("for (;;) {}\n", &["start_cpu_ms"]);
}

#[test]
fn io_at_the_top_level_is_refused() {
    let source = "const page = await fetch(\"http://example.com\");\nexport default { fetch: () => page };\n";
    refused_and_the_old_release_stays(
        source,
        &["fetch() is not possible while modules are evaluated", "src/index.ts:1:"],
    );
}

#[test]
fn a_stopping_node_finishes_what_is_in_progress() {
    let place = Place::new();
    let source = "export default { async fetch() { console.log(\"begun\"); await new Promise((f) => setTimeout(f, 300)); return new Response(\"whole\"); } };\n";
    let mut node = place.serve_project(&place.worker(source));
    let address = node.address;
    let in_flight = Request::get("/").at_app("app");
    let answer = std::thread::scope(|scope| {
        let slow = scope.spawn(|| in_flight.send(address));
        // It is in progress once the node counts it.
        crate::harness::until("the request is in progress", || {
            let metrics = node.ask_admin(Request::get("/metrics")).expect(200).text();
            metrics
                .lines()
                .any(|line| line.starts_with("selvedge_connections_open") && !line.ends_with(" 0"))
                .then_some(())
        });
        node.signal(Signal::TERM);
        node.wait_for_stderr("stopping: finishing what is in progress");
        slow.join().expect("the caller")
    });
    assert_eq!(answer.expect("an answer").expect(200).text(), "whole");
    assert!(node.wait().success());
    assert!(in_flight.send(address).is_err(), "a stopped node takes no more");
}

#[test]
fn a_stopping_node_finishes_what_was_left_for_after_the_response() {
    let place = Place::new();
    let manifest = format!("{}[workers.web.bindings]\nNOTES = {{ kv = \"notes\" }}\n", crate::harness::ONE_WORKER);
    let source = "export default { fetch(_: Request, env: any, ctx: any) { ctx.waitUntil(new Promise((f) => setTimeout(f, 300)).then(() => env.NOTES.put(\"after\", \"done\"))); return new Response(\"at once\"); } };\n";
    let node =
        place.serve_project(&place.project("project", &[("selvedge.toml", &manifest), ("src/index.ts", source)]));
    assert_eq!(node.send(&greeting("app")).expect(200).text(), "at once");
    node.stop();
    assert_eq!(place.on_data(&["kv", "get", "app", "notes", "after"]).expect_success(), "done");
}

#[test]
fn an_environment_is_an_app_of_its_own_variables() {
    let place = Place::new();
    let manifest = format!(
        "{}vars = {{ WORD = \"production\" }}\n[env.staging.workers.web]\nvars = {{ WORD = \"staging\" }}\n",
        crate::harness::ONE_WORKER
    );
    let source = "export default { fetch: (_: Request, env: { WORD: string }) => new Response(env.WORD) };\n";
    let project = place.project("project", &[("selvedge.toml", &manifest), ("src/index.ts", source)]);
    let project = project.display().to_string();
    let node = place.serve();
    place.on_data(&["deploy", &project]).expect_success();
    node.until(&greeting("app"), |answer| answer.text() == "production");
    let deployed = place.on_data(&["deploy", &project, "--env", "staging", "--json"]).json();
    let app = deployed["app"].as_str().expect("its name");
    node.until(&greeting(app), |answer| answer.text() == "staging");
}

#[test]
fn a_node_that_is_told_its_limits_keeps_them() {
    let place = Place::new();
    crate::harness::write(&place.path("node.toml"), "[limits]\nkey_bytes = 8\n");
    let manifest = format!("{}[workers.web.bindings]\nKV = {{ kv = \"things\" }}\n", crate::harness::ONE_WORKER);
    let source = "export default { async fetch(_: Request, env: any) { try { await env.KV.put(\"123456789\", \"x\"); return new Response(\"stored\"); } catch (e: any) { return new Response(e.code); } } };\n";
    place.deploy(&place.project("project", &[("selvedge.toml", &manifest), ("src/index.ts", source)])).expect_success();
    let config = place.path("node.toml").display().to_string();
    let node = place.serve_with(&["--config", &config]);
    assert_eq!(node.send(&Request::get("/").at_app("app")).text(), "key_too_long");
}
