//! Whether a worker calls methods of others, so that its image holds what that takes.

use base::artifact::{Module, ModuleKind, Script};
use base::builtin;
use manifest::{Grant, WorkerPlan};

/// Members of a binding that are no methods of the worker behind it.
const OWN: [&str; 2] = ["fetch", "connect"];

/// Names what calls take in the artifact of a worker that makes some. A call that this does not
/// find works too, and has it loaded at run time.
pub(super) fn mark(worker: &WorkerPlan, script: &mut Script) {
    let bound = worker.bindings.iter().filter(|binding| matches!(binding.grant, Grant::Worker { .. }));
    let names: Vec<&str> = bound.map(|binding| binding.name.as_str()).collect();
    let sources = script.modules.iter().filter(|m| matches!(m.kind, ModuleKind::Js | ModuleKind::Classic));
    let calls = sources
        .map(|m| String::from_utf8_lossy(&m.source))
        .any(|source| names.iter().any(|name| is_called(&source, name)));
    if calls {
        let name = builtin::CALLS.to_owned();
        script.modules.push(Module {
            name,
            kind: ModuleKind::Builtin,
            source: Vec::new(),
            imports: Vec::new(),
            source_map: None,
        });
    }
}

/// Whether a source says `NAME.method`, with any method but `fetch`.
fn is_called(source: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    source.match_indices(name).any(|(at, _)| {
        let (before, after) = (&source[..at], source[at + name.len()..].trim_start());
        let after = after.strip_prefix('?').unwrap_or(after);
        let Some(member) = after.strip_prefix('.').filter(|_| !before.ends_with(is_part)) else { return false };
        let member = member.trim_start();
        let end = member.find(|c| !is_part(c)).unwrap_or(member.len());
        end > 0 && !OWN.contains(&&member[..end])
    })
}

#[cfg(test)]
mod tests;
