//! The manifest of an app: text in, a [`Plan`] or a [`Report`] out.
//!
//! A file is parsed into a tree of values with their places, the chosen environment is laid over
//! it, a reader turns the tree into raw settings (one for `selvedge.toml`, one for wrangler's
//! files), and one check compiles those into a plan that can't be invalid. Every problem is found
//! in one go, each with its place, its reason, and the nearest right answer.
//!
//! It is not where files are read: a caller gives the text, and looks itself whether the paths in
//! [`Origins::paths`] exist. It knows nothing of engines, stores or deployments. On the path of a
//! request it contributes [`RouteTable::find`].

pub mod bounds;
mod cache_rule;
mod check;
mod dev_vars;
pub mod egress;
pub mod limits;
pub mod origin;
mod overlay;
pub mod plan;
mod raw;
mod read;
pub mod report;
pub mod route;
mod schema;
pub mod site_files;
mod tree;
mod typescript;
mod upstream;
mod wrangler;

pub use cache_rule::{CacheRule, CacheRuleIndex, QueryKey};
pub use egress::{EgressRule, Scheme};
pub use limits::{LimitLine, limits_table};
pub use origin::{ExportUse, Origins, PathRole, PathUse, Place};
pub use plan::{
    AssetsIndex, AssetsPlan, Binding, BucketIndex, BuildSettings, Databases, Grant, HtmlHandling, Isolation,
    ModuleKind, ModuleRule, NotFound, Plan, PostgresPlan, PostgresTls, TestsPlan, UpstreamIndex, Var, WorkerIndex,
    WorkerKind, WorkerPlan,
};
pub use read::{FILE_NAMES, Format, Options, format_of, read, read_selvedge, read_wrangler_jsonc, read_wrangler_toml};
pub use report::{Diagnostic, Report, Source, SourceFile};
pub use route::{
    Facts, HostPattern, PathPattern, Route, RouteCache, RouteIndex, RouteMatch, RouteTable, Rules, Target, When,
};
pub use schema::json_schema;
pub use typescript::{typescript_env, typescript_tests};
pub use upstream::{BalancePlan, HashKey, HealthPlan, HostPlan, TargetPlan, UpstreamPlan, UpstreamTls};
