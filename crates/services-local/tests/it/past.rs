//! Point-in-time recovery as whoever uses SQL meets it: random writes at random moments, and every
//! moment comes back in a new database with exactly what was acknowledged by then.

use base::{AppName, Clock as _, NodeLimits, TenantName};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use services::care::{BackupOptions, Care as _};
use services::conformance::random;
use services::sql::SqlName;
use services::{AppId, Sql as _, SqlDatabase, SqlStatement, SqlValue};
use services_local::{DataDir, DataDirOptions};
use testkit::ManualClock;

use crate::{Place, block_on};

#[derive(Clone, Debug)]
enum Step {
    /// Two rows in one batch.
    Write {
        key: i64,
        bytes: i64,
    },
    Delete(i64),
    /// A transaction over several calls, kept or not.
    Transact {
        key: i64,
        keep: bool,
    },
    /// A statement that fails after it changed something.
    Fail,
    Wait(u64),
    /// The file closes for want of use.
    Idle,
    Restart,
    /// What is there is compared with the moments up to now.
    Look,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..30_i64, 0..6_000_i64).prop_map(|(key, bytes)| Step::Write { key, bytes }),
        2 => (0..30_i64).prop_map(Step::Delete),
        2 => (0..30_i64, any::<bool>()).prop_map(|(key, keep)| Step::Transact { key, keep }),
        1 => Just(Step::Fail),
        6 => (1..2_000_u64).prop_map(Step::Wait),
        1 => Just(Step::Idle),
        1 => Just(Step::Restart),
        1 => Just(Step::Look),
    ]
}

fn database(name: &str) -> SqlDatabase {
    let app = AppId::new(TenantName::parse("acme").expect("a name"), AppName::parse("shop").expect("a name"));
    SqlDatabase::new(&app, SqlName::parse(name).expect("a name"))
}

/// A moment, from its first to its last millisecond, and what was there.
type Moment = (u64, u64, Vec<SqlValue>);

struct Timed {
    place: Place,
    clock: std::sync::Arc<ManualClock>,
    data: Option<DataDir>,
    copies: usize,
}

impl Timed {
    fn open(&mut self) {
        self.data = None;
        let options = DataDirOptions { clock: self.clock.clone(), ..self.place.options() };
        self.data = Some(DataDir::open(self.place.data(), options).expect("the data directory opens"));
    }

    fn data(&self) -> &DataDir {
        self.data.as_ref().expect("open")
    }

    async fn run(&self, database: &SqlDatabase, text: &str, values: Vec<i64>) -> Option<Vec<SqlValue>> {
        let values = values.into_iter().map(SqlValue::Integer).collect();
        let answer = self.data().sql().batch(database, vec![SqlStatement::bind(text, values)]).await;
        Some(answer.ok()?.results.remove(0).rows.values)
    }

    async fn rows(&self, database: &SqlDatabase) -> Vec<SqlValue> {
        self.run(database, "SELECT k, hex(v) FROM t ORDER BY k", Vec::new()).await.expect("the rows")
    }

    async fn step(&mut self, main: &SqlDatabase, step: &Step) {
        let insert = "INSERT OR REPLACE INTO t VALUES (?, randomblob(?))";
        match *step {
            Step::Write { key, bytes } => {
                let two = "INSERT OR REPLACE INTO t VALUES (?1, randomblob(?2)), (?1 + 1, randomblob(9))";
                self.run(main, two, vec![key, bytes]).await.expect("written");
            }
            Step::Delete(key) => drop(self.run(main, "DELETE FROM t WHERE k >= ?", vec![key]).await.expect("deleted")),
            Step::Transact { key, keep } => {
                let mut transaction = self.data().sql().begin(main).await.expect("it begins");
                for values in [[key, 10], [key + 1, 3_000]] {
                    let values = values.map(SqlValue::Integer).to_vec();
                    transaction.run(SqlStatement::bind(insert, values)).await.expect("it runs");
                }
                match keep {
                    true => drop(transaction.commit().await.expect("it commits")),
                    false => transaction.rollback().await,
                }
            }
            Step::Fail => {
                let twice = "INSERT INTO t VALUES (1000, 0), (1001, 0), (1000, 0)";
                assert!(self.run(main, twice, Vec::new()).await.is_none(), "a key stands once");
            }
            Step::Wait(ms) => drop(self.clock.advance(ms)),
            Step::Idle => {
                self.clock.advance(NodeLimits::default().sql_idle_ms + 1);
                self.data().sql().close_idle();
            }
            Step::Restart => self.open(),
            Step::Look => {}
        }
    }

    /// Brings a moment back by its first millisecond and by its last.
    async fn check(&mut self, main: &SqlDatabase, (first, last, expected): &Moment) -> Result<(), TestCaseError> {
        for at_ms in [*first, *last] {
            self.copies += 1;
            let copy = database(&format!("past-{}", self.copies));
            let copied = self.data().sql().copy(main, Some(at_ms), &copy).await;
            let copied = copied.unwrap_or_else(|error| panic!("{at_ms} of {first} to {last}: {error}"));
            prop_assert!(copied.time_ms.is_some_and(|time_ms| time_ms <= at_ms), "{:?} for {}", copied, at_ms);
            prop_assert_eq!(&self.rows(&copy).await, expected, "{} of {} to {}", at_ms, first, last);
            // It is a database like any other, and its own.
            self.run(&copy, "DELETE FROM t", Vec::new()).await.expect("it can be written");
        }
        Ok(())
    }
}

async fn check(steps: &[Step]) -> Result<(), TestCaseError> {
    let main = database("main");
    let mut timed = Timed { place: Place::in_memory(), clock: ManualClock::new(), data: None, copies: 0 };
    timed.open();
    timed.run(&main, "CREATE TABLE t (k INTEGER PRIMARY KEY, v)", Vec::new()).await.expect("a table");
    let mut moments: Vec<Moment> = Vec::new();
    let mut checked = 0;
    for step in steps {
        let (now, before) = (timed.clock.unix_ms(), timed.rows(&main).await);
        timed.step(&main, step).await;
        let later = timed.clock.unix_ms();
        if later > now {
            moments.push((now, later - 1, before));
        }
        if let Step::Look = step {
            // One of the old ones as well: the log is sorted into the archive behind the back.
            for at in [moments.len() / 2, moments.len().saturating_sub(1)] {
                if let Some(moment) = moments.get(at).cloned() {
                    timed.check(&main, &moment).await?;
                }
            }
            checked = moments.len();
        }
    }
    for moment in &moments[checked..] {
        timed.check(&main, moment).await?;
    }
    Ok(())
}

#[test]
fn any_moment_of_a_database_comes_back_as_it_was_acknowledged() {
    random("restores of SQL", step(), |steps| block_on(check(&steps)));
}

/// What stands in a database, from its past.
async fn past(data: &DataDir, at_ms: u64, name: &str) -> Vec<SqlValue> {
    let copy = database(name);
    data.sql().copy(&database("main"), Some(at_ms), &copy).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    let all = SqlStatement::bind("SELECT k FROM t ORDER BY k", Vec::new());
    data.sql().batch(&copy, vec![all]).await.expect("the rows").results.remove(0).rows.values
}

#[test]
fn the_past_is_in_a_backup_and_goes_on_where_it_was_restored() {
    let clock = ManualClock::new();
    let place = Place::in_memory();
    let options = || DataDirOptions { clock: clock.clone(), ..place.options() };
    let (main, to) = (database("main"), place.path().join("backups"));
    let insert = |data: &DataDir, key: i64| {
        let statement = SqlStatement::bind("INSERT INTO t VALUES (?)", vec![SqlValue::Integer(key)]);
        block_on(data.sql().batch(&main, vec![statement])).expect("written");
        let written_ms = clock.unix_ms();
        clock.advance(10_000);
        (written_ms, key)
    };
    let data = DataDir::open(place.data(), options()).expect("opens");
    block_on(data.sql().batch(&main, vec![SqlStatement::bind("CREATE TABLE t (k)", Vec::new())])).expect("made");
    let mut written: Vec<(u64, i64)> = (1..4).map(|key| insert(&data, key)).collect();
    let verified = BackupOptions { verify: true, keep: None };
    let first = block_on(data.care().back_up(&to, verified)).expect("a backup");
    let again = block_on(data.care().back_up(&to, verified)).expect("a backup");
    assert!(again.new_bytes < first.new_bytes / 4, "what is archived is stored once: {first:?} {again:?}");
    // What comes after the backup is lost, and the past goes another way.
    insert(&data, 100);
    drop(data);

    let restored = place.path().join("restored");
    services_local::restore(&to, None, &restored).expect("restored");
    let data = DataDir::open(&restored, options()).expect("opens");
    written.extend((4..7).map(|key| insert(&data, key)));
    for (n, (at_ms, key)) in written.iter().enumerate() {
        let expected: Vec<SqlValue> = (1..=*key).map(SqlValue::Integer).collect();
        assert_eq!(block_on(past(&data, *at_ms, &format!("then-{n}"))), expected, "as of {at_ms}");
    }
    // And so on, from a backup of what was restored, whose ledger is another.
    block_on(data.care().back_up(&to, verified)).expect("a backup");
    drop(data);
    let restored = place.path().join("restored-again");
    services_local::restore(&to, None, &restored).expect("restored");
    let data = DataDir::open(&restored, options()).expect("opens");
    written.push(insert(&data, 7));
    for (n, (at_ms, key)) in written.iter().enumerate() {
        let expected: Vec<SqlValue> = (1..=*key).map(SqlValue::Integer).collect();
        assert_eq!(block_on(past(&data, *at_ms, &format!("again-{n}"))), expected, "as of {at_ms}");
    }
    assert_eq!(block_on(data.care().check()).expect("a check").damage, []);
}
