//! `assets`, `route` and `routes` → routes.

use std::ops::Range;

use super::{check_keys, keys};
use crate::raw::{RawRoute, Reader, Spanned};
use crate::report::{code, suggest};
use crate::route::HostPattern;
use crate::tree::{Entry, Node, Table, Value};

/// The `assets` setting.
pub(super) struct Files {
    pub directory: Spanned<String>,
    /// The name under which code sees them.
    pub binding: Option<Spanned<String>>,
    not_found: Option<Spanned<String>>,
    html: Option<Spanned<String>>,
    first: WorkerFirst,
}

/// Where the worker is asked before the files.
enum WorkerFirst {
    Nowhere,
    Everywhere,
    /// Path patterns; those that begin with `!` are exceptions.
    At(Vec<Spanned<String>>),
}

pub(super) fn files(reader: &mut Reader<'_>, root: &Table) -> Option<Files> {
    if let Some(build) = reader.table_if_any(root, "build") {
        check_keys(reader, build, keys::BUILD, "build");
    }
    let table = reader.table(root, "assets")?;
    check_keys(reader, table, keys::ASSETS, "assets");
    let html = reader.string(table, "html_handling");
    let not_found = not_found(reader, table);
    let first = worker_first(reader, table);
    let binding = reader.string(table, "binding");
    let Some(entry) = table.get("directory") else {
        let span = &root.get("assets").expect("it was just read").key_span;
        reader.problems.add(code::MISSING_FIELD, span, "`assets` has no `directory`").help =
            Some("name the directory whose files are served, such as \"./public\"".to_owned());
        return None;
    };
    Some(Files { directory: reader.string_of(entry)?, binding, not_found, html, first })
}

/// The words of wrangler in ours.
fn not_found(reader: &mut Reader<'_>, assets: &Table) -> Option<Spanned<String>> {
    let text = reader.string(assets, "not_found_handling")?;
    let ours = match text.value.as_str() {
        "none" => "none",
        "single-page-application" => "single-page",
        "404-page" => "404-page",
        other => {
            let message = format!("`{other}` is no `not_found_handling`");
            reader.problems.add(code::BAD_VALUE, &text.span, message).help =
                suggest(other, ["none", "single-page-application", "404-page"], "it is one of");
            return None;
        }
    };
    Some(Spanned::new(ours.to_owned(), text.span))
}

fn worker_first(reader: &mut Reader<'_>, assets: &Table) -> WorkerFirst {
    match assets.get("run_worker_first").map(|e| &e.node) {
        None | Some(Node { value: Value::Bool(false), .. }) => WorkerFirst::Nowhere,
        Some(Node { value: Value::Bool(true), .. }) => WorkerFirst::Everywhere,
        Some(Node { value: Value::Array(_), .. }) => {
            WorkerFirst::At(reader.strings(assets, "run_worker_first").unwrap_or_default())
        }
        Some(node) => {
            reader.wrong_type::<()>("run_worker_first", "true, false or an array of patterns", node);
            WorkerFirst::Nowhere
        }
    }
}

/// A pattern of the file, in our words.
struct Place {
    host: String,
    path: String,
    span: Range<usize>,
}

pub(super) fn routes(
    reader: &mut Reader<'_>,
    root: &Table,
    worker: Option<&Spanned<String>>,
    files: Option<&Files>,
) -> Vec<RawRoute> {
    let mut places = Vec::new();
    if let Some(entry) = root.get("route") {
        places.extend(route(reader, &entry.node));
    }
    for item in reader.array(root, "routes").unwrap_or_default() {
        places.extend(route(reader, item));
    }
    let written = ["route", "routes"].iter().any(|key| root.get(key).is_some_and(|e| !e.node.value.is_empty()));
    // What workers.dev is there, the default host is here; without routes every host is.
    let host = match root.get("name").map(|e| &e.node.value) {
        Some(Value::String(name)) if written => {
            Some(format!("{name}.localhost")).filter(|h| HostPattern::parse(h).is_ok())
        }
        _ => (!written).then(String::new),
    };
    if let Some(host) = host.filter(|host| !places.iter().any(|p| p.host == *host)) {
        let span = root.get("main").or(root.get("assets")).map_or(0..0, |e: &Entry| e.key_span.clone());
        places.push(Place { host, path: "/*".to_owned(), span });
    }
    places.iter().flat_map(|place| targets(reader, place, worker, files)).collect()
}

fn route(reader: &mut Reader<'_>, item: &Node) -> Vec<Place> {
    let (pattern, custom_domain) = match &item.value {
        Value::String(text) => (Spanned::new(text.clone(), item.span.clone()), false),
        Value::Table(table) => {
            check_keys(reader, table, keys::ROUTE, "a route");
            let custom_domain = reader.bool(table, "custom_domain").unwrap_or(false);
            if table.get("pattern").is_none() {
                reader.problems.add(code::MISSING_FIELD, &item.span, "the route has no `pattern`");
            }
            let Some(pattern) = reader.string(table, "pattern") else { return Vec::new() };
            (pattern, custom_domain)
        }
        _ => {
            reader.wrong_type::<()>("a route", "a pattern or a table", item);
            return Vec::new();
        }
    };
    let text = pattern.value.split_once("://").map_or(pattern.value.as_str(), |(_, rest)| rest);
    let (host, path) = match text.find('/') {
        Some(slash) if custom_domain => {
            let message = "a custom domain is a host, and has no path";
            reader.problems.add(code::BAD_PATTERN, &pattern.span, message).help =
                Some(format!("write \"{}\"", &text[..slash]));
            return Vec::new();
        }
        Some(slash) => text.split_at(slash),
        None => (text, if custom_domain { "/*" } else { "/" }),
    };
    let place = |host: String| Place { host, path: path.to_owned(), span: pattern.span.clone() };
    match host.strip_prefix('*') {
        // `*example.com` is the host itself and every host below it.
        Some(rest) if !rest.starts_with('.') && !rest.is_empty() => {
            vec![place(rest.to_owned()), place(format!("*.{rest}"))]
        }
        Some("") => vec![place(String::new())],
        _ => vec![place(host.to_owned())],
    }
}

fn targets(
    reader: &mut Reader<'_>,
    place: &Place,
    worker: Option<&Spanned<String>>,
    files: Option<&Files>,
) -> Vec<RawRoute> {
    let at = |path: &str, worker: Option<&Spanned<String>>, files: Option<&Files>| RawRoute {
        worker: worker.cloned(),
        assets: files.map(|f| f.directory.clone()),
        blob: None,
        not_found: files.and_then(|f| f.not_found.clone()),
        html_handling: files.and_then(|f| f.html.clone()),
        ..RawRoute::new(Spanned::new(format!("{}{path}", place.host), place.span.clone()))
    };
    let (Some(files), Some(_)) = (files, worker) else { return vec![at(&place.path, worker, files)] };
    match &files.first {
        WorkerFirst::Nowhere => vec![at(&place.path, worker, Some(files))],
        WorkerFirst::Everywhere => vec![at(&place.path, worker, None)],
        WorkerFirst::At(patterns) if place.path != "/*" => {
            if let Some(pattern) = patterns.first() {
                let message = "patterns in `run_worker_first` together with a route that is not a whole host are not \
                               supported by this version yet";
                reader.problems.add(code::NOT_SUPPORTED, &pattern.span, message);
            }
            Vec::new()
        }
        WorkerFirst::At(patterns) => {
            let exceptions: Vec<&str> = patterns.iter().filter_map(|p| p.value.strip_prefix('!')).collect();
            let mut routes = Vec::new();
            for pattern in patterns {
                let (path, files) = match pattern.value.strip_prefix('!') {
                    Some(path) => (path, Some(files)),
                    None => (pattern.value.as_str(), None),
                };
                // An exception wins even over a longer pattern.
                let excepted = files.is_none() && exceptions.iter().any(|e| covers(e, path));
                if !excepted {
                    let mut route = at(path, worker, files);
                    route.pattern.span = pattern.span.clone();
                    routes.push(route);
                }
            }
            if !patterns.iter().any(|p| p.value.trim_start_matches('!') == "/*") {
                routes.push(at("/*", worker, Some(files)));
            }
            routes
        }
    }
}

/// Whether a pattern matches all that another one matches.
fn covers(wide: &str, narrow: &str) -> bool {
    wide == narrow || wide.strip_suffix('*').is_some_and(|stem| narrow.starts_with(stem))
}
