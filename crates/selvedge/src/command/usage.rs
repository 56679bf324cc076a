//! `usage`: what apps store in each service.

use std::collections::BTreeMap;

use anyhow::Result;
use base::AppName;
use control_api::{AppUsage, Used};

use super::{app_name, print, print_json};
use crate::admin::{Prepare, reach};
use crate::cli;

pub async fn run(args: cli::Usage, json: bool) -> Result<()> {
    let api = reach(&args.data.data, Prepare::No)?;
    if let Some(app) = args.app {
        let usage = api.app_usage(app_name(&app)?).await?;
        return if json { print_json(&usage) } else { print(shown(&usage)) };
    }
    let mut all: BTreeMap<AppName, AppUsage> = BTreeMap::new();
    for entry in api.apps().await? {
        all.insert(entry.app.clone(), api.app_usage(entry.app).await?);
    }
    if json {
        return print_json(&all);
    }
    all.iter().try_for_each(|(app, usage)| print(format!("{app}\n{}", shown(usage))))
}

fn shown(usage: &AppUsage) -> String {
    let rows = [("kv", usage.kv), ("sql", usage.sql), ("blobs", usage.blobs), ("objects", usage.objects)];
    let shown = rows.map(|(name, Used { bytes, bytes_max })| format!("{name:<8} {bytes:>16} of {bytes_max} bytes"));
    shown.join("\n")
}
