//! The provider of PostgreSQL against a real server.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use base::{AppName, PostgresLimits, ResourceName, TenantName};
use selvedge_services_cluster::PostgresPools;
use services::AppId;
use services::conformance::{self, PostgresSubject};
use services::egress::{EgressPolicy, EgressRule};
use services::postgres::{
    Address, Database, DatabaseOptions, Postgres as _, PostgresError, Query, Tls, TransactionOptions,
};
use testkit::PostgresServer;

use crate::network::Plain;

fn options(url: &str, limits: PostgresLimits) -> DatabaseOptions {
    let tls = Tls::Off;
    let app = AppId::new(TenantName::parse("local").unwrap(), AppName::parse("app").unwrap());
    let address = Address::parse(url, &tls).expect("an address");
    DatabaseOptions { app, name: ResourceName::parse("main").unwrap(), address, tls, limits }
}

fn anywhere() -> Arc<EgressPolicy> {
    let rule = |host: &str| EgressRule::Net(host.parse().unwrap());
    Arc::new(EgressPolicy::new(vec![rule("127.0.0.0/8"), rule("::1/128")], Vec::new()))
}

fn small() -> PostgresLimits {
    PostgresLimits {
        pool: PostgresSubject::POOL,
        pool_wait_ms: PostgresSubject::POOL_WAIT_MS,
        result_bytes: PostgresSubject::RESULT_BYTES,
        notifications: PostgresSubject::NOTIFICATIONS,
        transaction_idle_ms: PostgresSubject::TRANSACTION_IDLE_MS,
        ..PostgresLimits::default()
    }
}

fn open(pools: &PostgresPools, server: &PostgresServer, limits: PostgresLimits) -> Arc<dyn Database> {
    pools.database(options(&server.url(), limits), anywhere())
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

async fn number(database: &Arc<dyn Database>, text: &str) -> Result<String, PostgresError> {
    let result = database.query(Query::new(text)).await?;
    let cell = result.rows[0].cells().next().flatten().expect("a value").to_vec();
    Ok(String::from_utf8(cell).expect("text"))
}

#[test]
fn every_promise_holds() {
    let Some(server) = PostgresServer::start() else { return };
    let pools = PostgresPools::new(Arc::new(Plain));
    let subject = PostgresSubject {
        database: open(&pools, &server, small()),
        beside: open(&pools, &server, PostgresLimits::default()),
    };
    conformance::postgres(&subject);
}

#[test]
fn a_connection_serves_many_statements() {
    let Some(server) = PostgresServer::start() else { return };
    let pools = PostgresPools::new(Arc::new(Plain));
    let limits = PostgresLimits { prepared: 3, ..PostgresLimits::default() };
    let (database, same) = (open(&pools, &server, limits.clone()), open(&pools, &server, limits));
    block_on(async {
        let first = number(&database, "SELECT pg_backend_pid()").await.unwrap();
        for n in 0..20 {
            assert_eq!(number(&database, &format!("SELECT {n}")).await.unwrap(), n.to_string());
            assert_eq!(number(&same, "SELECT pg_backend_pid()").await.unwrap(), first, "one is enough, and shared");
        }
        let kept = number(&database, "SELECT count(*) FROM pg_prepared_statements").await.unwrap();
        assert!(kept.parse::<u32>().unwrap() <= 4, "{kept}");
        assert_eq!(pools.usage().connections.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_connection_that_is_not_used_is_closed() {
    let Some(server) = PostgresServer::start() else { return };
    let pools = PostgresPools::new(Arc::new(Plain));
    let database = open(&pools, &server, PostgresLimits { pool_idle_ms: 200, ..PostgresLimits::default() });
    block_on(async {
        let first = number(&database, "SELECT pg_backend_pid()").await.unwrap();
        let begun = Instant::now();
        while pools.usage().connections.load(Ordering::Relaxed) > 0 {
            assert!(begun.elapsed() < Duration::from_secs(30), "it was never closed");
            tokio::task::yield_now().await;
        }
        assert_ne!(number(&database, "SELECT pg_backend_pid()").await.unwrap(), first);
    });
}

#[test]
fn many_at_once_share_few_connections() {
    let Some(server) = PostgresServer::start() else { return };
    let pools = PostgresPools::new(Arc::new(Plain));
    let database = open(&pools, &server, PostgresLimits { pool: 3, pool_wait_ms: 60_000, ..PostgresLimits::default() });
    block_on(async {
        let statements = (0..300).map(|n| database.query(Query::new(format!("SELECT pg_backend_pid() AS p{}", n % 7))));
        let results = futures_util::future::join_all(statements).await;
        let pids: std::collections::HashSet<_> =
            results.iter().map(|result| result.as_ref().expect("a place").rows[0].0.clone()).collect();
        assert!(pids.len() <= 3, "{} connections", pids.len());
        assert!(pools.usage().connections.load(Ordering::Relaxed) <= 3);
    });
}

#[test]
fn a_server_that_restarts_costs_what_was_in_progress_and_no_more() {
    let Some(mut server) = PostgresServer::start() else { return };
    let pools = PostgresPools::new(Arc::new(Plain));
    let database = open(&pools, &server, PostgresLimits { transaction_idle_ms: 60_000, ..PostgresLimits::default() });
    block_on(async {
        number(&database, "SELECT 1").await.expect("it is up");
        let transaction = database.begin(TransactionOptions::default()).await.expect("a transaction");
        transaction.query(Query::new("CREATE TABLE t ()")).await.expect("a table");
        let listener = database.listen("c".to_owned()).await.expect("a listener");
        let sleeping = tokio::spawn(database.query(Query::new("SELECT pg_sleep(60)")));
        let active = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)' AND state = 'active'";
        while server.sql(active) != "1" {
            tokio::task::yield_now().await;
        }
        server.kill();
        let lost = sleeping.await.unwrap().expect_err("the server is gone");
        assert_eq!(lost.code().name, "postgres_lost", "{lost}");
        let lost = transaction.query(Query::new("SELECT 1")).await.expect_err("its connection is gone");
        assert_eq!(lost.code().name, "postgres_lost", "{lost}");
        assert!(transaction.end(true).await.is_err());
        assert_eq!(listener.next().await.expect_err("the same").code().name, "postgres_lost");
        let down = number(&database, "SELECT 1").await.expect_err("nobody listens");
        assert_eq!(down.code().name, "postgres_unreachable", "{down}");
        server.resume();
        assert_eq!(number(&database, "SELECT count(*) FROM pg_class WHERE relname = 't'").await.unwrap(), "0");
        drop(database.listen("c".to_owned()).await.expect("a new listener"));
    });
}

#[test]
fn a_pooled_connection_that_the_server_closed_is_replaced_unseen() {
    let Some(server) = PostgresServer::start() else { return };
    let pools = PostgresPools::new(Arc::new(Plain));
    let database = open(&pools, &server, PostgresLimits::default());
    block_on(async {
        for _ in 0..3 {
            let pid = number(&database, "SELECT pg_backend_pid()").await.expect("a fresh connection");
            server.sql(&format!("SELECT pg_terminate_backend({pid}, 10000)"));
        }
    });
}

#[test]
fn who_may_not_log_in_hears_so() {
    let Some(server) = PostgresServer::start() else { return };
    let pools = PostgresPools::new(Arc::new(Plain));
    let refused = |url: String| {
        let database = pools.database(options(&url, PostgresLimits::default()), anywhere());
        let error = block_on(number(&database, "SELECT 1")).expect_err(&url);
        assert!(!error.to_string().contains("wrong-secret"), "{error}");
        error.code().name
    };
    assert_eq!(refused(server.url_as("app", "wrong-secret", "postgres")), "postgres_login");
    assert_eq!(refused(server.url_as("nobody", "wrong-secret", "postgres")), "postgres_login");
    assert_eq!(refused(server.url_as("app", testkit::postgres::PASSWORD, "nowhere")), "postgres_login");
    assert_eq!(refused(format!("postgres://app@localhost:{}/postgres", server.port)), "postgres_login");
    assert_eq!(refused("postgres://app:wrong-secret@localhost:1/postgres".to_owned()), "postgres_unreachable");
}

#[test]
fn a_worker_that_may_not_go_there_gets_no_connection_of_another() {
    let Some(server) = PostgresServer::start() else { return };
    let pools = PostgresPools::new(Arc::new(Plain));
    let allowed = open(&pools, &server, PostgresLimits::default());
    let rules = vec![EgressRule::Public];
    let denied = pools
        .database(options(&server.url(), PostgresLimits::default()), Arc::new(EgressPolicy::new(rules, Vec::new())));
    block_on(async {
        number(&allowed, "SELECT 1").await.expect("it may");
        let _listens = allowed.listen("c".to_owned()).await.expect("it may");
        let error = number(&denied, "SELECT 1").await.expect_err("it may not");
        assert_eq!(error.code().name, "egress_denied", "{error}");
        assert_eq!(denied.listen("c".to_owned()).await.err().expect("it may not").code().name, "egress_denied");
    });
}

#[test]
fn the_servers_own_ways_of_logging_in_are_known() {
    let Some(mut server) = PostgresServer::start_with(&[("password_encryption", "md5")]) else { return };
    server.sql("CREATE ROLE old LOGIN PASSWORD 'old-password'");
    let hba = server.private_file(
        "pg_hba.conf",
        b"host all old all md5\nhost all app 127.0.0.1/32 password\nhost all app ::1/128 password\n",
    );
    assert!(hba.is_file());
    server.restart_with(&[("password_encryption", "md5")]);
    let pools = PostgresPools::new(Arc::new(Plain));
    let old = pools.database(options(&server.url_as("old", "old-password", "postgres"), small()), anywhere());
    assert_eq!(block_on(number(&old, "SELECT 7")).expect("MD5"), "7");
    let clear = open(&pools, &server, small());
    let error = block_on(number(&clear, "SELECT 7")).expect_err("the password in clear");
    assert_eq!(error.code().name, "postgres_login", "{error}");
}
