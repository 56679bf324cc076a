//! The promise about the change feed of a database.

use futures_util::FutureExt as _;
use futures_util::future::join;

use super::block_on;
use super::sql::{database, make, run};
use crate::sql::{SqlChange, SqlChangesOptions};
use crate::{Sql, SqlDatabase, SqlError};

async fn now(sql: &impl Sql, db: &SqlDatabase) -> u64 {
    sql.changes(db, SqlChangesOptions::default()).await.expect("a position").through
}

async fn told(sql: &impl Sql, db: &SqlDatabase, after: u64) -> Vec<SqlChange> {
    let options = SqlChangesOptions { after: Some(after), ..SqlChangesOptions::default() };
    sql.changes(db, options).await.expect("changes").changes
}

/// `table kind rowid key` of each, without what there is none of.
async fn shown(sql: &impl Sql, db: &SqlDatabase, after: u64) -> Vec<String> {
    let show = |change: SqlChange| {
        let rowid = change.rowid.map(|rowid| format!(" {rowid}")).unwrap_or_default();
        let key = change.key.map(|key| format!(" {key}")).unwrap_or_default();
        format!("{} {}{rowid}{key}", change.table, change.kind.as_str())
    };
    told(sql, db, after).await.into_iter().map(show).collect()
}

pub fn changes_are_told_in_order_and_once(sql: &impl Sql) {
    block_on(async {
        let db = database("told");
        make(sql, &db, "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'before')").await;
        make(sql, &db, "CREATE TABLE k (a TEXT, b BLOB, v, PRIMARY KEY (a, b)) WITHOUT ROWID").await;
        let begin = now(sql, &db).await;
        assert_eq!(shown(sql, &db, begin).await, [""; 0], "the feed begins here");
        run(sql, &db, "INSERT INTO t VALUES (2, 'x'), (3, 'y')").await.expect("written");
        run(sql, &db, "UPDATE t SET v = 'z' WHERE id < 3").await.expect("written");
        run(sql, &db, "UPDATE t SET id = 9 WHERE id = 3").await.expect("written");
        run(sql, &db, "DELETE FROM t").await.expect("written");
        run(sql, &db, "INSERT INTO k VALUES ('it''s', x'00ff', 1)").await.expect("written");
        run(sql, &db, "UPDATE k SET v = 2").await.expect("written");
        let mut transaction = sql.begin(&db).await.expect("it begins");
        transaction.run(crate::SqlStatement::new("INSERT INTO t VALUES (4, 0)")).await.expect("written");
        assert_eq!(shown(sql, &db, begin).await.len(), 11, "what is not committed is not told");
        transaction.commit().await.expect("committed");
        let expected = [
            "t insert 2",
            "t insert 3",
            "t update 1",
            "t update 2",
            "t delete 3",
            "t insert 9",
            "t delete 1",
            "t delete 2",
            "t delete 9",
            "k insert [\"it's\",\"X'00FF'\"]",
            "k update [\"it's\",\"X'00FF'\"]",
            "t insert 4",
        ];
        assert_eq!(shown(sql, &db, begin).await, expected);
        let all = told(sql, &db, begin).await;
        assert!(all.is_sorted_by(|one, next| one.sequence < next.sequence && one.time_ms <= next.time_ms));
        assert!(all[0].sequence > begin && all.iter().all(|change| change.time_ms > 0), "{all:?}");
        // By pages it is the same.
        let (mut at, mut paged) = (begin, Vec::new());
        loop {
            let options = SqlChangesOptions { after: Some(at), limit: Some(5), wait: false };
            let page = sql.changes(&db, options).await.expect("a page");
            if page.changes.is_empty() {
                assert_eq!(page.through, at);
                break;
            }
            at = page.through;
            paged.extend(page.changes);
        }
        assert_eq!(paged, all);
        assert_eq!(now(sql, &db).await, at);
    });
}

pub fn what_was_undone_is_not_told(sql: &impl Sql) {
    block_on(async {
        let db = database("undone");
        make(sql, &db, "CREATE TABLE t (id INTEGER PRIMARY KEY, v UNIQUE)").await;
        let begin = now(sql, &db).await;
        let batch = ["INSERT INTO t VALUES (1, 1)", "INSERT INTO t VALUES (1, 2)"].map(crate::SqlStatement::new);
        sql.batch(&db, batch.into()).await.expect_err("the key is taken");
        let mut transaction = sql.begin(&db).await.expect("it begins");
        let mut ran = async |text: &str| transaction.run(crate::SqlStatement::new(text)).await;
        ran("INSERT INTO t VALUES (2, 2)").await.expect("written");
        ran("INSERT INTO t SELECT 3, 3 UNION ALL SELECT 2, 4").await.expect_err("the second key is taken");
        ran("INSERT OR IGNORE INTO t VALUES (4, 2)").await.expect("nothing");
        transaction.commit().await.expect("committed");
        let mut transaction = sql.begin(&db).await.expect("it begins");
        transaction.run(crate::SqlStatement::new("INSERT INTO t VALUES (5, 5)")).await.expect("written");
        transaction.rollback().await;
        assert_eq!(shown(sql, &db, begin).await, ["t insert 2"]);
    });
}

pub fn rows_that_others_replaced_are_told(sql: &impl Sql) {
    block_on(async {
        let db = database("replaced");
        make(sql, &db, "CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE, b, UNIQUE (b, a))").await;
        make(sql, &db, "CREATE TABLE n (name TEXT PRIMARY KEY, v)").await;
        make(sql, &db, "CREATE TABLE parent (id INTEGER PRIMARY KEY)").await;
        make(sql, &db, "CREATE TABLE child (of REFERENCES parent ON DELETE CASCADE)").await;
        make(sql, &db, "INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1)").await;
        let begin = now(sql, &db).await;
        run(sql, &db, "INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2)").await.expect("written");
        run(sql, &db, "INSERT OR REPLACE INTO t VALUES (3, 'a', 3)").await.expect("written");
        run(sql, &db, "UPDATE OR REPLACE t SET a = 'b' WHERE id = 3").await.expect("written");
        run(sql, &db, "INSERT INTO t VALUES (3, 'b', 5) ON CONFLICT DO UPDATE SET b = 6").await.expect("written");
        run(sql, &db, "INSERT INTO n VALUES ('x', 1)").await.expect("written");
        run(sql, &db, "REPLACE INTO n VALUES ('x', 2)").await.expect("written");
        run(sql, &db, "DELETE FROM parent").await.expect("written");
        let mut found = shown(sql, &db, begin).await;
        // What goes with a row may be told before it or after it.
        found[2..4].sort_unstable();
        found[4..6].sort_unstable();
        found[8..10].sort_unstable();
        found[10..12].sort_unstable();
        let expected = [
            "t insert 1",
            "t insert 2",
            "t delete 1",
            "t insert 3",
            "t delete 2",
            "t update 3",
            "t update 3",
            "n insert 1 [\"x\"]",
            "n delete 1 [\"x\"]",
            "n insert 2 [\"x\"]",
            "child delete 1",
            "parent delete 1",
        ];
        assert_eq!(found, expected);
    });
}

pub fn tables_that_come_and_go_are_told(sql: &impl Sql) {
    block_on(async {
        let db = database("tables");
        make(sql, &db, "CREATE TABLE old (rowid, _rowid_, v); INSERT INTO old VALUES (7, 8, 9)").await;
        let begin = now(sql, &db).await;
        make(sql, &db, "CREATE TABLE \"odd 'name\"\" \" (v); INSERT INTO \"odd 'name\"\" \" VALUES (1), (2)").await;
        run(sql, &db, "INSERT INTO \"odd 'name\"\" \" VALUES (3)").await.expect("written");
        run(sql, &db, "INSERT INTO old VALUES (1, 1, 1)").await.expect("written");
        run(sql, &db, "ALTER TABLE old ADD COLUMN w").await.expect("written");
        run(sql, &db, "UPDATE old SET w = 1 WHERE v = 1").await.expect("written");
        run(sql, &db, "ALTER TABLE old RENAME TO new").await.expect("written");
        run(sql, &db, "DROP TABLE \"odd 'name\"\" \"").await.expect("written");
        let odd = "odd 'name\" ";
        let expected = [
            format!("{odd} insert 1"),
            format!("{odd} insert 2"),
            format!("{odd} insert 3"),
            "old insert 2".into(),
            "old update 2".into(),
            "old drop".into(),
            "new insert 1".into(),
            "new insert 2".into(),
            format!("{odd} drop"),
        ];
        assert_eq!(shown(sql, &db, begin).await, expected);
        for forbidden in
            ["SELECT * FROM _selvedge_change", "DROP TRIGGER _selvedge_feed_0_i", "DELETE FROM _selvedge_change"]
        {
            let error = run(sql, &db, forbidden).await.expect_err(forbidden);
            assert!(matches!(error, SqlError::Forbidden(_)), "{forbidden}: {error:?}");
        }
    });
}

pub fn who_lies_too_far_behind_is_told_so(sql: &impl Sql) {
    block_on(async {
        let db = database("behind");
        make(sql, &db, "CREATE TABLE t (v)").await;
        let begin = now(sql, &db).await;
        let ask = async |after| {
            sql.changes(&db, SqlChangesOptions { after: Some(after), ..SqlChangesOptions::default() }).await
        };
        assert!(matches!(ask(begin + 1).await, Err(SqlError::ChangesGone { .. })), "it never was there");
        let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) INSERT INTO t SELECT i FROM n";
        for _ in 0..2 {
            run(sql, &db, many).await.expect("written");
        }
        assert!(matches!(ask(begin).await, Err(SqlError::ChangesGone { .. })), "120,000 are too many");
        let last = now(sql, &db).await;
        assert_eq!(ask(last - 100_000).await.expect("the limit").changes.len(), crate::sql::PAGE_CHANGES);
        assert_eq!(ask(last).await.expect("the end").changes, []);
    });
}

pub fn who_waits_is_woken(sql: &impl Sql) {
    block_on(async {
        let db = database("waits");
        make(sql, &db, "CREATE TABLE t (v)").await;
        let after = Some(now(sql, &db).await);
        let options = SqlChangesOptions { after, wait: true, limit: None };
        assert!(sql.changes(&db, options.clone()).now_or_never().is_none(), "there is nothing to tell");
        let (page, _) = join(sql.changes(&db, options), run(sql, &db, "INSERT INTO t VALUES (1)")).await;
        assert_eq!(page.expect("a page").changes.len(), 1);
        // What is written after a question for now is asked comes after its answer.
        let (now, _) = join(now(sql, &db), run(sql, &db, "INSERT INTO t VALUES (2)")).await;
        assert_eq!(shown(sql, &db, now).await, ["t insert 2"]);
        let fresh = database("fresh");
        make(sql, &fresh, "CREATE TABLE t (v)").await;
        let options = SqlChangesOptions::default();
        let (page, _) = join(sql.changes(&fresh, options), run(sql, &fresh, "INSERT INTO t VALUES (1)")).await;
        assert_eq!(shown(sql, &fresh, page.expect("a page").through).await, ["t insert 1"]);
    });
}
