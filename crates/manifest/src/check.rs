//! Raw → plan. Everything that a manifest can get wrong beyond its shape is found here, once; what
//! comes out can't be wrong any more.

use std::collections::BTreeMap;
use std::ops::Range;

use base::limits::{APP, LimitRow, NODE, POSTGRES, TEST, UPSTREAM, WORKER};
use base::{AppLimits, AppName, NameError, ResourceName, TestLimits, WorkerName};

use crate::bounds::{ASSETS, WORKERS};
use crate::cache_rule::CacheRule;
use crate::dev_vars::DevVars;
use crate::origin::{Origins, PathRole, PathUse};
use crate::plan::{AssetsIndex, AssetsPlan, Databases, HtmlHandling, NotFound, Plan, TestsPlan, WorkerIndex};
use crate::raw::{RawLimit, RawManifest, RawTests, Spanned};
use crate::report::{Problems, code, nearest, suggest};

mod cache;
mod paths;
mod postgres;
mod redirects;
mod routes;
mod rules;
mod sql;
mod upstreams;
mod when;
mod workers;

/// What the check knows beside the manifest.
pub(crate) struct Check<'a> {
    pub env: Option<&'a str>,
    pub dev_vars: &'a DevVars,
    /// The manifest's file name, for messages that have no place in it.
    pub manifest: &'a str,
}

/// Checks and compiles. None if the plan could not be made; whether there are problems is for the
/// caller to see, since a plan may come out beside them.
pub(crate) fn check(mut raw: RawManifest, context: &Check<'_>, problems: &mut Problems) -> Option<Plan> {
    raw.workers.sort_by(|a, b| a.name.value.cmp(&b.name.value));
    let app = app_name(&raw, problems);
    if raw.workers.len() as u64 > WORKERS.max {
        let span = raw.workers[WORKERS.max as usize].name.span.clone();
        let message = format!("the app has {} workers; at most {} (workers)", raw.workers.len(), WORKERS.max);
        problems.add(code::TOO_MANY, &span, message);
        return None;
    }
    let mut compiler = Compiler {
        context,
        problems,
        names: raw.workers.iter().map(|w| w.name.value.clone()).collect(),
        databases: raw.postgres.iter().map(|db| db.name.value.clone()).collect(),
        assets: Vec::new(),
        buckets: Vec::new(),
        migrations: BTreeMap::new(),
        upstreams: raw.upstreams.iter().map(|u| u.name.value.clone()).collect(),
        cache_rules: Vec::new(),
        origins: Origins::default(),
    };
    // Routes first: they say what a directory answers when a file is not there.
    let routes = compiler.routes(&raw);
    let postgres = compiler.postgres(&raw);
    let workers: Vec<_> = raw.workers.iter().map(|w| compiler.worker(w)).collect();
    compiler.check_entrypoints(&raw, &workers);
    compiler.check_classes(&raw, &workers);
    let mut limits = AppLimits::default();
    compiler.limits(&raw.limits, APP, None, |name, value| limits.set(name, value));
    let tests = compiler.tests(&raw.tests);
    let upstreams: Vec<_> = raw.upstreams.iter().map(|u| compiler.upstream(u)).collect();
    upstreams::check_parents(&raw.upstreams, compiler.problems);
    let Compiler { assets, buckets, cache_rules, origins, .. } = compiler;
    let (routes, hosts) = routes?;
    Some(Plan {
        app: app?,
        env_name: context.env.map(str::to_owned),
        workers: workers.into_iter().collect::<Option<_>>()?,
        assets,
        buckets,
        upstreams: upstreams.into_iter().collect::<Option<_>>()?,
        cache_rules,
        routes,
        hosts,
        limits,
        postgres: postgres?,
        tests,
        origins,
    })
}

/// A name that is not there is reported by the reader.
fn app_name(raw: &RawManifest, problems: &mut Problems) -> Option<AppName> {
    let name = raw.name.as_ref()?;
    match AppName::parse(&name.value) {
        Ok(app) => Some(app),
        Err(error) => {
            bad_name(problems, name, "an app", &error);
            None
        }
    }
}

/// Reports a name that is none, with the label nearest to it.
fn bad_name(problems: &mut Problems, name: &Spanned<String>, of_what: &str, error: &NameError) {
    let message = format!("`{}` is no name for {of_what}: {error}", shorten(&name.value));
    let label = to_label(&name.value);
    let problem = problems.add(code::BAD_NAME, &name.span, message);
    if !label.is_empty() && label != name.value {
        problem.help = Some(format!("for example: \"{label}\""));
    }
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= 64 { text.to_owned() } else { text.chars().take(60).chain("…".chars()).collect() }
}

/// The label (lower-case letters, digits, inner hyphens) that is nearest to a text; empty if there
/// is none.
pub(crate) fn to_label(text: &str) -> String {
    let mut label = String::new();
    for c in text.chars() {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            label.push(c);
        } else if !label.ends_with('-') && !label.is_empty() {
            label.push('-');
        }
        if label.len() == base::ids::NAME_BYTES_MAX {
            break;
        }
    }
    label.trim_end_matches('-').to_owned()
}

/// What grows while a manifest is compiled.
struct Compiler<'c, 'p> {
    context: &'c Check<'c>,
    problems: &'p mut Problems,
    /// The workers' names in the order of the plan. A name that is no proper one stands here too,
    /// so that a reference to it is not reported as well.
    names: Vec<String>,
    /// The names of databases, in the same way.
    databases: Vec<String>,
    assets: Vec<AssetsPlan>,
    /// The buckets that routes make public.
    buckets: Vec<ResourceName>,
    /// What routes say of the cache.
    cache_rules: Vec<CacheRule>,
    /// The directory of migrations of each database, and who named it.
    migrations: BTreeMap<Databases, (String, Range<usize>)>,
    /// The upstreams' names in the order of the plan.
    upstreams: Vec<String>,
    origins: Origins,
}

impl Compiler<'_, '_> {
    fn tests(&mut self, raw: &RawTests) -> TestsPlan {
        let mut limits = TestLimits::default();
        self.limits(&raw.limits, TEST, None, |name, value| limits.set(name, value));
        let worker = raw.worker.as_ref().and_then(|name| self.worker_index(name, "[test]"));
        TestsPlan { globals: raw.globals, worker, limits }
    }

    /// The worker that a route or a binding names.
    fn worker_index(&mut self, name: &Spanned<String>, user: &str) -> Option<WorkerIndex> {
        if let Some(at) = self.names.iter().position(|n| *n == name.value) {
            return Some(WorkerIndex(at as u16));
        }
        let message = format!("{user} names the worker `{}`, which does not exist", shorten(&name.value));
        let known = self.names.iter().map(String::as_str);
        let help =
            suggest(&name.value, known, "the workers are").unwrap_or_else(|| "the manifest has no workers".to_owned());
        self.problems.add(code::UNKNOWN_WORKER, &name.span, message).help = Some(help);
        None
    }

    /// The directory's place in the plan; a new one if it is not there yet. Without a word on what
    /// is not found, any use of the directory will do.
    fn assets_index(
        &mut self,
        directory: &Spanned<String>,
        manner: Option<(NotFound, HtmlHandling)>,
    ) -> Option<AssetsIndex> {
        let path = self.path(directory, "the asset directory")?;
        if path == "." {
            let message = "the manifest's own directory can't be served: that would publish the manifest and .dev.vars";
            self.problems.add(code::BAD_PATH, &directory.span, message).help =
                Some("move the files into a directory of their own, such as \"public\"".to_owned());
            return None;
        }
        let same = |a: &AssetsPlan| a.directory == path && manner.is_none_or(|manner| manner == (a.not_found, a.html));
        if let Some(at) = self.assets.iter().position(same) {
            return Some(AssetsIndex(at as u16));
        }
        if self.assets.len() as u64 >= ASSETS.max {
            let message = format!("the app has too many asset directories; at most {} (assets)", ASSETS.max);
            self.problems.add(code::TOO_MANY, &directory.span, message);
            return None;
        }
        Some(self.add_assets(directory, path, PathRole::Assets, manner.unwrap_or_default()))
    }

    /// A directory, or a file of redirects, that the plan has not yet.
    fn add_assets(
        &mut self,
        named: &Spanned<String>,
        path: String,
        role: PathRole,
        (not_found, html): (NotFound, HtmlHandling),
    ) -> AssetsIndex {
        if !self.origins.paths.iter().any(|p| p.role == role && p.path == path) {
            let place = self.problems.file.place(named.span.clone());
            self.origins.paths.push(PathUse { path: path.clone(), role, place });
        }
        self.assets.push(AssetsPlan { directory: path, not_found, html });
        AssetsIndex(self.assets.len() as u16 - 1)
    }

    fn path(&mut self, path: &Spanned<String>, what: &str) -> Option<String> {
        match paths::normalise(&path.value) {
            Ok(path) => Some(path),
            Err(error) => {
                let problem = self.problems.add(code::BAD_PATH, &path.span, format!("{what} {error}"));
                problem.help = error.help(&path.value);
                None
            }
        }
    }

    fn limits(
        &mut self,
        limits: &[RawLimit],
        rows: &'static [LimitRow],
        worker: Option<&WorkerName>,
        mut set: impl FnMut(&str, u64) -> bool,
    ) {
        for limit in limits {
            let Some(row) = rows.iter().find(|row| row.name == limit.name.value) else {
                self.unknown_limit(limit, rows);
                continue;
            };
            let value = u64::try_from(limit.value.value).ok().filter(|v| (row.min..=row.max).contains(v));
            let Some(value) = value else {
                let unit = if row.unit.is_empty() { String::new() } else { format!(" {}", row.unit) };
                let range = format!("{} to {}{unit}", row.min, row.max);
                let message = format!("{} = {} is out of range: {range}", row.name, limit.value.value);
                let problem = self.problems.add(code::LIMIT_RANGE, &limit.value.span, message);
                problem.help = Some(format!("{} The default is {}.", row.about, row.default));
                continue;
            };
            set(row.name, value);
            let place = self.problems.file.place(limit.name.span.clone());
            self.origins.limits.insert((worker.cloned(), row.name.to_owned()), place);
        }
    }

    fn unknown_limit(&mut self, limit: &RawLimit, rows: &'static [LimitRow]) {
        let name = &limit.name.value;
        let is_in = |table: &[LimitRow]| table.iter().any(|row| row.name == *name);
        let names = rows.iter().map(|row| row.name);
        let help = if is_in(WORKER) {
            Some(format!("`{name}` is a limit of a worker: [workers.NAME] limits = {{ {name} = … }}"))
        } else if is_in(APP) {
            Some(format!("`{name}` is a limit of the app: write it under [limits] at the top level"))
        } else if is_in(POSTGRES) {
            Some(format!("`{name}` is a limit of a database: [postgres.NAME] limits = {{ {name} = … }}"))
        } else if is_in(UPSTREAM) {
            Some(format!("`{name}` is a limit of an upstream: [upstreams.NAME] limits = {{ {name} = … }}"))
        } else if is_in(TEST) {
            Some(format!("`{name}` is a limit of tests: [test] limits = {{ {name} = … }}"))
        } else if is_in(NODE) {
            Some(format!("`{name}` is a limit of the node, which its operator sets"))
        } else {
            nearest(name, names.clone())
                .map(|n| format!("did you mean `{n}`?"))
                .or_else(|| Some(format!("the limits here are: {}", names.collect::<Vec<_>>().join(", "))))
        };
        let message = format!("there is no limit `{}` here", shorten(name));
        self.problems.add(code::UNKNOWN_LIMIT, &limit.name.span, message).help = help;
    }
}

/// Things by name, and where the name stands: for saying where the first of two is.
type Seen = BTreeMap<String, std::ops::Range<usize>>;

#[cfg(test)]
mod tests;
