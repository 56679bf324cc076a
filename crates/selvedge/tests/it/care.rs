//! Backups of a running node, and a node that goes on from one.

use serde_json::json;

use crate::harness::{ONE_WORKER, Place, Request, until, write};

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

/// A node whose S3 endpoint has a bucket, and a configuration that copies the archive of another there.
fn bucket_of(place: &Place, other: &Place, node: &crate::harness::Node) -> String {
    let made = place.on_data(&["blob", "key", "create", "images", "--bucket", "images", "--json"]);
    let made = made.json();
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let (config, secret) = (other.path("node.toml"), other.path("s3.key"));
    write(&secret, &text(&made["secret"]));
    let archive = format!(
        "[archive]\nbucket = \"images\"\nendpoint = \"http://{}\"\nprefix = \"nodes/a\"\naccess_key = {}\nsecret_file = \"s3.key\"\n",
        node.s3(),
        made["key"]["id"]
    );
    write(&config, &format!("{archive}[limits]\narchive_copy_ms = 100\n"));
    config.display().to_string()
}

#[test]
fn a_data_directory_that_is_lost_comes_back_from_a_bucket_of_another_node() {
    let (keeper, place) = (Place::new(), Place::new());
    keeper.deploy(&keeper.recipe("images")).expect_success();
    let keeping = keeper.serve();
    let config = bucket_of(&keeper, &place, &keeping);
    let manifest = format!(
        "{ONE_WORKER}[workers.web.bindings]\nDB = {{ sql = \"main\" }}\nCOUNTER = {{ object = \"Counter\" }}\n"
    );
    let source = "export class Counter { constructor(ctx, env) { this.ctx = ctx; } async fetch() { const n = ((await this.ctx.storage.get(\"n\")) ?? 0) + 1; await this.ctx.storage.put(\"n\", n); return new Response(String(n)); } }\n\
        export default { async fetch(r, env) { await env.DB.exec(\"CREATE TABLE IF NOT EXISTS t (n)\"); await env.DB.prepare(\"INSERT INTO t VALUES (1)\").run(); const rows = await env.DB.prepare(\"SELECT count(*) AS n FROM t\").first(\"n\"); const object = env.COUNTER.get(env.COUNTER.idFromName(\"one\")); return Response.json([rows, Number(await (await object.fetch(\"http://x/\")).text())]); } };\n";
    let project = place.project("project", &[("selvedge.toml", &manifest), ("src/index.ts", source)]);
    place.deploy(&project).expect_success();
    let node = place.serve_with(&["--config", &config]);
    let counted = |node: &crate::harness::Node| node.send(&Request::get("/").at_app("app")).expect(200).json();
    assert_eq!(counted(&node), json!([1, 1]));
    let copied = || {
        let found = place.on_data(&["fsck", "--json"]).json();
        assert_eq!(found["damage"], json!([]), "{found}");
        (found["archive"]["behind_ms"] == 0 && found["archive"]["problem"].is_null()).then_some(())
    };
    until("the copy has everything", copied);
    assert_eq!(counted(&node), json!([2, 2]));
    until("the copy has everything", copied);
    let told = place.on_data(&["fsck"]).expect_success();
    assert!(told.contains("/images/nodes/a has everything"), "{told}");
    node.stop();

    let listed = place.run(&["recover", "--config", &config, "--list", "--json"]).json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(listed["items"][0]["databases"], 2);
    std::fs::rename(place.data(), place.path("lost")).expect("the data is lost");
    let told = place.on_data(&["recover", "--config", &config]).expect_success();
    assert!(told.contains("recovered 2 databases") && told.contains("are in backups alone"), "{told}");
    place.deploy(&project).expect_success();
    let node = place.serve_with(&["--config", &config]);
    assert_eq!(counted(&node), json!([3, 3]));

    // The bucket goes away: nobody waits for it, and the operator sees.
    keeping.stop();
    assert_eq!(counted(&node), json!([4, 4]));
    until("the problem is told", || {
        let found = place.on_data(&["fsck"]).expect_success();
        (found.contains("s behind") && found.contains("can't reach")).then_some(())
    });
    until("the failure is counted", || {
        let metrics = node.ask_admin(Request::get("/metrics")).expect(200).text();
        let failures = metrics.lines().find(|line| line.starts_with("selvedge_archive_copy_failures_total"))?;
        (!failures.ends_with(" 0")).then_some(())
    });
    node.stop();
}
