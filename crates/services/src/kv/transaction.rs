//! Transactions: several keys of one namespace, checked and written at one moment.
//!
//! They are for what two keys must agree on: a document and its index, the two sides of a transfer.
//! There is no read inside of one, so nobody ever holds a lock while code runs: who needs to read
//! first reads, and checks in the transaction that the revisions are still those.

use std::collections::HashSet;

use bytes::Bytes;

use super::{Condition, KvError, KvLimits, PutOptions};
use crate::Durability;

/// What must be true, and what is then written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    pub checks: Vec<Check>,
    /// No key twice, so that their order never matters.
    pub writes: Vec<Write>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub key: String,
    pub condition: Condition,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub key: String,
    pub action: Action,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// In place of what was there.
    Put {
        value: Bytes,
        metadata: Option<String>,
        expires_at_ms: Option<u64>,
    },
    Delete,
    /// Adds to a counter; metadata and expiry stay. A missing key counts as 0.
    Add(i64),
}

impl Transaction {
    /// One addition, without a condition.
    pub fn add(key: impl Into<String>, amount: i64) -> Self {
        Self { checks: Vec::new(), writes: vec![Write { key: key.into(), action: Action::Add(amount) }] }
    }

    /// What it holds: keys, values and metadata.
    pub fn bytes(&self) -> usize {
        let checks = self.checks.iter().map(|check| check.key.len());
        let writes = self.writes.iter().map(|write| write.key.len() + write.action.bytes());
        checks.chain(writes).sum()
    }
}

impl Action {
    fn bytes(&self) -> usize {
        match self {
            Action::Put { value, metadata, .. } => value.len() + metadata.as_ref().map_or(0, String::len),
            Action::Delete | Action::Add(_) => 0,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitReceipt {
    /// The revision of every key that was written. A transaction that wrote nothing answers the
    /// latest revision of the app.
    pub revision: u64,
    pub durability: Durability,
    /// What the counters hold now, in the order of the additions.
    pub sums: Vec<i64>,
}

/// The counter after an addition. A counter is a value like any other: a whole number in decimal,
/// as `get` shows it.
pub fn sum(key: &str, current: Option<&[u8]>, amount: i64) -> Result<i64, KvError> {
    let current = match current {
        None => 0,
        Some(value) => parse(value).ok_or_else(|| KvError::NotACounter(key.into()))?,
    };
    current.checked_add(amount).ok_or_else(|| KvError::CounterOverflow(key.into()))
}

/// Only what an addition writes itself, so that no two texts mean the same number.
fn parse(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// The checks that every provider makes.
impl KvLimits {
    pub fn check_transaction(&self, transaction: &Transaction, now_ms: u64) -> Result<(), KvError> {
        let (keys, keys_max) = (transaction.checks.len() + transaction.writes.len(), self.transaction_keys);
        if keys > keys_max {
            let (name, found, max) = ("transaction_keys", keys as u64, keys_max as u64);
            return Err(KvError::TransactionTooLarge { name, found, max });
        }
        let (bytes, bytes_max) = (transaction.bytes(), self.transaction_bytes);
        if bytes > bytes_max {
            let (name, found, max) = ("transaction_bytes", bytes as u64, bytes_max as u64);
            return Err(KvError::TransactionTooLarge { name, found, max });
        }
        transaction.checks.iter().try_for_each(|check| self.check_key(&check.key))?;
        let mut written = HashSet::new();
        for Write { key, action } in &transaction.writes {
            self.check_key(key)?;
            if !written.insert(key) {
                return Err(KvError::KeyTwice(key.clone()));
            }
            if let Action::Put { value, metadata, expires_at_ms } = action {
                if value.len() > self.value_bytes {
                    return Err(KvError::ValueTooLarge { bytes_max: self.value_bytes });
                }
                let options = PutOptions {
                    metadata: metadata.clone(),
                    expires_at_ms: *expires_at_ms,
                    condition: Condition::Always,
                };
                self.check_put(key, &options, now_ms)?;
            }
        }
        Ok(())
    }
}
