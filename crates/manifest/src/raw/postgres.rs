//! The tables `[postgres.NAME]`.

use super::fields::{POSTGRES, POSTGRES_URL};
use super::{RawPostgres, Reader, Spanned};
use crate::report::code;
use crate::tree::{Entry, Table, Value};

pub(super) fn read(reader: &mut Reader<'_>, root: &Table) -> Vec<RawPostgres> {
    let Some(databases) = reader.table(root, "postgres") else { return Vec::new() };
    databases.entries.iter().filter_map(|entry| database(reader, entry)).collect()
}

fn database(reader: &mut Reader<'_>, entry: &Entry) -> Option<RawPostgres> {
    let place = format!("[postgres.{}]", entry.key);
    let table = reader.table_of(&format!("postgres.{}", entry.key), &entry.node)?;
    reader.check_fields(table, POSTGRES, &place);
    Some(RawPostgres {
        name: Spanned::new(entry.key.clone(), entry.key_span.clone()),
        url: url(reader, entry, table),
        tls: reader.string(table, "tls"),
        ca: reader.string(table, "ca"),
        limits: reader.limits(table, "limits"),
    })
}

/// A URL holds a password as a rule, so it never stands in the manifest.
fn url(reader: &mut Reader<'_>, database: &Entry, table: &Table) -> Option<Spanned<String>> {
    let example = "write url = { secret = \"database-url\" }, and set it with: selvedge secret put";
    let Some(url) = table.get("url") else {
        let message = format!("the database `{}` has no `url`", database.key);
        reader.problems.add(code::MISSING_FIELD, &database.key_span, message).help = Some(example.to_owned());
        return None;
    };
    let Value::Table(inner) = &url.node.value else {
        let message = "the URL of a database stands in a secret, never in the manifest";
        reader.problems.add(code::WRONG_TYPE, &url.node.span, message).help = Some(example.to_owned());
        return None;
    };
    reader.check_fields(inner, POSTGRES_URL, &format!("[postgres.{}] url", database.key));
    if inner.get("secret").is_none() {
        let message = format!("the `url` of the database `{}` names no secret", database.key);
        reader.problems.add(code::MISSING_FIELD, &url.node.span, message).help = Some(example.to_owned());
    }
    reader.string(inner, "secret")
}
