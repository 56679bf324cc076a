//! Questions and answers of the domain name system (RFC 1035, section 4), read and written by
//! hickory-proto. What is believed of an answer is decided here. Pure.

use std::net::IpAddr;

use hickory_proto::op::{Header, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record as Found, RecordType};
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder};

/// Records of one answer; more are not looked at.
const RECORDS_MAX: usize = 64;
/// Aliases that lead from the name that was asked for to the one that has records.
const ALIASES_MAX: usize = 8;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    A,
    Aaaa,
    Srv,
}

impl From<Kind> for RecordType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::A => Self::A,
            Kind::Aaaa => Self::AAAA,
            Kind::Srv => Self::SRV,
        }
    }
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
    let is_name = name.split('.').all(|label| !label.is_empty() && label.bytes().all(is_of_name));
    let mut name = Name::from_ascii(name).ok().filter(|_| is_name)?.to_lowercase();
    name.set_fqdn(true);
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name, kind.into()));
    message.to_vec().ok()
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// What bytes say to a question; `None` if they are no answer to it.
pub(super) fn read(bytes: &[u8], asked: &[u8], kind: Kind) -> Option<Reply> {
    let asked = Message::from_vec(asked).ok()?;
    let mut decoder = BinDecoder::new(bytes);
    let Header { metadata, counts } = Header::read(&mut decoder).ok()?;
    let queries = Message::read_queries(&mut decoder, counts.queries.into()).ok()?;
    let is_answer = metadata.message_type == MessageType::Response && metadata.op_code == OpCode::Query;
    if !is_answer || metadata.id != asked.metadata.id || queries != asked.queries {
        return None;
    }
    if metadata.truncation {
        return Some(Reply::Truncated);
    }
    match metadata.response_code {
        ResponseCode::NoError => {}
        ResponseCode::NXDomain => return Some(Reply::NoSuchName),
        other => return Some(Reply::Failed(other.low())),
    }
    let count = usize::from(counts.answers).min(RECORDS_MAX);
    let found = (0..count).map(|_| Found::read(&mut decoder).ok()).collect::<Option<Vec<_>>>()?;
    of_name(&asked.queries.first()?.name, &found, kind)
}

/// The records of a name, or of what it is an alias of; `None` if one of them leads to what is no name.
fn of_name<'a>(mut name: &'a Name, found: &'a [Found], kind: Kind) -> Option<Reply> {
    let mut ttl_s = u32::MAX;
    for _ in 0..ALIASES_MAX {
        let mut records = Vec::new();
        let mut alias = None;
        for one in found.iter().filter(|one| one.dns_class == DNSClass::IN && one.name == *name) {
            match &one.data {
                RData::CNAME(to) => alias = alias.or(Some((&to.0, lifetime_s(one)))),
                data if one.record_type() == kind.into() => {
                    records.push(record(data)?);
                    ttl_s = ttl_s.min(lifetime_s(one));
                }
                _ => {}
            }
        }
        match alias {
            Some((to, until_s)) if records.is_empty() => {
                ttl_s = ttl_s.min(until_s);
                name = to;
            }
            _ => return Some(Reply::Records { records, ttl_s }),
        }
    }
    Some(Reply::Records { records: Vec::new(), ttl_s: 0 })
}

/// RFC 2181, section 8: what is negative is nothing.
fn lifetime_s(record: &Found) -> u32 {
    if record.ttl > i32::MAX as u32 { 0 } else { record.ttl }
}

fn record(data: &RData) -> Option<Record> {
    Some(match data {
        RData::A(address) => Record::Address(address.0.into()),
        RData::AAAA(address) => Record::Address(address.0.into()),
        RData::SRV(service) => {
            let host = service.target.to_lowercase().to_ascii();
            let host = host.strip_suffix('.').unwrap_or(&host).to_owned();
            if !host.split('.').all(|label| label.bytes().all(is_of_name)) {
                return None;
            }
            Record::Service(Service { priority: service.priority, weight: service.weight, port: service.port, host })
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
