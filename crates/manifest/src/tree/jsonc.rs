//! JSON with comments and trailing commas, and nothing beyond.

use std::ops::Range;

use jsonc_parser::common::Ranged;
use jsonc_parser::{ParseOptions, ast, parse_to_ast};

use super::{Entry, Node, Table, Value};
use crate::report::{Problems, code};

/// How deep values may nest: the same bound that the TOML reader has.
const DEPTH_MAX: usize = 80;

pub(super) fn parse(text: &str, problems: &mut Problems) -> Option<Table> {
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    // A byte order mark is what Windows editors leave; the places after it must stay right.
    let blank = text.strip_prefix('\u{feff}').map(|rest| format!("   {rest}"));
    let root = match parse_to_ast(blank.as_deref().unwrap_or(text), &Default::default(), &options) {
        Ok(parsed) => parsed.value.map(|value| node(&value, 0, problems)),
        Err(error) => {
            let range = error.range();
            let message = lower_first(&error.kind().to_string());
            problems.add(code::SYNTAX, &(range.start..range.end), format!("this is not JSON: {message}"));
            return None;
        }
    };
    match root {
        Some(Node { value: Value::Table(table), .. }) if problems.report.problems.is_empty() => Some(table),
        Some(Node { value: Value::Table(_), .. }) => None,
        Some(Node { span, value }) => {
            problems.add(code::WRONG_TYPE, &span, format!("the file must hold an object, not {}", value.kind()));
            None
        }
        None => {
            problems.add(code::SYNTAX, &(0..text.len().min(1)), "the file is empty").help =
                Some("the least that is valid is: { \"name\": \"my-app\", \"main\": \"src/index.ts\" }".to_owned());
            None
        }
    }
}

fn node(from: &ast::Value<'_>, depth: usize, problems: &mut Problems) -> Node {
    let range = from.range();
    let span = range.start..range.end;
    if depth > DEPTH_MAX {
        if problems.report.problems.is_empty() {
            let message = format!("values nest deeper than {DEPTH_MAX}");
            problems.add(code::TOO_LARGE, &(span.start..span.start + 1), message);
        }
        return Node { span, value: Value::Null };
    }
    let value = match from {
        ast::Value::StringLit(v) => Value::String(v.value.clone().into_owned()),
        ast::Value::BooleanLit(v) => Value::Bool(v.value),
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::NumberLit(v) => number(v.value),
        ast::Value::Array(v) => Value::Array(v.elements.iter().map(|e| node(e, depth + 1, problems)).collect()),
        ast::Value::Object(v) => Value::Table(object(v, depth, problems)),
    };
    Node { span, value }
}

fn object(from: &ast::Object<'_>, depth: usize, problems: &mut Problems) -> Table {
    let mut seen: std::collections::HashMap<&str, Range<usize>> = std::collections::HashMap::new();
    let mut entries = Vec::with_capacity(from.properties.len());
    for property in &from.properties {
        let key = property.name.as_str();
        let range = property.name.range();
        let key_span = range.start..range.end;
        if let Some(first) = seen.get(key) {
            let problem = problems.add(code::SYNTAX, &key_span, format!("`{key}` stands twice in this object"));
            problem.also = Some((first.clone(), "first here".to_owned()));
            continue;
        }
        seen.insert(key, key_span.clone());
        entries.push(Entry { key: key.to_owned(), key_span, node: node(&property.value, depth + 1, problems) });
    }
    Table { entries }
}

fn number(text: &str) -> Value {
    match text.parse::<i64>() {
        Ok(n) => Value::Integer(n),
        Err(_) => Value::Float(text.parse().unwrap_or(f64::INFINITY)),
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}
