//! Ranges of a blob.

use super::BlobError;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeSpec {
    /// From an offset, so many bytes or to the end.
    From { offset: u64, length: Option<u64> },
    /// The last so many bytes.
    Last(u64),
}

/// What it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub offset: u64,
    pub length: u64,
}

impl Range {
    pub fn whole(size: u64) -> Self {
        Self { offset: 0, length: size }
    }

    pub fn end(self) -> u64 {
        self.offset + self.length
    }
}

impl RangeSpec {
    /// Reads `bytes=a-b`, `bytes=a-` or `bytes=-n`. Anything else, several ranges included, is no
    /// range: RFC 9110 has such a field ignored.
    pub fn parse(field: &str) -> Option<Self> {
        let (first, last) = field.trim().strip_prefix("bytes=")?.split_once('-')?;
        let number = |text: &str| text.trim().parse::<u64>();
        if first.trim().is_empty() {
            return number(last).ok().map(Self::Last);
        }
        let offset = number(first).ok()?;
        if last.trim().is_empty() {
            return Some(Self::From { offset, length: None });
        }
        let last = number(last).ok()?;
        let length = last.checked_sub(offset)?.checked_add(1)?;
        Some(Self::From { offset, length: Some(length) })
    }

    pub fn resolve(self, size: u64) -> Result<Range, BlobError> {
        let range = match self {
            Self::From { offset, length } => {
                let left = size.saturating_sub(offset);
                Range { offset, length: length.unwrap_or(left).min(left) }
            }
            Self::Last(bytes) => {
                let length = bytes.min(size);
                Range { offset: size - length, length }
            }
        };
        if range.length == 0 { Err(BlobError::BadRange { size }) } else { Ok(range) }
    }
}
