//! The PROXY protocol, versions 1 and 2 (HAProxy's `doc/proxy-protocol.txt`): the first bytes of a
//! connection, in which a proxy says whose connection it is. Pure functions of bytes.
//!
//! Who may say so is decided by address, before this: from a network that is trusted the header
//! must be there, from any other one it is not looked for. Type-length-value fields of version 2
//! are skipped.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What a version 2 header begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const START: &[u8] = b"PROXY ";
/// The longest header of version 1, with the end of its line.
const V1_BYTES_MAX: usize = 107;
const V2_FIXED_BYTES: usize = 16;

/// A whole header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub bytes: usize,
    /// `None` if the proxy speaks for itself, as in a health check, or does not know.
    pub client: Option<SocketAddr>,
}

/// Why the bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(&'static str);

/// Reads a header from the start of a connection. `None` if it is not complete yet.
pub fn read(bytes: &[u8], bytes_max: usize) -> Result<Option<Header>, Malformed> {
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes[0] == START[0] {
        return read_text(bytes);
    }
    let known = bytes.len().min(SIGNATURE.len());
    if bytes[..known] != SIGNATURE[..known] {
        return Err(Malformed("the connection does not begin with a PROXY header"));
    }
    read_binary(bytes, bytes_max)
}

fn read_text(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let known = bytes.len().min(START.len());
    if bytes[..known] != START[..known] {
        return Err(Malformed("the connection does not begin with a PROXY header"));
    }
    let within = &bytes[..bytes.len().min(V1_BYTES_MAX)];
    let Some(end) = memchr::memchr(b'\n', within) else {
        return if within.len() < V1_BYTES_MAX { Ok(None) } else { Err(Malformed("the PROXY header does not end")) };
    };
    let wrong = Malformed("the PROXY header of version 1 can't be read");
    let line = within[..end].strip_suffix(b"\r").and_then(|line| std::str::from_utf8(line).ok()).ok_or(wrong)?;
    let mut words = line[START.len()..].split(' ');
    let client = match words.next() {
        Some("UNKNOWN") => None,
        Some(family @ ("TCP4" | "TCP6")) => {
            let mut next = || words.next().ok_or(wrong);
            let (source, target, port, target_port) = (next()?, next()?, next()?, next()?);
            if words.next().is_some() {
                return Err(wrong);
            }
            let address = |text: &str| -> Result<IpAddr, Malformed> {
                let address: IpAddr = text.parse().map_err(|_| wrong)?;
                if address.is_ipv4() == (family == "TCP4") { Ok(address) } else { Err(wrong) }
            };
            let number = |text: &str| -> Result<u16, Malformed> {
                let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                if digits { text.parse().map_err(|_| wrong) } else { Err(wrong) }
            };
            address(target)?;
            number(target_port)?;
            Some(SocketAddr::new(address(source)?.to_canonical(), number(port)?))
        }
        _ => return Err(wrong),
    };
    Ok(Some(Header { bytes: end + 1, client }))
}

fn read_binary(bytes: &[u8], bytes_max: usize) -> Result<Option<Header>, Malformed> {
    if bytes.len() < V2_FIXED_BYTES {
        return Ok(None);
    }
    let length = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    let whole = V2_FIXED_BYTES + length;
    if whole > bytes_max {
        return Err(Malformed("the PROXY header is longer than proxy_header_bytes"));
    }
    if bytes[12] >> 4 != 2 {
        return Err(Malformed("the PROXY header has a version other than 1 and 2"));
    }
    let Some(payload) = bytes.get(V2_FIXED_BYTES..whole) else { return Ok(None) };
    let client = match bytes[12] & 0x0f {
        // LOCAL: whatever the addresses say.
        0 => None,
        1 => address(bytes[13], payload)?,
        _ => return Err(Malformed("the PROXY header has an unknown command")),
    };
    Ok(Some(Header { bytes: whole, client }))
}

/// The source address of version 2; none for a family that has none which we could use.
fn address(family: u8, payload: &[u8]) -> Result<Option<SocketAddr>, Malformed> {
    let short = Malformed("the PROXY header is too short for its addresses");
    let port = |at: usize| payload.get(at..at + 2).map(|b| u16::from_be_bytes([b[0], b[1]])).ok_or(short);
    let ip: IpAddr = match family >> 4 {
        1 => {
            let source = payload.first_chunk::<4>().filter(|_| payload.len() >= 12).ok_or(short)?;
            return Ok(Some(SocketAddr::new(Ipv4Addr::from(*source).into(), port(8)?)));
        }
        2 => {
            let source = payload.first_chunk::<16>().filter(|_| payload.len() >= 36).ok_or(short)?;
            Ipv6Addr::from(*source).into()
        }
        0 | 3 => return Ok(None),
        _ => return Err(Malformed("the PROXY header has an unknown family of addresses")),
    };
    Ok(Some(SocketAddr::new(ip.to_canonical(), port(32)?)))
}

#[cfg(test)]
mod tests;
