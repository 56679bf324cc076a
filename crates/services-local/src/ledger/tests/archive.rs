//! Point-in-time recovery: every moment comes back as it was.

use proptest::prelude::*;
use testkit::ManualClock;

use super::*;

/// A directory whose clock the test owns. Its archive is copied to one that is not there yet.
pub struct Timed {
    pub place: TempDir,
    pub clock: Arc<ManualClock>,
    data: Option<DataDir>,
    limits: base::NodeLimits,
}

impl Timed {
    pub fn new() -> Self {
        Self::with(base::NodeLimits::default())
    }

    pub fn with(limits: base::NodeLimits) -> Self {
        let place = match Path::new("/dev/shm") {
            memory if memory.is_dir() => tempfile::tempdir_in(memory),
            _ => tempfile::tempdir(),
        };
        // Nothing is copied but by the test.
        let limits = base::NodeLimits { archive_copy_ms: 86_400_000, ..limits };
        let mut timed = Self { place: place.expect("a directory"), clock: ManualClock::new(), data: None, limits };
        timed.open();
        timed
    }

    pub fn elsewhere(&self) -> PathBuf {
        self.place.path().join("elsewhere")
    }

    pub fn open(&mut self) {
        self.data = None;
        let archive: Arc<dyn crate::Depot> = Arc::new(crate::DirectoryDepot::new(&self.elsewhere()));
        let (archive, limits) = (Some(archive), self.limits.clone());
        let options = DataDirOptions::new(self.place.path().join("key"));
        let options = DataDirOptions { clock: self.clock.clone(), archive, limits, ..options };
        self.data = Some(DataDir::open(self.place.path().join("data"), options).expect("opens"));
    }

    pub fn ledger(&self) -> Arc<Ledger> {
        self.data.as_ref().expect("open").ledger()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.data.as_ref().expect("open").path().join(name)
    }

    pub fn numbers(&self, name: &str) -> Numbers {
        let connection = Connection::open(self.path(name)).expect("opens");
        let journal = self.ledger().adopt(&self.path(name), &connection).expect("adopted");
        let mut numbers = Numbers { journal, connection };
        numbers.run("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, x BLOB)").wait().expect("durable");
        numbers
    }

    pub fn now(&self) -> u64 {
        use base::Clock as _;
        self.clock.unix_ms()
    }

    pub fn copy(&self) -> Result<(), StoreError> {
        let ledger = self.ledger();
        let elsewhere = ledger.inner.elsewhere.as_ref().expect("it has one");
        ledger.inner.copy_archive(elsewhere)
    }

    /// The copy of the archive.
    pub fn copied(&self) -> PathBuf {
        let mut found = std::fs::read_dir(self.elsewhere()).expect("it is there").map(|one| one.expect("one").path());
        let copied = found.next().expect("a copy was begun");
        assert_eq!(found.next(), None, "there is one");
        copied
    }

    /// From the copy alone.
    pub fn restored_elsewhere(&self, name: &str, at_ms: u64) -> Vec<(i64, u32)> {
        let entries = Shelf::of(&self.copied(), name).entries().expect("entries");
        let into = self.place.path().join("restored.db");
        restore::build(&entries, &[], at_ms, &into).expect("built");
        let connection = Connection::open(&into).expect("opens");
        let rows = rows(&connection);
        drop(connection);
        disk::remove(&into).expect("removed");
        rows
    }

    pub fn restored(&self, name: &str, at_ms: u64) -> Result<Vec<(i64, u32)>, RestoreError> {
        let into = self.place.path().join("restored.db");
        self.ledger().restore(&self.path(name), at_ms, &into)?;
        let connection = Connection::open(&into).expect("opens");
        let whole: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("checked");
        assert_eq!(whole, "ok");
        let rows = rows(&connection);
        drop(connection);
        for suffix in ["", "-wal", "-shm"] {
            disk::remove(&beside(&into, suffix)).expect("removed");
        }
        Ok(rows)
    }
}

/// Each row with a sum of what it holds.
pub fn rows(connection: &Connection) -> Vec<(i64, u32)> {
    let mut statement = connection.prepare("SELECT n, x FROM t ORDER BY n").expect("a statement");
    let rows =
        statement.query_map([], |row| Ok((row.get(0)?, crc32fast::hash(row.get_ref(1)?.as_blob()?)))).expect("read");
    rows.collect::<rusqlite::Result<_>>().expect("read")
}

#[derive(Clone, Debug)]
enum Step {
    Write {
        n: i64,
        bytes: usize,
    },
    Delete(i64),
    Vacuum,
    Wait(u64),
    /// Copies, flushes, and moves segments.
    Tend,
    Sort,
    /// Copies the archive elsewhere.
    Copy,
    Close,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..40_i64, 0..9_000_usize).prop_map(|(n, bytes)| Step::Write { n, bytes }),
        2 => (0..40_i64).prop_map(Step::Delete),
        1 => Just(Step::Vacuum),
        6 => (1..2_000_u64).prop_map(Step::Wait),
        1 => Just(Step::Tend),
        1 => Just(Step::Sort),
        2 => Just(Step::Copy),
        1 => Just(Step::Close),
        1 => Just(Step::Restart),
    ]
}

fn check(steps: &[Step]) {
    let mut timed = Timed::new();
    std::fs::create_dir(timed.elsewhere()).expect("made");
    let mut numbers = Some(timed.numbers("a.db"));
    let mut moments = Vec::new();
    for step in steps {
        let open = numbers.as_mut().expect("open");
        match step {
            Step::Write { n, bytes } => {
                open.run(&format!("INSERT OR REPLACE INTO t VALUES ({n}, randomblob({bytes}))"));
            }
            Step::Delete(n) => drop(open.run(&format!("DELETE FROM t WHERE n = {n}"))),
            Step::Vacuum => drop(open.run("VACUUM")),
            Step::Wait(ms) => {
                // From the first to the last millisecond of it.
                moments.push((timed.now(), timed.now() + ms - 1, rows(&open.connection)));
                timed.clock.advance(*ms);
            }
            Step::Tend => timed.ledger().inner.tend().expect("tended"),
            Step::Sort => {
                timed.ledger().inner.retire_all();
                timed.ledger().inner.sort(Sort::Retired).expect("sorted");
            }
            Step::Copy => {
                open.journal.last_ticket().wait().expect("durable");
                timed.copy().expect("copied");
            }
            Step::Close => {
                let Numbers { journal, connection } = numbers.take().expect("open");
                journal.close(&connection).expect("closed").wait().expect("durable");
                drop(connection);
                numbers = Some(timed.numbers("a.db"));
            }
            Step::Restart => {
                open.journal.last_ticket().wait().expect("durable");
                drop(numbers.take());
                timed.open();
                numbers = Some(timed.numbers("a.db"));
            }
        }
    }
    let open = numbers.as_ref().expect("open");
    open.journal.last_ticket().wait().expect("durable");
    moments.push((timed.now(), timed.now(), rows(&open.connection)));
    assert!(matches!(timed.restored("a.db", u64::MAX), Err(RestoreError::ToCome)));
    for (at, (first_ms, last_ms, expected)) in moments.iter().enumerate() {
        for time_ms in [first_ms, last_ms] {
            let found = timed.restored("a.db", *time_ms).expect("restored");
            assert_eq!(&found, expected, "moment {at}, {time_ms} of {first_ms} to {last_ms}");
        }
    }
    timed.copy().expect("copied");
    for (at, (first_ms, last_ms, expected)) in moments.iter().enumerate() {
        for time_ms in [first_ms, last_ms] {
            assert_eq!(&timed.restored_elsewhere("a.db", *time_ms), expected, "moment {at}, from elsewhere");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_moment_comes_back_as_it_was(steps in prop::collection::vec(step(), 1..60)) {
        check(&steps);
    }
}

#[test]
fn a_moment_before_the_first_and_a_name_that_never_was_are_refused() {
    let timed = Timed::new();
    let begun = timed.now();
    timed.clock.advance(10_000);
    let mut numbers = timed.numbers("a.db");
    numbers.insert(1).wait().expect("durable");
    assert!(matches!(timed.restored("a.db", begun), Err(RestoreError::TooEarly { .. })));
    assert!(matches!(timed.restored("b.db", timed.now()), Err(RestoreError::Unknown(_))));
}

#[test]
fn a_copy_that_a_power_cut_left_torn_is_in_nobodys_way() {
    let mut timed = Timed::new();
    for id in 1..4 {
        std::fs::write(timed.path("archive").join(format!("whole-{id}.tmp")), [7; 3_000]).expect("written");
    }
    timed.open();
    let mut numbers = timed.numbers("a.db");
    numbers.insert(1).wait().expect("durable");
    let left = std::fs::read_dir(timed.path("archive")).expect("the archive").map(|entry| entry.expect("a name"));
    let left: Vec<_> = left.filter(|entry| entry.file_name().to_string_lossy().ends_with(".tmp")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_removed_database_can_be_brought_back_and_its_successor_is_its_own() {
    let mut timed = Timed::new();
    let mut numbers = timed.numbers("a.db");
    numbers.insert(1).wait().expect("durable");
    let before = timed.now();
    let expected = rows(&numbers.connection);
    drop(numbers);
    timed.ledger().remove(&timed.path("a.db")).expect("removed");
    timed.clock.advance(1_000);
    timed.open();
    let mut numbers = timed.numbers("a.db");
    numbers.insert(2).wait().expect("durable");
    timed.ledger().inner.retire_all();
    timed.ledger().inner.sort(Sort::Retired).expect("sorted");
    assert_eq!(timed.restored("a.db", before).expect("restored"), expected);
    assert_eq!(timed.restored("a.db", timed.now()).expect("restored"), rows(&numbers.connection));
}

#[test]
fn what_is_older_than_the_archive_reaches_goes() {
    let timed = Timed::new();
    let mut numbers = timed.numbers("a.db");
    let day = 24 * 3_600_000;
    let mut moments = Vec::new();
    for n in 0..40 {
        numbers.run(&format!("INSERT INTO t VALUES ({n}, randomblob(20000))")).wait().expect("durable");
        moments.push((timed.now(), rows(&numbers.connection)));
        timed.ledger().inner.retire_all();
        timed.ledger().inner.sort(Sort::Retired).expect("sorted");
        timed.clock.advance(2 * day);
    }
    let shelf = Shelf::of(&timed.path("archive"), "a.db");
    assert!(shelf.entries().expect("entries").len() < 50);
    for (time_ms, expected) in moments.iter().filter(|(time_ms, _)| time_ms + 30 * day > timed.now()) {
        assert_eq!(&timed.restored("a.db", *time_ms).expect("restored"), expected);
    }
    assert!(matches!(timed.restored("a.db", moments[0].0), Err(RestoreError::TooEarly { .. })));
}

#[test]
fn a_damaged_archive_says_so() {
    let timed = Timed::new();
    let mut numbers = timed.numbers("a.db");
    for n in 0..5 {
        numbers.insert(n).wait().expect("durable");
        timed.ledger().inner.retire_all();
        timed.ledger().inner.sort(Sort::Retired).expect("sorted");
    }
    let entries = Shelf::of(&timed.path("archive"), "a.db").entries().expect("entries");
    let mut bytes = std::fs::read(&entries[1].path).expect("read");
    bytes[150] ^= 1;
    std::fs::write(&entries[1].path, &bytes).expect("written");
    let refused = |timed: &Timed| timed.restored("a.db", timed.now()).expect_err("refused");
    assert_eq!(refused(&timed).code().name, "store_corrupt");
    std::fs::remove_file(&entries[1].path).expect("removed");
    assert!(refused(&timed).to_string().contains("lacks the changes from"));
    assert!(!timed.place.path().join("restored.db").exists(), "nothing half is left behind");
}
