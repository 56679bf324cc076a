//! A database as statements that make it anew.
//!
//! Everything is read in one batch, which sees one state of the database; so its size is bounded by
//! what one batch may answer (`sql_result_bytes`). A backup of the node has no such bound.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};
use base::AppName;
use control_api::{Api, SqlRequest, SqlTable, SqlText};
use serde_json::Value;

const TABLES: &str = "SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual')
    AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_selvedge%' ESCAPE '\\' ORDER BY name";
const SCHEMA: &str = "SELECT type, name, sql FROM sqlite_schema WHERE sql NOT NULL
    AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_selvedge%' ESCAPE '\\' ORDER BY rowid";
const COLUMNS: &str = "SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0";
/// Rows in one INSERT.
const ROWS: usize = 100;

/// What has rows.
struct Table {
    name: String,
    is_virtual: bool,
    columns: Vec<String>,
}

pub async fn export(api: &dyn Api, app: &AppName, database: &str) -> Result<String> {
    let ask = async |statements: Vec<SqlText>| -> Result<Vec<SqlTable>> {
        Ok(api.sql_query(app.clone(), database.to_owned(), SqlRequest { statements }).await?.results)
    };
    let plain = |sql: &str| SqlText { sql: sql.to_owned(), params: Vec::new() };
    let first = ask(vec![plain(TABLES), plain(SCHEMA)]).await?;
    let [names, schema] = &first[..] else { bail!("the node answered something else") };
    let mut tables: Vec<Table> = names
        .rows
        .iter()
        .map(|row| Table { name: text(&row[0]), is_virtual: row[1] == "virtual", columns: Vec::new() })
        .collect();
    if !tables.is_empty() {
        let columns = tables.iter().map(|t| SqlText { sql: COLUMNS.to_owned(), params: vec![t.name.clone().into()] });
        let columns = ask(columns.collect()).await?;
        for (table, columns) in tables.iter_mut().zip(columns) {
            table.columns = columns.rows.iter().map(|row| text(&row[0])).collect();
        }
    }
    let selects = tables.iter().map(|table| plain(&select(table)));
    let mut content = ask(std::iter::once(plain(SCHEMA)).chain(selects).collect()).await?;
    if content[0].rows != schema.rows {
        bail!("the schema changed meanwhile; export it again");
    }
    let rows = content.split_off(1);
    write_all(schema, &tables, &rows)
}

fn write_all(schema: &SqlTable, tables: &[Table], rows: &[SqlTable]) -> Result<String> {
    let mut out = String::from("PRAGMA defer_foreign_keys = ON;\n");
    let sql_of = |name: &str| {
        let row = schema.rows.iter().find(|row| row[0] == "table" && row[1] == name);
        row.map(|row| text(&row[2])).with_context(|| format!("{name} has no definition"))
    };
    // Tables refer to each other, whatever their names; what is virtual may take its content from one.
    for table in tables.iter().filter(|table| !table.is_virtual) {
        writeln!(out, "{};", sql_of(&table.name)?)?;
    }
    for (table, rows) in tables.iter().zip(rows).filter(|(table, _)| !table.is_virtual) {
        write_rows(&mut out, table, rows)?;
    }
    for (table, rows) in tables.iter().zip(rows).filter(|(table, _)| table.is_virtual) {
        let sql = sql_of(&table.name)?;
        writeln!(out, "{sql};")?;
        let options = sql.to_ascii_lowercase().replace(char::is_whitespace, "");
        if ["content=''", "content=\"\""].iter().any(|none| options.contains(none)) {
            bail!(
                "{} is a full-text table without content, of which no row can be read back; drop it and export again, \
                 or copy the database with sql branch or backup",
                table.name
            );
        }
        match options.contains("content=") {
            false => write_rows(&mut out, table, rows)?,
            true => writeln!(out, "INSERT INTO {0} ({0}) VALUES ('rebuild');", quoted(&table.name))?,
        }
    }
    for row in schema.rows.iter().filter(|row| row[0] != "table") {
        writeln!(out, "{};", text(&row[2]))?;
    }
    Ok(out)
}

fn select(table: &Table) -> String {
    let columns: Vec<String> = table.columns.iter().map(|column| quoted(column)).collect();
    let columns = if columns.is_empty() { "*".to_owned() } else { columns.join(", ") };
    format!("SELECT {columns} FROM {}", quoted(&table.name))
}

fn write_rows(out: &mut String, table: &Table, rows: &SqlTable) -> Result<()> {
    let columns: Vec<String> = table.columns.iter().map(|column| quoted(column)).collect();
    for chunk in rows.rows.chunks(ROWS) {
        write!(out, "INSERT INTO {} ({}) VALUES", quoted(&table.name), columns.join(", "))?;
        for (n, row) in chunk.iter().enumerate() {
            let values: Vec<String> = row.iter().map(literal).collect();
            write!(out, "{}\n  ({})", if n == 0 { "" } else { "," }, values.join(", "))?;
        }
        writeln!(out, ";")?;
    }
    Ok(())
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
