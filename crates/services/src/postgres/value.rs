//! Values on their way to and from the server, in the text format: the server reads and writes every
//! type as text, extensions' types included, so nothing here has to know them all. Bytes alone travel in
//! the binary format, for which text would double them.

use std::borrow::Cow;

use bytes::Bytes;

mod array;
mod time;

pub use array::array_literal;
use array::elements;
pub use time::instant_ms;

/// Object identifiers of built-in types, which never change (the server's `pg_type.dat`).
mod oid {
    pub const BOOL: u32 = 16;
    pub const BYTEA: u32 = 17;
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT4: u32 = 23;
    pub const OID: u32 = 26;
    pub const JSON: u32 = 114;
    pub const FLOAT4: u32 = 700;
    pub const FLOAT8: u32 = 701;
    pub const TIMESTAMP: u32 = 1114;
    pub const TIMESTAMPTZ: u32 = 1184;
    pub const JSONB: u32 = 3802;
}

/// Built-in array types, with the type of their elements. Those whose elements are text to us are here
/// too, so that they become arrays.
const ARRAYS: [(u32, u32); 29] = [
    (1000, oid::BOOL),
    (1001, oid::BYTEA),
    (1002, 18), // "char"
    (1003, 19), // name
    (1016, oid::INT8),
    (1005, oid::INT2),
    (1007, oid::INT4),
    (1009, 25), // text
    (1028, oid::OID),
    (199, oid::JSON),
    (1021, oid::FLOAT4),
    (1022, oid::FLOAT8),
    (1040, 829),  // macaddr
    (1041, 869),  // inet
    (651, 650),   // cidr
    (1014, 1042), // bpchar
    (1015, 1043), // varchar
    (1182, 1082), // date
    (1183, 1083), // time
    (1115, oid::TIMESTAMP),
    (1185, oid::TIMESTAMPTZ),
    (1187, 1186), // interval
    (1231, 1700), // numeric
    (1270, 1266), // timetz
    (2951, 2950), // uuid
    (3807, oid::JSONB),
    (1561, 1560), // bit
    (1563, 1562), // varbit
    (3221, 3220), // pg_lsn
];

/// A parameter of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Param {
    Null,
    /// As the server reads the type: `42`, `true`, `2024-01-02T03:04:05Z`.
    Text(String),
    Bytes(Bytes),
    /// JSON text. Where the server wants an array, a JSON array becomes one.
    Json(String),
}

impl Param {
    pub fn bytes(&self) -> usize {
        match self {
            Param::Null => 0,
            Param::Text(text) | Param::Json(text) => text.len(),
            Param::Bytes(bytes) => bytes.len(),
        }
    }

    /// Format and content for a parameter of this type; `None` for NULL.
    pub fn encode(&self, type_oid: u32) -> (i16, Option<Cow<'_, [u8]>>) {
        match self {
            Param::Null => (TEXT, None),
            Param::Text(text) => (TEXT, Some(Cow::Borrowed(text.as_bytes()))),
            Param::Bytes(bytes) if type_oid == oid::BYTEA => (BINARY, Some(Cow::Borrowed(bytes))),
            Param::Bytes(bytes) => (TEXT, Some(Cow::Owned(hex(bytes).into_bytes()))),
            // What is no JSON array is for the server to refuse.
            Param::Json(json) if is_array(type_oid) => match array_literal(json) {
                Some(literal) => (TEXT, Some(Cow::Owned(literal.into_bytes()))),
                None => (TEXT, Some(Cow::Borrowed(json.as_bytes()))),
            },
            Param::Json(json) => (TEXT, Some(Cow::Borrowed(json.as_bytes()))),
        }
    }
}

const TEXT: i16 = 0;
const BINARY: i16 = 1;

/// True for every array type that is built in, and for all others too, of which the element is not
/// known: types that users make have numbers from 16384 on, and no other of these takes a JSON array.
fn is_array(type_oid: u32) -> bool {
    const FIRST_OF_USERS: u32 = 16_384;
    type_oid >= FIRST_OF_USERS || ARRAYS.iter().any(|(array, _)| *array == type_oid)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(2 + bytes.len() * 2);
    text.push_str("\\x");
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.strip_prefix(b"\\x")?;
    if digits.len() % 2 != 0 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub type_oid: u32,
    /// Of the column, or of the elements of its arrays.
    pub kind: Kind,
    pub array: bool,
}

/// How a value is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As the server writes it: text, and every type that is not named below.
    Text,
    Bool,
    /// A number that is always exact.
    Int,
    /// A number where that is exact, else text.
    BigInt,
    Float,
    Bytes,
    /// JSON text.
    Json,
    /// Milliseconds since 1970. A time without a zone is taken for UTC.
    Instant,
}

impl Kind {
    fn of(type_oid: u32) -> Self {
        match type_oid {
            oid::BOOL => Self::Bool,
            oid::INT2 | oid::INT4 | oid::OID => Self::Int,
            oid::INT8 => Self::BigInt,
            oid::FLOAT4 | oid::FLOAT8 => Self::Float,
            oid::BYTEA => Self::Bytes,
            oid::JSON | oid::JSONB => Self::Json,
            oid::TIMESTAMP | oid::TIMESTAMPTZ => Self::Instant,
            _ => Self::Text,
        }
    }
}

/// A value as it leaves here.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    Array(Vec<Value<'a>>),
}

impl Column {
    pub fn new(name: String, type_oid: u32) -> Self {
        match ARRAYS.iter().find(|(array, _)| *array == type_oid) {
            Some((_, element)) => Self { name, type_oid, kind: Kind::of(*element), array: true },
            None => Self { name, type_oid, kind: Kind::of(type_oid), array: false },
        }
    }

    /// The format in which this column is asked for.
    pub fn format(&self) -> i16 {
        if self.kind == Kind::Bytes && !self.array { BINARY } else { TEXT }
    }

    /// One cell. What is not as it ought to be is passed on as text.
    pub fn read<'a>(&self, cell: Option<&'a [u8]>) -> Value<'a> {
        let Some(cell) = cell else { return Value::Null };
        if self.format() == BINARY {
            return Value::Bytes(Cow::Borrowed(cell));
        }
        let text = String::from_utf8_lossy(cell);
        if self.array
            && let Some(value) = elements(&text, &mut |element| self.scalar(Cow::Owned(element)))
        {
            return value;
        }
        self.scalar(text)
    }

    fn scalar<'a>(&self, text: Cow<'a, str>) -> Value<'a> {
        let read = match self.kind {
            Kind::Text | Kind::Json => None,
            Kind::Bool => match &*text {
                "t" => Some(Value::Bool(true)),
                "f" => Some(Value::Bool(false)),
                _ => None,
            },
            Kind::Int | Kind::Float => text.parse().ok().map(Value::Number),
            Kind::BigInt => text.parse::<i64>().ok().filter(|n| is_safe(*n)).map(|n| Value::Number(n as f64)),
            Kind::Bytes => unhex(text.as_bytes()).map(|bytes| Value::Bytes(Cow::Owned(bytes))),
            Kind::Instant => instant_ms(&text).map(Value::Number),
        };
        read.unwrap_or(Value::Text(text))
    }
}

/// Whether JavaScript's numbers hold it exactly (`Number.isSafeInteger`).
fn is_safe(number: i64) -> bool {
    number.unsigned_abs() < 1 << 53
}
