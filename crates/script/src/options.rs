//! What a caller may choose about a build.

/// Options of one build. The limits are named in the errors that they cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Conditions for the `exports` and `imports` of packages, in the order of a package's own keys.
    /// For `require`, `import` is replaced by `require`.
    pub conditions: Vec<String>,
    /// JSX, where the tsconfig.json of a file says nothing else.
    pub jsx: Jsx,
    /// Whether this is a file of tests: what tests import is there, and nowhere else.
    pub testing: bool,
    /// Global names, and members of those, with the expressions that stand for them.
    pub define: Vec<(String, String)>,
    /// Specifiers, and what is imported instead; a path begins at the app directory.
    pub alias: Vec<(String, String)>,
    /// What files are taken for, over their endings; the first rule that fits counts.
    pub rules: Vec<Rule>,
    /// Whether modules that were transformed carry a source map.
    pub source_maps: bool,
    /// Largest file, in bytes.
    pub module_bytes_max: u64,
    /// Most modules in one script.
    pub modules_max: u32,
    /// All modules together, in bytes.
    pub script_bytes_max: u64,
    /// Deepest nesting of brackets in one file, angle brackets of TypeScript included. The parser and
    /// the engine both recurse; this and `chain_max` guard against accidents, and are no sandbox.
    pub nesting_max: u32,
    /// Most operators of one file between two separators, for the same reason.
    pub chain_max: u32,
}

/// What files of some names are taken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Patterns of paths relative to the app directory: `**/*.glsl`.
    pub globs: Vec<String>,
    pub taken_for: TakenFor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenFor {
    Text,
    /// An `ArrayBuffer`.
    Data,
    /// A `WebAssembly.Module`.
    Wasm,
}

impl Options {
    /// What a file is taken for by the rules.
    pub(crate) fn taken_for(&self, name: &str) -> Option<TakenFor> {
        // A pattern without a folder means files of that name in any.
        let file = name.rsplit('/').next().unwrap_or(name);
        let fits = |glob: &String| {
            let glob = glob.strip_prefix("./").unwrap_or(glob);
            fast_glob::glob_match(glob, if glob.contains('/') { name } else { file })
        };
        self.rules.iter().find(|rule| rule.globs.iter().any(fits)).map(|rule| rule.taken_for)
    }
}

/// How JSX is compiled: by the automatic runtime, from this package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jsx {
    /// The package whose `jsx-runtime` is imported.
    pub import_source: String,
}

impl Default for Options {
    fn default() -> Self {
        let conditions = ["selvedge", "workerd", "worker", "browser", "import", "default"];
        Self {
            conditions: conditions.map(String::from).to_vec(),
            jsx: Jsx { import_source: "react".into() },
            testing: false,
            define: Vec::new(),
            alias: Vec::new(),
            rules: Vec::new(),
            source_maps: true,
            module_bytes_max: 8 << 20,
            modules_max: 10_000,
            script_bytes_max: 64 << 20,
            nesting_max: 1_000,
            chain_max: 200_000,
        }
    }
}
