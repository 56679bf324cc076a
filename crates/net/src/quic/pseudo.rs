//! The pseudo-header fields of a request (RFC 9114, section 4.3.1): each at most once, before all other
//! fields, and none that only responses have.
//!
//! h3 takes the last of two. What two readers could take for two different requests has to be refused, so
//! the head is looked at before h3 gets it: the names in its field section (RFC 9204, section 4.5), and
//! no more. There is no dynamic table here, since none was allowed to the client; what can't be read is left
//! to h3, which refuses it.

use bytes::{Bytes, BytesMut};

/// Of a frame that begins a request (RFC 9114, section 7.2.2).
const HEADERS: u64 = 1;

/// The fields, with their names as Huffman's code has them (RFC 7541, appendix B).
const FIELDS: [(&[u8], &[u8]); 6] = [
    (b":authority", &[0xb8, 0x3b, 0x53, 0x39, 0xec, 0x32, 0x7d, 0x7f]),
    (b":method", &[0xb9, 0x49, 0x53, 0x39, 0xe4]),
    (b":path", &[0xb9, 0x58, 0xd3, 0x3f]),
    (b":protocol", &[0xb9, 0x5d, 0x87, 0x49, 0xc8, 0x7a, 0x3f]),
    (b":scheme", &[0xb8, 0x82, 0x4e, 0x5a, 0x4b]),
    (b":status", &[0xb8, 0x84, 0x8d, 0x36, 0xa3]),
];
const AUTHORITY: usize = 0;
const METHOD: usize = 1;
const PATH: usize = 2;
const SCHEME: usize = 4;
const STATUS: usize = 5;

/// A head that no two readers need agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Follows a stream up to the end of its first head.
#[derive(Debug, Default)]
pub(crate) struct HeadWatch {
    /// What came of a frame that is not whole yet.
    partial: BytesMut,
    /// What is left of a frame that is none of ours.
    skips: u64,
    done: bool,
}

impl HeadWatch {
    /// The next bytes of the stream, which are bounded by what a head may have.
    pub fn read(&mut self, bytes: &Bytes) -> Result<(), Malformed> {
        if self.done {
            return Ok(());
        }
        if self.partial.is_empty() {
            let rest = self.frames(bytes)?;
            if !self.done {
                self.partial.extend_from_slice(&bytes[bytes.len() - rest..]);
            }
            return Ok(());
        }
        self.partial.extend_from_slice(bytes);
        let mut whole = std::mem::take(&mut self.partial);
        let rest = self.frames(&whole)?;
        if !self.done {
            self.partial = whole.split_off(whole.len() - rest);
        }
        Ok(())
    }

    /// Reads whole frames; how many bytes are left of one that is not.
    fn frames(&mut self, mut bytes: &[u8]) -> Result<usize, Malformed> {
        loop {
            let skipped = self.skips.min(bytes.len() as u64);
            self.skips -= skipped;
            bytes = &bytes[skipped as usize..];
            let mut reader = Reader(bytes);
            let (Some(kind), Some(length)) = (reader.varint(), reader.varint()) else { return Ok(bytes.len()) };
            if kind != HEADERS {
                (bytes, self.skips) = (reader.0, length);
                continue;
            }
            let Some(section) = usize::try_from(length).ok().and_then(|length| reader.0.get(..length)) else {
                return Ok(bytes.len());
            };
            self.done = true;
            return check(section).map(|()| 0);
        }
    }
}

/// Judges a field section by its names.
fn check(section: &[u8]) -> Result<(), Malformed> {
    let mut reader = Reader(section);
    let (mut seen, mut regular) = ([false; FIELDS.len()], false);
    // What the section was encoded against: nothing, without a dynamic table.
    if reader.integer(8).is_none() || reader.integer(7).is_none() {
        return Ok(());
    }
    while let Some(line) = reader.line() {
        match line {
            Some(STATUS) => return Err(Malformed),
            Some(_) if regular => return Err(Malformed),
            Some(field) if std::mem::replace(&mut seen[field], true) => return Err(Malformed),
            Some(_) => {}
            None => regular = true,
        }
    }
    Ok(())
}

/// The pseudo-header field of an entry of the static table (RFC 9204, appendix A).
fn entry(index: u64) -> Option<usize> {
    match index {
        0 => Some(AUTHORITY),
        1 => Some(PATH),
        15..=21 => Some(METHOD),
        22 | 23 => Some(SCHEME),
        24..=28 | 63..=71 => Some(STATUS),
        _ => None,
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(bytes).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    /// RFC 9000, section 16.
    fn varint(&mut self) -> Option<u64> {
        let first = *self.0.first()?;
        let bytes = self.take(1 << (first >> 6))?;
        Some(bytes[1..].iter().fold(u64::from(first & 0x3f), |value, byte| value << 8 | u64::from(*byte)))
    }

    /// RFC 7541, section 5.1: in the last `bits` of a byte, and in those that follow.
    fn integer(&mut self, bits: u32) -> Option<u64> {
        let most = (1_u64 << bits) - 1;
        let mut value = u64::from(self.take(1)?[0]) & most;
        if value < most {
            return Some(value);
        }
        for shift in (0..=56).step_by(7) {
            let byte = self.take(1)?[0];
            value = value.checked_add(u64::from(byte & 0x7f) << shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// The pseudo-header field of the next line, or that it has none; `None` at the end, and where the rest
    /// can't be read.
    fn line(&mut self) -> Option<Option<usize>> {
        let first = *self.0.first()?;
        match first {
            // Of the static table, with its value or with another one.
            0xc0.. => self.integer(6).map(entry),
            0x50..=0x5f | 0x70..=0x7f => {
                let name = entry(self.integer(4)?);
                self.value()?;
                Some(name)
            }
            0x20..=0x3f => {
                let length = self.integer(3)?;
                let (name, coded) = (self.take(length)?, first & 0x08 != 0);
                self.value()?;
                Some(FIELDS.iter().position(|(plain, huffman)| name == if coded { *huffman } else { *plain }))
            }
            _ => None,
        }
    }

    fn value(&mut self) -> Option<&'a [u8]> {
        let length = self.integer(7)?;
        self.take(length)
    }
}

#[cfg(test)]
mod tests;
