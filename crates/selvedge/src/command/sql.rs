//! `sql list`, `query`, `shell`, `migrate`, `migrations`, `import`, `export`, `changes`, `branch`, `restore`,
//! `delete`, against a running node or a stopped one.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use control_api::{
    Api, SqlChangesOptions, SqlCopyRequest, SqlMigrateRequest, SqlMigrationText, SqlRequest, SqlTable, SqlText,
};
use serde_json::Value;

use super::{app_name, print, print_json, time};
use crate::admin::{Prepare, reach};
use crate::cli;
use crate::wire;

mod export;
pub mod moment;

pub async fn run(args: cli::Sql, json: bool) -> Result<()> {
    match args {
        cli::Sql::List { app, data } => {
            let databases = reach(&data.data, Prepare::No)?.sql_list(app_name(&app)?).await?;
            if json {
                return print_json(&databases);
            }
            databases.iter().try_for_each(|database| print(&database.name))
        }
        cli::Sql::Query { database, sql, params } => {
            let params = match params {
                Some(text) => {
                    serde_json::from_str(&text).context("--params wants a JSON array, such as '[1, \"x\"]'")?
                }
                None => Vec::new(),
            };
            let api = reach(&database.data.data, Prepare::No)?;
            let table = ask(&*api, &database, SqlText { sql, params }).await?;
            if json { print_json(&table) } else { show(&table) }
        }
        cli::Sql::Shell { database } => shell(&database, json).await,
        cli::Sql::Migrate { database, migrations } => {
            let request = SqlMigrateRequest { migrations: read_migrations(&migrations)? };
            let api = reach(&database.data.data, Prepare::No)?;
            let app = app_name(&database.app)?;
            let before = api.sql_migrations(app.clone(), database.database.clone()).await?.len();
            let applied = api.sql_migrate(app, database.database, request).await?;
            if json {
                return print_json(&applied);
            }
            applied.iter().skip(before).try_for_each(|migration| print(format!("applied {}", migration.name)))?;
            print(format!("{} migrations are applied", applied.len()))
        }
        cli::Sql::Migrations { database } => {
            let api = reach(&database.data.data, Prepare::No)?;
            let applied = api.sql_migrations(app_name(&database.app)?, database.database).await?;
            if json {
                return print_json(&applied);
            }
            applied.iter().try_for_each(|m| print(format!("{}  {}", time(m.applied_ms), m.name)))
        }
        cli::Sql::Import { database } => {
            let mut text = Vec::new();
            std::io::stdin().lock().read_to_end(&mut text).context("the text can't be read")?;
            let api = reach(&database.data.data, Prepare::No)?;
            let imported = api.sql_import(app_name(&database.app)?, database.database, text.into()).await?;
            if json {
                return print_json(&imported);
            }
            print(format!("{} statements ran, {} rows were written", imported.statements, imported.rows_written))
        }
        cli::Sql::Export { database } => {
            let api = reach(&database.data.data, Prepare::No)?;
            let mut out = std::io::BufWriter::new(std::io::stdout());
            export::export(&*api, &app_name(&database.app)?, &database.database, &mut out).await?;
            out.flush().context("the text can't be written")
        }
        cli::Sql::Changes { database, after, once } => changes(database, after, once, json).await,
        cli::Sql::Delete { database, yes } => delete(database, yes, json).await,
        cli::Sql::Branch { database, to } => copy(database, to, None, json).await,
        cli::Sql::Restore { database, to, yes, at } => {
            let at_ms = moment::parse(&at, wire::clock().unix_ms())?;
            let name = database.database.clone();
            if to.as_ref().is_none_or(|to| *to == name) && !yes {
                bail!("this puts the database {name} itself back; say --yes if that is meant, or name a new one");
            }
            copy(database, to.unwrap_or(name), Some(at_ms), json).await
        }
    }
}

/// A line for each row that was written.
async fn changes(database: cli::Database, after: Option<u64>, once: bool, json: bool) -> Result<()> {
    let (api, app) = (reach(&database.data.data, Prepare::No)?, app_name(&database.app)?);
    let wait_ms = if once { 0 } else { SqlChangesOptions::WAIT_MS_MAX };
    let mut options = SqlChangesOptions { after, limit: None, wait_ms };
    loop {
        let told = api.sql_changes(app.clone(), database.database.clone(), options).await?;
        for change in &told.changes {
            if json {
                print(serde_json::to_string(change)?)?;
                continue;
            }
            let row = change.key.clone().or_else(|| change.rowid.map(|rowid| rowid.to_string())).unwrap_or_default();
            let at = time(change.time_ms);
            print(format!("{:>10} {at} {:<6} {} {row}", change.sequence, change.kind, change.table))?;
        }
        if once && (told.changes.is_empty() || options.after.is_none()) {
            return if json { Ok(()) } else { print(format!("(through {})", told.through)) };
        }
        options.after = Some(told.through);
    }
}

async fn delete(database: cli::Database, yes: bool, json: bool) -> Result<()> {
    let (app, name) = (app_name(&database.app)?, database.database);
    if !yes {
        bail!("this deletes the database {name} of {app}, with all that is in it; say --yes if that is meant");
    }
    reach(&database.data.data, Prepare::No)?.sql_delete(app.clone(), name.clone()).await?;
    if json {
        return print_json(&serde_json::json!({}));
    }
    print(format!("{app}: {name} is deleted; sql restore brings back what it was, as long as the archive reaches"))
}

/// Makes a new database of another one's present or past.
async fn copy(database: cli::Database, to: String, at_ms: Option<u64>, json: bool) -> Result<()> {
    let api = reach(&database.data.data, Prepare::No)?;
    let request = SqlCopyRequest { to: to.clone(), at_ms };
    let copied = api.sql_copy(app_name(&database.app)?, database.database.clone(), request).await?;
    if json {
        return print_json(&copied);
    }
    let from = &database.database;
    print(match copied.time_ms {
        Some(last) if *from == to => {
            format!("{to} is put back to its commit of {}, {} bytes", time(last), copied.bytes)
        }
        Some(last) => format!("{to} is {from} as its commit of {} left it, {} bytes", time(last), copied.bytes),
        None => format!("{to} is what {from} is now, {} bytes", copied.bytes),
    })
}

async fn ask(api: &dyn Api, database: &cli::Database, text: SqlText) -> Result<SqlTable> {
    let request = SqlRequest { statements: vec![text] };
    let mut answered = api.sql_query(app_name(&database.app)?, database.database.clone(), request).await?;
    answered.results.pop().context("the node answered nothing")
}

/// Columns under each other, a row a line.
fn show(table: &SqlTable) -> Result<()> {
    if table.columns.is_empty() {
        return print(format!("{} rows changed ({:.1} ms)", table.changes, table.duration_ms));
    }
    print(table.columns.join(" | "))?;
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(cell).collect();
        print(cells.join(" | "))?;
    }
    print(format!("({} rows, {} read, {:.1} ms)", table.rows.len(), table.rows_read, table.duration_ms))
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => text.clone(),
        Value::Object(blob) => format!("x'{}'", blob.get("hex").and_then(Value::as_str).unwrap_or_default()),
        other => other.to_string(),
    }
}

/// Statements, line by line; a statement that fails does not end the shell, whose end tells of it if nobody
/// sat before it.
async fn shell(database: &cli::Database, json: bool) -> Result<()> {
    let api = reach(&database.data.data, Prepare::No)?;
    let prompt = |text: &str| {
        if std::io::stdin().is_terminal() {
            eprint!("{text}");
        }
    };
    let (mut statement, mut failed) = (String::new(), 0_u32);
    prompt("sql> ");
    for line in std::io::stdin().lock().lines() {
        let line = line.context("standard input can't be read")?;
        match line.trim() {
            ".quit" | ".exit" if statement.is_empty() => break,
            ".tables" if statement.is_empty() => {
                statement
                    .push_str("SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND type <> 'shadow';");
            }
            ".schema" if statement.is_empty() => {
                statement.push_str("SELECT sql FROM sqlite_schema WHERE sql NOT NULL;")
            }
            _ => {
                statement.push_str(&line);
                statement.push('\n');
            }
        }
        if !is_complete(&statement) {
            prompt("...> ");
            continue;
        }
        let sql = std::mem::take(&mut statement);
        match ask(&*api, database, SqlText { sql, params: Vec::new() }).await {
            Ok(table) if json => print_json(&table)?,
            Ok(table) => show(&table)?,
            Err(error) => {
                super::report(&error, json);
                failed += 1;
            }
        }
        prompt("sql> ");
    }
    match statement.trim() {
        "" if failed > 0 && !std::io::stdin().is_terminal() => bail!("{failed} of the statements failed"),
        "" => Ok(()),
        rest => bail!("the last statement has no semicolon at its end: {rest}"),
    }
}

/// Whether a statement ends here: at a semicolon, and that of a trigger after its END.
fn is_complete(statement: &str) -> bool {
    let upper = statement.trim().to_ascii_uppercase();
    let is_trigger = upper.starts_with("CREATE TRIGGER");
    match upper.strip_suffix(';') {
        Some(body) => !is_trigger || body.trim_end().ends_with("END"),
        None => false,
    }
}

/// The files of a directory of migrations, in the order of their numbers.
fn read_migrations(dir: &Path) -> Result<Vec<SqlMigrationText>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("{} can't be read", dir.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.ends_with(".sql") {
            continue;
        }
        let digits = name.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 =
            name[..digits].parse().with_context(|| format!("{name} has no number: name it NNNN_name.sql"))?;
        let path = dir.join(&name);
        let text = std::fs::read_to_string(&path).with_context(|| format!("{} can't be read", path.display()))?;
        found.push((number, SqlMigrationText { name, text }));
    }
    found.sort_by_key(|(number, _)| *number);
    Ok(found.into_iter().map(|(_, migration)| migration).collect())
}

#[cfg(test)]
mod tests;
