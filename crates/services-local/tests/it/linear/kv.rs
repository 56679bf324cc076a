//! KV: clients that read, write, compare and set, count and transact on a few keys.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use base::{AppName, Body, ResourceName, TenantName};
use serde::{Deserialize, Serialize};
use services::{Action, Check, Condition, Kv, KvError, KvNamespace, PutOptions, Transaction, Write};
use services_local::{DataDir, LocalKv};
use testkit::linear::Model;

use super::{Subject, below};
use crate::child::Job;

const KEYS: [&str; 3] = ["a", "b", "n"];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Op {
    /// All keys as one view.
    Read,
    Put {
        key: usize,
        value: String,
        when: When,
    },
    Delete {
        key: usize,
        when: When,
    },
    Add {
        by: i64,
    },
    /// If `a` is so, puts `b` and counts.
    Transact {
        when: When,
        value: String,
        by: i64,
    },
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum When {
    Always,
    Absent,
    Present,
    Revision(u64),
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Seen {
    Entries(Vec<Option<(String, u64)>>),
    Written { revision: u64, sum: Option<i64> },
    Deleted { existed: bool },
    Conflict { current: Option<u64> },
}

/// A namespace: values with their revisions, which are known once somebody saw them.
pub struct Namespace;

type Entry = (String, Option<u64>);
type Entries = BTreeMap<usize, Entry>;

impl Model for Namespace {
    type State = Entries;
    type Op = Op;
    type Seen = Seen;

    fn start(&self) -> Entries {
        Entries::new()
    }

    fn step(&self, state: &Entries, op: &Op, seen: Option<&Seen>) -> Option<Entries> {
        match op {
            Op::Read => read(state, seen),
            Op::Put { key, value, when } => write(state, *key, *when, seen, |state, revision, _| {
                state.insert(*key, (value.clone(), revision));
                Some(None)
            }),
            Op::Add { by } => write(state, 2, When::Always, seen, |state, revision, _| add(state, *by, revision)),
            Op::Transact { when, value, by } => write(state, 0, *when, seen, |state, revision, _| {
                state.insert(1, (value.clone(), revision));
                add(state, *by, revision)
            }),
            Op::Delete { key, when } => write(state, *key, *when, seen, |state, _, seen| {
                let existed = state.remove(key).is_some();
                match seen {
                    Some(Seen::Deleted { existed: shown }) if *shown != existed => None,
                    _ => Some(None),
                }
            }),
        }
    }
}

/// What is seen must be there, and reveals revisions that nobody had seen.
fn read(state: &Entries, seen: Option<&Seen>) -> Option<Entries> {
    let Some(Seen::Entries(entries)) = seen else { return seen.is_none().then(|| state.clone()) };
    let mut after = state.clone();
    for (key, shown) in entries.iter().enumerate() {
        match (after.get_mut(&key), shown) {
            (None, None) => {}
            (Some((value, revision)), Some((shown, at))) if value == shown && revision.is_none_or(|r| r == *at) => {
                *revision = Some(*at);
            }
            _ => return None,
        }
    }
    Some(after)
}

fn add(state: &mut Entries, by: i64, revision: Option<u64>) -> Option<Option<i64>> {
    let sum = state.get(&2).map_or(0, |(value, _)| value.parse().unwrap_or(0)) + by;
    state.insert(2, (sum.to_string(), revision));
    Some(Some(sum))
}

/// A write under a condition on one key: it happens and shows so, or the condition fails.
fn write(
    state: &Entries,
    key: usize,
    when: When,
    seen: Option<&Seen>,
    make: impl Fn(&mut Entries, Option<u64>, Option<&Seen>) -> Option<Option<i64>>,
) -> Option<Entries> {
    let entry = state.get(&key);
    let holds = match when {
        When::Always => true,
        When::Absent => entry.is_none(),
        When::Present => entry.is_some(),
        When::Revision(wanted) => entry.is_some_and(|(_, revision)| *revision == Some(wanted)),
    };
    let mut after = state.clone();
    if !holds {
        return match (seen, after.get_mut(&key)) {
            (None, _) => Some(state.clone()),
            (Some(Seen::Conflict { current: None }), None) => Some(after),
            (Some(Seen::Conflict { current: Some(at) }), Some((_, revision))) if revision.is_none_or(|r| r == *at) => {
                *revision = Some(*at);
                Some(after)
            }
            _ => None,
        };
    }
    let (revision, shown) = match seen {
        None | Some(Seen::Deleted { .. }) => (None, None),
        Some(Seen::Written { revision, sum }) => (Some(*revision), Some(*sum)),
        Some(_) => return None,
    };
    let sum = make(&mut after, revision, seen)?;
    shown.is_none_or(|shown| shown == sum).then_some(after)
}

fn namespace(history: u64) -> KvNamespace {
    KvNamespace::new(
        TenantName::parse("acme").expect("a name"),
        AppName::parse("shop").expect("a name"),
        ResourceName::parse(&format!("h-{history}")).expect("a name"),
    )
}

impl Subject for Namespace {
    type Store = LocalKv;
    type Known = HashMap<usize, u64>;

    const JOB: Job = Job::KvHistories;
    const LOOK: Op = Op::Read;

    fn model() -> Self {
        Self
    }

    fn open(data: &DataDir) -> Arc<LocalKv> {
        data.kv()
    }

    async fn prepare(_: &LocalKv, _: u64) {}

    async fn perform(kv: &LocalKv, history: u64, op: &Op) -> Seen {
        perform(kv, &namespace(history), op).await
    }

    fn note(known: &mut Self::Known, op: &Op, seen: &Seen) {
        match (op, seen) {
            (_, Seen::Entries(entries)) => {
                let there = entries.iter().enumerate().filter_map(|(key, entry)| Some((key, entry.as_ref()?.1)));
                *known = there.collect();
            }
            (Op::Put { key, .. }, Seen::Written { revision, .. }) => {
                known.insert(*key, *revision);
            }
            (Op::Put { key, .. }, Seen::Conflict { current: Some(current) }) => {
                known.insert(*key, *current);
            }
            (Op::Transact { .. }, Seen::Conflict { current: Some(current) }) => {
                known.insert(0, *current);
            }
            _ => {}
        }
    }

    fn choose(known: &HashMap<usize, u64>, value: &str) -> Op {
        let key = below(2) as usize;
        let when = match below(6) {
            0 => When::Absent,
            1 => When::Present,
            2 | 3 => known.get(&key).map_or(When::Absent, |&revision| When::Revision(revision)),
            _ => When::Always,
        };
        let (value, by) = (value.to_owned(), below(9) as i64 - 4);
        match below(10) {
            0..3 => Op::Read,
            3..6 => Op::Put { key, value, when },
            6 => Op::Delete { key: below(3) as usize, when: When::Always },
            7 => Op::Add { by },
            _ => {
                let when = known.get(&0).map_or(when, |&revision| When::Revision(revision));
                Op::Transact { when, value, by }
            }
        }
    }
}

async fn perform(kv: &LocalKv, ns: &KvNamespace, op: &Op) -> Seen {
    let result = match op {
        Op::Read => {
            let found = kv.get_many(ns, &KEYS.map(String::from)).await.expect("a read");
            let mut entries = Vec::new();
            for entry in found {
                entries.push(match entry {
                    Some(entry) => {
                        let revision = entry.revision;
                        let value = entry.bytes().await.expect("the value");
                        Some((String::from_utf8(value.to_vec()).expect("text"), revision))
                    }
                    None => None,
                });
            }
            return Seen::Entries(entries);
        }
        Op::Put { key, value, when } => {
            let options = PutOptions { condition: condition(*when), ..PutOptions::default() };
            let receipt = kv.put(ns, KEYS[*key], Body::full(value.clone()), options).await;
            receipt.map(|receipt| Seen::Written { revision: receipt.revision, sum: None })
        }
        Op::Delete { key, when } => {
            let receipt = kv.delete(ns, KEYS[*key], condition(*when)).await;
            receipt.map(|receipt| Seen::Deleted { existed: receipt.existed })
        }
        Op::Add { by } => commit(kv, ns, Transaction::add(KEYS[2], *by)).await,
        Op::Transact { when, value, by } => {
            let put = Action::Put { value: value.clone().into(), metadata: None, expires_at_ms: None };
            let transaction = Transaction {
                checks: vec![Check { key: KEYS[0].into(), condition: condition(*when) }],
                writes: vec![
                    Write { key: KEYS[1].into(), action: put },
                    Write { key: KEYS[2].into(), action: Action::Add(*by) },
                ],
            };
            commit(kv, ns, transaction).await
        }
    };
    match result {
        Ok(seen) => seen,
        Err(KvError::Conflict { current } | KvError::CheckFailed { current, .. }) => Seen::Conflict { current },
        Err(error) => panic!("{op:?}: {error:?}"),
    }
}

async fn commit(kv: &LocalKv, ns: &KvNamespace, transaction: Transaction) -> Result<Seen, KvError> {
    let receipt = kv.commit(ns, transaction).await?;
    Ok(Seen::Written { revision: receipt.revision, sum: receipt.sums.first().copied() })
}

fn condition(when: When) -> Condition {
    match when {
        When::Always => Condition::Always,
        When::Absent => Condition::Absent,
        When::Present => Condition::Present,
        When::Revision(revision) => Condition::Revision(revision),
    }
}
