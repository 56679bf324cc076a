//! The `Cache-Control` field (RFC 9111, section 5.2).

use http::HeaderMap;
use http::header::{self, HeaderName};

/// The directives whose value is a number of seconds.
const SECONDS: [&str; 4] = ["max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"];

/// The field for caches of content delivery networks.
const TARGETED: HeaderName = HeaderName::from_static("cdn-cache-control");

/// The longest time that is told from a longer one, in seconds (RFC 9111, section 1.2.2).
const SECONDS_MAX: u64 = 1 << 31;

/// The directives of a response that matter to a shared cache.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheControl {
    pub no_store: bool,
    /// Without field names.
    pub no_cache: bool,
    /// Without field names.
    pub private: bool,
    pub public: bool,
    pub must_revalidate: bool,
    pub max_age_s: Option<u64>,
    pub s_maxage_s: Option<u64>,
    pub must_understand: bool,
    pub no_transform: bool,
    pub stale_while_revalidate_s: Option<u64>,
    pub stale_if_error_s: Option<u64>,
    /// The fields that `private` or `no-cache` name: the rest may be stored without them.
    pub fields: Vec<HeaderName>,
}

impl CacheControl {
    /// Reads all `Cache-Control` lines together. What can't be read is left out, but for an age:
    /// that counts as zero, so that a mistake never keeps a response for longer than was meant. Of a
    /// directive that comes twice, the first counts (section 4.2.1).
    pub fn parse(headers: &HeaderMap) -> Self {
        let mut control = Self::default();
        for line in headers.get_all(header::CACHE_CONTROL) {
            let line = String::from_utf8_lossy(line.as_bytes());
            for directive in elements(&line) {
                let (name, value) = match directive.split_once('=') {
                    Some((name, value)) => (name.trim(), Some(unquote(value.trim()))),
                    None => (directive, None),
                };
                control.apply(&name.to_ascii_lowercase(), value);
            }
        }
        control
    }

    /// What a field that is meant for caches of this kind says (RFC 9213), if there is one that can be
    /// read: then `Cache-Control` and `Expires` say nothing.
    pub fn targeted(headers: &HeaderMap) -> Option<Self> {
        let lines: Option<Vec<&str>> = headers.get_all(&TARGETED).iter().map(|line| line.to_str().ok()).collect();
        let whole = lines.filter(|lines| !lines.is_empty())?.join(",");
        let dictionary = sfv::Parser::new(&whole).parse::<sfv::Dictionary>().ok()?;
        let mut control = Self::default();
        for (name, entry) in &dictionary {
            let sfv::ListEntry::Item(item) = entry else { return None };
            let takes_seconds = SECONDS.contains(&name.as_str());
            match &item.bare_item {
                sfv::BareItem::Integer(number) if takes_seconds => {
                    control.apply(name.as_str(), Some(i64::from(*number).to_string()));
                }
                // A known directive of another type makes the field one that can't be read.
                _ if takes_seconds => return None,
                sfv::BareItem::Boolean(true) => control.apply(name.as_str(), None),
                sfv::BareItem::String(text) => control.apply(name.as_str(), Some(text.as_str().to_owned())),
                _ => {}
            }
        }
        Some(control).filter(|_| !dictionary.is_empty())
    }

    fn apply(&mut self, name: &str, value: Option<String>) {
        match (name, value) {
            ("no-store", _) => self.no_store = true,
            ("no-transform", _) => self.no_transform = true,
            ("must-understand", _) => self.must_understand = true,
            ("stale-while-revalidate", value) => {
                let told = Some(seconds(value.as_deref()));
                self.stale_while_revalidate_s = self.stale_while_revalidate_s.or(told);
            }
            ("stale-if-error", value) => {
                self.stale_if_error_s = self.stale_if_error_s.or(Some(seconds(value.as_deref())));
            }
            ("public", _) => self.public = true,
            ("must-revalidate" | "proxy-revalidate", _) => self.must_revalidate = true,
            ("no-cache" | "private", Some(fields)) => {
                let named = fields.split(',').filter_map(|name| HeaderName::try_from(name.trim()).ok());
                self.fields.extend(named);
            }
            ("no-cache", None) => self.no_cache = true,
            ("private", None) => self.private = true,
            ("max-age", value) => self.max_age_s = self.max_age_s.or(Some(seconds(value.as_deref()))),
            ("s-maxage", value) => self.s_maxage_s = self.s_maxage_s.or(Some(seconds(value.as_deref()))),
            _ => {}
        }
    }

    /// What the response itself says of its lifetime, in seconds.
    pub fn lifetime_s(&self) -> Option<u64> {
        self.s_maxage_s.or(self.max_age_s)
    }
}

/// Delta-seconds: digits only; 0 for anything else.
pub fn seconds(value: Option<&str>) -> u64 {
    match value {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().map_or(SECONDS_MAX, |s: u64| s.min(SECONDS_MAX))
        }
        _ => 0,
    }
}

/// Whether a response says `no-transform`, for who asks nothing else of its `Cache-Control`.
pub(crate) fn forbids_transforming(headers: &HeaderMap) -> bool {
    let is_it = |directive: &str| {
        let name = directive.split('=').next().unwrap_or_default();
        name.trim().eq_ignore_ascii_case("no-transform")
    };
    let mut lines = headers.get_all(header::CACHE_CONTROL).iter();
    lines.any(|line| elements(&String::from_utf8_lossy(line.as_bytes())).any(is_it))
}

/// The elements of a comma-separated list; a comma in quotes separates nothing.
pub(crate) fn elements(line: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let separates = move |byte: char| {
        match byte {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' => return !quoted,
            _ => {}
        }
        false
    };
    line.split(separates).map(str::trim).filter(|element| !element.is_empty())
}

/// The content of a quoted string, or a token as it is.
fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else { return value.to_owned() };
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    let mut plain = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.extend(characters.next()),
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests;
