//! The compiled, checked and immutable form of a manifest. A value of these types can't be
//! invalid: every name is legal, every index points at something, every limit lies in its bounds.
//!
//! A plan serialises to JSON deterministically and reads back from it, so that a deployment can
//! store it. It has no generation: whoever publishes plans counts them.

use std::collections::{BTreeMap, BTreeSet};

use base::limits::{APP, LimitRow, POSTGRES, UPSTREAM, WORKER};
use base::{
    AppLimits, AppName, BindingName, ClassName, NameError, PostgresLimits, ResourceName, Secret, TestLimits,
    WorkerLimits, WorkerName,
};
use serde::{Deserialize, Serialize};

use crate::cache_rule::CacheRule;
use crate::egress::EgressRule;
use crate::origin::Origins;
use crate::route::{RouteCache, RouteTable, Rules, Target};
use crate::upstream::{UpstreamPlan, parents_hold};

/// One application, as it is served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Plan {
    pub app: AppName,
    /// The `[env.NAME]` overlay that was applied.
    pub env_name: Option<String>,
    /// Indexed by [`WorkerIndex`], in the order of their names.
    pub workers: Vec<WorkerPlan>,
    /// Indexed by [`AssetsIndex`].
    pub assets: Vec<AssetsPlan>,
    /// The buckets that routes make public, indexed by [`BucketIndex`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<ResourceName>,
    /// Indexed by [`UpstreamIndex`], in the order of their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstreams: Vec<UpstreamPlan>,
    /// What routes say of the cache, indexed by [`CacheRuleIndex`](crate::CacheRuleIndex).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cache_rules: Vec<CacheRule>,
    pub routes: RouteTable,
    /// The hosts that routes name: exact (`example.com`) and wildcard (`*.example.com`). The default
    /// host is not among them: every app has it.
    pub hosts: BTreeSet<String>,
    pub limits: AppLimits,
    /// The PostgreSQL databases, by the app's names for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub postgres: BTreeMap<ResourceName, PostgresPlan>,
    /// How the app's own tests run. No part of a deployment, and so not of a plan that was read back.
    #[serde(skip)]
    pub tests: TestsPlan,
    /// Where in its file a thing stands. It is no part of the plan's content: a plan that was read
    /// back has none, and two plans that differ only here are equal.
    #[serde(skip)]
    pub origins: Origins,
}

/// Position of a worker in [`Plan::workers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WorkerIndex(pub u16);

/// Position of an asset directory in [`Plan::assets`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AssetsIndex(pub u16);

/// Position of a bucket in [`Plan::buckets`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BucketIndex(pub u16);
/// Position of an upstream in [`Plan::upstreams`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UpstreamIndex(pub u16);

impl Plan {
    /// The worker at an index of this plan.
    pub fn worker(&self, index: WorkerIndex) -> &WorkerPlan {
        &self.workers[usize::from(index.0)]
    }

    /// The asset directory at an index of this plan.
    pub fn asset_dir(&self, index: AssetsIndex) -> &AssetsPlan {
        &self.assets[usize::from(index.0)]
    }

    /// The upstream at an index of this plan.
    pub fn upstream(&self, index: UpstreamIndex) -> &UpstreamPlan {
        &self.upstreams[usize::from(index.0)]
    }

    /// Whether others ask it before their own servers.
    pub fn is_parent(&self, index: UpstreamIndex) -> bool {
        self.upstreams.iter().any(|upstream| upstream.parent == Some(index))
    }

    pub fn worker_named(&self, name: &str) -> Option<(WorkerIndex, &WorkerPlan)> {
        let at = self.workers.iter().position(|w| w.name.as_str() == name)?;
        Some((WorkerIndex(at as u16), &self.workers[at]))
    }

    /// The worker that an app is about, where one has to be meant: the one that its tests name, else
    /// the one that answers `/`, else that of the first route that leads to a worker, else the first.
    pub fn main_worker(&self) -> WorkerIndex {
        let worker_of = |target: &Target| match target {
            Target::Worker(worker) | Target::AssetsThenWorker { worker, .. } => Some(*worker),
            Target::Assets(_) | Target::Blob(_) | Target::Upstream { .. } | Target::Redirect => None,
        };
        let at_root = self.routes.find_at_any_host("/").and_then(|found| worker_of(&found.route.target));
        self.tests
            .worker
            .or(at_root)
            .or_else(|| self.routes.iter().find_map(|route| worker_of(&route.target)))
            .unwrap_or(WorkerIndex(0))
    }

    /// The host at which an app is always served, whatever its routes name. A request there that no
    /// route matches is looked up with [`RouteTable::find_at_any_host`].
    pub fn default_host(&self) -> String {
        format!("{}.localhost", self.app)
    }

    /// What a plan that was read back might break, since a file can be changed.
    fn check_content(&self) -> Result<(), String> {
        let worker_is_there = |w: WorkerIndex| usize::from(w.0) < self.workers.len();
        let assets_are_there = |a: AssetsIndex| usize::from(a.0) < self.assets.len();
        let holds = |target: &Target| match *target {
            Target::Worker(worker) => worker_is_there(worker),
            Target::Assets(assets) => assets_are_there(assets),
            Target::AssetsThenWorker { assets, worker } => assets_are_there(assets) && worker_is_there(worker),
            Target::Blob(bucket) => usize::from(bucket.0) < self.buckets.len(),
            Target::Upstream { upstream, cache } => {
                let rule_is_there = match cache {
                    RouteCache::Rule(index) => usize::from(index.0) < self.cache_rules.len(),
                    RouteCache::Standard | RouteCache::DefaultTtl(_) | RouteCache::Off => true,
                };
                rule_is_there && usize::from(upstream.0) < self.upstreams.len()
            }
            Target::Redirect => true,
        };
        let routes_hold = self.routes.iter().all(|route| {
            let rules = route.rules.as_deref();
            holds(&route.target)
                && rules.into_iter().flat_map(Rules::targets).all(holds)
                && rules.and_then(|rules| rules.redirects).is_none_or(assets_are_there)
                && rules.into_iter().flat_map(|rules| &rules.middleware).all(|one| worker_is_there(one.worker))
                && (route.target != Target::Redirect || rules.is_some_and(|rules| rules.redirect.is_some()))
        });
        if !self.cache_rules.iter().all(CacheRule::holds) {
            return Err("the plan has a rule for the cache with names that are none".to_owned());
        }
        if !parents_hold(&self.upstreams) {
            return Err("the plan has an upstream whose parent is none".to_owned());
        }
        if !self.upstreams.iter().all(UpstreamPlan::holds) {
            return Err("the plan has an upstream whose target is none".to_owned());
        }
        let bindings_hold = self.workers.iter().flat_map(|w| &w.bindings).all(|b| match &b.grant {
            Grant::Worker { worker, .. } | Grant::Object { worker, .. } => worker_is_there(*worker),
            Grant::Assets { assets } => assets_are_there(*assets),
            Grant::Postgres { database, .. } => self.postgres.contains_key(database),
            Grant::Kv { .. } | Grant::Blob { .. } | Grant::Sql { .. } | Grant::Secret { .. } | Grant::Config { .. } => {
                true
            }
        });
        if !routes_hold || !bindings_hold {
            return Err("the plan names a worker, a directory or a database that it does not hold".to_owned());
        }
        let out_of_range = |rows: &[LimitRow], get: &dyn Fn(&str) -> Option<u64>| {
            rows.iter().find(|row| get(row.name).is_some_and(|v| !(row.min..=row.max).contains(&v))).map(|row| row.name)
        };
        let in_workers = self.workers.iter().find_map(|w| out_of_range(WORKER, &|name| w.limits.get(name)));
        let in_databases = self.postgres.values().find_map(|db| out_of_range(POSTGRES, &|name| db.limits.get(name)));
        let in_upstreams = self.upstreams.iter().find_map(|up| out_of_range(UPSTREAM, &|name| up.limits.get(name)));
        match out_of_range(APP, &|name| self.limits.get(name)).or(in_workers).or(in_databases).or(in_upstreams) {
            Some(name) => Err(format!("the plan's limit {name} is out of range")),
            None => Ok(()),
        }
    }

    /// The directories of migrations, by the databases that they are for.
    pub fn migrations(&self) -> BTreeMap<&Databases, &str> {
        let grants = self.workers.iter().flat_map(|w| &w.bindings).map(|b| &b.grant);
        let named = grants.filter_map(|grant| match grant {
            Grant::Sql { sql, migrations: Some(directory) } => Some((sql, directory.as_str())),
            _ => None,
        });
        named.collect()
    }

    /// The classes of durable objects, with the workers that export them.
    pub fn classes(&self) -> BTreeMap<&ClassName, WorkerIndex> {
        let grants = self.workers.iter().flat_map(|w| &w.bindings).map(|b| &b.grant);
        grants
            .filter_map(|g| if let Grant::Object { class, worker } = g { Some((class, *worker)) } else { None })
            .collect()
    }

    /// Whether some worker is granted a value that changes without a deployment: a secret, or configuration.
    pub fn has_values(&self) -> bool {
        let mut grants = self.workers.iter().flat_map(|w| &w.bindings).map(|b| &b.grant);
        !self.secrets().is_empty() || grants.any(|grant| matches!(grant, Grant::Config { .. }))
    }

    /// Every secret that some worker is granted, once.
    pub fn secrets<'a>(&'a self) -> BTreeSet<&'a ResourceName> {
        let grants = self.workers.iter().flat_map(|w| &w.bindings).map(|b| &b.grant);
        let of_grant = |grant: &'a Grant| match grant {
            Grant::Secret { secret, .. } => Some(secret),
            // One from `.dev.vars` stands in for it.
            Grant::Postgres { database, dev_url: None } => self.postgres.get(database).map(|db| &db.url),
            _ => None,
        };
        grants.filter_map(of_grant).collect()
    }
}

impl Serialize for Plan {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, s)
    }
}

impl<'de> Deserialize<'de> for Plan {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let plan = Self::deserialize(d)?;
        plan.check_content().map_err(serde::de::Error::custom)?;
        Ok(plan)
    }
}

/// How `selvedge test` runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestsPlan {
    /// The API is global.
    pub globals: bool,
    /// The worker under test, if it is named.
    pub worker: Option<WorkerIndex>,
    pub limits: TestLimits,
}

/// One worker of the app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerPlan {
    pub name: WorkerName,
    /// The entry file, relative to the manifest's directory, with forward slashes.
    pub entry: String,
    pub kind: WorkerKind,
    pub isolation: Isolation,
    /// The path, with its query, of a request that is answered before the image is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm: Option<String>,
    pub vars: BTreeMap<BindingName, Var>,
    /// In the order of their names. No binding has the name of a variable.
    pub bindings: Vec<Binding>,
    /// Where outbound requests may go; nowhere if empty.
    pub egress: Vec<EgressRule>,
    pub limits: WorkerLimits,
    /// Answers carry a `Server-Timing` field with the phases of the request.
    pub server_timing: bool,
    #[serde(default, skip_serializing_if = "BuildSettings::is_empty")]
    pub build: BuildSettings,
}

/// How a script is built, where wrangler's file says so.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BuildSettings {
    /// Expressions that stand for global names, and for members of those.
    pub define: BTreeMap<String, String>,
    /// Specifiers of modules that stand for others.
    pub alias: BTreeMap<String, String>,
    /// What files are taken for, over their endings.
    pub rules: Vec<ModuleRule>,
}

impl BuildSettings {
    pub fn is_empty(&self) -> bool {
        self.define.is_empty() && self.alias.is_empty() && self.rules.is_empty()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModuleRule {
    pub kind: ModuleKind,
    /// Patterns of paths, relative to the manifest's directory.
    pub globs: Vec<String>,
}

/// What a file may be taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModuleKind {
    Text,
    /// An `ArrayBuffer`.
    Data,
    /// A `WebAssembly.Module`.
    Wasm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerKind {
    /// JavaScript or TypeScript.
    Script,
    /// A WebAssembly component.
    Component,
}

/// How many requests one instance serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// One instance serves many requests.
    Shared,
    /// Each request gets a fresh instance.
    Request,
}

/// A variable of the environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Var {
    Text(String),
    /// A number, a boolean, an array or an object.
    Json(serde_json::Value),
    /// A text from `.dev.vars`. It may be a secret, so it is never serialised: a plan that holds
    /// one prints it as null, and does not read back.
    #[serde(serialize_with = "print_null", deserialize_with = "refuse_dev")]
    Dev(Secret<String>),
}

fn print_null<S: serde::Serializer>(_: &Secret<String>, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_none()
}

fn refuse_dev<'de, D: serde::Deserializer<'de>>(_: D) -> Result<Secret<String>, D::Error> {
    Err(serde::de::Error::custom("a plan made with .dev.vars can't be read back"))
}

/// A name in a worker's `env`, and what it opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    pub name: BindingName,
    #[serde(flatten)]
    pub grant: Grant,
}

/// The permission behind a binding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Grant {
    /// A class of durable objects. First, since what is read of a worker would fit it too.
    Object {
        #[serde(rename = "object")]
        class: ClassName,
        /// The worker that exports it.
        worker: WorkerIndex,
    },
    Kv {
        #[serde(rename = "kv")]
        namespace: ResourceName,
    },
    Blob {
        #[serde(rename = "blob")]
        bucket: ResourceName,
    },
    /// A SQL database, or a family of them.
    Sql {
        sql: Databases,
        /// The directory of its migrations, relative to the manifest's directory.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        migrations: Option<String>,
    },
    Secret {
        secret: ResourceName,
        /// The version before, while the overlap of a rotation lasts.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        previous: bool,
    },
    /// A value that changes without a deployment.
    Config {
        config: ResourceName,
        /// What the code finds while nothing is set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        default: Option<String>,
    },
    /// Another worker of the app, or the worker itself.
    Worker {
        worker: WorkerIndex,
        /// The export that answers; the default one if none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        entrypoint: Option<String>,
        /// What that one finds in `ctx.props`, an object.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        props: Option<serde_json::Value>,
    },
    /// The app's files, for `env.ASSETS.fetch`.
    Assets { assets: AssetsIndex },
    /// One of [`Plan::postgres`].
    Postgres {
        #[serde(rename = "postgres")]
        database: ResourceName,
        /// What `.dev.vars` has in place of its URL; never part of a plan that is stored.
        #[serde(skip)]
        dev_url: Option<Secret<String>>,
    },
}

/// Which databases a binding opens, as the manifest writes it: `main`, or `tenant-*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Databases {
    One(ResourceName),
    /// One for each key that the code chooses; their names are this, a hyphen, and the key.
    Family(ResourceName),
}

impl Databases {
    pub fn parse(text: &str) -> Result<Self, NameError> {
        match text.strip_suffix("-*") {
            Some(family) => ResourceName::parse(family).map(Self::Family),
            None => ResourceName::parse(text).map(Self::One),
        }
    }
}

impl std::fmt::Display for Databases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::One(name) => write!(f, "{name}"),
            Self::Family(name) => write!(f, "{name}-*"),
        }
    }
}

impl TryFrom<String> for Databases {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<Databases> for String {
    fn from(databases: Databases) -> Self {
        databases.to_string()
    }
}

/// A PostgreSQL database that the app's owner runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostgresPlan {
    /// The secret that holds its URL.
    pub url: ResourceName,
    pub tls: PostgresTls,
    /// PEM text of the only authorities that are trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    pub limits: PostgresLimits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostgresTls {
    Verify,
    Off,
}

/// A directory of static files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetsPlan {
    /// Relative to the manifest's directory, with forward slashes; `.` is that directory itself.
    pub directory: String,
    pub not_found: NotFound,
    #[serde(default, skip_serializing_if = "HtmlHandling::is_default")]
    pub html: HtmlHandling,
}

/// Which address a page has; another one that means it is redirected there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HtmlHandling {
    /// `about.html` is `/about`, `docs/index.html` is `/docs/`.
    #[default]
    AutoTrailingSlash,
    /// Both end in a slash.
    ForceTrailingSlash,
    /// Neither does.
    DropTrailingSlash,
    /// Every file is at its own path, and nowhere else.
    None,
}

impl HtmlHandling {
    pub const NAMES: [(&'static str, Self); 4] = [
        ("auto-trailing-slash", Self::AutoTrailingSlash),
        ("force-trailing-slash", Self::ForceTrailingSlash),
        ("drop-trailing-slash", Self::DropTrailingSlash),
        ("none", Self::None),
    ];

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a path gets for which there is no file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotFound {
    /// A problem document with status 404.
    #[default]
    None,
    /// `/index.html` with status 200. Before a worker that stands behind the files, this holds for
    /// navigations only (`Sec-Fetch-Mode: navigate`); everything else goes to the worker.
    SinglePage,
    /// The nearest `404.html`, from the path's own directory up to the root, with status 404.
    /// Before a worker that stands behind the files, it is not used.
    #[serde(rename = "404-page")]
    Page404,
}
