//! What an object stores, its own database included, compared with SQLite in memory: turns, parts of
//! turns that are taken back, owners that come and go.

use base::{AppName, ClassName, NodeLimits, TenantName};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use rusqlite::Connection;
use services::conformance::random;
use services::object::{ObjectClass, ObjectError, ObjectKey, ObjectStorage, ObjectStore};
use services::{AppId, SqlStatement, SqlValue};
use services_local::{DataDir, DataDirOptions};

use crate::sql::{Asked, sqlite, statement};
use crate::{Place, block_on};

#[derive(Clone, Debug)]
enum Step {
    Sql(Asked),
    /// Several statements at once, the last of which may fail.
    Script {
        fails: bool,
    },
    Put {
        key: usize,
        value: Vec<u8>,
    },
    Delete(usize),
    DeleteAll,
    Begin,
    End(bool),
    Commit,
    RollBack,
    Reopen,
}

const KEYS: [&str; 3] = ["a", "b", "ä"];
const TABLE: &str = "CREATE TABLE IF NOT EXISTS t (k INTEGER PRIMARY KEY, v)";
/// As the model keeps the entries.
const ENTRIES: &str = "CREATE TABLE entries (k PRIMARY KEY, v)";

fn step() -> impl Strategy<Value = Step> {
    let value = || proptest::collection::vec(any::<u8>(), 0..30);
    prop_oneof![
        12 => statement().prop_map(Step::Sql),
        1 => Just(Step::Sql((TABLE.into(), Vec::new()))),
        1 => any::<bool>().prop_map(|fails| Step::Script { fails }),
        4 => (0..KEYS.len(), value()).prop_map(|(key, value)| Step::Put { key, value }),
        1 => (0..KEYS.len()).prop_map(Step::Delete),
        1 => Just(Step::DeleteAll),
        2 => Just(Step::Begin),
        2 => any::<bool>().prop_map(Step::End),
        4 => Just(Step::Commit),
        1 => Just(Step::RollBack),
        1 => Just(Step::Reopen),
    ]
}

/// The object, and what SQLite makes of the same.
struct Sides<'a> {
    store: &'a dyn ObjectStore,
    key: ObjectKey,
    fence: u64,
    storage: Option<Box<dyn ObjectStorage>>,
    model: Connection,
    parts: usize,
}

impl Sides<'_> {
    fn storage(&mut self) -> &mut dyn ObjectStorage {
        &mut **self.storage.as_mut().expect("it is open")
    }

    fn model(&self, text: &str) {
        self.model.execute_batch(text).expect("the model does it");
    }

    async fn reopen(&mut self) {
        self.storage = None;
        self.fence += 1;
        self.storage = Some(self.store.open(&self.key, self.fence).await.expect("it opens"));
        self.parts = 0;
        let undo = if self.model.is_autocommit() { "BEGIN" } else { "ROLLBACK; BEGIN" };
        self.model(undo);
    }

    async fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Sql(asked) => return self.sql(asked).await,
            Step::Script { fails } => {
                let last = if *fails { "INSERT INTO nowhere VALUES (?)" } else { "SELECT v, ? FROM t WHERE k = 3" };
                let text = format!("{TABLE}; DELETE FROM t WHERE k = 3; REPLACE INTO t VALUES (3, 'script;')");
                let values = vec![SqlValue::Integer(7)];
                let done = self.storage().sql(&SqlStatement::bind(format!("{text}; {last}").as_str(), values));
                let rows = done.ok().map(|done| done.rows.values);
                let expected = [SqlValue::Text("script;".into()), SqlValue::Integer(7)];
                prop_assert_eq!(rows.as_deref(), (!fails).then_some(&expected[..]));
                if !fails {
                    self.model(&text);
                }
            }
            Step::Put { key, value } => {
                self.storage().put(KEYS[*key], value).expect("put");
                let put = "REPLACE INTO entries VALUES (?, ?)";
                self.model.execute(put, (KEYS[*key], value)).expect("put");
            }
            Step::Delete(key) => {
                let existed = self.storage().delete(KEYS[*key]).expect("delete");
                let rows = self.model.execute("DELETE FROM entries WHERE k = ?", [KEYS[*key]]).expect("delete");
                prop_assert_eq!(existed, rows > 0);
            }
            Step::DeleteAll => {
                self.storage().delete_all().expect("deleted");
                self.model("DELETE FROM entries; DROP TABLE IF EXISTS t");
            }
            Step::Begin => {
                self.storage().begin().expect("begin");
                self.parts += 1;
                self.model("SAVEPOINT part");
            }
            Step::End(keep) if self.parts > 0 => self.end(*keep),
            Step::End(_) => {}
            Step::Commit => {
                while self.parts > 0 {
                    self.end(true);
                }
                if let Some(ticket) = self.storage().commit().expect("a commit") {
                    ticket.await.expect("durable");
                }
                self.model("COMMIT; BEGIN");
            }
            Step::RollBack => {
                self.storage().roll_back();
                self.parts = 0;
                self.model("ROLLBACK; BEGIN");
            }
            Step::Reopen => self.reopen().await,
        }
        Ok(())
    }

    fn end(&mut self, keep: bool) {
        self.storage().end(keep).expect("end");
        self.parts -= 1;
        self.model(if keep { "RELEASE part" } else { "ROLLBACK TO part; RELEASE part" });
    }

    /// A statement that ends the whole turn leaves a storage that answers nothing more.
    async fn sql(&mut self, asked: &Asked) -> Result<(), TestCaseError> {
        let answer = self.storage().sql(&SqlStatement::bind(asked.0.as_str(), asked.1.clone()));
        let expected = sqlite(&self.model, asked);
        let fatal = answer.as_ref().is_err_and(|error| error.is_fatal());
        prop_assert_eq!(answer.ok().map(|answer| answer.rows.values), expected, "{:?}", asked);
        if self.model.is_autocommit() || fatal {
            self.reopen().await;
        }
        Ok(())
    }

    fn compare(&mut self) -> Result<(), TestCaseError> {
        let mut keys = KEYS;
        keys.sort_unstable();
        let mut found = Vec::new();
        for (key, value) in keys.iter().zip(self.storage().get(&keys).expect("get")) {
            found.extend(value.map(|value| [SqlValue::Text((*key).into()), SqlValue::Blob(value.to_vec())]));
        }
        let entries = sqlite(&self.model, &("SELECT k, v FROM entries ORDER BY k".into(), Vec::new()));
        prop_assert_eq!(Some(found.concat()), entries);
        let rows = ("SELECT k, v FROM t ORDER BY k".to_owned(), Vec::new());
        let found = self.storage().sql(&SqlStatement::new(rows.0.as_str()));
        prop_assert_eq!(found.ok().map(|found| found.rows.values), sqlite(&self.model, &rows));
        Ok(())
    }
}

fn class() -> ObjectClass {
    let app = AppId::new(TenantName::parse("acme").expect("a name"), AppName::parse("shop").expect("a name"));
    ObjectClass::new(app, ClassName::parse("Room").expect("a name"))
}

#[test]
fn an_object_and_its_database_are_as_sqlite_has_them() {
    let place = Place::in_memory();
    let data = place.open();
    let store = data.objects().expect("their directory is made");
    let class = class();
    let count = std::cell::Cell::new(0);
    random("SQL of objects", step(), |steps| {
        count.set(count.get() + 1);
        block_on(async {
            let key = ObjectKey { id: class.id_of_name(&format!("room-{}", count.get())), class: class.clone() };
            let model = Connection::open_in_memory().expect("in memory");
            model.execute_batch(ENTRIES).expect("a table");
            let mut sides = Sides { store: &*store, key, fence: 0, storage: None, model, parts: 0 };
            sides.reopen().await;
            for step in &steps {
                sides.step(step).await?;
                sides.compare()?;
            }
            Ok(())
        })
    });
}

/// Runs a statement; answers the number that it answers, if any.
fn asked(storage: &mut dyn ObjectStorage, text: &str) -> Result<i64, ObjectError> {
    let rows = storage.sql(&SqlStatement::new(text))?.rows.values;
    Ok(match rows.first() {
        Some(SqlValue::Integer(number)) => *number,
        _ => 0,
    })
}

/// SQLite would undo the whole turn with it.
fn a_turn_goes_on_without_what_finds_no_room(limits: NodeLimits, is_full: impl Fn(&ObjectError) -> bool) {
    let place = Place::in_memory();
    let data = DataDir::open(place.data(), DataDirOptions { limits, ..place.options() }).expect("it opens");
    let store = data.objects().expect("their directory is made");
    let key = ObjectKey { id: class().id_of_name("full"), class: class() };
    let count = "SELECT count(*) FROM t";
    block_on(async {
        let mut storage = store.open(&key, 1).await.expect("it opens");
        let one = &mut *storage;
        asked(one, "CREATE TABLE t (v)").expect("a table");
        one.put("before", b"kept").expect("put");
        let mut rows = 0;
        let refused = loop {
            match asked(one, "INSERT INTO t VALUES (zeroblob(50000))") {
                Ok(_) => rows += 1,
                Err(error) => break error,
            }
        };
        assert!(is_full(&refused) && !refused.is_fatal() && rows > 10, "{refused:?} after {rows}");
        let many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
            INSERT INTO t SELECT zeroblob(50000) FROM n";
        assert!(asked(one, many).is_err_and(|error| is_full(&error)), "fifteen megabytes have no room");
        let put = one.put("large", &[7; 100_000]);
        assert!(put.is_err_and(|error| is_full(&error)), "neither has an entry");
        assert_eq!(asked(one, count).expect("it is asked as before"), rows);
        // Of the same turn, and durable with it.
        asked(one, "DELETE FROM t WHERE rowid <= 2").expect("deleted");
        asked(one, "INSERT INTO t VALUES (zeroblob(50000))").expect("what was deleted is room");
        one.commit().expect("a commit").expect("it wrote").await.expect("durable");
        assert!(asked(one, "INSERT INTO t VALUES (zeroblob(200000))").is_err(), "nor in the next turn");
        drop(storage);
        let mut storage = store.open(&key, 2).await.expect("it opens");
        assert_eq!(asked(&mut *storage, count).expect("a count"), rows - 1);
        assert_eq!(storage.get(&["before"]).expect("an entry")[0].as_deref(), Some(&b"kept"[..]));
    });
}

#[test]
fn an_object_that_is_full_goes_on_without_the_statement() {
    let limits = NodeLimits { object_bytes: 4 << 20, ..NodeLimits::default() };
    a_turn_goes_on_without_what_finds_no_room(limits, |error| matches!(error, ObjectError::Full { .. }));
}

#[test]
fn an_object_of_an_app_that_is_full_goes_on_without_the_statement() {
    let limits = NodeLimits { object_app_bytes: 4 << 20, ..NodeLimits::default() };
    a_turn_goes_on_without_what_finds_no_room(limits, |error| matches!(error, ObjectError::AppFull { .. }));
}
