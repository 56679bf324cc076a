//! Questions and answers of the domain name system, as bytes (RFC 1035, section 4). Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Records of one answer; more are not looked at.
const RECORDS_MAX: usize = 64;
/// Aliases that lead from the name that was asked for to the one that has records.
const ALIASES_MAX: usize = 8;
/// RFC 1035, section 3.1, without the bytes of lengths.
const NAME_BYTES_MAX: usize = 253;
const ALIAS: u16 = 5;
const INTERNET: u16 = 1;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    A = 1,
    Aaaa = 28,
    Srv = 33,
}

/// A server of a service (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    pub priority: u16,
    pub weight: u16,
    pub port: u16,
    pub host: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Address(IpAddr),
    Service(Service),
}

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// May be none; good for so long.
    Records {
        records: Vec<Record>,
        ttl_s: u32,
    },
    NoSuchName,
    /// It is too large for UDP.
    Truncated,
    /// The server can't say, by its code.
    Failed(u8),
}

/// The question for a name of letters, digits, hyphens and underscores; `None` if it is none.
pub(super) fn question(id: u16, name: &str, kind: Kind) -> Option<Vec<u8>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let mut bytes = id.to_be_bytes().to_vec();
    // Recursion is desired; one question.
    bytes.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        let is_label = (1..=63).contains(&label.len()) && label.bytes().all(is_of_name);
        bytes.push(u8::try_from(label.len()).ok().filter(|_| is_label)?);
        bytes.extend_from_slice(label.to_ascii_lowercase().as_bytes());
    }
    bytes.push(0);
    bytes.extend_from_slice(&(kind as u16).to_be_bytes());
    bytes.extend_from_slice(&INTERNET.to_be_bytes());
    Some(bytes)
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// What bytes say to a question; `None` if they are no answer to it.
pub(super) fn read(bytes: &[u8], asked: &[u8], kind: Kind) -> Option<Reply> {
    let mut reader = Reader { bytes, at: 0 };
    let (id, flags) = (reader.number()?, reader.number()?);
    let is_answer = flags & 0xf800 == 0x8000;
    let (questions, answers) = (reader.number()?, reader.number()?);
    reader.skip(4)?;
    let mut expected = Reader { bytes: asked, at: 12 };
    let name = reader.name()?;
    let is_asked = id.to_be_bytes() == asked[..2]
        && Some(&name) == expected.name().as_ref()
        && (reader.number()?, reader.number()?) == (kind as u16, INTERNET);
    if !is_answer || questions != 1 || !is_asked {
        return None;
    }
    if flags & 0x0200 != 0 {
        return Some(Reply::Truncated);
    }
    match flags & 0x000f {
        0 => {}
        3 => return Some(Reply::NoSuchName),
        other => return Some(Reply::Failed(other as u8)),
    }
    let mut found = Vec::new();
    for _ in 0..usize::from(answers).min(RECORDS_MAX) {
        found.push(reader.record()?);
    }
    Some(of_name(name, &found, kind))
}

/// The records of a name, or of what it is an alias of.
fn of_name(mut name: String, found: &[Found], kind: Kind) -> Reply {
    let mut ttl_s = u32::MAX;
    for _ in 0..ALIASES_MAX {
        let mut records = Vec::new();
        for one in found.iter().filter(|one| one.owner == name) {
            if let Data::Record(record) = &one.data
                && one.kind == kind as u16
            {
                records.push(record.clone());
                ttl_s = ttl_s.min(one.ttl_s);
            }
        }
        let alias = found.iter().find_map(|one| match &one.data {
            Data::Alias(to) if one.owner == name => Some((to, one.ttl_s)),
            _ => None,
        });
        match alias {
            Some((to, until_s)) if records.is_empty() => {
                ttl_s = ttl_s.min(until_s);
                name.clone_from(to);
            }
            _ => return Reply::Records { records, ttl_s },
        }
    }
    Reply::Records { records: Vec::new(), ttl_s: 0 }
}

/// One record of an answer.
struct Found {
    owner: String,
    kind: u16,
    ttl_s: u32,
    data: Data,
}

enum Data {
    Record(Record),
    Alias(String),
    /// What nobody here asks for.
    Other,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.take(count).map(drop)
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2).map(|two| u16::from_be_bytes([two[0], two[1]]))
    }

    /// In lower case. A pointer leads back (section 4.1.4), each further than the one before, so that there
    /// is an end.
    fn name(&mut self) -> Option<String> {
        let (mut name, mut at, mut after) = (String::new(), self.at, None);
        let mut first = self.at;
        loop {
            let length = usize::from(*self.bytes.get(at)?);
            match length {
                0 => break,
                1..=63 => {
                    let label = self.bytes.get(at + 1..at + 1 + length)?;
                    if !label.iter().copied().all(is_of_name) || name.len() + length > NAME_BYTES_MAX {
                        return None;
                    }
                    if !name.is_empty() {
                        name.push('.');
                    }
                    name.extend(label.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
                    at += 1 + length;
                }
                0xc0.. => {
                    let to = (length & 0x3f) << 8 | usize::from(*self.bytes.get(at + 1)?);
                    after.get_or_insert(at + 2);
                    if to >= first {
                        return None;
                    }
                    (at, first) = (to, to);
                }
                _ => return None,
            }
        }
        self.at = after.unwrap_or(at + 1);
        Some(name)
    }

    fn record(&mut self) -> Option<Found> {
        // A name that is none of ours may have any bytes; then nothing of the answer is read.
        let owner = self.name()?;
        let (kind, class) = (self.number()?, self.number()?);
        let ttl = self.take(4)?;
        let ttl_s = i32::from_be_bytes([ttl[0], ttl[1], ttl[2], ttl[3]]);
        let length = usize::from(self.number()?);
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len())?;
        let data = if class == INTERNET { self.data(kind, length)? } else { Data::Other };
        self.at = end;
        // RFC 2181, section 8: what is negative is nothing.
        Some(Found { owner, kind, ttl_s: u32::try_from(ttl_s).unwrap_or(0), data })
    }

    fn data(&mut self, kind: u16, length: usize) -> Option<Data> {
        Some(match (kind, length) {
            (1, 4) => {
                let four: [u8; 4] = self.take(4)?.try_into().ok()?;
                Data::Record(Record::Address(Ipv4Addr::from(four).into()))
            }
            (28, 16) => {
                let sixteen: [u8; 16] = self.take(16)?.try_into().ok()?;
                Data::Record(Record::Address(Ipv6Addr::from(sixteen).into()))
            }
            (33, 7..) => {
                let (priority, weight, port) = (self.number()?, self.number()?, self.number()?);
                Data::Record(Record::Service(Service { priority, weight, port, host: self.name()? }))
            }
            (ALIAS, _) => Data::Alias(self.name()?),
            _ => Data::Other,
        })
    }
}

#[cfg(test)]
mod tests;
