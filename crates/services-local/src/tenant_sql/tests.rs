use base::SystemClock;

use super::*;

fn limits() -> SqlLimits {
    SqlLimits { sql_ms: 300, ..SqlLimits::default() }
}

fn open_with(limits: SqlLimits) -> TenantConnection {
    let connection = Connection::open_in_memory().unwrap();
    TenantConnection::new(connection, Path::new("memory"), Arc::new(limits), Arc::new(SystemClock::default())).unwrap()
}

fn open() -> TenantConnection {
    open_with(limits())
}

fn run(connection: &TenantConnection, sql: &str) -> Result<SqlResult, SqlError> {
    connection.run(&SqlStatement::new(sql), &Budget::of(&connection.limits))
}

fn rows(connection: &TenantConnection, sql: &str) -> Vec<SqlValue> {
    run(connection, sql).unwrap_or_else(|error| panic!("{sql}: {error}")).rows.values
}

fn code(connection: &TenantConnection, sql: &str) -> &'static str {
    match run(connection, sql) {
        Ok(_) => "ok",
        Err(error) => {
            println!("{}: {error}", sql.get(..sql.len().min(100)).unwrap_or(sql));
            error.code().name
        }
    }
}

fn text(value: &str) -> SqlValue {
    SqlValue::Text(value.into())
}

#[test]
fn what_leaves_the_database_is_refused() {
    let db = open();
    run(&db, "CREATE TABLE t (x)").unwrap();
    for sql in [
        "ATTACH ':memory:' AS other",
        "ATTACH '/etc/passwd' AS other",
        "DETACH main",
        "VACUUM",
        "VACUUM INTO 'stolen.db'",
        ";VACUUM INTO 'stolen.db'",
        "\u{feff}VACUUM INTO 'stolen.db'",
        "-- first\n;\n; VACUUM",
        "PRAGMA writable_schema = ON",
        "PRAGMA writable_schema",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA synchronous = OFF",
        "PRAGMA temp_store_directory = 'elsewhere'",
        "PRAGMA data_store_directory = 'elsewhere'",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA locking_mode = EXCLUSIVE",
        "PRAGMA trusted_schema = ON",
        "PRAGMA user_version = 7",
        "PRAGMA hard_heap_limit = 1",
        "PRAGMA foreign_keys = OFF",
        "SELECT load_extension('x')",
        "SELECT fts3_tokenizer('simple')",
        "CREATE TEMP TABLE x (y)",
        "CREATE VIRTUAL TABLE x USING fts3(y)",
        "CREATE VIRTUAL TABLE x USING dbstat",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT s",
        "RELEASE s",
    ] {
        assert_eq!(code(&db, sql), "sql_forbidden", "{sql}");
    }
    let error = run(&db, "ATTACH 'x' AS y").unwrap_err();
    assert!(error.to_string().contains("its own database"), "{error}");
}

#[test]
fn the_schema_is_written_by_its_own_statements_only() {
    let db = open();
    run(&db, "CREATE TABLE t (x)").unwrap();
    for sql in [
        "UPDATE sqlite_schema SET sql = 'x'",
        "DELETE FROM sqlite_master",
        "INSERT INTO sqlite_schema (name) VALUES (1)",
    ] {
        assert_eq!(code(&db, sql), "sql_error", "{sql}");
    }
    run(&db, "CREATE VIRTUAL TABLE words USING fts5(text)").unwrap();
    assert_eq!(code(&db, "DELETE FROM words_data"), "sql_error");
}

#[test]
fn the_platforms_tables_are_out_of_reach() {
    let db = open();
    db.trusted(|c| c.execute_batch("CREATE TABLE _selvedge_notes (x); INSERT INTO _selvedge_notes VALUES (1)"))
        .unwrap();
    run(&db, "CREATE TABLE mine (x)").unwrap();
    for sql in [
        "SELECT * FROM _selvedge_notes",
        "SELECT count(*) FROM _SELVEDGE_notes",
        "INSERT INTO _selvedge_notes VALUES (2)",
        "UPDATE _selvedge_notes SET x = 3",
        "DELETE FROM _selvedge_notes",
        "DROP TABLE _selvedge_notes",
        "ALTER TABLE _selvedge_notes ADD COLUMN y",
        "ALTER TABLE _selvedge_notes RENAME TO stolen",
        "ALTER TABLE mine RENAME TO _selvedge_mine",
        "alter table mine rename to \"_Selvedge_mine\"",
        "; /* first */ ALTER TABLE mine RENAME TO [_selvedge_mine]",
        "\u{feff}ALTER TABLE mine RENAME TO`_selvedge_mine`",
        "CREATE INDEX i ON _selvedge_notes (x)",
        "CREATE TRIGGER t AFTER INSERT ON _selvedge_notes BEGIN SELECT 1; END",
        "CREATE TABLE _selvedge_more (x)",
        "CREATE TABLE copy AS SELECT * FROM _selvedge_notes",
        "PRAGMA table_info(_selvedge_notes)",
        "SELECT * FROM pragma_table_info('_selvedge_notes')",
        "WITH x AS (SELECT * FROM _selvedge_notes) SELECT * FROM x",
    ] {
        assert!(matches!(run(&db, sql), Err(SqlError::Forbidden(_))), "{sql}: {:?}", run(&db, sql));
    }
    for script in ["SELECT 1; ALTER TABLE mine RENAME TO _selvedge_mine", "DROP TRIGGER IF EXISTS _selvedge_feed_x"] {
        let refused = db.script(script, &Budget::of(&limits()));
        assert_eq!(refused.map_err(|error| error.code().name), Err("sql_forbidden"), "{script}");
        let refused = db.migration(script, &Budget::of(&limits()));
        assert_eq!(refused.map_err(|error| error.code().name), Err("sql_forbidden"), "{script}");
    }
    assert_eq!(code(&db, "ANALYZE"), "ok", "every table is meant, and none is told");
    // What only looks like it is anybody's.
    run(&db, "ALTER TABLE mine RENAME TO my_selvedge").unwrap();
    run(&db, "ALTER TABLE my_selvedge RENAME TO mine").unwrap();
    // Through a trigger or a view of one's own neither.
    run(&db, "CREATE TRIGGER sneak AFTER INSERT ON mine BEGIN DELETE FROM _selvedge_notes; END").unwrap();
    assert_eq!(code(&db, "INSERT INTO mine VALUES (1)"), "sql_forbidden");
    run(&db, "CREATE VIEW peek AS SELECT * FROM _selvedge_notes").unwrap();
    assert_eq!(code(&db, "SELECT * FROM peek"), "sql_forbidden");
    let left: i64 = db.trusted(|c| c.query_row("SELECT count(*) FROM _selvedge_notes", [], |row| row.get(0))).unwrap();
    assert_eq!(left, 1);
}

#[test]
fn a_statement_compiled_by_the_platform_is_not_found_by_a_tenant() {
    let db = open();
    for sql in ["BEGIN", "COMMIT", "BEGIN", "COMMIT"] {
        db.control(sql).unwrap();
    }
    assert_eq!(code(&db, "BEGIN"), "sql_forbidden");
    assert!(!db.in_transaction());
}

#[test]
fn an_endless_statement_ends() {
    let db = open();
    let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
    assert_eq!(run(&db, endless), Err(SqlError::TimeLimit { ms_max: 300 }));
    // And the connection is as good as before.
    assert_eq!(rows(&db, "SELECT 1"), [SqlValue::Integer(1)]);
    let cancel = Cancel::default();
    cancel.cancel();
    let budget = Budget { cancel: Some(cancel), time: Duration::from_secs(60), ..Budget::of(&limits()) };
    assert_eq!(db.run(&SqlStatement::new(endless), &budget), Err(SqlError::Cancelled));
    assert_eq!(rows(&db, "SELECT 1"), [SqlValue::Integer(1)]);
}

#[test]
fn what_is_too_large_is_refused_before_it_is_there() {
    let db = open_with(SqlLimits { sql_ms: 60_000, ..limits() });
    assert_eq!(code(&db, "SELECT zeroblob(1000000000)"), "sql_limit");
    assert_eq!(code(&db, "SELECT hex(zeroblob(2000000))"), "sql_limit");
    assert_eq!(code(&db, "SELECT replace(hex(zeroblob(1000000)), '0', 'abcdefgh')"), "sql_limit");
    let gigabyte = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 1000)
        SELECT zeroblob(1000000) FROM n";
    assert!(matches!(run(&db, gigabyte), Err(SqlError::ResultTooLarge { .. })));
    assert_eq!(code(&db, &format!("SELECT '{}'", "x".repeat(100_001))), "sql_limit");
    let columns: Vec<String> = (0..501).map(|n| format!("c{n}")).collect();
    assert_eq!(code(&db, &format!("CREATE TABLE wide ({})", columns.join(","))), "sql_limit");
    assert_eq!(code(&db, "SELECT ?32000"), "sql_limit");
}

#[test]
fn deep_things_are_refused_and_not_too_deep_ones_work() {
    let db = open();
    let json = |depth: usize| format!("SELECT json_valid('{}{}')", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(rows(&db, &json(100)), [SqlValue::Integer(1)]);
    assert_eq!(rows(&db, &json(40_000)), [SqlValue::Integer(0)]);
    assert_eq!(code(&db, &format!("SELECT json('{}{}')", "[".repeat(40_000), "]".repeat(40_000))), "sql_error");
    let brackets = |depth: usize| format!("SELECT {}1{}", "-(".repeat(depth), ")".repeat(depth));
    assert_eq!(code(&db, &brackets(20)), "ok");
    assert_eq!(code(&db, &brackets(10_000)), "sql_error");
    let union = vec!["SELECT 1"; 501].join(" UNION ALL ");
    assert_eq!(code(&db, &union), "sql_error");
}

#[test]
fn every_type_comes_back_as_it_went_in() {
    let db = open();
    run(&db, "CREATE TABLE v (a, b, c, d, e, f)").unwrap();
    let values = vec![
        SqlValue::Null,
        SqlValue::Integer(i64::MIN),
        SqlValue::Integer(i64::MAX),
        SqlValue::Real(-0.5),
        text("grüße\0nul"),
        SqlValue::Blob(vec![0, 255, 7]),
    ];
    let budget = Budget::of(&limits());
    let insert = SqlStatement::bind("INSERT INTO v VALUES (?, ?, ?, ?, ?, ?)", values.clone());
    let answer = db.run(&insert, &budget).unwrap();
    assert_eq!((answer.changes, answer.last_row_id, answer.cost.rows_written, answer.wrote), (1, 1, 1, true));
    assert_eq!(rows(&db, "SELECT * FROM v"), values);
}

#[test]
fn parameters_must_fit() {
    let db = open();
    let budget = Budget::of(&limits());
    let named = |values: Vec<(&str, SqlValue)>| SqlStatement {
        sql: "SELECT :a + @b".into(),
        params: SqlParams::Named(values.into_iter().map(|(name, value)| (name.into(), value)).collect()),
    };
    let (one, two) = (SqlValue::Integer(1), SqlValue::Integer(2));
    let sum = db.run(&named(vec![("@b", two.clone()), (":a", one.clone())]), &budget).unwrap();
    assert_eq!(sum.rows.values, [SqlValue::Integer(3)]);
    for bad in [
        named(vec![(":a", one.clone())]),
        named(vec![(":a", one.clone()), ("@b", two.clone()), (":c", two.clone())]),
        SqlStatement::bind("SELECT ?, ?", vec![one.clone()]),
        SqlStatement::bind("SELECT 1", vec![one]),
    ] {
        assert_eq!(db.run(&bad, &budget).unwrap_err().code().name, "sql_parameters", "{bad:?}");
    }
}

#[test]
fn one_statement_is_one_statement() {
    let db = open();
    run(&db, "CREATE TABLE t (x)").unwrap();
    for sql in ["SELECT 1; DROP TABLE t", "", "  -- nothing", ";"] {
        assert_eq!(code(&db, sql), "sql_error", "{sql:?}");
    }
    assert_eq!(code(&db, "SELECT 1;  "), "ok");
    assert_eq!(rows(&db, "SELECT count(*) FROM t"), [SqlValue::Integer(0)]);
}

#[test]
fn json_full_text_search_rtree_and_foreign_keys_are_there() {
    let db = open();
    let script = "
        CREATE VIRTUAL TABLE words USING fts5(text);
        INSERT INTO words VALUES ('the quick brown fox'), ('a lazy dog');
        CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1);
        INSERT INTO boxes VALUES (1, 0, 10), (2, 20, 30);
        CREATE TABLE parent (id INTEGER PRIMARY KEY);
        CREATE TABLE child (parent REFERENCES parent (id));";
    let done = db.script(script, &Budget::of(&limits())).unwrap();
    assert_eq!(done.statements, 6);
    assert_eq!(rows(&db, "SELECT text FROM words WHERE words MATCH 'quick'"), [text("the quick brown fox")]);
    assert_eq!(rows(&db, "SELECT id FROM boxes WHERE x0 > 15"), [SqlValue::Integer(2)]);
    assert_eq!(rows(&db, "SELECT '{\"a\": [1, 2]}' ->> '$.a[1]'"), [SqlValue::Integer(2)]);
    let error = run(&db, "INSERT INTO child VALUES (9)").unwrap_err();
    assert_eq!(error, SqlError::Constraint("FOREIGN KEY constraint failed".into()));
}

#[test]
fn a_mistyped_column_is_an_error() {
    let db = open();
    run(&db, "CREATE TABLE t (name)").unwrap();
    let error = run(&db, "SELECT * FROM t WHERE name = \"x\"").unwrap_err();
    assert!(error.to_string().starts_with("no such column: \"x\""), "{error}");
}

#[test]
fn columns_follow_the_schema() {
    let db = open();
    run(&db, "CREATE TABLE t (a)").unwrap();
    run(&db, "INSERT INTO t VALUES (1)").unwrap();
    assert_eq!(run(&db, "SELECT * FROM t").unwrap().columns, ["a"]);
    run(&db, "ALTER TABLE t ADD COLUMN b DEFAULT 2").unwrap();
    let answer = run(&db, "SELECT * FROM t").unwrap();
    assert_eq!((answer.columns.len(), answer.rows.values), (2, vec![SqlValue::Integer(1), SqlValue::Integer(2)]));
}

#[test]
fn rows_are_counted() {
    let db = open();
    run(&db, "CREATE TABLE t (id INTEGER PRIMARY KEY, x)").unwrap();
    let fill =
        "INSERT INTO t (x) WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 100) SELECT x FROM n";
    assert_eq!(run(&db, fill).unwrap().cost.rows_written, 100);
    let scan = run(&db, "SELECT * FROM t WHERE x = 50").unwrap();
    assert!(scan.cost.rows_read >= 99, "{:?}", scan.cost);
    assert_eq!(run(&db, "SELECT * FROM t WHERE id = 50").unwrap().cost.rows_read, 1);
    let update = run(&db, "UPDATE t SET x = 0 WHERE id <= 10").unwrap();
    assert_eq!((update.changes, update.cost.rows_written), (10, 10));
    assert_eq!(run(&db, "SELECT 1").unwrap().changes, 0);
}

#[test]
fn only_reads_are_run_where_only_reads_may_be() {
    let db = open();
    run(&db, "CREATE TABLE t (x)").unwrap();
    let budget = Budget::of(&limits());
    let ask = |sql: &str| db.run_if_read(&SqlStatement::new(sql), &budget).unwrap().is_some();
    assert!(ask("SELECT * FROM t") && ask("PRAGMA table_info(t)") && ask("EXPLAIN QUERY PLAN SELECT * FROM t"));
    assert!(!ask("INSERT INTO t VALUES (1)") && !ask("WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x"));
    assert_eq!(rows(&db, "SELECT count(*) FROM t"), [SqlValue::Integer(0)]);
}

#[test]
fn a_stream_comes_in_pieces_and_stops_when_told() {
    let db = open();
    let many = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 1000) SELECT x, 'y' AS y FROM n";
    let (mut pieces, mut count, mut columns) = (0, 0, Vec::new());
    db.stream(&SqlStatement::new(many), &Budget::of(&limits()), 4_096, |piece| {
        match piece {
            StreamPiece::Columns(names) => columns = names,
            StreamPiece::Rows(rows) => {
                pieces += 1;
                count += rows.len();
            }
        }
        true
    })
    .unwrap();
    assert_eq!((count, columns), (1000, vec!["x".to_owned(), "y".to_owned()]));
    assert!(pieces > 5, "{pieces}");
    let stopped = db
        .stream(&SqlStatement::new(many), &Budget::of(&limits()), 64, |piece| matches!(piece, StreamPiece::Columns(_)));
    assert_eq!(stopped, Err(SqlError::Cancelled));
    let writes = db.stream(&SqlStatement::new("CREATE TABLE t (x)"), &Budget::of(&limits()), 64, |_| true);
    assert_eq!(writes.unwrap_err().code().name, "sql_forbidden");
}

#[test]
fn a_full_database_is_not_a_full_disk() {
    let db = open_with(SqlLimits { sql_database_bytes: 1 << 20, ..limits() });
    run(&db, "CREATE TABLE t (x)").unwrap();
    let error = loop {
        if let Err(error) = run(&db, "INSERT INTO t VALUES (zeroblob(100000))") {
            break error;
        }
    };
    assert_eq!(error, SqlError::DatabaseFull { bytes_max: 1 << 20 });
    assert_eq!(code(&db, "DELETE FROM t"), "ok");
    assert_eq!(code(&db, "INSERT INTO t VALUES (zeroblob(100000))"), "ok");
}

#[test]
fn a_migration_may_be_long_and_switch_foreign_keys() {
    let db = open();
    let long =
        format!("PRAGMA foreign_keys = OFF; CREATE TABLE t (x); INSERT INTO t VALUES ('{}');", "x".repeat(200_000));
    assert_eq!(db.migration(&long, &Budget::of(&limits())).unwrap().statements, 3);
    assert_eq!(code(&db, &format!("SELECT '{}'", "x".repeat(100_001))), "sql_limit");
    assert_eq!(rows(&db, "PRAGMA foreign_keys"), [SqlValue::Integer(1)]);
    let attach = db.migration("ATTACH 'x' AS y", &Budget::of(&limits()));
    assert_eq!(attach.unwrap_err().code().name, "sql_forbidden");
}

#[test]
fn a_dump_may_begin_and_commit() {
    let db = open();
    let budget = Budget::of(&limits());
    let dump = "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE t(x);\nINSERT INTO t VALUES(1);\nCOMMIT;\n";
    db.control("BEGIN").unwrap();
    db.import(dump, &budget).unwrap();
    assert!(db.in_transaction(), "that is not the dump's");
    for sql in ["ROLLBACK", "SAVEPOINT s", "BEGIN; ROLLBACK"] {
        assert_eq!(db.import(sql, &budget).map_err(|error| error.code().name), Err("sql_forbidden"), "{sql}");
    }
    db.control("COMMIT").unwrap();
    assert_eq!(rows(&db, "SELECT x FROM t"), [SqlValue::Integer(1)]);
    assert_eq!(db.migration("BEGIN", &budget).map_err(|error| error.code().name), Err("sql_forbidden"));
}

#[test]
fn a_plan_names_the_scan() {
    let db = open();
    run(&db, "CREATE TABLE t (id INTEGER PRIMARY KEY, x)").unwrap();
    assert_eq!(db.plan("SELECT * FROM t WHERE x = ?1").unwrap(), ["SCAN t"]);
}
