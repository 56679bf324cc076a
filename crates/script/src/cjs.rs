//! CommonJS as ES modules: the wrapper of a body, and the facades through which the two kinds of
//! module see each other. Text in, text out.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use oxc::syntax::identifier::is_identifier_name;

/// What stands before a CommonJS file, on its own first line: lines keep their numbers, and
/// [`SourceMaps`](crate::SourceMaps) takes the columns back. The body is a classic script, whose value
/// is this function, so that it runs in sloppy mode like everywhere.
pub(crate) const BODY_START: &str = "(function (exports, require, module, __filename, __dirname) { ";
pub(crate) const BODY_END: &str = "\n})";

/// In front of the specifiers of a `require`, which may resolve elsewhere than the same import.
pub(crate) const REQUIRE: &str = "require:";
/// The specifier by which a facade imports the module that it stands for.
pub(crate) const SELF: &str = "facade:target";
/// The specifier by which the module of a file imports the file's body.
pub(crate) const BODY: &str = "file:body";
/// After the name of the file in the name of the module that runs it; the body has the plain name.
pub(crate) const MODULE_SUFFIX: &str = "?module";
/// After the name of the module in the name of the facade that an import sees.
pub(crate) const IMPORT_SUFFIX: &str = "?import";
/// The same, for importers that take `__esModule` at its word.
pub(crate) const INTEROP_SUFFIX: &str = "?interop";
/// After the name of the module in the name of the facade that a `require` sees.
pub(crate) const NAMESPACE_SUFFIX: &str = "?require";

/// What a `require` finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Required {
    CommonJs,
    /// An ES module, or the facade that adds `__esModule`: its namespace.
    Namespace,
    /// JSON, text or bytes.
    Default,
    /// Nothing: the call throws this.
    Missing(String),
}

/// A body as a function.
pub(crate) fn wrap_body(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + BODY_START.len() + BODY_END.len());
    out.push_str(BODY_START);
    match text.strip_prefix("#!") {
        // Same length, so that columns stay.
        Some(rest) => out.extend(["//", rest]),
        None => out.push_str(text),
    }
    out.push_str(BODY_END);
    out
}

/// The module of a CommonJS file. Its body comes first, so that it is there before anything in a
/// cycle may ask for it; and `$require` is a function declaration, which is there before anything runs.
pub(crate) fn module(name: &str, requires: &[(String, Required)]) -> String {
    let mut out = format!("import $body from {};\n", quote(BODY));
    let mut cases = String::new();
    for (i, (specifier, required)) in requires.iter().enumerate() {
        let from = quote(&format!("{REQUIRE}{specifier}"));
        let value = match required {
            Required::CommonJs => {
                let _ = writeln!(out, "import {{ $require as $r{i} }} from {from};");
                format!("return $r{i}();")
            }
            Required::Namespace => {
                let _ = writeln!(out, "import * as $r{i} from {from};");
                format!("return $r{i};")
            }
            Required::Default => {
                let _ = writeln!(out, "import $r{i} from {from};");
                format!("return $r{i};")
            }
            Required::Missing(why) => format!("why = {}; break;", quote(why)),
        };
        let _ = writeln!(cases, "    case {}: {value}", quote(specifier));
    }
    let (file, directory) = (format!("/{name}"), format!("/{}", name.rsplit_once('/').map_or("", |(d, _)| d)));
    let (file, directory) = (quote(&file), quote(&directory));
    let _ = write!(
        out,
        r#"function $resolve(specifier) {{
  let why = "require() of a specifier that the build could not see";
  switch (specifier) {{
{cases}  }}
  throw Object.assign(new Error(`Cannot find module '${{specifier}}': ${{why}}`), {{ code: "MODULE_NOT_FOUND" }});
}}
var $module;
export function $require() {{
  if ($module === undefined) {{
    $module = {{ exports: {{}}, id: {file}, filename: {file}, loaded: false, parent: null, children: [], paths: [] }};
    try {{
      $body.call($module.exports, $module.exports, $resolve, $module, {file}, {directory});
    }} catch (error) {{
      $module = undefined;
      throw error;
    }}
    $module.loaded = true;
  }}
  return $module.exports;
}}
"#
    );
    out
}

/// What an `import` of a CommonJS module sees: `module.exports` as the default, and `names`.
///
/// With `interop`, a module that says it was an ES module (`__esModule`) gives its own default, as
/// bundlers do for importers that are not in Node's mode (`.mjs`, `.mts` or `"type": "module"`).
pub(crate) fn import_facade(names: &BTreeSet<String>, interop: bool) -> String {
    let target = quote(SELF);
    let mut out = format!("import {{ $require }} from {target};\nconst $exports = $require();\n");
    out.push_str("const $from = Object($exports);\n");
    out.push_str(match interop {
        true => "export default $from.__esModule ? $from.default : $exports;\n",
        false => "export default $exports;\n",
    });
    let names = names.iter().filter(|n| *n != "default" && is_identifier_name(n));
    for (i, name) in names.enumerate() {
        let _ = writeln!(out, "const $e{i} = $from.{name};\nexport {{ $e{i} as {name} }};");
    }
    out
}

/// What an import of a JSON file by these members sees.
pub(crate) fn json_facade(names: &BTreeSet<String>) -> String {
    let mut out = format!("import $json from {};\nexport default $json;\n", quote(SELF));
    for (i, name) in names.iter().enumerate() {
        let _ = writeln!(out, "const $e{i} = $json.{name};\nexport {{ $e{i} as {name} }};");
    }
    out
}

/// What a `require` of an ES module with a default export sees: its namespace, marked.
pub(crate) fn require_facade() -> String {
    let target = quote(SELF);
    format!("export * from {target};\nexport {{ default }} from {target};\nexport const __esModule = true;\n")
}

fn quote(text: &str) -> String {
    serde_json::to_string(text).expect("a string is always JSON")
}
