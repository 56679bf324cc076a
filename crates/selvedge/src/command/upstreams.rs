//! `upstreams`: how the servers behind a node are.

use anyhow::Result;
use control_api::{Items, UpstreamEntry};

use super::{print, print_json};
use crate::admin::{Prepare, reach};
use crate::cli;

pub async fn list(args: &cli::Data, json: bool) -> Result<()> {
    let items = reach(&args.data, Prepare::No)?.upstreams().await?;
    if json {
        return print_json(&Items { items });
    }
    if items.is_empty() {
        return print("no upstream is served");
    }
    items.iter().try_for_each(tell)
}

fn tell(entry: &UpstreamEntry) -> Result<()> {
    let breaker = if entry.breaker_open { ", left alone: its breaker is open" } else { "" };
    let limit = if entry.adaptive_limit > 0 { format!(" of {}", entry.adaptive_limit) } else { String::new() };
    print(format!(
        "{}/{}: {}{limit} under way, {} waiting, {} sent again, {} refused{breaker}",
        entry.app, entry.upstream, entry.in_flight, entry.waiting, entry.retries, entry.refused
    ))?;
    for target in &entry.targets {
        let ms = target.latency_us as f64 / 1_000.0;
        print(format!(
            "  {:<40} {:<9} weight {:<4} {:>6} under way {:>10} requests {:>8} failed {:>4} ejected {ms:>9.1} ms",
            target.target,
            target.state,
            target.weight,
            target.in_flight,
            target.requests,
            target.failures,
            target.ejections
        ))?;
    }
    Ok(())
}
