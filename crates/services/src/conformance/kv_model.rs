//! Random sequences of KV operations, compared with the memory model.

use std::collections::HashMap;

use base::Body;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::kv::namespace;
use super::{Subject, block_on, random};
use crate::memory::MemoryKv;
use crate::{
    Action, ChangeKind, ChangesOptions, Check, Condition, Kv, KvError, KvLimits, KvNamespace, ListOptions, PutOptions,
    Transaction, Write,
};

#[derive(Clone, Debug)]
enum Op {
    Put {
        place: Place,
        size: usize,
        ttl_ms: Option<u64>,
        metadata: bool,
        condition: Wanted,
    },
    Delete {
        place: Place,
        condition: Wanted,
    },
    Get(Place),
    GetMany(Vec<Place>),
    List {
        namespace: usize,
        prefix: &'static str,
        limit: usize,
    },
    /// Keys by their numbers; no key is written twice.
    Commit {
        namespace: usize,
        checks: Vec<(usize, Wanted)>,
        writes: Vec<(usize, Change)>,
    },
    Feed {
        namespace: usize,
        prefix: &'static str,
    },
    Advance(u64),
}

/// A write of a transaction.
#[derive(Clone, Copy, Debug)]
enum Change {
    Put { size: usize, ttl_ms: Option<u64> },
    Delete,
    Add(i64),
}

/// A key in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    namespace: usize,
    key: usize,
}

/// A condition in words, for the two sides number their revisions differently.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    Always,
    Absent,
    Present,
    Latest,
    First,
}

const KEYS: [&str; 6] = ["a", "a/1", "a/2", "b", "ä", "a/\u{10000}"];
const PREFIXES: [&str; 5] = ["", "a", "a/", "ä", "x"];

pub fn compare<P: Kv>(open: impl Fn() -> Subject<P>) {
    random("KV", op(), |ops| block_on(run(&open(), ops)));
}

fn op() -> impl Strategy<Value = Op> {
    let place = || (0..2usize, 0..KEYS.len()).prop_map(|(namespace, key)| Place { namespace, key });
    let wanted = || {
        prop_oneof![
            4 => Just(Wanted::Always),
            1 => Just(Wanted::Absent),
            1 => Just(Wanted::Present),
            2 => Just(Wanted::Latest),
            1 => Just(Wanted::First)
        ]
    };
    let size = prop_oneof![4 => 0..100usize, 1 => 65_530..65_540usize, 1 => 100_000..150_000usize];
    let ttl = || proptest::option::weighted(0.3, 1..500u64);
    let change = prop_oneof![
        2 => (prop_oneof![4 => 0..100usize, 1 => 65_530..65_540usize], ttl())
            .prop_map(|(size, ttl_ms)| Change::Put { size, ttl_ms }),
        1 => Just(Change::Delete),
        2 => (-5..5i64).prop_map(Change::Add),
    ];
    let writes = vec((0..KEYS.len(), change), 0..4).prop_map(|mut writes| {
        let mut seen = [false; KEYS.len()];
        writes.retain(|&(key, _)| !std::mem::replace(&mut seen[key], true));
        writes
    });
    prop_oneof![
        6 => (place(), size, ttl(), any::<bool>(), wanted()).prop_map(|(place, size, ttl_ms, metadata, condition)| {
            Op::Put { place, size, ttl_ms, metadata, condition }
        }),
        2 => (place(), wanted()).prop_map(|(place, condition)| Op::Delete { place, condition }),
        2 => place().prop_map(Op::Get),
        1 => vec(place(), 0..5).prop_map(Op::GetMany),
        2 => (0..2usize, 0..PREFIXES.len(), 1..4usize)
            .prop_map(|(namespace, prefix, limit)| Op::List { namespace, prefix: PREFIXES[prefix], limit }),
        3 => (0..2usize, vec((0..KEYS.len(), wanted()), 0..3), writes)
            .prop_map(|(namespace, checks, writes)| Op::Commit { namespace, checks, writes }),
        1 => (0..2usize, 0..PREFIXES.len())
            .prop_map(|(namespace, prefix)| Op::Feed { namespace, prefix: PREFIXES[prefix] }),
        1 => (1..300u64).prop_map(Op::Advance),
    ]
}

/// One side of the comparison: a provider, and the revisions that it gave to each key.
struct Side<'a, K> {
    kv: &'a K,
    revisions: HashMap<Place, Vec<u64>>,
}

/// What an operation showed, with revisions as places in the key's history.
#[derive(Debug, PartialEq)]
enum Seen {
    Put(usize),
    Delete(bool),
    Entries(Vec<Option<Entry>>),
    Page(Vec<(String, Option<u64>, Option<String>)>),
    Committed(Vec<i64>),
    Told(Vec<(String, &'static str)>),
    Conflict(Option<usize>),
    Refused(&'static str),
}

#[derive(Debug, PartialEq)]
struct Entry {
    value: bytes::Bytes,
    metadata: Option<String>,
    expires_at_ms: Option<u64>,
    revision: usize,
}

fn namespaces() -> [KvNamespace; 2] {
    [namespace("shop", "carts"), namespace("shop", "users")]
}

impl<K: Kv> Side<'_, K> {
    fn condition(&self, place: Place, wanted: Wanted) -> Condition {
        let known = self.revisions.get(&place);
        match wanted {
            Wanted::Always => Condition::Always,
            Wanted::Absent => Condition::Absent,
            Wanted::Present => Condition::Present,
            Wanted::Latest => Condition::Revision(known.and_then(|all| all.last().copied()).unwrap_or(u64::MAX >> 1)),
            Wanted::First => Condition::Revision(known.and_then(|all| all.first().copied()).unwrap_or(u64::MAX >> 1)),
        }
    }

    fn index(&self, place: Place, revision: u64) -> usize {
        let known = self.revisions.get(&place).and_then(|all| all.iter().position(|&given| given == revision));
        known.expect("a revision was given to this key before")
    }

    fn refused(&self, place: Place, error: KvError) -> Seen {
        match error {
            KvError::CheckFailed { key, current } => {
                let key = KEYS.iter().position(|known| *known == key).expect("a key of the transaction");
                Seen::Conflict(current.map(|revision| self.index(Place { key, ..place }, revision)))
            }
            KvError::Conflict { current } => Seen::Conflict(current.map(|revision| self.index(place, revision))),
            other => Seen::Refused(other.code().name),
        }
    }

    async fn run(&mut self, op: &Op, n: usize, now_ms: u64) -> Seen {
        let all = namespaces();
        match op {
            Op::Put { place, size, ttl_ms, metadata, condition } => {
                let options = PutOptions {
                    expires_at_ms: ttl_ms.map(|ttl| now_ms + ttl),
                    metadata: metadata.then(|| format!("{{\"n\":{n}}}")),
                    condition: self.condition(*place, *condition),
                };
                let value = Body::full(vec![n as u8; *size]);
                match self.kv.put(&all[place.namespace], KEYS[place.key], value, options).await {
                    Ok(receipt) => {
                        let given = self.revisions.entry(*place).or_default();
                        assert!(given.last().is_none_or(|&last| last < receipt.revision), "revisions rise");
                        given.push(receipt.revision);
                        Seen::Put(given.len())
                    }
                    Err(error) => self.refused(*place, error),
                }
            }
            Op::Delete { place, condition } => {
                let condition = self.condition(*place, *condition);
                match self.kv.delete(&all[place.namespace], KEYS[place.key], condition).await {
                    Ok(receipt) => Seen::Delete(receipt.existed),
                    Err(error) => self.refused(*place, error),
                }
            }
            Op::Get(place) => {
                let entry = self.kv.get(&all[place.namespace], KEYS[place.key]).await.expect("get");
                Seen::Entries(vec![self.entry(*place, entry).await])
            }
            Op::GetMany(places) => {
                let namespace = &all[places.first().map_or(0, |place| place.namespace)];
                let keys: Vec<String> = places.iter().map(|place| KEYS[place.key].to_owned()).collect();
                let found = self.kv.get_many(namespace, &keys).await.expect("get_many");
                let mut entries = Vec::new();
                for (place, entry) in places.iter().zip(found) {
                    let place = Place { namespace: places[0].namespace, ..*place };
                    entries.push(self.entry(place, entry).await);
                }
                Seen::Entries(entries)
            }
            Op::Commit { namespace, checks, writes } => self.commit(*namespace, checks, writes, n, now_ms).await,
            Op::Feed { namespace, prefix } => {
                let options = ChangesOptions { prefix: (*prefix).into(), since: Some(0), wait: false };
                let page = self.kv.changes(&all[*namespace], options).await.expect("changes");
                // When an expiry is told differs.
                let told = page.changes.into_iter().filter(|change| change.kind != ChangeKind::Expire);
                Seen::Told(told.map(|change| (change.key, change.kind.as_str())).collect())
            }
            Op::List { namespace, prefix, limit } => Seen::Page(self.list(&all[*namespace], prefix, *limit).await),
            Op::Advance(_) => Seen::Page(Vec::new()),
        }
    }

    async fn commit(
        &mut self,
        namespace: usize,
        checks: &[(usize, Wanted)],
        writes: &[(usize, Change)],
        n: usize,
        now_ms: u64,
    ) -> Seen {
        let place = |key| Place { namespace, key };
        let check = |&(key, wanted): &(usize, Wanted)| Check {
            key: KEYS[key].into(),
            condition: self.condition(place(key), wanted),
        };
        let write = |&(key, change): &(usize, Change)| {
            let action = match change {
                Change::Put { size, ttl_ms } => Action::Put {
                    value: vec![n as u8; size].into(),
                    metadata: None,
                    expires_at_ms: ttl_ms.map(|ttl| now_ms + ttl),
                },
                Change::Delete => Action::Delete,
                Change::Add(amount) => Action::Add(amount),
            };
            Write { key: KEYS[key].into(), action }
        };
        let transaction =
            Transaction { checks: checks.iter().map(check).collect(), writes: writes.iter().map(write).collect() };
        match self.kv.commit(&namespaces()[namespace], transaction).await {
            Ok(receipt) => {
                for &(key, _) in writes.iter().filter(|(_, change)| !matches!(change, Change::Delete)) {
                    let given = self.revisions.entry(place(key)).or_default();
                    assert!(given.last().is_none_or(|&last| last < receipt.revision), "revisions rise");
                    given.push(receipt.revision);
                }
                Seen::Committed(receipt.sums)
            }
            Err(error) => self.refused(place(0), error),
        }
    }

    async fn entry(&self, place: Place, entry: Option<crate::KvEntry>) -> Option<Entry> {
        let entry = entry?;
        Some(Entry {
            metadata: entry.metadata.clone(),
            expires_at_ms: entry.expires_at_ms,
            revision: self.index(place, entry.revision),
            value: entry.bytes().await.expect("the value"),
        })
    }

    async fn list(&self, ns: &KvNamespace, prefix: &str, limit: usize) -> Vec<(String, Option<u64>, Option<String>)> {
        let mut found = Vec::new();
        let mut options = ListOptions { prefix: prefix.into(), limit: Some(limit), ..ListOptions::default() };
        loop {
            let page = self.kv.list(ns, options.clone()).await.expect("list");
            found.extend(page.keys.into_iter().map(|key| (key.name, key.expires_at_ms, key.metadata)));
            match page.cursor {
                Some(cursor) => options.cursor = Some(cursor),
                None => return found,
            }
        }
    }
}

async fn run<P: Kv>(subject: &Subject<P>, ops: Vec<Op>) -> Result<(), TestCaseError> {
    let model = MemoryKv::new(subject.clock.clone(), KvLimits::default());
    let mut expected = Side { kv: &model, revisions: HashMap::new() };
    let mut found = Side { kv: &*subject.provider, revisions: HashMap::new() };
    for (n, op) in ops.iter().enumerate() {
        if let Op::Advance(ms) = op {
            (subject.advance)(*ms);
        }
        let now_ms = subject.clock.unix_ms();
        let (expected, found) = (expected.run(op, n, now_ms).await, found.run(op, n, now_ms).await);
        prop_assert_eq!(found, expected, "operation {}: {:?}", n, op);
    }
    Ok(())
}
