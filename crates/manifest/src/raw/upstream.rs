//! The tables `[upstreams.NAME]`.

use super::fields::{POSTGRES_URL, UPSTREAM, UPSTREAM_HEALTH, UPSTREAM_TARGET, UPSTREAM_TLS};
use super::{RawLimit, Reader, Spanned};
use crate::report::code;
use crate::tree::{Entry, Node, Table, Value};

#[derive(Debug)]
pub(crate) struct RawUpstream {
    pub name: Spanned<String>,
    pub targets: Vec<RawTarget>,
    pub balance: Option<Spanned<String>>,
    pub hash: Option<Spanned<String>>,
    pub sticky: Option<Spanned<String>>,
    pub retry_on: Vec<Spanned<i64>>,
    pub health: Option<RawHealth>,
    pub tls: Option<RawUpstreamTls>,
    /// The name of another upstream.
    pub parent: Option<Spanned<String>>,
    pub early_hints: bool,
    pub host: Option<Spanned<String>>,
    pub limits: Vec<RawLimit>,
}

#[derive(Debug)]
pub(crate) struct RawTarget {
    pub url: Spanned<String>,
    pub weight: Option<Spanned<i64>>,
}

#[derive(Debug)]
pub(crate) struct RawHealth {
    pub path: Spanned<String>,
    pub status: Vec<Spanned<i64>>,
}

#[derive(Debug)]
pub(crate) struct RawUpstreamTls {
    pub ca: Option<Spanned<String>>,
    pub server_name: Option<Spanned<String>>,
    /// The name of a secret.
    pub certificate: Option<Spanned<String>>,
}

pub(super) fn read(reader: &mut Reader<'_>, root: &Table) -> Vec<RawUpstream> {
    let Some(upstreams) = reader.table(root, "upstreams") else { return Vec::new() };
    upstreams.entries.iter().filter_map(|entry| upstream(reader, entry)).collect()
}

fn upstream(reader: &mut Reader<'_>, entry: &Entry) -> Option<RawUpstream> {
    let place = format!("upstreams.{}", entry.key);
    let table = reader.table_of(&place, &entry.node)?;
    reader.check_fields(table, UPSTREAM, &format!("[{place}]"));
    let items = reader.array(table, "targets").unwrap_or_default();
    if items.is_empty() {
        let message = format!("the upstream `{}` has no `targets`", entry.key);
        reader.problems.add(code::MISSING_FIELD, &entry.key_span, message).help =
            Some("name its servers: targets = [\"http://127.0.0.1:9000\"]".to_owned());
        return None;
    }
    Some(RawUpstream {
        name: Spanned::new(entry.key.clone(), entry.key_span.clone()),
        targets: items.iter().filter_map(|item| target(reader, item)).collect(),
        balance: reader.string(table, "balance"),
        hash: reader.string(table, "hash"),
        sticky: reader.string(table, "sticky"),
        retry_on: integers(reader, table, "retry_on"),
        health: reader.table(table, "health").and_then(|health| self::health(reader, entry, health)),
        tls: reader.table(table, "tls").map(|tls| self::tls(reader, &place, tls)),
        parent: reader.string(table, "parent"),
        early_hints: reader.bool(table, "early_hints").unwrap_or(false),
        host: reader.string(table, "host"),
        limits: reader.limits(table, "limits"),
    })
}

fn target(reader: &mut Reader<'_>, item: &Node) -> Option<RawTarget> {
    match &item.value {
        Value::String(url) => Some(RawTarget { url: Spanned::new(url.clone(), item.span.clone()), weight: None }),
        Value::Table(table) => {
            reader.check_fields(table, UPSTREAM_TARGET, "a target");
            if table.get("url").is_none() {
                let message = "the target has no `url`";
                reader.problems.add(code::MISSING_FIELD, &item.span, message).help =
                    Some("for example: { url = \"http://127.0.0.1:9000\", weight = 2 }".to_owned());
            }
            let weight = reader.integer(table, "weight");
            Some(RawTarget { url: reader.string(table, "url")?, weight })
        }
        _ => reader.wrong_type("an item of targets", "a string or a table", item),
    }
}

fn health(reader: &mut Reader<'_>, upstream: &Entry, table: &Table) -> Option<RawHealth> {
    reader.check_fields(table, UPSTREAM_HEALTH, &format!("[upstreams.{}.health]", upstream.key));
    let status = integers(reader, table, "status");
    if table.get("path").is_none() {
        let message = format!("the `health` of the upstream `{}` has no `path`", upstream.key);
        reader.problems.add(code::MISSING_FIELD, &upstream.key_span, message).help =
            Some("for example: health = { path = \"/healthz\" }".to_owned());
    }
    Some(RawHealth { path: reader.string(table, "path")?, status })
}

fn tls(reader: &mut Reader<'_>, place: &str, table: &Table) -> RawUpstreamTls {
    reader.check_fields(table, UPSTREAM_TLS, &format!("[{place}.tls]"));
    let certificate = reader.table(table, "certificate").and_then(|inner| {
        reader.check_fields(inner, POSTGRES_URL, &format!("[{place}.tls] certificate"));
        reader.string(inner, "secret")
    });
    RawUpstreamTls { ca: reader.string(table, "ca"), server_name: reader.string(table, "server_name"), certificate }
}

fn integers(reader: &mut Reader<'_>, table: &Table, key: &str) -> Vec<Spanned<i64>> {
    let items = reader.array(table, key).unwrap_or_default();
    let mut integers = Vec::with_capacity(items.len());
    for item in items {
        match item.value {
            Value::Integer(value) => integers.push(Spanned::new(value, item.span.clone())),
            _ => drop(reader.wrong_type::<()>(&format!("an item of {key}"), "an integer", item)),
        }
    }
    integers
}
