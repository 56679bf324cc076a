//! Values on their way between host and guest: the encoding of `engine-guest/shim/codec.h`.
//!
//! What arrives from a guest is a stranger's data: every length is checked, depth is bounded, and
//! text is made valid UTF-8 on the way in.

use std::borrow::Cow;

const UNDEFINED: u8 = 0;
const NULL: u8 = 1;
const FALSE: u8 = 2;
const TRUE: u8 = 3;
const NUMBER: u8 = 4;
const STRING: u8 = 5;
const BYTES: u8 = 6;
const ARRAY: u8 = 7;
const INTEGER: u8 = 8;
/// Of the host's only: what the guest decodes into more than it could send.
const OBJECT: u8 = 9;
const ROWS: u8 = 10;
const BIGINT: u8 = 11;
const BUFFER: u8 = 12;
const JSON: u8 = 13;

const DEPTH_MAX: usize = 16;

/// How an array of so many begins.
pub const fn array_head(count: u32) -> [u8; 5] {
    let [a, b, c, d] = count.to_le_bytes();
    [ARRAY, a, b, c, d]
}

pub const fn small_integer(value: i32) -> [u8; 5] {
    let [a, b, c, d] = value.to_le_bytes();
    [INTEGER, a, b, c, d]
}

/// Writes values for the guest.
#[derive(Debug, Default)]
pub struct Encoder(pub Vec<u8>);

impl Encoder {
    pub fn null(&mut self) -> &mut Self {
        self.0.push(NULL);
        self
    }

    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.0.push(if value { TRUE } else { FALSE });
        self
    }

    pub fn number(&mut self, value: f64) -> &mut Self {
        self.0.push(NUMBER);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// An integer: exact up to 2^53, as JavaScript has it.
    pub fn integer(&mut self, value: u64) -> &mut Self {
        match i32::try_from(value) {
            Ok(small) => {
                self.0.push(INTEGER);
                self.0.extend_from_slice(&small.to_le_bytes());
                self
            }
            Err(_) => self.number(value as f64),
        }
    }

    pub fn string(&mut self, value: &str) -> &mut Self {
        self.block(STRING, value.as_bytes())
    }

    pub fn optional_string(&mut self, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.string(value),
            None => self.null(),
        }
    }

    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.block(BYTES, value)
    }

    pub fn undefined(&mut self) -> &mut Self {
        self.0.push(UNDEFINED);
        self
    }

    /// An integer of any size that 64 bits hold.
    pub fn bigint(&mut self, value: i64) -> &mut Self {
        self.0.push(BIGINT);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Bytes that become an `ArrayBuffer`.
    pub fn buffer(&mut self, value: &[u8]) -> &mut Self {
        self.block(BUFFER, value)
    }

    /// A text that the guest parses; decoding it throws where it is no JSON.
    pub fn json(&mut self, text: &str) -> &mut Self {
        self.block(JSON, text.as_bytes())
    }

    /// An object: so many times, a name and a value follow.
    pub fn object(&mut self, count: u32) -> &mut Self {
        self.0.push(OBJECT);
        self.0.extend_from_slice(&count.to_le_bytes());
        self
    }

    /// A name where one is wanted: of a member, or a column.
    pub fn name(&mut self, name: &str) -> &mut Self {
        self.0.extend_from_slice(&(name.len() as u32).to_le_bytes());
        self.0.extend_from_slice(name.as_bytes());
        self
    }

    /// An array of objects, which all have the same members: the values of all rows follow.
    pub fn rows<'a>(&mut self, columns: impl ExactSizeIterator<Item = &'a str>, count: u32) -> &mut Self {
        self.0.push(ROWS);
        self.0.extend_from_slice(&(columns.len() as u32).to_le_bytes());
        columns.for_each(|column| {
            self.name(column);
        });
        self.0.extend_from_slice(&count.to_le_bytes());
        self
    }

    /// The next `count` values are its elements.
    pub fn array(&mut self, count: u32) -> &mut Self {
        self.0.push(ARRAY);
        self.0.extend_from_slice(&count.to_le_bytes());
        self
    }

    /// A string whose content is written by `write`, without an intermediate copy.
    pub fn string_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        self.0.push(STRING);
        let at = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        write(&mut self.0);
        let length = (self.0.len() - at - 4) as u32;
        self.0[at..at + 4].copy_from_slice(&length.to_le_bytes());
        self
    }

    fn block(&mut self, tag: u8, data: &[u8]) -> &mut Self {
        self.0.push(tag);
        self.0.extend_from_slice(&(data.len() as u32).to_le_bytes());
        self.0.extend_from_slice(data);
        self
    }
}

/// The guest sent something that is no encoding, or not what this call takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the guest sent a value of the wrong shape")]
pub struct Malformed;

/// One value from the guest; text and bytes still lie in its memory.
#[derive(Debug, PartialEq)]
pub enum Value<'a> {
    Undefined,
    Null,
    Bool(bool),
    Number(f64),
    String(Cow<'a, str>),
    Bytes(&'a [u8]),
    Array(Vec<Value<'a>>),
}

impl<'a> Value<'a> {
    pub fn is_nullish(&self) -> bool {
        matches!(self, Value::Undefined | Value::Null)
    }

    pub fn as_bool(&self) -> Result<bool, Malformed> {
        if let Value::Bool(value) = self { Ok(*value) } else { Err(Malformed) }
    }

    pub fn as_f64(&self) -> Result<f64, Malformed> {
        if let Value::Number(value) = self { Ok(*value) } else { Err(Malformed) }
    }

    pub fn as_u32(&self) -> Result<u32, Malformed> {
        match self {
            Value::Number(value) if *value >= 0.0 && *value <= f64::from(u32::MAX) => Ok(*value as u32),
            _ => Err(Malformed),
        }
    }

    pub fn as_str(&self) -> Result<&str, Malformed> {
        if let Value::String(value) = self { Ok(value) } else { Err(Malformed) }
    }

    pub fn as_optional_str(&self) -> Result<Option<&str>, Malformed> {
        if self.is_nullish() { Ok(None) } else { self.as_str().map(Some) }
    }

    /// Bytes, or the UTF-8 of a string.
    pub fn as_content(&self) -> Result<&[u8], Malformed> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            Value::String(text) => Ok(text.as_bytes()),
            _ => Err(Malformed),
        }
    }
}

/// The text of bytes that nearly always are some: to look at them whole is many times as fast as to
/// look for where they are not.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// Reads values from the guest.
#[derive(Debug)]
pub struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    /// The next value; `Undefined` past the end, as JavaScript has it for missing arguments.
    pub fn next(&mut self) -> Result<Value<'a>, Malformed> {
        if self.rest.is_empty() { Ok(Value::Undefined) } else { self.value(0) }
    }

    pub fn is_over(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next value as it stands, for another guest to read; checked as `next` would check it.
    pub fn raw(&mut self) -> Result<&'a [u8], Malformed> {
        let from = self.rest;
        self.skip(0)?;
        Ok(&from[..from.len() - self.rest.len()])
    }

    fn skip(&mut self, depth: usize) -> Result<(), Malformed> {
        if depth > DEPTH_MAX {
            return Err(Malformed);
        }
        let bytes = match self.take(1)?[0] {
            UNDEFINED | NULL | FALSE | TRUE => 0,
            NUMBER => 8,
            INTEGER => 4,
            STRING | BYTES => self.u32()? as usize,
            ARRAY => {
                for _ in 0..self.u32()? {
                    self.skip(depth + 1)?;
                }
                0
            }
            _ => return Err(Malformed),
        };
        self.take(bytes).map(|_| ())
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, Malformed> {
        if depth > DEPTH_MAX {
            return Err(Malformed);
        }
        Ok(match self.take(1)?[0] {
            UNDEFINED => Value::Undefined,
            NULL => Value::Null,
            FALSE => Value::Bool(false),
            TRUE => Value::Bool(true),
            NUMBER => Value::Number(f64::from_le_bytes(self.take(8)?.try_into().map_err(|_| Malformed)?)),
            INTEGER => Value::Number(f64::from(self.u32()? as i32)),
            STRING => {
                let length = self.u32()? as usize;
                Value::String(text(self.take(length)?))
            }
            BYTES => {
                let length = self.u32()? as usize;
                Value::Bytes(self.take(length)?)
            }
            ARRAY => {
                let count = self.u32()? as usize;
                // An element takes a byte at least.
                if count > self.rest.len() {
                    return Err(Malformed);
                }
                let elements: Result<_, _> = (0..count).map(|_| self.value(depth + 1)).collect();
                Value::Array(elements?)
            }
            _ => return Err(Malformed),
        })
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(Malformed)?;
        self.rest = rest;
        Ok(head)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into().map_err(|_| Malformed)?))
    }
}

#[cfg(test)]
mod tests;
