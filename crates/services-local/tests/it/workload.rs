//! Writers whose every operation follows from its number, so that whoever knows which were
//! acknowledged knows what the disk must hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{AppName, Body, ResourceName, TenantName};
use bytes::Bytes;
use services::{Action, Condition, Kv, KvNamespace, PutOptions, Transaction, Write};
use services_local::LocalKv;

/// Keys of one writer.
const KEYS: u64 = 7;
/// Of thirteen operations this one is a transaction.
const TRANSACTION: u64 = 9;

pub fn namespace() -> KvNamespace {
    KvNamespace::new(
        TenantName::parse("acme").expect("a name"),
        AppName::parse("shop").expect("a name"),
        ResourceName::parse("stock").expect("a name"),
    )
}

/// One writer: it does operation 0, 1, 2 … and begins none before the last was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Writer {
    pub round: u64,
    pub number: u64,
}

impl Writer {
    fn key(self, operation: u64) -> String {
        format!("{}/{}/{}", self.round, self.number, (operation * 5 + operation / 9) % KEYS)
    }

    /// The key that a transaction writes with the other, or neither.
    fn pair(self) -> String {
        format!("{}/{}/pair", self.round, self.number)
    }

    /// What an operation leaves under its key: nothing after a deletion. Sizes lie on both sides
    /// of what a row holds, most are small.
    fn value(self, operation: u64) -> Option<Bytes> {
        let length = match operation % 13 {
            12 => return None,
            6 => 70_000,
            TRANSACTION if operation % 2 == 0 => 70_000,
            3 => 20_000,
            _ => 100,
        };
        let mut value = format!("{}/{}/{operation} ", self.round, self.number).into_bytes();
        value.resize(length, b'a' + (operation % 26) as u8);
        Some(value.into())
    }

    pub async fn run(self, kv: &LocalKv, operation: u64) -> Result<(), services::KvError> {
        let (ns, key) = (namespace(), self.key(operation));
        match self.value(operation) {
            Some(value) if operation % 13 == TRANSACTION => {
                let put = |key| Write {
                    key,
                    action: Action::Put { value: value.clone(), metadata: None, expires_at_ms: None },
                };
                let writes = vec![put(key), put(self.pair())];
                kv.commit(&ns, Transaction { checks: Vec::new(), writes }).await.map(drop)
            }
            Some(value) => kv.put(&ns, &key, Body::full(value), PutOptions::default()).await.map(drop),
            None => kv.delete(&ns, &key, Condition::Always).await.map(drop),
        }
    }

    /// What each key holds after so many operations.
    fn state(self, operations: u64) -> BTreeMap<String, Option<Bytes>> {
        let mut state: BTreeMap<String, Option<Bytes>> = BTreeMap::new();
        let keys = (0..KEYS * 9).map(|operation| (self.key(operation), None));
        state.extend(keys.chain([(self.pair(), None)]));
        for operation in 0..operations {
            state.insert(self.key(operation), self.value(operation));
            if operation % 13 == TRANSACTION {
                state.insert(self.pair(), self.value(operation));
            }
        }
        state
    }

    /// Checks that the keys are as after `acknowledged` operations, or one more: the one that was
    /// under way may or may not have happened. Answers how many operations there were.
    pub async fn check(self, kv: &Arc<LocalKv>, acknowledged: u64) -> Result<u64, String> {
        let mut found = BTreeMap::new();
        for key in self.state(0).into_keys() {
            let value = match kv.get(&namespace(), &key).await.map_err(|error| format!("get {key}: {error:?}"))? {
                Some(entry) => Some(entry.bytes().await.map_err(|error| format!("read {key}: {error:?}"))?),
                None => None,
            };
            found.insert(key, value);
        }
        let happened = [acknowledged, acknowledged + 1].into_iter().find(|&n| self.state(n) == found);
        happened.ok_or_else(|| {
            let brief = |state: &BTreeMap<String, Option<Bytes>>| -> Vec<String> {
                let text = |bytes: &Bytes| String::from_utf8_lossy(&bytes[..bytes.len().min(20)]).into_owned();
                state.iter().map(|(key, value)| format!("{key}={:?}", value.as_ref().map(text))).collect()
            };
            let expected = brief(&self.state(acknowledged));
            format!("{self:?} acknowledged {acknowledged}: expected {expected:?}, found {:?}", brief(&found))
        })
    }
}

/// The acknowledgements in what a child wrote: how many operations of each writer.
#[derive(Default)]
pub struct Acknowledged(pub BTreeMap<Writer, u64>);

impl Acknowledged {
    pub fn of(lines: &[&str]) -> Self {
        let mut acknowledged = Self::default();
        for line in lines {
            acknowledged.read(line);
        }
        acknowledged
    }

    /// Reads a line such as `ack ROUND NUMBER OPERATION`; others are the test harness's own.
    pub fn read(&mut self, line: &str) -> bool {
        let Some(rest) = line.strip_prefix("ack ") else { return false };
        let mut numbers = rest.split(' ').map(|number| number.parse::<u64>().expect("a number"));
        let mut next = || numbers.next().expect("three numbers");
        let (writer, operation) = (Writer { round: next(), number: next() }, next());
        let count = self.0.entry(writer).or_default();
        assert_eq!(*count, operation, "a writer goes step by step");
        *count += 1;
        true
    }
}
