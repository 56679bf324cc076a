//! The way in: a file's text becomes a plan, or a report of everything that is wrong with it.

use base::ResourceName;

use crate::bounds::ENVS;
use crate::check::{Check, check};
use crate::dev_vars::{self, DevVars};
use crate::overlay::merge;
use crate::plan::Plan;
use crate::raw::{self, RawManifest};
use crate::report::{Diagnostic, Problems, Report, Source, SourceFile, code, suggest};
use crate::tree::{self, Entry, Syntax, Table, Value};
use crate::wrangler;

/// What the caller chose.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// The `[env.NAME]` overlay to apply.
    pub env: Option<&'a str>,
    /// The `.dev.vars` file; in development only.
    pub dev_vars: Option<Source<'a>>,
}

/// The kinds of manifest that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Selvedge,
    WranglerToml,
    /// With or without comments.
    WranglerJson,
    /// Known by name, and not supported yet.
    Spin,
}

/// The names under which a manifest is looked for in a directory, in this order; the first one
/// found is the manifest.
pub const FILE_NAMES: &[&str] = &["selvedge.toml", "wrangler.jsonc", "wrangler.json", "wrangler.toml", "spin.toml"];

/// What a file of this name is.
pub fn format_of(file_name: &str) -> Option<Format> {
    Some(match file_name {
        "selvedge.toml" => Format::Selvedge,
        "wrangler.toml" => Format::WranglerToml,
        "wrangler.jsonc" | "wrangler.json" => Format::WranglerJson,
        "spin.toml" => Format::Spin,
        _ => return None,
    })
}

/// Reads a manifest of any format.
pub fn read(format: Format, source: Source<'_>, options: &Options<'_>) -> Result<Plan, Report> {
    match format {
        Format::Selvedge => read_selvedge(source, options),
        Format::WranglerToml => read_wrangler_toml(source, options),
        Format::WranglerJson => read_wrangler_jsonc(source, options),
        Format::Spin => {
            let message = format!("{} is a Spin manifest, which this version does not read yet", source.path);
            let help = "write a selvedge.toml beside it; each component becomes a worker whose entry is its .wasm file";
            Err(Diagnostic::new(code::NOT_SUPPORTED, message).help(help).into())
        }
    }
}

pub fn read_selvedge(source: Source<'_>, options: &Options<'_>) -> Result<Plan, Report> {
    read_with(source, options, Syntax::Toml, &SELVEDGE)
}

pub fn read_wrangler_toml(source: Source<'_>, options: &Options<'_>) -> Result<Plan, Report> {
    read_with(source, options, Syntax::Toml, &WRANGLER)
}

pub fn read_wrangler_jsonc(source: Source<'_>, options: &Options<'_>) -> Result<Plan, Report> {
    read_with(source, options, Syntax::Jsonc, &WRANGLER)
}

/// What differs between the files of two projects.
struct Dialect {
    /// The base with the environment of a name over it.
    overlay: fn(&Table, &Table, &str) -> Table,
    read: fn(&Table, &mut Problems) -> RawManifest,
    /// Whether what is not supported is an error in an environment that was not chosen, too. A
    /// project of another platform must run as far as it is used.
    refuse_unused: bool,
}

const SELVEDGE: Dialect = Dialect { overlay: merge, read: raw::read, refuse_unused: true };
const WRANGLER: Dialect = Dialect { overlay: wrangler::overlay, read: wrangler::read, refuse_unused: false };

fn read_with(source: Source<'_>, options: &Options<'_>, syntax: Syntax, dialect: &Dialect) -> Result<Plan, Report> {
    let file = SourceFile::new(source);
    let mut report = Report::default();
    let dev_vars = match options.dev_vars.map(dev_vars::parse) {
        None => DevVars::default(),
        Some(Ok(vars)) => vars,
        Some(Err(found)) => {
            report.merge(found);
            DevVars::default()
        }
    };
    let mut root = match tree::parse(&file, syntax) {
        Ok(root) => root,
        Err(found) => {
            report.merge(found);
            return Err(report.finish());
        }
    };
    let mut problems = Problems::new(&file);
    let envs = take_envs(&mut root, &mut problems);
    report.merge(problems.report);

    let chosen = match options.env {
        None => None,
        Some(wanted) => match envs.iter().find(|e| e.key == wanted) {
            Some(env) => Some(env),
            None => {
                report.merge(unknown_env(wanted, &envs, source.path).into());
                None
            }
        },
    };
    let compile = |env: Option<&Entry>| {
        let merged = env.and_then(|e| Some((dialect.overlay)(&root, as_table(e)?, &e.key)));
        let name = env.map(|e| e.key.as_str());
        let mut problems = Problems::new(&file);
        let raw = (dialect.read)(merged.as_ref().unwrap_or(&root), &mut problems);
        let plan = check(raw, &Check { env: name, dev_vars: &dev_vars, manifest: source.path }, &mut problems);
        (plan, problems.report)
    };
    let (plan, found) = compile(chosen);
    report.merge(found);
    // A mistake in an overlay is found before the day on which it is used.
    for env in envs.iter().filter(|e| chosen.is_none_or(|c| c.key != e.key)) {
        let mut found = compile(Some(env)).1;
        found.problems.retain(|p| dialect.refuse_unused || p.code != code::NOT_SUPPORTED);
        report.merge_env(found, &env.key);
    }
    match plan {
        Some(plan) if report.problems.is_empty() => Ok(plan),
        _ => Err(report.finish()),
    }
}

fn as_table(entry: &Entry) -> Option<&Table> {
    if let Value::Table(table) = &entry.node.value { Some(table) } else { None }
}

/// Takes the overlays out of the root; those that are no tables or have no proper name are
/// reported and left out.
fn take_envs(root: &mut Table, problems: &mut Problems) -> Vec<Entry> {
    let Some(env) = root.take("env") else { return Vec::new() };
    let mut reader = raw::Reader { problems };
    let Some(table) = reader.table_of("env", &env.node) else { return Vec::new() };
    if table.entries.len() as u64 > ENVS.max {
        let message = format!("the manifest has {} environments; at most {} (envs)", table.entries.len(), ENVS.max);
        reader.problems.add(code::TOO_MANY, &env.key_span, message);
        return Vec::new();
    }
    let mut envs = Vec::new();
    for entry in &table.entries {
        let label = format!("env.{}", entry.key);
        let Some(over) = reader.table_of(&label, &entry.node) else { continue };
        if let Err(error) = ResourceName::parse(&entry.key.to_ascii_lowercase().replace('_', "-")) {
            let message = format!("`{}` is no name for an environment: {error}", entry.key);
            reader.problems.add(code::BAD_NAME, &entry.key_span, message);
            continue;
        }
        if let Some(inner) = over.get("env") {
            let message = format!("`env` can't stand within [{label}]");
            reader.problems.add(code::UNKNOWN_FIELD, &inner.key_span, message).help =
                Some("an overlay has no overlays of its own".to_owned());
            continue;
        }
        envs.push(entry.clone());
    }
    envs
}

fn unknown_env(wanted: &str, envs: &[Entry], path: &str) -> Diagnostic {
    let names = envs.iter().map(|e| e.key.as_str());
    let help = suggest(wanted, names, "its environments are")
        .unwrap_or_else(|| format!("it has none; write [env.{wanted}] to add this one"));
    Diagnostic::new(code::UNKNOWN_ENV, format!("{path} has no environment `{wanted}`")).help(help)
}

#[cfg(test)]
mod tests;
