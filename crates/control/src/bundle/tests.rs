use tempfile::TempDir;

use super::*;

/// A directory with these files.
fn app(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (path, content) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().expect("it lies in the directory")).expect("a directory");
        fs::write(path, content).expect("a file");
    }
    dir
}

const SCRIPT: &[u8] =
    b"name = \"shop\"\n[workers.web]\nentry = \"src/index.ts\"\n[[routes]]\nmatch = \"/*\"\nworker = \"web\"\n";
const COMPONENT: &[u8] =
    b"name = \"shop\"\n[workers.web]\nentry = \"app.wasm\"\n[[routes]]\nmatch = \"/*\"\nworker = \"web\"\n";
const SITE: &[u8] = b"name = \"shop\"\n[[routes]]\nmatch = \"/*\"\nassets = \"public\"\n";
const INDEX: &[u8] = b"export default { fetch(): Response { return new Response('hi'); } };\n";

fn build(dir: &TempDir) -> Result<Bundle, BuildFailure> {
    build_app(dir.path(), &BuildOptions::default())
}

/// The only problem of a build.
fn problem(dir: &TempDir) -> FaultView {
    let mut views = build(dir).expect_err("the build has a problem").views();
    assert_eq!(views.len(), 1, "{views:#?}");
    views.remove(0)
}

fn inputs(dir: &TempDir, inputs: &[PathBuf]) -> Vec<String> {
    let root = fs::canonicalize(dir.path()).expect("it exists");
    let name = |path: &PathBuf| path.strip_prefix(&root).map(|p| p.display().to_string()).unwrap_or_default();
    inputs.iter().map(name).collect()
}

#[test]
fn a_script_with_assets_becomes_a_bundle() {
    let manifest = [SCRIPT, b"[[routes]]\nmatch = \"/files/*\"\nassets = \"public\"\n"].concat();
    let files: &[(&str, &[u8])] = &[
        ("selvedge.toml", &manifest),
        ("src/index.ts", INDEX),
        ("public/index.html", b"<h1>hi"),
        ("public/css/a b.css", b"p{}"),
        ("public/.well-known/security.txt", b"Contact:"),
        ("public/.git/config", b"secret"),
    ];
    let dir = app(files);
    let bundle = build(&dir).expect("a good app");
    let paths: Vec<_> = bundle.assets[0].iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["/.well-known/security.txt", "/css/a b.css", "/index.html"]);
    assert_eq!(bundle.assets[0][2].digest, Digest::of(b"<h1>hi"));
    assert_eq!(bundle.workers[0].digest, bundle.workers[0].artifact.digest());
    assert_eq!(bundle.warnings, [""; 0]);
    let watched = inputs(&dir, &bundle.inputs);
    assert_eq!(watched, ["public", "public/.well-known", "public/css", "selvedge.toml", "src/index.ts"]);
    let document = bundle.document().expect("a bundle has a document");
    let again = build(&app(files)).expect("the same app elsewhere").document().expect("a document");
    assert_eq!(document.encode(), again.encode(), "equal files give equal bytes, wherever they lie");
    let read = Document::parse(&document.encode()).expect("it was just written");
    assert_eq!(read.encode(), document.encode());
}

#[test]
fn no_manifest_says_what_was_looked_for() {
    let dir = app(&[("index.ts", INDEX)]);
    let found = problem(&dir);
    assert_eq!(found.code, code::NO_MANIFEST);
    assert!(
        found.message.ends_with(
            "holds no manifest; looked for selvedge.toml, wrangler.jsonc, wrangler.json, wrangler.toml, spin.toml"
        ),
        "{}",
        found.message
    );
    assert!(found.help.expect("a help").contains("selvedge init"));
    let failure = build(&dir).expect_err("no manifest");
    assert_eq!(failure.inputs.len(), manifest::FILE_NAMES.len(), "a manifest that is written mends it");

    let nowhere = build_app(&dir.path().join("nowhere"), &BuildOptions::default()).expect_err("no directory");
    assert!(nowhere.to_string().ends_with("nowhere is no directory"), "{nowhere}");
}

#[test]
fn the_first_of_two_manifests_is_read_and_the_other_named() {
    let dir = app(&[("selvedge.toml", SCRIPT), ("wrangler.toml", b"name = \"other\""), ("src/index.ts", INDEX)]);
    let bundle = build(&dir).expect("a good app");
    assert_eq!(bundle.plan.app.as_str(), "shop");
    assert_eq!(bundle.warnings, ["selvedge.toml is the manifest; wrangler.toml beside it is not read"]);
}

#[test]
fn a_manifest_that_is_not_valid_is_shown_with_its_place() {
    let found = problem(&app(&[
        ("selvedge.toml", b"name = \"shop\"\n[workers.web]\nentyr = \"a.ts\"\nentry = \"a.ts\"\n"),
        ("a.ts", INDEX),
    ]));
    assert_eq!((found.code.as_str(), found.line, found.column), ("manifest::unknown_field", Some(3), Some(1)));
    let marked = found.snippet.iter().find(|line| line.mark.is_some()).expect("a marked line");
    assert_eq!((marked.number, marked.text.as_str(), marked.mark), (3, "entyr = \"a.ts\"", Some((0, 5))));
    assert_eq!(found.snippet[0].text, "name = \"shop\"");

    let found = problem(&app(&[("selvedge.toml", b"name = \"\xff\"")]));
    assert_eq!(found.message, "selvedge.toml is not UTF-8, from its byte 8 on");
}

#[test]
fn a_missing_entry_is_shown_in_the_manifest() {
    let found = problem(&app(&[("selvedge.toml", SCRIPT)]));
    assert_eq!((found.code.as_str(), found.line), ("manifest::missing_file", Some(3)));
    assert_eq!(found.message, "the entry file of worker `web` does not exist: src/index.ts");
    let found = problem(&app(&[("selvedge.toml", SCRIPT), ("src/index.ts/x", b"")]));
    assert_eq!(found.message, "the entry of worker `web` is no file: src/index.ts");
}

#[test]
fn a_missing_asset_directory_is_shown_in_the_manifest() {
    let found = problem(&app(&[("selvedge.toml", SITE)]));
    assert_eq!((found.message.as_str(), found.line), ("the asset directory does not exist: public", Some(4)));
    let found = problem(&app(&[("selvedge.toml", SITE), ("public", b"a file")]));
    assert_eq!(found.message, "the asset directory is no directory: public");
}

#[test]
fn a_syntax_error_is_shown_in_the_source() {
    let dir = app(&[("selvedge.toml", SCRIPT), ("src/index.ts", b"const a = 1;\nconst b = ;\n")]);
    let found = problem(&dir);
    assert_eq!((found.code.as_str(), found.file.as_deref(), found.line), ("bad_script", Some("src/index.ts"), Some(2)));
    assert_eq!(found.worker.as_ref().map(base::WorkerName::as_str), Some("web"));
    let failure = build(&dir).expect_err("a syntax error");
    assert!(inputs(&dir, &failure.inputs).contains(&"src/index.ts".to_owned()));
    assert!(failure.render(false).contains("src/index.ts:2:"), "{}", failure.render(false));
    assert!(!failure.render(false).contains('\u{1b}') && failure.render(true).contains('\u{1b}'));
    assert_eq!(failure.to_json()["problems"][0]["line"], 2);
}

#[test]
fn independent_problems_are_found_in_one_go() {
    let manifest = [SCRIPT, b"[[routes]]\nmatch = \"/files/*\"\nassets = \"public\"\n[workers.api]\nentry = \"api.wasm\"\n[[routes]]\nmatch = \"/api/*\"\nworker = \"api\"\n"].concat();
    let dir = app(&[("selvedge.toml", &manifest), ("src/index.ts", b"let = ;"), ("api.wasm", b"hello")]);
    let failure = build(&dir).expect_err("three problems");
    let codes: std::collections::BTreeSet<_> = failure.views().into_iter().map(|view| view.code).collect();
    assert_eq!(codes.into_iter().collect::<Vec<_>>(), ["bad_component", "bad_script", "manifest::missing_file"]);
    assert!(failure.to_string().contains("more)"), "{failure}");
}

#[test]
fn only_a_whole_component_is_taken() {
    let check = |bytes: &[u8], expect: Result<(), &str>| {
        let dir = app(&[("selvedge.toml", COMPONENT), ("app.wasm", bytes)]);
        match expect {
            Ok(()) => assert!(build(&dir).is_ok(), "{bytes:x?}"),
            Err(expect) => {
                let found = problem(&dir);
                let message = format!("app.wasm, the entry of worker `web`, {expect}");
                assert_eq!((found.code.as_str(), found.message), ("bad_component", message), "{bytes:x?}");
                assert!(found.help.is_some());
            }
        }
    };
    let component = b"\0asm\x0d\0\x01\0";
    let with_section = [component, &b"\0\x03\x01x!"[..]].concat();
    check(component, Ok(()));
    check(&with_section, Ok(()));
    check(b"\0asm\x01\0\0\0", Err("is a core module, and not a component"));
    check(b"\0asm\x02\0\x03\0", Err("is WebAssembly of version 2 and layer 3, which this version does not know"));
    check(b"", Err("is not WebAssembly: it does not begin with \\0asm"));
    check(b"#!/bin/sh", Err("is not WebAssembly: it does not begin with \\0asm"));
    check(b"  (component)", Err("is WebAssembly as text; only its binary form is run"));
    for cut in [2, 6] {
        check(&component[..cut], Err("was cut off: it ends within the section that begins at byte 0"));
    }
    for cut in 9..with_section.len() {
        check(&with_section[..cut], Err("was cut off: it ends within the section that begins at byte 8"));
    }
    check(
        &[component, &b"\0\xff\xff\xff\xff\xff\x01"[..]].concat(),
        Err("was cut off: it ends within the section that begins at byte 8"),
    );
}

#[test]
fn what_is_not_meant_for_the_public_is_left_out() {
    let manifest = b"name = \"shop\"\n[workers.web]\nentry = \"public/_worker.js\"\n[[routes]]\nmatch = \"/api/*\"\nworker = \"web\"\n[[routes]]\nmatch = \"/*\"\nassets = \"public\"\n";
    let dir = app(&[
        ("selvedge.toml", manifest),
        ("public/_worker.js", b"export default { fetch() { return new Response('') } };"),
        ("public/.dev.vars", b"TOKEN=x"),
        ("public/node_modules/left-pad/index.js", b""),
        ("public/_headers", b"/*"),
        ("public/docs/_headers", b"a page of this name"),
        ("public/index.html", b"hi"),
    ]);
    let bundle = build(&dir).expect("a good app");
    let paths: Vec<_> = bundle.assets[0].iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["/_headers", "/docs/_headers", "/index.html"]);
    let named: Vec<_> = bundle.warnings.iter().map(|text| text.split(' ').next().unwrap_or_default()).collect();
    assert_eq!(named, ["public/_worker.js", "public/node_modules"]);
}

#[cfg(unix)]
#[test]
fn a_link_publishes_nothing_from_outside() {
    use std::os::unix::fs::symlink;
    let dir = app(&[("selvedge.toml", SITE), ("public/a.txt", b"a"), ("secret.txt", b"s"), ("public/sub/b.txt", b"b")]);
    let public = dir.path().join("public");
    symlink("a.txt", public.join("same.txt")).expect("a link");
    symlink("sub", public.join("again")).expect("a link");
    let bundle = build(&dir).expect("links within the directory are fine");
    let paths: Vec<_> = bundle.assets[0].iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["/a.txt", "/again/b.txt", "/same.txt", "/sub/b.txt"]);
    fs::remove_file(public.join("again")).expect("the link is there");

    let check = |target: &str, name: &str, expect: &str| {
        symlink(target, public.join(name)).expect("a link");
        let found = problem(&dir);
        assert!(found.message.starts_with(expect), "{}", found.message);
        fs::remove_file(public.join(name)).expect("the link is there");
    };
    check("../secret.txt", "leak.txt", "public/leak.txt is a link that leaves the asset directory, to /");
    check("..", "up", "public/up is a link that leaves the asset directory, to /");
    check(".", "loop", "public/loop is a link to a directory that holds it");
    check("..", "sub/loop", "public/sub/loop is a link to a directory that holds it");
    check("nothing", "dangling", "public/dangling can't be read: ");
    symlink("../sub", public.join("sub/x")).expect("a link");
    assert!(build(&dir).is_err(), "a loop through its own parent");
}

#[test]
fn a_file_beyond_the_limit_is_named_with_the_limit() {
    let options = BuildOptions { artifact_bytes: 10, ..BuildOptions::default() };
    let dir = app(&[("selvedge.toml", SITE), ("public/big.bin", b"12345678901")]);
    let failure = build_app(dir.path(), &options).expect_err("too large");
    assert_eq!(failure.to_string(), "public/big.bin has 11 bytes, artifact_bytes allows 10");
    let dir = app(&[("selvedge.toml", SCRIPT), ("src/index.ts", INDEX)]);
    let failure = build_app(dir.path(), &options).expect_err("too large");
    assert!(failure.to_string().ends_with("bytes when built, artifact_bytes allows 10"), "{failure}");
}

#[test]
fn dev_vars_are_for_development_and_never_deployed() {
    let manifest = [SCRIPT, b"[workers.web.bindings]\nKEY = { secret = \"key\" }\n"].concat();
    let dir = app(&[("selvedge.toml", &manifest), ("src/index.ts", INDEX), (".dev.vars", b"KEY=hunter2\n")]);
    let plain = build(&dir).expect("a good app");
    assert!(!inputs(&dir, &plain.inputs).contains(&".dev.vars".to_owned()));
    let dev = build_app(dir.path(), &BuildOptions { dev: true, ..BuildOptions::default() }).expect("a good app");
    assert!(inputs(&dir, &dev.inputs).contains(&".dev.vars".to_owned()));
    let text = String::from_utf8(dev.document().expect("a document").encode()).expect("JSON");
    assert!(!text.contains("hunter2"), "{text}");
    let error = Document::parse(text.as_bytes()).expect_err("it can't be deployed");
    assert!(error.to_string().contains(".dev.vars"), "{error}");
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_component_check_panic(
        start in 0usize..=8,
        rest in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60),
    ) {
        let bytes = [&b"\0asm\x0d\0\x01\0"[..start], &rest].concat();
        let _ = component::check(&bytes);
    }
}

#[test]
fn a_worker_that_calls_methods_of_another_is_marked_and_one_that_only_fetches_is_not() {
    let manifest = [SCRIPT, b"[workers.web.bindings]\nSELF = { worker = \"web\" }\n"].concat();
    let marked = |source: &[u8]| {
        let dir = app(&[("selvedge.toml", &manifest), ("src/index.ts", source)]);
        let Artifact::Script(script) = &build(&dir).expect("a good app").workers[0].artifact else {
            panic!("a script")
        };
        script.modules.iter().any(|module| module.name == base::builtin::CALLS)
    };
    assert!(marked(
        b"export default { async fetch(_: Request, env: any) { return new Response(await env.SELF.add(1)); } };"
    ));
    assert!(!marked(b"export default { fetch(r: Request, env: any) { return env.SELF.fetch(r); } };"));
}

#[test]
fn an_export_that_a_binding_names_is_looked_for_as_far_as_sources_tell() {
    let manifest = [SCRIPT, b"[workers.web.bindings]\nSELF = { worker = \"web\", entrypoint = \"Admin\" }\n"].concat();
    let with = |source: &[u8]| {
        let more: &[u8] = b"export class Admin {}\nexport default {};\n";
        app(&[
            ("selvedge.toml", &manifest),
            ("src/index.ts", source),
            ("src/more.ts", more),
            ("src/old.cjs", b"exports.x = 1;"),
        ])
    };
    for good in ["export class Admin {}", "export * from './more'", "export { x as Admin } from './old.cjs'"] {
        build(&with(good.as_bytes())).unwrap_or_else(|failure| panic!("{good}: {:#?}", failure.views()));
    }
    for bad in [
        "export default { fetch() {} }",
        "class Admin {}",
        "export interface Admin {}",
        "export * from './old.cjs'; import './more'",
        "export * from 'node:fs'",
    ] {
        let dir = with(bad.as_bytes());
        match build(&dir) {
            Err(failure) => {
                let views = failure.views();
                assert_eq!(views[0].code, "manifest::missing_export", "{bad}: {views:#?}");
            }
            // What a CommonJS file exports only its run tells.
            Ok(_) => assert!(bad.contains("cjs"), "{bad}"),
        }
    }
}

const WITH_DATABASE: &[u8] = b"name = \"shop\"\n[workers.web]\nentry = \"src/index.ts\"\n[workers.web.bindings]\n\
    DB = { sql = \"main\", migrations = \"migrations\" }\n[[routes]]\nmatch = \"/*\"\nworker = \"web\"\n";

#[test]
fn migrations_stand_in_the_order_of_their_numbers() {
    let dir = app(&[
        ("selvedge.toml", WITH_DATABASE),
        ("src/index.ts", INDEX),
        ("migrations/10_late.sql", b"C"),
        ("migrations/9_early.sql", b"B"),
        ("migrations/0001_first.sql", b"A"),
        ("migrations/meta/_journal.json", b"{}"),
        ("migrations/README.md", b"no migration"),
    ]);
    let bundle = build(&dir).expect("a good app");
    let texts: Vec<_> = bundle.migrations.values().flatten().map(|m| (m.name.as_str(), m.text.as_str())).collect();
    assert_eq!(texts, [("0001_first.sql", "A"), ("9_early.sql", "B"), ("10_late.sql", "C")]);
    let watched = inputs(&dir, &bundle.inputs);
    assert!(watched.contains(&"migrations".to_owned()) && watched.contains(&"migrations/10_late.sql".to_owned()));
    let document = bundle.document().expect("a bundle has a document");
    assert_eq!(Document::parse(&document.encode()).expect("it reads back").migrations(), &bundle.migrations);
}

#[test]
fn a_migration_without_a_number_or_with_anothers_is_a_fault() {
    let files: &[(&str, &[u8])] = &[("selvedge.toml", WITH_DATABASE), ("src/index.ts", INDEX)];
    let nameless = app(&[files, &[("migrations/users.sql", b"A")]].concat());
    assert_eq!(problem(&nameless).code, "build::migration");
    let twice = app(&[files, &[("migrations/1_a.sql", b"A"), ("migrations/01_b.sql", b"B")]].concat());
    assert!(problem(&twice).message.contains("two migrations of one number"));
    let missing = problem(&app(files));
    assert!(missing.message.contains("the directory of migrations does not exist"), "{}", missing.message);
}
