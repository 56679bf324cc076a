//! What the key of a request is made of: by default its scheme, its host with the port, its path and
//! its whole query; a rule chooses parts of the query, and adds header fields, cookies and the class
//! of the device.
//!
//! Whoever can change a response by something that is not in its key can leave that response to
//! everybody else. So what a rule takes out of the query is taken out of what the origin is asked
//! ([`KeyRule::query`] answers the one query for both), names are compared as an origin would read them,
//! and fields by which origins are commonly led astray go no further ([`KeyRule::misleads`]).

use std::borrow::Cow;
use std::fmt::Write as _;

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};

/// Which parameters of the query there are for the cache and for the origin. A name may end in `*`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum QueryRule {
    #[default]
    All,
    Only(Vec<String>),
    Except(Vec<String>),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyRule {
    pub query: QueryRule,
    /// By name; parameters of one name stay in their order.
    pub sort_query: bool,
    pub headers: Vec<HeaderName>,
    pub cookies: Vec<String>,
    pub device: bool,
}

/// What a client is no authority for, and origins nevertheless take as an address, a method or a
/// scheme: none of it is in the key, so none of it is passed on with what may be stored.
static ASTRAY: [HeaderName; 25] = [
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
    HeaderName::from_static("x-original-host"),
    HeaderName::from_static("x-host"),
    HeaderName::from_static("x-forwarded-server"),
    HeaderName::from_static("x-forwarded-scheme"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-forwarded-path"),
    HeaderName::from_static("x-forwarded-uri"),
    HeaderName::from_static("x-forwarded-ssl"),
    HeaderName::from_static("x-forwarded-protocol"),
    HeaderName::from_static("x-forwarded"),
    HeaderName::from_static("front-end-https"),
    HeaderName::from_static("x-url-scheme"),
    HeaderName::from_static("x-scheme"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-client-ip"),
    HeaderName::from_static("true-client-ip"),
    HeaderName::from_static("x-cluster-client-ip"),
    HeaderName::from_static("x-middleware-subrequest"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("x-http-host-override"),
];

impl KeyRule {
    /// The query as the key has it and the origin gets it.
    pub fn query<'q>(&self, query: Option<&'q str>) -> Option<Cow<'q, str>> {
        let query = query?;
        if self.query == QueryRule::All && !self.sort_query {
            return Some(query.into());
        }
        let mut kept: Vec<(String, &str)> = query
            .split('&')
            .filter(|parameter| !parameter.is_empty())
            .map(|parameter| (name_of(parameter), parameter))
            .filter(|(name, parameter)| match &self.query {
                QueryRule::All => true,
                // Some origins take a semicolon for an ampersand: such a parameter is one of any name.
                QueryRule::Only(names) => names_any(names, name) && !parameter.contains(';'),
                QueryRule::Except(names) => !names_any(names, name),
            })
            .collect();
        if self.sort_query {
            kept.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
        let kept: Vec<&str> = kept.into_iter().map(|(_, parameter)| parameter).collect();
        (!kept.is_empty()).then(|| kept.join("&").into())
    }

    /// The URL that a request's key begins with.
    pub fn page(&self, scheme: &str, authority: &str, path: &str, query: Option<&str>) -> String {
        let default_port = if scheme == "https" { ":443" } else { ":80" };
        let host = authority.strip_suffix(default_port).unwrap_or(authority);
        let host: Cow<'_, str> = match host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => host.to_ascii_lowercase().into(),
            false => host.into(),
        };
        match self.query(query) {
            Some(query) => format!("{scheme}://{host}{path}?{query}"),
            None => format!("{scheme}://{host}{path}"),
        }
    }

    /// The same with all else that the key is made of.
    pub fn key(&self, mut page: String, request: &HeaderMap) -> String {
        for name in &self.headers {
            let _ = write!(page, " {name}=");
            for (at, value) in request.get_all(name).iter().enumerate() {
                let separator = if at > 0 { "," } else { "" };
                page.push_str(separator);
                escape(value.as_bytes().trim_ascii(), &mut page);
            }
        }
        for name in &self.cookies {
            let _ = write!(page, " ~{name}=");
            for value in cookies(request, name) {
                escape(value, &mut page);
                page.push(';');
            }
        }
        if self.device {
            let _ = write!(page, " device={}", device(request));
        }
        page
    }

    /// Whether a field leads origins astray by its name, or by the one that CGI makes of it, where underscores
    /// and hyphens are one; but for what the key has.
    pub fn misleads(&self, name: &HeaderName) -> bool {
        if self.headers.contains(name) {
            return false;
        }
        if !name.as_str().contains('_') {
            return ASTRAY.contains(name);
        }
        let dashed = name.as_str().replace('_', "-");
        ASTRAY.iter().any(|known| known.as_str() == dashed)
            || self.headers.iter().any(|named| named.as_str().replace('_', "-") == dashed)
    }
}

fn names_any(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => *pattern == name,
    })
}

/// The name of a parameter, as an origin reads it.
fn name_of(parameter: &str) -> String {
    let name = parameter.split_once('=').map_or(parameter, |(name, _)| name);
    let bytes = name.as_bytes();
    let (mut read, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let digit = |at: usize| bytes.get(at).and_then(|&byte| (byte as char).to_digit(16));
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                read.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', ..) => read.push(b' '),
            (byte, ..) => read.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&read).into_owned()
}

/// The values of a cookie, of which a client may send several.
fn cookies<'r>(request: &'r HeaderMap, name: &str) -> impl Iterator<Item = &'r [u8]> {
    let pairs = request.get_all(header::COOKIE).iter().flat_map(|line| line.as_bytes().split(|&byte| byte == b';'));
    pairs.filter_map(move |pair| {
        let pair = pair.trim_ascii();
        let rest = pair.strip_prefix(name.as_bytes())?;
        rest.strip_prefix(b"=")
    })
}

/// A value without what separates the parts of a key.
fn escape(value: &[u8], into: &mut String) {
    for &byte in value {
        match byte {
            b'!'..=b'~' if byte != b'%' && byte != b';' => into.push(byte as char),
            _ => {
                let _ = write!(into, "%{byte:02X}");
            }
        }
    }
}

/// The class of the device that asks: `mobile`, `tablet`, `bot` or `desktop`.
pub fn device(request: &HeaderMap) -> &'static str {
    const MOBILE_HINT: HeaderName = HeaderName::from_static("sec-ch-ua-mobile");
    let agent = request.get(header::USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
    let agent = String::from_utf8_lossy(agent).to_ascii_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| agent.contains(word));
    if any(&["bot", "crawl", "spider", "slurp"]) {
        return "bot";
    }
    if any(&["ipad", "tablet"]) || (agent.contains("android") && !agent.contains("mobile")) {
        return "tablet";
    }
    let hinted = request.get(MOBILE_HINT).is_some_and(|value| value.as_bytes().trim_ascii() == b"?1");
    if hinted || any(&["mobi", "iphone", "android"]) { "mobile" } else { "desktop" }
}

#[cfg(test)]
mod tests;
