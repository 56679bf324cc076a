//! `deploy`, `releases`, `rollback`.

use anyhow::{Result, bail};
use control::upload;
use control_api::{Deployed, Message, RollbackRequest};

use super::project::build;
use super::{app_name, print, print_json, time};
use crate::admin::{Prepare, reach, reach_or_make};
use crate::cli::{AppArgs, Deploy, Rollback};
use crate::terminal;

pub async fn deploy(args: Deploy, json: bool) -> Result<()> {
    let message = match args.message.as_deref().map(Message::parse) {
        Some(Err(error)) => bail!("the message is not acceptable: {error}"),
        Some(Ok(message)) => Some(message),
        None => None,
    };
    let bundle = build(&args.project, false)?;
    let api = reach_or_make(&args.data.data, Prepare::Yes)?;
    let total = std::sync::Mutex::new(0);
    let progress = |at: control::UploadProgress| {
        if at.blobs == 0 && at.blobs_total > 0 {
            terminal::say(&format!("sending {} files", at.blobs_total));
        }
        if let Ok(mut total) = total.lock() {
            *total = at.bytes;
        }
    };
    let deployed = upload(&*api, &bundle, message, &progress).await?;
    let what = if deployed.fresh { "is released" } else { "was known already and is released" };
    if json { print_json(&deployed) } else { tell(&deployed, what) }
}

fn tell(deployed: &Deployed, what: &str) -> Result<()> {
    let Deployed { id, app, hosts, release, start_log, missing_secrets, .. } = deployed;
    print(format!("{app}: deployment {} {what}, as release {release}", id.short()))?;
    for host in hosts {
        print(format!("  {host}"))?;
    }
    for line in start_log {
        terminal::say(line);
    }
    for secret in missing_secrets {
        terminal::say(&format!("warning: {secret} has no value yet; set it with: selvedge secret put {app} {secret}"));
    }
    Ok(())
}

pub async fn list(args: AppArgs, json: bool) -> Result<()> {
    let api = reach(&args.data.data, Prepare::No)?;
    let releases = api.releases(app_name(&args.app)?, None).await?;
    if json {
        return print_json(&releases);
    }
    for release in releases {
        let mark = if release.current { "*" } else { " " };
        let message = release.message.as_deref().unwrap_or("");
        print(format!(
            "{mark} {:>4}  {}  {}  {message}",
            release.number,
            release.id.short(),
            time(release.released_ms)
        ))?;
    }
    Ok(())
}

pub async fn rollback(args: Rollback, json: bool) -> Result<()> {
    let api = reach(&args.data.data, Prepare::Yes)?;
    let request = RollbackRequest { to: args.deployment };
    let deployed = api.rollback(app_name(&args.app)?, request).await?;
    if json { print_json(&deployed) } else { tell(&deployed, "is released again") }
}
