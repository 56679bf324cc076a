//! How the worker's script is built: names that are replaced, modules that stand for others, and what
//! files are taken for.

use std::collections::BTreeMap;

use super::{check_keys, keys};
use crate::plan::{BuildSettings, ModuleKind, ModuleRule};
use crate::raw::Reader;
use crate::report::{code, suggest};
use crate::tree::{Node, Table};

/// The types of modules that rules may name, and what they are here. Scripts are known by their own
/// syntax, whatever a rule says.
const TYPES: [(&str, Option<ModuleKind>); 5] = [
    ("Text", Some(ModuleKind::Text)),
    ("Data", Some(ModuleKind::Data)),
    ("CompiledWasm", Some(ModuleKind::Wasm)),
    ("ESModule", None),
    ("CommonJS", None),
];

pub(super) fn settings(reader: &mut Reader<'_>, root: &Table) -> BuildSettings {
    let define = texts(reader, root, "define");
    let alias = texts(reader, root, "alias");
    let rules = reader.array(root, "rules").unwrap_or_default();
    BuildSettings { define, alias, rules: rules.iter().filter_map(|item| rule(reader, item)).collect() }
}

fn texts(reader: &mut Reader<'_>, root: &Table, key: &str) -> BTreeMap<String, String> {
    let Some(table) = reader.table_if_any(root, key) else { return BTreeMap::new() };
    let texts = table.entries.iter().filter_map(|entry| Some((entry.key.clone(), reader.string_of(entry)?.value)));
    texts.collect()
}

fn rule(reader: &mut Reader<'_>, item: &Node) -> Option<ModuleRule> {
    let table = reader.table_of("an item of rules", item)?;
    check_keys(reader, table, keys::RULE, "rules");
    for key in ["type", "globs"] {
        if table.get(key).is_none() {
            reader.problems.add(code::MISSING_FIELD, &item.span, format!("an item of rules has no `{key}`"));
            return None;
        }
    }
    let (kind, globs) = (reader.string(table, "type")?, reader.strings(table, "globs")?);
    let Some((_, known)) = TYPES.iter().find(|(name, _)| *name == kind.value) else {
        let message = format!("modules of the type `{}` are not supported", kind.value);
        reader.problems.add(code::NOT_SUPPORTED, &kind.span, message).help =
            suggest(&kind.value, TYPES.iter().map(|(name, _)| *name), "the types here are");
        return None;
    };
    let globs = globs.into_iter().map(|glob| glob.value).collect();
    known.map(|kind| ModuleRule { kind, globs })
}
