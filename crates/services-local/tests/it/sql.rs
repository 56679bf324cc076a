//! SQL in files: compared with SQLite in memory, over restarts, with damaged files, and in numbers.

use std::fs::{self, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use base::{AppName, NodeLimits, TenantName};
use proptest::prelude::*;
use rusqlite::Connection;
use rusqlite::types::{Value, ValueRef};
use services::conformance::random;
use services::sql::{SqlName, SqlResult};
use services::{AppId, Sql as _, SqlDatabase, SqlError, SqlStatement, SqlValue};
use services_local::{DataDir, DataDirOptions, LocalSql};
use testkit::ManualClock;

use crate::{Place, block_on};

fn database(name: &str) -> SqlDatabase {
    let app = AppId::new(TenantName::parse("local").unwrap(), AppName::parse("app").unwrap());
    SqlDatabase::new(&app, SqlName::parse(name).unwrap())
}

fn file(place: &Place, name: &str) -> PathBuf {
    place.data().join("sql/local/app").join(format!("{name}.db"))
}

async fn run(sql: &LocalSql, database: &SqlDatabase, text: &str) -> Result<SqlResult, SqlError> {
    let mut answer = sql.batch(database, vec![SqlStatement::new(text)]).await?;
    Ok(answer.results.pop().expect("an answer"))
}

/// A statement, and the values of its parameters.
pub type Asked = (String, Vec<SqlValue>);

/// One statement on a small table, so that keys meet often.
pub fn statement() -> impl Strategy<Value = Asked> {
    let value = prop_oneof![
        Just(SqlValue::Null),
        any::<i64>().prop_map(SqlValue::Integer),
        (-1e9..1e9).prop_map(SqlValue::Real),
        "[a-zA-Z0-9 'é]{0,12}".prop_map(SqlValue::Text),
        proptest::collection::vec(any::<u8>(), 0..12).prop_map(SqlValue::Blob),
    ];
    let key = (0i64..6).prop_map(SqlValue::Integer);
    prop_oneof![
        (key.clone(), value.clone()).prop_map(|(k, v)| ("INSERT INTO t VALUES (?, ?)".into(), vec![k, v])),
        (key.clone(), value.clone()).prop_map(|(k, v)| {
            ("INSERT INTO t VALUES (?, ?) ON CONFLICT DO UPDATE SET v = excluded.v RETURNING *".into(), vec![k, v])
        }),
        (key.clone(), value.clone()).prop_map(|(k, v)| ("INSERT OR ROLLBACK INTO t VALUES (?, ?)".into(), vec![k, v])),
        (key.clone(), value.clone())
            .prop_map(|(k, v)| ("REPLACE INTO t VALUES (?1, ?2), (?1 + 1, ?2)".into(), vec![k, v])),
        (key.clone(), value.clone())
            .prop_map(|(k, v)| ("INSERT INTO t VALUES (?1 + 1, ?2), (?1, ?2)".into(), vec![k, v])),
        (key.clone(), value).prop_map(|(k, v)| ("UPDATE t SET v = ?2 WHERE k >= ?1".into(), vec![k, v])),
        key.clone().prop_map(|k| ("DELETE FROM t WHERE k = ?".into(), vec![k])),
        key.clone().prop_map(|k| ("DELETE FROM t WHERE k > ? RETURNING k".into(), vec![k])),
        key.prop_map(|k| ("SELECT k, v, typeof(v) FROM t WHERE k <> ? ORDER BY k".into(), vec![k])),
        Just(("SELECT count(*), max(k) FROM t".into(), Vec::new())),
        Just(("SELEC nothing".into(), Vec::new())),
    ]
}

/// What is asked of a database.
#[derive(Clone, Debug)]
enum Step {
    Batch(Vec<Asked>),
    /// Statement by statement; a failed one changes nothing.
    Transaction {
        statements: Vec<Asked>,
        keep: bool,
    },
    Stream,
    /// The file closes for want of use.
    Idle,
}

fn step() -> impl Strategy<Value = Step> {
    let statements = || proptest::collection::vec(statement(), 1..4);
    prop_oneof![
        30 => statements().prop_map(Step::Batch),
        8 => (statements(), any::<bool>()).prop_map(|(statements, keep)| Step::Transaction { statements, keep }),
        2 => Just(Step::Stream),
        1 => Just(Step::Idle),
    ]
}

/// What SQLite itself answers to a statement, in memory; `None` if it failed.
pub fn sqlite(connection: &Connection, (sql, values): &Asked) -> Option<Vec<SqlValue>> {
    let values = values.iter().map(|value| match value {
        SqlValue::Null => Value::Null,
        SqlValue::Integer(value) => Value::Integer(*value),
        SqlValue::Real(value) => Value::Real(*value),
        SqlValue::Text(text) => Value::Text(text.clone()),
        SqlValue::Blob(bytes) => Value::Blob(bytes.clone()),
    });
    let mut statement = connection.prepare_cached(sql).ok()?;
    let width = statement.column_count();
    let mut rows = statement.query(rusqlite::params_from_iter(values)).ok()?;
    let mut answer = Vec::new();
    while let Some(row) = rows.next().ok()? {
        answer.extend((0..width).map(|n| match row.get_ref(n).unwrap() {
            ValueRef::Null => SqlValue::Null,
            ValueRef::Integer(value) => SqlValue::Integer(value),
            ValueRef::Real(value) => SqlValue::Real(value),
            ValueRef::Text(text) => SqlValue::Text(String::from_utf8(text.to_vec()).unwrap()),
            ValueRef::Blob(bytes) => SqlValue::Blob(bytes.to_vec()),
        }));
    }
    Some(answer)
}

/// The same for a batch, which is one transaction.
fn sqlite_batch(connection: &Connection, batch: &[Asked]) -> Option<Vec<Vec<SqlValue>>> {
    let transaction = connection.unchecked_transaction().unwrap();
    let answers = batch.iter().map(|asked| sqlite(&transaction, asked)).collect::<Option<Vec<_>>>()?;
    transaction.commit().ok()?;
    Some(answers)
}

/// The same for a transaction over several calls. One that a statement ended answers nothing more.
fn sqlite_transaction(connection: &Connection, statements: &[Asked], keep: bool) -> Vec<Option<Vec<SqlValue>>> {
    connection.execute_batch("BEGIN").unwrap();
    let mut run = |asked| if connection.is_autocommit() { None } else { sqlite(connection, asked) };
    let mut answers: Vec<_> = statements.iter().map(&mut run).collect();
    let ended = connection.is_autocommit();
    if !ended {
        connection.execute_batch(if keep { "COMMIT" } else { "ROLLBACK" }).unwrap();
    }
    answers.push((!keep || !ended).then(Vec::new));
    answers
}

async fn transaction(
    sql: &LocalSql,
    database: &SqlDatabase,
    statements: &[Asked],
    keep: bool,
) -> Vec<Option<Vec<SqlValue>>> {
    let mut transaction = sql.begin(database).await.expect("it begins");
    let mut answers = Vec::new();
    for (text, values) in statements {
        let answer = transaction.run(SqlStatement::bind(text.as_str(), values.clone())).await;
        answers.push(answer.ok().map(|answer| answer.rows.values));
    }
    answers.push(match keep {
        true => transaction.commit().await.ok().map(|_| Vec::new()),
        false => {
            transaction.rollback().await;
            Some(Vec::new())
        }
    });
    answers
}

async fn streamed(sql: &LocalSql, database: &SqlDatabase, text: &str) -> Vec<SqlValue> {
    let mut stream = sql.stream(database, SqlStatement::new(text)).await.expect("it begins");
    let mut values = Vec::new();
    while let Some(rows) = stream.next().await.expect("rows") {
        values.extend(rows.values);
    }
    values
}

#[test]
fn random_statements_answer_what_sqlite_answers() {
    let (place, clock) = (Place::in_memory(), ManualClock::new());
    let data = DataDir::open(place.data(), DataDirOptions { clock: clock.clone(), ..place.options() }).unwrap();
    let sql = data.sql();
    let count = std::cell::Cell::new(0);
    random("SQL", step(), |steps| {
        count.set(count.get() + 1);
        let database = database(&format!("random-{}", count.get()));
        let memory = Connection::open_in_memory().unwrap();
        let table = "CREATE TABLE t (k INTEGER PRIMARY KEY, v)";
        memory.execute_batch(table).unwrap();
        block_on(async {
            run(&sql, &database, table).await.unwrap();
            for step in &steps {
                match step {
                    Step::Batch(batch) => {
                        let bind = |(sql, values): &Asked| SqlStatement::bind(sql.as_str(), values.clone());
                        let answer = sql.batch(&database, batch.iter().map(bind).collect()).await;
                        let rows =
                            answer.ok().map(|answer| answer.results.into_iter().map(|r| r.rows.values).collect());
                        prop_assert_eq!(rows, sqlite_batch(&memory, batch), "{:?}", batch);
                    }
                    Step::Transaction { statements, keep } => {
                        let answers = transaction(&sql, &database, statements, *keep).await;
                        prop_assert_eq!(answers, sqlite_transaction(&memory, statements, *keep), "{:?}", statements);
                    }
                    Step::Stream => {
                        let text = "SELECT k, v FROM t ORDER BY k DESC";
                        let expected = sqlite(&memory, &(text.to_owned(), Vec::new()));
                        prop_assert_eq!(Some(streamed(&sql, &database, text).await), expected);
                    }
                    Step::Idle => {
                        clock.advance(NodeLimits::default().sql_idle_ms + 1);
                        sql.close_idle();
                    }
                }
            }
            Ok(())
        })
    });
}

#[test]
fn databases_outlive_the_node_and_idle_ones_close() {
    let (place, clock) = (Place::in_memory(), ManualClock::new());
    let limits = NodeLimits { sql_files_open: 8, ..NodeLimits::default() };
    let options = || DataDirOptions { clock: clock.clone(), limits: limits.clone(), ..place.options() };
    let data = DataDir::open(place.data(), options()).unwrap();
    let sql = data.sql();
    block_on(async {
        for n in 0..50 {
            let database = database(&format!("tenant-{n}"));
            sql.script(&database, format!("CREATE TABLE t (x); INSERT INTO t VALUES ({n})")).await.unwrap();
        }
        assert!(sql.open_count() <= 9, "{} are open", sql.open_count());
        clock.advance(limits.sql_idle_ms + 1);
        // The thread of the last turn may hold its database a moment longer.
        while sql.open_count() > 0 {
            sql.close_idle();
            std::thread::yield_now();
        }
    });
    drop((sql, data));
    let data = DataDir::open(place.data(), options()).unwrap();
    block_on(async {
        for n in [0, 17, 49] {
            let read = run(&data.sql(), &database(&format!("tenant-{n}")), "SELECT x FROM t").await.unwrap();
            assert_eq!(read.rows.values, [SqlValue::Integer(n)]);
        }
        assert_eq!(data.sql().databases(&database("x").app_id()).await.unwrap().len(), 50);
    });
}

#[test]
fn transactions_that_last_too_long_are_rolled_back() {
    let (place, clock) = (Place::in_memory(), ManualClock::new());
    let options = DataDirOptions { clock: clock.clone(), ..place.options() };
    let data = DataDir::open(place.data(), options).unwrap();
    let (sql, db) = (data.sql(), database("main"));
    block_on(async {
        run(&sql, &db, "CREATE TABLE t (x)").await.unwrap();
        for (advance, reason) in [(1_001, "sql_transaction_idle_ms"), (5_001, "sql_transaction_ms")] {
            let mut tx = sql.begin(&db).await.unwrap();
            tx.run(SqlStatement::new("INSERT INTO t VALUES (1)")).await.unwrap();
            clock.advance(advance);
            // The next writer gets its turn only when the transaction is over.
            run(&sql, &db, "INSERT INTO t VALUES (2)").await.unwrap();
            let over = tx.run(SqlStatement::new("INSERT INTO t VALUES (1)")).await.unwrap_err();
            assert!(over.to_string().contains(reason), "{over}");
            assert_eq!(tx.commit().await.unwrap_err().code().name, "sql_transaction_over");
        }
        let sum = run(&sql, &db, "SELECT sum(x) FROM t").await.unwrap();
        assert_eq!(sum.rows.values, [SqlValue::Integer(4)]);
    });
}

/// Makes a database of a few pages and closes it.
fn filled(place: &Place) {
    let data = place.open();
    block_on(async {
        let text = "CREATE TABLE t (x); WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 2000)
            INSERT INTO t SELECT printf('%0100d', x) FROM n";
        data.sql().script(&database("main"), text.into()).await.unwrap();
        data.sql().script(&database("other"), "CREATE TABLE t (x)".into()).await.unwrap();
    });
}

#[test]
fn a_damaged_page_is_store_corrupt_and_its_neighbours_go_on() {
    let place = Place::in_memory();
    filled(&place);
    let mut damaged = OpenOptions::new().write(true).open(file(&place, "main")).unwrap();
    damaged.seek(SeekFrom::Start(10 * 4096)).unwrap();
    damaged.write_all(&[0xAA; 4096]).unwrap();
    drop(damaged);
    let data = place.open();
    block_on(async {
        let error = run(&data.sql(), &database("main"), "SELECT count(x), max(x) FROM t").await.unwrap_err();
        assert_eq!(error.code().name, "store_corrupt", "{error}");
        assert_eq!(data.sql().check(&database("main")).await.unwrap_err().code().name, "store_corrupt");
        run(&data.sql(), &database("other"), "INSERT INTO t VALUES (1)").await.unwrap();
    });
}

#[test]
fn files_of_another_kind_and_of_a_newer_version_are_refused() {
    let place = Place::in_memory();
    filled(&place);
    fs::write(file(&place, "text"), "this is no database, but long enough to look like one".repeat(100)).unwrap();
    let change = |name: &str, pragma: &str| {
        Connection::open(file(&place, name)).unwrap().execute_batch(pragma).unwrap();
    };
    change("main", "PRAGMA user_version = 2");
    change("other", "PRAGMA application_id = 7");
    let data = place.open();
    block_on(async {
        let error = async |name: &str| run(&data.sql(), &database(name), "SELECT 1").await.unwrap_err();
        let newer = error("main").await;
        assert_eq!(newer.code().name, "store_failed");
        let SqlError::Store(newer) = newer else { panic!("{newer}") };
        assert!(newer.to_string().contains("has format 2, this Selvedge knows 1; use a newer one"), "{newer}");
        assert_eq!(error("other").await.code().name, "store_corrupt");
        assert_eq!(error("text").await.code().name, "store_corrupt");
    });
}

#[test]
fn a_truncated_log_beside_a_database_loses_nothing_that_was_acknowledged() {
    let place = Place::in_memory();
    // The process "dies" here: its files are copied while it runs.
    let left = Place::in_memory();
    {
        let data = place.open();
        block_on(async {
            run(&data.sql(), &database("main"), "CREATE TABLE t (x)").await.unwrap();
            for n in 0..100 {
                run(&data.sql(), &database("main"), &format!("INSERT INTO t VALUES ({n})")).await.unwrap();
            }
        });
        copy(&place.data(), &left.data());
    }
    let log = PathBuf::from(format!("{}-wal", file(&left, "main").display()));
    let length = fs::metadata(&log).unwrap().len();
    assert!(length > 0, "there is a log to cut");
    OpenOptions::new().write(true).open(&log).unwrap().set_len(length / 2 + 7).unwrap();
    let data = left.open();
    block_on(async {
        let count = run(&data.sql(), &database("main"), "SELECT count(*) FROM t").await.unwrap();
        assert_eq!(count.rows.values, [SqlValue::Integer(100)]);
        data.sql().check(&database("main")).await.unwrap();
    });
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}
