//! `expected.toml`: the directories that are run, what is left out of them, and each known failure
//! with its reason.
//!
//! Only the part of TOML that the file needs is read: tables in arrays (`[[known]]`), and keys whose
//! values are numbers, strings or arrays of strings, written as JSON would have them.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// Stands for the file as a whole: its harness, its time, its instance.
pub const WHOLE: &str = "(the file as a whole)";

#[derive(Debug, Default)]
pub struct Expected {
    pub directories: Vec<Directory>,
    pub skips: Vec<Skip>,
    pub known: Vec<Known>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Directory {
    pub name: String,
    /// Subtests that must pass, where that has been promised.
    pub bar: Option<u64>,
}

/// Files that are not run at all.
#[derive(Debug, PartialEq, Eq)]
pub struct Skip {
    pub files: Vec<String>,
    pub reason: String,
}

/// Failures of one file, in all its variants.
#[derive(Debug, PartialEq, Eq)]
pub struct Known {
    pub file: String,
    /// Names of subtests; one `*` stands for any characters.
    pub tests: Vec<String>,
    pub reason: String,
}

impl Expected {
    pub fn parse(text: &str) -> Result<Self> {
        let mut expected = Self::default();
        for table in tables(text)? {
            match table.name.as_str() {
                "directory" => {
                    let bar = table.find("bar").map(|bar| bar.as_u64().context("bar is a number")).transpose()?;
                    expected.directories.push(Directory { name: table.string("name")?, bar });
                }
                "skip" => {
                    let skip = Skip { files: table.strings("files")?, reason: table.reason()? };
                    expected.skips.push(skip);
                }
                "known" => {
                    let tests = table.strings("tests")?;
                    expected.known.push(Known { file: table.string("file")?, tests, reason: table.reason()? });
                }
                other => bail!("line {}: there is no table {other:?}: directory, skip or known", table.line),
            }
        }
        Ok(expected)
    }

    pub fn leaves_out(&self, file: &str) -> bool {
        self.skips.iter().flat_map(|skip| &skip.files).any(|pattern| matches(pattern, file))
    }
}

/// Whether `name` is what `pattern` says, one `*` in it standing for any characters.
pub fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail),
    }
}

struct Table {
    name: String,
    line: usize,
    fields: Vec<(String, Value)>,
}

impl Table {
    fn find(&self, key: &str) -> Option<&Value> {
        self.fields.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    fn string(&self, key: &str) -> Result<String> {
        let value = self.find(key).and_then(Value::as_str);
        value.map(str::to_owned).with_context(|| format!("line {}: [[{}]] wants {key} = \"…\"", self.line, self.name))
    }

    fn strings(&self, key: &str) -> Result<Vec<String>> {
        let values = self.find(key).and_then(Value::as_array);
        let strings = values.and_then(|values| values.iter().map(|v| v.as_str().map(str::to_owned)).collect());
        strings.with_context(|| format!("line {}: [[{}]] wants {key} = [\"…\"]", self.line, self.name))
    }

    fn reason(&self) -> Result<String> {
        let reason = self.string("reason")?;
        if reason.is_empty() {
            bail!("line {}: an exception without a reason is none", self.line);
        }
        Ok(reason)
    }
}

fn tables(text: &str) -> Result<Vec<Table>> {
    let mut tables: Vec<Table> = Vec::new();
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    while let Some((number, line)) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("[[").and_then(|line| line.strip_suffix("]]")) {
            tables.push(Table { name: name.to_owned(), line: number, fields: vec![] });
            continue;
        }
        let (key, value) = line.split_once(" = ").with_context(|| format!("line {number}: a key has a value"))?;
        let mut value = value.to_owned();
        if value == "[" {
            let items = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "]");
            let items: Vec<&str> = items.filter(|line| !line.starts_with('#')).collect();
            value = format!("[{}]", items.join("\n").trim_end_matches(','));
        }
        let value = serde_json::from_str(&value).with_context(|| format!("line {number}: the value of {key}"))?;
        let table = tables.last_mut().with_context(|| format!("line {number}: {key} is in no table"))?;
        table.fields.push((key.to_owned(), value));
    }
    Ok(tables)
}
