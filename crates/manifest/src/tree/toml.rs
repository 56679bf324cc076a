//! TOML, by `toml_edit`, which keeps the places.

use toml_edit::{Document, InlineTable, Item};

use super::{Entry, Node, Table, Value};
use crate::report::{Problems, code};

pub(super) fn parse(text: &str, problems: &mut Problems) -> Option<Table> {
    match Document::parse(text) {
        Ok(document) => Some(table(document.as_table())),
        Err(error) => {
            let span = error.span().unwrap_or(0..0);
            problems.add(code::SYNTAX, &span, format!("this is not TOML: {}", error.message().trim()));
            None
        }
    }
}

fn table(from: &toml_edit::Table) -> Table {
    let keyed = from.iter().filter_map(|(key, _)| from.get_key_value(key));
    Table { entries: keyed.filter_map(|(key, item)| entry(key, item)).collect() }
}

fn inline_table(from: &InlineTable) -> Table {
    let keyed = from.iter().filter_map(|(key, _)| from.get_key_value(key));
    Table { entries: keyed.filter_map(|(key, item)| entry(key, item)).collect() }
}

fn entry(key: &toml_edit::Key, item: &Item) -> Option<Entry> {
    let key_span = key.span().unwrap_or_default();
    // A table that only its children's headers imply has no place but its name's.
    let span = item.span().unwrap_or_else(|| key_span.clone());
    let value = match item {
        Item::None => return None,
        Item::Value(v) => value(v),
        Item::Table(t) => Value::Table(table(t)),
        Item::ArrayOfTables(tables) => Value::Array(
            tables
                .iter()
                .map(|t| Node { span: t.span().unwrap_or_else(|| span.clone()), value: Value::Table(table(t)) })
                .collect(),
        ),
    };
    Some(Entry { key: key.get().to_owned(), key_span, node: Node { span, value } })
}

fn value(from: &toml_edit::Value) -> Value {
    match from {
        toml_edit::Value::String(v) => Value::String(v.value().clone()),
        toml_edit::Value::Integer(v) => Value::Integer(*v.value()),
        toml_edit::Value::Float(v) => Value::Float(*v.value()),
        toml_edit::Value::Boolean(v) => Value::Bool(*v.value()),
        toml_edit::Value::Datetime(_) => Value::Date,
        toml_edit::Value::Array(items) => {
            Value::Array(items.iter().map(|v| Node { span: v.span().unwrap_or_default(), value: value(v) }).collect())
        }
        toml_edit::Value::InlineTable(t) => Value::Table(inline_table(t)),
    }
}
