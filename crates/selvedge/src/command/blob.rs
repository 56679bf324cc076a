//! `blob get`, `put`, `delete`, `list`, `head`, `presign`, `scrub` and `key`, against a running node or a
//! stopped one.

use std::io::{Read as _, Write as _};

use ::s3::presign::Presign;
use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use control_api::{AccessKeyEntry, AccessKeyRequest, BlobEntry, KvListOptions};

use super::{app_name, print, print_json, resource_name};
use crate::admin::{Prepare, reach, reach_or_make};
use crate::cli;
use crate::wire;

pub async fn run(args: cli::Blob, json: bool) -> Result<()> {
    match args {
        cli::Blob::Get { app, bucket, key, data } => {
            let api = reach(&data.data, Prepare::No)?;
            let found = api.bucket_get(app_name(&app)?, resource_name(&bucket)?, key.clone()).await?;
            let Some(content) = found else { bail!("{bucket} has no blob under {key:?}") };
            std::io::stdout().write_all(&content).context("the content can't be written")
        }
        cli::Blob::Put { app, bucket, key, file, content_type, data } => {
            let content = match &file {
                Some(path) => std::fs::read(path).with_context(|| format!("can't read {}", path.display()))?,
                None => {
                    let mut bytes = Vec::new();
                    std::io::stdin().lock().read_to_end(&mut bytes).context("the content can't be read")?;
                    bytes
                }
            };
            let api = reach(&data.data, Prepare::No)?;
            let (app, bucket) = (app_name(&app)?, resource_name(&bucket)?);
            let entry = api.bucket_put(app, bucket, key, Bytes::from(content), content_type).await?;
            if json { print_json(&entry) } else { print(format!("stored {} bytes, etag {}", entry.size, entry.etag)) }
        }
        cli::Blob::Head { app, bucket, key, data } => {
            let api = reach(&data.data, Prepare::No)?;
            let found = api.bucket_head(app_name(&app)?, resource_name(&bucket)?, key.clone()).await?;
            let Some(entry) = found else { bail!("{bucket} has no blob under {key:?}") };
            if json { print_json(&entry) } else { print(described(&entry)) }
        }
        cli::Blob::Delete { app, bucket, key, data } => {
            let api = reach(&data.data, Prepare::No)?;
            let deleted = api.bucket_delete(app_name(&app)?, resource_name(&bucket)?, key).await?;
            if json {
                print_json(&deleted)
            } else {
                print(if deleted.existed { "deleted" } else { "there was no such blob" })
            }
        }
        cli::Blob::List { app, bucket, prefix, cursor, limit, data } => {
            let options =
                KvListOptions { prefix: prefix.unwrap_or_default(), cursor, limit, ..KvListOptions::default() };
            list(&app, &bucket, options, &data, json).await
        }
        cli::Blob::Scrub { app, bucket, data } => {
            let api = reach(&data.data, Prepare::No)?;
            let found = api.bucket_scrub(app_name(&app)?, resource_name(&bucket)?).await?;
            if json {
                print_json(&found)?;
            } else {
                print(format!("read {} blobs, {} bytes", found.blobs, found.bytes))?;
                let line = |blob: &control_api::DamagedBlob| {
                    format!("damaged: {} ({}): {}", blob.key, blob.version, blob.what)
                };
                found.damaged.iter().try_for_each(|blob| print(line(blob)))?;
            }
            if found.damaged.is_empty() { Ok(()) } else { bail!("{} blobs are damaged", found.damaged.len()) }
        }
        cli::Blob::Presign { bucket, key, method, expires, access_key, endpoint } => {
            print(presign(&bucket, &key, &method, expires, access_key, &endpoint)?)
        }
        cli::Blob::Key(args) => run_key(args, json).await,
    }
}

async fn list(app: &str, bucket: &str, options: KvListOptions, data: &cli::Data, json: bool) -> Result<()> {
    let api = reach(&data.data, Prepare::No)?;
    let page = api.bucket_list(app_name(app)?, resource_name(bucket)?, options).await?;
    if json {
        return print_json(&page);
    }
    page.blobs.iter().try_for_each(|entry| print(format!("{:>12}  {}", entry.size, entry.key)))?;
    match page.cursor {
        Some(cursor) => print(format!("(there are more: --cursor {cursor})")),
        None => Ok(()),
    }
}

fn described(entry: &BlobEntry) -> String {
    let kind = entry.content_type.as_deref().unwrap_or("no type");
    format!("{}\n  {} bytes, {kind}\n  etag {}, version {}", entry.key, entry.size, entry.etag, entry.version)
}

/// The key and its secret come from the same variables that other clients read.
fn presign(
    bucket: &str,
    key: &str,
    method: &str,
    expires_s: u64,
    access_key: Option<String>,
    endpoint: &str,
) -> Result<String> {
    let variable = |name: &str| std::env::var(name).with_context(|| format!("the variable {name} is not set"));
    let access_key = access_key.map_or_else(|| variable("AWS_ACCESS_KEY_ID"), Ok)?;
    let secret = variable("AWS_SECRET_ACCESS_KEY")?;
    let (scheme, host) = endpoint.split_once("://").context("the endpoint is a URL such as http://127.0.0.1:8789")?;
    let presign = Presign {
        method: &method.to_ascii_uppercase(),
        host: host.trim_end_matches('/'),
        bucket,
        key,
        access_key: &access_key,
        secret: &secret,
        unix_s: wire::clock().unix_ms() / 1_000,
        expires_s,
    };
    Ok(presign.url(scheme))
}

async fn run_key(args: cli::BlobKey, json: bool) -> Result<()> {
    match args {
        cli::BlobKey::Create { app, bucket, read, write, list, data } => {
            let buckets = bucket.iter().map(|name| resource_name(name)).collect::<Result<_>>()?;
            // Without a word about it, a key may do everything.
            let all = !read && !write && !list;
            let request = AccessKeyRequest { buckets, read: read || all, write: write || all, list: list || all };
            let api = reach_or_make(&data.data, Prepare::No)?;
            let made = api.access_key_create(app_name(&app)?, request).await?;
            if json {
                return print_json(&made);
            }
            print(format!("AWS_ACCESS_KEY_ID={}", made.key.id))?;
            print(format!("AWS_SECRET_ACCESS_KEY={}", made.secret))?;
            eprintln!("the secret is shown this once");
            Ok(())
        }
        cli::BlobKey::List { app, data } => {
            let keys = reach(&data.data, Prepare::No)?.access_key_list(app_name(&app)?).await?;
            if json {
                return print_json(&keys);
            }
            keys.iter().try_for_each(|key| print(granted(key)))
        }
        cli::BlobKey::Delete { app, id, data } => {
            reach(&data.data, Prepare::No)?.access_key_delete(app_name(&app)?, id).await?;
            print("deleted")
        }
    }
}

fn granted(key: &AccessKeyEntry) -> String {
    let words = [(key.read, "read"), (key.write, "write"), (key.list, "list")];
    let words: Vec<&str> = words.into_iter().filter_map(|(granted, word)| granted.then_some(word)).collect();
    let buckets: Vec<&str> = key.buckets.iter().map(|name| name.as_str()).collect();
    let buckets = if buckets.is_empty() { "every bucket".to_owned() } else { buckets.join(", ") };
    format!("{}  {}  {buckets}", key.id, words.join("+"))
}
