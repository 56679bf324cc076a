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
            source_maps: true,
            module_bytes_max: 8 << 20,
            modules_max: 10_000,
            script_bytes_max: 64 << 20,
            nesting_max: 1_000,
            chain_max: 200_000,
        }
    }
}
