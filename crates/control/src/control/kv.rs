//! KV through the API: the words of the contract in those of the API, and back.

use std::time::Duration;

use base::{AppName, Body, code};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use control_api::{
    ApiError, KvChange, KvChanges, KvChangesOptions, KvCheck, KvCommitted, KvCondition, KvKey, KvListOptions,
    KvNamespaceUsage, KvPage, KvPutOptions, KvReceipt, KvTransaction, KvUsage, KvValue, KvWrite,
};
use services::{
    Action, ChangesOptions, Check, Condition, Durability, KvNamespace, ListOptions, PutOptions, Transaction, Write,
};

use super::{Control, failed};

impl Control {
    pub(super) async fn put_entry(
        &self,
        ns: KvNamespace,
        key: String,
        value: Bytes,
        options: KvPutOptions,
    ) -> Result<KvReceipt, ApiError> {
        let expires_at_ms = match (options.ttl_s, options.expires_at_ms) {
            (Some(_), Some(_)) => {
                return Err(ApiError::new(&code::BAD_EXPIRY, "an entry has a TTL or an expiry, not both"));
            }
            (Some(0), None) => return Err(ApiError::new(&code::BAD_EXPIRY, "a TTL is at least one second")),
            (Some(ttl_s), None) => Some(self.parts.clock.unix_ms().saturating_add(ttl_s.saturating_mul(1_000))),
            (None, at) => at,
        };
        let options = PutOptions { expires_at_ms, metadata: options.metadata, condition: condition(options.condition) };
        let receipt = self.parts.kv.put(&ns, &key, Body::full(value), options).await.map_err(failed)?;
        let durability = durability(receipt.durability);
        Ok(KvReceipt { revision: receipt.revision, size: receipt.size, durability })
    }

    pub(super) async fn get_entry(&self, ns: KvNamespace, key: String) -> Result<Option<KvValue>, ApiError> {
        let Some(entry) = self.parts.kv.get(&ns, &key).await.map_err(failed)? else { return Ok(None) };
        let (metadata, expires_at_ms, revision) = (entry.metadata.clone(), entry.expires_at_ms, entry.revision);
        let value = entry.bytes().await.map_err(failed)?;
        Ok(Some(KvValue { value, metadata, expires_at_ms, revision }))
    }

    pub(super) async fn list_entries(&self, ns: KvNamespace, options: KvListOptions) -> Result<KvPage, ApiError> {
        let options = ListOptions {
            prefix: options.prefix,
            cursor: options.cursor,
            limit: options.limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            after_revision: options.after_revision,
            values: options.values,
        };
        let page = self.parts.kv.list(&ns, options).await.map_err(failed)?;
        let key = |key: services::ListedKey| KvKey {
            name: key.name,
            expires_at_ms: key.expires_at_ms,
            metadata: key.metadata,
            revision: key.revision,
            base64: key.value.map(|value| STANDARD.encode(value)),
        };
        Ok(KvPage { keys: page.keys.into_iter().map(key).collect(), cursor: page.cursor, revision: page.revision })
    }

    pub(super) async fn commit_entries(
        &self,
        ns: KvNamespace,
        transaction: KvTransaction,
    ) -> Result<KvCommitted, ApiError> {
        let checks = transaction.checks.into_iter().map(check).collect::<Result<_, _>>()?;
        let writes = transaction.writes.into_iter().map(write).collect::<Result<_, _>>()?;
        let receipt = self.parts.kv.commit(&ns, Transaction { checks, writes }).await.map_err(failed)?;
        let durability = durability(receipt.durability);
        Ok(KvCommitted { revision: receipt.revision, durability, sums: receipt.sums })
    }

    /// Waits as long as it was asked to, and then says that there is nothing.
    pub(super) async fn changed_entries(
        &self,
        ns: KvNamespace,
        options: KvChangesOptions,
    ) -> Result<KvChanges, ApiError> {
        let wait = Duration::from_millis(options.wait_ms.min(KvChangesOptions::WAIT_MS_MAX));
        let asked = |wait| ChangesOptions { prefix: options.prefix.clone(), since: options.since, wait };
        let page = match tokio::time::timeout(wait, self.parts.kv.changes(&ns, asked(true))).await {
            Ok(page) => page,
            Err(_) => self.parts.kv.changes(&ns, asked(false)).await,
        };
        let page = page.map_err(failed)?;
        let change = |change: services::Change| KvChange {
            kind: change.kind.as_str().into(),
            key: change.key,
            revision: change.revision,
        };
        Ok(KvChanges { changes: page.changes.into_iter().map(change).collect(), through: page.through })
    }

    pub(super) async fn used(&self, app: AppName) -> Result<KvUsage, ApiError> {
        let limits = self.limits_of(&app);
        let all = self.parts.kv.usage(&self.id(&app)).await.map_err(failed)?;
        Ok(KvUsage {
            keys: all.iter().map(|used| used.usage.keys).sum(),
            bytes: all.iter().map(|used| used.usage.bytes).sum(),
            keys_max: limits.kv_app_keys,
            bytes_max: limits.kv_app_bytes,
            namespaces: all
                .into_iter()
                .map(|used| KvNamespaceUsage {
                    namespace: used.namespace,
                    keys: used.usage.keys,
                    bytes: used.usage.bytes,
                    keys_max: limits.kv_namespace_keys,
                    bytes_max: limits.kv_namespace_bytes,
                })
                .collect(),
        })
    }
}

fn check(check: KvCheck) -> Result<Check, ApiError> {
    let condition = match (check.revision, check.exists) {
        (Some(revision), None) => Condition::Revision(revision),
        (None, Some(true)) => Condition::Present,
        (None, Some(false)) => Condition::Absent,
        _ => {
            let detail = format!("the check of {:?} wants either `revision` or `exists`", check.key);
            return Err(ApiError::new(&code::BAD_TRANSACTION, detail));
        }
    };
    Ok(Check { key: check.key, condition })
}

fn write(write: KvWrite) -> Result<Write, ApiError> {
    Ok(match write {
        KvWrite::Put { key, base64, metadata, expires_at_ms } => {
            let bad =
                |error| ApiError::new(&code::BAD_TRANSACTION, format!("the value of {key:?} is no base64: {error}"));
            let value = STANDARD.decode(base64).map_err(bad)?.into();
            Write { key, action: Action::Put { value, metadata, expires_at_ms } }
        }
        KvWrite::Delete { key } => Write { key, action: Action::Delete },
        KvWrite::Add { key, amount } => Write { key, action: Action::Add(amount) },
    })
}

pub(super) fn condition(condition: KvCondition) -> Condition {
    match condition {
        KvCondition::Always => Condition::Always,
        KvCondition::Absent => Condition::Absent,
        KvCondition::Revision(revision) => Condition::Revision(revision),
    }
}

pub(super) fn durability(durability: Durability) -> String {
    durability.as_str().into()
}
