use std::sync::Arc;

use base::{AppName, TenantName};
use futures_util::FutureExt as _;
use futures_util::future::join_all;

use super::sql_feed::{
    changes_are_told_in_order_and_once, rows_that_others_replaced_are_told, tables_that_come_and_go_are_told,
    what_was_undone_is_not_told, who_lies_too_far_behind_is_told_so, who_waits_is_woken,
};
use super::{Subject, block_on, usage};
use crate::sql::{Migration, MigrationError, SqlName, SqlResult};
use crate::{AppId, Sql, SqlDatabase, SqlError, SqlStatement, SqlValue};

/// Whether a provider keeps the promises of [`Sql`], but durability. What a database answers to
/// random statements is compared with SQLite itself in the tests of the provider that has it.
pub fn sql<P: Sql>(open: impl Fn() -> Subject<P>) {
    let check = |test: fn(&P)| test(&open().provider);
    check(values_come_back_as_they_were);
    check(a_batch_is_whole_or_not_at_all);
    check(a_failed_batch_harms_no_neighbour);
    check(writers_are_serializable);
    check(transactions_are_serializable);
    check(a_dropped_transaction_is_rolled_back);
    check(a_read_sees_what_was_acknowledged);
    check(what_is_read_at_once_is_what_a_batch_answers);
    check(databases_share_nothing);
    check(a_database_that_is_deleted_begins_anew);
    check(a_statement_has_bounds);
    check(a_stream_is_one_state);
    check(a_cancelled_batch_is_whole_or_not_at_all);
    check(migrations_are_applied_once_and_in_order);
    check(a_migration_that_fails_leaves_nothing);
    check(a_changed_migration_is_an_error);
    check(changes_are_told_in_order_and_once);
    check(what_was_undone_is_not_told);
    check(rows_that_others_replaced_are_told);
    check(tables_that_come_and_go_are_told);
    check(who_lies_too_far_behind_is_told_so);
    check(who_waits_is_woken);
    block_on(usage::databases_are_counted(&*open().provider));
}

pub(super) fn database(name: &str) -> SqlDatabase {
    let app = AppId::new(TenantName::parse("local").expect("a name"), AppName::parse("app").expect("a name"));
    SqlDatabase::new(&app, SqlName::parse(name).expect("a name"))
}

pub(super) async fn run(sql: &impl Sql, database: &SqlDatabase, text: &str) -> Result<SqlResult, SqlError> {
    let mut answer = sql.batch(database, vec![SqlStatement::new(text)]).await?;
    Ok(answer.results.pop().expect("an answer for each statement"))
}

async fn number(sql: &impl Sql, database: &SqlDatabase, text: &str) -> i64 {
    match run(sql, database, text).await.expect("a number").rows.values[..] {
        [SqlValue::Integer(number)] => number,
        ref other => panic!("{text}: {other:?}"),
    }
}

pub(super) async fn make(sql: &impl Sql, database: &SqlDatabase, text: &str) {
    sql.script(database, text.into()).await.expect("the script runs");
}

fn values_come_back_as_they_were(sql: &impl Sql) {
    block_on(async {
        let db = database("main");
        make(sql, &db, "CREATE TABLE v (a, b, c, d, e)").await;
        let values = vec![
            SqlValue::Null,
            SqlValue::Integer(i64::MIN),
            SqlValue::Real(0.1),
            SqlValue::Text("\u{1f9f5} thread".into()),
            SqlValue::Blob(vec![0, 1, 255]),
        ];
        let insert = SqlStatement::bind("INSERT INTO v VALUES (?, ?, ?, ?, ?)", values.clone());
        let answer = sql.batch(&db, vec![insert, SqlStatement::new("SELECT * FROM v")]).await.expect("it runs");
        assert_eq!((answer.results[0].changes, answer.results[0].last_row_id), (1, 1));
        assert_eq!(answer.results[1].rows.values, values);
        assert_eq!(run(sql, &db, "SELECT * FROM v").await.expect("it runs").rows.values, values);
    });
}

fn a_batch_is_whole_or_not_at_all(sql: &impl Sql) {
    block_on(async {
        let db = database("main");
        make(sql, &db, "CREATE TABLE t (x UNIQUE); INSERT INTO t VALUES (1)").await;
        let insert = |x| SqlStatement::bind("INSERT INTO t VALUES (?)", vec![SqlValue::Integer(x)]);
        let failed = sql.batch(&db, vec![insert(2), insert(3), insert(1)]).await;
        assert!(matches!(failed, Err(SqlError::Constraint(_))), "{failed:?}");
        let script = sql.script(&db, "INSERT INTO t VALUES (4); INSERT INTO t VALUES (1)".into()).await;
        assert!(matches!(script, Err(SqlError::Constraint(_))), "{script:?}");
        assert_eq!(number(sql, &db, "SELECT count(*) FROM t").await, 1);
    });
}

/// Also one that ends the transaction, or whose constraint shows at the commit only.
fn a_failed_batch_harms_no_neighbour(sql: &impl Sql) {
    block_on(async {
        let db = database("main");
        make(
            sql,
            &db,
            "CREATE TABLE t (x UNIQUE); INSERT INTO t VALUES (0); CREATE TABLE p (id INTEGER PRIMARY KEY);
             CREATE TABLE c (p REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED)",
        )
        .await;
        let texts = (1..=60).map(|n| match n % 4 {
            0 => "INSERT OR ROLLBACK INTO t VALUES (0)".to_owned(),
            1 => "INSERT INTO c VALUES (99)".to_owned(),
            2 => "INSERT INTO t VALUES (0)".to_owned(),
            _ => format!("INSERT INTO t VALUES ({n})"),
        });
        let writes = texts.map(|text| {
            let db = &db;
            async move { run(sql, db, &text).await.map(|_| text) }
        });
        let answers = join_all(writes).await;
        for (n, answer) in (1..=60).zip(&answers) {
            match n % 4 {
                3 => assert!(answer.is_ok(), "{n}: {answer:?}"),
                _ => assert!(matches!(answer, Err(SqlError::Constraint(_))), "{n}: {answer:?}"),
            }
        }
        assert_eq!(number(sql, &db, "SELECT count(*) FROM t").await, 16);
        assert_eq!(number(sql, &db, "SELECT count(*) FROM c").await, 0);
    });
}

fn writers_are_serializable(sql: &impl Sql) {
    block_on(async {
        let db = database("main");
        make(sql, &db, "CREATE TABLE n (x); INSERT INTO n VALUES (0)").await;
        let step = "UPDATE n SET x = x + 1 RETURNING x";
        let mut seen: Vec<i64> = join_all((0..100).map(|_| number(sql, &db, step))).await;
        seen.sort_unstable();
        assert_eq!(seen, (1..=100).collect::<Vec<_>>(), "each saw the state after the one before");
    });
}

fn transactions_are_serializable(sql: &impl Sql) {
    block_on(async {
        let db = database("main");
        make(sql, &db, "CREATE TABLE n (x); INSERT INTO n VALUES (0)").await;
        let step = async || {
            let mut tx = sql.begin(&db).await.expect("it begins");
            let read = tx.run(SqlStatement::new("SELECT x FROM n")).await.expect("a read");
            let [SqlValue::Integer(x)] = read.rows.values[..] else { panic!("{read:?}") };
            let write = SqlStatement::bind("UPDATE n SET x = ?", vec![SqlValue::Integer(x + 1)]);
            tx.run(write).await.expect("a write");
            let failed = tx.run(SqlStatement::new("SELECT nothing")).await;
            assert!(matches!(failed, Err(SqlError::Statement(_))), "{failed:?}");
            tx.commit().await.expect("it commits");
        };
        join_all((0..20).map(|_| step())).await;
        assert_eq!(number(sql, &db, "SELECT x FROM n").await, 20);
    });
}

fn a_dropped_transaction_is_rolled_back(sql: &impl Sql) {
    block_on(async {
        let db = database("main");
        make(sql, &db, "CREATE TABLE n (x)").await;
        let insert = || SqlStatement::new("INSERT INTO n VALUES (1)");
        let mut dropped = sql.begin(&db).await.expect("it begins");
        dropped.run(insert()).await.expect("it runs");
        // Nobody sees it from outside.
        assert_eq!(number(sql, &db, "SELECT count(*) FROM n").await, 0);
        drop(dropped);
        let mut undone = sql.begin(&db).await.expect("the writer is free");
        undone.run(insert()).await.expect("it runs");
        undone.rollback().await;
        run(sql, &db, "INSERT INTO n VALUES (2)").await.expect("the writer is free");
        assert_eq!(number(sql, &db, "SELECT sum(x) FROM n").await, 2);
        let over = sql.begin(&db).await.expect("it begins").run(SqlStatement::new("COMMIT")).await;
        assert!(matches!(over, Err(SqlError::Forbidden(_))), "{over:?}");
    });
}

fn a_read_sees_what_was_acknowledged(sql: &impl Sql) {
    block_on(async {
        let db = database("main");
        make(sql, &db, "CREATE TABLE n (x); INSERT INTO n VALUES (0)").await;
        for n in 1..=50 {
            let write = SqlStatement::bind("UPDATE n SET x = ?", vec![SqlValue::Integer(n)]);
            sql.batch(&db, vec![write]).await.expect("a write");
            assert_eq!(number(sql, &db, "SELECT x FROM n").await, n);
        }
    });
}

fn a_database_that_is_deleted_begins_anew<P: Sql>(sql: &P) {
    block_on(async {
        let (one, other) = (database("deleted"), database("stays"));
        let script =
            |database: SqlDatabase, text: &'static str| async move { sql.script(&database, text.into()).await };
        for database in [&one, &other] {
            script(database.clone(), "CREATE TABLE t (x); INSERT INTO t VALUES (1)").await.expect("a table");
        }
        let open = sql.begin(&one).await.expect("a transaction");
        assert!(matches!(sql.delete(&one).await, Err(SqlError::InUse(_))), "somebody uses it");
        drop(open);
        // Who lets go of it does so in his own time.
        while let Err(error) = sql.delete(&one).await {
            assert!(matches!(error, SqlError::InUse(_)), "{error}");
            std::thread::yield_now();
        }
        assert_eq!(sql.databases(&one.app_id()).await.expect("a list"), std::slice::from_ref(&other));
        sql.delete(&one).await.expect("it is gone already");
        script(one.clone(), "CREATE TABLE t (x)").await.expect("it begins anew");
        script(other, "INSERT INTO t VALUES (2)").await.expect("another is as it was");
    });
}

/// Who asks at once gets the answer of a batch or none, and what writes does nothing.
fn what_is_read_at_once_is_what_a_batch_answers(sql: &impl Sql) {
    block_on(async {
        let db = database("main");
        let read = SqlStatement::bind("SELECT n, 'text' FROM t WHERE n >= ?", vec![SqlValue::Integer(0)]);
        if let Some(answer) = sql.read_now(&db, &read) {
            assert!(answer.is_err(), "there is no table yet");
        }
        make(sql, &db, "CREATE TABLE t (n INTEGER)").await;
        for n in 0..20 {
            let insert = SqlStatement::bind("INSERT INTO t VALUES (?)", vec![SqlValue::Integer(n)]);
            let writes = ["INSERT INTO t VALUES (99)", "WITH x AS (SELECT 99) INSERT INTO t SELECT * FROM x"];
            assert!(writes.iter().all(|text| sql.read_now(&db, &SqlStatement::new(*text)).is_none()), "it would write");
            sql.batch(&db, vec![insert]).await.expect("it runs");
            let at_once = sql.read_now(&db, &read).map(|answer| answer.expect("it runs").results);
            let batch = sql.batch(&db, vec![read.clone()]).await.expect("it runs").results;
            assert_eq!(batch[0].rows.values.len() as i64, 2 * (n + 1), "each row once");
            if let Some(results) = at_once {
                assert_eq!(results.len(), 1);
                assert_eq!(results[0].rows, batch[0].rows, "what was acknowledged is seen");
                assert_eq!(results[0].columns, batch[0].columns);
            }
        }
        if let Some(answer) = sql.read_now(&db, &SqlStatement::new("SELECT * FROM _selvedge_migration")) {
            assert!(matches!(answer, Err(SqlError::Forbidden(_))), "{answer:?}");
        }
        if let Some(answer) = sql.read_now(&db, &SqlStatement::new("SELECT n FROM t WHERE n = ?")) {
            assert!(matches!(answer, Err(SqlError::BadParameters(_))), "{answer:?}");
        }
    });
}

fn databases_share_nothing(sql: &impl Sql) {
    block_on(async {
        let (a, b) = (database("a"), database("b"));
        make(sql, &a, "CREATE TABLE t (x); INSERT INTO t VALUES (1)").await;
        assert!(run(sql, &b, "SELECT * FROM t").await.is_err());
        for text in ["ATTACH 'a.db' AS a", "SELECT * FROM _selvedge_migration", "PRAGMA writable_schema = 1"] {
            let refused = run(sql, &a, text).await;
            assert!(matches!(refused, Err(SqlError::Forbidden(_))), "{text}: {refused:?}");
        }
        assert_eq!(sql.databases(&a.app_id()).await.expect("a list"), [a, b]);
    });
}

fn a_statement_has_bounds(sql: &impl Sql) {
    block_on(async {
        let db = database("main");
        let many = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 100000)
            SELECT zeroblob(1000000) FROM n";
        let large = run(sql, &db, many).await;
        assert!(matches!(large, Err(SqlError::ResultTooLarge { .. })), "{large:?}");
        assert_eq!(run(sql, &db, "SELECT zeroblob(1000000000)").await.expect_err("too large").code().name, "sql_limit");
        assert_eq!(number(sql, &db, "SELECT 1").await, 1);
    });
}

fn a_stream_is_one_state(sql: &impl Sql) {
    block_on(async {
        let db = database("main");
        make(
            sql,
            &db,
            "CREATE TABLE t (x, filler); WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 2000)
             INSERT INTO t SELECT x, zeroblob(1000) FROM n",
        )
        .await;
        let mut stream = sql.stream(&db, SqlStatement::new("SELECT x, filler FROM t")).await.expect("it begins");
        assert_eq!(stream.columns(), ["x", "filler"]);
        let mut rows = stream.next().await.expect("rows").expect("some").len();
        run(sql, &db, "DELETE FROM t").await.expect("a stream holds up no writer");
        while let Some(more) = stream.next().await.expect("rows") {
            rows += more.len();
        }
        assert_eq!((rows, stream.rows_read()), (2000, 2000));
        assert_eq!(number(sql, &db, "SELECT count(*) FROM t").await, 0);
        let writes = sql.stream(&db, SqlStatement::new("DELETE FROM t")).await;
        assert!(matches!(writes.map(drop), Err(SqlError::Forbidden(_))));
    });
}

fn a_cancelled_batch_is_whole_or_not_at_all(sql: &impl Sql) {
    block_on(async {
        let db = database("main");
        make(sql, &db, "CREATE TABLE t (x)").await;
        let insert = || SqlStatement::new("INSERT INTO t VALUES (1)");
        for _ in 0..50 {
            // Polled once, then dropped.
            let _ = sql.batch(&db, vec![insert(), insert(), insert()]).now_or_never();
        }
        run(sql, &db, "INSERT INTO t VALUES (2)").await.expect("the writer is free");
        assert_eq!(number(sql, &db, "SELECT count(*) % 3 FROM t WHERE x = 1").await, 0);
    });
}

fn migrations(texts: &[(&str, &str)]) -> Arc<[Migration]> {
    texts.iter().map(|(name, text)| Migration { name: (*name).into(), text: (*text).into() }).collect()
}

const FIRST: (&str, &str) = ("0001_a.sql", "CREATE TABLE a (x); INSERT INTO a VALUES (1);");
const SECOND: (&str, &str) = ("0002_b.sql", "INSERT INTO a VALUES (2);");

fn migrations_are_applied_once_and_in_order(sql: &impl Sql) {
    block_on(async {
        let db = database("main");
        assert_eq!(sql.migrate(&db, migrations(&[FIRST])).await.expect("one"), ["0001_a.sql"]);
        let both = migrations(&[FIRST, SECOND]);
        let again = join_all((0..5).map(|_| sql.migrate(&db, both.clone()))).await;
        let applied: Vec<String> = again.into_iter().flat_map(|names| names.expect("it runs")).collect();
        assert_eq!(applied, ["0002_b.sql"], "by one of five");
        assert_eq!(number(sql, &db, "SELECT sum(x) FROM a").await, 3);
        let noted: Vec<String> = sql.migrations(&db).await.expect("a list").into_iter().map(|m| m.name).collect();
        assert_eq!(noted, ["0001_a.sql", "0002_b.sql"]);
        assert_eq!(sql.migrate(&db, migrations(&[FIRST])).await.expect("an earlier deployment"), [""; 0]);
    });
}

fn a_migration_that_fails_leaves_nothing(sql: &impl Sql) {
    block_on(async {
        let db = database("main");
        let broken = ("0002_b.sql", "CREATE TABLE b (x); INSERT INTO a VALUES (2); INSERT INTO nowhere VALUES (1);");
        let failed = sql.migrate(&db, migrations(&[FIRST, broken])).await;
        let Err(SqlError::Migration(MigrationError::Failed { name, message })) = failed else { panic!("{failed:?}") };
        assert_eq!(name, "0002_b.sql");
        assert!(message.contains("no such table: nowhere"), "{message}");
        assert_eq!(number(sql, &db, "SELECT sum(x) FROM a").await, 1, "the first stays");
        assert!(run(sql, &db, "SELECT * FROM b").await.is_err());
        assert_eq!(sql.migrate(&db, migrations(&[FIRST, SECOND])).await.expect("mended"), ["0002_b.sql"]);
        let cheating = migrations(&[FIRST, SECOND, ("0003_c.sql", "COMMIT; CREATE TABLE c (x);")]);
        assert!(sql.migrate(&db, cheating).await.is_err(), "a migration does not end its transaction");
    });
}

fn a_changed_migration_is_an_error(sql: &impl Sql) {
    block_on(async {
        let db = database("main");
        sql.migrate(&db, migrations(&[FIRST])).await.expect("one");
        let changed = migrations(&[("0001_a.sql", "CREATE TABLE a (x, y);"), SECOND]);
        let refused = sql.migrate(&db, changed).await;
        let expected = MigrationError::Changed { name: "0001_a.sql".into() };
        assert_eq!(refused, Err(SqlError::Migration(expected)));
        assert_eq!(number(sql, &db, "SELECT count(*) FROM a").await, 1, "none was applied");
    });
}
