//! A database as statements that make it anew.
//!
//! Everything is read in one batch, which sees one state of the database. What is more than a batch may
//! answer (`sql_result_bytes`) is read page by page from a branch that is made for it, which nobody writes
//! to, and deleted after.

use std::fmt::Write as _;
use std::io::Write;

use anyhow::{Context as _, Result, bail};
use base::{AppName, code};
use control_api::{Api, ApiError, SqlCopyRequest, SqlRequest, SqlTable, SqlText};
use serde_json::Value;

use crate::wire;

const TABLES: &str =
    "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual')
    AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_selvedge%' ESCAPE '\\' ORDER BY name";
const SCHEMA: &str = "SELECT type, name, sql FROM sqlite_schema WHERE sql NOT NULL
    AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_selvedge%' ESCAPE '\\' ORDER BY rowid";
const COLUMNS: &str = "SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0";
/// Rows in one INSERT.
const ROWS: usize = 100;
/// Rows in one page, where it may hold so many.
const PAGE_ROWS: usize = 1_000;
/// By which SQLite knows the hidden number of a row, unless a column has the name.
const ROW_NUMBERS: [&str; 3] = ["rowid", "_rowid_", "oid"];

/// What has rows.
struct Table {
    name: String,
    is_virtual: bool,
    has_numbers: bool,
    columns: Vec<String>,
}

/// A database to be asked.
struct Source<'a> {
    api: &'a dyn Api,
    app: &'a AppName,
    database: &'a str,
}

/// What there is in a database, but for the rows.
struct Outline {
    schema: SqlTable,
    tables: Vec<Table>,
}

enum Part {
    Text(String),
    /// The rows of a table, by its place.
    Rows(usize),
}

pub async fn export(api: &dyn Api, app: &AppName, database: &str, out: &mut dyn Write) -> Result<()> {
    let source = Source { api, app, database };
    let outline = source.outline().await?;
    let parts = outline.parts()?;
    let rows = match source.whole(&outline).await {
        Ok(rows) => rows,
        Err(error) if is_too_large(&error) => return by_branch(&source, out).await,
        Err(error) => return Err(error),
    };
    for part in parts {
        match part {
            Part::Text(text) => out.write_all(text.as_bytes())?,
            Part::Rows(at) => out.write_all(inserts(&outline.tables[at], &rows[at].rows)?.as_bytes())?,
        }
    }
    Ok(())
}

fn is_too_large(error: &anyhow::Error) -> bool {
    error.downcast_ref::<ApiError>().is_some_and(|error| error.code == code::SQL_RESULT_TOO_LARGE.name)
}

async fn by_branch(source: &Source<'_>, out: &mut dyn Write) -> Result<()> {
    let (api, app) = (source.api, source.app);
    let branch = format!("export-{}", wire::clock().unix_ms());
    let request = SqlCopyRequest { to: branch.clone(), at_ms: None };
    api.sql_copy(app.clone(), source.database.to_owned(), request).await?;
    let written = Source { api, app, database: &branch }.in_pages(out).await;
    let left = || format!("the branch {branch} of which the export was made is still there; delete it with sql delete");
    let deleted = api.sql_delete(app.clone(), branch.clone()).await;
    written.and(deleted.with_context(left))
}

impl Source<'_> {
    async fn ask(&self, statements: Vec<SqlText>) -> Result<Vec<SqlTable>> {
        let request = SqlRequest { statements };
        Ok(self.api.sql_query(self.app.clone(), self.database.to_owned(), request).await?.results)
    }

    async fn outline(&self) -> Result<Outline> {
        let mut first = self.ask(vec![plain(TABLES), plain(SCHEMA)]).await?;
        let (Some(schema), Some(names)) = (first.pop(), first.pop()) else { bail!("the node answered something else") };
        let table = |row: &Vec<Value>| {
            let (is_virtual, has_numbers) = (row[1] == "virtual", row[2] == 0);
            Table { name: text(&row[0]), is_virtual, has_numbers, columns: Vec::new() }
        };
        let mut tables: Vec<Table> = names.rows.iter().map(table).collect();
        if !tables.is_empty() {
            let columns =
                tables.iter().map(|t| SqlText { sql: COLUMNS.to_owned(), params: vec![t.name.clone().into()] });
            let columns = self.ask(columns.collect()).await?;
            for (table, columns) in tables.iter_mut().zip(columns) {
                table.columns = columns.rows.iter().map(|row| text(&row[0])).collect();
            }
        }
        Ok(Outline { schema, tables })
    }

    /// The rows of all tables, of one state.
    async fn whole(&self, outline: &Outline) -> Result<Vec<SqlTable>> {
        let selects = outline.tables.iter().map(|table| plain(&select(table)));
        let mut content = self.ask(std::iter::once(plain(SCHEMA)).chain(selects).collect()).await?;
        if content[0].rows != outline.schema.rows {
            bail!("the schema changed meanwhile; export it again");
        }
        Ok(content.split_off(1))
    }

    /// Writes a database that does not change.
    async fn in_pages(&self, out: &mut dyn Write) -> Result<()> {
        let outline = self.outline().await?;
        for part in outline.parts()? {
            match part {
                Part::Text(text) => out.write_all(text.as_bytes())?,
                Part::Rows(at) => self.pages_of(&outline.tables[at], out).await?,
            }
        }
        Ok(())
    }

    async fn pages_of(&self, table: &Table, out: &mut dyn Write) -> Result<()> {
        let number = table.row_number();
        let (mut after, mut rows_max) = (Value::Null, PAGE_ROWS);
        let mut read = 0_u64;
        loop {
            let (sql, from) = match number {
                Some(number) => (page(table, number, after.is_null()), after.clone()),
                None => (format!("{} LIMIT ?2 OFFSET ?1", select(table)), Value::from(read)),
            };
            let params = vec![from, rows_max.into()];
            let mut answered = match self.ask(vec![SqlText { sql, params }]).await {
                Ok(answered) => answered,
                Err(error) if is_too_large(&error) && rows_max > 1 => {
                    rows_max /= 2;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let mut rows = answered.pop().context("the node answered nothing")?.rows;
            let is_last = rows.len() < rows_max;
            read += rows.len() as u64;
            if number.is_some() {
                after = rows.iter_mut().filter_map(Vec::pop).last().unwrap_or_default();
            }
            out.write_all(inserts(table, &rows)?.as_bytes())?;
            if is_last {
                return Ok(());
            }
        }
    }
}

impl Table {
    /// How its rows are numbered, if they are.
    fn row_number(&self) -> Option<&'static str> {
        let is_taken = |name: &str| self.columns.iter().any(|column| column.eq_ignore_ascii_case(name));
        ROW_NUMBERS.into_iter().find(|name| self.has_numbers && !is_taken(name))
    }
}

impl Outline {
    /// What makes the database anew, in the order in which it is written.
    fn parts(&self) -> Result<Vec<Part>> {
        let mut parts = vec![Part::Text("PRAGMA defer_foreign_keys = ON;\n".into())];
        let sql_of = |name: &str| {
            let row = self.schema.rows.iter().find(|row| row[0] == "table" && row[1] == name);
            row.map(|row| text(&row[2])).with_context(|| format!("{name} has no definition"))
        };
        let of = |is_virtual| self.tables.iter().enumerate().filter(move |(_, table)| table.is_virtual == is_virtual);
        // Tables refer to each other, whatever their names; what is virtual may take its content from one.
        for (_, table) in of(false) {
            parts.push(Part::Text(format!("{};\n", sql_of(&table.name)?)));
        }
        parts.extend(of(false).map(|(at, _)| Part::Rows(at)));
        for (at, table) in of(true) {
            let sql = sql_of(&table.name)?;
            let options = sql.to_ascii_lowercase().replace(char::is_whitespace, "");
            if ["content=''", "content=\"\""].iter().any(|none| options.contains(none)) {
                bail!(
                    "{} is a full-text table without content, of which no row can be read back; drop it and export \
                     again, or copy the database with sql branch or backup",
                    table.name
                );
            }
            parts.push(Part::Text(format!("{sql};\n")));
            parts.push(match options.contains("content=") {
                false => Part::Rows(at),
                true => Part::Text(format!("INSERT INTO {0} ({0}) VALUES ('rebuild');\n", quoted(&table.name))),
            });
        }
        let others = self.schema.rows.iter().filter(|row| row[0] != "table");
        parts.extend(others.map(|row| Part::Text(format!("{};\n", text(&row[2])))));
        Ok(parts)
    }
}

fn plain(sql: &str) -> SqlText {
    SqlText { sql: sql.to_owned(), params: Vec::new() }
}

fn listed(table: &Table) -> String {
    let columns: Vec<String> = table.columns.iter().map(|column| quoted(column)).collect();
    if columns.is_empty() { "*".to_owned() } else { columns.join(", ") }
}

fn select(table: &Table) -> String {
    format!("SELECT {} FROM {}", listed(table), quoted(&table.name))
}

/// Rows after a number, which stands behind the columns; the first ones are after none.
fn page(table: &Table, number: &str, is_first: bool) -> String {
    let (columns, name) = (listed(table), quoted(&table.name));
    let after = if is_first { "?1 IS NULL".to_owned() } else { format!("{number} > ?1") };
    format!("SELECT {columns}, {number} FROM {name} WHERE {after} ORDER BY {number} LIMIT ?2")
}

fn inserts(table: &Table, rows: &[Vec<Value>]) -> Result<String> {
    let mut out = String::new();
    let columns: Vec<String> = table.columns.iter().map(|column| quoted(column)).collect();
    for chunk in rows.chunks(ROWS) {
        write!(out, "INSERT INTO {} ({}) VALUES", quoted(&table.name), columns.join(", "))?;
        for (n, row) in chunk.iter().enumerate() {
            let values: Vec<String> = row.iter().map(literal).collect();
            write!(out, "{}\n  ({})", if n == 0 { "" } else { "," }, values.join(", "))?;
        }
        writeln!(out, ";")?;
    }
    Ok(out)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A value as SQL writes it.
pub fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Object(blob) => format!("X'{}'", blob.get("hex").and_then(Value::as_str).unwrap_or_default()),
        // No text of SQL goes on after a NUL.
        Value::String(text) if text.contains('\0') => {
            let digits: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
            format!("CAST(X'{digits}' AS TEXT)")
        }
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        other => other.to_string(),
    }
}
