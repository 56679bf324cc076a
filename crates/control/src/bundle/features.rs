//! What of the platform a worker's bindings take, so that its image holds it. What its source names
//! is found by the engine; what stands here follows from the manifest.

use base::artifact::{Module, ModuleKind, Script};
use base::builtin;
use manifest::{Grant, WorkerPlan};

/// Members of a binding that are no methods of the worker behind it.
const OWN: [&str; 2] = ["fetch", "connect"];

/// Names in the artifact what its bindings take. What this does not find works too, and is loaded
/// at run time.
pub(super) fn mark(worker: &WorkerPlan, script: &mut Script) {
    for binding in &worker.bindings {
        if let Some(feature) = feature_of(&binding.grant) {
            name(script, feature);
        }
    }
    let bound = worker.bindings.iter().filter(|binding| matches!(binding.grant, Grant::Worker { .. }));
    let names: Vec<&str> = bound.map(|binding| binding.name.as_str()).collect();
    let sources = script.modules.iter().filter(|m| matches!(m.kind, ModuleKind::Js | ModuleKind::Classic));
    let calls = sources
        .map(|m| String::from_utf8_lossy(&m.source))
        .any(|source| names.iter().any(|name| is_called(&source, name)));
    if calls {
        name(script, builtin::CALLS);
    }
}

/// The feature that a binding always takes, as a specifier of the platform: `features:NAME`.
fn feature_of(grant: &Grant) -> Option<&'static str> {
    match grant {
        Grant::Blob { .. } => Some("features:blobs"),
        Grant::Object { .. } => Some(builtin::OBJECTS),
        // What these take is in every image, or depends on the source.
        Grant::Sql { .. } => Some(builtin::SQL),
        Grant::Kv { .. } | Grant::Secret { .. } | Grant::Worker { .. } | Grant::Assets { .. } => None,
    }
}

fn name(script: &mut Script, feature: &str) {
    if script.modules.iter().any(|module| module.kind == ModuleKind::Builtin && module.name == feature) {
        return;
    }
    script.modules.push(Module {
        name: feature.to_owned(),
        kind: ModuleKind::Builtin,
        source: Vec::new(),
        imports: Vec::new(),
        source_map: None,
    });
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
