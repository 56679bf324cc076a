//! `kv get`, `put`, `delete`, `list`, against a running node or a stopped one.

use std::io::{Read as _, Write as _};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use control_api::{KvCondition, KvListOptions, KvPutOptions};

use super::{app_name, print, print_json, resource_name};
use crate::admin::{Prepare, reach};
use crate::cli;

pub async fn run(args: cli::Kv, json: bool) -> Result<()> {
    match args {
        cli::Kv::Get { app, namespace, key, data } => {
            let api = reach(&data.data, Prepare::No)?;
            let Some(entry) = api.kv_get(app_name(&app)?, resource_name(&namespace)?, key.clone()).await? else {
                bail!("{namespace} has no entry under {key:?}");
            };
            if json {
                let value = String::from_utf8_lossy(&entry.value);
                return print_json(&serde_json::json!({
                    "value": value, "metadata": entry.metadata, "expires_at_ms": entry.expires_at_ms, "revision": entry.revision,
                }));
            }
            std::io::stdout().write_all(&entry.value).context("the value can't be written")
        }
        cli::Kv::Put { app, namespace, key, value, ttl, metadata, data } => {
            let value = match value {
                Some(value) => Bytes::from(value),
                None => {
                    let mut bytes = Vec::new();
                    std::io::stdin().lock().read_to_end(&mut bytes).context("the value can't be read")?;
                    bytes.into()
                }
            };
            let options = KvPutOptions { ttl_s: ttl, expires_at_ms: None, metadata, condition: KvCondition::Always };
            let api = reach(&data.data, Prepare::No)?;
            let receipt = api.kv_put(app_name(&app)?, resource_name(&namespace)?, key, value, options).await?;
            if json {
                print_json(&receipt)
            } else {
                print(format!("stored {} bytes, revision {}, {}", receipt.size, receipt.revision, receipt.durability))
            }
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
            let options = KvListOptions { prefix: prefix.unwrap_or_default(), cursor, limit };
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
    }
}
