//! `secret put`, `versions`, `rollback`, `list`, `delete`. A value is read from standard input and
//! never printed.

use std::io::{IsTerminal as _, Read as _};

use anyhow::{Context as _, Result, bail};
use base::{AppName, Secret};
use bytes::Bytes;
use control_api::{SecretKey, SecretPutOptions, SecretRollback};

use super::{app_name, print, print_json, resource_name, time};
use crate::admin::{Prepare, reach, reach_or_make};
use crate::cli::{self, OfSecret};
use crate::terminal;

pub async fn run(args: cli::Secret, json: bool) -> Result<()> {
    match args {
        cli::Secret::Put { of, overlap, data } => {
            let (app, key) = parse(&of)?;
            let value = read_value()?;
            let options = SecretPutOptions { overlap_s: overlap.unwrap_or(0) };
            let api = reach_or_make(&data.data, Prepare::No)?;
            let version = api.secret_put(app.clone(), key.clone(), value, options).await?;
            if json {
                print_json(&version)
            } else {
                print(format!("{app}: {} is set, version {}", shown(&key), version.version))
            }
        }
        cli::Secret::Versions { of, data } => {
            let (app, key) = parse(&of)?;
            let versions = reach(&data.data, Prepare::No)?.secret_versions(app.clone(), key.clone()).await?;
            if json {
                return print_json(&versions);
            }
            if versions.is_empty() {
                bail!("{app} has no secret {}", shown(&key));
            }
            for version in versions {
                let state = match (version.current, version.previous_until_ms) {
                    (true, _) => "  current".to_owned(),
                    (false, Some(until)) => format!("  previous until {}", time(until)),
                    (false, None) => String::new(),
                };
                print(format!("version {:<4} {}{state}", version.version, time(version.updated_ms)))?;
            }
            Ok(())
        }
        cli::Secret::Rollback { of, to: version, data } => {
            let (app, key) = parse(&of)?;
            let api = reach(&data.data, Prepare::No)?;
            let made = api.secret_rollback(app.clone(), key.clone(), SecretRollback { version }).await?;
            if json {
                print_json(&made)
            } else {
                print(format!("{app}: {} is what version {version} was, version {}", shown(&key), made.version))
            }
        }
        cli::Secret::List { app, data } => {
            let secrets = reach(&data.data, Prepare::No)?.secret_list(app_name(&app)?).await?;
            if json {
                return print_json(&secrets);
            }
            for secret in secrets {
                let updated = time(secret.updated_ms);
                let key = SecretKey { name: secret.name, env: secret.env };
                print(format!("{:<24} version {:<4} {updated}", shown(&key), secret.version))?;
            }
            Ok(())
        }
        cli::Secret::Delete { of, data } => {
            let (app, key) = parse(&of)?;
            reach(&data.data, Prepare::No)?.secret_delete(app.clone(), key.clone()).await?;
            if json { print_json(&serde_json::json!({})) } else { print(format!("{app}: {} is deleted", shown(&key))) }
        }
    }
}

fn parse(of: &OfSecret) -> Result<(AppName, SecretKey)> {
    let env = of.env.as_deref().map(resource_name).transpose()?;
    Ok((app_name(&of.app)?, SecretKey { name: resource_name(&of.name)?, env }))
}

fn shown(key: &SecretKey) -> String {
    match &key.env {
        Some(env) => format!("{} ({env})", key.name),
        None => key.name.to_string(),
    }
}

fn read_value() -> Result<Secret<Bytes>> {
    if std::io::stdin().is_terminal() {
        terminal::say("type the value, then Enter and Ctrl-D; it will be visible on this terminal");
    }
    let mut value = Vec::new();
    std::io::stdin().lock().read_to_end(&mut value).context("the value can't be read")?;
    // A line typed or echoed ends in a newline that nobody means.
    if value.last() == Some(&b'\n') {
        value.pop();
    }
    if value.is_empty() {
        bail!("the value is empty; pass it on standard input: printf %s VALUE | selvedge secret put APP NAME");
    }
    Ok(Secret::new(value.into()))
}
