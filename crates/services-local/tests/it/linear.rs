//! Linearizability under crashes: clients that read and write a little state together, in processes
//! that are killed; every history has an order that explains it.
//!
//! What a service's clients do, and what they can see, is told by its [`Subject`]; how they live and
//! die is the same for all.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::sync::Arc;

use base::{Rng as _, SystemRng};
use serde::Serialize;
use serde::de::DeserializeOwned;
use services_local::DataDir;
use testkit::linear::{self, History, Model};

use crate::child::{self, Job, say};
use crate::{Place, block_on};

pub mod kv;
pub mod objects;
pub mod sql;

/// Histories in an ordinary run; `SELVEDGE_LINEAR_HISTORIES` asks for more.
const HISTORIES: u64 = 300;
/// Histories that one process writes at the same time.
const AT_ONCE: u64 = 50;
const CLIENTS: u64 = 4;
/// Operations of one client in one life of the process.
const OPS: u64 = 6;
/// Lives of the process; all but the last end with a kill.
const LIVES: u64 = 3;

/// What is read and written together, and the model of it.
pub trait Subject:
    Model<Op: Serialize + DeserializeOwned + Send + Sync, Seen: Serialize + DeserializeOwned + Send + Sync> + 'static
{
    /// What the clients of one process share.
    type Store: Send + Sync + 'static;
    /// What a client remembers of what it saw, to choose by.
    type Known: Default + Send;

    const JOB: Job;
    /// Shows everything.
    const LOOK: Self::Op;

    fn model() -> Self;

    fn open(data: &DataDir) -> Arc<Self::Store>;

    /// Makes what a history begins with, if it is not there.
    fn prepare(store: &Self::Store, history: u64) -> impl Future<Output = ()> + Send;

    /// `value` is one that nobody wrote before.
    fn choose(known: &Self::Known, value: &str) -> Self::Op;

    fn perform(store: &Self::Store, history: u64, op: &Self::Op) -> impl Future<Output = Self::Seen> + Send;

    fn note(known: &mut Self::Known, op: &Self::Op, seen: &Self::Seen);
}

fn below(count: u64) -> u64 {
    SystemRng.next_u64() % count
}

/// One client of one history, in the child.
async fn client<S: Subject>(store: Arc<S::Store>, history: u64, client: u64, life: u64) {
    let mut known = S::Known::default();
    for n in 0..OPS {
        let op = S::choose(&known, &format!("{life}-{client}-{n}"));
        say(&format!("begin {history} {client} {}", serde_json::to_string(&op).expect("JSON")));
        let seen = S::perform(&store, history, &op).await;
        say(&format!("end {history} {client} {}", serde_json::to_string(&seen).expect("JSON")));
        S::note(&mut known, &op, &seen);
    }
}

/// The child: all clients of some histories, to their end.
pub async fn write_histories<S: Subject>(data: &DataDir, round: u64) {
    let (first, life, store) = (round / LIVES * AT_ONCE, round % LIVES, S::open(data));
    let mut tasks = Vec::new();
    for history in first..first + AT_ONCE {
        S::prepare(&store, history).await;
        tasks.extend((0..CLIENTS).map(|number| tokio::spawn(client::<S>(store.clone(), history, number, life))));
    }
    for task in tasks {
        task.await.expect("the client ends well");
    }
    say("done");
}

type Histories<S> = HashMap<u64, History<<S as Model>::Op, <S as Model>::Seen>>;

/// Lets a child write, kills it unless this is its last life, and enters what it said.
fn live<S: Subject>(place: &Path, round: u64, histories: &mut Histories<S>) {
    let mut child = child::command(&[], S::JOB, place, round).spawn().expect("the child starts");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let last_life = round % LIVES == LIVES - 1;
    let mut left = below(AT_ONCE * CLIENTS * OPS);
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
    let ended = child.wait().expect("the child ends");
    assert!(!last_life || ended.success(), "who is not killed comes to an end");
}

fn check<S: Subject>() {
    let wanted = std::env::var("SELVEDGE_LINEAR_HISTORIES").map_or(HISTORIES, |text| text.parse().expect("a number"));
    let place = Place::in_memory();
    let (mut checked, mut operations, mut lost) = (0, 0, 0);
    for batch in 0..wanted.div_ceil(AT_ONCE) {
        let mut histories = Histories::<S>::new();
        for life in 0..LIVES {
            live::<S>(place.path(), batch * LIVES + life, &mut histories);
        }
        let data = place.open();
        let store = S::open(&data);
        for (number, mut history) in histories {
            let read = history.begin(CLIENTS, S::LOOK);
            let seen = block_on(async {
                S::prepare(&store, number).await;
                S::perform(&store, number, &S::LOOK).await
            });
            history.end(read, seen);
            if let Err(violation) = linear::check(&S::model(), history.calls()) {
                panic!("history {number}: {violation}");
            }
            checked += 1;
            operations += history.calls().len();
            lost += history.calls().iter().filter(|call| call.ended.is_none()).count();
        }
    }
    eprintln!("{checked} histories of {operations} operations, {lost} of them without an answer; all have an order");
}

#[test]
fn every_history_of_kv_has_an_order_whatever_dies() {
    check::<kv::Namespace>();
}

#[test]
fn every_history_of_sql_transactions_has_an_order_whatever_dies() {
    check::<sql::Accounts>();
}

#[test]
fn every_history_of_an_object_has_an_order_whatever_dies() {
    check::<objects::Object>();
}
