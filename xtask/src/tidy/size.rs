//! How long a file and a function may be. What was longer when the rule came stands in the ratchet
//! file with its length: it may shrink, and nothing may join it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context as _, Result};

use super::{Finding, RATCHET, rust};
use crate::repo::Text;

/// A file should fit a head, a function a screen.
const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;

/// Files that people write and read as programs.
const SOURCES: [&str; 8] = [".rs", ".ts", ".js", ".mjs", ".c", ".h", ".py", ".css"];

/// Something longer than the rule, by its name in the ratchet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LongThing {
    name: String,
    path: String,
    line: usize,
    lines: usize,
    max: usize,
}

/// The exceptions: `path` or `path::function`, and how long each may be.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ratchet(BTreeMap<String, usize>);

impl Ratchet {
    pub fn parse(text: &str) -> Result<Self> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let entries = lines.map(|line| {
            let (name, length) = line.rsplit_once(' ').with_context(|| format!("{RATCHET}: no length in {line:?}"))?;
            let length = length.parse().with_context(|| format!("{RATCHET}: no length in {line:?}"))?;
            Ok((name.trim_end().to_owned(), length))
        });
        entries.collect::<Result<_>>().map(Self)
    }

    pub fn lowered(&self, things: &[LongThing]) -> Self {
        let kept = self.0.iter().filter_map(|(name, allowed)| {
            let lines = longest(things, name)?;
            Some((name.clone(), lines.min(*allowed)))
        });
        Self(kept.collect())
    }
}

impl fmt::Display for Ratchet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# What is longer than the rule allows, and how long it may be. `cargo xtask tidy` holds it;")?;
        writeln!(f, "# `cargo xtask tidy --ratchet` lowers it. Nothing is added.")?;
        self.0.iter().try_for_each(|(name, lines)| writeln!(f, "{name} {lines}"))
    }
}

pub fn check(texts: &[Text], ratchet: &Ratchet) -> Vec<Finding> {
    let things = long_things(texts);
    let mut findings: Vec<Finding> = things.iter().filter_map(|thing| too_long(thing, ratchet)).collect();
    for (name, allowed) in &ratchet.0 {
        if longest(&things, name).is_none_or(|lines| lines < *allowed) {
            let message = format!("`{name}` has shrunk below {allowed} lines: run `cargo xtask tidy --ratchet`");
            findings.push(Finding::new(RATCHET, 0, message));
        }
    }
    findings
}

fn too_long(thing: &LongThing, ratchet: &Ratchet) -> Option<Finding> {
    let LongThing { name, lines, max, .. } = thing;
    let message = match ratchet.0.get(name) {
        Some(allowed) if lines <= allowed => return None,
        Some(allowed) => format!("`{name}` has grown from {allowed} to {lines} lines, and may only shrink: split it"),
        None => format!("`{name}` has {lines} lines, and {max} are allowed: split it"),
    };
    Some(Finding::new(&thing.path, thing.line, message))
}

/// The longest thing of that name: two functions of one name in a file share an entry.
fn longest(things: &[LongThing], name: &str) -> Option<usize> {
    things.iter().filter(|thing| thing.name == name).map(|thing| thing.lines).max()
}

pub fn long_things(texts: &[Text]) -> Vec<LongThing> {
    let sources = texts.iter().filter(|text| SOURCES.iter().any(|end| text.path.ends_with(end)));
    sources.filter(|text| !is_generated(&text.content)).flat_map(long_in).collect()
}

fn long_in(text: &Text) -> Vec<LongThing> {
    let mut things = Vec::new();
    let path = &text.path;
    let lines = text.content.lines().count();
    if lines > FILE_LINES_MAX {
        things.push(LongThing { name: path.clone(), path: path.clone(), line: 0, lines, max: FILE_LINES_MAX });
    }
    if path.ends_with(".rs") {
        let functions = rust::functions(&rust::code_only(&text.content));
        things.extend(functions.into_iter().filter(|function| function.lines > FUNCTION_LINES_MAX).map(|function| {
            LongThing {
                name: format!("{path}::{}", function.name),
                path: path.clone(),
                line: function.line,
                lines: function.lines,
                max: FUNCTION_LINES_MAX,
            }
        }));
    }
    things
}

fn is_generated(content: &str) -> bool {
    content.lines().take(5).any(|line| line.contains("@generated"))
}
