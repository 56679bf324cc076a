//! Module graphs as the engine loads them.

use base::Artifact;
use base::artifact::{Module, ModuleKind, Script};

use crate::fixture::{get, module, on_core, setup_artifact};

/// A script of these modules, the first being the entry; each imports by the names of others.
fn script(modules: &[(&str, &str, &[&str])]) -> Artifact {
    let index = |name: &str| modules.iter().position(|(known, _, _)| *known == name).expect("a module") as u32;
    let make = |(name, source, imports): &(&str, &str, &[&str])| Module {
        name: name.to_string(),
        kind: if name.ends_with(".cjs") { ModuleKind::Classic } else { ModuleKind::Js },
        imports: imports.iter().map(|import| (import.to_string(), index(import))).collect(),
        ..module(source)
    };
    Artifact::Script(Script { entry: 0, modules: modules.iter().map(make).collect(), warm: None })
}

#[test]
fn modules_are_loaded_while_others_are() {
    on_core(async {
        // Each import is found at another place of the list of what is not loaded yet.
        let modules = [
            (
                "index.js",
                "import d from 'd'; import b from 'b'; import 'f'; export default { fetch: () => new Response(b + d) };",
                &["d", "b", "f"][..],
            ),
            ("a", "import 'c'; export default 'a';", &["c"]),
            ("b", "import a from 'a'; import 'e'; export default a + 'b';", &["a", "e"]),
            ("c", "import 'b'; import 'f'; export default 'c';", &["b", "f"]),
            ("d", "import 'e'; import 'a'; export default 'd';", &["e", "a"]),
            ("e", "import 'c'; export default 'e';", &["c"]),
            ("f", "import 'index.js'; export default 'f';", &["index.js"]),
        ];
        // In every order of the list.
        for turn in 0..modules.len() - 1 {
            let mut modules = modules.to_vec();
            modules[1..].rotate_left(turn);
            let running = setup_artifact(script(&modules)).start();
            assert_eq!(running.text(get("http://a.test/")).await, "abd");
        }
    });
}

#[test]
fn a_classic_script_is_sloppy_and_imports_its_value() {
    on_core(async {
        let modules = [
            (
                "index.js",
                "import f from 'c.cjs'; export default { async fetch() { return new Response(await f()); } };",
                &["c.cjs"][..],
            ),
            (
                "c.cjs",
                "(function () { implicit = 010; with ({ x: implicit }) { return import('late').then((m) => m.default + x); } })",
                &["late"],
            ),
            ("late", "export default 'later ';", &[]),
        ];
        let running = setup_artifact(script(&modules)).start();
        assert_eq!(running.text(get("http://a.test/")).await, "later 8");
    });
}

#[test]
fn an_import_of_what_is_not_there_is_an_error_that_names_both() {
    on_core(async {
        let source = "export default { fetch: () => import('./no' + 'where.js').catch((e) => new Response(`${e.name}: ${e.message}`)) };";
        let running = setup_artifact(script(&[("index.js", source, &[])])).start();
        let text = running.text(get("http://a.test/")).await;
        assert_eq!(text, "Error: can't import './nowhere.js' from 'index.js': it is not part of this deployment");
    });
}

#[test]
fn a_stack_has_the_form_that_libraries_read() {
    on_core(async {
        let source = r#"
function inner() { return new RangeError("no"); }
class Own extends TypeError { constructor(m) { super(m); this.extra = 1; } }
Own.prototype.name = "Own";
export default { fetch() {
  const error = inner();
  const [head, first] = error.stack.split("\n");
  const target = {};
  Error.captureStackTrace(target, inner);
  const own = new Own("mine").stack.split("\n")[0];
  const bare = new Error().stack.split("\n")[0];
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  const none = new Error("short").stack;
  Error.stackTraceLimit = limit;
  Error.prepareStackTrace = (error, sites) => sites.map((site) => `${site.getFunctionName()} ${site.getFileName()} ${site.getLineNumber()} ${site.isEval()} ${site}`);
  const sites = inner().stack;
  Error.prepareStackTrace = undefined;
  error.stack = undefined;
  const dom = new DOMException("stop", "AbortError").stack.split("\n")[0];
  return Response.json([head, first.slice(0, 27), typeof target.stack, own, bare, none, sites[0], error.stack === undefined, Object.keys(error), dom]);
} };"#;
        let running = setup_artifact(script(&[("index.js", source, &[])])).start();
        let text = running.text(get("http://a.test/")).await;
        let expect = r#"["RangeError: no","    at inner (index.js:2:27","string","Own: mine","Error","Error: short","inner index.js 2 false inner (index.js:2:27)",true,[],"AbortError: stop"]"#;
        assert_eq!(text, expect);
    });
}

#[test]
fn a_call_is_where_it_begins_wherever_its_arguments_end() {
    on_core(async {
        let source = "const site = (e) => e.stack.split('\\n').map((l) => l.match(/:(\\d+:\\d+)\\)?$/)?.[1]);
const made = new Error('x', {
  cause: new TypeError(
    'y'),
});
function thrower(...values) {
  return [new Error()][0];
}
const o = { m: (...values) => thrower() };
const called = o
  .m(1,
     site(
       made));
export default { fetch: () => Response.json([site(made)[1], site(made.cause)[1], site(called).slice(1, 4)]) };";
        let running = setup_artifact(script(&[("index.js", source, &[])])).start();
        let text = running.text(get("http://a.test/")).await;
        assert_eq!(text, r#"["2:14","3:10",["7:11","9:31","11:4"]]"#);
    });
}

#[test]
fn a_long_chain_of_imports_is_loaded() {
    on_core(async {
        let names: Vec<String> = (0..2_000).map(|i| format!("m{i}.js")).collect();
        let modules = names.iter().enumerate().map(|(i, name)| {
            let next = names.get(i + 1);
            let import = next.map_or(String::new(), |next| format!("import '{next}';"));
            let entry = if i == 0 { "export default { fetch: () => new Response('ok') };" } else { "" };
            let imports = next.iter().map(|next| (next.to_string(), i as u32 + 1)).collect();
            Module { name: name.clone(), imports, ..module(&format!("{import}{entry}")) }
        });
        let artifact = Artifact::Script(Script { entry: 0, modules: modules.collect(), warm: None });
        assert_eq!(setup_artifact(artifact).start().text(get("http://a.test/")).await, "ok");
    });
}
