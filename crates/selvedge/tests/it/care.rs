//! Backups of a running node, and a node that goes on from one.

use crate::harness::{ONE_WORKER, Place, Request};

#[test]
fn a_mistyped_data_directory_is_told_and_not_made() {
    let place = Place::new();
    let typo = place.path("typo");
    let on_typo = |args: &[&str]| place.run(&[args, &["--data", &typo.display().to_string()]].concat());
    let backups = place.path("backups").display().to_string();
    place.on_data(&["backup", &backups]).expect_success();
    for args in [
        &["fsck"][..],
        &["backup", &backups, "--keep", "1"],
        &["usage", "app"],
        &["kv", "list", "app", "things"],
        &["kv", "put", "app", "things", "key"],
        &["sql", "query", "app", "main", "SELECT 1"],
        &["blob", "list", "app", "files"],
        &["secret", "list", "app"],
        &["config", "list", "app"],
        &["releases", "app"],
        &["rollback", "app"],
    ] {
        let refused = on_typo(args).expect_failure();
        assert!(refused.contains("there is no data directory at") && refused.contains("typo"), "{args:?}: {refused}");
    }
    assert!(!typo.exists() && !place.path("typo.keys").exists(), "nothing was made");
    let kept = place.run(&["backup", &backups, "--list", "--json"]).json();
    assert_eq!(kept["items"].as_array().map(Vec::len), Some(1), "no backup was removed");
    // What a node may begin with makes it.
    on_typo(&["config", "put", "app", "greeting", "hello"]).expect_success();
    assert_eq!(on_typo(&["config", "get", "app", "greeting"]).expect_success().trim(), "hello");
    let another = place.path("another").display().to_string();
    place.run(&["blob", "key", "create", "app", "--bucket", "files", "--data", &another]).expect_success();
}

#[test]
fn a_node_goes_on_from_a_backup_that_was_made_while_another_served() {
    let place = Place::new();
    let manifest = format!("{ONE_WORKER}[workers.web.bindings]\nNOTES = {{ kv = \"notes\" }}\n");
    let source = "export default { async fetch(r: Request, env: any) { if (r.method === \"PUT\") await env.NOTES.put(\"n\", await r.text()); return new Response(await env.NOTES.get(\"n\") ?? \"nothing\"); } };\n";
    let project = place.project("project", &[("selvedge.toml", &manifest), ("src/index.ts", source)]);
    let node = place.serve_project(&project);
    let put = |text: &str| node.send(&Request::put("/", text).at_app("app")).expect(200);
    put("before");
    let backups = place.path("backups").display().to_string();
    let told = place.on_data(&["backup", &backups]).expect_success();
    assert!(told.contains("restored to a temporary place, and sound"), "{told}");
    put("after");
    let second = place.on_data(&["backup", &backups, "--keep", "2", "--json"]).json();
    assert_eq!(second["verified"], true);
    let sound = place.on_data(&["fsck"]).expect_success();
    assert!(sound.contains("all of it is sound"), "{sound}");
    node.stop();

    let listed = place.run(&["backup", &backups, "--list", "--json"]).json();
    let first = listed["items"][0]["id"].to_string();
    let restored = |args: &[&str], lost: &str| {
        std::fs::rename(place.data(), place.path(lost)).expect("the data is lost");
        let told = place.on_data(&[&["restore", &backups], args].concat()).expect_success();
        assert!(told.contains("which is in no backup"), "{told}");
        let node = place.serve();
        let text = node.send(&Request::get("/").at_app("app")).expect(200).text();
        node.stop();
        text
    };
    assert_eq!(restored(&["--backup", &first], "lost"), "before");
    assert_eq!(restored(&[], "lost again"), "after");

    let refused = place.on_data(&["restore", &backups]).expect_failure();
    assert!(refused.contains("is not empty") && refused.contains("bad_backup"), "{refused}");
}
