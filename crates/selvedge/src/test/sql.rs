//! The SQL of one file of tests: the provider's own, and what the databases held can be put back.
//!
//! **Generations.** To put something back is to go on in other databases. Each generation has its own,
//! under an app of its own, and a database comes into being there with its first use, as a copy of
//! what a snapshot froze. So nothing waits for statements that an earlier test left running: they end
//! in databases that nobody reads any more. All of it lies in a directory that goes with the process.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::AppName;
use services::sql::{
    Applied, Copied, Migration, ScriptAnswer, Sql, SqlAnswer, SqlChangesOptions, SqlChangesPage, SqlDatabase, SqlError,
    SqlStatement, SqlStream, SqlTransaction,
};
use services::{AppId, BoxFuture};
use tokio::sync::OnceCell;

/// [`Sql`] for one file of tests.
pub struct TestSql {
    inner: Arc<dyn Sql>,
    books: Mutex<Books>,
}

/// What the databases held: of each, where that is frozen.
#[derive(Clone, Default)]
pub struct SqlSnapshot(Arc<BTreeMap<SqlDatabase, SqlDatabase>>);

#[derive(Default)]
struct Books {
    generation: u64,
    snapshots: u64,
    /// What this generation began with, or what was frozen since.
    base: SqlSnapshot,
    /// Databases that were used in this generation.
    used: HashMap<SqlDatabase, Arc<OnceCell<SqlDatabase>>>,
    /// Those that may hold something else than what is frozen.
    written: HashSet<SqlDatabase>,
    /// Those of databases that come into being when they are used.
    migrations: HashMap<SqlDatabase, Arc<[Migration]>>,
}

impl TestSql {
    pub fn new(inner: Arc<dyn Sql>) -> Self {
        Self { inner, books: Mutex::default() }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Freezes what the databases hold now.
    pub async fn snapshot(&self) -> Result<SqlSnapshot, SqlError> {
        let (number, written, base) = {
            let mut books = self.books();
            books.snapshots += 1;
            (books.snapshots, std::mem::take(&mut books.written), books.base.clone())
        };
        if written.is_empty() {
            return Ok(base);
        }
        let mut frozen = BTreeMap::clone(&base.0);
        for database in written {
            let copy = place(&database, &format!("s{number}"));
            self.inner.copy(&self.place(&database).await?, None, &copy).await?;
            frozen.insert(database, copy);
        }
        let snapshot = SqlSnapshot(Arc::new(frozen));
        self.books().base = snapshot.clone();
        Ok(snapshot)
    }

    /// Puts back what the databases held.
    pub fn restore(&self, snapshot: &SqlSnapshot) {
        let mut books = self.books();
        if books.written.is_empty() && Arc::ptr_eq(&books.base.0, &snapshot.0) {
            return;
        }
        books.generation += 1;
        books.base = snapshot.clone();
        books.used.clear();
        books.written.clear();
    }

    /// Where a database lies in this generation. Its first use puts there what it is to hold.
    async fn place(&self, database: &SqlDatabase) -> Result<SqlDatabase, SqlError> {
        let (cell, to, frozen, migrations) = {
            let mut books = self.books();
            let to = place(database, &format!("g{}", books.generation));
            let frozen = books.base.0.get(database).cloned();
            let migrations = books.migrations.get(database).cloned();
            (books.used.entry(database.clone()).or_default().clone(), to, frozen, migrations)
        };
        let make = || async {
            match (frozen, migrations) {
                (Some(frozen), _) => drop(self.inner.copy(&frozen, None, &to).await?),
                (None, Some(migrations)) => drop(self.inner.migrate(&to, migrations).await?),
                (None, None) => {}
            }
            Ok::<_, SqlError>(to)
        };
        cell.get_or_try_init(make).await.cloned()
    }

    fn note_written(&self, database: &SqlDatabase) {
        self.books().written.insert(database.clone());
    }

    /// Where to write. What may have written is marked before it does and after: a snapshot may come
    /// between.
    async fn place_to_write(&self, database: &SqlDatabase) -> Result<SqlDatabase, SqlError> {
        let place = self.place(database).await?;
        self.note_written(database);
        Ok(place)
    }
}

/// A database of another app, whose name says what for. A tenant's apps are all ours here.
fn place(database: &SqlDatabase, purpose: &str) -> SqlDatabase {
    SqlDatabase { app: name(&database.app, purpose), ..database.clone() }
}

fn name(app: &AppName, purpose: &str) -> AppName {
    AppName::parse(&format!("{app}-{purpose}")).unwrap_or_else(|_| app.clone())
}

/// Whether the first word of a statement says that it only reads.
fn reads(statement: &SqlStatement) -> bool {
    let word = statement.sql.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    ["SELECT", "EXPLAIN", "VALUES"].iter().any(|read| read.eq_ignore_ascii_case(word))
}

impl Sql for TestSql {
    fn batch<'a>(
        &'a self,
        database: &'a SqlDatabase,
        statements: Vec<SqlStatement>,
    ) -> BoxFuture<'a, Result<SqlAnswer, SqlError>> {
        Box::pin(async move {
            if statements.iter().all(reads) {
                return self.inner.batch(&self.place(database).await?, statements).await;
            }
            let place = self.place_to_write(database).await?;
            let answer = self.inner.batch(&place, statements).await;
            self.note_written(database);
            answer
        })
    }

    fn script<'a>(&'a self, database: &'a SqlDatabase, text: String) -> BoxFuture<'a, Result<ScriptAnswer, SqlError>> {
        Box::pin(async move {
            let place = self.place_to_write(database).await?;
            let answer = self.inner.script(&place, text).await;
            self.note_written(database);
            answer
        })
    }

    fn import<'a>(&'a self, database: &'a SqlDatabase, text: String) -> BoxFuture<'a, Result<ScriptAnswer, SqlError>> {
        Box::pin(async move {
            let place = self.place_to_write(database).await?;
            let answer = self.inner.import(&place, text).await;
            self.note_written(database);
            answer
        })
    }

    fn databases<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<Vec<SqlDatabase>, SqlError>> {
        let databases = {
            let books = self.books();
            let known = books.used.keys().chain(books.base.0.keys()).filter(|database| database.app_id() == *app);
            let mut known: Vec<SqlDatabase> = known.cloned().collect();
            known.sort();
            known.dedup();
            known
        };
        Box::pin(std::future::ready(Ok(databases)))
    }

    fn used<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<u64, SqlError>> {
        let generation = self.books().generation;
        let place = AppId::new(app.tenant.clone(), name(&app.app, &format!("g{generation}")));
        Box::pin(async move { self.inner.used(&place).await })
    }

    fn copy<'a>(
        &'a self,
        from: &'a SqlDatabase,
        at_ms: Option<u64>,
        to: &'a SqlDatabase,
    ) -> BoxFuture<'a, Result<Copied, SqlError>> {
        Box::pin(async move {
            let (from, place) = (self.place(from).await?, self.place_to_write(to).await?);
            let copied = self.inner.copy(&from, at_ms, &place).await;
            self.note_written(to);
            copied
        })
    }

    fn delete<'a>(&'a self, database: &'a SqlDatabase) -> BoxFuture<'a, Result<(), SqlError>> {
        Box::pin(async move { self.inner.delete(&self.place_to_write(database).await?).await })
    }

    fn changes<'a>(
        &'a self,
        database: &'a SqlDatabase,
        options: SqlChangesOptions,
    ) -> BoxFuture<'a, Result<SqlChangesPage, SqlError>> {
        // The first question begins the feed, which is written to the database.
        Box::pin(async move { self.inner.changes(&self.place_to_write(database).await?, options).await })
    }

    fn begin<'a>(&'a self, database: &'a SqlDatabase) -> BoxFuture<'a, Result<Box<dyn SqlTransaction>, SqlError>> {
        Box::pin(async move { self.inner.begin(&self.place_to_write(database).await?).await })
    }

    fn stream<'a>(
        &'a self,
        database: &'a SqlDatabase,
        statement: SqlStatement,
    ) -> BoxFuture<'a, Result<Box<dyn SqlStream>, SqlError>> {
        Box::pin(async move { self.inner.stream(&self.place(database).await?, statement).await })
    }

    fn migrate<'a>(
        &'a self,
        database: &'a SqlDatabase,
        migrations: Arc<[Migration]>,
    ) -> BoxFuture<'a, Result<Vec<String>, SqlError>> {
        Box::pin(async move {
            let applied = self.inner.migrate(&self.place_to_write(database).await?, migrations.clone()).await?;
            self.note_written(database);
            // Whoever used it once does not ask again, and it may begin anew.
            self.books().migrations.insert(database.clone(), migrations);
            Ok(applied)
        })
    }

    fn migrations<'a>(&'a self, database: &'a SqlDatabase) -> BoxFuture<'a, Result<Vec<Applied>, SqlError>> {
        Box::pin(async move { self.inner.migrations(&self.place(database).await?).await })
    }
}
