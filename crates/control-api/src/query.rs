//! Percent-encoding of the pieces of a URL, in both directions.

use std::fmt::Write as _;

use base::code;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::ApiError;

/// What a segment or a query value may hold as it is (RFC 3986, `unreserved`).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The text as a path segment, a query value, or a header field.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// The text behind a path segment or a header field.
pub fn decode(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(Into::into)
}

/// A query under construction; parameters without a value are left out.
#[derive(Debug, Default)]
pub struct QueryText(String);

impl QueryText {
    pub fn with(mut self, name: &str, value: Option<impl std::fmt::Display>) -> Self {
        if let Some(value) = value {
            let lead = if self.0.is_empty() { '?' } else { '&' };
            let _ = write!(self.0, "{lead}{name}={}", encode(&value.to_string()));
        }
        self
    }

    /// With its question mark, or empty.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The parameters of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query whose parameters are among `allowed`, each at most once.
    pub fn parse(text: Option<&str>, allowed: &[&str]) -> Result<Self, ApiError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for piece in text.unwrap_or_default().split('&').filter(|piece| !piece.is_empty()) {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            let decoded = |text: &str| decode(&text.replace('+', " "));
            let (Some(name), Some(value)) = (decoded(name), decoded(value)) else {
                return Err(bad("the query is not UTF-8"));
            };
            if !allowed.contains(&name.as_str()) {
                let known = if allowed.is_empty() { "none".into() } else { allowed.join(", ") };
                return Err(bad(format!("there is no query parameter {name:?} here; there is: {known}")));
            }
            if pairs.iter().any(|(other, _)| *other == name) {
                return Err(bad(format!("the query parameter {name:?} stands twice")));
            }
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub fn number(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number =
            text.parse().map_err(|_| bad(format!("the query parameter {name:?} is a whole number, not {text:?}")))?;
        Ok(Some(number))
    }
}

fn bad(detail: impl Into<String>) -> ApiError {
    ApiError::new(&code::BAD_REQUEST, detail)
}

#[cfg(test)]
mod tests;
