//! A start tag with other attributes or another name. What is not changed stays as it was written,
//! quotes and spelling included.

use std::borrow::Cow;
use std::ops::Range;

use encoding_rs::Encoding;

use super::edit::Edit;
use super::output::encode;

/// An attribute as it stands in the tag.
#[derive(Debug, PartialEq, Eq)]
struct Written {
    name: Range<usize>,
    /// From the name to the end of the value, quotes included.
    whole: Range<usize>,
}

enum Attribute<'a> {
    Kept(Written),
    Set { name: Cow<'a, [u8]>, value: &'a str },
}

/// Writes the tag `raw` with its edits.
pub fn write(raw: &[u8], edit: &Edit<'_>, self_closing: bool, encoding: &'static Encoding, out: &mut Vec<u8>) {
    let (tag_name, written) = parse(raw);
    let mut attributes: Vec<Attribute<'_>> = written.into_iter().map(Attribute::Kept).collect();
    for (name, value) in &edit.attributes {
        let wanted = encode(encoding, name);
        let is_it = |attribute: &Attribute<'_>| match attribute {
            Attribute::Kept(kept) => same_name(&raw[kept.name.clone()], &wanted),
            Attribute::Set { name, .. } => same_name(name, &wanted),
        };
        match value {
            None => attributes.retain(|attribute| !is_it(attribute)),
            Some(value) => match attributes.iter_mut().find(|attribute| is_it(attribute)) {
                Some(Attribute::Set { value: old, .. }) => *old = value,
                Some(kept @ Attribute::Kept(_)) => {
                    let name = match kept {
                        Attribute::Kept(kept) => Cow::Borrowed(&raw[kept.name.clone()]),
                        Attribute::Set { .. } => wanted.clone(),
                    };
                    *kept = Attribute::Set { name, value };
                }
                None => attributes.push(Attribute::Set { name: wanted.clone(), value }),
            },
        }
    }
    out.push(b'<');
    match edit.name {
        Some(name) => out.extend_from_slice(&encode(encoding, name)),
        None => out.extend_from_slice(&raw[tag_name]),
    }
    for attribute in &attributes {
        out.push(b' ');
        match attribute {
            Attribute::Kept(kept) => out.extend_from_slice(&raw[kept.whole.clone()]),
            Attribute::Set { name, value } => {
                out.extend_from_slice(name);
                out.extend_from_slice(b"=\"");
                out.extend_from_slice(&encode(encoding, &value.replace('"', "&quot;")));
                out.push(b'"');
            }
        }
    }
    if self_closing && !attributes.is_empty() {
        // Else the slash would be part of a value without quotes.
        out.push(b' ');
    }
    out.extend_from_slice(if self_closing { b"/>" } else { b">" });
}

fn same_name(a: &[u8], b: &[u8]) -> bool {
    a.eq_ignore_ascii_case(b)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c)
}

/// Finds name and attributes of a start tag (HTML Standard, sections 13.2.5.8 and 13.2.5.32 to
/// 13.2.5.39). The bytes that delimit have no other meaning in any encoding that lol_html takes.
fn parse(raw: &[u8]) -> (Range<usize>, Vec<Written>) {
    let byte = |at: usize| raw.get(at).copied().unwrap_or(b'>');
    let until = |mut at: usize, stop: &dyn Fn(u8) -> bool| {
        while at < raw.len() && !stop(byte(at)) {
            at += 1;
        }
        at
    };
    let name = 1..until(1, &|b| is_space(b) || b == b'/' || b == b'>');
    let mut attributes = Vec::new();
    let mut at = name.end;
    loop {
        at = until(at, &|b| !is_space(b) && b != b'/');
        if byte(at) == b'>' {
            return (name, attributes);
        }
        let start = at;
        // An equals sign in the first place is part of the name.
        let name_end = until(start + 1, &|b| is_space(b) || matches!(b, b'/' | b'>' | b'='));
        let mut end = name_end;
        let equals = until(name_end, &|b| !is_space(b));
        at = name_end;
        if byte(equals) == b'=' {
            let value = until(equals + 1, &|b| !is_space(b));
            end = match byte(value) {
                quote @ (b'"' | b'\'') => (until(value + 1, &|b| b == quote) + 1).min(raw.len()),
                b'>' => equals + 1,
                _ => until(value, &|b| is_space(b) || b == b'>'),
            };
            at = end;
        }
        attributes.push(Written { name: start..name_end, whole: start..end });
    }
}

#[cfg(test)]
mod tests;
