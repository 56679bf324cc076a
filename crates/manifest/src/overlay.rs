//! `[env.NAME]` of `selvedge.toml`: tables merge key by key over the base; everything else, arrays
//! and whole bindings and variables included, replaces.

use crate::tree::{Entry, Node, Table, Value};

/// The base with an overlay over it.
pub(crate) fn merge(base: &Table, over: &Table, _env: &str) -> Table {
    let mut path = Vec::new();
    merge_at(base, over, &mut path)
}

fn merge_at<'t>(base: &Table, over: &'t Table, path: &mut Vec<&'t str>) -> Table {
    let mut merged = base.clone();
    for entry in &over.entries {
        path.push(&entry.key);
        let old = base.get(&entry.key);
        let entry = match (old.map(|e| &e.node.value), &entry.node.value) {
            (Some(Value::Table(old_table)), Value::Table(new_table)) if !is_one_value(path) => {
                let value = Value::Table(merge_at(old_table, new_table, path));
                let old = old.expect("its value was just matched");
                let node = Node { span: old.node.span.clone(), value };
                Entry { key: entry.key.clone(), key_span: old.key_span.clone(), node }
            }
            _ => entry.clone(),
        };
        merged.set(entry);
        path.pop();
    }
    merged
}

/// True for a table that is one value to its reader: half of the base's binding and half of the
/// overlay's make no sense together.
fn is_one_value(path: &[&str]) -> bool {
    matches!(path, ["workers", _, "bindings" | "vars", _])
}

#[cfg(test)]
mod tests;
