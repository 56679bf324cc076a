//! A start tag with other attributes or another name. What is not changed stays as it was written,
//! quotes and spelling included.

use std::borrow::Cow;
use std::collections::HashMap;
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

/// Attributes in order; what is removed leaves its place empty.
struct Attributes<'a> {
    raw: &'a [u8],
    places: Vec<Option<Attribute<'a>>>,
    /// Where the attributes of a name stand: a tag may have one twice. Edits are as many as a guest
    /// likes, so that to look for each among all would take it out of everybody's time.
    by_name: HashMap<Vec<u8>, Vec<usize>>,
}

impl<'a> Attributes<'a> {
    fn new(raw: &'a [u8], written: Vec<Written>) -> Self {
        let mut by_name: HashMap<Vec<u8>, Vec<usize>> = HashMap::with_capacity(written.len());
        for (place, attribute) in written.iter().enumerate() {
            by_name.entry(raw[attribute.name.clone()].to_ascii_lowercase()).or_default().push(place);
        }
        Self { raw, places: written.into_iter().map(|kept| Some(Attribute::Kept(kept))).collect(), by_name }
    }

    fn remove(&mut self, name: &[u8]) {
        for place in self.by_name.remove(&name.to_ascii_lowercase()).unwrap_or_default() {
            self.places[place] = None;
        }
    }

    /// Sets the first attribute of the name, which keeps its spelling, or adds one.
    fn set(&mut self, name: Cow<'a, [u8]>, value: &'a str) {
        let places = self.by_name.entry(name.to_ascii_lowercase()).or_default();
        let Some(&place) = places.first() else {
            places.push(self.places.len());
            self.places.push(Some(Attribute::Set { name, value }));
            return;
        };
        let name = match self.places[place].take() {
            Some(Attribute::Kept(kept)) => Cow::Borrowed(&self.raw[kept.name]),
            Some(Attribute::Set { name, .. }) => name,
            None => name,
        };
        self.places[place] = Some(Attribute::Set { name, value });
    }
}

/// Writes the tag `raw` with its edits.
pub fn write(raw: &[u8], edit: &Edit<'_>, self_closing: bool, encoding: &'static Encoding, out: &mut Vec<u8>) {
    let (tag_name, written) = parse(raw);
    let mut attributes = Attributes::new(raw, written);
    for (name, value) in &edit.attributes {
        let name = encode(encoding, name);
        match value {
            None => attributes.remove(&name),
            Some(value) => attributes.set(name, value),
        }
    }
    let attributes: Vec<Attribute<'_>> = attributes.places.into_iter().flatten().collect();
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
