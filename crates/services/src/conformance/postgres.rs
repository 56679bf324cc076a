//! The promises of [`Postgres`](crate::postgres), against a server. Each function gets a database of its
//! own, or one in which nobody else is.

use std::future::Future;
use std::sync::Arc;

use super::block_on;
use crate::postgres::{
    Database, Isolation, Kind, Param, PostgresError, Query, ResultSet, Transaction, TransactionOptions, Value,
};

/// What the suite needs to know of the database it is given.
pub struct PostgresSubject {
    /// With a pool of [`POOL`](PostgresSubject::POOL) connections, rows up to
    /// [`RESULT_BYTES`](PostgresSubject::RESULT_BYTES) and
    /// [`NOTIFICATIONS`](PostgresSubject::NOTIFICATIONS) notifications.
    pub database: Arc<dyn Database>,
    /// Another way to the same database, with connections of its own.
    pub beside: Arc<dyn Database>,
}

impl PostgresSubject {
    pub const POOL: u64 = 2;
    pub const POOL_WAIT_MS: u64 = 500;
    pub const RESULT_BYTES: u64 = 64 << 10;
    pub const NOTIFICATIONS: u64 = 4;
    pub const TRANSACTION_IDLE_MS: u64 = 500;
}

/// Runs the suite. The database is empty.
pub fn postgres(subject: &PostgresSubject) {
    block_on(async {
        an_acknowledged_statement_is_committed(subject).await;
        a_transaction_is_seen_when_it_is_committed(subject).await;
        a_transaction_that_is_not_committed_leaves_nothing(subject).await;
        a_failed_transaction_is_not_committed(subject).await;
        a_connection_comes_back_clean(subject).await;
        a_statement_survives_a_change_of_the_schema(subject).await;
        a_dropped_statement_is_cancelled(subject).await;
        a_large_result_is_not_gathered(subject).await;
        what_finds_no_connection_is_refused(subject).await;
        notifications_arrive_in_order_or_the_listener_ends(subject).await;
        what_moves_data_beside_the_protocol_is_refused(subject).await;
    });
}

async fn run(database: &Arc<dyn Database>, text: &str) -> Result<ResultSet, PostgresError> {
    database.query(Query::new(text)).await
}

async fn must(database: &Arc<dyn Database>, text: &str) -> ResultSet {
    run(database, text).await.unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The first cell as text.
fn first(result: &ResultSet) -> String {
    match result.columns[0].read(result.rows[0].cells().next().flatten()) {
        Value::Text(text) => text.into_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        other => panic!("{other:?}"),
    }
}

async fn count(database: &Arc<dyn Database>, table: &str) -> String {
    first(&must(database, &format!("SELECT count(*) FROM {table}")).await)
}

async fn in_transaction(transaction: &Arc<dyn Transaction>, text: &str) -> Result<ResultSet, PostgresError> {
    transaction.query(Query::new(text)).await
}

/// Promise 1.
async fn an_acknowledged_statement_is_committed(subject: &PostgresSubject) {
    must(&subject.database, "CREATE TABLE notes (id int PRIMARY KEY, note text)").await;
    let insert = Query::new("INSERT INTO notes VALUES ($1, $2)");
    let insert = insert.bind(Param::Text("1".to_owned())).bind(Param::Text("one".to_owned()));
    let inserted = subject.database.query(insert.clone()).await.expect("an insert");
    assert_eq!((inserted.command.as_str(), inserted.row_count), ("INSERT", Some(1)));
    assert_eq!(count(&subject.beside, "notes").await, "1", "somebody else sees it");
    let error = subject.database.query(insert).await.expect_err("a second of the same key");
    let PostgresError::Statement(said) = error else { panic!("{error}") };
    assert_eq!((said.sqlstate.as_str(), said.constraint.as_deref()), ("23505", Some("notes_pkey")));
    let wrong = subject.database.query(Query::new("SELECT 1").bind(Param::Null)).await;
    assert!(matches!(wrong, Err(PostgresError::Refused(_))), "a parameter too many: {wrong:?}");
}

/// Promise 3.
async fn a_transaction_is_seen_when_it_is_committed(subject: &PostgresSubject) {
    let options = TransactionOptions { isolation: Some(Isolation::Serializable), ..Default::default() };
    let transaction = subject.database.begin(options).await.expect("a transaction");
    let level = in_transaction(&transaction, "SHOW transaction_isolation").await.expect("a setting");
    assert_eq!(first(&level), "serializable");
    in_transaction(&transaction, "INSERT INTO notes VALUES (2, 'two')").await.expect("an insert");
    assert_eq!(count(&subject.database, "notes").await, "1", "not yet");
    transaction.end(true).await.expect("a commit");
    assert_eq!(count(&subject.beside, "notes").await, "2");
    let late = in_transaction(&transaction, "SELECT 1").await;
    assert!(matches!(late, Err(PostgresError::Refused(_))), "{late:?}");
    let options = TransactionOptions { read_only: true, ..Default::default() };
    let transaction = subject.database.begin(options).await.expect("a transaction");
    let refused = in_transaction(&transaction, "INSERT INTO notes VALUES (3, 'three')").await;
    assert!(matches!(refused, Err(PostgresError::Statement(error)) if error.sqlstate == "25006"));
}

/// Promise 3.
async fn a_transaction_that_is_not_committed_leaves_nothing(subject: &PostgresSubject) {
    for dropped in [true, false] {
        let transaction = subject.database.begin(TransactionOptions::default()).await.expect("a transaction");
        in_transaction(&transaction, "INSERT INTO notes VALUES (9, 'nine')").await.expect("an insert");
        if dropped {
            drop(transaction);
        } else {
            transaction.end(false).await.expect("a rollback");
        }
    }
    // Its lock goes with it, so this waits until it is rolled back.
    must(&subject.beside, "INSERT INTO notes VALUES (9, 'another')").await;
    must(&subject.beside, "DELETE FROM notes WHERE id = 9").await;
    let idle = subject.database.begin(TransactionOptions::default()).await.expect("a transaction");
    in_transaction(&idle, "LOCK TABLE notes").await.expect("a lock");
    must(&subject.beside, "SELECT 1 FROM notes").await;
    let error = in_transaction(&idle, "SELECT 1").await.expect_err("it stood idle for too long");
    assert!(matches!(error, PostgresError::Timeout(_)), "{error}");
}

/// Promise 3.
async fn a_failed_transaction_is_not_committed(subject: &PostgresSubject) {
    let transaction = subject.database.begin(TransactionOptions::default()).await.expect("a transaction");
    in_transaction(&transaction, "SELECT 1 / 0").await.expect_err("a division by zero");
    let error = transaction.end(true).await.expect_err("nothing was committed");
    assert!(matches!(error, PostgresError::Refused(_)), "{error}");
    let opened = run(&subject.database, "BEGIN").await;
    assert!(matches!(opened, Err(PostgresError::Refused(_))), "a transaction without an owner: {opened:?}");
}

/// Promise 4.
async fn a_connection_comes_back_clean(subject: &PostgresSubject) {
    for left in [
        "SET search_path = nowhere",
        "SELECT set_config('search_path', 'nowhere', false)",
        "CREATE TEMPORARY TABLE notes (id int)",
        "SELECT pg_advisory_lock(7)",
        "LISTEN somewhere",
        "BEGIN",
    ] {
        // What becomes of it is not the question.
        let _ = run(&subject.database, left).await;
        // More than there are connections, one after another.
        for _ in 0..3 {
            assert_eq!(count(&subject.database, "notes").await, "2", "after {left}");
        }
        let free = must(&subject.beside, "SELECT pg_try_advisory_xact_lock(7)").await;
        assert_eq!(first(&free), "true", "after {left}");
    }
}

/// Promise 5.
async fn a_statement_survives_a_change_of_the_schema(subject: &PostgresSubject) {
    let all = "SELECT * FROM notes WHERE id = 1";
    for _ in 0..3 {
        assert_eq!(must(&subject.database, all).await.columns.len(), 2);
    }
    must(&subject.beside, "ALTER TABLE notes ADD COLUMN more int8[]").await;
    for _ in 0..3 {
        let result = must(&subject.database, all).await;
        assert_eq!(result.columns.len(), 3);
        assert_eq!((result.columns[2].kind, result.columns[2].array), (Kind::BigInt, true));
    }
    must(&subject.beside, "ALTER TABLE notes DROP COLUMN more").await;
    assert_eq!(must(&subject.database, all).await.columns.len(), 2);
}

/// Promise 6.
async fn a_dropped_statement_is_cancelled(subject: &PostgresSubject) {
    let mark = "SELECT pg_sleep(60) /* to be dropped */";
    let running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = $1";
    let running = Query::new(running).bind(Param::Text(mark.to_owned()));
    let is_running = async |wanted: &str| {
        loop {
            let result = subject.beside.query(running.clone()).await.expect("the server's list");
            if first(&result) == wanted {
                return;
            }
        }
    };
    let statement = subject.database.query(Query::new(mark));
    futures_util::future::select(statement, std::pin::pin!(is_running("1"))).await;
    is_running("0").await;
    let begun = subject.database.query(Query { timeout_ms: Some(50), ..Query::new("SELECT pg_sleep(60)") }).await;
    assert!(matches!(begun, Err(PostgresError::Timeout(_))), "{begun:?}");
    for _ in 0..3 {
        must(&subject.database, "SELECT 1").await;
    }
}

/// Promise 7.
async fn a_large_result_is_not_gathered(subject: &PostgresSubject) {
    for text in ["SELECT repeat('x', 1000 + 0 * generate_series(1, 100000000))", "SELECT repeat('x', 100000000)"] {
        let error = run(&subject.database, text).await.expect_err("too large");
        assert!(matches!(error, PostgresError::ResultTooLarge { .. }), "{text}: {error}");
    }
    must(&subject.database, "SELECT 1").await;
}

/// Promise 7.
async fn what_finds_no_connection_is_refused(subject: &PostgresSubject) {
    let mut held = Vec::new();
    for _ in 0..PostgresSubject::POOL {
        held.push(subject.database.begin(TransactionOptions::default()).await.expect("a transaction"));
    }
    // They must not stand idle while one waits for them.
    let keep = async {
        loop {
            for transaction in &held {
                in_transaction(transaction, "SELECT pg_sleep(0.05)").await.expect("it is open");
            }
        }
    };
    let refused = async { run(&subject.database, "SELECT 1").await };
    let refused = either(refused, keep).await.expect_err("all are in use");
    assert!(matches!(refused, PostgresError::Busy(_)), "{refused}");
    drop(held);
    must(&subject.database, "SELECT 1").await;
}

async fn either<T>(wanted: impl Future<Output = T>, beside: impl Future<Output = T>) -> T {
    let (value, _) = futures_util::future::select(Box::pin(wanted), Box::pin(beside)).await.factor_first();
    value
}

/// Promise 9.
async fn notifications_arrive_in_order_or_the_listener_ends(subject: &PostgresSubject) {
    let channel = "a \"channel\"";
    let notify = |payload: u64| {
        let query = Query::new("SELECT pg_notify($1, $2)").bind(Param::Text(channel.to_owned()));
        subject.beside.query(query.bind(Param::Text(payload.to_string())))
    };
    let listener = subject.database.listen(channel.to_owned()).await.expect("a listener");
    let other = subject.database.listen("another".to_owned()).await.expect("a listener");
    for n in 0..3 {
        notify(n).await.expect("a notification");
    }
    for n in 0..3 {
        let heard = listener.next().await.expect("a notification");
        assert_eq!((heard.channel.as_str(), heard.payload), (channel, n.to_string()));
    }
    for n in 0..PostgresSubject::NOTIFICATIONS + 2 {
        notify(n).await.expect("a notification");
    }
    // Listening anew waits for all that came before.
    let again = subject.database.listen(channel.to_owned()).await.expect("a listener");
    for _ in 0..PostgresSubject::NOTIFICATIONS {
        listener.next().await.expect("what had room");
    }
    let error = listener.next().await.expect_err("some had none");
    assert!(matches!(error, PostgresError::Overflow { .. }), "{error}");
    notify(7).await.expect("a notification");
    let heard = again.next().await.expect("a notification");
    assert!(heard.payload == "7" || heard.payload == "5", "{heard:?}");
    drop(other);
    let refused = subject.database.listen(String::new()).await;
    assert!(matches!(refused.err(), Some(PostgresError::Refused(_))));
}

/// Bad input of the kind that speaks another protocol.
async fn what_moves_data_beside_the_protocol_is_refused(subject: &PostgresSubject) {
    for text in ["COPY notes FROM STDIN", "COPY notes TO STDOUT"] {
        let error = run(&subject.database, text).await.expect_err("a copy");
        assert!(matches!(error, PostgresError::Refused(_)), "{text}: {error}");
    }
    let error = run(&subject.database, "SELECT 1; SELECT 2").await.expect_err("two statements");
    assert!(matches!(error, PostgresError::Statement(said) if said.sqlstate == "42601"));
    let nul = run(&subject.database, "SELECT '\0'").await;
    assert!(matches!(nul, Err(PostgresError::Refused(_))), "{nul:?}");
    let empty = must(&subject.database, "-- nothing").await;
    assert!(empty.rows.is_empty());
    must(&subject.database, "SELECT 1").await;
}
