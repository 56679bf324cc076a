//! Bad input at the command line: what is wrong, where, and what to do about it.

use std::net::TcpListener;

use crate::harness::{ONE_WORKER, Place, write};

const HELLO: &str = "export default { fetch: () => new Response(\"hello\") };\n";

/// `selvedge check` refuses this project, and says all of this.
#[track_caller]
fn check_refuses(files: &[(&str, &str)], says: &[&str]) {
    let place = Place::new();
    let project = place.project("project", files).display().to_string();
    let said = place.run(&["check", &project]).expect_failure();
    for part in says {
        assert!(said.contains(part), "{part:?} is missing from:\n{said}");
    }
    let json = place.run(&["check", &project, "--json"]).expect_failure();
    let parsed: serde_json::Value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
    assert!(parsed.is_object() || parsed.is_array(), "{parsed}");
}

#[test]
fn a_typo_in_the_manifest_gets_its_place_and_the_nearest_right_name() {
    let manifest = "name = \"app\"\n[workers.web]\nentri = \"src/index.ts\"\n";
    check_refuses(
        &[("selvedge.toml", manifest), ("src/index.ts", HELLO)],
        &["selvedge.toml:3:", "entri", "did you mean", "entry"],
    );
}

#[test]
fn a_manifest_that_is_no_toml_gets_its_line() {
    check_refuses(&[("selvedge.toml", "name = \"app\"\n[workers.web\n")], &["selvedge.toml:2:"]);
}

#[test]
fn a_binding_to_nothing_is_refused() {
    let manifest = format!("{ONE_WORKER}[workers.web.bindings]\nSTORE = {{ worker = \"webb\" }}\n");
    check_refuses(&[("selvedge.toml", &manifest), ("src/index.ts", HELLO)], &["selvedge.toml:5:", "webb", "web"]);
}

#[test]
fn a_limit_out_of_range_is_refused_with_the_range() {
    let manifest = format!("{ONE_WORKER}limits = {{ memory_mib = 1 }}\n");
    check_refuses(
        &[("selvedge.toml", &manifest), ("src/index.ts", HELLO)],
        &["selvedge.toml:4:", "memory_mib", "4", "2048"],
    );
}

#[test]
fn an_entry_that_is_missing_is_named() {
    check_refuses(&[("selvedge.toml", ONE_WORKER)], &["src/index.ts", "selvedge.toml:3:"]);
}

#[test]
fn an_import_that_does_not_resolve_names_its_importer() {
    let source = "import { a } from \"./a.ts\";\nexport default { fetch: () => new Response(a) };\n";
    let a = "import { b } from \"./missing.ts\";\nexport const a = b;\n";
    check_refuses(
        &[("selvedge.toml", ONE_WORKER), ("src/index.ts", source), ("src/a.ts", a)],
        &["src/a.ts:1:", "./missing.ts"],
    );
}

#[test]
fn a_package_that_is_not_installed_is_named() {
    let source = "import { Hono } from \"hono\";\nexport default new Hono();\n";
    check_refuses(&[("selvedge.toml", ONE_WORKER), ("src/index.ts", source)], &["src/index.ts:1:", "hono"]);
}

#[test]
fn a_syntax_error_gets_its_line() {
    check_refuses(
        &[("selvedge.toml", ONE_WORKER), ("src/index.ts", "const a: number = 1;\nconst = 2;\n")],
        &["src/index.ts:2:", "const = 2;"],
    );
}

#[test]
fn a_wrangler_key_that_would_change_behaviour_is_refused_by_name() {
    let manifest = "{\n  \"name\": \"app\",\n  \"main\": \"index.js\",\n  \"queues\": { \"producers\": [{ \"binding\": \"Q\", \"queue\": \"q\" }] }\n}\n";
    check_refuses(&[("wrangler.jsonc", manifest), ("index.js", HELLO)], &["wrangler.jsonc:4:", "queues"]);
}

#[test]
fn a_directory_without_a_manifest_says_what_to_do() {
    check_refuses(&[("index.js", HELLO)], &["selvedge.toml", "selvedge init"]);
}

#[test]
fn what_is_no_component_is_refused() {
    let place = Place::new();
    let manifest = "name = \"app\"\n[workers.web]\nentry = \"component.wasm\"\n";
    let project = place.project("project", &[("selvedge.toml", manifest), ("component.wasm", "this is text")]);
    let said = place.deploy(&project).expect_failure();
    assert!(said.contains("component.wasm"), "{said}");
    // One that was cut off on its way.
    let recipe = place.recipe("component");
    let whole = std::fs::read(recipe.join("component.wasm")).expect("the component");
    std::fs::write(project.join("component.wasm"), &whole[..whole.len() / 2]).expect("half of it");
    place.deploy(&project).expect_failure();
    // A core module is wasm, and no component.
    std::fs::write(project.join("component.wasm"), b"\0asm\x01\0\0\0").expect("a module");
    let said = place.deploy(&project).expect_failure();
    assert!(said.contains("component"), "{said}");
}

#[test]
fn a_port_in_use_is_named_with_the_option_that_moves_it() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let listen = place.on_data(&["serve", "--listen", &address, "--admin", "127.0.0.1:0"]).expect_failure();
    assert!(listen.contains(&address) && listen.contains("--listen"), "{listen}");
    let admin = place.on_data(&["serve", "--admin", &address, "--listen", "127.0.0.1:0"]).expect_failure();
    assert!(admin.contains(&address) && admin.contains("--admin") && !admin.contains("--listen"), "{admin}");
}

#[test]
fn a_data_directory_that_is_in_use_says_by_whom() {
    let place = Place::new();
    let node = place.serve();
    let second = place.on_data(&["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]).expect_failure();
    let document = std::fs::read_to_string(place.data().join("admin.json")).expect("the address");
    let document: serde_json::Value = serde_json::from_str(&document).expect("JSON");
    assert!(second.contains(&format!("in use by process {}", document["pid"])), "{second}");
    assert!(second.contains(&place.data().display().to_string()), "{second}");
    // The one that runs is not disturbed.
    node.get("/").expect_problem(404, "no_app");
}

#[test]
fn a_data_directory_of_a_newer_format_is_left_alone() {
    let place = Place::new();
    write(&place.data().join("format"), "selvedge-data 99\n");
    for args in [&["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"][..], &["releases", "app"]] {
        let said = place.on_data(args).expect_failure();
        assert!(said.contains("written by a newer Selvedge (format 99, this one knows 1)"), "{said}");
    }
    assert_eq!(std::fs::read_to_string(place.data().join("format")).expect("the format"), "selvedge-data 99\n");
}

#[test]
fn a_directory_that_holds_something_else_is_no_data_directory() {
    let place = Place::new();
    write(&place.path("photos/cat.jpg"), "meow");
    let dir = place.path("photos").display().to_string();
    let said = place.run(&["releases", "app", "--data", &dir]).expect_failure();
    assert!(said.contains("holds \"cat.jpg\" and no Selvedge data"), "{said}");
}

#[test]
fn a_file_is_no_data_directory() {
    let place = Place::new();
    write(&place.path("file"), "text");
    let said = place.run(&["releases", "app", "--data", &place.path("file").display().to_string()]).expect_failure();
    assert!(said.contains("choose another --data"), "{said}");
}

#[test]
fn a_read_only_data_directory_says_what_to_do() {
    use std::os::unix::fs::PermissionsExt as _;

    let place = Place::new();
    let dir = place.path("frozen");
    std::fs::create_dir(&dir).expect("a directory");
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o500)).expect("read-only");
    if std::fs::write(dir.join("probe"), "").is_ok() {
        // The superuser may write everywhere, so there is nothing to see here.
        return;
    }
    let said = place.run(&["releases", "app", "--data", &dir.display().to_string()]).expect_failure();
    assert!(said.contains("this user may not write"), "{said}");
}

#[test]
fn a_configuration_with_a_mistake_is_refused() {
    let place = Place::new();
    let config = place.path("node.toml").display().to_string();
    let refused = |content: &str| {
        write(&place.path("node.toml"), content);
        let args = ["serve", "--config", &config, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        place.on_data(&args).expect_failure()
    };
    let unknown = refused("[limits]\nconections = 5\n");
    assert!(unknown.contains("conections") && unknown.contains("node.toml"), "{unknown}");
    let range = refused("[limits]\nconnections = 0\n");
    assert!(range.contains("limits.connections is 0; it must lie between 1 and 10000000"), "{range}");
}

#[test]
fn a_name_that_is_none_is_refused_before_anything_is_touched() {
    let place = Place::new();
    let nowhere = place.path("nowhere");
    let said =
        place.run(&["kv", "get", "No App", "notes", "k", "--data", &nowhere.display().to_string()]).expect_failure();
    assert!(said.contains("\"No App\" is no name of an app"), "{said}");
}

#[test]
fn an_error_is_one_json_object_where_json_is_asked_for() {
    let place = Place::new();
    let said = place.on_data(&["rollback", "nobody", "--json"]).expect_failure();
    let parsed: serde_json::Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert_eq!(parsed["code"], "unknown_app", "{parsed}");
}

#[test]
fn every_limit_is_listed() {
    let place = Place::new();
    let text = place.run(&["limits", &place.worker(HELLO).display().to_string()]).expect_success();
    for name in
        ["cpu_ms", "memory_mib", "subrequests", "concurrency", "nesting", "header_bytes", "drain_ms", "key_bytes"]
    {
        assert!(text.contains(name), "{name}: {text}");
    }
}
