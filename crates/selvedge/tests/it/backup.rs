//! `backup`, `restore` and `fsck`, beside a running node and without one.

use std::fs;

use crate::harness::{Place, Request};

const MANIFEST: &str = "
name = \"shop\"
[workers.web]
entry = \"src/index.ts\"
[workers.web.bindings]
STOCK = { kv = \"stock\" }
";

const WORKER: &str = "export default {
  async fetch(request, env) {
    const key = new URL(request.url).pathname.slice(1);
    if (request.method === 'PUT') await env.STOCK.put(key, await request.text());
    return new Response(await env.STOCK.get(key) ?? 'none');
  },
};
";

fn get(key: &str) -> Request {
    Request::get(&format!("/{key}")).at_app("shop")
}

fn put(key: &str, value: &str) -> Request {
    Request::put(&format!("/{key}"), value).at_app("shop")
}

#[test]
fn a_backup_of_a_running_node_serves_what_was_acknowledged() {
    let place = Place::new();
    place.deploy(&place.project("shop", &[("selvedge.toml", MANIFEST), ("src/index.ts", WORKER)])).expect_success();
    let backups = place.path("backups").display().to_string();
    let node = place.serve();
    node.send(&put("pears", "seven")).expect(200);
    let large = "x".repeat(100_000);
    node.send(&put("large", &large)).expect(200);
    let said = place.on_data(&["backup", &backups]).expect_success();
    assert!(said.contains("the node key is not in it"), "{said}");
    node.send(&put("pears", "six")).expect(200);
    let report = place.on_data(&["fsck", "--json"]).json();
    assert_eq!((&report["problems"], &report["values"]), (&serde_json::json!([]), &serde_json::json!(1)));
    drop(node);

    let refused = place.on_data(&["restore", &backups]).expect_failure();
    assert!(refused.contains("is not empty; restore into a new directory"), "{refused}");
    fs::rename(place.data(), place.path("before")).expect("moved away");
    let said = place.on_data(&["restore", &backups]).expect_success();
    assert!(said.contains("all sound"), "{said}");
    let node = place.serve();
    assert_eq!(node.send(&get("pears")).expect(200).text(), "seven");
    assert_eq!(node.send(&get("large")).expect(200).text(), large);
}

#[test]
fn a_check_of_a_damaged_directory_fails_and_names_the_file() {
    let place = Place::new();
    place.deploy(&place.project("shop", &[("selvedge.toml", MANIFEST), ("src/index.ts", WORKER)])).expect_success();
    place.on_data(&["fsck"]).expect_success();
    fs::write(place.data().join("artifacts/stray"), "no artifact").expect("written");
    let said = place.on_data(&["fsck"]).expect_failure();
    assert!(said.contains("one file is damaged"), "{said}");
    let nowhere = place.path("nowhere").display().to_string();
    let said = place.run(&["fsck", "--data", &nowhere]).expect_failure();
    assert!(said.contains("is no data directory"), "{said}");
}
