//! `usage`: what an app stores in each service.

use anyhow::Result;
use control_api::Used;

use super::{app_name, print, print_json};
use crate::admin::{Prepare, reach};
use crate::cli;

pub async fn run(args: cli::Usage, json: bool) -> Result<()> {
    let usage = reach(&args.data.data, Prepare::No)?.app_usage(app_name(&args.app)?).await?;
    if json {
        return print_json(&usage);
    }
    let rows = [("kv", usage.kv), ("sql", usage.sql), ("blobs", usage.blobs), ("objects", usage.objects)];
    rows.into_iter()
        .try_for_each(|(name, Used { bytes, bytes_max })| print(format!("{name:<8} {bytes:>16} of {bytes_max} bytes")))
}
