//! `purge` and `cache`: responses that a running node stores.

use anyhow::{Result, bail};
use control_api::CachePurge;

use super::{app_name, print, print_json};
use crate::admin::{Prepare, reach};
use crate::cli;

pub async fn purge(args: cli::Purge, json: bool) -> Result<()> {
    let cli::Purge { app, url, prefix, tag, all, soft, data } = args;
    let app = app_name(&app)?;
    let api = reach(&data.data, Prepare::No)?;
    let other = url.as_deref().and_then(other_scheme);
    let purge = CachePurge { url, prefix, tag, all, soft };
    let purged = api.cache_purge(app.clone(), purge).await?;
    if let Some(other) = other.filter(|_| purged.purged == 0)
        && !api.cache_entries(app, other.clone()).await?.is_empty()
    {
        eprintln!("note: nothing was stored under this URL; something is under {other}, which is another page");
    }
    if json {
        return print_json(&purged);
    }
    let responses = if purged.purged == 1 { "response" } else { "responses" };
    print(format!("{} {} {responses}", if soft { "made stale" } else { "purged" }, purged.purged))
}

/// The same URL by the other scheme of the web.
fn other_scheme(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let other = if scheme.eq_ignore_ascii_case("https") { "http" } else { "https" };
    Some(format!("{other}://{rest}"))
}

pub async fn run(args: cli::Cache, json: bool) -> Result<()> {
    match args {
        cli::Cache::Stats(args) => stats(&args, json).await,
        cli::Cache::Get(args) => get(&args, json).await,
    }
}

async fn stats(args: &cli::AppArgs, json: bool) -> Result<()> {
    let stats = reach(&args.data.data, Prepare::No)?.cache_stats(app_name(&args.app)?).await?;
    if json {
        return print_json(&stats);
    }
    let amount = |amount: control_api::CacheAmount| format!("{} entries, {} bytes", amount.entries, amount.bytes);
    print(format!("memory     {}", amount(stats.memory)))?;
    print(format!("disk       {}", stats.disk.map_or("(none)".to_owned(), amount)))?;
    let rows = [
        ("hits", stats.hits),
        ("stale", stats.stale),
        ("misses", stats.misses),
        ("collapsed", stats.collapsed),
        ("bypassed", stats.bypassed),
        ("hit bytes", stats.hit_bytes),
        ("stored", stats.stored),
        ("purged", stats.purged),
    ];
    rows.into_iter().try_for_each(|(name, value)| print(format!("{name:<10} {value}")))
}

async fn get(args: &cli::CacheGet, json: bool) -> Result<()> {
    let api = reach(&args.data.data, Prepare::No)?;
    let entries = api.cache_entries(app_name(&args.app)?, args.url.clone()).await?;
    if json {
        return print_json(&serde_json::json!({ "items": entries }));
    }
    if entries.is_empty() {
        bail!("nothing is stored under {}", args.url);
    }
    for entry in entries {
        print(format!(
            "{}  {}  {} bytes, age {} s, ttl {} s",
            entry.status, entry.key, entry.bytes, entry.age_s, entry.ttl_s
        ))?;
        if let Some(cache) = entry.cache {
            print(format!("  in the cache {cache:?}"))?;
        }
        if !entry.tags.is_empty() {
            print(format!("  tags {}", entry.tags.join(", ")))?;
        }
        entry.headers.iter().try_for_each(|(name, value)| print(format!("  {name}: {value}")))?;
    }
    Ok(())
}
