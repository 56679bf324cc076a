//! Configuration: values that change without a deployment.

use serde_json::{Value, json};

use crate::harness::{Node, Place, Request, until, write};

const MANIFEST: &str = r#"
name = "app"
[workers.web]
entry = "index.ts"
bindings.BANNER = { config = "banner" }
bindings.RATE = { config = "rate", default = "10" }
[[routes]]
match = "/*"
worker = "web"
[env.staging]
"#;

const SOURCE: &str = r#"
export default {
  fetch: (_: Request, env: any) => Response.json([env.BANNER ?? null, env.RATE, "BANNER" in env]),
};
"#;

fn project(place: &Place) -> std::path::PathBuf {
    let project = place.path("project");
    write(&project.join("selvedge.toml"), MANIFEST);
    write(&project.join("index.ts"), SOURCE);
    project
}

fn shown(node: &Node) -> Value {
    node.send(&Request::get("/").at_app("app")).expect(200).json()
}

fn becomes(node: &Node, what: Value) {
    until(&what.to_string(), || (shown(node) == what).then_some(()));
}

#[test]
fn a_value_changes_without_a_deployment_and_comes_back() {
    let place = Place::new();
    let node = place.serve_project(&project(&place));
    let config = |args: &[&str]| place.on_data(&[&["config"], args].concat());
    assert_eq!(shown(&node), json!([null, "10", false]), "nothing is set");
    config(&["put", "app", "banner", "hello"]).expect_success();
    becomes(&node, json!(["hello", "10", true]));
    place.on_data_with(&["config", "put", "app", "rate"], b"20\n").expect_success();
    becomes(&node, json!(["hello", "20", true]));
    config(&["put", "app", "banner", "bye"]).expect_success();
    becomes(&node, json!(["bye", "20", true]));
    assert_eq!(config(&["get", "app", "banner"]).expect_success(), "bye\n");
    let history = place.on_data(&["--json", "config", "history", "app", "banner"]).json();
    let first = history[1]["version"].to_string();
    assert_eq!((history.as_array().map(Vec::len), &history[0]["current"]), (Some(2), &json!(true)), "{history}");
    config(&["rollback", "app", "banner", &first]).expect_success();
    becomes(&node, json!(["hello", "20", true]));
    let listed = config(&["list", "app"]).expect_success();
    assert!(listed.contains("banner") && listed.contains("\"hello\""), "{listed}");
    assert_eq!(place.on_data(&["secret", "list", "app"]).expect_success(), "", "it is no secret");
    config(&["delete", "app", "banner"]).expect_success();
    becomes(&node, json!([null, "20", false]));
    node.stop();
    assert_eq!(shown(&place.serve()), json!([null, "20", false]), "it outlives the node");
}

#[test]
fn an_environment_has_values_of_its_own_and_a_plan_has_none() {
    let place = Place::new();
    let project = project(&place);
    let config = |args: &[&str]| place.on_data(&[&["config"], args].concat());
    config(&["put", "app", "banner", "everywhere"]).expect_success();
    config(&["put", "app", "rate", "7", "--env", "staging"]).expect_success();
    let staging = ["deploy", project.to_str().expect("a path"), "--env", "staging"];
    place.on_data(&staging).expect_success();
    let node = place.serve();
    assert_eq!(shown(&node), json!(["everywhere", "7", true]));
    place.deploy(&project).expect_success();
    becomes(&node, json!(["everywhere", "10", true]));
    let plan = place.run(&["check", project.to_str().expect("a path"), "--json"]).expect_success();
    assert!(plan.contains("\"config\": \"banner\"") && !plan.contains("everywhere"), "{plan}");
}

#[test]
fn what_is_no_value_is_refused() {
    let place = Place::new();
    let config = |args: &[&str]| place.on_data(&[&["config"], args].concat());
    assert!(config(&["put", "app", "x", ""]).expect_failure().contains("bad_config"));
    assert!(config(&["put", "app", "not a name", "v"]).expect_failure().contains("is no name"));
    let long = vec![b'x'; (64 << 10) + 1];
    assert!(place.on_data_with(&["config", "put", "app", "x"], &long).expect_failure().contains("bad_config"));
    assert!(place.on_data_with(&["config", "put", "app", "x"], b"\xff").expect_failure().contains("can't be read"));
    assert!(config(&["get", "app", "x"]).expect_failure().contains("has no value x"));
    assert!(config(&["rollback", "app", "x", "1"]).expect_failure().contains("unknown_version"));
    config(&["delete", "app", "x"]).expect_success();
    let node = place.serve_project(&project(&place));
    let put = |value: &[u8]| node.ask_admin(Request::put("/v1/apps/app/config/x", value));
    assert_eq!(put(b"\xff\xfe").json()["code"], "bad_config");
    assert_eq!(put(b"fine").json()["version"].as_u64().map(|version| version > 0), Some(true));
    assert_eq!(node.ask_admin(Request::get("/v1/apps/app/config/x")).json()["value"], "fine");
    assert_eq!(node.ask_admin(Request::get("/v1/apps/app/config/none")).json()["code"], "config_missing");
}
