//! Values of one token, as the prelude writes them (`engine-guest/prelude/features/rpc/tokens.ts`).
//!
//! What is stored is a list of tokens. A text or a truth value is a token itself, and a number has one
//! before it that says so; these are read and written here, so that the prelude makes no list for them.

use super::codec::{Decoder, Malformed, Value, array_head, small_integer};

/// What stands before the value: of one token, and of a number, which has `NUMBER` of tokens.ts before it.
const ONE: [u8; 5] = array_head(1);
const NUMBER: [[u8; 5]; 2] = [array_head(2), small_integer(1)];

/// The value that a list of tokens is, if it is of this kind.
pub fn plain(tokens: &[u8]) -> Option<&[u8]> {
    let (value, wanted) = match tokens.strip_prefix(&ONE) {
        Some(value) => (value, Kind::Other),
        None => (tokens.strip_prefix(NUMBER.as_flattened())?, Kind::Number),
    };
    kind(value).ok().filter(|kind| *kind == wanted).map(|_| value)
}

/// The tokens of a value, if it is of this kind.
pub fn of_plain(value: &[u8]) -> Option<Vec<u8>> {
    let before = match kind(value).ok()? {
        Kind::Number => NUMBER.as_flattened(),
        Kind::Other => &ONE,
    };
    Some([before, value].concat())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Other,
}

fn kind(value: &[u8]) -> Result<Kind, Malformed> {
    let mut one = Decoder::new(value);
    let read = one.next()?;
    match read {
        _ if !one.is_over() => Err(Malformed),
        Value::Number(_) => Ok(Kind::Number),
        Value::String(_) | Value::Bool(_) | Value::Null => Ok(Kind::Other),
        Value::Undefined | Value::Bytes(_) | Value::Array(_) => Err(Malformed),
    }
}

#[cfg(test)]
mod tests;
