//! `check`, `types` and `limits`: what can be said of a project without running it.

use anyhow::{Context as _, Result};
use base::NodeLimits;
use base::limits::{NODE, TEST};
use control::{BuildOptions, Bundle, build_app};
use manifest::{Databases, Grant, Plan, Route, RouteCache, Target, Var};

use super::{Unbuilt, print, print_json};
use crate::cli::{Project, Types};
use crate::terminal;

pub fn build(project: &Project, dev: bool) -> Result<Bundle> {
    let options = BuildOptions { env: project.env.clone(), dev, ..BuildOptions::default() };
    let bundle = build_app(&project.dir, &options).map_err(Unbuilt)?;
    for warning in &bundle.warnings {
        terminal::say(&format!("warning: {warning}"));
    }
    Ok(bundle)
}

pub fn check(project: &Project, json: bool) -> Result<()> {
    let bundle = build(project, false)?;
    if json { print_json(&bundle.plan) } else { print(describe(&bundle).trim_end()) }
}

/// The plan for a person.
fn describe(bundle: &Bundle) -> String {
    let plan = &bundle.plan;
    let mut text = format!("{}: the manifest and the sources are valid\n\nworkers\n", plan.app);
    for (worker, built) in plan.workers.iter().zip(&bundle.workers) {
        let isolation = serde_json::to_value(worker.isolation).unwrap_or_default();
        text += &format!(
            "  {:<16} {} ({} KiB, {} isolation)\n",
            worker.name.as_str(),
            worker.entry,
            built.bytes.len().div_ceil(1024),
            isolation.as_str().unwrap_or_default()
        );
        for (name, var) in &worker.vars {
            let value = match var {
                Var::Text(text) => format!("{text:?}"),
                Var::Json(json) => json.to_string(),
                Var::Dev(_) => "(from .dev.vars)".to_owned(),
            };
            text += &format!("    {:<14} = {value}\n", name.as_str());
        }
        for binding in &worker.bindings {
            text += &format!("    {:<14} → {}\n", binding.name.as_str(), grant(plan, &binding.grant));
        }
    }
    text += "\nroutes, in the order in which they are tried\n";
    for route in plan.routes.iter() {
        text += &format!("  {:<30} → {}\n", route.pattern(), target(plan, &route.target));
        text += &rules(plan, route);
    }
    text += &format!("\nhosts\n  {}\n", plan.default_host());
    for host in &plan.hosts {
        text += &format!("  {host}\n");
    }
    text
}

fn grant(plan: &Plan, grant: &Grant) -> String {
    match grant {
        Grant::Kv { namespace } => format!("KV namespace {namespace}"),
        Grant::Blob { bucket } => format!("blob bucket {bucket}"),
        Grant::Secret { secret, previous: false } => format!("secret {secret}"),
        Grant::Secret { secret, previous: true } => format!("secret {secret}, the version before"),
        Grant::Config { config, .. } => format!("configuration value {config}"),
        Grant::Sql { sql: Databases::One(name), .. } => format!("SQL database {name}"),
        Grant::Sql { sql, .. } => format!("SQL databases {sql}, one for each key"),
        Grant::Object { class, .. } => format!("durable objects of the class {class}"),
        Grant::Worker { worker, entrypoint, .. } => {
            let export = entrypoint.as_ref().map_or(String::new(), |name| format!(", its export {name}"));
            format!("worker {}{export}", plan.worker(*worker).name)
        }
        Grant::Assets { assets } => format!("files in {}", plan.asset_dir(*assets).directory),
        Grant::Postgres { database, .. } => format!("PostgreSQL database {database}"),
    }
}

/// What a route asks and does beside leading to its target, a line for each.
fn rules(plan: &Plan, route: &Route) -> String {
    let mut text = String::new();
    let mut line = |what: &str, value: String| text += &format!("    {what:<14}   {value}\n");
    if route.priority != 0 {
        line("priority", route.priority.to_string());
    }
    if let Some(when) = &route.when {
        line("when", serde_json::to_string(when).unwrap_or_default());
    }
    let Some(rules) = route.rules.as_deref() else { return text };
    let percent = |share: u32| format!("{} %", f64::from(share) / 100.0);
    if let Some(redirect) = &rules.redirect {
        line("redirect", format!("{} {}", redirect.status, redirect.to));
    }
    if rules.maintenance.is_some() {
        line("maintenance", "closed".to_owned());
    }
    for side in rules.split.iter().flat_map(|split| &split.sides) {
        line("split", format!("{} → {}", percent(side.share), target(plan, &side.target)));
    }
    for one in &rules.middleware {
        line("middleware", format!("worker {} ({:?})", plan.worker(one.worker).name, one.position).to_lowercase());
    }
    if let Some(path) = &rules.rewrite.path {
        line("rewrite", path.to_string());
    }
    if let Some(failover) = &rules.failover {
        line("failover", target(plan, &failover.target));
    }
    if let Some(mirror) = &rules.mirror {
        line("mirror", format!("{} → {}", percent(mirror.share), target(plan, &mirror.target)));
    }
    text
}

fn target(plan: &Plan, target: &Target) -> String {
    match target {
        Target::Redirect => "a redirect".to_owned(),
        Target::Worker(worker) => format!("worker {}", plan.worker(*worker).name),
        Target::Assets(assets) => format!("files in {}", plan.asset_dir(*assets).directory),
        Target::Blob(bucket) => format!("blobs in {}", plan.buckets[usize::from(bucket.0)]),
        Target::AssetsThenWorker { assets, worker } => {
            format!("files in {}, then worker {}", plan.asset_dir(*assets).directory, plan.worker(*worker).name)
        }
        Target::Upstream { upstream, cache } => {
            let cached = if *cache == RouteCache::Off { ", without a cache" } else { "" };
            format!("upstream {}{cached}", plan.upstream(*upstream).name)
        }
    }
}

pub fn types(args: &Types) -> Result<()> {
    let bundle = build(&args.project, true)?;
    let mut text = manifest::typescript_env(&bundle.plan);
    if args.tests {
        text += &manifest::typescript_tests(&bundle.plan);
    }
    match &args.out {
        Some(path) => std::fs::write(path, text).with_context(|| format!("can't write {}", path.display())),
        None => print(text.trim_end()),
    }
}

/// Limits of the project, if there is one, and of the node.
pub fn limits(project: &Project, json: bool) -> Result<()> {
    let has_project = manifest::FILE_NAMES.iter().any(|name| project.dir.join(name).exists());
    let plan = if has_project { Some(build(project, true)?.plan) } else { None };
    let of_project = plan.as_ref().map(manifest::limits_table).unwrap_or_default();
    let tests = plan.map(|plan| plan.tests.limits).unwrap_or_default();
    let node = NodeLimits::default();
    if json {
        let node: Vec<_> = NODE
            .iter()
            .map(|row| serde_json::json!({ "name": row.name, "value": node.get(row.name), "default": row.default, "unit": row.unit, "about": row.about }))
            .collect();
        let of_tests: Vec<_> = TEST.iter().map(|row| serde_json::json!({ "name": row.name, "value": tests.get(row.name), "default": row.default, "unit": row.unit, "about": row.about })).collect();
        return print_json(&serde_json::json!({ "project": of_project, "node": node, "tests": of_tests }));
    }
    if !of_project.is_empty() {
        print("project")?;
        for line in of_project {
            let value = format!("{} {}", line.value, line.unit);
            let resource = line.database.as_ref().or(line.upstream.as_ref()).map(base::ResourceName::as_str);
            let owner = line.worker.as_ref().map(base::WorkerName::as_str).or(resource).unwrap_or("app");
            print(format!(
                "  {owner:<12} {:<24} {:>20}  {:<20} {}",
                line.name,
                value.trim_end(),
                line.set_at,
                line.about
            ))?;
        }
        print("")?;
    }
    print("node (set under [limits] of the file given to serve --config)")?;
    for row in NODE {
        let value = format!("{} {}", node.get(row.name).unwrap_or_default(), row.unit);
        print(format!("  {:<26} {:>18}  {}", row.name, value.trim_end(), row.about))?;
    }
    print("\ntests (set under [test] limits of the manifest)")?;
    for row in TEST {
        let value = format!("{} {}", tests.get(row.name).unwrap_or_default(), row.unit);
        print(format!("  {:<26} {:>18}  {}", row.name, value.trim_end(), row.about))?;
    }
    Ok(())
}
