//! A configuration file as a tree of values with their places, whatever its syntax. The readers of
//! `selvedge.toml` and of wrangler's files stand on it.

use std::ops::Range;

use crate::bounds::MANIFEST_BYTES;
use crate::report::{Diagnostic, Problems, Report, SourceFile, code};

mod jsonc;
mod toml;

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub span: Range<usize>,
    pub value: Value,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    String(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
    Null,
    /// TOML has dates; nothing in a manifest takes one.
    Date,
    Array(Vec<Node>),
    Table(Table),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    pub entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub key: String,
    pub key_span: Range<usize>,
    pub node: Node,
}

impl Table {
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|e| e.key == key)
    }

    pub fn take(&mut self, key: &str) -> Option<Entry> {
        let at = self.entries.iter().position(|e| e.key == key)?;
        Some(self.entries.remove(at))
    }

    /// Replaces the entry of the same key, or adds it.
    pub fn set(&mut self, entry: Entry) {
        match self.entries.iter_mut().find(|e| e.key == entry.key) {
            Some(old) => *old = entry,
            None => self.entries.push(entry),
        }
    }
}

impl Value {
    /// The value's type, with its article, as messages call it.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::String(_) => "a string",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a number",
            Value::Bool(_) => "a boolean",
            Value::Null => "null",
            Value::Date => "a date",
            Value::Array(_) => "an array",
            Value::Table(_) => "a table",
        }
    }

    /// True for what says nothing: null, false, and what is empty.
    pub fn is_empty(&self) -> bool {
        match self {
            Value::Null | Value::Bool(false) => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Table(table) => table.entries.is_empty(),
            _ => false,
        }
    }
}

impl Node {
    /// The value as JSON; none if it holds a date or a number that JSON has not.
    pub fn to_json(&self) -> Option<serde_json::Value> {
        use serde_json::Value as Json;
        Some(match &self.value {
            Value::String(text) => Json::String(text.clone()),
            Value::Integer(n) => Json::from(*n),
            Value::Float(n) => Json::Number(serde_json::Number::from_f64(*n)?),
            Value::Bool(b) => Json::Bool(*b),
            Value::Null => Json::Null,
            Value::Date => return None,
            Value::Array(items) => Json::Array(items.iter().map(Node::to_json).collect::<Option<_>>()?),
            Value::Table(table) => {
                let pairs = table.entries.iter().map(|e| Some((e.key.clone(), e.node.to_json()?)));
                Json::Object(pairs.collect::<Option<_>>()?)
            }
        })
    }
}

/// The syntax of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Syntax {
    Toml,
    Jsonc,
}

/// Parses a file into its root table, or says where it can't be parsed.
pub(crate) fn parse(file: &SourceFile, syntax: Syntax) -> Result<Table, Report> {
    let mut problems = Problems::new(file);
    let text = file.text();
    if text.len() as u64 > MANIFEST_BYTES.max {
        let message = format!("the file has {} bytes; at most {} (manifest_bytes)", text.len(), MANIFEST_BYTES.max);
        // Without a place: nobody wants to see a line of a file of this size.
        return Err(Diagnostic::new(code::TOO_LARGE, format!("{}: {message}", file.path())).into());
    }
    match syntax {
        Syntax::Toml => toml::parse(text, &mut problems),
        Syntax::Jsonc => jsonc::parse(text, &mut problems),
    }
    .ok_or(problems.report)
}

#[cfg(test)]
mod tests;
