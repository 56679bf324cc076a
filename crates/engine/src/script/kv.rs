//! What KV has beside the names of Workers: transactions, counters, the change feed, and lists with
//! values or of what is new.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use services::kv::{
    Action, ChangesOptions, Check, CommitReceipt, Condition, ListOptions, PutOptions, Transaction, Write,
};

use super::ask::Ask;
use super::codec::{Decoder, Malformed, Value};
use super::operations::{Completion, list_document, put_options};

/// COMMIT(binding, [key, condition, revision, …], [key, action, content, options, …]) → [revision, [sum, …], durability]
///
/// A condition is "absent", "present" or "revision"; an action "put" (content and the options of
/// KV_PUT), "delete", or "add" (content is the amount in decimal). Sums are decimal too, for they
/// may be larger than a number holds.
pub async fn commit(ask: &Ask, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let (provider, namespace) = ask.kv(&mut args)?;
    let (checks, writes) = (args.next()?, args.next()?);
    let now_ms = ask.now_ms;
    let transaction = Transaction { checks: checks_of(&checks)?, writes: writes_of(&writes, now_ms)? };
    let meter = ask.metered()?;
    meter.kv_reads.fetch_add(transaction.checks.len() as u64, Ordering::Relaxed);
    meter.kv_writes.fetch_add(transaction.writes.len() as u64, Ordering::Relaxed);
    Ok(committed(&provider.commit(&namespace, transaction).await?))
}

/// ADD(binding, key, amount) → as COMMIT
pub async fn add(ask: &Ask, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let (provider, namespace) = ask.kv(&mut args)?;
    let (key, amount) = (args.next()?, args.next()?);
    let transaction = Transaction::add(key.as_key()?, amount_of(&amount)?);
    ask.metered()?.kv_writes.fetch_add(1, Ordering::Relaxed);
    Ok(committed(&provider.commit(&namespace, transaction).await?))
}

/// CHANGES(binding, prefix, since or null, first) → [through, [key, kind, revision, …]]
///
/// Waits until there is something to tell, unless `since` is null. The first of a watch counts as a
/// sub-request; those that follow only wait on.
pub async fn changes(ask: &Ask, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let (provider, namespace) = ask.kv(&mut args)?;
    let (prefix, since, first) = (args.next()?, args.next()?, args.next()?.as_bool()?);
    let since = if since.is_nullish() { None } else { Some(revision_of(&since)?) };
    let options = ChangesOptions { prefix: prefix.as_key()?.to_owned(), since, wait: true };
    let meter = match (first, &ask.meter) {
        (false, Some(meter)) => meter,
        _ => ask.metered()?,
    };
    meter.kv_reads.fetch_add(1, Ordering::Relaxed);
    // A feed that has always something to tell lets others have their turn.
    tokio::task::consume_budget().await;
    let page = provider.changes(&namespace, options).await?;
    Ok(Completion::value(|to| {
        to.array(2).integer(page.through).array(3 * page.changes.len() as u32);
        for change in &page.changes {
            to.string(&change.key).string(change.kind.as_str()).integer(change.revision);
        }
        to
    }))
}

/// LIST(binding, prefix, cursor or null, limit or null, afterRevision or null, values) → [json, [bytes or null, …]]
pub async fn list(ask: &Ask, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let (provider, namespace) = ask.kv(&mut args)?;
    let (prefix, cursor, limit) = (args.next()?, args.next()?, args.next()?);
    let (after_revision, values) = (args.next()?, args.next()?.as_bool()?);
    let options = ListOptions {
        prefix: prefix.as_key()?.to_owned(),
        cursor: cursor.as_optional_str()?.map(str::to_owned),
        limit: if limit.is_nullish() { None } else { Some(limit.as_u32()? as usize) },
        after_revision: if after_revision.is_nullish() { None } else { Some(revision_of(&after_revision)?) },
        values,
    };
    let meter = ask.metered()?;
    meter.kv_reads.fetch_add(1, Ordering::Relaxed);
    let page = provider.list(&namespace, options).await?;
    if values {
        meter.kv_reads.fetch_add(page.keys.len() as u64, Ordering::Relaxed);
    }
    Ok(Completion::value(|to| {
        to.array(2).string(&list_document(&page)).array(page.keys.len() as u32);
        for key in &page.keys {
            match &key.value {
                Some(value) => to.bytes(value),
                None => to.null(),
            };
        }
        to
    }))
}

fn committed(receipt: &CommitReceipt) -> Completion {
    Completion::value(|to| {
        to.array(3).integer(receipt.revision).array(receipt.sums.len() as u32);
        receipt.sums.iter().for_each(|sum| {
            to.string(&sum.to_string());
        });
        to.string(receipt.durability.as_str())
    })
}

fn checks_of(value: &Value<'_>) -> Result<Vec<Check>, Completion> {
    let Value::Array(parts) = value else { return Err(Malformed.into()) };
    let check = |parts: &[Value<'_>]| -> Result<Check, Completion> {
        let [key, condition, revision] = parts else { return Err(Malformed.into()) };
        let condition = match condition.as_str()? {
            "absent" => Condition::Absent,
            "present" => Condition::Present,
            "revision" => Condition::Revision(revision_of(revision)?),
            _ => return Err(Malformed.into()),
        };
        Ok(Check { key: key.as_key()?.to_owned(), condition })
    };
    parts.chunks(3).map(check).collect()
}

fn writes_of(value: &Value<'_>, now_ms: u64) -> Result<Vec<Write>, Completion> {
    let Value::Array(parts) = value else { return Err(Malformed.into()) };
    let write = |parts: &[Value<'_>]| -> Result<Write, Completion> {
        let [key, action, content, options] = parts else { return Err(Malformed.into()) };
        let action = match action.as_str()? {
            "put" => {
                let PutOptions { expires_at_ms, metadata, .. } = put_options(options.as_str()?, now_ms)?;
                Action::Put { value: Bytes::copy_from_slice(content.as_content()?), metadata, expires_at_ms }
            }
            "delete" => Action::Delete,
            "add" => Action::Add(amount_of(content)?),
            _ => return Err(Malformed.into()),
        };
        Ok(Write { key: key.as_key()?.to_owned(), action })
    };
    parts.chunks(4).map(write).collect()
}

fn amount_of(value: &Value<'_>) -> Result<i64, Completion> {
    let text = value.as_str()?;
    text.parse().map_err(|_| Completion::type_error(format!("{text} is no whole number of 64 bits")))
}

fn revision_of(value: &Value<'_>) -> Result<u64, Malformed> {
    let revision = value.as_f64()?;
    if revision >= 0.0 { Ok(revision as u64) } else { Err(Malformed) }
}
