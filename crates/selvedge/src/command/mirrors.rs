//! `mirrors`: how the answers of shadow targets compare with the real ones.

use anyhow::Result;

use super::{app_name, print, print_json};
use crate::admin::{Prepare, reach};
use crate::cli;

pub async fn run(args: cli::AppArgs, json: bool) -> Result<()> {
    let mirrors = reach(&args.data.data, Prepare::No)?.mirrors(app_name(&args.app)?).await?;
    if json {
        return print_json(&serde_json::json!({ "items": mirrors }));
    }
    if mirrors.is_empty() {
        return print("nothing was mirrored since the node started");
    }
    print(format!("{:>9} {:>9} {:>9} {:>9} {:>9}  route", "same", "status", "body", "failed", "skipped"))?;
    mirrors.into_iter().try_for_each(|one| {
        let (same, status, body) = (one.same, one.other_status, one.other_body);
        print(format!("{same:>9} {status:>9} {body:>9} {:>9} {:>9}  {}", one.failed, one.skipped, one.route))
    })
}
