//! What every crate has, and what no file is called.

#[cfg(test)]
mod tests;

use super::graph::Crate;
use super::{Finding, rust};
use crate::repo::Text;

/// Names that say nothing of what a file holds.
const VAGUE: [&str; 7] = ["util", "utils", "common", "helpers", "misc", "types", "mod"];

/// The one file that joins engines and providers to the rest, and the crates only it may name.
const WIRE: &str = "crates/selvedge/src/wire.rs";
const WIRED: [&str; 2] = ["engine", "services_local"];

pub fn check(crates: &[Crate], texts: &[Text]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = crates.iter().flat_map(|one| check_crate(one, texts)).collect();
    for text in texts.iter().filter(|text| text.path.ends_with(".rs")) {
        findings.extend(check_file_name(&text.path));
        findings.extend(check_wire(text));
    }
    findings
}

fn check_crate(one: &Crate, texts: &[Text]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let inside = format!("{}/", one.folder);
    let files = || texts.iter().filter(|text| text.path.starts_with(&inside));
    let file = |name: &str| files().find(|text| text.path == format!("{inside}{name}"));

    let roots = ["src/lib.rs", "src/main.rs"].into_iter().filter_map(file);
    for root in roots.filter(|root| !root.content.starts_with("//!")) {
        let message =
            "opens with no `//!`: say what the crate is, what it is not, and where it sits on the path of a request";
        findings.push(Finding::new(&root.path, 1, message));
    }
    let tested = |text: &Text| text.path.ends_with(".rs") && text.content.lines().any(is_test_attribute);
    if !files().any(tested) {
        findings.push(Finding::new(
            &one.manifest(),
            0,
            format!("`{}` has no test: a crate comes with its tests", one.name),
        ));
    }
    if let Some(manifest) = file("Cargo.toml")
        && !manifest.content.contains("[lints]\nworkspace = true")
        && !super::words::UNSAFE.iter().any(|path| path.starts_with(&inside))
    {
        findings.push(Finding::new(
            &manifest.path,
            0,
            "takes no lints from the workspace: add `[lints]`, `workspace = true`",
        ));
    }
    findings
}

fn is_test_attribute(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("#[test]") || line.starts_with("#[tokio::test") || line.starts_with("proptest!")
}

fn check_file_name(path: &str) -> Option<Finding> {
    let name = path.rsplit('/').next()?.strip_suffix(".rs")?;
    let message = match name {
        "mod" => "module files are called after the module: foo.rs, with foo/ beside it".to_owned(),
        _ => format!("`{name}` says nothing of what is inside: name the thing it holds"),
    };
    VAGUE.contains(&name).then(|| Finding::new(path, 0, message))
}

fn check_wire(text: &Text) -> Vec<Finding> {
    if !text.path.starts_with("crates/selvedge/src/") || text.path == WIRE {
        return Vec::new();
    }
    let code = rust::code_only(&text.content);
    let lines = code.lines().enumerate();
    let named = lines.flat_map(|(index, line)| {
        let wired = WIRED.into_iter().filter(move |name| names_crate(line, name));
        wired.map(move |name| (index + 1, name))
    });
    let finding = |(line, name): (usize, &str)| {
        Finding::new(&text.path, line, format!("names `{name}`: only wire.rs knows engines and providers"))
    };
    named.map(finding).collect()
}

/// `engine::x` or `use engine…`, and not `wasmtime::engine::x` or `self.engine`.
fn names_crate(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = &line[..at];
        let after = &line[at + name.len()..];
        let starts = !before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '.'));
        let path = after.starts_with("::") || (before.trim_end().ends_with("use") && after.starts_with([';', ' ']));
        starts && path
    })
}
