//! Which files of the suite are tests, and what is run for each: its own source behind the scripts
//! that its `// META:` lines include, once for every variant.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::expected::Expected;

/// What a file may take, and what one that calls itself long may.
const TIMEOUT_MS: u64 = 20_000;
const TIMEOUT_LONG_MS: u64 = 60_000;

/// The suite's own library, and the name by which tests ask for the parser that it vendors.
pub const HARNESS: &str = "resources/testharness.js";
const PARSER: &str = "/resources/WebIDLParser.js";
const PARSER_FILE: &str = "resources/webidl2/lib/webidl2.js";

/// One test file in one of its variants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    pub directory: String,
    /// From the suite's root.
    pub file: String,
    /// `?…`, or empty.
    pub search: String,
    pub timeout_ms: u64,
    /// The files to run, in order, the test itself last.
    pub scripts: Vec<String>,
}

impl Test {
    /// What the worker in `conformance/wpt/suite.js` is given.
    pub fn body(&self, root: &Path, harness: &str) -> Result<String> {
        let mut source = String::new();
        for (index, script) in self.scripts.iter().enumerate() {
            let text = read(root, script)?;
            if index + 1 == self.scripts.len() && is_strict(&text) {
                source.insert_str(0, "'use strict';\n");
            }
            source.push_str(&text);
            source.push('\n');
        }
        let body = serde_json::json!({
            "file": self.file, "search": self.search, "timeoutMs": self.timeout_ms, "harness": harness, "source": source,
        });
        Ok(body.to_string())
    }
}

pub fn read(root: &Path, file: &str) -> Result<String> {
    let path = root.join(file);
    let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Every test of the expected directories that is not left out, in order.
pub fn find(root: &Path, expected: &Expected, only: &[String]) -> Result<Vec<Test>> {
    let mut tests = Vec::new();
    for directory in &expected.directories {
        let mut files = Vec::new();
        list(&root.join(&directory.name), &directory.name, &mut files)?;
        files.sort();
        for file in files {
            if is_test(&file) && wanted(&file, only) && !expected.leaves_out(&file) {
                tests.extend(variants(&directory.name, &file, &read(root, &file)?));
            }
        }
    }
    Ok(tests)
}

fn list(folder: &Path, name: &str, files: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry?;
        let inside = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &inside, files)?;
        } else {
            files.push(inside);
        }
    }
    Ok(())
}

/// Tests that are scripts alone; pages need a browser.
fn is_test(file: &str) -> bool {
    file.ends_with(".any.js") || file.ends_with(".window.js")
}

fn wanted(file: &str, only: &[String]) -> bool {
    let within = |only: &String| file == only || file.strip_prefix(only.as_str()).is_some_and(|s| s.starts_with('/'));
    only.is_empty() || only.iter().any(within)
}

/// Reads the `// META:` lines.
pub fn variants(directory: &str, file: &str, text: &str) -> Vec<Test> {
    let (mut scripts, mut searches, mut timeout_ms) = (Vec::new(), Vec::new(), TIMEOUT_MS);
    for line in text.lines() {
        let Some((key, value)) = line.strip_prefix("// META: ").and_then(|meta| meta.split_once('=')) else { continue };
        match key {
            "script" => scripts.push(resolve(file, value.trim())),
            "variant" => searches.push(value.trim().to_owned()),
            "timeout" => timeout_ms = TIMEOUT_LONG_MS,
            _ => {}
        }
    }
    scripts.push(file.to_owned());
    if searches.is_empty() {
        searches.push(String::new());
    }
    let variant = |search| Test {
        directory: directory.to_owned(),
        file: file.to_owned(),
        search,
        timeout_ms,
        scripts: scripts.clone(),
    };
    searches.into_iter().map(variant).collect()
}

/// The path from the root of a script that `file` includes.
fn resolve(file: &str, script: &str) -> String {
    if script == PARSER {
        return PARSER_FILE.to_owned();
    }
    if let Some(absolute) = script.strip_prefix('/') {
        return absolute.to_owned();
    }
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in script.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Whether the first statement is the directive.
fn is_strict(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with("//"));
    first.is_some_and(|line| line.starts_with("'use strict'") || line.starts_with("\"use strict\""))
}
