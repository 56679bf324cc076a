//! Who may come in.

use std::net::{IpAddr, SocketAddr};

use base::{Digest, Secret, code};
use control_api::ApiError;
use http::uri::Authority;
use http::{HeaderMap, Uri, header};

pub(super) struct Guard {
    /// Of the token; none if it is empty. Digests are of one length, and say nothing about how
    /// much of a guess is right.
    token: Option<Digest>,
    address: SocketAddr,
    hosts: Vec<String>,
}

impl Guard {
    pub fn new(token: &Secret<String>, address: SocketAddr, hosts: &[String]) -> Self {
        let token = token.expose().trim();
        let token = (!token.is_empty()).then(|| Digest::of(token.as_bytes()));
        Self { token, address, hosts: hosts.to_vec() }
    }

    /// Whether the request names this listener, and does not come from a web page.
    pub fn check_source(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        let refused = |detail: String| Err(ApiError::new(&code::FORBIDDEN, detail));
        let host = match self.named_host(uri, headers) {
            Some(host) if self.is_own(&host) => host,
            Some(host) => return refused(format!("{host} is no name of this listener; use {}", self.own_name())),
            None => return refused("the request does not name one host".into()),
        };
        if headers.contains_key(header::ORIGIN) {
            return refused("the request carries an Origin, so it comes from a web page".into());
        }
        // `none` is a person who typed the address; `same-origin` is what this listener showed.
        let site = headers.get("sec-fetch-site");
        match site.is_none_or(|site| ["none", "same-origin"].iter().any(|fine| site == fine)) {
            true => Ok(()),
            false => refused(format!("a web page of another site than {host} sent the request")),
        }
    }

    pub fn has_token(&self, headers: &HeaderMap) -> bool {
        let mut shown = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(token), Some(only), None) = (&self.token, shown.next(), shown.next()) else { return false };
        let Some((scheme, shown)) = only.to_str().ok().and_then(|text| text.split_once(' ')) else { return false };
        scheme.eq_ignore_ascii_case("bearer") && same(token, &Digest::of(shown.trim().as_bytes()))
    }

    /// The authority of the target if it has one (HTTP/2, absolute form), else the `Host` field.
    fn named_host(&self, uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
        let mut fields = headers.get_all(header::HOST).iter();
        let field = match (fields.next(), fields.next()) {
            (Some(field), None) => Some(Authority::try_from(field.as_bytes()).ok()?),
            (None, _) => None,
            (Some(_), Some(_)) => return None,
        };
        match (uri.authority().cloned(), field) {
            (Some(target), Some(field)) if target != field => None,
            (target, field) => target.or(field),
        }
    }

    fn is_own(&self, named: &Authority) -> bool {
        if named.as_str().contains('@') || named.port_u16().unwrap_or(80) != self.address.port() {
            return false;
        }
        let host = named.host();
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        match bare.parse::<IpAddr>() {
            Ok(ip) => self.is_own_ip(ip.to_canonical()),
            Err(_) => {
                host.eq_ignore_ascii_case("localhost") || self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host))
            }
        }
    }

    fn is_own_ip(&self, named: IpAddr) -> bool {
        let own = self.address.ip().to_canonical();
        // A listener on every address has them all, and only names can be pointed elsewhere.
        named == own || named.is_loopback() || own.is_unspecified()
    }

    fn own_name(&self) -> String {
        match self.address.ip().is_unspecified() {
            true => format!("localhost:{}", self.address.port()),
            false => self.address.to_string(),
        }
    }
}

/// Compares in a time that does not depend on where the difference is.
fn same(a: &Digest, b: &Digest) -> bool {
    let difference = a.as_bytes().iter().zip(b.as_bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    std::hint::black_box(difference) == 0
}
