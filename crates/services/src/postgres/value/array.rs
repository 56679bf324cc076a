//! Array literals: `{1,NULL,"a \"b\"",{2}}` (PostgreSQL's documentation, section 8.15).

use std::fmt::Write as _;

use super::Value;

/// The server has no more.
const DIMENSIONS_MAX: usize = 6;

/// Reads the literal of an array; `element` reads what stands in it. `None` if it is none.
pub fn elements<'a>(text: &str, element: &mut dyn FnMut(String) -> Value<'a>) -> Option<Value<'a>> {
    // Bounds other than from 1 stand in front: [0:1]={1,2}.
    let body = if text.starts_with('[') { text.split_once('=')?.1 } else { text };
    let mut reader = Reader { rest: body, element };
    let value = reader.array(0)?;
    reader.rest.is_empty().then_some(value)
}

struct Reader<'t, 'e, 'a> {
    rest: &'t str,
    element: &'e mut dyn FnMut(String) -> Value<'a>,
}

impl<'a> Reader<'_, '_, 'a> {
    fn array(&mut self, depth: usize) -> Option<Value<'a>> {
        if depth == DIMENSIONS_MAX || !self.take('{') {
            return None;
        }
        let mut items = Vec::new();
        if self.take('}') {
            return Some(Value::Array(items));
        }
        loop {
            let item = match self.rest.chars().next()? {
                '{' => self.array(depth + 1)?,
                '"' => {
                    let text = self.quoted()?;
                    (self.element)(text)
                }
                _ => self.bare()?,
            };
            items.push(item);
            if self.take('}') {
                return Some(Value::Array(items));
            }
            if !self.take(',') {
                return None;
            }
        }
    }

    fn take(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn quoted(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.rest[1..].char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 2..];
                    return Some(text);
                }
                '\\' => text.push(chars.next()?.1),
                _ => text.push(c),
            }
        }
        None
    }

    fn bare(&mut self) -> Option<Value<'a>> {
        let end = self.rest.find([',', '}'])?;
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        match text {
            "NULL" => Some(Value::Null),
            _ => Some((self.element)(text.to_owned())),
        }
    }
}

/// A JSON array as the literal of an array; `None` for other JSON.
pub fn array_literal(json: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    let items = value.as_array()?;
    let mut literal = String::with_capacity(json.len());
    write_array(items, &mut literal);
    Some(literal)
}

fn write_array(items: &[serde_json::Value], out: &mut String) {
    out.push('{');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        match item {
            serde_json::Value::Null => out.push_str("NULL"),
            serde_json::Value::Array(inner) => write_array(inner, out),
            serde_json::Value::String(text) => quote(text, out),
            serde_json::Value::Object(_) => quote(&item.to_string(), out),
            // Numbers and truth values have nothing to quote.
            plain => drop(write!(out, "{plain}")),
        }
    }
    out.push('}');
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}
