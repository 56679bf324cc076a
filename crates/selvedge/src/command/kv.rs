//! `kv get`, `put`, `delete`, `list`, `usage`, `watch`, `export`, `import`, against a running node or a
//! stopped one.

use std::io::{Read as _, Write as _};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use control_api::{KvChangesOptions, KvCondition, KvListOptions, KvPutOptions, KvUsage};

use super::{app_name, print, print_json, resource_name};
use crate::admin::{Prepare, reach};
use crate::cli;
use crate::terminal;
use crate::wire;

mod transfer;

use transfer::Place;

pub async fn run(args: cli::Kv, json: bool) -> Result<()> {
    match args {
        cli::Kv::Get { app, namespace, key, data } => get(&place(&app, &namespace, &data)?, key, json).await,
        cli::Kv::Put { app, namespace, key, value, ttl, metadata, data } => {
            let options = KvPutOptions { ttl_s: ttl, metadata, ..KvPutOptions::default() };
            put(&place(&app, &namespace, &data)?, key, value, options, json).await
        }
        cli::Kv::Delete { app, namespace, key, data } => {
            let api = reach(&data.data, Prepare::No)?;
            let condition = KvCondition::Always;
            let deleted = api.kv_delete(app_name(&app)?, resource_name(&namespace)?, key, condition).await?;
            if json {
                print_json(&deleted)
            } else {
                print(if deleted.existed { "deleted" } else { "there was no such entry" })
            }
        }
        cli::Kv::List { app, namespace, prefix, cursor, limit, data } => {
            let api = reach(&data.data, Prepare::No)?;
            let prefix = prefix.unwrap_or_default();
            let options = KvListOptions { prefix, cursor, limit, ..KvListOptions::default() };
            let page = api.kv_list(app_name(&app)?, resource_name(&namespace)?, options).await?;
            if json {
                return print_json(&page);
            }
            for key in &page.keys {
                print(&key.name)?;
            }
            match page.cursor {
                Some(cursor) => print(format!("(there are more: --cursor {cursor})")),
                None => Ok(()),
            }
        }
        cli::Kv::Usage { app, data } => {
            let usage = reach(&data.data, Prepare::No)?.kv_usage(app_name(&app)?).await?;
            if json { print_json(&usage) } else { print(shown(&usage)) }
        }
        cli::Kv::Watch { app, namespace, prefix, since, once, data } => {
            let place = place(&app, &namespace, &data)?;
            watch(&place, prefix.unwrap_or_default(), since, once, json).await
        }
        cli::Kv::Export { app, namespace, prefix, data } => {
            let mut out = std::io::BufWriter::new(std::io::stdout().lock());
            let lines = place(&app, &namespace, &data)?.export(&prefix.unwrap_or_default(), &mut out).await?;
            out.flush().context("the export can't be written")?;
            terminal::say(&format!("{lines} lines"));
            Ok(())
        }
        cli::Kv::Import { app, namespace, data } => {
            let place = place(&app, &namespace, &data)?;
            let (stored, expired) = place.import(&mut std::io::stdin().lock(), &*wire::clock()).await?;
            if json {
                return print_json(&serde_json::json!({ "stored": stored, "expired": expired }));
            }
            let had = if expired > 0 { format!(", {expired} had expired") } else { String::new() };
            print(format!("{stored} lines are stored{had}"))
        }
    }
}

async fn get(place: &Place, key: String, json: bool) -> Result<()> {
    let Some(entry) = place.api.kv_get(place.app.clone(), place.namespace.clone(), key.clone()).await? else {
        bail!("{} has no entry under {key:?}", place.namespace);
    };
    if json {
        let value = String::from_utf8_lossy(&entry.value);
        return print_json(&serde_json::json!({
            "value": value, "metadata": entry.metadata, "expires_at_ms": entry.expires_at_ms, "revision": entry.revision,
        }));
    }
    std::io::stdout().write_all(&entry.value).context("the value can't be written")
}

/// Stores the value, or what standard input holds.
async fn put(place: &Place, key: String, value: Option<String>, options: KvPutOptions, json: bool) -> Result<()> {
    let value = match value {
        Some(value) => Bytes::from(value),
        None => {
            let mut bytes = Vec::new();
            std::io::stdin().lock().read_to_end(&mut bytes).context("the value can't be read")?;
            bytes.into()
        }
    };
    let receipt = place.api.kv_put(place.app.clone(), place.namespace.clone(), key, value, options).await?;
    if json {
        print_json(&receipt)
    } else {
        print(format!("stored {} bytes, revision {}, {}", receipt.size, receipt.revision, receipt.durability))
    }
}

fn place(app: &str, namespace: &str, data: &cli::Data) -> Result<Place> {
    let (app, namespace) = (app_name(app)?, resource_name(namespace)?);
    Ok(Place { api: reach(&data.data, Prepare::No)?, app, namespace })
}

fn shown(usage: &KvUsage) -> String {
    let row = |name: &str, keys, keys_max, bytes, bytes_max| {
        format!("{name:<24} {keys:>12} of {keys_max} keys {bytes:>16} of {bytes_max} bytes\n")
    };
    let mut text = String::new();
    for of in &usage.namespaces {
        text += &row(of.namespace.as_str(), of.keys, of.keys_max, of.bytes, of.bytes_max);
    }
    text += &row("(the app)", usage.keys, usage.keys_max, usage.bytes, usage.bytes_max);
    text.trim_end().to_owned()
}

async fn watch(place: &Place, prefix: String, since: Option<u64>, once: bool, json: bool) -> Result<()> {
    let wait_ms = if once { 0 } else { KvChangesOptions::WAIT_MS_MAX };
    let mut options = KvChangesOptions { prefix, since, wait_ms };
    loop {
        let told = place.api.kv_changes(place.app.clone(), place.namespace.clone(), options.clone()).await?;
        for change in &told.changes {
            match json {
                true => print(serde_json::to_string(change)?)?,
                false => print(format!("{:>10} {:<6} {}", change.revision, change.kind, change.key))?,
            }
        }
        if once && options.since == Some(told.through) {
            return Ok(());
        }
        options.since = Some(told.through);
    }
}
