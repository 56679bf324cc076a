//! Which requests a stored response answers (RFC 9111, section 4.1).

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};

use crate::encoding::accepted;

/// What a response's `Vary` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vary {
    /// It fits no other request.
    Any,
    /// It fits requests that are alike in these fields; in order, each once.
    Fields(Vec<HeaderName>),
}

impl Vary {
    pub fn parse(headers: &HeaderMap) -> Self {
        let mut fields = Vec::new();
        for line in headers.get_all(header::VARY) {
            for name in String::from_utf8_lossy(line.as_bytes()).split(',').map(str::trim) {
                match HeaderName::try_from(name) {
                    _ if name == "*" => return Vary::Any,
                    Ok(name) => fields.push(name),
                    Err(_) if name.is_empty() => {}
                    // What no request can be compared in, no request matches.
                    Err(_) => return Vary::Any,
                }
            }
        }
        fields.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        fields.dedup();
        Vary::Fields(fields)
    }
}

/// The fields that a stored response varies by, with the values of the request it was stored for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VaryValues(Vec<(HeaderName, Option<Vec<u8>>)>);

impl VaryValues {
    pub fn of(fields: Vec<HeaderName>, request: &HeaderMap) -> Self {
        Self(
            fields
                .into_iter()
                .map(|name| {
                    let value = combined(request, &name);
                    (name, value)
                })
                .collect(),
        )
    }

    pub(crate) fn parts(&self) -> &[(HeaderName, Option<Vec<u8>>)] {
        &self.0
    }

    pub(crate) fn from_parts(parts: Vec<(HeaderName, Option<Vec<u8>>)>) -> Self {
        Self(parts)
    }

    pub fn matches(&self, request: &HeaderMap) -> bool {
        self.0.iter().all(|(name, value)| combined(request, name) == *value)
    }

    /// The same for a request that lies elsewhere than in a map: `lines` are those of a field.
    pub fn matches_lines<'r, L: Iterator<Item = &'r [u8]>>(&self, lines: impl Fn(&HeaderName) -> L) -> bool {
        self.0.iter().all(|(name, value)| compared(name, lines(name)) == *value)
    }

    /// What it varies by.
    pub fn fields(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.iter().map(|(name, _)| name)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.as_str().len() + value.as_ref().map_or(0, Vec::len) + 64).sum()
    }
}

fn combined(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<u8>> {
    compared(name, headers.get_all(name).iter().map(HeaderValue::as_bytes))
}

/// The value of a field as it is compared: alike for requests that mean the same by it, as far as that is known.
fn compared<'r>(name: &HeaderName, lines: impl Iterator<Item = &'r [u8]>) -> Option<Vec<u8>> {
    if *name == header::ACCEPT_ENCODING { accepted(lines).map(String::into_bytes) } else { joined(lines) }
}

/// All lines of a field as one value, without the white space around its elements.
fn joined<'r>(lines: impl Iterator<Item = &'r [u8]>) -> Option<Vec<u8>> {
    let mut whole: Option<Vec<u8>> = None;
    for element in lines.flat_map(|line| line.split(|&b| b == b',')) {
        match &mut whole {
            Some(whole) => {
                whole.push(b',');
                whole.extend_from_slice(element.trim_ascii());
            }
            None => whole = Some(element.trim_ascii().to_vec()),
        }
    }
    whole
}

#[cfg(test)]
mod tests;
