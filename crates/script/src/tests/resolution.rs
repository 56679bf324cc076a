use super::*;

/// Builds `files` from `a.ts` and expects these modules, in order.
fn check(files: &[(&str, &str)], expect: &[&str]) {
    assert_eq!(names(&Tree::new(files).build("a.ts").script), expect);
}

#[test]
fn names_that_a_module_of_the_platform_lacks_are_errors_of_the_build() {
    let check = |source: &str, message: &str, hint: &str| {
        let (error, help) = Tree::new(&[("a.ts", source)]).error("a.ts");
        assert_eq!(error, message);
        assert!(help.contains(hint), "{help}");
    };
    let workflows =
        "import { WorkflowEntrypoint } from 'cloudflare:workers';\nexport class A extends WorkflowEntrypoint {}";
    let hint = "it exports DurableObject, RpcStub, RpcTarget, WorkerEntrypoint, env";
    check(workflows, "a.ts:1:10: cloudflare:workers has no export \"WorkflowEntrypoint\"", hint);
    let hint = "did you mean \"dirname\"?";
    check("import { dirnam } from 'path'; dirnam('');", "a.ts:1:10: node:path has no export \"dirnam\"", hint);
    check(
        "import x from 'cloudflare:workers'; x;",
        "a.ts:1:8: cloudflare:workers has no default export",
        "DurableObject",
    );
    for module in base::builtin::MODULES {
        let first = base::builtin::exports(module).next().expect("it exports something");
        let source = format!("export {{ {first} }} from '{module}'; export * from '{module}';");
        if !base::builtin::TEST_MODULES.contains(module) {
            Tree::new(&[("a.js", &source)]).build("a.js");
        }
    }
}

#[test]
fn typescript_is_found_behind_javascript_names_and_without_names() {
    check(
        &[
            ("a.ts", "import './b.js'; import './c.mjs'; import './d'; import './dir'; import './e.jsx';"),
            ("b.ts", ""),
            ("c.mts", ""),
            ("d.tsx", ""),
            ("dir/index.ts", ""),
            ("e.tsx", ""),
        ],
        &["a.ts", "b.ts", "c.mts", "d.tsx", "dir/index.ts", "e.tsx"],
    );
}

#[test]
fn package_exports_follow_the_conditions() {
    let exports = r#"{ "name": "p", "exports": {
        ".": { "node": "./node.js", "workerd": "./worker.js", "default": "./default.js" },
        "./sub/*": "./lib/*.js", "./req": { "require": "./r.cjs", "import": "./i.mjs" } } }"#;
    check(
        &[
            ("a.ts", "import 'p'; import 'p/sub/x'; import 'p/req'; import './c.cjs'"),
            ("c.cjs", "require('p/req')"),
            ("node_modules/p/package.json", exports),
            ("node_modules/p/worker.js", "export {}"),
            ("node_modules/p/lib/x.js", "export {}"),
            ("node_modules/p/i.mjs", ""),
            ("node_modules/p/r.cjs", ""),
        ],
        &[
            "a.ts",
            "node_modules/p/worker.js",
            "node_modules/p/lib/x.js",
            "node_modules/p/i.mjs",
            "c.cjs?module",
            "c.cjs?interop",
            "node_modules/p/r.cjs?module",
            "c.cjs",
            "node_modules/p/r.cjs",
        ],
    );
}

#[test]
fn imports_maps_self_references_and_tsconfig_paths_resolve() {
    check(
        &[
            (
                "package.json",
                r##"{ "name": "me", "exports": { "./x": "./src/x.ts" }, "imports": { "#lib/*": "./src/*.ts" } }"##,
            ),
            ("tsconfig.json", r#"{ "compilerOptions": { "paths": { "@/*": ["./src/*"] } } }"#),
            ("a.ts", "import 'me/x'; import '#lib/y'; import '@/z';"),
            ("src/x.ts", ""),
            ("src/y.ts", ""),
            ("src/z.ts", ""),
        ],
        &["a.ts", "src/x.ts", "src/y.ts", "src/z.ts"],
    );
}

#[test]
fn main_browser_and_empty_replacements_of_older_packages() {
    let package = r#"{ "name": "p", "main": "./main.js", "module": "./esm.js", "browser": { "./n.js": false, "./m.js": "./b.js" } }"#;
    check(
        &[
            ("a.ts", "import 'p';"),
            ("node_modules/p/package.json", package),
            ("node_modules/p/esm.js", "import './n.js'; import './m.js'; export {}"),
            ("node_modules/p/n.js", ""),
            ("node_modules/p/b.js", "export {}"),
        ],
        &["a.ts", "node_modules/p/esm.js", "node_modules/p/n.js?empty", "node_modules/p/b.js"],
    );
}

#[cfg(unix)]
#[test]
fn a_symlinked_workspace_is_named_from_the_app() {
    let tree = Tree::new(&[
        ("apps/web/a.ts", "import { x } from '@w/lib'; import 'up'; export default x;"),
        ("package.json", r#"{ "workspaces": ["apps/*", "packages/*"] }"#),
        ("packages/lib/package.json", r#"{ "name": "@w/lib", "exports": "./src/index.ts" }"#),
        ("packages/lib/src/index.ts", "export const x: number = 1;"),
        ("node_modules/up/index.js", "export {}"),
    ]);
    std::fs::create_dir_all(tree.path("apps/web/node_modules/@w")).expect("a directory");
    std::os::unix::fs::symlink(tree.path("packages/lib"), tree.path("apps/web/node_modules/@w/lib")).expect("a link");
    let built = build(&tree.path("apps/web"), Path::new("a.ts"), &Options::default()).expect("it builds");
    assert_eq!(names(&built.script), ["a.ts", "../../packages/lib/src/index.ts", "../../node_modules/up/index.js"]);
}

#[test]
fn a_specifier_that_names_one_file_twice_is_one_module() {
    check(
        &[("a.ts", "import './b'; import './b.ts'; import './x/../b.js';"), ("b.ts", ""), ("x/y.ts", "")],
        &["a.ts", "b.ts"],
    );
}

#[test]
fn missing_files_say_what_is_near_and_what_was_tried() {
    let tree = Tree::new(&[
        ("src/a.ts", "\nimport './utlis/date';\n"),
        ("src/utils/date.ts", ""),
        ("src/b.ts", "import './helpr'"),
        ("src/helper.ts", ""),
    ]);
    let (error, help) = tree.error("src/a.ts");
    assert_eq!(error, "src/a.ts:2:8: cannot find \"./utlis/date\"");
    assert!(help.starts_with("did you mean \"./utils/date\"?\ntried src/utlis/date, "), "{help}");
    let (error, help) = tree.error("src/b.ts");
    assert_eq!(error, "src/b.ts:1:8: cannot find \"./helpr\"");
    assert!(help.starts_with("did you mean \"./helper.ts\"?\ntried src/helpr, src/helpr.cjs"), "{help}");
}

#[test]
fn missing_packages_say_so() {
    let check = |source: &str, message: &str, help: &str| {
        let tree = Tree::new(&[
            ("a.ts", source),
            (
                "node_modules/hono/package.json",
                r#"{ "name": "hono", "exports": { ".": "./gone.js", "./jsx": "./j.js", "./w": { "node": "./n.js" } } }"#,
            ),
            ("node_modules/old/package.json", r#"{ "name": "old", "main": "./dist/gone.js" }"#),
        ]);
        let (error, found) = tree.error("a.ts");
        assert_eq!(error, format!("a.ts:1:8: {message}"));
        assert!(found.contains(help), "{found}");
    };
    check("import 'hoon'", "the package \"hoon\" is not installed", "did you mean \"hono\"?");
    check("import '@a/thing/x'", "the package \"@a/thing\" is not installed", "npm install @a/thing");
    check("import 'hono/jxs'", "the package \"hono\" does not export \"./jxs\"", "it exports \".\", \"./jsx\"");
    check(
        "import 'hono/w'",
        "the package \"hono\" exports nothing for \"./w\" under the conditions selvedge, workerd, worker, browser, import, default",
        "see \"exports\"",
    );
    check(
        "import 'hono'",
        "the package \"hono\" is installed, but \"hono\" leads to no file in it",
        "node_modules/hono/gone.js",
    );
    check(
        "import 'old'",
        "the package \"old\" is installed, but \"old\" leads to no file in it",
        "node_modules/old/dist/gone.js",
    );
    check("import '#x'", "cannot find \"#x\"", "\"imports\"");
}

#[test]
fn modules_of_other_platforms_are_refused_by_name() {
    let check = |specifier: &str, message: &str| {
        let tree = Tree::new(&[("a.ts", &format!("import '{specifier}'"))]);
        assert_eq!(tree.error("a.ts").0, format!("a.ts:1:8: {message}"));
    };
    check("node:sqlite", "node:sqlite is not supported by this version yet");
    check("repl", "node:repl is not supported by this version yet");
    check("fs/nothing", "there is no module node:fs/nothing");
    check("node:bufer", "there is no module node:bufer");
    check("https://esm.sh/x", "importing from a URL is not supported: https://esm.sh/x");
    check("bun:sqlite", "bun:sqlite belongs to another runtime");
    check("/etc/passwd.js", "an absolute path means another file on another machine: /etc/passwd.js");
}

#[test]
fn modules_of_node_go_by_both_names() {
    let tree = Tree::new(&[
        ("a.ts", "import 'node:fs/promises'; import 'crypto'; import './b.cjs';"),
        ("b.cjs", "module.exports = [require('events/'), require('crypto'), require('node:util')];"),
    ]);
    let script = tree.build("a.ts").script;
    let builtins: Vec<_> =
        script.modules.iter().filter(|m| m.kind == ModuleKind::Builtin).map(|m| m.name.as_str()).collect();
    assert_eq!(builtins, ["node:fs/promises", "node:crypto", "node:events", "node:util"]);
}

#[test]
fn a_package_may_carry_the_name_of_a_builtin() {
    check(
        &[("a.ts", "import 'buffer'"), ("node_modules/buffer/index.js", "export {}")],
        &["a.ts", "node_modules/buffer/index.js"],
    );
}

#[cfg(unix)]
#[test]
fn nothing_beyond_the_workspace_is_read() {
    let tree = Tree::new(&[
        ("repo/app/package.json", r#"{ "name": "app" }"#),
        ("repo/app/a.ts", "import './link';"),
        ("repo/app/b.ts", "import '../shared.ts';"),
        ("repo/app/c.ts", "import 'hoisted'; import 'linked';"),
        ("repo/shared.ts", ""),
        ("repo/node_modules/hoisted/index.js", "export {}"),
        ("other/secret.ts", "export {}"),
        ("other/package/index.js", "export {}"),
    ]);
    std::os::unix::fs::symlink(tree.path("other/secret.ts"), tree.path("repo/app/link.ts")).expect("a link");
    std::os::unix::fs::symlink(tree.path("other/package"), tree.path("repo/node_modules/linked")).expect("a link");
    let error = |entry: &str| {
        let built = build(&tree.path("repo/app"), Path::new(entry), &Options::default());
        built.map(|built| built.script.modules.len()).map_err(|errors| errors.to_string())
    };
    let refused = "a.ts:1:8: \"./link\" leads to ../../other/secret.ts, outside of the app's directory";
    assert_eq!(error("a.ts"), Err(refused.into()));
    let refused = "b.ts:1:8: \"../shared.ts\" leads to ../shared.ts, outside of the app's directory";
    assert_eq!(error("b.ts"), Err(refused.into()));
    let refused = "c.ts:1:26: \"linked\" leads to ../../other/package/index.js, outside of the app's directory";
    assert_eq!(error("c.ts"), Err(refused.into()));
    tree.write("repo/pnpm-workspace.yaml", b"packages: [app]");
    assert_eq!(error("b.ts"), Ok(2));
    let refused = "a.ts:1:8: \"./link\" leads to ../../other/secret.ts, outside of the workspace ..";
    assert_eq!(error("a.ts"), Err(refused.into()));
}

#[test]
fn conditions_of_imports_maps_and_fallback_arrays_are_followed() {
    check(
        &[
            (
                "package.json",
                r##"{ "imports": { "#env": { "node": "./node.ts", "selvedge": "./here.ts" }, "#dep": "p" } }"##,
            ),
            ("a.ts", "import '#env'; import '#dep'; import 'q/deep/er';"),
            ("here.ts", ""),
            ("node_modules/p/package.json", r#"{ "exports": [{ "node": "./n.js" }, "./d.js"] }"#),
            ("node_modules/p/d.js", "export {}"),
            ("node_modules/q/package.json", r#"{ "exports": { "./*": "./x/*.js", "./deep/private/*": null } }"#),
            ("node_modules/q/x/deep/er.js", "export {}"),
        ],
        &["a.ts", "here.ts", "node_modules/p/d.js", "node_modules/q/x/deep/er.js"],
    );
}

#[test]
fn tsconfig_base_url_and_its_extends_are_followed() {
    check(
        &[
            (
                "config/base.json",
                r#"{ "compilerOptions": { "baseUrl": "..", "paths": { "~/*": ["lib/*", "other/*"] } } }"#,
            ),
            ("tsconfig.json", r#"{ "extends": "./config/base.json" }"#),
            ("a.ts", "import 'lib/x'; import '~/y';"),
            ("lib/x.ts", ""),
            ("other/y.ts", ""),
        ],
        &["a.ts", "lib/x.ts", "other/y.ts"],
    );
}

#[test]
fn names_with_odd_characters_are_files_like_others() {
    let names = ["a b.ts", "é'\"$`.ts", "日本.ts", "(x) [y].ts", "100%.ts", "c++.ts"];
    let source: String =
        names.iter().map(|n| format!("import {};\n", serde_json::Value::from(format!("./{n}")))).collect();
    let mut files: Vec<(&str, &str)> = names.iter().map(|n| (*n, "export {}")).collect();
    files.push(("a.ts", &source));
    let script = Tree::new(&files).build("a.ts").script;
    assert_eq!(script.modules.len(), 7, "{:?}", super::names(&script));
}
