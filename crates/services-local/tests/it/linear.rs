//! Linearizability under crashes: clients that read, write, compare and set, count and transact on
//! a few keys, in processes that are killed; every history has an order that explains it.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::sync::Arc;

use base::{AppName, Body, ResourceName, Rng as _, SystemRng, TenantName};
use serde::{Deserialize, Serialize};
use services::{Action, Check, Condition, Kv, KvError, KvNamespace, PutOptions, Transaction, Write};
use services_local::LocalKv;
use testkit::linear::{self, History, Model};

use crate::child::{self, Job, say};
use crate::{Place, block_on};

/// Histories in an ordinary run; `SELVEDGE_LINEAR_HISTORIES` asks for more.
const HISTORIES: u64 = 300;
/// Histories that one process writes at the same time.
const AT_ONCE: u64 = 50;
const CLIENTS: u64 = 4;
/// Operations of one client in one life of the process.
const OPS: u64 = 6;
/// Lives of the process; all but the last end with a kill.
const LIVES: u64 = 3;
const KEYS: [&str; 3] = ["a", "b", "n"];

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Op {
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
enum When {
    Always,
    Absent,
    Present,
    Revision(u64),
}

#[derive(Debug, Serialize, Deserialize)]
enum Seen {
    Entries(Vec<Option<(String, u64)>>),
    Written { revision: u64, sum: Option<i64> },
    Deleted { existed: bool },
    Conflict { current: Option<u64> },
}

/// A namespace: values with their revisions, which are known once somebody saw them.
struct Namespace;

type Entry = (String, Option<u64>);
type State = BTreeMap<usize, Entry>;

impl Model for Namespace {
    type State = State;
    type Op = Op;
    type Seen = Seen;

    fn start(&self) -> State {
        State::new()
    }

    fn step(&self, state: &State, op: &Op, seen: Option<&Seen>) -> Option<State> {
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
fn read(state: &State, seen: Option<&Seen>) -> Option<State> {
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

fn add(state: &mut State, by: i64, revision: Option<u64>) -> Option<Option<i64>> {
    let sum = state.get(&2).map_or(0, |(value, _)| value.parse().unwrap_or(0)) + by;
    state.insert(2, (sum.to_string(), revision));
    Some(Some(sum))
}

/// A write under a condition on one key: it happens and shows so, or the condition fails.
fn write(
    state: &State,
    key: usize,
    when: When,
    seen: Option<&Seen>,
    make: impl Fn(&mut State, Option<u64>, Option<&Seen>) -> Option<Option<i64>>,
) -> Option<State> {
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

/// One client of one history, in the child.
async fn client(kv: Arc<LocalKv>, history: u64, client: u64, life: u64) {
    let ns = namespace(history);
    let mut known: HashMap<usize, u64> = HashMap::new();
    for n in 0..OPS {
        let op = choose(&known, &format!("{life}-{client}-{n}"));
        say(&format!("begin {history} {client} {}", serde_json::to_string(&op).expect("JSON")));
        let seen = perform(&kv, &ns, &op).await;
        say(&format!("end {history} {client} {}", serde_json::to_string(&seen).expect("JSON")));
        match (&op, &seen) {
            (_, Seen::Entries(entries)) => {
                let there = entries.iter().enumerate().filter_map(|(key, entry)| Some((key, entry.as_ref()?.1)));
                known = there.collect();
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
}

fn choose(known: &HashMap<usize, u64>, value: &str) -> Op {
    let below = |count: u64| SystemRng.next_u64() % count;
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

/// The child: all clients of some histories, to their end.
pub async fn write_histories(kv: &Arc<LocalKv>, round: u64) {
    let (first, life) = (round / LIVES * AT_ONCE, round % LIVES);
    let all = (first..first + AT_ONCE).flat_map(|history| (0..CLIENTS).map(move |number| (history, number)));
    let tasks: Vec<_> = all.map(|(history, number)| tokio::spawn(client(kv.clone(), history, number, life))).collect();
    for task in tasks {
        task.await.expect("the client ends well");
    }
    say("done");
}

type Histories = HashMap<u64, History<Op, Seen>>;

/// Lets a child write, kills it unless this is its last life, and enters what it said.
fn live(place: &Path, round: u64, histories: &mut Histories) {
    let mut child = child::command(&[], Job::Histories, place, round).spawn().expect("the child starts");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let last_life = round % LIVES == LIVES - 1;
    let mut left = SystemRng.next_u64() % (AT_ONCE * CLIENTS * OPS);
    // Whom a client of this life waits for; what a killed one began has no end.
    let mut open: HashMap<(u64, u64), usize> = HashMap::new();
    for line in lines {
        let mut words = line.splitn(4, ' ');
        let (word, mut number) = (words.next().unwrap_or_default(), || words.next()?.parse::<u64>().ok());
        let (Some(history), Some(client)) = (number(), number()) else { continue };
        let rest = line.splitn(4, ' ').nth(3).expect("what it did");
        let entered = histories.entry(history).or_default();
        match word {
            "begin" => {
                let op = serde_json::from_str(rest).expect("an operation");
                open.insert((history, client), entered.begin(client, op));
            }
            "end" => {
                let begun = open.remove(&(history, client)).expect("it began");
                entered.end(begun, serde_json::from_str(rest).expect("what it saw"));
                left = left.saturating_sub(1);
                if left == 0 && !last_life {
                    child.kill().expect("the child can be killed");
                }
            }
            _ => {}
        }
    }
    child.wait().expect("the child ends");
}

#[test]
fn every_history_has_an_order_whatever_dies() {
    let wanted = std::env::var("SELVEDGE_LINEAR_HISTORIES").map_or(HISTORIES, |text| text.parse().expect("a number"));
    let place = Place::in_memory();
    let (mut checked, mut operations, mut lost) = (0, 0, 0);
    for batch in 0..wanted.div_ceil(AT_ONCE) {
        let mut histories = Histories::new();
        for life in 0..LIVES {
            live(place.path(), batch * LIVES + life, &mut histories);
        }
        let kv = place.open().kv();
        for (number, mut history) in histories {
            let read = history.begin(CLIENTS, Op::Read);
            history.end(read, block_on(perform(&kv, &namespace(number), &Op::Read)));
            if let Err(violation) = linear::check(&Namespace, history.calls()) {
                panic!("history {number}: {violation}");
            }
            checked += 1;
            operations += history.calls().len();
            lost += history.calls().iter().filter(|call| call.ended.is_none()).count();
        }
    }
    eprintln!("{checked} histories of {operations} operations, {lost} of them without an answer; all have an order");
}
