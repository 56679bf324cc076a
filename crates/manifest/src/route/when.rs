//! What a route asks of a request beside its host and path: method, header fields, cookies, query,
//! network and country. All of it has to hold.
//!
//! A test of a field, a cookie or a parameter looks at the first one of that name; a field that is
//! sent twice is judged by its first line, always.
//!
//! Of two conditions the checker asks whether one covers the other (the second would never be
//! reached behind the first) and whether both can hold at once (it would be chance which answers).
//! Both answers are exact for methods, networks, countries and exact values; where they can't know,
//! conditions count as able to hold together.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The conditions of a route.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// Any of them; every method if empty.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub method: BTreeSet<String>,
    /// By lower-case name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, Test>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cookie: BTreeMap<String, Test>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, Test>,
    /// The client's address lies in one of them; any address if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network: Vec<IpNet>,
    /// Codes of ISO 3166-1 in capitals; any country, or none, if empty.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub country: BTreeSet<String>,
}

/// What is asked of one value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    Present,
    Absent,
    OneOf(BTreeSet<String>),
    Prefix(String),
}

/// What is known of a request. Looked at only as far as a route asks.
pub struct Facts<'a> {
    pub method: &'a str,
    /// Without the question mark.
    pub query: Option<&'a str>,
    pub client: Option<IpAddr>,
    /// The first value of a field, by its lower-case name.
    pub header: &'a dyn Fn(&str) -> Option<&'a str>,
    /// The code of the country that the client's address belongs to.
    pub country: &'a dyn Fn() -> Option<String>,
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present => f.write_str("there"),
            Self::Absent => f.write_str("absent"),
            Self::OneOf(values) => f.write_str(&any_of(values.iter().map(|value| format!("{value:?}")))),
            Self::Prefix(prefix) => write!(f, "one that begins with {prefix:?}"),
        }
    }
}

impl Test {
    pub fn holds(&self, value: Option<&str>) -> bool {
        match (self, value) {
            (Self::Absent, value) => value.is_none(),
            (_, None) => false,
            (Self::Present, Some(_)) => true,
            (Self::OneOf(values), Some(value)) => values.contains(value),
            (Self::Prefix(prefix), Some(value)) => value.starts_with(prefix),
        }
    }

    /// Whether everything that fulfils `other` fulfils this.
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Present, other) => *other != Self::Absent,
            (Self::OneOf(mine), Self::OneOf(others)) => others.is_subset(mine),
            (Self::Prefix(prefix), Self::Prefix(other)) => other.starts_with(prefix),
            (Self::Prefix(prefix), Self::OneOf(others)) => others.iter().all(|other| other.starts_with(prefix)),
            (mine, other) => mine == other,
        }
    }

    fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Absent, other) | (other, Self::Absent) => *other != Self::Absent,
            (Self::OneOf(a), Self::OneOf(b)) => a.is_disjoint(b),
            (Self::Prefix(prefix), Self::OneOf(values)) | (Self::OneOf(values), Self::Prefix(prefix)) => {
                !values.iter().any(|value| value.starts_with(prefix))
            }
            (Self::Prefix(a), Self::Prefix(b)) => !a.starts_with(b) && !b.starts_with(a),
            (Self::Present, _) | (_, Self::Present) => false,
        }
    }
}

impl When {
    /// How many things are asked: a method or several, each field, each cookie, each parameter, a
    /// network or several, a country or several.
    pub fn count(&self) -> usize {
        let lists = [self.method.is_empty(), self.network.is_empty(), self.country.is_empty()];
        lists.iter().filter(|empty| !**empty).count() + self.header.len() + self.cookie.len() + self.query.len()
    }

    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        let cookies = || (facts.header)("cookie").unwrap_or_default();
        (self.method.is_empty() || self.method.contains(facts.method))
            && self.header.iter().all(|(name, test)| test.holds((facts.header)(name)))
            && self.cookie.iter().all(|(name, test)| test.holds(cookie(cookies(), name)))
            && self.query.iter().all(|(name, test)| test.holds(parameter(facts.query, name).as_deref()))
            && (self.network.is_empty()
                || facts.client.is_some_and(|client| self.network.iter().any(|net| contains(net, client))))
            && (self.country.is_empty() || (facts.country)().is_some_and(|code| self.country.contains(&code)))
    }

    /// The first thing that is asked and does not hold, in words; `None` if all of it holds.
    pub fn objection(&self, facts: &Facts<'_>) -> Option<String> {
        if self.holds(facts) {
            return None;
        }
        if !self.method.is_empty() && !self.method.contains(facts.method) {
            return Some(format!("it wants the method {}, and this is {}", any_of(&self.method), facts.method));
        }
        let cookies = || (facts.header)("cookie").unwrap_or_default();
        let of_header =
            self.header.iter().map(|(name, test)| ("field", name, test, (facts.header)(name).map(str::to_owned)));
        let of_cookie =
            self.cookie.iter().map(|(name, test)| ("cookie", name, test, cookie(cookies(), name).map(str::to_owned)));
        let of_query = self.query.iter().map(|(name, test)| ("parameter", name, test, parameter(facts.query, name)));
        let mut tests = of_header.chain(of_cookie).chain(of_query);
        if let Some((kind, name, test, value)) = tests.find(|(.., test, value)| !test.holds(value.as_deref())) {
            let found = value.map_or_else(|| "there is none".to_owned(), |value| format!("it is {value:?}"));
            return Some(format!("it wants the {kind} {name} to be {test}, and {found}"));
        }
        let client = facts.client.map_or_else(|| "not known".to_owned(), |client| client.to_canonical().to_string());
        if !self.network.is_empty()
            && !facts.client.is_some_and(|client| self.network.iter().any(|net| contains(net, client)))
        {
            let networks = any_of(self.network.iter());
            return Some(format!("it wants a client in {networks}, and this one is {client}"));
        }
        let country = (facts.country)().map_or_else(|| "that of none".to_owned(), |code| format!("of {code}"));
        Some(format!("it wants a client of {}, and the address {client} is {country}", any_of(&self.country)))
    }

    /// Whether every request that fulfils `other` fulfils this.
    pub fn covers(&self, other: &Self) -> bool {
        let subset = |mine: &BTreeSet<String>, others: &BTreeSet<String>| {
            mine.is_empty() || (!others.is_empty() && others.is_subset(mine))
        };
        let tests = |mine: &BTreeMap<String, Test>, others: &BTreeMap<String, Test>| {
            mine.iter().all(|(name, test)| others.get(name).is_some_and(|other| test.covers(other)))
        };
        let within = |net: &IpNet| self.network.iter().any(|mine| mine.contains(net));
        subset(&self.method, &other.method)
            && subset(&self.country, &other.country)
            && tests(&self.header, &other.header)
            && tests(&self.cookie, &other.cookie)
            && tests(&self.query, &other.query)
            && (self.network.is_empty() || (!other.network.is_empty() && other.network.iter().all(within)))
    }

    /// Whether no request fulfils both.
    pub fn excludes(&self, other: &Self) -> bool {
        let apart = |a: &BTreeSet<String>, b: &BTreeSet<String>| !a.is_empty() && !b.is_empty() && a.is_disjoint(b);
        let tests = |mine: &BTreeMap<String, Test>, others: &BTreeMap<String, Test>| {
            mine.iter().any(|(name, test)| others.get(name).is_some_and(|other| test.excludes(other)))
        };
        let nets_apart = || {
            let meets = |a: &IpNet| other.network.iter().any(|b| a.contains(b) || b.contains(a));
            !self.network.is_empty() && !other.network.is_empty() && !self.network.iter().any(meets)
        };
        apart(&self.method, &other.method)
            || apart(&self.country, &other.country)
            || tests(&self.header, &other.header)
            || tests(&self.cookie, &other.cookie)
            || tests(&self.query, &other.query)
            || nets_apart()
    }
}

/// `GET, HEAD or PUT`.
fn any_of(all: impl IntoIterator<Item = impl fmt::Display>) -> String {
    let mut all: Vec<_> = all.into_iter().map(|one| one.to_string()).collect();
    match all.pop() {
        Some(last) if !all.is_empty() => format!("{} or {last}", all.join(", ")),
        last => last.unwrap_or_default(),
    }
}

/// An address of version 4 that came by a socket of version 6 is one of version 4.
fn contains(net: &IpNet, client: IpAddr) -> bool {
    net.contains(&client.to_canonical())
}

/// The value of a cookie in a `Cookie` field (RFC 6265, section 4.2.1).
pub fn cookie<'c>(field: &'c str, name: &str) -> Option<&'c str> {
    let pairs = field.split(';').filter_map(|pair| pair.trim_matches(' ').split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.trim_matches('"'))
}

/// The first value of a parameter, decoded as forms are (`+` is a space); empty without a `=`.
pub fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let pairs = query?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.into_iter().find(|(key, _)| decoded(key) == name).map(|(_, value)| decoded(value))
}

pub(crate) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = || u8::from_str_radix(std::str::from_utf8(bytes.get(at + 1..at + 3)?).ok()?, 16).ok();
        match bytes[at] {
            b'+' => out.push(b' '),
            b'%' => match escape() {
                Some(byte) => {
                    out.push(byte);
                    at += 2;
                }
                None => out.push(b'%'),
            },
            byte => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests;
