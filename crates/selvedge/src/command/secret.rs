//! `secret put`, `list`, `delete`. A value is read from standard input and never printed.

use std::io::{IsTerminal as _, Read as _};

use anyhow::{Context as _, Result, bail};
use base::Secret;
use bytes::Bytes;

use super::{app_name, print, print_json, resource_name, time};
use crate::admin::{Prepare, reach};
use crate::cli;
use crate::terminal;

pub async fn run(args: cli::Secret, json: bool) -> Result<()> {
    match args {
        cli::Secret::Put { app, name, data } => {
            let (app, name) = (app_name(&app)?, resource_name(&name)?);
            let value = read_value()?;
            let api = reach(&data.data, Prepare::No)?;
            let version = api.secret_put(app.clone(), name.clone(), value).await?;
            if json {
                print_json(&version)
            } else {
                print(format!("{app}: {name} is set, version {}", version.version))
            }
        }
        cli::Secret::List { app, data } => {
            let secrets = reach(&data.data, Prepare::No)?.secret_list(app_name(&app)?).await?;
            if json {
                return print_json(&secrets);
            }
            for secret in secrets {
                print(format!(
                    "{:<24} version {:<4} {}",
                    secret.name.as_str(),
                    secret.version,
                    time(secret.updated_ms)
                ))?;
            }
            Ok(())
        }
        cli::Secret::Delete { app, name, data } => {
            let (app, name) = (app_name(&app)?, resource_name(&name)?);
            reach(&data.data, Prepare::No)?.secret_delete(app.clone(), name.clone()).await?;
            if json { print_json(&serde_json::json!({})) } else { print(format!("{app}: {name} is deleted")) }
        }
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
