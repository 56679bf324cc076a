//! Texts with places to fill in: `/v2/{*}`, `/users/{id}`, `{client}`.
//!
//! | place | stands for |
//! |---|---|
//! | `{name}` | what `:name` of the pattern matched, as the path has it |
//! | `{*}` | what the `*` at the end of the pattern matched |
//! | `{path}`, `{query}`, `{host}`, `{scheme}`, `{client}`, `{country}` | of the request; empty if there is none |
//! | `{{`, `}}` | the braces themselves |
//!
//! What comes out is put together of pieces that a stranger chose. Whoever uses it says what that may
//! become: [`super::rules`] never lets it be a host, leave a path, or end a field.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{PathPattern, Segment};

/// The places that every request fills in.
pub(crate) const PLACES: [&str; 6] = ["path", "query", "host", "scheme", "client", "country"];

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Template {
    pub(crate) pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Piece {
    Text(String),
    Place(String),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("a `{{` has no `}}`; write `{{{{` for the brace itself")]
    Open,
    #[error("a `}}` stands alone; write `}}}}` for the brace itself")]
    Close,
}

/// What fills the places.
pub struct Filling<'a> {
    /// By name; `*` for the rest.
    pub captures: Vec<(&'a str, &'a str)>,
    /// What is known of the request, by the name of the place.
    pub of_request: &'a dyn Fn(&str) -> String,
}

impl Template {
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let (brace, after) = (rest.as_bytes()[at], &rest[at + 1..]);
            if after.as_bytes().first() == Some(&brace) {
                literal.push(char::from(brace));
                rest = &after[1..];
                continue;
            }
            if brace == b'}' {
                return Err(TemplateError::Close);
            }
            let end = after.find('}').ok_or(TemplateError::Open)?;
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Place(after[..end].to_owned()));
            rest = &after[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Ok(Self { pieces })
    }

    /// The names of its places.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| if let Piece::Place(name) = piece { Some(name.as_str()) } else { None })
    }

    /// What it begins with, up to the first place.
    pub fn literal_start(&self) -> &str {
        match self.pieces.first() {
            Some(Piece::Text(text)) => text,
            _ => "",
        }
    }

    /// The text with its places filled; `each` writes what is filled in.
    pub fn fill(&self, filling: &Filling<'_>, mut each: impl FnMut(&mut String, &str)) -> String {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Place(name) => match filling.captures.iter().find(|(captured, _)| captured == name) {
                    Some((_, value)) => each(&mut out, value),
                    None => each(&mut out, &(filling.of_request)(name)),
                },
            }
        }
        out
    }
}

impl PathPattern {
    /// The names that its parts have in a [`Template`].
    pub fn captured(&self) -> impl Iterator<Item = &str> {
        let params = self.segments.iter().filter_map(|s| if let Segment::Param(name) = s { Some(name) } else { None });
        params.map(String::as_str).chain(self.prefix.then_some("*"))
    }

    /// What its parts stand for in a path that matches.
    pub fn captures<'p>(&'p self, path: &'p str) -> Vec<(&'p str, &'p str)> {
        let pieces = path.strip_prefix('/').unwrap_or(path).split('/');
        let named = self.segments.iter().zip(pieces).filter_map(|(segment, piece)| match segment {
            Segment::Param(name) => Some((name.as_str(), piece)),
            Segment::Literal(_) => None,
        });
        named.chain(self.prefix.then(|| ("*", self.rest(path)))).collect()
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Piece::Place(name) => write!(f, "{{{name}}}")?,
            }
        }
        Ok(())
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.to_string()
    }
}

impl TryFrom<String> for Template {
    type Error = TemplateError;
    fn try_from(text: String) -> Result<Self, TemplateError> {
        Self::parse(&text)
    }
}
