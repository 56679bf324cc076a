//! SQL on SQLite: a file per database, made at its first use, open while it is used.
//!
//! **Reading.** A single statement that only reads runs on the caller's thread, on a pooled
//! connection with its statement compiled already: no thread is woken for a point query. It is
//! given [`INLINE`] for that. What takes longer is stopped, begun again on a thread that may wait,
//! and remembered, so that the next time it goes there at once. Where nothing is being committed
//! either, a caller that can't wait gets its answer from a plain function ([`Sql::read_now`]).
//!
//! **Writing.** Each database has one writer and a queue before it. What has gathered there is
//! committed together, each batch in a savepoint of its own. A batch that ends the whole
//! transaction (`ON CONFLICT ROLLBACK`, or a deferred constraint that does not hold at the commit)
//! makes its group run again, each batch alone: nobody has been answered yet.
//!
//! **Flushing.** Databases are journaled in the node's [`ledger`](crate::ledger): a commit is
//! durable when its ticket resolves, and no thread waits for that, only whoever asked. A read that
//! may have seen a commit waits for its ticket too.
//!
//! **Changes** are rows of the database, which triggers write ([`feed`]).
//!
//! **Threads.** A statement may take seconds, so SQL has threads of its own, and one app never has
//! more than a third of them.

use std::sync::Arc;
use std::time::Duration;

use base::Clock;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use services::sql::{
    Applied, Copied, Migration, ScriptAnswer, SqlAnswer, SqlChangesOptions, SqlChangesPage, SqlStatement, SqlStream,
    SqlTransaction,
};
use services::{AppId, Durability, Sql, SqlDatabase, SqlError, SqlLimits, StoreError};

use crate::DataDirError;
use crate::data_dir::Root;
use crate::ledger::Ledger;
use crate::pool::{Lane, Pool, Threads};
use crate::tenant_sql::first_word;

mod feed;
mod file;
mod files;
mod job;
mod past;
mod stream;
mod timer;
mod transaction;
mod writer;

pub use feed::{begin_after as begin_feed_after, newest as newest_of_feed};
use file::Read;
use files::Files;
use job::Work;
use stream::Streams;
use timer::Timer;
use transaction::LocalTransaction;
pub use writer::newer_format;

/// Threads for statements, and how many of them one app may have.
const THREADS: usize = 24;
const APP_THREADS: usize = 8;

/// What a read may take on the caller's thread, where other requests wait for it.
const INLINE: Duration = Duration::from_millis(2);

/// [`Sql`] in a data directory.
///
/// Its fields drop in this order: nothing new is begun, what is queued is run to its end, then the
/// files close, and then the lock on the directory goes.
pub struct LocalSql {
    timer: Timer,
    _threads: Threads,
    files: Files,
    streams: Streams,
    settings: Arc<Settings>,
    _root: Arc<Root>,
}

/// What all files share.
pub struct Settings {
    pub ledger: Arc<Ledger>,
    pub limits: Arc<SqlLimits>,
    pub clock: Arc<dyn Clock>,
    pub pool: Pool,
    pub root: Arc<Root>,
}

impl Settings {
    /// What the databases of an app may take.
    pub fn quota(&self, database: &SqlDatabase) -> u64 {
        self.root.quotas.sql_bytes(&database.app)
    }

    /// Runs what may block on a thread for it, when it is the app's turn.
    pub async fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        self.pool.run(lane, job).await
    }
}

impl LocalSql {
    pub(crate) fn open(root: Arc<Root>, ledger: Arc<Ledger>, limits: SqlLimits) -> Result<Self, DataDirError> {
        let path = root.create_dir(&["sql"]).map_err(|error| DataDirError::from_io(&root.path, error))?;
        let threads = Threads::start_shared("store-sql", THREADS, APP_THREADS);
        let threads = threads.and_then(|threads| threads.watched("store-sql-watch")).map_err(DataDirError::Threads)?;
        let settings = Arc::new(Settings {
            ledger,
            limits: Arc::new(limits),
            clock: root.options.clock.clone(),
            pool: threads.pool(),
            root: root.clone(),
        });
        let files = Files::new(path, settings.clone());
        let timer = Timer::start(files.shared(), settings.clone()).map_err(DataDirError::Threads)?;
        let streams = Streams::new(settings.clone());
        Ok(Self { timer, _threads: threads, files, streams, settings, _root: root })
    }

    /// How many files are open.
    pub fn open_count(&self) -> usize {
        self.files.open_count()
    }

    /// Closes what nobody has used for `sql_idle_ms`. Runs by itself.
    pub fn close_idle(&self) {
        self.files.shared().close_idle();
    }

    /// Checks a database from end to end.
    pub async fn check(&self, database: &SqlDatabase) -> Result<(), SqlError> {
        let file = self.files.get(database).await?;
        let lane = file.lane();
        Ok(self.settings.run(lane, move || file.check()).await??)
    }

    async fn run_script(&self, database: &SqlDatabase, work: Work) -> Result<ScriptAnswer, SqlError> {
        let script = self.files.get(database).await?.write(work).await?.script;
        Ok(ScriptAnswer { statements: script.statements, cost: script.cost, durability: Durability::Fsync })
    }

    async fn read_or_write(
        &self,
        database: &SqlDatabase,
        statements: Vec<SqlStatement>,
    ) -> Result<SqlAnswer, SqlError> {
        self.settings.limits.check_batch(&statements)?;
        let (file, warm) = match self.files.open_now(database) {
            Some(file) => (file, true),
            None => (self.files.get(database).await?, false),
        };
        if !statements.iter().all(|statement| may_read(&statement.sql)) {
            return file.write(Work::Statements(statements)).await.map(|done| done.into_answer());
        }
        if let [statement] = &statements[..]
            && warm
            && !file.is_slow(&statement.sql)
        {
            match file.read_inline(statement, INLINE)? {
                Read::Answer(results) => {
                    file.durable().await?;
                    return Ok(file.answer(results));
                }
                Read::Writes => return file.write(Work::Statements(statements)).await.map(|done| done.into_answer()),
                Read::TooSlow => {}
            }
        }
        let (reader, lane, shared) = (file.clone(), file.lane(), Arc::new(statements));
        let statements = shared.clone();
        match self.settings.run(lane, move || reader.read(&shared)).await?? {
            Read::Answer(results) => {
                file.durable().await?;
                Ok(file.answer(results))
            }
            Read::Writes | Read::TooSlow => {
                let statements = Arc::unwrap_or_clone(statements);
                file.write(Work::Statements(statements)).await.map(|done| done.into_answer())
            }
        }
    }
}

/// Whether a statement can be one that only reads, by its first word. The connection knows for
/// certain; this saves compiling what surely writes twice.
fn may_read(sql: &str) -> bool {
    let word = first_word(sql);
    let writes = ["INSERT", "UPDATE", "DELETE", "REPLACE", "CREATE", "DROP", "ALTER"];
    !writes.iter().any(|write| write.eq_ignore_ascii_case(word))
}

impl Sql for LocalSql {
    fn batch<'a>(
        &'a self,
        database: &'a SqlDatabase,
        statements: Vec<SqlStatement>,
    ) -> BoxFuture<'a, Result<SqlAnswer, SqlError>> {
        self.read_or_write(database, statements).boxed()
    }

    fn read_now(&self, database: &SqlDatabase, statement: &SqlStatement) -> Option<Result<SqlAnswer, SqlError>> {
        if !may_read(&statement.sql) {
            return None;
        }
        let file = self.files.open_now(database)?;
        // While something is being committed it would be read twice.
        if file.is_slow(&statement.sql) || !file.is_settled() {
            return None;
        }
        match file.read_inline(statement, INLINE) {
            Ok(Read::Answer(results)) => file.is_settled().then(|| Ok(file.answer(results))),
            Ok(Read::Writes | Read::TooSlow) => None,
            Err(error) => Some(Err(error)),
        }
    }

    fn script<'a>(&'a self, database: &'a SqlDatabase, text: String) -> BoxFuture<'a, Result<ScriptAnswer, SqlError>> {
        async move {
            self.settings.limits.check_text(&text)?;
            self.run_script(database, Work::Script(text)).await
        }
        .boxed()
    }

    fn import<'a>(&'a self, database: &'a SqlDatabase, text: String) -> BoxFuture<'a, Result<ScriptAnswer, SqlError>> {
        self.run_script(database, Work::Import(text)).boxed()
    }

    fn databases<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<Vec<SqlDatabase>, SqlError>> {
        async move {
            let (shared, app) = (self.files.shared(), app.clone());
            Ok(self.settings.run(Lane::default(), move || shared.on_disk(&app)).await??)
        }
        .boxed()
    }

    fn used<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<u64, SqlError>> {
        async move {
            let (shared, app) = (self.files.shared(), app.clone());
            Ok(self.settings.run(Lane::default(), move || shared.used(&app)).await??)
        }
        .boxed()
    }

    fn copy<'a>(
        &'a self,
        from: &'a SqlDatabase,
        at_ms: Option<u64>,
        to: &'a SqlDatabase,
    ) -> BoxFuture<'a, Result<Copied, SqlError>> {
        self.files.copy(from, at_ms, to).boxed()
    }

    fn delete<'a>(&'a self, database: &'a SqlDatabase) -> BoxFuture<'a, Result<(), SqlError>> {
        self.files.delete(database).boxed()
    }

    fn changes<'a>(
        &'a self,
        database: &'a SqlDatabase,
        options: SqlChangesOptions,
    ) -> BoxFuture<'a, Result<SqlChangesPage, SqlError>> {
        async move {
            // Without a wait, so that questions and writes keep their order.
            let file = match self.files.open_now(database) {
                Some(file) => file,
                None => self.files.get(database).await?,
            };
            file.changes(options).await
        }
        .boxed()
    }

    fn begin<'a>(&'a self, database: &'a SqlDatabase) -> BoxFuture<'a, Result<Box<dyn SqlTransaction>, SqlError>> {
        async move {
            let file = self.files.get(database).await?;
            let lease = file.begin().await?;
            self.timer.watch(&lease);
            Ok(Box::new(LocalTransaction::new(lease)) as Box<dyn SqlTransaction>)
        }
        .boxed()
    }

    fn stream<'a>(
        &'a self,
        database: &'a SqlDatabase,
        statement: SqlStatement,
    ) -> BoxFuture<'a, Result<Box<dyn SqlStream>, SqlError>> {
        async move {
            self.settings.limits.check(&statement)?;
            let file = self.files.get(database).await?;
            let stream = self.streams.open(file, statement).await?;
            Ok(Box::new(stream) as Box<dyn SqlStream>)
        }
        .boxed()
    }

    fn migrate<'a>(
        &'a self,
        database: &'a SqlDatabase,
        migrations: Arc<[Migration]>,
    ) -> BoxFuture<'a, Result<Vec<String>, SqlError>> {
        async move { self.files.get(database).await?.migrate(migrations).await }.boxed()
    }

    fn migrations<'a>(&'a self, database: &'a SqlDatabase) -> BoxFuture<'a, Result<Vec<Applied>, SqlError>> {
        async move {
            let file = self.files.get(database).await?;
            let lane = file.lane();
            self.settings.run(lane, move || file.migrations()).await?
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;
