//! The change feed of a database: a row for each change, in the transaction that makes it.
//!
//! Triggers of the platform's own write it, so what is undone is untold, whatever undid it: a savepoint,
//! a failed statement, a crash. They are made at the first question and kept in step with the schema
//! before each commit that changed it; a table that is new by then tells all its rows.
//!
//! **Replaced rows.** SQLite runs no trigger for a row that goes because another takes its unique key
//! (`OR REPLACE`). So a trigger *before* the write notes whose key it is about to take, and before the commit
//! it is looked up which of those are gone. That is done for tables with rowids; one without tells of the
//! row that came.
//!
//! A database that nobody asked keeps no feed and pays one look at a flag for each commit.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use base::Clock;
use rusqlite::{Connection, OptionalExtension as _, params};
use services::sql::{SqlChange, SqlChangeKind, SqlChangesOptions};
use tokio::sync::Notify;

use crate::tenant_sql::FEED_PREFIX;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS _selvedge_change (
        sequence INTEGER PRIMARY KEY,
        time_ms INTEGER,
        tbl TEXT NOT NULL,
        kind TEXT NOT NULL,
        row_id INTEGER,
        key TEXT
    ) STRICT;
    CREATE TABLE IF NOT EXISTS _selvedge_change_floor (sequence INTEGER NOT NULL) STRICT;
    INSERT INTO _selvedge_change_floor SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM _selvedge_change_floor);";

/// Changes beyond the limit that are let stand until they are worth a deletion.
const SLACK: i64 = 256;

/// What the writer of a database knows of its feed.
pub struct Feed {
    clock: Arc<dyn Clock>,
    keep: u64,
    on: Option<State>,
    /// What somebody began in this transaction.
    begun: RefCell<Option<State>>,
    told: Arc<Notify>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    /// `schema_version` at the last commit.
    schema: i64,
    tables: BTreeSet<String>,
    last: i64,
    floor: i64,
}

/// What a commit makes of the state, once it has happened.
pub struct Told(Option<State>);

/// What a read of the feed found.
pub struct Page {
    pub floor: u64,
    pub last: u64,
    pub changes: Vec<SqlChange>,
}

impl Feed {
    /// The feed of a database as it was committed last.
    pub fn open(
        connection: &Connection,
        clock: Arc<dyn Clock>,
        keep: u64,
        told: Arc<Notify>,
    ) -> rusqlite::Result<Self> {
        let on = match is_kept(connection)? {
            true => Some(State {
                schema: schema(connection)?,
                tables: watched(connection)?,
                last: last(connection)?,
                floor: floor(connection)?,
            }),
            false => None,
        };
        Ok(Self { clock, keep, on, begun: RefCell::default(), told })
    }

    pub fn told(&self) -> Arc<Notify> {
        self.told.clone()
    }

    /// Begins to keep a feed, if none is kept yet, within a transaction. What is written from here on is
    /// told; answers the position until here.
    pub fn begin(&self, connection: &Connection) -> rusqlite::Result<u64> {
        if self.on.is_none() && !is_kept(connection)? {
            connection.execute_batch(TABLES)?;
            let tables = follow(connection, None)?;
            let begun = State { schema: schema(connection)?, tables, last: 0, floor: 0 };
            self.begun.replace(Some(begun));
        }
        Ok(last(connection)? as u64)
    }

    /// Before each commit: what was told is made whole.
    pub fn finish(&self, connection: &Connection) -> rusqlite::Result<Told> {
        let begun = self.begun.take();
        let mut state = match (&self.on, begun) {
            (Some(state), _) => state.clone(),
            // It may have been undone with the rest of its batch.
            (None, Some(begun)) if is_kept(connection)? => begun,
            (None, _) => return Ok(Told(None)),
        };
        settle_replaced(connection, state.last)?;
        let now = schema(connection)?;
        if now != state.schema {
            let tables = follow(connection, Some(&state.tables))?;
            (state.tables, state.schema) = (tables, schema(connection)?);
        }
        let newest = last(connection)?;
        if newest > state.last {
            let stamp = "UPDATE _selvedge_change SET time_ms = ?1 WHERE sequence > ?2";
            connection.prepare(stamp)?.execute(params![self.clock.unix_ms() as i64, state.last])?;
            state.last = newest;
        }
        let keep = i64::try_from(self.keep).unwrap_or(i64::MAX);
        if state.last - state.floor > keep.saturating_add(SLACK) {
            state.floor = state.last - keep;
            connection.prepare("DELETE FROM _selvedge_change WHERE sequence <= ?1")?.execute([state.floor])?;
            connection.prepare("UPDATE _selvedge_change_floor SET sequence = ?1")?.execute([state.floor])?;
        }
        Ok(Told(Some(state)))
    }

    /// The commit has happened.
    pub fn committed(&mut self, told: Told) {
        let Some(state) = told.0 else { return };
        let more = self.on.as_ref().is_none_or(|before| before.last < state.last);
        self.on = Some(state);
        if more {
            self.told.notify_waiters();
        }
    }
}

/// The newest position of the feed of a database, if it keeps one.
pub fn newest(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    is_kept(connection)?.then(|| last(connection)).transpose()
}

/// Lets the feed of a database begin anew after a position, of which and of all before it nothing is told:
/// whoever has read until there learns that it has to read the tables.
pub fn begin_after(connection: &Connection, position: i64, now_ms: u64) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(TABLES)?;
    follow(&transaction, None)?;
    transaction.execute("DELETE FROM _selvedge_change", [])?;
    let mark = "INSERT INTO _selvedge_change (sequence, time_ms, tbl, kind) VALUES (?1, ?2, '', 'drop')";
    transaction.execute(mark, params![position + 1, now_ms as i64])?;
    transaction.execute("UPDATE _selvedge_change_floor SET sequence = ?1", [position + 1])?;
    transaction.commit()
}

fn is_kept(connection: &Connection) -> rusqlite::Result<bool> {
    let there = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_selvedge_change_floor')";
    connection.query_row(there, [], |row| row.get(0))
}

fn schema(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA schema_version", [], |row| row.get(0))
}

/// The newest position. A feed that was told once never becomes empty, for `sql_changes` is 1 at least.
fn last(connection: &Connection) -> rusqlite::Result<i64> {
    let newest: Option<i64> =
        connection.prepare_cached("SELECT max(sequence) FROM _selvedge_change")?.query_row([], |row| row.get(0))?;
    Ok(newest.unwrap_or(0))
}

fn floor(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT sequence FROM _selvedge_change_floor", [], |row| row.get(0))
}

/// The tables that have triggers of the feed's.
fn watched(connection: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    let sql = "SELECT DISTINCT tbl_name FROM sqlite_schema WHERE type = 'trigger' AND substr(name, 1, ?1) = ?2";
    let mut statement = connection.prepare(sql)?;
    statement.query_map(params![FEED_PREFIX.len() as i64, FEED_PREFIX], |row| row.get(0))?.collect()
}

/// Tells of the rows that others have replaced, and forgets who might have been.
fn settle_replaced(connection: &Connection, since: i64) -> rusqlite::Result<()> {
    let mut suspected =
        connection.prepare("SELECT DISTINCT tbl FROM _selvedge_change WHERE sequence > ?1 AND kind = 'maybe'")?;
    let tables: Vec<String> = suspected.query_map([since], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for table in &tables {
        let Some(shape) = Shape::of(connection, table)? else { continue };
        let Some(rowid) = shape.rowid else { continue };
        let gone = format!(
            "UPDATE _selvedge_change AS told SET kind = 'delete'
             WHERE sequence > ?1 AND kind = 'maybe' AND tbl = ?2
               AND NOT EXISTS (SELECT 1 FROM {} AS there WHERE there.{rowid} = told.row_id)
               AND NOT EXISTS (SELECT 1 FROM _selvedge_change AS later WHERE later.sequence > told.sequence
                   AND later.tbl = told.tbl AND later.row_id = told.row_id AND later.kind IN ('delete', 'maybe'))",
            quoted(table)
        );
        connection.execute(&gone, params![since, table])?;
    }
    if !tables.is_empty() {
        connection.execute("DELETE FROM _selvedge_change WHERE sequence > ?1 AND kind = 'maybe'", [since])?;
    }
    Ok(())
}

/// Makes the triggers anew, after the schema has changed. Tells of tables that are gone and of all rows
/// of those that are new; of none, if nothing was told before.
fn follow(connection: &Connection, known: Option<&BTreeSet<String>>) -> rusqlite::Result<BTreeSet<String>> {
    let names = "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND substr(name, 1, ?1) = ?2";
    let mut statement = connection.prepare(names)?;
    let old: Vec<String> = statement
        .query_map(params![FEED_PREFIX.len() as i64, FEED_PREFIX], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for name in old {
        connection.execute_batch(&format!("DROP TRIGGER {}", quoted(&name)))?;
    }
    let own = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'
        AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_selvedge%' ESCAPE '\\' ORDER BY name";
    let mut statement = connection.prepare(own)?;
    let tables: BTreeSet<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    if let Some(known) = known {
        for gone in known.difference(&tables) {
            connection.execute("INSERT INTO _selvedge_change (tbl, kind) VALUES (?1, 'drop')", [gone])?;
        }
    }
    for (at, table) in tables.iter().enumerate() {
        let Some(shape) = Shape::of(connection, table)? else { continue };
        if known.is_some_and(|known| !known.contains(table)) {
            let rows = format!(
                "INSERT INTO _selvedge_change (tbl, kind, row_id, key) SELECT {}, 'insert', {}, {} FROM {}",
                literal(table),
                shape.rowid_of(""),
                shape.key_of(""),
                quoted(table)
            );
            connection.execute(&rows, [])?;
        }
        connection.execute_batch(&shape.triggers(at))?;
    }
    Ok(tables)
}

/// How a table knows its rows.
struct Shape {
    table: String,
    /// How its rowids are called; a table without has none.
    rowid: Option<&'static str>,
    /// The columns of its primary key, if that is not the rowid.
    key: Vec<String>,
    /// The columns of each unique key besides the rowid.
    unique: Vec<Vec<String>>,
}

impl Shape {
    fn of(connection: &Connection, table: &str) -> rusqlite::Result<Option<Self>> {
        let listed = "SELECT wr FROM pragma_table_list(?1) WHERE schema = 'main' AND type = 'table'";
        let without: Option<bool> = connection.query_row(listed, [table], |row| row.get(0)).optional()?;
        let Some(without_rowid) = without else { return Ok(None) };
        let mut columns = connection.prepare("SELECT name, type, pk FROM pragma_table_xinfo(?1) ORDER BY pk")?;
        let columns: Vec<(String, String, u32)> = columns
            .query_map([table], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let is_taken = |name: &&str| columns.iter().any(|(column, ..)| column.eq_ignore_ascii_case(name));
        let rowid = ["rowid", "_rowid_", "oid"].into_iter().find(|name| !is_taken(name));
        let primary: Vec<&(String, String, u32)> = columns.iter().filter(|(.., pk)| *pk > 0).collect();
        let is_rowid = !without_rowid && primary.len() == 1 && primary[0].1.eq_ignore_ascii_case("INTEGER");
        let key = if is_rowid { Vec::new() } else { primary.iter().map(|(name, ..)| name.clone()).collect() };
        let mut unique = Vec::new();
        if !without_rowid {
            let mut indices = connection.prepare("SELECT name FROM pragma_index_list(?1) WHERE \"unique\"")?;
            let names: Vec<String> = indices.query_map([table], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            for name in names {
                let mut of = connection.prepare("SELECT name FROM pragma_index_info(?1)")?;
                let names = of.query_map([name], |row| row.get::<_, Option<String>>(0))?;
                // One over an expression has a column without a name.
                unique.extend(names.collect::<rusqlite::Result<Option<Vec<String>>>>()?);
            }
        }
        Ok(Some(Self { table: table.into(), rowid: rowid.filter(|_| !without_rowid), key, unique }))
    }

    /// The rowid of a row, which `of` names with a point: `NEW.`.
    fn rowid_of(&self, of: &str) -> String {
        self.rowid.map_or("NULL".into(), |name| format!("{of}{name}"))
    }

    fn key_of(&self, of: &str) -> String {
        if self.key.is_empty() {
            return "NULL".into();
        }
        let value = |column: &String| {
            let name = format!("{of}{}", quoted(column));
            // A blob has no JSON.
            format!("CASE typeof({name}) WHEN 'blob' THEN quote({name}) ELSE {name} END")
        };
        format!("json_array({})", self.key.iter().map(value).collect::<Vec<_>>().join(", "))
    }

    fn triggers(&self, number: usize) -> String {
        let (on, name) = (quoted(&self.table), literal(&self.table));
        let make = |suffix: &str, when: &str, body: String| {
            format!("CREATE TRIGGER {FEED_PREFIX}{number}_{suffix} {when} ON {on} BEGIN {body} END;\n")
        };
        let tell = |kind: &str, of: &str, when: &str| {
            let (rowid, key) = (self.rowid_of(of), self.key_of(of));
            format!(
                "INSERT INTO _selvedge_change (tbl, kind, row_id, key) SELECT {name}, {kind}, {rowid}, {key} {when};"
            )
        };
        let identity = self.rowid.iter().map(|name| (*name).to_owned()).chain(self.key.iter().map(|name| quoted(name)));
        let moved: Vec<String> = identity.map(|name| format!("OLD.{name} IS NOT NEW.{name}")).collect();
        let moved = if moved.is_empty() { "0".to_owned() } else { moved.join(" OR ") };
        let mut text = make("i", "AFTER INSERT", tell("'insert'", "NEW.", ""))
            + &make("d", "AFTER DELETE", tell("'delete'", "OLD.", ""));
        let update = format!("CASE WHEN {moved} THEN 'insert' ELSE 'update' END");
        text += &make(
            "u",
            "AFTER UPDATE",
            tell("'delete'", "OLD.", &format!("WHERE {moved}")) + &tell(&update, "NEW.", ""),
        );
        if let (Some(rowid), false) = (self.rowid, self.unique.is_empty()) {
            let suspects = |but: &str| -> String {
                let of = |columns: &Vec<String>| {
                    let same = |column: &String| format!("there.{0} = NEW.{0}", quoted(column));
                    let same = columns.iter().map(same).collect::<Vec<_>>().join(" AND ");
                    tell("'maybe'", "there.", &format!("FROM {on} AS there WHERE {same}{but}"))
                };
                self.unique.iter().map(of).collect()
            };
            text += &make("bi", "BEFORE INSERT", suspects(""));
            text += &make("bu", "BEFORE UPDATE", suspects(&format!(" AND there.{rowid} IS NOT OLD.{rowid}")));
        }
        text
    }
}

/// One page of the feed; `None` if the database keeps none.
pub fn read(connection: &Connection, options: &SqlChangesOptions) -> rusqlite::Result<Option<Page>> {
    let view = connection.unchecked_transaction()?;
    if !is_kept(&view)? {
        return Ok(None);
    }
    let (floor, last) = (floor(&view)? as u64, last(&view)? as u64);
    let mut page = Page { floor, last, changes: Vec::new() };
    let Some(after) = options.after.filter(|&after| after >= floor && after < last) else { return Ok(Some(page)) };
    let told = "SELECT sequence, time_ms, tbl, kind, row_id, key FROM _selvedge_change
        WHERE sequence > ?1 ORDER BY sequence LIMIT ?2";
    let mut statement = view.prepare(told)?;
    let mut rows = statement.query(params![after as i64, options.page() as i64])?;
    while let Some(row) = rows.next()? {
        let Some(kind) = SqlChangeKind::parse(row.get_ref(3)?.as_str()?) else { continue };
        page.changes.push(SqlChange {
            sequence: row.get::<_, i64>(0)? as u64,
            time_ms: row.get::<_, Option<i64>>(1)?.unwrap_or(0) as u64,
            table: row.get(2)?,
            kind,
            rowid: row.get(4)?,
            key: row.get(5)?,
        });
    }
    Ok(Some(page))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
