//! One open database: a queue before its writer, and readers that never wait for it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use services::sql::{Applied, Migration, SqlAnswer, SqlChangesOptions, SqlChangesPage, SqlResult, SqlStatement};
use services::{Durability, SqlDatabase, SqlError, SqlValue, StoreError};
use tokio::sync::{Notify, oneshot};

use super::Settings;
use super::feed;
use super::job::{BatchJob, Done, Job, Queue, Turn, Work};
use super::transaction::Lease;
use super::writer::{Committing, Origin, Seen, Writer, applied, open_reader};
use crate::ledger::Ticket;
use crate::pool::{Due, Lane};
use crate::tenant_sql::{Budget, TenantConnection};

/// Read connections kept open per database. More may exist for as long as they are in use.
const IDLE_READERS_MAX: usize = 2;
/// Statements remembered as slow.
const SLOW_MAX: usize = 256;

pub struct SqlFile {
    database: SqlDatabase,
    path: PathBuf,
    settings: Arc<Settings>,
    lane: Lane,
    queue: Mutex<Queue>,
    size_bytes: AtomicU64,
    seen: Arc<Seen>,
    /// Woken when the change feed has something new.
    told: Arc<Notify>,
    slow: Mutex<HashSet<Arc<str>>>,
    /// Before the writer, so that they close first: the last connection folds the log into the
    /// database, and a reader may not.
    idle_readers: Mutex<Vec<TenantConnection>>,
    writer: Mutex<Writer>,
}

/// What became of a read.
pub enum Read {
    Answer(Vec<SqlResult>),
    /// It is not only a read.
    Writes,
    TooSlow,
}

impl SqlFile {
    /// Opens or creates the file. Blocks; meant for a thread of the pool.
    pub fn open(
        database: SqlDatabase,
        path: &Path,
        lane: Lane,
        settings: Arc<Settings>,
    ) -> Result<Arc<Self>, StoreError> {
        let (seen, told) = (Arc::new(Seen::default()), Arc::new(Notify::new()));
        let writer = Writer::open(path, &settings, seen.clone(), told.clone())?;
        let size_bytes = writer.connection.size_bytes().unwrap_or(0);
        Ok(Arc::new(Self {
            database,
            path: path.into(),
            settings,
            lane,
            queue: Mutex::default(),
            size_bytes: AtomicU64::new(size_bytes),
            seen,
            told,
            slow: Mutex::default(),
            idle_readers: Mutex::default(),
            writer: Mutex::new(writer),
        }))
    }

    pub fn lane(&self) -> Lane {
        self.lane
    }

    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    pub fn origin(&self) -> Origin<'_> {
        Origin { database: &self.database, settings: &self.settings }
    }

    pub fn answer(&self, results: Vec<SqlResult>) -> SqlAnswer {
        let size_bytes = self.size_bytes.load(Ordering::Relaxed);
        SqlAnswer { results, durability: Durability::Fsync, size_bytes }
    }

    /// Runs a statement on this thread, if it only reads and takes no longer than `time`.
    pub fn read_inline(&self, statement: &SqlStatement, time: Duration) -> Result<Read, SqlError> {
        let budget = Budget { time, ..Budget::of(&self.settings.limits) };
        let result = self.with_reader(|reader| reader.run_if_read(statement, &budget))?;
        match result {
            Ok(Some(result)) => Ok(Read::Answer(vec![result])),
            Ok(None) => Ok(Read::Writes),
            Err(SqlError::TimeLimit { .. }) => {
                self.remember_slow(&statement.sql);
                Ok(Read::TooSlow)
            }
            Err(error) => Err(error),
        }
    }

    /// Runs statements that only read, on one state of the database. Blocks.
    pub fn read(&self, statements: &[SqlStatement]) -> Result<Read, SqlError> {
        self.with_reader(|reader| {
            if statements.len() > 1 {
                reader.control("BEGIN")?;
            }
            let answer = self.read_all(reader, statements);
            if reader.in_transaction() {
                reader.control("COMMIT")?;
            }
            answer
        })?
    }

    fn read_all(&self, reader: &TenantConnection, statements: &[SqlStatement]) -> Result<Read, SqlError> {
        let mut budget = Budget::of(&self.settings.limits);
        let bytes_max = budget.result_bytes;
        let mut results = Vec::with_capacity(statements.len());
        for statement in statements {
            let result = reader.run_if_read(statement, &budget).map_err(|error| match error {
                SqlError::ResultTooLarge { .. } => SqlError::ResultTooLarge { bytes_max },
                other => other,
            })?;
            let Some(result) = result else { return Ok(Read::Writes) };
            let bytes: usize = result.rows.values.iter().map(SqlValue::weight).sum();
            budget.result_bytes = budget.result_bytes.saturating_sub(bytes as u64);
            self.origin().log_if_slow(reader, &statement.sql, result.cost.duration, result.cost.rows_read);
            results.push(result);
        }
        Ok(Read::Answer(results))
    }

    /// Lends a read connection. One that met a failing file is not kept.
    pub fn with_reader<T>(
        &self,
        read: impl FnOnce(&TenantConnection) -> Result<T, SqlError>,
    ) -> Result<Result<T, SqlError>, StoreError> {
        let idle = self.idle_readers().pop();
        let reader = match idle {
            Some(reader) => reader,
            None => open_reader(&self.path, &self.settings)?,
        };
        let answer = read(&reader);
        if !matches!(answer, Err(SqlError::Store(_))) {
            let mut idle = self.idle_readers();
            if idle.len() < IDLE_READERS_MAX {
                idle.push(reader);
            }
        }
        Ok(answer)
    }

    pub fn is_slow(&self, sql: &Arc<str>) -> bool {
        let slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        !slow.is_empty() && slow.contains(sql)
    }

    fn remember_slow(&self, sql: &Arc<str>) {
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        if slow.len() >= SLOW_MAX {
            slow.clear();
        }
        slow.insert(sql.clone());
    }

    /// Runs a batch in the next group and answers after the commit.
    pub async fn write(self: &Arc<Self>, work: Work) -> Result<Done, SqlError> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(Job::Batch(BatchJob::new(work, reply)))?.behind_the_ready().await;
        let (outcome, behind) = answer.await.unwrap_or_else(|_| (Err(abandoned()), None));
        drop(behind);
        outcome
    }

    /// Waits until everything is durable that a read which has ended may have seen. Mostly it is.
    pub async fn durable(self: &Arc<Self>) -> Result<(), SqlError> {
        let is_durable = match self.seen.ticket() {
            Ok(ticket) => wait(ticket).await.is_ok(),
            Err(Committing) => false,
        };
        if is_durable {
            return Ok(());
        }
        // After a failure of the ledger a ticket says so for good; the writer knows whether what is
        // there was appended again since.
        self.write(Work::Nothing).await.map(drop)
    }

    /// Whether everything is durable already that a read which has ended may have seen.
    pub fn is_settled(&self) -> bool {
        self.seen.is_settled()
    }

    /// Waits for the writer and begins a transaction on it.
    pub async fn begin(self: &Arc<Self>) -> Result<Arc<Lease>, SqlError> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(Job::Begin(reply))?.behind_the_ready().await;
        answer.await.unwrap_or_else(|_| Err(abandoned()))
    }

    pub async fn migrate(self: &Arc<Self>, migrations: Arc<[Migration]>) -> Result<Vec<String>, SqlError> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(Job::Migrate { migrations, reply })?.behind_the_ready().await;
        let (outcome, ticket) = answer.await.unwrap_or_else(|_| (Err(abandoned()), None));
        wait(ticket).await?;
        outcome
    }

    /// What changed after a position. The feed begins with the first question.
    pub async fn changes(self: &Arc<Self>, options: SqlChangesOptions) -> Result<SqlChangesPage, SqlError> {
        if options.after.is_none() {
            let done = self.write(Work::Feed).await?;
            return Ok(SqlChangesPage { changes: Vec::new(), through: done.position });
        }
        loop {
            // What is told from here on wakes this.
            let mut told = std::pin::pin!(self.told.notified());
            told.as_mut().enable();
            let (file, asked) = (self.clone(), options.clone());
            let read = move || file.with_reader(|reader| reader.trusted(|connection| feed::read(connection, &asked)));
            let Some(page) = self.settings.run(self.lane, read).await??? else {
                self.write(Work::Feed).await?;
                continue;
            };
            self.durable().await?;
            options.check(page.floor, page.last)?;
            let through = page.changes.last().map_or(page.last, |change| change.sequence);
            if !page.changes.is_empty() || !options.wait {
                return Ok(SqlChangesPage { changes: page.changes, through });
            }
            told.await;
        }
    }

    /// The migrations that were applied. Blocks.
    pub fn migrations(&self) -> Result<Vec<Applied>, SqlError> {
        self.with_reader(applied)?
    }

    /// Checks the whole file, as `PRAGMA integrity_check` does. Blocks.
    pub fn check(&self) -> Result<(), StoreError> {
        let asked = self.with_reader(|reader| {
            reader.trusted(|c| c.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0)))
        })?;
        match asked {
            Ok(answer) if answer == "ok" => Ok(()),
            Ok(damage) => Err(StoreError::Corrupt(format!("{}: {damage}", self.path.display()))),
            Err(SqlError::Store(error)) => Err(error),
            Err(error) => Err(StoreError::Failed(error.to_string())),
        }
    }

    /// Queues a job; what this answers is to be let go for its turn to come.
    fn enqueue(self: &Arc<Self>, job: Job) -> Result<Due, StoreError> {
        let mut queue = self.queue();
        queue.push(job)?;
        if std::mem::replace(&mut queue.busy, true) {
            return Ok(Due::none());
        }
        drop(queue);
        let this = self.clone();
        let due = self.settings.pool.spawn_behind(self.lane, move || this.turn());
        Ok(due.unwrap_or_else(|error| self.refuse(&error)))
    }

    /// The writer is free: the next turn, if anything waits. The last thing that a job of the pool does.
    pub fn next_turn(self: &Arc<Self>) {
        let mut queue = self.queue();
        queue.busy = !queue.is_empty();
        if queue.busy {
            drop(queue);
            let this = self.clone();
            if let Err(error) = self.settings.pool.spawn_next(self.lane, move || this.turn()) {
                self.refuse(&error);
            }
        }
    }

    /// There are no turns, as when the node shuts down: what waits is refused, and says so.
    fn refuse(&self, error: &StoreError) -> Due {
        let mut queue = self.queue();
        queue.busy = false;
        let waiting = queue.drain();
        drop(queue);
        waiting.into_iter().for_each(|job| job.refuse(error.clone()));
        Due::none()
    }

    fn turn(self: Arc<Self>) {
        let turn = self.queue().take_turn();
        // Only one turn of a database exists at a time, so this lock is never contended.
        let mut writer = self.writer();
        let (turn, ready) = match self.ready(&mut writer, false) {
            Err(full @ StoreError::Full(_)) => self.only_removals(&mut writer, turn, full),
            ready => (turn, ready),
        };
        match (turn, ready) {
            (Turn::Group(group), Err(error)) => {
                group.into_iter().for_each(|job| job.finish(Err(error.clone().into()), None));
            }
            (Turn::Alone(job), Err(error)) => job.refuse(error),
            (Turn::Group(group), Ok(())) => self.commit(&mut writer, group),
            (Turn::Alone(Job::Batch(job)), Ok(())) => self.commit(&mut writer, vec![job]),
            (Turn::Alone(Job::Migrate { migrations, reply }), Ok(())) => {
                let origin = self.origin();
                let outcome = writer.migrate(&migrations, &origin);
                self.settle(&mut writer, outcome.as_ref().err());
                let ticket = writer.last_ticket();
                drop(reply.send((outcome, ticket)));
            }
            (Turn::Alone(Job::Begin(reply)), Ok(())) => match writer.control("BEGIN IMMEDIATE") {
                Ok(()) => {
                    let before = writer.last_ticket();
                    drop(writer);
                    // If nobody waits for it any more, dropping it gives the writer back.
                    return drop(reply.send(Ok(Lease::new(self.clone(), before))));
                }
                Err(error) => {
                    self.settle(&mut writer, Some(&error));
                    drop(reply.send(Err(error)));
                }
            },
        }
        drop(writer);
        self.next_turn();
    }

    fn ready(&self, writer: &mut Writer, removes: bool) -> Result<(), StoreError> {
        writer.ready(&self.path, &self.settings, self.settings.quota(&self.database), removes)
    }

    /// What of a turn is done on a full disk; the rest is refused.
    fn only_removals(&self, writer: &mut Writer, turn: Turn, full: StoreError) -> (Turn, Result<(), StoreError>) {
        let group = match turn {
            Turn::Group(group) => group,
            Turn::Alone(Job::Batch(job)) => vec![job],
            alone => return (alone, Err(full)),
        };
        let (removals, others): (Vec<_>, Vec<_>) = group.into_iter().partition(|job| job.work.removes());
        others.into_iter().for_each(|job| job.finish(Err(full.clone().into()), None));
        let ready = if removals.is_empty() { Err(full) } else { self.ready(writer, true) };
        (Turn::Group(removals), ready)
    }

    fn commit(&self, writer: &mut Writer, group: Vec<BatchJob>) {
        if group.is_empty() {
            return;
        }
        if group.iter().all(|job| matches!(job.work, Work::Nothing)) {
            let ticket = writer.refresh();
            return group.into_iter().for_each(|job| job.finish(Ok(Done::default()), ticket.clone()));
        }
        let origin = self.origin();
        match writer.commit(&group, &origin) {
            Ok(outcomes) => {
                self.settle(writer, None);
                let ticket = writer.last_ticket();
                let size_bytes = self.size_bytes.load(Ordering::Relaxed);
                for (job, outcome) in group.into_iter().zip(outcomes) {
                    job.finish(outcome.map(|done| Done { size_bytes, ..done }), ticket.clone());
                }
            }
            Err(error) => {
                self.settle(writer, Some(&error));
                group.into_iter().for_each(|job| job.finish(Err(error.clone()), None));
            }
        }
    }

    /// After a turn: nothing is left open, and what is known of the file is current.
    pub fn settle(&self, writer: &mut Writer, error: Option<&SqlError>) {
        writer.undo();
        if let Some(error) = error {
            writer.notice(&self.path, error, self.settings.clock.monotonic());
            if let SqlError::Store(StoreError::Full(_)) = error {
                self.settings.ledger.found_full();
            }
        }
        if let Ok(size) = writer.connection.size_bytes() {
            self.size_bytes.store(size, Ordering::Relaxed);
        }
    }

    pub fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle_readers(&self) -> MutexGuard<'_, Vec<TenantConnection>> {
        self.idle_readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn wait(ticket: Option<Ticket>) -> Result<(), StoreError> {
    match ticket {
        Some(ticket) if !ticket.is_durable() => ticket.await,
        _ => Ok(()),
    }
}

fn abandoned() -> SqlError {
    StoreError::Failed("a statement was abandoned".into()).into()
}
