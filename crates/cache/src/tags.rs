//! The tags of a response, by which it is purged: `Cache-Tag` (a list with commas) and `Surrogate-Key`
//! (a list with spaces).

use std::sync::Arc;

use http::{HeaderMap, HeaderName};

/// Tags of one response. One with more is not stored, for a purge could not find it by all of them.
pub const TAGS_MAX: usize = 128;
/// Bytes of one tag.
pub const TAG_BYTES_MAX: usize = 256;

const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");
const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");

/// In order, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tags(Arc<[Box<str>]>);

impl Default for Tags {
    fn default() -> Self {
        Self(Arc::from([]))
    }
}

/// A response has more tags, or a longer one, than a store takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyTags;

impl Tags {
    pub fn parse(headers: &HeaderMap) -> Result<Self, TooManyTags> {
        if !headers.contains_key(&CACHE_TAG) && !headers.contains_key(&SURROGATE_KEY) {
            return Ok(Self::default());
        }
        let mut tags = Vec::new();
        for line in headers.get_all(&CACHE_TAG) {
            add(&mut tags, line.as_bytes().split(|&byte| byte == b','))?;
        }
        for line in headers.get_all(&SURROGATE_KEY) {
            add(&mut tags, line.as_bytes().split(u8::is_ascii_whitespace))?;
        }
        Ok(Self::new(tags))
    }

    pub fn new(mut tags: Vec<Box<str>>) -> Self {
        tags.sort_unstable();
        tags.dedup();
        Self(tags.into())
    }

    pub fn contains(&self, tag: &str) -> bool {
        self.0.binary_search_by(|known| (**known).cmp(tag)).is_ok()
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|tag| &**tag)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|tag| tag.len() + 32).sum()
    }
}

fn add<'a>(tags: &mut Vec<Box<str>>, found: impl Iterator<Item = &'a [u8]>) -> Result<(), TooManyTags> {
    for tag in found.map(<[u8]>::trim_ascii).filter(|tag| !tag.is_empty()) {
        if tags.len() == TAGS_MAX || tag.len() > TAG_BYTES_MAX {
            return Err(TooManyTags);
        }
        tags.push(String::from_utf8_lossy(tag).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
