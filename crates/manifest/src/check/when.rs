//! What a route asks beside its pattern: raw → [`When`]; and whether all of an app's routes can be reached.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::{Compiler, shorten};
use crate::bounds::{CONDITIONS, TEXT_BYTES};
use crate::raw::fields::{TEST_VALUE, WHEN};
use crate::raw::{RawRoute, Reader, Spanned};
use crate::report::code;
use crate::route::Route;
use crate::route::when::{Test, When};
use crate::tree::{Entry, Node, Table, Value};

impl Compiler<'_, '_> {
    /// `when`, or whom a maintenance lets in. Reports what is wrong with it, and leaves that out.
    pub(super) fn when(&mut self, entry: &Entry) -> Option<When> {
        let mut reader = Reader { problems: self.problems };
        let table = reader.table_of(&entry.key, &entry.node)?;
        let faults = reader.problems.report.problems.len();
        reader.check_fields(table, WHEN, &format!("`{}`", entry.key));
        let when = When {
            method: texts(&mut reader, table, "method", &method),
            header: tests(&mut reader, table, "header", &|name| field_name(name)),
            cookie: tests(&mut reader, table, "cookie", &|name| token(name).then(|| name.to_owned())),
            query: tests(&mut reader, table, "query", &|name| Some(name.to_owned())),
            network: networks(&mut reader, table),
            country: texts(&mut reader, table, "country", &country),
        };
        let asked = when.count() + when.network.len();
        if reader.problems.report.problems.len() > faults {
            return None;
        }
        if asked == 0 {
            reader.problems.add(code::BAD_ROUTE, &entry.node.span, format!("`{}` asks for nothing", entry.key)).help =
                Some("leave it out, or ask for a method, header, cookie, query, network or country".to_owned());
            return None;
        }
        if asked as u64 > CONDITIONS.max {
            let message = format!("`{}` asks for {asked} things; at most {} (conditions)", entry.key, CONDITIONS.max);
            reader.problems.add(code::TOO_MANY, &entry.node.span, message);
            return None;
        }
        Some(when)
    }

    /// Routes of one pattern, in the order in which they are tried: each has to be reached by some
    /// request, and no request may be able to reach two of which neither comes first.
    pub(super) fn check_precedence(&mut self, routes: &[(Route, &RawRoute)]) {
        for group in routes.chunk_by(|a, b| a.0.compare_pattern(&b.0).is_eq()) {
            for (at, (later, raw)) in group.iter().enumerate().skip(1) {
                let same = |route: &Route| route.compare_specificity(later).is_eq();
                let before = group[..at].iter().filter(|(earlier, _)| !same(earlier));
                let mut before = before.filter(|(earlier, _)| earlier.shadows(later) || self.is_tie(earlier, later));
                let Some((earlier, first)) = before.next() else { continue };
                let (a, b) = (&first.pattern, &raw.pattern);
                let name = shorten(&b.value);
                let (code, message, help) = if earlier.shadows(later) {
                    let message =
                        format!("no request reaches this route at `{name}`: another one takes all of them before");
                    (code::SHADOWED_ROUTE, message, "ask for less in it, for more in the other, or change `priority`")
                } else {
                    let message = format!("two routes at `{name}` can match one request, and neither comes first");
                    (code::AMBIGUOUS_ROUTE, message, "give one of them a greater `priority`")
                };
                let problem = self.problems.add(code, &b.span, message);
                problem.label = Some("this one".to_owned());
                problem.also = Some((a.span.clone(), "the other".to_owned())).filter(|_| a.span != b.span);
                problem.help = Some(help.to_owned());
            }
        }
    }

    fn is_tie(&self, earlier: &Route, later: &Route) -> bool {
        earlier.compare_precedence(later).is_eq() && earlier.meets(later)
    }
}

/// A method is a token; what is not all capitals is a slip.
fn method(text: &str) -> Result<String, &'static str> {
    match token(text) && !text.bytes().any(|b| b.is_ascii_lowercase()) {
        true => Ok(text.to_owned()),
        false => Err("is no method; methods are written in capitals: \"GET\""),
    }
}

fn country(text: &str) -> Result<String, &'static str> {
    match text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase()) {
        true => Ok(text.to_owned()),
        false => Err("is no country; countries are two capitals (ISO 3166-1): \"DE\""),
    }
}

/// RFC 9110, section 5.6.2.
pub(super) fn token(text: &str) -> bool {
    let of_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.len() as u64 <= TEXT_BYTES.max && text.bytes().all(of_token)
}

pub(super) fn field_name(text: &str) -> Option<String> {
    token(text).then(|| text.to_ascii_lowercase())
}

/// A text or a list of texts.
fn either(reader: &mut Reader<'_>, entry: &Entry) -> Vec<Spanned<String>> {
    match &entry.node.value {
        Value::Array(items) => items.iter().filter_map(|item| text_of(reader, &entry.key, item)).collect(),
        _ => text_of(reader, &entry.key, &entry.node).into_iter().collect(),
    }
}

fn text_of(reader: &mut Reader<'_>, key: &str, node: &Node) -> Option<Spanned<String>> {
    match &node.value {
        Value::String(text) if text.len() as u64 <= TEXT_BYTES.max => {
            Some(Spanned::new(text.clone(), node.span.clone()))
        }
        Value::String(text) => {
            let (found, max) = (text.len(), TEXT_BYTES.max);
            let message = format!("a text of `{key}` has {found} bytes; at most {max} (text_bytes)");
            reader.problems.add(code::BAD_VALUE, &node.span, message);
            None
        }
        _ => reader.wrong_type(key, "a string or a list of strings", node),
    }
}

fn texts(
    reader: &mut Reader<'_>,
    table: &Table,
    key: &str,
    check: &dyn Fn(&str) -> Result<String, &'static str>,
) -> BTreeSet<String> {
    let Some(entry) = table.get(key) else { return BTreeSet::new() };
    let mut good = BTreeSet::new();
    for text in either(reader, entry) {
        match check(&text.value) {
            Ok(value) => drop(good.insert(value)),
            Err(why) => {
                reader.problems.add(code::BAD_VALUE, &text.span, format!("`{}` {why}", shorten(&text.value)));
            }
        }
    }
    good
}

fn networks(reader: &mut Reader<'_>, table: &Table) -> Vec<IpNet> {
    let Some(entry) = table.get("network") else { return Vec::new() };
    let mut good = Vec::new();
    for text in either(reader, entry) {
        let address = || text.value.parse::<std::net::IpAddr>().ok().map(IpNet::from);
        match text.value.parse::<IpNet>().ok().or_else(address) {
            Some(net) => good.push(net.trunc()),
            None => {
                let message = format!("`{}` is no network", shorten(&text.value));
                reader.problems.add(code::BAD_VALUE, &text.span, message).help =
                    Some("write an address with the length of its prefix: \"10.0.0.0/8\", \"fd00::/8\"".to_owned());
            }
        }
    }
    good.sort();
    good.dedup();
    good
}

fn tests(
    reader: &mut Reader<'_>,
    table: &Table,
    key: &str,
    name: &dyn Fn(&str) -> Option<String>,
) -> BTreeMap<String, Test> {
    let Some(asked) = reader.table(table, key) else { return BTreeMap::new() };
    let mut good = BTreeMap::new();
    for entry in &asked.entries {
        let Some(name) = name(&entry.key) else {
            let message = format!("`{}` is no name of a {key}", shorten(&entry.key));
            reader.problems.add(code::BAD_NAME, &entry.key_span, message);
            continue;
        };
        if let Some(test) = test(reader, entry) {
            good.insert(name, test);
        }
    }
    good
}

fn test(reader: &mut Reader<'_>, entry: &Entry) -> Option<Test> {
    Some(match &entry.node.value {
        Value::Bool(true) => Test::Present,
        Value::Bool(false) => Test::Absent,
        Value::String(_) | Value::Array(_) => {
            let values: BTreeSet<_> = either(reader, entry).into_iter().map(|text| text.value).collect();
            if values.is_empty() {
                return None;
            }
            Test::OneOf(values)
        }
        Value::Table(table) => {
            reader.check_fields(table, TEST_VALUE, &format!("`{}`", entry.key));
            Test::Prefix(reader.string(table, "prefix")?.value)
        }
        _ => return reader.wrong_type(&entry.key, "a text, a list, true, false or { prefix = … }", &entry.node),
    })
}
