//! Durable objects whose every turn follows from its number, so that whoever knows how many were
//! acknowledged knows what each must hold: entries, rows of its own database, and the alarm.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use base::ClassName;
use services::object::{
    Alarm, Lease, Leases as _, ListOptions, ObjectClass, ObjectError, ObjectKey, ObjectStorage, ObjectStore as _,
    Ticket,
};
use services::{SqlStatement, SqlValue};
use services_local::{DataDir, LocalObjects};

use crate::block_on;
use crate::child::say;
use crate::workload::{Acknowledged, Writer, namespace};

const KEYS: u64 = 7;
/// Turns of one object that are under way at the same time.
const IN_FLIGHT: usize = 3;
/// An object goes to its next owner after so many turns.
const MOVE: u64 = 12;

const TABLES: &str = "CREATE TABLE IF NOT EXISTS t (k INTEGER PRIMARY KEY, v TEXT);
    CREATE TABLE IF NOT EXISTS count (n INTEGER); INSERT INTO count SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM count)";

fn key(writer: Writer) -> ObjectKey {
    let class = ObjectClass::new(namespace().app_id(), ClassName::parse("Shelf").expect("a name"));
    ObjectKey { id: class.id_of_name(&format!("{}/{}", writer.round, writer.number)), class }
}

/// What an object holds after so many turns.
#[derive(Debug, Default, PartialEq)]
struct State {
    turns: u64,
    entries: BTreeMap<String, Vec<u8>>,
    rows: BTreeMap<i64, String>,
    due_ms: Option<u64>,
}

/// The entry that a turn writes; without a value, it deletes.
fn entry(turn: u64) -> (String, Option<Vec<u8>>) {
    let length = [30, 2_000, 12_000][(turn % 3) as usize];
    let value = (turn % 9 != 8).then(|| format!("{turn} ").into_bytes().into_iter().cycle().take(length).collect());
    (format!("k{}", (turn * 5 + turn / 7) % KEYS), value)
}

/// The row that it writes; without a text, it deletes.
fn row(turn: u64) -> (i64, Option<String>) {
    (((turn * 3) % KEYS) as i64, (turn % 11 != 10).then(|| format!("{turn} {}", "x".repeat((turn % 5) as usize * 600))))
}

fn alarm(turn: u64) -> Option<u64> {
    (!turn.is_multiple_of(4)).then_some(turn + 1)
}

fn state(turns: u64) -> State {
    let mut state = State { turns, ..State::default() };
    for turn in 0..turns {
        match entry(turn) {
            (key, Some(value)) => drop(state.entries.insert(key, value)),
            (key, None) => drop(state.entries.remove(&key)),
        }
        match row(turn) {
            (key, Some(text)) => drop(state.rows.insert(key, text)),
            (key, None) => drop(state.rows.remove(&key)),
        }
        state.due_ms = alarm(turn);
    }
    state
}

fn sql(storage: &mut dyn ObjectStorage, text: &str, values: Vec<SqlValue>) -> Result<Vec<SqlValue>, ObjectError> {
    storage.sql(&SqlStatement::bind(text, values)).map(|answer| answer.rows.values)
}

fn take(storage: &mut dyn ObjectStorage, turn: u64) -> Result<Ticket, ObjectError> {
    // A part that is taken back leaves nothing.
    storage.begin()?;
    storage.put("k0", b"undone")?;
    sql(storage, "UPDATE count SET n = n + 1000", Vec::new())?;
    storage.end(false)?;
    match entry(turn) {
        (key, Some(value)) => storage.put(&key, &value)?,
        (key, None) => drop(storage.delete(&key)?),
    }
    match row(turn) {
        (key, Some(text)) => {
            sql(storage, "INSERT OR REPLACE INTO t VALUES (?, ?)", vec![SqlValue::Integer(key), SqlValue::Text(text)])?
        }
        (key, None) => sql(storage, "DELETE FROM t WHERE k = ?", vec![SqlValue::Integer(key)])?,
    };
    sql(storage, "UPDATE count SET n = n + 1", Vec::new())?;
    storage.set_alarm(alarm(turn).map(Alarm::at))?;
    Ok(storage.commit()?.expect("it wrote"))
}

async fn owned(objects: &LocalObjects, key: &ObjectKey) -> Result<(Lease, Box<dyn ObjectStorage>), String> {
    let lease = objects.acquire(key).await.map_err(|error| format!("{error:?}"))?;
    let storage = objects.open(key, lease.fence).await.map_err(|error| format!("{error:?}"))?;
    Ok((lease, storage))
}

/// The owner of one object, until it has taken so many turns.
async fn own(objects: Arc<LocalObjects>, writer: Writer, until: u64) {
    let key = key(writer);
    let mut own = owned(&objects, &key).await.expect("it opens");
    sql(&mut *own.1, TABLES, Vec::new()).expect("the tables are there");
    let count = sql(&mut *own.1, "SELECT n FROM count", Vec::new()).expect("a count");
    let [SqlValue::Integer(from)] = count[..] else { panic!("{count:?}") };
    let mut tickets = VecDeque::new();
    let mut acknowledged = from as u64;
    for turn in from as u64..until {
        tickets.push_back(take(&mut *own.1, turn).expect("the turn is taken"));
        if turn % MOVE == MOVE - 1 {
            drop(own);
            own = owned(&objects, &key).await.expect("its next owner opens it");
        }
        while tickets.len() >= IN_FLIGHT || (turn + 1 == until && !tickets.is_empty()) {
            tickets.pop_front().expect("a ticket").await.expect("durable");
            say(&format!("ack {} {} {acknowledged}", writer.round, writer.number));
            acknowledged += 1;
        }
    }
}

pub async fn write(data: &DataDir, round: u64, owners: u64, until: u64) {
    let objects = data.objects().expect("their directory is made");
    let tasks = (0..owners).map(|number| tokio::spawn(own(objects.clone(), Writer { round, number }, until)));
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("the owner ends well");
    }
}

/// Checks that each object is as after the turns that were acknowledged, or some more of those that
/// were under way; and that its alarm is found.
pub fn check(data: &DataDir, acknowledged: &Acknowledged) -> Result<(), String> {
    let objects = data.objects().map_err(|error| format!("{error:?}"))?;
    block_on(async {
        for (&writer, &count) in &acknowledged.0 {
            let key = key(writer);
            let (_lease, mut storage) = owned(&objects, &key).await?;
            let found = look(&mut *storage).map_err(|error| format!("{writer:?}: {error:?}"))?;
            if !(count..=count + IN_FLIGHT as u64).contains(&found.turns) || found != state(found.turns) {
                return Err(format!("{writer:?} acknowledged {count}, found {} that are not as made", found.turns));
            }
            if let Some(due_ms) = found.due_ms {
                let due = objects.due(due_ms, usize::MAX >> 1).await.map_err(|error| format!("{error:?}"))?;
                if !due.contains(&(key, due_ms)) {
                    return Err(format!("the alarm of {writer:?} is not found"));
                }
            }
        }
        Ok(())
    })
}

fn look(storage: &mut dyn ObjectStorage) -> Result<State, ObjectError> {
    let [SqlValue::Integer(turns)] = sql(storage, "SELECT n FROM count", Vec::new())?[..] else {
        panic!("a count is a number")
    };
    let rows = sql(storage, "SELECT k, v FROM t", Vec::new())?;
    let row = |row: &[SqlValue]| match row {
        [SqlValue::Integer(key), SqlValue::Text(text)] => (*key, text.clone()),
        other => panic!("{other:?}"),
    };
    let entries = storage.list(&ListOptions::default())?.into_iter().map(|(key, value)| (key, value.to_vec()));
    Ok(State {
        turns: turns as u64,
        entries: entries.collect(),
        rows: rows.chunks(2).map(row).collect(),
        due_ms: storage.alarm()?.map(|alarm| alarm.due_ms),
    })
}
