//! What of the platform a worker's bindings take, so that its image holds it. What its source names
//! is found by the engine; what stands here follows from the manifest.

use base::artifact::{Module, ModuleKind, Script};
use base::builtin;
use manifest::{Grant, WorkerPlan};

/// Members of a binding that are no methods of the worker behind it.
const OWN: [&str; 2] = ["fetch", "connect"];

/// Members of a KV namespace that are a feature.
const KV_MORE: [&str; 3] = ["add", "atomic", "watch"];

/// Names in the artifact what its bindings take. What this does not find works too, and is loaded
/// at run time.
pub(super) fn mark(worker: &WorkerPlan, script: &mut Script) {
    for binding in &worker.bindings {
        if let Some(feature) = feature_of(&binding.grant) {
            name(script, feature);
        }
    }
    let is_worker = |grant: &Grant| matches!(grant, Grant::Worker { .. });
    if calls(worker, script, is_worker, |member| !OWN.contains(&member)) {
        name(script, builtin::CALLS);
    }
    let is_kv = |grant: &Grant| matches!(grant, Grant::Kv { .. });
    if calls(worker, script, is_kv, |member| KV_MORE.contains(&member)) {
        name(script, builtin::KV_MORE);
    }
}

/// Whether a source says a wanted member of a binding of some kind.
fn calls(
    worker: &WorkerPlan,
    script: &Script,
    of: impl Fn(&Grant) -> bool,
    wanted: impl Fn(&str) -> bool + Copy,
) -> bool {
    let bound = worker.bindings.iter().filter(|binding| of(&binding.grant));
    let names: Vec<&str> = bound.map(|binding| binding.name.as_str()).collect();
    let sources = script.modules.iter().filter(|m| matches!(m.kind, ModuleKind::Js | ModuleKind::Classic));
    sources
        .map(|m| String::from_utf8_lossy(&m.source))
        .any(|source| names.iter().any(|name| is_called(&source, name, wanted)))
}

/// The feature that a binding always takes, as a specifier of the platform: `features:NAME`.
fn feature_of(grant: &Grant) -> Option<&'static str> {
    match grant {
        Grant::Blob { .. } => Some("features:blobs"),
        Grant::Object { .. } => Some(builtin::OBJECTS),
        Grant::Postgres { .. } => Some(builtin::POSTGRES),
        // What these take is in every image, or depends on the source.
        Grant::Sql { .. } => Some(builtin::SQL),
        Grant::Kv { .. }
        | Grant::Secret { .. }
        | Grant::Config { .. }
        | Grant::Worker { .. }
        | Grant::Assets { .. } => None,
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

/// Whether a source says `NAME.member`, with a member that is wanted.
fn is_called(source: &str, name: &str, wanted: impl Fn(&str) -> bool) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    source.match_indices(name).any(|(at, _)| {
        let (before, after) = (&source[..at], source[at + name.len()..].trim_start());
        let after = after.strip_prefix('?').unwrap_or(after);
        let Some(member) = after.strip_prefix('.').filter(|_| !before.ends_with(is_part)) else { return false };
        let member = member.trim_start();
        let end = member.find(|c| !is_part(c)).unwrap_or(member.len());
        end > 0 && wanted(&member[..end])
    })
}

#[cfg(test)]
mod tests;
