//! What a manifest says, before anything of it is checked but its shape. Both readers, that of
//! `selvedge.toml` and that of wrangler's files, end here, and one check follows.

use std::ops::Range;

use crate::plan::BuildSettings;
use crate::report::{Problems, code, suggest};
use crate::tree::{Entry, Node, Table, Value};

pub(crate) mod fields;
mod postgres;
mod selvedge;
mod upstream;

pub(crate) use selvedge::read;
pub(crate) use upstream::{RawTarget, RawUpstream};

/// A value and its place in the file.
#[derive(Debug, Clone)]
pub(crate) struct Spanned<T> {
    pub value: T,
    pub span: Range<usize>,
}

impl<T> Spanned<T> {
    pub fn new(value: T, span: Range<usize>) -> Self {
        Self { value, span }
    }
}

#[derive(Debug, Default)]
pub(crate) struct RawManifest {
    pub name: Option<Spanned<String>>,
    pub workers: Vec<RawWorker>,
    pub routes: Vec<RawRoute>,
    pub upstreams: Vec<RawUpstream>,
    pub limits: Vec<RawLimit>,
    pub tests: RawTests,
    pub postgres: Vec<RawPostgres>,
}

/// A PostgreSQL database.
#[derive(Debug)]
pub(crate) struct RawPostgres {
    pub name: Spanned<String>,
    /// The secret that holds it.
    pub url: Option<Spanned<String>>,
    pub tls: Option<Spanned<String>>,
    pub ca: Option<Spanned<String>>,
    pub limits: Vec<RawLimit>,
}

/// How the app's own tests run.
#[derive(Debug, Default)]
pub(crate) struct RawTests {
    pub globals: bool,
    pub worker: Option<Spanned<String>>,
    pub limits: Vec<RawLimit>,
}

#[derive(Debug)]
pub(crate) struct RawWorker {
    pub name: Spanned<String>,
    pub entry: Option<Spanned<String>>,
    pub isolation: Option<Spanned<String>>,
    pub warm: Option<Spanned<String>>,
    pub vars: Vec<RawVar>,
    pub bindings: Vec<RawBinding>,
    pub egress: Option<Vec<Spanned<String>>>,
    pub limits: Vec<RawLimit>,
    pub server_timing: bool,
    pub build: BuildSettings,
}

impl RawWorker {
    pub fn new(name: Spanned<String>) -> Self {
        Self {
            name,
            entry: None,
            isolation: None,
            warm: None,
            vars: Vec::new(),
            bindings: Vec::new(),
            egress: None,
            limits: Vec::new(),
            server_timing: false,
            build: BuildSettings::default(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct RawVar {
    pub name: Spanned<String>,
    pub value: Node,
}

#[derive(Debug)]
pub(crate) struct RawBinding {
    pub name: Spanned<String>,
    pub kind: BindingKind,
    pub target: Spanned<String>,
    /// Of a binding to a database.
    pub migrations: Option<Spanned<String>>,
    /// Of a binding to a worker.
    pub entrypoint: Option<Spanned<String>>,
    /// Of a class of objects: the worker that exports it, if it is another one.
    pub worker: Option<Spanned<String>>,
    pub props: Option<Node>,
    /// Of a secret: the version before.
    pub previous: bool,
    /// Of a configuration value: what it is while nothing is set.
    pub default: Option<Spanned<String>>,
}

impl RawBinding {
    pub fn new(name: Spanned<String>, kind: BindingKind, target: Spanned<String>) -> Self {
        let (migrations, entrypoint, worker, props, previous, default) = (None, None, None, None, false, None);
        Self { name, kind, target, migrations, entrypoint, worker, props, previous, default }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BindingKind {
    Kv,
    Blob,
    Sql,
    Secret,
    Config,
    Worker,
    Assets,
    Object,
    Postgres,
}

#[derive(Debug)]
pub(crate) struct RawLimit {
    pub name: Spanned<String>,
    pub value: Spanned<i64>,
}

#[derive(Debug)]
pub(crate) struct RawRoute {
    pub pattern: Spanned<String>,
    pub worker: Option<Spanned<String>>,
    pub assets: Option<Spanned<String>>,
    pub blob: Option<Spanned<String>>,
    pub not_found: Option<Spanned<String>>,
    pub html_handling: Option<Spanned<String>>,
    pub upstream: Option<Spanned<String>>,
    pub cache: Option<RawCache>,
    pub priority: Option<Spanned<i64>>,
    /// What it asks and does beside: the fields of [`fields::ROUTE_RULES`].
    pub rules: Vec<Entry>,
}

impl RawRoute {
    /// A route that leads nowhere yet.
    pub fn new(pattern: Spanned<String>) -> Self {
        Self {
            pattern,
            worker: None,
            assets: None,
            blob: None,
            not_found: None,
            html_handling: None,
            upstream: None,
            cache: None,
            priority: None,
            rules: Vec::new(),
        }
    }
}

impl RawRoute {
    pub fn redirects(&self) -> bool {
        self.rules.iter().any(|entry| entry.key == "redirect")
    }
}

/// What a route says about caching.
#[derive(Debug, Default)]
pub(crate) struct RawCache {
    pub span: Range<usize>,
    /// `false` stores nothing.
    pub on: bool,
    pub default_ttl_s: Option<Spanned<i64>>,
    pub negative_ttl_s: Option<Spanned<i64>>,
    pub query: Option<Vec<Spanned<String>>>,
    pub query_except: Option<Vec<Spanned<String>>>,
    pub sort_query: bool,
    pub headers: Option<Vec<Spanned<String>>>,
    pub cookies: Option<Vec<Spanned<String>>>,
    pub device: bool,
    pub compress: bool,
}

/// Reads values of the expected type out of tables, and notes what is of another.
pub(crate) struct Reader<'p> {
    pub problems: &'p mut Problems,
}

impl Reader<'_> {
    pub fn string(&mut self, table: &Table, key: &str) -> Option<Spanned<String>> {
        table.get(key).and_then(|entry| self.string_of(entry))
    }

    pub fn string_of(&mut self, entry: &Entry) -> Option<Spanned<String>> {
        match &entry.node.value {
            Value::String(text) => Some(Spanned::new(text.clone(), entry.node.span.clone())),
            _ => self.wrong_type(&entry.key, "a string", &entry.node),
        }
    }

    pub fn bool(&mut self, table: &Table, key: &str) -> Option<bool> {
        let entry = table.get(key)?;
        match entry.node.value {
            Value::Bool(value) => Some(value),
            _ => self.wrong_type(key, "true or false", &entry.node),
        }
    }

    pub fn integer(&mut self, table: &Table, key: &str) -> Option<Spanned<i64>> {
        let entry = table.get(key)?;
        match entry.node.value {
            Value::Integer(value) => Some(Spanned::new(value, entry.node.span.clone())),
            _ => self.wrong_type(key, "an integer", &entry.node),
        }
    }

    pub fn table<'t>(&mut self, table: &'t Table, key: &str) -> Option<&'t Table> {
        table.get(key).and_then(|entry| self.table_of(key, &entry.node))
    }

    /// A table that may be left out by an empty value of any type.
    pub fn table_if_any<'t>(&mut self, table: &'t Table, key: &str) -> Option<&'t Table> {
        table.get(key).filter(|entry| !entry.node.value.is_empty()).and_then(|entry| self.table_of(key, &entry.node))
    }

    pub fn table_of<'t>(&mut self, name: &str, node: &'t Node) -> Option<&'t Table> {
        match &node.value {
            Value::Table(inner) => Some(inner),
            _ => self.wrong_type(name, "a table", node),
        }
    }

    pub fn array<'t>(&mut self, table: &'t Table, key: &str) -> Option<&'t [Node]> {
        let entry = table.get(key)?;
        match &entry.node.value {
            Value::Array(items) => Some(items),
            _ => self.wrong_type(key, "an array", &entry.node),
        }
    }

    pub fn strings(&mut self, table: &Table, key: &str) -> Option<Vec<Spanned<String>>> {
        let items = self.array(table, key)?;
        let mut strings = Vec::with_capacity(items.len());
        for item in items {
            match &item.value {
                Value::String(text) => strings.push(Spanned::new(text.clone(), item.span.clone())),
                _ => drop(self.wrong_type::<()>(&format!("an item of {key}"), "a string", item)),
            }
        }
        Some(strings)
    }

    pub fn limits(&mut self, table: &Table, key: &str) -> Vec<RawLimit> {
        let Some(limits) = self.table(table, key) else { return Vec::new() };
        let mut raw = Vec::with_capacity(limits.entries.len());
        for entry in &limits.entries {
            match entry.node.value {
                Value::Integer(value) => raw.push(RawLimit {
                    name: Spanned::new(entry.key.clone(), entry.key_span.clone()),
                    value: Spanned::new(value, entry.node.span.clone()),
                }),
                _ => drop(self.wrong_type::<()>(&entry.key, "an integer", &entry.node)),
            }
        }
        raw
    }

    pub fn vars(&mut self, table: &Table) -> Vec<RawVar> {
        let Some(vars) = self.table(table, "vars") else { return Vec::new() };
        let spanned = |e: &Entry| Spanned::new(e.key.clone(), e.key_span.clone());
        vars.entries.iter().map(|e| RawVar { name: spanned(e), value: e.node.clone() }).collect()
    }

    /// Notes that a value has another type than it must have.
    pub fn wrong_type<T>(&mut self, name: &str, wanted: &str, node: &Node) -> Option<T> {
        let name = if name.contains(' ') { name.to_owned() } else { format!("`{name}`") };
        let found = node.value.kind();
        let problem = self.problems.add(code::WRONG_TYPE, &node.span, format!("{name} must be {wanted}, not {found}"));
        problem.label = Some(format!("this is {found}"));
        None
    }

    /// Notes fields that no version knows, and those that this version does not support yet.
    pub fn check_fields(&mut self, table: &Table, known: &[fields::Field], place: &str) {
        for entry in &table.entries {
            match known.iter().find(|f| f.name == entry.key) {
                Some(field) if !field.later => {}
                Some(_) => self.not_supported(entry, place),
                None => self.unknown_field(entry, known, place),
            }
        }
    }

    fn not_supported(&mut self, entry: &Entry, place: &str) {
        let message = format!("`{}` in {place} is not supported by this version yet", entry.key);
        let problem = self.problems.add(code::NOT_SUPPORTED, &entry.key_span, message);
        problem.label = Some("not supported yet".to_owned());
    }

    fn unknown_field(&mut self, entry: &Entry, known: &[fields::Field], place: &str) {
        let message = format!("unknown field `{}` in {place}", entry.key);
        let names = known.iter().filter(|f| !f.later).map(|f| f.name);
        let help = fields::misplaced(&entry.key, known)
            .map(str::to_owned)
            .or_else(|| suggest(&entry.key, names, "the fields here are"));
        let problem = self.problems.add(code::UNKNOWN_FIELD, &entry.key_span, message);
        problem.label = Some("unknown field".to_owned());
        problem.help = help;
    }
}
