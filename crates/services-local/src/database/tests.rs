use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use testkit::ManualClock;

use super::*;
use crate::pool::Threads;

const KIND: Kind =
    Kind { application_id: 7, migrations: &["CREATE TABLE t (n INTEGER NOT NULL CHECK (n < 1000)) STRICT"] };

struct Fixture {
    database: Arc<Database>,
    clock: Arc<ManualClock>,
    _threads: Threads,
    dir: tempfile::TempDir,
}

fn fixture() -> Fixture {
    let (dir, clock) = (tempfile::tempdir().expect("a directory"), ManualClock::new());
    let threads = Threads::start("test", 2).expect("threads");
    let path = dir.path().join("t.db");
    let database = Database::open(&path, KIND, clock.clone(), threads.pool()).expect("opens");
    Fixture { database, clock, _threads: threads, dir }
}

type Answer = Result<u64, StoreError>;

async fn insert(database: &Arc<Database>, n: i64) -> Answer {
    let write = move |tx: &mut Tx<'_>| {
        let number = tx.next_sequence();
        tx.prepare("INSERT INTO t VALUES (?1)")?.execute([n])?;
        Ok(number)
    };
    database.write(0, write).await
}

fn rows(database: &Database) -> Vec<i64> {
    let read = |c: &Connection| {
        let mut statement = c.prepare_cached("SELECT n FROM t ORDER BY rowid")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        rows.collect::<rusqlite::Result<_>>()
    };
    database.read(read).expect("a read")
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

#[test]
fn a_write_that_fails_does_not_fail_its_neighbours() {
    let f = fixture();
    let outcomes = block_on(join_all([1, 5_000, 2, 3].map(|n| insert(&f.database, n))));
    assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true, true]);
    assert_eq!(rows(&f.database), [1, 2, 3]);
}

#[test]
fn a_refused_write_is_undone_and_its_effects_never_happen() {
    static EFFECTS: AtomicUsize = AtomicUsize::new(0);
    let f = fixture();
    let refused = f.database.write(0, |tx: &mut Tx<'_>| -> Result<(), WriteError<StoreError>> {
        tx.prepare("INSERT INTO t VALUES (9)")?.execute([])?;
        tx.after(|_| {
            EFFECTS.fetch_add(100, Ordering::SeqCst);
        });
        Err(WriteError::Refused(StoreError::Closed))
    });
    let kept = f.database.write(0, |tx: &mut Tx<'_>| -> Result<(), WriteError<StoreError>> {
        tx.prepare("INSERT INTO t VALUES (1)")?.execute([])?;
        tx.after(|fate| {
            EFFECTS.fetch_add(usize::from(fate == Fate::Committed), Ordering::SeqCst);
        });
        Ok(())
    });
    let (refused, kept) = block_on(futures_util::future::join(refused, kept));
    assert_eq!((refused, kept), (Err(StoreError::Closed), Ok(())));
    assert_eq!((rows(&f.database), EFFECTS.load(Ordering::SeqCst)), (vec![1], 1));
}

/// Writes `first`, and then refuses or fails with `second`, without a savepoint.
async fn decided(database: &Arc<Database>, first: Option<i64>, second: Option<i64>) -> Result<(), StoreError> {
    let write = move |tx: &mut Tx<'_>| -> Result<(), WriteError<StoreError>> {
        if let Some(n) = first {
            tx.prepare("INSERT INTO t VALUES (?1)")?.execute([n])?;
        }
        match second {
            Some(n) => tx.prepare("INSERT INTO t VALUES (?1)")?.execute([n]).map(drop).map_err(WriteError::from),
            None => Err(WriteError::Refused(StoreError::Closed)),
        }
    };
    database.write_decided(0, write).await
}

#[test]
fn a_decided_write_that_refuses_at_once_or_fails_at_once_leaves_its_neighbours_alone() {
    let f = fixture();
    let writes = [(Some(1), Some(2)), (None, None), (None, Some(5_000)), (None, Some(3))];
    let outcomes = block_on(join_all(writes.map(|(first, second)| decided(&f.database, first, second))));
    assert_eq!(outcomes[1], Err(StoreError::Closed));
    assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, false, true]);
    assert_eq!(rows(&f.database), [1, 2, 3]);
}

#[test]
fn writes_are_answered_though_the_first_of_their_group_went_away() {
    let f = fixture();
    block_on(async {
        let mut first = Box::pin(decided(&f.database, None, Some(1)));
        assert!(first.as_mut().now_or_never().is_none(), "it is in the queue");
        let others = join_all([2, 3].map(|n| decided(&f.database, None, Some(n))));
        let gone = async {
            while rows(&f.database).len() < 3 {
                let _ = first.as_mut().now_or_never().is_none();
                tokio::task::yield_now().await;
            }
            drop(first);
        };
        let (outcomes, ()) = futures_util::future::join(others, gone).await;
        assert_eq!(outcomes, [Ok(()), Ok(())]);
    });
}

#[test]
fn writes_of_two_threads_share_a_group_and_are_answered_on_both() {
    let f = fixture();
    std::thread::scope(|scope| {
        for from in [0, 100] {
            let database = &f.database;
            scope.spawn(move || {
                let writes = (from..from + 100).map(|n| decided(database, None, Some(n)));
                assert!(block_on(join_all(writes)).iter().all(Result::is_ok));
            });
        }
    });
    assert_eq!(rows(&f.database).len(), 200);
}

#[test]
fn a_decided_write_that_stops_half_way_leaves_nothing_of_its_group() {
    let f = fixture();
    for second in [Some(5_000), None] {
        assert!(block_on(decided(&f.database, Some(1), second)).is_err());
        f.clock.advance(60_000);
        assert!(rows(&f.database).is_empty());
    }
    block_on(decided(&f.database, Some(1), Some(2))).expect("the file takes writes again");
    assert_eq!(rows(&f.database), [1, 2]);
}

/// Writes, and answers what the file's sequence was when its group began.
async fn group_of(database: &Arc<Database>) -> i64 {
    let write = |tx: &mut Tx<'_>| -> Result<i64, WriteError<StoreError>> {
        tx.next_sequence();
        Ok(tx.prepare("SELECT value FROM sequence")?.query_row([], |row| row.get(0))?)
    };
    database.write(0, write).await.expect("written")
}

#[test]
fn writes_of_tasks_that_are_ready_beside_each_other_are_one_group() {
    let f = fixture();
    let groups = block_on(join_all((0..50).map(|_| group_of(&f.database))));
    assert_eq!(groups, vec![groups[0]; 50]);
    assert_eq!(block_on(group_of(&f.database)), groups[0] + 50);
}

#[test]
fn a_write_whose_caller_went_away_happens() {
    let f = fixture();
    assert_eq!(insert(&f.database, 1).now_or_never(), None);
    block_on(insert(&f.database, 2)).expect("written");
    assert_eq!(rows(&f.database), [1, 2]);
}

#[test]
fn a_statement_may_be_wanted_while_its_like_is_in_use() {
    let f = fixture();
    let sums = f.database.write(0, |tx: &mut Tx<'_>| -> Result<i64, WriteError<StoreError>> {
        let counted = |depth: i64| -> rusqlite::Result<i64> {
            const COUNT: &str = "SELECT value FROM (SELECT 1 AS value UNION ALL SELECT 2) WHERE value >= ?1";
            let (mut outer, mut inner) = (tx.prepare(COUNT)?, tx.prepare(COUNT)?);
            let mut sum = 0;
            let mut rows = outer.query([depth])?;
            while let Some(row) = rows.next()? {
                let least: i64 = row.get(0)?;
                sum += inner.query_map([least], |row| row.get::<_, i64>(0))?.sum::<rusqlite::Result<i64>>()?;
            }
            Ok(sum)
        };
        Ok(counted(1)? * 10 + counted(2)?)
    });
    assert_eq!(block_on(sums), Ok(52));
}

#[test]
fn the_sequence_rises_also_after_a_reopening() {
    let f = fixture();
    let numbers: Vec<u64> = (0..5).map(|n| block_on(insert(&f.database, n)).expect("written")).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b));
    let Fixture { database, clock, dir, .. } = f;
    drop(database);
    let threads = Threads::start("test", 1).expect("a thread");
    let again = Database::open(&dir.path().join("t.db"), KIND, clock, threads.pool()).expect("opens");
    assert!(block_on(insert(&again, 6)).expect("written") > numbers[4]);
}

#[test]
fn a_full_file_turns_read_only_and_recovers() {
    let f = fixture();
    block_on(insert(&f.database, 1)).expect("written");
    let limit = f.database.write(0, |tx: &mut Tx<'_>| -> Result<(), WriteError<StoreError>> {
        tx.connection().pragma_update(None, "max_page_count", 4)?;
        Ok(())
    });
    block_on(limit).expect("set");
    let fill = || {
        f.database.write(0, |tx: &mut Tx<'_>| -> Result<(), WriteError<StoreError>> {
            tx.connection().execute_batch(
                "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 20000) \
                 INSERT INTO t SELECT n % 1000 FROM c",
            )?;
            Ok(())
        })
    };
    let full = |outcome: Result<(), StoreError>| matches!(outcome, Err(StoreError::Full(_)));
    assert!(full(block_on(fill())));
    assert!(full(block_on(insert(&f.database, 2)).map(drop)), "no write is tried before the pause is over");
    assert_eq!(rows(&f.database), [1], "reads go on");
    f.clock.advance(Duration::from_millis(100).as_millis() as u64);
    block_on(insert(&f.database, 2)).expect("the file was opened again");
    block_on(fill()).expect("with room");
    assert_eq!(rows(&f.database).len(), 20_002);
    f.database.check().expect("sound");
}

#[test]
fn a_queue_beyond_its_bounds_is_busy() {
    let f = fixture();
    // While the writer is held, at most one group leaves the queue.
    let held = f.database.writer.lock().expect("not poisoned");
    let write = || {
        let nothing = |_: &mut Tx<'_>| -> Result<(), WriteError<StoreError>> { Ok(()) };
        f.database.write(QUEUE_BYTES_MAX, nothing).now_or_never()
    };
    assert_eq!((write(), write().is_some_and(|answer| answer.is_ok())), (None, false));
    assert!(matches!(write(), Some(Err(StoreError::Busy { .. }))));
    drop(held);
}

#[test]
fn a_file_of_another_kind_is_refused() {
    let f = fixture();
    let other = Kind { application_id: 8, ..KIND };
    let error = Database::open(&f.dir.path().join("t.db"), other, f.clock.clone(), f._threads.pool()).err();
    assert!(matches!(error, Some(StoreError::Corrupt(_))), "{error:?}");
}
