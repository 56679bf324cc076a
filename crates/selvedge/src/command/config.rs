//! `config put`, `get`, `list`, `history`, `rollback`, `delete`: values that are no secret, and change without a deployment.

use std::io::Read as _;

use anyhow::{Context as _, Result, bail};
use base::AppName;
use control_api::{ConfigRollback, SecretKey};

use super::{app_name, print, print_json, resource_name, time};
use crate::admin::{Prepare, reach, reach_or_make};
use crate::cli::{self, OfSecret};

pub async fn run(args: cli::Config, json: bool) -> Result<()> {
    let api = match args.what {
        cli::ConfigWhat::Put { .. } => reach_or_make(&args.data, Prepare::No)?,
        _ => reach(&args.data, Prepare::No)?,
    };
    match args.what {
        cli::ConfigWhat::Put { of, value } => {
            let (app, key) = parse(&of)?;
            let made = api.config_put(app.clone(), key.clone(), read_value(value)?).await?;
            if json {
                return print_json(&made);
            }
            print(format!("{app}: {} is set, version {}", shown(&key), made.version))
        }
        cli::ConfigWhat::Get { of } => {
            let (app, key) = parse(&of)?;
            let Some(entry) = api.config_get(app.clone(), key.clone()).await? else {
                bail!("{app} has no value {}", shown(&key))
            };
            if json { print_json(&entry) } else { print(entry.value) }
        }
        cli::ConfigWhat::List { app } => {
            let entries = api.config_list(app_name(&app)?).await?;
            if json {
                return print_json(&entries);
            }
            for entry in entries {
                let key = SecretKey { name: entry.name, env: entry.env };
                let value: String = entry.value.chars().take(60).collect();
                print(format!(
                    "{:<24} version {:<4} {} {value:?}",
                    shown(&key),
                    entry.version,
                    time(entry.updated_ms)
                ))?;
            }
            Ok(())
        }
        cli::ConfigWhat::History { of } => {
            let (app, key) = parse(&of)?;
            let versions = api.config_history(app.clone(), key.clone()).await?;
            if json {
                return print_json(&versions);
            }
            if versions.is_empty() {
                bail!("{app} has no value {}", shown(&key));
            }
            for version in versions {
                let state = if version.current { "  current" } else { "" };
                print(format!("version {:<4} {}{state}", version.version, time(version.updated_ms)))?;
            }
            Ok(())
        }
        cli::ConfigWhat::Rollback { of, to: version } => {
            let (app, key) = parse(&of)?;
            let made = api.config_rollback(app.clone(), key.clone(), ConfigRollback { version }).await?;
            if json {
                return print_json(&made);
            }
            print(format!("{app}: {} is what version {version} was, version {}", shown(&key), made.version))
        }
        cli::ConfigWhat::Delete { of } => {
            let (app, key) = parse(&of)?;
            api.config_delete(app.clone(), key.clone()).await?;
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

/// The argument, or what standard input holds.
fn read_value(value: Option<String>) -> Result<String> {
    if let Some(value) = value {
        return Ok(value);
    }
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text).context("the value can't be read")?;
    // A line typed or echoed ends in a newline that nobody means.
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}
