//! `selvedge init`: every template runs at once.

use serde_json::json;

use crate::harness::{Node, Place, Request};

fn start(place: &Place, template: &str) -> Node {
    let said = place.run(&["init", "my-app", "--template", template]).expect_success();
    assert!(said.contains("selvedge dev my-app"), "{said}");
    let node = place.dev(&place.path("my-app"));
    assert!(node.stderr().contains("my-app is served on"), "{}", node.stderr());
    assert!(!node.stderr().contains("warning"), "{}", node.stderr());
    node
}

#[test]
fn the_typescript_api_runs_at_once() {
    let place = Place::new();
    let node = start(&place, "typescript-api");
    assert_eq!(node.get("/").expect(200).json(), json!({ "message": "Hello from my-app", "notes": "/notes" }));
    node.send(&Request::put("/notes/one", "text")).expect(204);
    assert_eq!(node.get("/notes/one").expect(200).json(), json!({ "name": "one", "text": "text" }));
    assert_eq!(node.get("/notes").expect(200).json()["names"], json!(["one"]));
    node.send(&Request::new("DELETE", "/notes/one")).expect(204);
    node.get("/notes/one").expect(404);
}

#[test]
fn the_site_runs_at_once() {
    let place = Place::new();
    let node = start(&place, "site");
    assert!(node.get("/").expect(200).text().contains("<html"));
    assert_eq!(node.get("/api/cheers").expect(200).json(), json!({ "cheers": 0 }));
    assert_eq!(node.send(&Request::post("/api/cheers", "")).expect(200).json(), json!({ "cheers": 1 }));
    assert_eq!(node.get("/api/cheers").expect(200).json(), json!({ "cheers": 1 }));
    node.get("/style.css").expect(200);
    assert!(node.get("/nothing").expect(404).text().contains("<html"));
}

#[test]
fn the_rust_component_runs_at_once() {
    let place = Place::new();
    let node = start(&place, "rust-component");
    assert_eq!(node.get("/").expect(200).text(), "Hello from a component.\n");
    let body = "many words ".repeat(10_000);
    assert_eq!(node.send(&Request::post("/upper", body.clone())).expect(200).text(), body.to_uppercase());
}

#[test]
fn init_overwrites_nothing() {
    let place = Place::new();
    place.run(&["init", "my-app"]).expect_success();
    let again = place.run(&["init", "my-app", "--template", "site"]).expect_failure();
    assert_eq!(again, "error: my-app is a project already: it has a selvedge.toml\n");
    crate::harness::write(&place.path("other/README.md"), "mine");
    let taken = place.run(&["init", "other"]).expect_failure();
    assert_eq!(taken, "error: other/README.md exists already; nothing was written\n");
    assert!(!place.path("other/selvedge.toml").exists());
}

#[test]
fn a_directory_whose_name_is_no_apps_name_asks_for_one() {
    let place = Place::new();
    let said = place.run(&["init", "Größe"]).expect_failure();
    assert!(said.contains("choose one with --name"), "{said}");
    place.run(&["init", "Größe", "--name", "size"]).expect_success();
    assert_eq!(place.run(&["check", "Größe", "--json"]).json()["app"], "size");
}

#[test]
fn the_declarations_that_init_writes_are_those_of_types() {
    let place = Place::new();
    place.run(&["init", "my-app"]).expect_success();
    let written = std::fs::read_to_string(place.path("my-app/env.d.ts")).expect("the file");
    assert_eq!(place.run(&["types", "my-app", "--tests"]).expect_success().trim(), written.trim());
    assert!(written.contains("NOTES: KVNamespace") && written.contains("GREETING: string"), "{written}");
}
