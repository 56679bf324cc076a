use super::*;

/// Builds `files` from `a.ts` and expects these modules, in order.
fn check(files: &[(&str, &str)], expect: &[&str]) {
    assert_eq!(names(&Tree::new(files).build("a.ts").script), expect);
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
            "c.cjs",
            "c.cjs?interop",
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
    check("node:buffer", "node:buffer is not supported by this version yet");
    check("node:fs/promises", "node:fs/promises is not supported by this version yet");
    check("crypto", "node:crypto is not supported by this version yet");
    check("node:bufer", "there is no module node:bufer");
    check("https://esm.sh/x", "importing from a URL is not supported: https://esm.sh/x");
    check("bun:sqlite", "bun:sqlite belongs to another runtime");
    check("/etc/passwd.js", "an absolute path means another file on another machine: /etc/passwd.js");
}

#[test]
fn a_package_may_carry_the_name_of_a_builtin() {
    check(
        &[("a.ts", "import 'buffer'"), ("node_modules/buffer/index.js", "export {}")],
        &["a.ts", "node_modules/buffer/index.js"],
    );
}
