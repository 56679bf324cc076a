//! Words that no file may hold.

#[cfg(test)]
mod tests;

use super::{Finding, rust};
use crate::repo::Text;

/// The files that may hold `unsafe`, each in one small module, with its argument beside each block.
pub const UNSAFE: [&str; 2] = ["crates/engine/src/cache.rs", "crates/selvedge/src/start_code.rs"];

/// How far above an `unsafe` block its SAFETY comment may begin.
const SAFETY_LINES_ABOVE: usize = 8;

/// Files that must hold the words they look for.
const ABOUT_WORDS: [&str; 2] = ["xtask/src/tidy/words.rs", "xtask/src/tidy/words/tests.rs"];

/// What is not finished, and what was left behind, with what to do about it.
const UNFINISHED: [(&str, &str); 4] = [
    ("todo!", "finish it, or leave it out"),
    ("unimplemented!", "finish it, or leave it out"),
    ("dbg!", "remove it"),
    ("#[ignore", "a test runs or is deleted; what a machine may lack is named by `cargo xtask test`"),
];

/// How a code block in a doc comment opens that rustdoc would compile.
const DOCTESTS: [&str; 6] = ["", "rust", "no_run", "should_panic", "compile_fail", "ignore"];

/// Folders of one machine. A path counts where it begins: `example.com/home/x` is none.
const MACHINE_PATHS: [&str; 5] = ["/root", "/home/", "/Users/", "/work/", "/tmp/"];

/// Where packages come from is the machine's affair.
const REGISTRY_SETTINGS: [&str; 5] = ["index-url", "registry=http", "registry = \"http", "[source.", "replace-with"];
const PUBLIC_SOURCES: [&str; 2] =
    ["registry+https://github.com/rust-lang/crates.io-index", "https://registry.npmjs.org/"];

pub fn check(text: &Text) -> Vec<Finding> {
    if ABOUT_WORDS.contains(&text.path.as_str()) {
        return Vec::new();
    }
    let mut findings = check_machine(text);
    if text.path.ends_with(".rs") {
        let code = rust::code_only(&text.content);
        findings.extend(check_code(&text.path, &code));
        findings.extend(check_unsafe(text, &code));
        findings.extend(check_examples(text));
    }
    findings
}

fn check_machine(text: &Text) -> Vec<Finding> {
    let lines = text.content.lines().enumerate();
    let messages = lines.filter_map(|(index, line)| {
        if let Some(path) = MACHINE_PATHS.into_iter().find(|path| begins_a_path(line, path)) {
            Some((
                index + 1,
                format!("holds a path of one machine ({path}): use a relative path or a temporary folder"),
            ))
        } else if names_registry(&text.path, line) {
            Some((index + 1, "names a package registry: leave that to the machine's own settings".to_owned()))
        } else {
            None
        }
    });
    messages.map(|(line, message)| Finding::new(&text.path, line, message)).collect()
}

fn begins_a_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let continues =
            |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '~' | '}' | ')' | '>' | '$');
        let after = &line[at + path.len()..];
        let whole = match path.ends_with('/') {
            true => after.starts_with(|c: char| c.is_alphanumeric() || c == '.' || c == '_'),
            false => !after.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.')),
        };
        !line[..at].ends_with(continues) && whole
    })
}

fn names_registry(path: &str, line: &str) -> bool {
    let line = line.trim_start();
    let source = match path.rsplit('/').next() {
        Some("Cargo.lock") => line.strip_prefix("source = \""),
        Some("package-lock.json") => line.strip_prefix("\"resolved\": \""),
        _ => return REGISTRY_SETTINGS.into_iter().any(|setting| line.starts_with(setting)),
    };
    source.is_some_and(|source| !PUBLIC_SOURCES.into_iter().any(|public| source.starts_with(public)))
}

fn check_code(path: &str, code: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in code.lines().enumerate() {
        for (word, advice) in UNFINISHED.into_iter().filter(|(word, _)| line.contains(word)) {
            findings.push(Finding::new(path, index + 1, format!("holds `{word}`: {advice}")));
        }
        if let Some(name) = manager(line) {
            let message = format!("`{name}` says nothing of what it does: use the field's own word");
            findings.push(Finding::new(path, index + 1, message));
        }
    }
    findings
}

/// The name of a type declared on this line that ends in Manager.
fn manager(line: &str) -> Option<&str> {
    let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    words.find(|word| matches!(*word, "struct" | "enum" | "trait" | "type"))?;
    words.next().filter(|name| name.ends_with("Manager"))
}

fn check_unsafe(text: &Text, code: &str) -> Vec<Finding> {
    if !text.path.starts_with("crates/") && !text.path.starts_with("xtask/") {
        return Vec::new();
    }
    let said: Vec<&str> = text.content.lines().collect();
    let lines = code.lines().enumerate().filter(|(_, line)| rust::has_word(line, "unsafe"));
    let findings = lines.filter_map(|(index, _)| {
        let message = if !UNSAFE.contains(&text.path.as_str()) {
            "is unsafe: do without, or make it one small module named in UNSAFE (xtask/src/tidy/words.rs)"
        } else if !said[index.saturating_sub(SAFETY_LINES_ABOVE)..index].iter().any(|line| line.contains("SAFETY:")) {
            "is unsafe without a `// SAFETY:` argument above it"
        } else {
            return None;
        };
        Some(Finding::new(&text.path, index + 1, message))
    });
    findings.collect()
}

/// The test run has no doctests, which link a program each; so an example is a test, or is prose.
fn check_examples(text: &Text) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut open = false;
    for (index, line) in text.content.lines().enumerate() {
        let line = line.trim_start();
        let said = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
        let Some(info) = said.and_then(|said| said.trim_start().strip_prefix("```")) else { continue };
        let language = info.split([',', ' ']).next().unwrap_or_default();
        if !open && DOCTESTS.contains(&language) {
            let message = "holds a doctest, which no test run builds: make it a test, or mark the block as `text`";
            findings.push(Finding::new(&text.path, index + 1, message));
        }
        open = !open;
    }
    findings
}
