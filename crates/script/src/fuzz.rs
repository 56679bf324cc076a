//! Apps of strangers, and stacks and source maps that a script makes up, fed to the build and to
//! what reads them afterwards: see `testkit::fuzz`.

use std::time::Duration;

use base::artifact::{Artifact, Module, ModuleKind, Script};
use testkit::fuzz::Fuzz;

use crate::tests::Tree;
use crate::{Position, SourceMaps, snippet};

/// Begins a file of an app, whose name follows to the end of the line.
const FILE: &str = "=== ";
const FILES_MAX: usize = 16;

const WORDS: [&str; 96] = [
    "\n=== a.ts\n",
    "\n=== b.js\n",
    "\n=== c.cjs\n",
    "\n=== d.tsx\n",
    "\n=== package.json\n",
    "\n=== tsconfig.json\n",
    "\n=== node_modules/p/package.json\n",
    "\n=== node_modules/p/index.js\n",
    "\n=== node_modules/p/x.js\n",
    "\n=== data.json\n",
    "import x from './b.js';",
    "import * as n from 'p';",
    "import { y } from 'p/x';",
    "export * from './b.js';",
    "export default ",
    "import '#inner';",
    "import data from './data.json' with { type: 'json' };",
    "require('p')",
    "require('./c.cjs')",
    "module.exports = ",
    "exports.x = 1;",
    "import(`./${a}.js`);",
    "import(a);",
    "export { x as default };",
    "import 'p/../../../etc/passwd';",
    "//# sourceMappingURL=data:application/json,{\"version\":3,\"sources\":[\"x.ts\"],\"mappings\":\"AAAA;AACA\"}",
    "//# sourceMappingURL=b.js.map\n",
    "@d ",
    "class C { @d x = 1; accessor y; #p = 1; static { } }",
    "enum E { A, B = 'x'.length }",
    "namespace N { export const a = 1 }",
    "declare ",
    "abstract ",
    "interface I { }",
    "type T = ",
    "<T,>() => {}",
    "satisfies T",
    "as const",
    "using u = f();",
    "await ",
    "async ",
    "function* g() { yield }",
    "<b x={1}>{...y}</b>",
    "<></>",
    "`t${",
    "}`",
    "/re/v",
    "({ a, ...b }) =>",
    "a?.b ?? c ||= d",
    "label: for (;;) { break label }",
    "with (a) {}",
    "'use strict';",
    "eval('x')",
    "\u{2028}",
    "\u{feff}",
    "é",
    "\0",
    "\\u{61}",
    "#!/usr/bin/env x\n",
    "<!-- html",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "=>",
    "**",
    ";",
    ",",
    "\"exports\": ",
    "\"imports\": ",
    "\"#inner\": ",
    "\"./*\": ",
    "\"./x*y\": ",
    "\"browser\": ",
    "\"main\": ",
    "\"module\": ",
    "\"type\": \"module\"",
    "\"name\": \"p\"",
    "\"default\": ",
    "\"import\": ",
    "\"require\": ",
    "\"./index.js\"",
    "\"../../x\"",
    "\"./node_modules/p\"",
    "\"*\"",
    "null",
    "false",
    "[[[[",
    "{\"a\":",
    "\"paths\": ",
    "\"extends\": \"./tsconfig.json\"",
    "\"baseUrl\": \"..\"",
    "\"jsx\": \"react\"",
    "\"experimentalDecorators\": true",
];

const APPS: [&str; 6] = [
    "=== a.ts\nimport { f } from './b.js';\nimport c from './c.cjs';\nexport default { fetch(): Response { return f(c as any); } };\n=== b.js\nexport const f = (x) => x;\n=== c.cjs\nconst p = require('p');\nmodule.exports = { p };\n=== node_modules/p/package.json\n{ \"name\": \"p\", \"exports\": { \".\": { \"import\": \"./index.js\", \"default\": \"./index.js\" }, \"./*\": \"./*.js\" } }\n=== node_modules/p/index.js\nexports.y = 1;\n",
    "=== a.ts\nenum E { A, B }\nnamespace N { export const x = E.A }\nclass C<T> { constructor(private readonly x: T) {} @d() m(@p y?: string) {} }\nexport default C;\n=== tsconfig.json\n{ \"compilerOptions\": { \"experimentalDecorators\": true, \"emitDecoratorMetadata\": true, \"paths\": { \"@/*\": [\"./*\"] } } }\n",
    "=== a.ts\nimport App from './d';\nimport text from './t.txt';\nimport data from './data.json';\nexport default App(data, text);\n=== d.tsx\n/** @jsxImportSource p */\nexport default (x: any) => <div {...x} key=\"1\">{x.y}<></></div>;\n=== node_modules/p/package.json\n{ \"name\": \"p\", \"browser\": { \"./a.js\": false, \"fs\": \"./x.js\" }, \"main\": \"x\" }\n=== node_modules/p/jsx-runtime.js\nexport const jsx = 1, jsxs = 2, Fragment = 3;\n=== node_modules/p/x.js\nexport {};\n=== t.txt\nhello\n=== data.json\n{\"a\":[1]}\n",
    "=== a.ts\nimport '#inner';\nexport * from 'app';\nconst x = await import(`./m/${globalThis.n}.js`);\nexport { x };\n=== package.json\n{ \"name\": \"app\", \"type\": \"module\", \"exports\": \"./b.js\", \"imports\": { \"#inner\": { \"workerd\": \"./b.js\", \"default\": null } } }\n=== b.js\nexport let b; export { b as 'string name' };\n=== m/one.js\nexport default 1;\n",
    "=== a.ts\nimport x, { y } from './b.js';\nexport { x as default, y };\n//# sourceMappingURL=a.map\n=== a.map\n{\"version\":3,\"sources\":[\"../x.ts\"],\"mappings\":\"AAAA,SAASA;;ACAT\",\"sourcesContent\":[\"a\"]}\n=== b.js\nif (typeof require !== 'undefined') { exports.y = require('./c.cjs'); } else { this.x = 1 }\n=== c.cjs\nexports.z = require('./b.js'); Object.defineProperty(exports, '__esModule', { value: true });\n",
    "=== a.ts\nabstract class A { abstract x: number; declare y: string; accessor z = 1; static #s = 2; static { this.#s++ } }\n@dec class B extends A { @dec x = 1; @dec get g() { return super.z } }\nfunction dec(...a: any[]): any {}\nexport default <T,>(a: T, b?: typeof A): a is T => { using u = a!; return `${b satisfies any}` as never; };\n",
];

/// The files of an input. Names that would lead out of the folder are none.
fn files(text: &str) -> Vec<(&str, &str)> {
    let parts = text.strip_prefix(FILE).into_iter().flat_map(|rest| rest.split("\n=== "));
    let named = parts.filter_map(|part| part.split_once('\n'));
    let sound = |name: &str| {
        let plain = |part: &str| {
            !part.is_empty() && part.len() < 60 && !part.trim_matches('.').is_empty() && !part.contains('\0')
        };
        name.len() < 200 && name.split('/').all(plain)
    };
    named.filter(|(name, _)| sound(name)).take(FILES_MAX).collect()
}

#[test]
fn build() {
    Fuzz::new("build").seeds(APPS).words(&WORDS).quick_inputs(150).run(|input| {
        let text = String::from_utf8_lossy(input);
        let files = files(&text);
        // A file may stand where another one needs a folder.
        let mut placed: Vec<(&str, &str)> = Vec::new();
        for (name, content) in files {
            let inside = |one: &str, other: &str| {
                one.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            if !placed.iter().any(|(other, _)| inside(name, other) || inside(other, name)) {
                placed.push((name, content));
            }
        }
        let tree = Tree::new(&placed);
        match tree.try_build("a.ts") {
            Ok(built) => {
                let maps = SourceMaps::new(&built.script);
                for module in &built.script.modules {
                    maps.lookup(&module.name, 1, 1);
                    maps.lookup(&module.name, 3, 200);
                }
                let count = built.script.modules.len();
                let artifact = Artifact::Script(built.script);
                assert_eq!(Artifact::decode(&artifact.encode()).as_ref(), Ok(&artifact));
                (count, Vec::new())
            }
            Err(errors) => {
                assert!(!errors.errors.is_empty());
                assert!(!errors.render(true).is_empty());
                (0, errors.errors.iter().map(|error| error.message.chars().take(20).collect::<String>()).collect())
            }
        }
    });
}

#[test]
fn maps() {
    let seeds = [
        "{\"version\":3,\"sources\":[\"x.ts\",null],\"sourcesContent\":[\"const a = 1\\nb\"],\"mappings\":\"AAAA,SAASA;;ACAT\"}\n---\nError: x\n    at f (a b (c).js:1:9)\n    at a b (c).js:3:1\n",
        "{\"version\":3,\"sections\":[],\"mappings\":\"AAggggggB\"}\n---\n    at async Promise.all (index 0)\n    at c.js:4294967295:4294967296\n",
        "{}\n---\n    at eval (eval at f (c.js:1:1), <anonymous>:2:3)\n",
    ];
    let words = [
        " ",
        "(",
        ")",
        ":1:1",
        "c.js",
        "a b (c).js",
        "\n---\n",
        ";",
        ",",
        "AAAA",
        "ggggggE",
        "D",
        "\"mappings\":\"",
        "\n    at ",
    ];
    Fuzz::new("maps").seeds(seeds).words(&words).input_time_max(Duration::from_secs(3)).run(|input| {
        let text = String::from_utf8_lossy(input);
        let (map, stack) = text.split_once("\n---\n").unwrap_or((&text, ""));
        let module = |name: &str, kind, source_map: Option<&str>| Module {
            name: name.into(),
            kind,
            source: b"let x;\nlet y;\n".to_vec(),
            imports: vec![],
            source_map: source_map.map(str::to_owned),
        };
        let modules = vec![
            module("c.js", ModuleKind::Classic, None),
            module("a b (c).js", ModuleKind::Js, Some(map)),
            module("d.js", ModuleKind::Classic, Some(map)),
        ];
        let script = Script { entry: 0, modules, warm: None };
        let maps = SourceMaps::new(&script);
        let mapped = maps.map_stack(stack);
        assert_eq!(mapped.lines().count() > 0, stack.lines().count() > 0);
        let mut found = 0;
        for (line, column) in [(0, 0), (1, 1), (1, 30), (3, 1), (u32::MAX, u32::MAX)] {
            for name in ["c.js", "a b (c).js", "d.js", "none"] {
                if let Some(position) = maps.lookup(name, line, column) {
                    found += 1 + snippet(&script, &position).len();
                }
            }
        }
        snippet(&script, &Position { file: "x.ts".into(), line: u32::MAX, column: u32::MAX });
        (found, mapped == stack)
    });
}
