//! The reader of `selvedge.toml`.

use super::fields::{BINDING, ROOT, ROUTE, ROUTE_CACHE, ROUTE_RULES, TEST, WORKER};
use super::{
    BindingKind, RawBinding, RawCache, RawManifest, RawRoute, RawTests, RawWorker, Reader, Spanned, postgres, upstream,
};
use crate::plan::BuildSettings;
use crate::report::{Problems, code, nearest};
use crate::tree::{Entry, Node, Table, Value};

/// Reads the root table, its overlay already merged.
pub(crate) fn read(root: &Table, problems: &mut Problems) -> RawManifest {
    let mut reader = Reader { problems };
    reader.check_fields(root, ROOT, "the manifest");
    if root.get("name").is_none() {
        reader.problems.add(code::MISSING_FIELD, &(0..0), "the manifest has no `name`").help =
            Some("add a line at the top: name = \"my-app\"".to_owned());
    }
    RawManifest {
        name: reader.string(root, "name"),
        workers: workers(&mut reader, root),
        routes: routes(&mut reader, root),
        upstreams: upstream::read(&mut reader, root),
        limits: reader.limits(root, "limits"),
        tests: tests(&mut reader, root),
        postgres: postgres::read(&mut reader, root),
    }
}

fn tests(reader: &mut Reader<'_>, root: &Table) -> RawTests {
    let Some(table) = reader.table(root, "test") else { return RawTests::default() };
    reader.check_fields(table, TEST, "[test]");
    RawTests {
        globals: reader.bool(table, "globals").unwrap_or(false),
        worker: reader.string(table, "worker"),
        limits: reader.limits(table, "limits"),
    }
}

fn workers(reader: &mut Reader<'_>, root: &Table) -> Vec<RawWorker> {
    let Some(workers) = reader.table(root, "workers") else { return Vec::new() };
    // `[workers] entry = …` is a worker without its name.
    let nameless = !workers.entries.is_empty()
        && workers.entries.iter().all(|e| WORKER.iter().any(|f| f.name == e.key))
        && workers.get("entry").is_some_and(|e| matches!(e.node.value, Value::String(_)));
    if nameless {
        let span = &root.get("workers").expect("it was just read").node.span;
        reader.problems.add(code::MISSING_FIELD, span, "a worker needs a name").help =
            Some("write [workers.NAME], for example [workers.web]".to_owned());
        return Vec::new();
    }
    workers.entries.iter().filter_map(|entry| worker(reader, entry, workers)).collect()
}

/// Reports a worker without an entry file: a new one that is not finished, or an overlay that
/// misspells the name of an old one.
fn no_entry(reader: &mut Reader<'_>, worker: &Entry, workers: &Table) {
    let has_entry = |e: &&Entry| matches!(&e.node.value, Value::Table(t) if t.get("entry").is_some());
    let others = workers.entries.iter().filter(has_entry).map(|e| e.key.as_str());
    let message = format!("the worker `{}` has no `entry`", worker.key);
    let problem = reader.problems.add(code::MISSING_FIELD, &worker.key_span, message);
    problem.help = Some(match nearest(&worker.key, others) {
        Some(other) => format!("did you mean `{other}`? A worker of its own needs an entry file"),
        None => "add its entry file: entry = \"src/index.ts\"".to_owned(),
    });
}

fn worker(reader: &mut Reader<'_>, entry: &Entry, workers: &Table) -> Option<RawWorker> {
    let table = reader.table_of(&format!("workers.{}", entry.key), &entry.node)?;
    reader.check_fields(table, WORKER, &format!("[workers.{}]", entry.key));
    if table.get("entry").is_none() {
        no_entry(reader, entry, workers);
    }
    Some(RawWorker {
        name: Spanned::new(entry.key.clone(), entry.key_span.clone()),
        entry: reader.string(table, "entry"),
        isolation: reader.string(table, "isolation"),
        warm: reader.string(table, "warm"),
        vars: reader.vars(table),
        bindings: bindings(reader, table, &entry.key),
        egress: reader.strings(table, "egress"),
        limits: reader.limits(table, "limits"),
        server_timing: reader.bool(table, "server_timing").unwrap_or(false),
        build: BuildSettings::default(),
    })
}

fn bindings(reader: &mut Reader<'_>, worker: &Table, worker_name: &str) -> Vec<RawBinding> {
    let Some(bindings) = reader.table(worker, "bindings") else { return Vec::new() };
    bindings.entries.iter().filter_map(|entry| binding(reader, entry, worker_name)).collect()
}

const KINDS: [(&str, BindingKind); 9] = [
    ("object", BindingKind::Object),
    ("kv", BindingKind::Kv),
    ("blob", BindingKind::Blob),
    ("sql", BindingKind::Sql),
    ("secret", BindingKind::Secret),
    ("config", BindingKind::Config),
    ("worker", BindingKind::Worker),
    ("assets", BindingKind::Assets),
    ("postgres", BindingKind::Postgres),
];

fn binding(reader: &mut Reader<'_>, entry: &Entry, worker_name: &str) -> Option<RawBinding> {
    let Value::Table(table) = &entry.node.value else {
        let found = entry.node.value.kind();
        let message = format!("the binding `{}` must be a table, not {found}", entry.key);
        let problem = reader.problems.add(code::WRONG_TYPE, &entry.node.span, message);
        problem.label = Some(format!("this is {found}"));
        problem.help = Some(format!("for example: {} = {{ kv = \"name\" }}", entry.key));
        return None;
    };
    // What is not there yet is one problem, not one for each of its fields.
    let later = table.entries.iter().find(|e| BINDING.iter().any(|f| f.later && f.name == e.key));
    if let Some(later) = later {
        let only = Table { entries: vec![later.clone()] };
        reader.check_fields(&only, BINDING, &format!("[workers.{worker_name}.bindings]"));
        return None;
    }
    reader.check_fields(table, BINDING, &format!("the binding `{}`", entry.key));
    let is_object = table.get("object").is_some();
    // A class of objects may say which worker exports it.
    let is_own = |name: &str| !(is_object && name == "worker");
    let named = KINDS.iter().filter(|(name, _)| is_own(name));
    let mut kinds = named.filter_map(|(name, kind)| Some((*kind, table.get(name)?)));
    let first = kinds.next();
    if let Some((_, second)) = kinds.next() {
        let message = format!("the binding `{}` opens more than one thing", entry.key);
        reader.problems.add(code::BAD_BINDING, &second.key_span, message).help =
            Some("give each thing a binding of its own".to_owned());
        return None;
    }
    let extras = || EXTRAS.iter().filter_map(|(name, of)| Some((table.get(name)?, *of)));
    let Some((kind, target)) = first else {
        if table.entries.is_empty() || extras().next().is_some() {
            let message = format!("the binding `{}` opens nothing", entry.key);
            reader.problems.add(code::BAD_BINDING, &entry.node.span, message).help =
                Some("name one of: kv, blob, sql, secret, config, worker, assets, object, postgres".to_owned());
        }
        return None;
    };
    if let Some((extra, of)) = extras().find(|(_, of)| *of != kind) {
        let what = match of {
            BindingKind::Worker => "worker",
            BindingKind::Config => "configuration value",
            _ => "database",
        };
        let message = format!("`{}` has no meaning in the binding `{}`, which opens no {what}", extra.key, entry.key);
        reader.problems.add(code::BAD_BINDING, &extra.key_span, message).help =
            Some(format!("leave it out, or bind a {what}"));
        return None;
    }
    let name = Spanned::new(entry.key.clone(), entry.key_span.clone());
    let mut binding = RawBinding::new(name, kind, reader.string_of(target)?);
    binding.migrations = reader.string(table, "migrations");
    binding.entrypoint = reader.string(table, "entrypoint");
    binding.worker = if is_object { reader.string(table, "worker") } else { None };
    binding.props = table.get("props").map(|props| props.node.clone());
    if let Some(previous) = table.get("previous").filter(|_| kind != BindingKind::Secret) {
        let message = format!("`previous` has no meaning in the binding `{}`, which opens no secret", entry.key);
        reader.problems.add(code::BAD_BINDING, &previous.key_span, message).help =
            Some("leave it out, or bind a secret".to_owned());
        return None;
    }
    binding.default = reader.string(table, "default");
    binding.previous = reader.bool(table, "previous").unwrap_or(false);
    Some(binding)
}

/// What a binding to a worker, a database or a configuration value may say besides.
const EXTRAS: [(&str, BindingKind); 4] = [
    ("migrations", BindingKind::Sql),
    ("entrypoint", BindingKind::Worker),
    ("props", BindingKind::Worker),
    ("default", BindingKind::Config),
];

fn routes(reader: &mut Reader<'_>, root: &Table) -> Vec<RawRoute> {
    let Some(entry) = root.get("routes") else { return Vec::new() };
    let Value::Array(items) = &entry.node.value else {
        let found = entry.node.value.kind();
        let message = format!("`routes` must be an array of tables, not {found}");
        reader.problems.add(code::WRONG_TYPE, &entry.node.span, message).help =
            Some("each route is a table of its own: [[routes]]".to_owned());
        return Vec::new();
    };
    items.iter().filter_map(|item| route(reader, item)).collect()
}

fn route(reader: &mut Reader<'_>, item: &Node) -> Option<RawRoute> {
    let table = reader.table_of("a route", item)?;
    reader.check_fields(table, ROUTE, "[[routes]]");
    let worker = reader.string(table, "worker");
    let assets = reader.string(table, "assets");
    let blob = reader.string(table, "blob");
    let not_found = reader.string(table, "not_found");
    if table.get("match").is_none() {
        reader.problems.add(code::MISSING_FIELD, &item.span, "the route has no `match`").help =
            Some("for every path, write: match = \"/*\"".to_owned());
        return None;
    }
    let pattern = reader.string(table, "match")?;
    // A redirect is an answer of its own.
    let has_target = ["worker", "assets", "blob", "upstream", "redirect"].iter().any(|key| table.get(key).is_some());
    if !has_target {
        let message = format!("the route `{}` leads nowhere", pattern.value);
        reader.problems.add(code::MISSING_FIELD, &item.span, message).help =
            Some("add worker = \"NAME\", assets = \"DIRECTORY\", blob = \"BUCKET\" or upstream = \"NAME\"".to_owned());
        return None;
    }
    let upstream = reader.string(table, "upstream");
    let cache = table.get("cache").and_then(|entry| cache(reader, entry));
    let priority = reader.integer(table, "priority");
    let rules = table.entries.iter().filter(|entry| ROUTE_RULES.contains(&entry.key.as_str())).cloned().collect();
    let html_handling = reader.string(table, "html_handling");
    Some(RawRoute { pattern, worker, assets, blob, not_found, html_handling, upstream, cache, priority, rules })
}

fn cache(reader: &mut Reader<'_>, entry: &Entry) -> Option<RawCache> {
    let span = entry.node.span.clone();
    match &entry.node.value {
        Value::Bool(on) => Some(RawCache { span, on: *on, ..RawCache::default() }),
        Value::Table(table) => {
            reader.check_fields(table, ROUTE_CACHE, "`cache`");
            Some(RawCache {
                span,
                on: true,
                default_ttl_s: reader.integer(table, "default_ttl_s"),
                negative_ttl_s: reader.integer(table, "negative_ttl_s"),
                query: reader.strings(table, "query"),
                query_except: reader.strings(table, "query_except"),
                sort_query: reader.bool(table, "sort_query").unwrap_or(false),
                headers: reader.strings(table, "headers"),
                cookies: reader.strings(table, "cookies"),
                device: reader.bool(table, "device").unwrap_or(false),
                compress: reader.bool(table, "compress").unwrap_or(false),
            })
        }
        _ => reader.wrong_type("cache", "true, false or a table", &entry.node),
    }
}
