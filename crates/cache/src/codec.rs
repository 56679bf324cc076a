//! The head of a stored response as bytes, for stores that are not in memory: everything but the body.
//!
//! Numbers are little-endian; what has a length is preceded by it, in four bytes. A reader that finds
//! anything else than it expects says so: what is damaged is no response.

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};

use crate::content::Content;
use crate::stored::{Stored, Terms};
use crate::tags::Tags;
use crate::vary::VaryValues;

const VERSION: u8 = 1;

/// The fields of a head whose number says more than it can have.
const FIELDS_MAX: u32 = 65_536;

impl Stored {
    /// All but the body.
    pub fn encode_head(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.status.as_u16().to_le_bytes());
        for number in [self.stored_at_ms, self.initial_age_s, self.lifetime_s, self.body_id] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let Terms { always_validate, never_stale, stale_while_revalidate_s, stale_if_error_s } = self.terms;
        bytes.push(u8::from(always_validate) | u8::from(never_stale) << 1);
        bytes.extend_from_slice(&stale_while_revalidate_s.to_le_bytes());
        bytes.extend_from_slice(&stale_if_error_s.to_le_bytes());
        put_count(&mut bytes, self.headers.len());
        for (name, value) in &self.headers {
            put(&mut bytes, name.as_str().as_bytes());
            put(&mut bytes, value.as_bytes());
        }
        bytes.extend_from_slice(&self.vary.encode());
        put_count(&mut bytes, self.tags.iter().count());
        self.tags.iter().for_each(|tag| put(&mut bytes, tag.as_bytes()));
        bytes
    }

    /// What was encoded, without a body; `None` for anything else.
    pub fn decode_head(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        if reader.take(1)? != [VERSION] {
            return None;
        }
        let status = StatusCode::from_u16(u16::from_le_bytes(reader.array()?)).ok()?;
        let [stored_at_ms, initial_age_s, lifetime_s, body_id] =
            [reader.number()?, reader.number()?, reader.number()?, reader.number()?];
        let flags = reader.take(1)?[0];
        let terms = Terms {
            always_validate: flags & 1 != 0,
            never_stale: flags & 2 != 0,
            stale_while_revalidate_s: reader.number()?,
            stale_if_error_s: reader.number()?,
        };
        let mut headers = HeaderMap::new();
        for _ in 0..reader.count()? {
            let name = HeaderName::from_bytes(reader.piece()?).ok()?;
            headers.try_append(name, HeaderValue::from_bytes(reader.piece()?).ok()?).ok()?;
        }
        let mut vary = Vec::new();
        for _ in 0..reader.count()? {
            let name = HeaderName::from_bytes(reader.piece()?).ok()?;
            let value = if reader.take(1)? == [1] { Some(reader.piece()?.to_vec()) } else { None };
            vary.push((name, value));
        }
        let mut tags = Vec::new();
        for _ in 0..reader.count()? {
            tags.push(std::str::from_utf8(reader.piece()?).ok()?.into());
        }
        let (vary, tags, body) = (VaryValues::from_parts(vary), Tags::new(tags), Content::empty());
        let stored =
            Self { status, headers, body, stored_at_ms, initial_age_s, lifetime_s, vary, terms, tags, body_id };
        reader.0.is_empty().then_some(stored)
    }
}

impl VaryValues {
    /// Equal bytes for equal values.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_count(&mut bytes, self.parts().len());
        for (name, value) in self.parts() {
            put(&mut bytes, name.as_str().as_bytes());
            bytes.push(u8::from(value.is_some()));
            if let Some(value) = value {
                put(&mut bytes, value);
            }
        }
        bytes
    }
}

fn put_count(bytes: &mut Vec<u8>, count: usize) {
    bytes.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

fn put(bytes: &mut Vec<u8>, piece: &[u8]) {
    put_count(bytes, piece.len());
    bytes.extend_from_slice(piece);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.array()?))
    }

    fn count(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.array()?)).filter(|count| *count <= FIELDS_MAX)
    }

    fn piece(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_le_bytes(self.array()?);
        self.take(length as usize)
    }
}

#[cfg(test)]
mod tests;
