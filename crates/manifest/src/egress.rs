//! Where a worker's outbound requests may go, as the manifest says it. The policy that applies
//! these rules to resolved addresses lives elsewhere; here they are only read and written.
//!
//! | written | allows |
//! |---|---|
//! | `public` | every address of the public internet, every scheme, any port |
//! | `api.example.com` | that host, whatever it resolves to, each scheme on its own port (80, 443, 5432) |
//! | `api.example.com:8443` | that host and port, every scheme |
//! | `https://api.example.com` | that host, https on port 443 |
//! | `postgres://10.0.0.7` | that address on port 5432, PostgreSQL |
//! | `http://10.0.0.7:9000`, `http://[::1]:9000` | that address and port, http |
//! | `10.0.0.0/8`, `fd00::/8` | every address of that network, every scheme, any port |
//!
//! A rule that names a host grants it even if it resolves to a private or loopback address; that
//! is the only way to reach one. A single address without a port (`10.0.0.7`) is a host.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum EgressRule {
    /// Public addresses, by any name.
    Public,
    Host {
        /// All, if it was left out.
        scheme: Option<Scheme>,
        /// A lower-case name, or an address without brackets.
        host: String,
        /// The default port of the scheme, if it was left out.
        port: Option<u16>,
    },
    Cidr(IpNet),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    Http,
    Https,
    Postgres,
}

impl Scheme {
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::Postgres => "postgres",
        }
    }

    pub fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
            Scheme::Postgres => 5432,
        }
    }
}

/// Why a text is no egress rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    #[error("an egress rule can't be empty")]
    Empty,
    #[error("{0:?} is no scheme of an egress rule; use http, https or postgres")]
    Scheme(String),
    #[error("an egress rule names a host, not a path: {0:?} can't be part of it")]
    Path(String),
    #[error("an egress rule can't carry a user name or a password")]
    Credentials,
    #[error("{0:?} is not a port (1 to 65535)")]
    Port(String),
    #[error("{0:?} is neither a host name nor an address")]
    Host(String),
    #[error("{0:?} is not a network such as 10.0.0.0/8")]
    Network(String),
    #[error("wildcards are not supported in egress rules")]
    Wildcard,
}

impl EgressRule {
    pub fn parse(text: &str) -> Result<Self, EgressError> {
        if text.is_empty() {
            return Err(EgressError::Empty);
        }
        if text == "public" {
            return Ok(Self::Public);
        }
        let (scheme, rest) = match text.split_once("://") {
            None => (None, text),
            Some((s, rest)) if s.eq_ignore_ascii_case("http") => (Some(Scheme::Http), rest),
            Some((s, rest)) if s.eq_ignore_ascii_case("https") => (Some(Scheme::Https), rest),
            Some((s, rest)) if s.eq_ignore_ascii_case("postgres") => (Some(Scheme::Postgres), rest),
            Some((s, _)) => return Err(EgressError::Scheme(s.to_owned())),
        };
        if scheme.is_none() && rest.contains('/') {
            return parse_network(rest);
        }
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if let Some(at) = authority.find(['/', '?', '#']) {
            return Err(EgressError::Path(authority[at..].to_owned()));
        }
        if authority.contains('@') {
            return Err(EgressError::Credentials);
        }
        let (host, port) = split_port(authority)?;
        Ok(Self::Host { scheme, host: parse_host(host)?, port })
    }
}

/// A text with a slash and without a scheme: a network if what stands before the slash is an
/// address, otherwise a URL whose scheme was forgotten.
fn parse_network(text: &str) -> Result<EgressRule, EgressError> {
    let (before, _) = text.split_once('/').unwrap_or((text, ""));
    if before.parse::<IpAddr>().is_err() {
        return Err(EgressError::Path(text[before.len()..].to_owned()));
    }
    let net: IpNet = text.parse().map_err(|_| EgressError::Network(text.to_owned()))?;
    Ok(EgressRule::Cidr(net.trunc()))
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), EgressError> {
    // An IPv6 address without brackets has colons of its own, and no port.
    if authority.parse::<Ipv6Addr>().is_ok() {
        return Ok((authority, None));
    }
    let after_host = authority.rfind(']').map_or(0, |at| at + 1);
    let Some(colon) = authority[after_host..].rfind(':').map(|at| at + after_host) else {
        return Ok((authority, None));
    };
    let text = &authority[colon + 1..];
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if digits && port != 0 => Ok((&authority[..colon], Some(port))),
        _ => Err(EgressError::Port(text.to_owned())),
    }
}

fn parse_host(host: &str) -> Result<String, EgressError> {
    let bad = || EgressError::Host(host.to_owned());
    if let Some(inner) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return Ok(inner.parse::<Ipv6Addr>().map_err(|_| bad())?.to_string());
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    if host.contains('*') {
        return Err(EgressError::Wildcard);
    }
    let host = host.to_ascii_lowercase();
    // Digits and dots that are not an IPv4 address would be read as one by some resolvers.
    let numeric = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let is_name = !numeric && host.len() <= 253 && host.split('.').all(is_label);
    if is_name { Ok(host) } else { Err(bad()) }
}

/// A label of a host name. Underscores are no part of host names by the letter, but resolvers and
/// container networks use them.
pub(crate) fn is_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-' || *b == b'_';
    (1..=63).contains(&bytes.len()) && bytes.iter().all(inner) && bytes[0] != b'-' && bytes[bytes.len() - 1] != b'-'
}

impl fmt::Display for EgressRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("public"),
            Self::Cidr(net) => write!(f, "{net}"),
            Self::Host { scheme, host, port } => {
                if let Some(scheme) = scheme {
                    write!(f, "{}://", scheme.as_str())?;
                }
                match host.parse::<IpAddr>() {
                    Ok(IpAddr::V6(address)) if scheme.is_some() || port.is_some() => write!(f, "[{address}]")?,
                    _ => f.write_str(host)?,
                }
                match port {
                    Some(port) => write!(f, ":{port}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl From<EgressRule> for String {
    fn from(rule: EgressRule) -> Self {
        rule.to_string()
    }
}

impl TryFrom<String> for EgressRule {
    type Error = EgressError;
    fn try_from(text: String) -> Result<Self, EgressError> {
        Self::parse(&text)
    }
}

/// True for an address that no rule may name, whoever asks: it stands for any address of the
/// machine, or for nobody.
pub(crate) fn is_unnameable(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(a)) => a == Ipv4Addr::UNSPECIFIED || a.is_broadcast() || a.is_multicast(),
        Ok(IpAddr::V6(a)) => a == Ipv6Addr::UNSPECIFIED || a.is_multicast(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests;
