//! Measures SQL at the contract: a point query beside the same prepared query in plain SQLite, and
//! durable commits of one and of a thousand databases that write at once, beside flushes.
//!
//! ```text
//! cargo run --release -p selvedge-services-local --example sql_figures [DIR]
//! ```

extern crate selvedge_services_local as services_local;

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{AppName, NodeLimits, TenantName};
use futures_util::future::join_all;
use rusqlite::Connection;
use services::sql::SqlName;
use services::{AppId, Sql as _, SqlDatabase, SqlStatement, SqlValue};
use services_local::{DataDir, DataDirOptions, LocalSql};

/// How long each figure is measured.
const TURN: Duration = Duration::from_millis(1_500);
const ROWS: i64 = 10_000;
const DATABASES: usize = 1_000;
const POINT: &str = "SELECT id, name FROM user WHERE id = ?1";

fn main() {
    let parent = std::env::args().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let place = parent.join(format!("sql-figures-{}", std::process::id()));
    std::fs::create_dir(&place).expect("a directory to measure in");
    measure(&place);
    std::fs::remove_dir_all(&place).expect("the directory goes");
}

fn measure(place: &Path) {
    let limits = NodeLimits { sql_files_open: 2_000, ..NodeLimits::default() };
    let options = DataDirOptions { limits, ..DataDirOptions::new(place.join("node.key")) };
    let data = DataDir::open(place.join("data"), options).expect("opens");
    let sql = data.sql();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        sql.script(&database("main"), schema()).await.expect("it runs");
        let plain = plain_query(&place.join("plain.db"));
        let contract = contract_query(&sql).await;
        println!("point query, plain       {plain:8.2} µs");
        println!("point query, contract    {contract:8.2} µs, {:.1} times", contract / plain);
        let at_once = query_at_once(&sql);
        println!("point query, at once     {at_once:8.2} µs, {:.1} times", at_once / plain);
        let flushes = flushes(&place.join("flushes"));
        println!("flushes of 4 KiB         {flushes:8.0} /s");
        for count in [1, 32, DATABASES] {
            let commits = commits(&sql, count).await;
            println!("commits, {count:4} databases {commits:8.0} /s, {:.1} times the flushes", commits / flushes);
        }
    });
}

fn schema() -> String {
    format!(
        "CREATE TABLE user (id INTEGER PRIMARY KEY, name TEXT);
         WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT {ROWS})
         INSERT INTO user SELECT x, 'user ' || x FROM n;"
    )
}

fn database(name: &str) -> SqlDatabase {
    let app = AppId::new(TenantName::parse("local").expect("a name"), AppName::parse("app").expect("a name"));
    SqlDatabase::new(&app, SqlName::parse(name).expect("a name"))
}

/// In microseconds, of the fastest of several turns.
fn plain_query(path: &Path) -> f64 {
    let connection = Connection::open(path).expect("opens");
    connection.execute_batch(&schema()).expect("runs");
    let mut statement = connection.prepare(POINT).expect("compiles");
    let mut id = 0;
    let mut query = || {
        id = id % ROWS + 1;
        let row = statement.query_row([id], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)));
        row.expect("a row")
    };
    (0..5).map(|_| time_of(|| drop(query()))).fold(f64::MAX, f64::min)
}

fn time_of(mut step: impl FnMut()) -> f64 {
    const STEPS: u32 = 20_000;
    let start = Instant::now();
    (0..STEPS).for_each(|_| step());
    start.elapsed().as_secs_f64() * 1e6 / f64::from(STEPS)
}

async fn contract_query(sql: &LocalSql) -> f64 {
    const STEPS: u32 = 20_000;
    let (database, text) = (database("main"), Arc::<str>::from(POINT));
    let mut best = f64::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        for n in 0..STEPS {
            let id = SqlValue::Integer(i64::from(n) % ROWS + 1);
            let answer = sql.batch(&database, vec![SqlStatement::bind(text.clone(), vec![id])]).await;
            assert_eq!(answer.expect("an answer").results[0].rows.len(), 1);
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e6 / f64::from(STEPS));
    }
    best
}

/// The same by the function that never waits.
fn query_at_once(sql: &LocalSql) -> f64 {
    let (database, text, mut id) = (database("main"), Arc::<str>::from(POINT), 0);
    let mut query = || {
        id = id % ROWS + 1;
        let statement = SqlStatement::bind(text.clone(), vec![SqlValue::Integer(id)]);
        let answer = sql.read_now(&database, &statement).expect("nothing to wait for");
        assert_eq!(answer.expect("an answer").results[0].rows.len(), 1);
    };
    (0..5).map(|_| time_of(&mut query)).fold(f64::MAX, f64::min)
}

fn flushes(path: &Path) -> f64 {
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(path).expect("opens");
    let (start, mut count) = (Instant::now(), 0_u64);
    while start.elapsed() < TURN {
        file.write_all_at(&[7; 4096], count * 4096).expect("writes");
        file.sync_data().expect("flushes");
        count += 1;
    }
    count as f64 / start.elapsed().as_secs_f64()
}

/// Each database writes one row after another.
async fn commits(sql: &LocalSql, count: usize) -> f64 {
    let databases: Vec<SqlDatabase> = (0..count).map(|n| database(&format!("tenant-{n}"))).collect();
    for database in &databases {
        let make = "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, x)";
        sql.script(database, make.into()).await.expect("it runs");
    }
    let start = Instant::now();
    let write = async |database: &SqlDatabase| {
        let mut count = 0_u64;
        while start.elapsed() < TURN {
            let insert = SqlStatement::bind("INSERT INTO t (x) VALUES (?)", vec![SqlValue::Integer(7)]);
            sql.batch(database, vec![insert]).await.expect("it commits");
            count += 1;
        }
        count
    };
    let counts = join_all(databases.iter().map(write)).await;
    counts.into_iter().sum::<u64>() as f64 / start.elapsed().as_secs_f64()
}
