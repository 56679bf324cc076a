//! Storage of a durable object: turns that read and write entries, a table and the alarm, whose
//! answers wait for their ticket, while the object moves from owner to owner.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use base::{AppName, ClassName, TenantName};
use serde::{Deserialize, Serialize};
use services::object::{
    Alarm, Lease, Leases as _, ListOptions, ObjectClass, ObjectKey, ObjectStorage, ObjectStore as _, Ticket,
};
use services::{AppId, SqlStatement, SqlValue};
use services_local::{DataDir, LocalObjects};
use testkit::linear::Model;

use super::{Subject, below};
use crate::child::Job;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Op {
    Read,
    Put {
        key: String,
        value: String,
    },
    Delete {
        key: String,
    },
    /// Reads a number and writes the next, as JavaScript would.
    Add {
        by: i64,
    },
    /// In the object's own database.
    AddSql {
        by: i64,
    },
    /// Writes, takes that back alone, writes something else, and sets the alarm.
    Part {
        value: String,
        due_ms: u64,
    },
    /// A turn that fails in its middle.
    Fail {
        value: String,
    },
    /// Closes the object and opens it for its next owner.
    Move,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub enum Seen {
    All(State),
    Existed(bool),
    Sum(i64),
    Done,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct State {
    entries: BTreeMap<String, String>,
    rows: i64,
    due_ms: Option<u64>,
}

pub struct Object;

impl Model for Object {
    type State = State;
    type Op = Op;
    type Seen = Seen;

    fn start(&self) -> State {
        State::default()
    }

    fn step(&self, before: &State, op: &Op, seen: Option<&Seen>) -> Option<State> {
        let mut after = before.clone();
        let shown = match op {
            Op::Read => Seen::All(before.clone()),
            Op::Move | Op::Fail { .. } => Seen::Done,
            Op::Put { key, value } => {
                after.entries.insert(key.clone(), value.clone());
                Seen::Done
            }
            Op::Delete { key } => Seen::Existed(after.entries.remove(key).is_some()),
            Op::Add { by } => {
                let sum = before.entries.get("n").map_or(0, |n| n.parse().unwrap_or(0)) + by;
                after.entries.insert("n".into(), sum.to_string());
                Seen::Sum(sum)
            }
            Op::AddSql { by } => {
                after.rows += by;
                Seen::Sum(after.rows)
            }
            Op::Part { value, due_ms } => {
                after.entries.insert("b".into(), value.clone());
                after.due_ms = Some(*due_ms);
                Seen::Done
            }
        };
        seen.is_none_or(|seen| *seen == shown).then_some(after)
    }
}

fn key(history: u64) -> ObjectKey {
    let app = AppId::new(TenantName::parse("acme").expect("a name"), AppName::parse("shop").expect("a name"));
    let class = ObjectClass::new(app, ClassName::parse("Counter").expect("a name"));
    ObjectKey { id: class.id_of_name(&format!("h-{history}")), class }
}

/// An object with its owner.
struct Owned {
    storage: Box<dyn ObjectStorage>,
    /// Of the last turn: who read waits for what it may have read.
    last: Ticket,
    _lease: Lease,
}

pub struct Objects {
    objects: Arc<LocalObjects>,
    owned: Mutex<HashMap<u64, Arc<tokio::sync::Mutex<Option<Owned>>>>>,
}

impl Objects {
    fn place(&self, history: u64) -> Arc<tokio::sync::Mutex<Option<Owned>>> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner).entry(history).or_default().clone()
    }

    async fn own(&self, history: u64) -> Owned {
        let key = key(history);
        let lease = self.objects.acquire(&key).await.expect("it is free");
        let storage = self.objects.open(&key, lease.fence).await.expect("it opens");
        Owned { storage, last: Ticket::durable(), _lease: lease }
    }
}

fn sql(storage: &mut dyn ObjectStorage, text: &str, values: Vec<SqlValue>) -> Option<i64> {
    let answer = storage.sql(&SqlStatement::bind(text, values)).expect("the statement runs");
    match answer.rows.values[..] {
        [] => None,
        [SqlValue::Integer(number)] => Some(number),
        ref other => panic!("{other:?}"),
    }
}

fn number(storage: &mut dyn ObjectStorage) -> i64 {
    let value = storage.get(&["n"]).expect("get").remove(0);
    value.map_or(0, |value| String::from_utf8_lossy(&value).parse().expect("a number"))
}

fn turn(storage: &mut dyn ObjectStorage, op: &Op) -> Seen {
    match op {
        Op::Read => {
            let text = |(key, value): (String, bytes::Bytes)| (key, String::from_utf8_lossy(&value).into_owned());
            let entries = storage.list(&ListOptions::default()).expect("list").into_iter().map(text).collect();
            let rows = sql(storage, "SELECT n FROM c", Vec::new()).expect("a row");
            Seen::All(State { entries, rows, due_ms: storage.alarm().expect("alarm").map(|alarm| alarm.due_ms) })
        }
        Op::Put { key, value } => {
            storage.put(key, value.as_bytes()).expect("put");
            Seen::Done
        }
        Op::Delete { key } => Seen::Existed(storage.delete(key).expect("delete")),
        Op::Add { by } => {
            let sum = number(storage) + by;
            storage.put("n", sum.to_string().as_bytes()).expect("put");
            Seen::Sum(sum)
        }
        Op::AddSql { by } => {
            let text = "UPDATE c SET n = n + ? RETURNING n";
            Seen::Sum(sql(storage, text, vec![SqlValue::Integer(*by)]).expect("a row"))
        }
        Op::Part { value, due_ms } => {
            storage.begin().expect("begin");
            storage.put("a", b"undone").expect("put");
            sql(storage, "UPDATE c SET n = -1", Vec::new());
            storage.end(false).expect("end");
            storage.put("b", value.as_bytes()).expect("put");
            storage.set_alarm(Some(Alarm::at(*due_ms))).expect("set");
            Seen::Done
        }
        Op::Fail { value } => {
            storage.put("a", value.as_bytes()).expect("put");
            sql(storage, "UPDATE c SET n = -2", Vec::new());
            storage.roll_back();
            Seen::Done
        }
        Op::Move => Seen::Done,
    }
}

impl Subject for Object {
    type Store = Objects;
    type Known = ();

    const JOB: Job = Job::ObjectHistories;
    const LOOK: Op = Op::Read;

    fn model() -> Self {
        Self
    }

    fn open(data: &DataDir) -> Arc<Objects> {
        let objects = data.objects().expect("their directory is made");
        Arc::new(Objects { objects, owned: Mutex::default() })
    }

    async fn prepare(store: &Objects, history: u64) {
        let place = store.place(history);
        let mut place = place.lock().await;
        let mut owned = store.own(history).await;
        let text = "CREATE TABLE IF NOT EXISTS c (n); INSERT INTO c SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM c)";
        sql(&mut *owned.storage, text, Vec::new());
        if let Some(ticket) = owned.storage.commit().expect("a commit") {
            ticket.await.expect("durable");
        }
        *place = Some(owned);
    }

    fn choose((): &(), value: &str) -> Op {
        let (value, by) = (value.to_owned(), below(9) as i64 - 4);
        let key = ["a", "b"][below(2) as usize].to_owned();
        match below(12) {
            0..3 => Op::Read,
            3 | 4 => Op::Put { key, value },
            5 => Op::Delete { key },
            6 | 7 => Op::Add { by },
            8 => Op::AddSql { by },
            9 => Op::Part { value, due_ms: below(1_000) + 1 },
            10 => Op::Fail { value },
            _ => Op::Move,
        }
    }

    async fn perform(store: &Objects, history: u64, op: &Op) -> Seen {
        let place = store.place(history);
        let mut place = place.lock().await;
        if let Op::Move = op {
            // What it had not flushed yet is the next owner's to wait for.
            let last = place.take().expect("it is owned").last;
            *place = Some(Owned { last, ..store.own(history).await });
            return Seen::Done;
        }
        let owned = place.as_mut().expect("it is owned");
        let seen = turn(&mut *owned.storage, op);
        if let Some(ticket) = owned.storage.commit().expect("a commit") {
            owned.last = ticket;
        }
        // The next turn begins; this one's answer waits.
        let last = owned.last.clone();
        drop(place);
        last.await.expect("durable");
        seen
    }

    fn note((): &mut (), _: &Op, _: &Seen) {}
}
