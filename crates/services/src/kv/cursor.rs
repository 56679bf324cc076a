//! The cursor of a list: opaque to the caller, checked when it comes back.
//!
//! It holds the last key of its page and a checksum over namespace, prefix and key. A forged one
//! gains nothing, since it can only name a place in a list that its bearer may read anyway; the
//! checksum is there so that a mangled cursor, or one of another list, is an error and not a
//! silently wrong page.

use base::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{KvError, KvNamespace};

const CHECKSUM_BYTES: usize = 8;

/// A place in a list: after this key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub after: String,
}

impl Cursor {
    pub fn encode(&self, ns: &KvNamespace, prefix: &str) -> String {
        let mut bytes = checksum(ns, prefix, &self.after).to_vec();
        bytes.extend_from_slice(self.after.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub fn decode(text: &str, ns: &KvNamespace, prefix: &str) -> Result<Self, KvError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| KvError::BadCursor)?;
        let (found, after) = bytes.split_at_checked(CHECKSUM_BYTES).ok_or(KvError::BadCursor)?;
        let after = std::str::from_utf8(after).map_err(|_| KvError::BadCursor)?;
        match found == checksum(ns, prefix, after) && after.starts_with(prefix) {
            true => Ok(Self { after: after.into() }),
            false => Err(KvError::BadCursor),
        }
    }
}

fn checksum(ns: &KvNamespace, prefix: &str, after: &str) -> [u8; CHECKSUM_BYTES] {
    let mut whole = [0; CHECKSUM_BYTES];
    // Names have no slash and the length of the prefix is fixed first, so no two inputs collide.
    let input = format!("kv-cursor/{ns}/{}/{prefix}{after}", prefix.len());
    whole.copy_from_slice(&Digest::of(input.as_bytes()).as_bytes()[..CHECKSUM_BYTES]);
    whole
}
