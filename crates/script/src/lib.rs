//! Turns the entry file of a worker into a [`base::artifact::Script`]: a graph of ES modules from
//! which types and JSX are gone, ready for the script engine. It is the only crate that knows oxc.
//!
//! It does not bundle: a module of the artifact is a file of its author, under its own name, and a
//! plain JavaScript file is kept byte for byte. What it does is read files, strip types, resolve
//! specifiers, wrap CommonJS, check that every import finds an export, and say exactly where and
//! why when one of these fails. It never runs the code, and no request passes through it: it works
//! when an app is deployed or reloaded.
//!
//! Promises:
//! - Equal files give an equal artifact, byte for byte: modules are numbered depth first in the
//!   order of their imports, and no absolute path, time or environment variable enters.
//! - A failed build reports every independent error it found, each with file, line, column and a
//!   frame, and names the files it read, so that a watcher knows what to wait for.
//!
//! ## CommonJS
//!
//! A CommonJS file becomes two modules: its body, a classic script whose value is a function, and a
//! module that exports `$require`, which calls that function the first time; a file that is *imported*
//! gets a third beside them, the facade, whose exports read `module.exports`. So `require` keeps its
//! order, its laziness and its cycles. What differs from Node: ES modules and data files named by a
//! `require` are evaluated before the first body runs; a specifier must be a string literal somewhere
//! in the file; and a `require` that can't be resolved throws when it is reached.

mod attributes;
mod cjs;
mod compile;
mod content;
mod decorators;
mod defines;
mod error;
mod graph;
mod legacy;
mod link;
mod mocks;
mod name;
mod options;
mod resolve;
mod scan;
mod snapshots;
mod source_map;
mod unsupported;
mod workspace;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub use error::{BuildError, BuildErrors, ErrorKind, SnippetLine};
pub use options::{Jsx, Options, Rule, TakenFor};
pub use snapshots::InlineSnapshot;
pub use source_map::{Position, SourceMaps, map_stack, snippet};

use base::artifact::Script;

/// What a build makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    pub script: Script,
    /// Every file that was read, absolute and sorted: sources, package.json and tsconfig.json files.
    pub inputs: Vec<PathBuf>,
    /// What the entry exports; `None` if its text does not tell all of it.
    pub exports: Option<BTreeSet<String>>,
}

/// Stack for the thread that parses, in bytes, tried in this order. The parser recurses over
/// nested source; pages that it does not touch cost nothing.
const STACKS_BYTES: [usize; 2] = [1 << 30, 128 << 20];

/// Builds the worker whose entry file is `entry`, relative to the app directory `root`.
pub fn build(root: &Path, entry: &Path, options: &Options) -> Result<Built, BuildErrors> {
    on_a_deep_stack(|| graph::build(root, entry, options))
}

/// Builds the worker that a file of tests becomes: its entry, which is written here, hands the file
/// to the platform's test runner. `globals` makes its API global.
pub fn build_test(root: &Path, file: &Path, globals: bool, options: &Options) -> Result<Built, BuildErrors> {
    let options = Options { testing: true, ..options.clone() };
    on_a_deep_stack(|| graph::build_test(root, file, globals, &options))
}

/// Writes inline snapshots into the text of a file of tests, and touches nothing else of it. An error
/// says why one of them has no place there.
pub fn write_snapshots(name: &str, text: &str, snapshots: &[InlineSnapshot]) -> Result<String, String> {
    on_a_deep_stack(|| snapshots::write(name, text, snapshots))
}

/// Strips types and JSX from a single file; `name` gives its language by its extension. Returns
/// the JavaScript and, when the text changed, a source map (version 3, JSON).
pub fn strip(name: &str, source: &str) -> Result<(String, Option<String>), BuildErrors> {
    on_a_deep_stack(|| compile::strip(name, source))
}

fn on_a_deep_stack<T: Send>(work: impl Fn() -> T + Sync) -> T {
    std::thread::scope(|scope| {
        for stack in STACKS_BYTES {
            let builder = std::thread::Builder::new().name("script-build".into()).stack_size(stack);
            if let Ok(thread) = builder.spawn_scoped(scope, &work) {
                return thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            }
        }
        work()
    })
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
