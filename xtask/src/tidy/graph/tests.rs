use serde_json::json;

use super::*;

fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Value {
    let folder = if name == "xtask" { "xtask".to_owned() } else { format!("crates/{}", short(name)) };
    let dependencies: Vec<Value> = dependencies
        .iter()
        .map(|(dependency, kind)| {
            let ours = dependency.starts_with("selvedge-");
            json!({ "name": dependency, "kind": kind, "path": ours.then_some("/checkout/crates/any") })
        })
        .collect();
    json!({ "name": name, "manifest_path": format!("/checkout/{folder}/Cargo.toml"), "dependencies": dependencies })
}

fn findings(name: &str, dependencies: &[(&str, Option<&str>)]) -> Vec<String> {
    let metadata = json!({ "workspace_root": "/checkout", "packages": [package(name, dependencies)] });
    let crates = crates(&metadata).unwrap();
    let found = check_edges(&crates[0], LAYERS).into_iter().chain(check_heavy(&crates[0], HEAVY));
    found.map(|finding| finding.to_string()).collect()
}

#[track_caller]
fn check_one(name: &str, dependencies: &[(&str, Option<&str>)], expect: &str) {
    let found = findings(name, dependencies);
    assert!(found.len() == 1 && found[0].contains(expect), "expected one finding with {expect:?}, got {found:?}");
}

#[test]
fn the_table_describes_floors() {
    assert_eq!(check_table(LAYERS), []);
}

#[test]
fn an_upward_row_in_the_table_is_found() {
    let layers = [
        Layer { name: "low", floor: Floor::At(1), uses: &["high", "gone"] },
        Layer { name: "high", floor: Floor::At(2), uses: &["low"] },
    ];
    let found: Vec<String> = check_table(&layers).into_iter().map(|finding| finding.message).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("not on a lower floor") && found[1].contains("no row"), "{found:?}");
}

#[test]
fn named_edges_are_allowed() {
    assert_eq!(findings("selvedge-services-local", &[("selvedge-base", None), ("selvedge-services", None)]), [""; 0]);
    assert_eq!(findings("selvedge-engine", &[("wasmtime-wasi", None), ("selvedge-worker", None)]), [""; 0]);
}

#[test]
fn an_unnamed_downward_edge_names_the_paths_that_exist() {
    check_one("selvedge-engine", &[("selvedge-manifest", None)], "take a path that exists (base, worker, services");
}

#[test]
fn an_upward_or_sideward_edge_is_refused() {
    check_one("selvedge-services", &[("selvedge-worker", None)], "not on a lower floor");
    check_one("selvedge-dispatch", &[("selvedge-engine", None)], "not on a lower floor");
    check_one("selvedge-services", &[("selvedge-worker", Some("build"))], "not on a lower floor");
}

#[test]
fn tests_may_use_testkit_themselves_and_what_stands_beside_them() {
    let dev = Some("dev");
    let uses = [("selvedge-testkit", dev), ("selvedge-services", dev), ("selvedge-manifest", dev)];
    assert_eq!(findings("selvedge-services", &uses), [""; 0]);
    check_one("selvedge-services", &[("selvedge-worker", dev)], "from a higher floor");
    check_one("selvedge-services", &[("selvedge-testkit", None)], "make it a dev-dependency");
}

#[test]
fn a_crate_without_a_row_is_found() {
    check_one("selvedge-novelty", &[], "say on which floor");
}

#[test]
fn a_heavy_dependency_has_owners() {
    check_one("selvedge-worker", &[("wasmtime", None)], "only engine may");
    check_one("selvedge-worker", &[("wasmtime-environ", Some("dev"))], "only engine may");
    check_one("selvedge-edge", &[("hyper", None)], "only net, control-api may");
    assert_eq!(findings("selvedge-edge", &[("hyper", Some("dev"))]), [""; 0]);
    check_one("selvedge", &[("openssl-sys", None)], "does without");
}
