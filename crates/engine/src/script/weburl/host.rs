//! Hosts (URL Standard, section 3): domains, IPv4 in all its spellings, IPv6, opaque hosts.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use super::percent::{CONTROL, decode, encode};

/// The host as it is written in a URL; `None` if it is none.
pub fn parse(input: &str, special: bool) -> Option<String> {
    if let Some(rest) = input.strip_prefix('[') {
        return ipv6(rest.strip_suffix(']')?);
    }
    if !special {
        return opaque(input);
    }
    let domain: Cow<'_, [u8]> =
        if input.contains('%') { Cow::Owned(decode(input)) } else { Cow::Borrowed(input.as_bytes()) };
    let ascii = idna::domain_to_ascii_from_cow(domain, idna::AsciiDenyList::URL).ok()?;
    if ascii.is_empty() {
        return None;
    }
    if ends_in_number(&ascii) {
        return ipv4(&ascii);
    }
    Some(ascii.into_owned())
}

fn opaque(input: &str) -> Option<String> {
    if input.bytes().any(|byte| b"\0\t\n\r #/:<>?@[\\]^|".contains(&byte)) {
        return None;
    }
    let mut host = String::new();
    encode(input, CONTROL, &mut host);
    Some(host)
}

/// The last part of a domain; a dot at the end counts for nothing.
fn ends_in_number(domain: &str) -> bool {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let last = domain.rsplit('.').next().unwrap_or(domain);
    if !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()) {
        return true;
    }
    number(last).is_some()
}

/// Decimal, octal or hexadecimal; what is too large for an address is as large as can be.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    digits.chars().try_fold(0_u64, |value, digit| {
        let digit = digit.to_digit(radix)?;
        Some(value.saturating_mul(u64::from(radix)).saturating_add(u64::from(digit)))
    })
}

fn ipv4(domain: &str) -> Option<String> {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let parts: Option<Vec<u64>> = domain.split('.').map(number).collect();
    let parts = parts?;
    let (&last, leading) = parts.split_last()?;
    if parts.len() > 4 || leading.iter().any(|&part| part > 255) {
        return None;
    }
    let bits_left = 8 * (5 - parts.len() as u32);
    if last >= 1 << bits_left {
        return None;
    }
    let mut address = last as u32;
    for (at, &part) in leading.iter().enumerate() {
        address |= (part as u32) << (24 - 8 * at);
    }
    Some(std::net::Ipv4Addr::from(address).to_string())
}

fn ipv6(input: &str) -> Option<String> {
    let address: Ipv6Addr = input.parse().ok()?;
    let pieces = address.segments();
    let (start, length) = longest_zeros(&pieces);
    let mut host = String::from("[");
    let mut at = 0;
    while at < pieces.len() {
        if length > 1 && at == start {
            host.push_str(if at == 0 { "::" } else { ":" });
            at += length;
            continue;
        }
        host.push_str(&format!("{:x}", pieces[at]));
        at += 1;
        if at < pieces.len() {
            host.push(':');
        }
    }
    host.push(']');
    Some(host)
}

/// Where the first longest run of zero pieces starts, and how long it is.
fn longest_zeros(pieces: &[u16; 8]) -> (usize, usize) {
    let mut longest = (0, 0);
    let mut start = 0;
    for (at, &piece) in pieces.iter().enumerate() {
        if piece != 0 {
            start = at + 1;
        } else if at + 1 - start > longest.1 {
            longest = (start, at + 1 - start);
        }
    }
    longest
}
