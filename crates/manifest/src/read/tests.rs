use std::path::{Path, PathBuf};

use super::*;
use crate::limits_table;
use crate::plan::{Grant, Isolation, NotFound, Var, WorkerIndex};
use crate::route::Target;
use crate::typescript_env;

/// Files of `golden/`, by name: `NAME.FORMAT`, where the format is the name of a manifest.
fn golden(folder: &str) -> Vec<(String, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(folder);
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let paths = entries.map(|e| e.expect("it can be listed").path());
    let named = paths.map(|p| (p.file_name().expect("a file").to_string_lossy().into_owned(), p));
    let mut files: Vec<_> = named.filter(|(name, _)| !name.ends_with(".dev.vars")).collect();
    files.sort();
    files
}

fn read_golden(name: &str, path: &Path) -> Result<Plan, Report> {
    let text = std::fs::read_to_string(path).expect("it is text");
    let (_, file_name) = name.split_once('.').expect("NAME.FORMAT");
    let format = format_of(file_name).expect("the name of a manifest");
    let dev_vars = std::fs::read_to_string(path.with_file_name(format!("{name}.dev.vars"))).ok();
    let dev_vars = dev_vars.as_deref().map(|text| Source { path: ".dev.vars", text });
    read(format, Source { path: file_name, text: &text }, &Options { env: None, dev_vars })
}

fn snapshot(folder: &str, name: &str, text: &str) {
    let path = format!("../../golden/{folder}/snapshots");
    insta::with_settings!({ snapshot_path => path, prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name.to_owned(), text);
    });
}

#[test]
fn bad_manifests_get_the_report_on_record() {
    let files = golden("bad").into_iter().filter(|(_, path)| path.is_file());
    for (name, path) in files {
        let report = read_golden(&name, &path).expect_err(&name);
        let text = report.render(false);
        assert!(!text.contains("hunter2"), "{name} prints a secret");
        snapshot("bad", &name, &text);
    }
}

#[test]
fn good_manifests_compile_to_the_plan_on_record() {
    let files = golden("good").into_iter().filter(|(_, path)| path.is_file());
    for (name, path) in files {
        let plan = read_golden(&name, &path).unwrap_or_else(|report| panic!("{name}: {}", report.render(false)));
        let json = serde_json::to_string_pretty(&plan).expect("a plan serialises");
        let back: Plan = serde_json::from_str(&json).expect("a plan reads back");
        assert_eq!(plan, back, "{name}");
        let types = typescript_env(&plan);
        // The declarations of what the platform gives are on record once, in `typescript/tests.rs`.
        let own = types.split("\ninterface KVNamespace<").next().unwrap_or_default();
        snapshot("good", &name, &format!("{json}\n\n{own}"));
    }
}

fn selvedge(text: &str) -> Result<Plan, Report> {
    read_selvedge(Source { path: "selvedge.toml", text }, &Options::default())
}

fn selvedge_env(text: &str, env: &str) -> Result<Plan, Report> {
    read_selvedge(Source { path: "selvedge.toml", text }, &Options { env: Some(env), dev_vars: None })
}

fn wrangler_env(text: &str, env: &str) -> Plan {
    let options = Options { env: Some(env), dev_vars: None };
    read_wrangler_toml(Source { path: "wrangler.toml", text }, &options)
        .unwrap_or_else(|r| panic!("{}", r.render(false)))
}

fn codes(result: Result<Plan, Report>) -> Vec<&'static str> {
    result.expect_err("it is wrong").problems.iter().map(|p| p.code).collect()
}

fn name(text: &str) -> base::BindingName {
    base::BindingName::parse(text).expect("a name")
}

#[test]
fn one_worker_without_routes_answers_everywhere() {
    let plan = selvedge("name = \"a\"\nworkers.web.entry = \"a.js\"").expect("valid");
    let found = plan.routes.find("anything.example", "/any/path").expect("a route");
    assert_eq!(found.route.target, Target::Worker(WorkerIndex(0)));
    assert!(plan.hosts.is_empty());
    assert_eq!(plan.default_host(), "a.localhost");
}

#[test]
fn a_component_gets_an_instance_for_each_request() {
    let plan = selvedge("name = \"a\"\nworkers.web.entry = \"a.wasm\"").expect("valid");
    assert_eq!(plan.workers[0].isolation, Isolation::Request);
}

#[test]
fn an_overlay_merges_tables_and_replaces_the_rest() {
    let text = r#"
        name = "shop"
        [workers.web]
        entry = "web.ts"
        egress = ["public", "10.0.0.1:80"]
        limits = { cpu_ms = 5, memory_mib = 64 }
        vars = { A = "base", B = { deep = 1 } }
        bindings = { KV = { kv = "base" } }
        [env.staging]
        name = "shop-staging"
        [env.staging.workers.web]
        egress = []
        limits = { cpu_ms = 7 }
        vars = { B = { other = 2 }, C = "new" }
        bindings = { KV = { secret = "not-kv" } }
    "#;
    let base = selvedge(text).expect("valid");
    assert_eq!((base.app.as_str(), base.env_name.as_deref()), ("shop", None));
    let plan = selvedge_env(text, "staging").expect("valid");
    let web = &plan.workers[0];
    assert_eq!((plan.app.as_str(), plan.env_name.as_deref()), ("shop-staging", Some("staging")));
    assert_eq!((web.limits.cpu_ms, web.limits.memory_mib), (7, 64));
    assert!(web.egress.is_empty());
    assert_eq!(web.vars[&name("A")], Var::Text("base".to_owned()));
    assert_eq!(web.vars[&name("B")], Var::Json(serde_json::json!({ "other": 2 })));
    assert!(web.vars.contains_key(&name("C")));
    assert!(matches!(web.bindings[0].grant, Grant::Secret { .. }));
}

#[test]
fn an_unknown_environment_is_named_with_the_nearest() {
    let text = "name = \"a\"\nworkers.web.entry = \"a.js\"\nenv.staging.name = \"b\"";
    let report = selvedge_env(text, "stagin").expect_err("unknown");
    assert_eq!(report.problems[0].code, code::UNKNOWN_ENV);
    assert_eq!(report.problems[0].help.as_deref(), Some("did you mean `staging`?"));
    let none = selvedge_env("name = \"a\"\nworkers.web.entry = \"a.js\"", "x").expect_err("unknown");
    assert!(none.problems[0].help.as_ref().is_some_and(|h| h.contains("[env.x]")));
}

#[test]
fn a_fault_that_base_and_overlays_share_is_told_once() {
    let text = "name = \"a\"\nworkers.web.entri = \"a.js\"\nenv.b.name = \"b\"\nenv.c.name = \"c\"";
    assert_eq!(codes(selvedge(text)), [code::MISSING_FIELD, code::UNKNOWN_FIELD]);
}

#[test]
fn dev_vars_stand_over_variables_and_in_for_secrets() {
    let text = r#"
        name = "a"
        [workers.web]
        entry = "a.js"
        vars = { MODE = "production" }
        bindings = { KEY = { secret = "key" }, KV = { kv = "kv" } }
    "#;
    let dev_vars = Some(Source { path: ".dev.vars", text: "MODE=dev\nKEY='hunter2'\nNEW=1\n" });
    let source = Source { path: "selvedge.toml", text };
    let plan = read_selvedge(source, &Options { env: None, dev_vars }).expect("valid");
    let web = &plan.workers[0];
    let dev = |text: &str| Var::Dev(base::Secret::new(text.to_owned()));
    assert_eq!(web.vars[&name("MODE")], dev("dev"));
    assert_eq!(web.vars[&name("KEY")], dev("hunter2"));
    assert_eq!(web.vars[&name("NEW")], dev("1"));
    assert_eq!(web.bindings.len(), 1, "the secret's binding has given way");
    let json = serde_json::to_string(&plan).expect("a plan serialises");
    assert!(!json.contains("hunter2") && !format!("{plan:?}").contains("hunter2"));
    assert!(serde_json::from_str::<Plan>(&json).is_err(), "a plan for development is not for keeps");
}

#[test]
fn a_plan_that_points_nowhere_does_not_read_back() {
    let plan = selvedge("name = \"a\"\nworkers.web.entry = \"a.js\"").expect("valid");
    let json = serde_json::to_string(&plan).expect("a plan serialises");
    let elsewhere = json.replace("\"target\":{\"worker\":0}", "\"target\":{\"worker\":1}");
    assert_ne!(json, elsewhere);
    assert!(serde_json::from_str::<Plan>(&elsewhere).is_err());
    let unbounded = json.replace("\"memory_mib\":128", "\"memory_mib\":99999999");
    assert!(serde_json::from_str::<Plan>(&unbounded).is_err());
}

#[test]
fn the_plan_knows_where_its_paths_and_limits_stand() {
    let text = "name = \"a\"\n[workers.web]\nentry = \"./src/a.js\"\nlimits.cpu_ms = 9\n\
                [[routes]]\nmatch = \"/*\"\nassets = \"public/\"\n";
    let plan = selvedge(text).expect("valid");
    let paths: Vec<_> = plan.origins.paths.iter().map(|p| (p.path.as_str(), p.place.to_string())).collect();
    assert_eq!(paths, [("public", "selvedge.toml:7".to_owned()), ("src/a.js", "selvedge.toml:3".to_owned())]);
    let report = Report::from(crate::Diagnostic::missing_path(&plan.origins.paths[1])).render(false);
    assert!(report.contains("the entry file of worker `web` does not exist: src/a.js"), "{report}");
    assert!(report.contains("selvedge.toml:3:9"), "{report}");
    let lines = limits_table(&plan);
    let cpu = lines.iter().find(|l| l.name == "cpu_ms").expect("a row");
    assert_eq!((cpu.value, cpu.default, cpu.set_at.as_str()), (9, 1_000, "selvedge.toml:4"));
    let memory = lines.iter().find(|l| l.name == "memory_mib").expect("a row");
    assert_eq!(memory.set_at, "default");
}

#[test]
fn one_directory_is_one_index_unless_it_answers_differently() {
    let text = r#"
        name = "a"
        [workers.web]
        entry = "a.js"
        bindings = { FILES = { assets = "./public" }, OTHER = { assets = "other" } }
        [[routes]]
        match = "/a/*"
        assets = "public"
        not_found = "single-page"
        [[routes]]
        match = "/b/*"
        assets = "public/"
        not_found = "single-page"
        [[routes]]
        match = "/c/*"
        assets = "public"
    "#;
    let plan = selvedge(text).expect("valid");
    let all: Vec<_> = plan.assets.iter().map(|a| (a.directory.as_str(), a.not_found)).collect();
    let expected = [("public", NotFound::SinglePage), ("public", NotFound::None), ("other", NotFound::None)];
    assert_eq!(all, expected);
}

#[test]
fn wrangler_environments_inherit_by_wranglers_rules() {
    let text = r#"
        name = "shop"
        main = "a.js"
        routes = ["shop.example.com/*"]
        vars = { A = "base" }
        limits = { cpu_ms = 7 }
        kv_namespaces = [{ binding = "KV", id = "abc" }]
        [env.staging]
        route = "staging.example.com/*"
        vars = { B = "staging" }
        [env.named]
        name = "other"
    "#;
    let plan = wrangler_env(text, "staging");
    assert_eq!(plan.app.as_str(), "shop-staging");
    assert_eq!(plan.hosts.iter().map(String::as_str).collect::<Vec<_>>(), ["staging.example.com"]);
    let worker = &plan.workers[0];
    assert_eq!(worker.vars.keys().map(|k| k.as_str()).collect::<Vec<_>>(), ["B"]);
    assert!(worker.bindings.is_empty());
    assert_eq!(worker.limits.cpu_ms, 7);
    assert_eq!(wrangler_env(text, "named").app.as_str(), "other");
}

#[test]
fn the_default_host_of_a_wrangler_project_gets_every_path() {
    let text = "name = \"shop\"\nmain = \"a.js\"\nroute = \"example.com/api/*\"\n[env.x]\n";
    let plan = wrangler_env(text, "x");
    assert!(plan.routes.find("example.com", "/").is_none());
    assert!(plan.routes.find("shop-x.localhost", "/").is_some());
    assert_eq!(plan.hosts.len(), 1, "the default host is every app's");
}

#[test]
fn what_an_unused_wrangler_environment_needs_is_no_error() {
    let text = "name = \"a\"\nmain = \"a.js\"\n[env.live]\nvectorize = [{ binding = \"B\" }]\n[env.test]\n";
    let read = |env| read_wrangler_toml(Source { path: "wrangler.toml", text }, &Options { env, dev_vars: None });
    assert!(read(None).is_ok());
    assert!(read(Some("test")).is_ok());
    assert_eq!(codes(read(Some("live"))), [code::NOT_SUPPORTED]);
}

#[test]
fn run_worker_first_decides_who_is_asked_first() {
    let base = "name = \"a\"\nmain = \"a.js\"\nassets = { directory = \"d\", run_worker_first = FIRST }\n";
    let target = |first: &str, path: &str| {
        let text = base.replace("FIRST", first);
        let source = Source { path: "wrangler.toml", text: &text };
        let plan = read_wrangler_toml(source, &Options::default()).expect("valid");
        plan.routes.find("a.localhost", path).map(|m| matches!(m.route.target, Target::Worker(_)))
    };
    assert_eq!(target("true", "/"), Some(true));
    assert_eq!(target("false", "/"), Some(false));
    let list = r#"["/api/*", "!/api/docs/*", "/api/docs/x"]"#;
    assert_eq!(target(list, "/api/users"), Some(true));
    assert_eq!(target(list, "/api/docs/a"), Some(false));
    assert_eq!(target(list, "/api/docs/x"), Some(false), "an exception wins");
    assert_eq!(target(list, "/"), Some(false));
    assert_eq!(target(r#"["/*", "!/files/*"]"#, "/x"), Some(true));
}

#[test]
fn what_is_too_large_or_too_many_is_refused_by_name() {
    let big = format!("name = \"a\"\n# {}", "x".repeat(1 << 20));
    let report = selvedge(&big).expect_err("too large");
    assert!(report.render(false).contains("manifest_bytes"));
    let routes: String = (0..4_097).map(|i| format!("[[routes]]\nmatch = \"/{i}\"\nworker = \"web\"\n")).collect();
    let text = format!("name = \"a\"\nworkers.web.entry = \"a.js\"\n{routes}");
    assert_eq!(codes(selvedge(&text)), [code::TOO_MANY]);
    let workers: String = (0..257).map(|i| format!("workers.w{i}.entry = \"a.js\"\n")).collect();
    assert_eq!(codes(selvedge(&format!("name = \"a\"\n{workers}"))), [code::TOO_MANY]);
    let var = format!("name = \"a\"\n[workers.web]\nentry = \"a.js\"\nvars.A = \"{}\"", "x".repeat(65_537));
    assert_eq!(codes(selvedge(&var)), [code::TOO_LARGE]);
}

#[test]
fn a_spin_manifest_is_named() {
    let format = format_of("spin.toml").expect("known");
    let report = read(format, Source { path: "spin.toml", text: "" }, &Options::default()).expect_err("not yet");
    assert_eq!(report.problems[0].code, code::NOT_SUPPORTED);
    assert!(FILE_NAMES.iter().all(|name| format_of(name).is_some()));
    assert_eq!(format_of("package.json"), None);
}

mod nonsense {
    use proptest::prelude::*;

    use super::*;

    /// Whatever the text, a reader answers, and its report can be shown.
    pub fn survives(text: &str) {
        let dev_vars = Some(Source { path: ".dev.vars", text });
        for format in [Format::Selvedge, Format::WranglerToml, Format::WranglerJson] {
            for options in [Options::default(), Options { env: Some("x"), dev_vars }] {
                if let Err(report) = read(format, Source { path: "f", text }, &options) {
                    assert!(!report.problems.is_empty());
                    report.render(true);
                    report.to_json();
                }
            }
        }
    }

    /// A good manifest with a piece of it replaced.
    fn damaged() -> impl Strategy<Value = String> {
        let texts: Vec<String> =
            golden("good").iter().filter_map(|(_, path)| std::fs::read_to_string(path).ok()).collect();
        let piece = prop_oneof![
            "\\PC{0,4}",
            prop::sample::select(vec![
                "[", "]]", "{", "}", "\"", "'", ",", "=", ".", "\n", "*", "/", "-1", "null", "é"
            ])
            .prop_map(str::to_owned),
        ];
        (prop::sample::select(texts), any::<prop::sample::Index>(), 0..12_usize, piece).prop_map(
            |(mut text, at, cut, piece)| {
                let start = text.floor_char_boundary(at.index(text.len()));
                let end = text.ceil_char_boundary((start + cut).min(text.len()));
                text.replace_range(start..end, &piece);
                text
            },
        )
    }

    proptest! {
        #[test]
        fn no_text_makes_a_reader_panic(text in "\\PC{0,200}|[\\s\\S]{0,100}|[a-z={}\\[\\]\".\n ]{0,200}") {
            survives(&text);
        }

        #[test]
        fn no_damage_makes_a_reader_panic(text in damaged()) {
            survives(&text);
        }
    }
}

mod fuzz {
    use testkit::fuzz::Fuzz;

    use super::*;

    const WORDS: [&str; 44] = [
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "\"",
        "\"\"\"",
        "'",
        ",",
        "=",
        ".",
        "\n",
        "#",
        "//",
        "/*",
        "*/",
        "\\u",
        "null",
        "true",
        "1e9",
        "é",
        "\u{feff}",
        "\r",
        "name",
        "[workers.web]",
        "entry",
        "bindings",
        "kv",
        "routes",
        "match",
        "/*",
        "*.example.com/:id/*",
        "limits",
        "cpu_ms",
        "egress",
        "public",
        "assets",
        "upstreams",
        "env.x",
        "vars",
        "secrets",
        "isolation",
        "{ worker = \"a\" }",
    ];

    #[test]
    fn manifest() {
        let files = golden("good").into_iter().chain(golden("bad"));
        let seeds = files.filter_map(|(_, path)| std::fs::read(path).ok());
        Fuzz::new("manifest").seeds(seeds).words(&WORDS).run(|input| {
            let text = String::from_utf8_lossy(input);
            nonsense::survives(&text);
            let read = |format| read(format, Source { path: "f", text: &text }, &Options::default());
            [Format::Selvedge, Format::WranglerToml, Format::WranglerJson].map(|format| match read(format) {
                Ok(plan) => {
                    typescript_env(&plan);
                    limits_table(&plan);
                    vec![]
                }
                Err(report) => report.problems.iter().map(|problem| problem.code).collect(),
            })
        });
    }
}
