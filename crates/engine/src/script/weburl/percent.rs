//! Percent-encoding with the standard's sets (URL Standard, section 1.3).

/// Which bytes a part of a URL can't hold as they are. Everything outside of printable ASCII is in
/// every set.
#[derive(Debug, Clone, Copy)]
pub struct Set(&'static [u8]);

pub const CONTROL: Set = Set(b"");
pub const FRAGMENT: Set = Set(b" \"<>`");
pub const QUERY: Set = Set(b" \"#<>");
pub const SPECIAL_QUERY: Set = Set(b" \"#<>'");
pub const PATH: Set = Set(b" \"#<>?`{}");
pub const USERINFO: Set = Set(b" \"#<>?`{}/:;=@[\\]^|");

impl Set {
    fn holds(self, byte: u8) -> bool {
        !(0x20..=0x7E).contains(&byte) || self.0.contains(&byte)
    }
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Appends `text`, encoded.
pub fn encode(text: &str, set: Set, out: &mut String) {
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if !set.holds(byte) {
            continue;
        }
        // What lies between two encoded bytes is ASCII; between those of one character lies nothing.
        if plain < at {
            out.push_str(&text[plain..at]);
        }
        out.push('%');
        out.push(char::from(HEX[usize::from(byte >> 4)]));
        out.push(char::from(HEX[usize::from(byte & 15)]));
        plain = at + 1;
    }
    if plain < bytes.len() {
        out.push_str(&text[plain..]);
    }
}

fn digit(byte: Option<&u8>) -> Option<u8> {
    char::from(*byte?).to_digit(16).map(|digit| digit as u8)
}

/// The bytes that `text` stands for.
pub fn decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = match bytes[at] {
            b'%' => digit(bytes.get(at + 1)).zip(digit(bytes.get(at + 2))),
            _ => None,
        };
        match pair {
            Some((high, low)) => {
                out.push(high * 16 + low);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}
