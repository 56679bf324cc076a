//! `objects`: list, inspect, export, import, restore and delete durable objects, of a running node or a stopped one.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use base::ClassName;
use bytes::Bytes;
use control_api::ObjectRestoreRequest;

use super::sql::moment;
use super::{app_name, print, print_json, time};
use crate::admin::{Prepare, reach};
use crate::{cli, wire};

pub async fn run(args: cli::Objects, json: bool) -> Result<()> {
    let cli::Objects { app, class, data, what } = args;
    let app = app_name(&app)?;
    let class = ClassName::parse(&class).with_context(|| format!("{class:?} is no name of a class"))?;
    let api = reach(&data, Prepare::No)?;
    match what.unwrap_or(cli::ObjectsWhat::List { after: None, limit: None }) {
        cli::ObjectsWhat::List { after, limit } => {
            let page = api.object_list(app, class, after, limit).await?;
            if json {
                return print_json(&page);
            }
            page.ids.iter().try_for_each(print)?;
            match page.ids.last().filter(|_| page.more) {
                Some(last) => print(format!("(there are more: --after {last})")),
                None => Ok(()),
            }
        }
        cli::ObjectsWhat::Inspect { object } => {
            let Some(info) = api.object_inspect(app, class, object.clone()).await? else { bail!(missing(&object)) };
            if json {
                return print_json(&info);
            }
            print(format!("id       {}", info.id))?;
            print(format!("name     {}", info.name.as_deref().unwrap_or("(unknown)")))?;
            print(format!("bytes    {}", info.bytes))?;
            print(format!("entries  {}", info.entries))?;
            print(format!("tables   {}", info.tables.join(", ")))?;
            print(format!("alarm    {}", info.alarm_ms.map_or("(none)".to_owned(), time)))
        }
        cli::ObjectsWhat::Export { object, file } => {
            let Some(export) = api.object_export(app, class, object.clone()).await? else { bail!(missing(&object)) };
            match file.filter(|file| file.as_os_str() != "-") {
                Some(file) => {
                    fs::write(&file, &export).with_context(|| format!("can't write {}", file.display()))?;
                    said(json, &format!("wrote {} bytes to {}", export.len(), file.display()))
                }
                None => std::io::stdout().write_all(&export).context("the export can't be written"),
            }
        }
        cli::ObjectsWhat::Import { object, file } => {
            let export = read(file.as_deref())?;
            api.object_replace(app, class, object.clone(), Some(export)).await?;
            said(json, &format!("imported {object}"))
        }
        cli::ObjectsWhat::Restore { object, at } => {
            let at_ms = moment::parse(&at, wire::clock().unix_ms())?;
            let restored = api.object_restore(app, class, object.clone(), ObjectRestoreRequest { at_ms }).await?;
            if json {
                return print_json(&restored);
            }
            print(format!("{object} is what its commit of {} left", time(restored.time_ms)))
        }
        cli::ObjectsWhat::Delete { object } => {
            api.object_replace(app, class, object.clone(), None).await?;
            said(json, &format!("deleted {object}"))
        }
    }
}

fn missing(object: &str) -> String {
    format!("no object {object} stores anything")
}

fn said(json: bool, what: &str) -> Result<()> {
    if json { print_json(&serde_json::json!({ "done": what })) } else { print(what) }
}

fn read(file: Option<&Path>) -> Result<Bytes> {
    if let Some(file) = file {
        return Ok(fs::read(file).with_context(|| format!("can't read {}", file.display()))?.into());
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).context("the export can't be read")?;
    Ok(bytes.into())
}
