//! Conditions of reads and writes, as RFC 9110 section 13 has them.

use super::{BlobError, BlobInfo};

/// Tags in a condition, without quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Etags {
    /// `*`: whatever is there.
    Any,
    Listed(Vec<String>),
}

impl Etags {
    /// Reads a field such as `"a", W/"b"` or `*`; tags without quotes are taken as they are, since
    /// clients of S3 send such.
    pub fn parse(text: &str) -> Self {
        if text.trim() == "*" {
            return Self::Any;
        }
        let bare = |tag: &str| {
            let tag = tag.trim();
            tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"').to_owned()
        };
        Self::Listed(text.split(',').map(bare).filter(|tag| !tag.is_empty()).collect())
    }

    pub fn has(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(tags) => tags.iter().any(|tag| tag == etag),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    pub if_match: Option<Etags>,
    pub if_none_match: Option<Etags>,
    /// Milliseconds since the Unix epoch; the same below.
    pub if_modified_since_ms: Option<u64>,
    pub if_unmodified_since_ms: Option<u64>,
    /// Times have whole seconds, as dates of HTTP do.
    pub whole_seconds: bool,
}

/// What conditions come to for a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Holds,
    NotModified,
    Refused,
}

impl Conditions {
    /// Judges a read, in the order of RFC 9110 section 13.2.2.
    pub fn judge(&self, info: &BlobInfo) -> Verdict {
        let second = |ms: u64| if self.whole_seconds { ms / 1000 * 1000 } else { ms };
        let uploaded = second(info.uploaded_ms);
        let matches = match (&self.if_match, self.if_unmodified_since_ms) {
            (Some(tags), _) => tags.has(&info.etag),
            (None, Some(since)) => uploaded <= second(since),
            (None, None) => true,
        };
        if !matches {
            return Verdict::Refused;
        }
        let fresh = match (&self.if_none_match, self.if_modified_since_ms) {
            (Some(tags), _) => !tags.has(&info.etag),
            (None, Some(since)) => uploaded > second(since),
            (None, None) => true,
        };
        if fresh { Verdict::Holds } else { Verdict::NotModified }
    }

    /// Judges a write over what is there: the current version, or nothing.
    pub fn check(&self, current: Option<&BlobInfo>) -> Result<(), BlobError> {
        let current = current.filter(|info| !info.marker);
        let Some(info) = current else {
            return if self.if_match.is_some() { Err(BlobError::Precondition { etag: None }) } else { Ok(()) };
        };
        match self.judge(info) {
            Verdict::Holds => Ok(()),
            Verdict::NotModified | Verdict::Refused => Err(BlobError::Precondition { etag: Some(info.etag.clone()) }),
        }
    }

    pub fn is_empty(&self) -> bool {
        *self == Self { whole_seconds: self.whole_seconds, ..Self::default() }
    }
}
