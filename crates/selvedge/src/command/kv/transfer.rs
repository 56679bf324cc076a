//! `kv export` and `kv import`: a namespace as lines of JSON.
//!
//! An export walks over the namespace page by page while the node serves, and holds one page at a
//! time. Then it tells, as lines of the same kind, what changed meanwhile, until nothing more did:
//! who reads the lines in their order has the namespace as it was at one moment. A line is
//! `{"key": …, "value": …}`, with `"base64"` instead of `"value"` for what is no text, `"metadata"`
//! and `"expires_at_ms"` where there are some, and the `"revision"`, which says nothing to an
//! import; or `{"key": …, "deleted": true}`.
//!
//! An import makes transactions of the lines, each as large as they may be. It replaces what is
//! there under the same keys and leaves the rest; repeated, it comes to the same.

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, Write};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use base::{AppName, Clock, NodeLimits, ResourceName};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use control_api::{Api, KvChangesOptions, KvCondition, KvKey, KvListOptions, KvPutOptions, KvTransaction, KvWrite};
use serde::{Deserialize, Serialize};

/// The longest line: the largest value in base64, and what stands beside it.
const LINE_BYTES_MAX: u64 = 48 << 20;

/// One namespace behind an API.
pub struct Place {
    pub api: Arc<dyn Api>,
    pub app: AppName,
    pub namespace: ResourceName,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
}

impl Line {
    fn of(key: KvKey, value: &[u8]) -> Result<Self> {
        let (value, base64) = match std::str::from_utf8(value) {
            Ok(text) => (Some(text.to_owned()), None),
            Err(_) => (None, Some(STANDARD.encode(value))),
        };
        let metadata = key.metadata.as_deref().map(serde_json::from_str).transpose();
        Ok(Self {
            value,
            base64,
            metadata: metadata.with_context(|| format!("the metadata of {:?} is no JSON", key.name))?,
            expires_at_ms: key.expires_at_ms,
            revision: Some(key.revision),
            key: key.name,
            deleted: false,
        })
    }

    fn gone(key: String) -> Self {
        Self { key, deleted: true, ..Self::default() }
    }
}

impl Place {
    /// Writes the entries; answers how many lines that were.
    pub async fn export(&self, prefix: &str, out: &mut impl Write) -> Result<u64> {
        let mut options = KvListOptions { prefix: prefix.into(), values: true, ..KvListOptions::default() };
        let (mut lines, mut since) = (0, None);
        loop {
            let page = self.api.kv_list(self.app.clone(), self.namespace.clone(), options.clone()).await?;
            since.get_or_insert(page.revision);
            for key in page.keys {
                lines += self.export_one(key, out).await?;
            }
            options.cursor = page.cursor;
            if options.cursor.is_none() {
                break;
            }
        }
        let mut since = since.unwrap_or(0);
        loop {
            let options = KvChangesOptions { prefix: prefix.into(), since: Some(since), wait_ms: 0 };
            let told = self.api.kv_changes(self.app.clone(), self.namespace.clone(), options).await?;
            // Of several changes of a key the last one says it all.
            let changed: BTreeMap<String, bool> =
                told.changes.into_iter().map(|change| (change.key, change.kind == "put")).collect();
            if changed.is_empty() && told.through == since {
                return Ok(lines);
            }
            since = told.through;
            for (key, put) in changed {
                lines += self.export_changed(key, put, out).await?;
            }
        }
    }

    async fn export_one(&self, key: KvKey, out: &mut impl Write) -> Result<u64> {
        match &key.base64 {
            Some(value) => {
                let value = STANDARD.decode(value).context("the node gave a value that is no base64")?;
                write_line(out, &Line::of(key, &value)?)?;
                Ok(1)
            }
            // Too large for a page, or gone since; then the changes tell.
            None => self.export_changed(key.name, true, out).await,
        }
    }

    async fn export_changed(&self, key: String, put: bool, out: &mut impl Write) -> Result<u64> {
        let entry = match put {
            true => self.api.kv_get(self.app.clone(), self.namespace.clone(), key.clone()).await?,
            false => None,
        };
        let line = match entry {
            Some(entry) => {
                let (metadata, expires_at_ms, revision) = (entry.metadata, entry.expires_at_ms, entry.revision);
                Line::of(KvKey { name: key, expires_at_ms, metadata, revision, base64: None }, &entry.value)?
            }
            None => Line::gone(key),
        };
        write_line(out, &line)?;
        Ok(1)
    }

    /// Stores what the lines say; answers how many were stored, and how many had expired.
    pub async fn import(&self, input: &mut impl BufRead, clock: &dyn Clock) -> Result<(u64, u64)> {
        let limits = NodeLimits::default();
        let (mut batch, mut stored, mut expired) = (Batch::default(), 0, 0);
        for number in 1.. {
            let Some(line) = read_line(input, number)? else { break };
            if line.expires_at_ms.is_some_and(|at| at <= clock.unix_ms()) {
                expired += 1;
                continue;
            }
            let content = content(&line).with_context(|| format!("line {number}"))?;
            let bytes = line.key.len() + content.as_ref().map_or(0, Bytes::len);
            if !batch.takes(&line.key, bytes, &limits) {
                stored += self.flush(&mut batch).await?;
            }
            if bytes > limits.transaction_bytes as usize / 2 {
                // Of its own: it would fill a transaction, and base64 makes it no smaller.
                stored += self.put(line, content.unwrap_or_default()).await?;
                continue;
            }
            batch.push(line, content, bytes);
        }
        stored += self.flush(&mut batch).await?;
        Ok((stored, expired))
    }

    async fn put(&self, line: Line, value: Bytes) -> Result<u64> {
        let options = KvPutOptions {
            ttl_s: None,
            expires_at_ms: line.expires_at_ms,
            metadata: line.metadata.map(|metadata| metadata.to_string()),
            condition: KvCondition::Always,
        };
        self.api.kv_put(self.app.clone(), self.namespace.clone(), line.key, value, options).await?;
        Ok(1)
    }

    async fn flush(&self, batch: &mut Batch) -> Result<u64> {
        let Batch { writes, .. } = std::mem::take(batch);
        let count = writes.len() as u64;
        if count > 0 {
            let transaction = KvTransaction { checks: Vec::new(), writes };
            self.api.kv_commit(self.app.clone(), self.namespace.clone(), transaction).await?;
        }
        Ok(count)
    }
}

/// Lines that are stored together.
#[derive(Default)]
struct Batch {
    writes: Vec<KvWrite>,
    keys: HashSet<String>,
    bytes: usize,
}

impl Batch {
    /// No key twice, and no more than a transaction takes where limits are lower than usual.
    fn takes(&self, key: &str, bytes: usize, limits: &NodeLimits) -> bool {
        let (keys_max, bytes_max) = (limits.transaction_keys as usize, limits.transaction_bytes as usize);
        self.writes.len() < keys_max && self.bytes + bytes <= bytes_max / 2 && !self.keys.contains(key)
    }

    fn push(&mut self, line: Line, content: Option<Bytes>, bytes: usize) {
        let metadata = line.metadata.map(|metadata| metadata.to_string());
        self.bytes += bytes + metadata.as_ref().map_or(0, String::len);
        self.keys.insert(line.key.clone());
        self.writes.push(match content {
            Some(value) => KvWrite::Put {
                key: line.key,
                base64: STANDARD.encode(value),
                metadata,
                expires_at_ms: line.expires_at_ms,
            },
            None => KvWrite::Delete { key: line.key },
        });
    }
}

/// The value of a line; nothing for a deletion.
fn content(line: &Line) -> Result<Option<Bytes>> {
    match (&line.value, &line.base64, line.deleted) {
        (Some(text), None, false) => Ok(Some(text.clone().into())),
        (None, Some(base64), false) => {
            let value = STANDARD.decode(base64).with_context(|| format!("the value of {:?} is no base64", line.key))?;
            Ok(Some(value.into()))
        }
        (None, None, true) => Ok(None),
        _ => bail!("{:?} wants one of value, base64 and deleted", line.key),
    }
}

fn write_line(out: &mut impl Write, line: &Line) -> Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n").context("the export can't be written")
}

/// The next line that holds something.
fn read_line(input: &mut impl BufRead, number: u64) -> Result<Option<Line>> {
    let mut bytes = Vec::new();
    std::io::Read::take(&mut *input, LINE_BYTES_MAX)
        .read_until(b'\n', &mut bytes)
        .context("the input can't be read")?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.len() as u64 == LINE_BYTES_MAX {
        bail!("line {number} has more than {LINE_BYTES_MAX} bytes");
    }
    let line = serde_json::from_slice(&bytes)
        .with_context(|| format!("line {number} is not what export writes: {{\"key\": …, \"value\": …}}"))?;
    Ok(Some(line))
}
