//! Transactions that span several calls: a lease of a database's writer.
//!
//! No thread waits between two statements: each is a job, and the lease is what remains. It ends
//! once, by whoever comes first: a commit, a rollback, its owner's drop, or the timer. Whoever ends
//! it while a statement runs leaves the rest to that statement.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use services::sql::{SqlResult, SqlStatement, SqlTransaction};
use services::{Durability, SqlError};

use super::file::SqlFile;
use crate::ledger::Ticket;
use crate::tenant_sql::Budget;

/// The writer of a database, lent.
pub struct Lease {
    file: Arc<SqlFile>,
    began: Duration,
    /// Resolves when everything is durable that was committed before it, which its statements see.
    before: Option<Ticket>,
    state: Mutex<State>,
}

struct State {
    /// When the last statement ended.
    idle_since: Duration,
    running: bool,
    /// An answer waits for the disk, and so does its owner.
    waiting: bool,
    /// Why it is over.
    over: Option<String>,
}

/// What a statement's job does when it has run.
enum Then {
    GoOn,
    /// Give the writer back.
    End(String),
}

impl Lease {
    /// A transaction that has begun on the file's writer.
    pub fn new(file: Arc<SqlFile>, before: Option<Ticket>) -> Arc<Self> {
        let now = file.settings().clock.monotonic();
        let state = Mutex::new(State { idle_since: now, running: false, waiting: false, over: None });
        Arc::new(Self { file, began: now, before, state })
    }

    /// Waits until what its statements see is what no crash takes back. A transaction that is rolled
    /// back has no commit of its own that would wait for it.
    async fn seen_is_durable(self: &Arc<Self>) -> Result<(), SqlError> {
        let Some(before) = self.before.clone().filter(|before| !before.is_durable()) else { return Ok(()) };
        self.state().waiting = true;
        let waited = before.await;
        let mut state = self.state();
        state.waiting = false;
        state.idle_since = self.file.settings().clock.monotonic();
        drop(state);
        Ok(waited.inspect_err(|error| self.end(error.to_string()))?)
    }

    /// Ends it if it has lasted too long; answers whether it is over.
    pub fn expire(self: &Arc<Self>, now: Duration) -> bool {
        let limits = &self.file.settings().limits;
        let state = self.state();
        let lasted = now.saturating_sub(self.began);
        let idle = if state.running || state.waiting { Duration::ZERO } else { now.saturating_sub(state.idle_since) };
        let reason = match (limits.sql_transaction_ms, limits.sql_transaction_idle_ms) {
            (max, _) if lasted > Duration::from_millis(max) => {
                format!("it lasted longer than sql_transaction_ms allows, which is {max}")
            }
            (_, max) if idle > Duration::from_millis(max) => {
                format!("it stood still for longer than sql_transaction_idle_ms allows, which is {max}")
            }
            _ => return state.over.is_some(),
        };
        drop(state);
        self.end(reason);
        true
    }

    /// Rolls it back, unless it is over.
    fn end(self: &Arc<Self>, reason: String) {
        let mut state = self.state();
        if state.over.is_some() {
            return;
        }
        state.over = Some(reason);
        if state.running {
            return;
        }
        drop(state);
        self.give_back_elsewhere();
    }

    fn give_back_elsewhere(&self) {
        let file = self.file.clone();
        let (pool, lane) = (file.settings().pool.clone(), file.lane());
        // If the node is shutting down, closing the connection rolls it back.
        let _ = pool.spawn(lane, move || give_back(&file, None));
    }

    /// Runs a job on the writer, on a thread.
    async fn with_writer<T: Send + 'static>(
        self: &Arc<Self>,
        job: impl FnOnce(&Arc<SqlFile>, Duration) -> (Result<T, SqlError>, Then) + Send + 'static,
    ) -> Result<T, SqlError> {
        {
            let mut state = self.state();
            if let Some(reason) = &state.over {
                return Err(SqlError::TransactionOver(reason.clone()));
            }
            if state.running {
                return Err(SqlError::TransactionOver("two of its statements ran at once".into()));
            }
            state.running = true;
        }
        let this = self.clone();
        let run = move || this.run_job(job);
        let (pool, lane) = (self.file.settings().pool.clone(), self.file.lane());
        match pool.run(lane, run).await {
            Ok(answer) => answer,
            Err(error) => {
                self.state().running = false;
                self.end(error.to_string());
                Err(error.into())
            }
        }
    }

    fn run_job<T>(
        self: &Arc<Self>,
        job: impl FnOnce(&Arc<SqlFile>, Duration) -> (Result<T, SqlError>, Then),
    ) -> Result<T, SqlError> {
        let settings = self.file.settings();
        let total = Duration::from_millis(settings.limits.sql_transaction_ms);
        let left = total.saturating_sub(settings.clock.monotonic().saturating_sub(self.began));
        let (answer, then) = job(&self.file, left);
        let mut state = self.state();
        state.running = false;
        state.idle_since = settings.clock.monotonic();
        match (&state.over, then) {
            (Some(reason), Then::GoOn) => {
                let over = SqlError::TransactionOver(reason.clone());
                drop(state);
                give_back(&self.file, None);
                Err(over)
            }
            (None, Then::GoOn) => answer,
            (_, Then::End(reason)) => {
                state.over = Some(reason);
                drop(state);
                give_back(&self.file, answer.as_ref().err());
                answer
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Undoes what is open and lets the next turn begin.
fn give_back(file: &Arc<SqlFile>, error: Option<&SqlError>) {
    let mut writer = file.writer();
    file.settle(&mut writer, error);
    drop(writer);
    file.next_turn();
}

/// The caller's end of a lease.
pub struct LocalTransaction {
    lease: Arc<Lease>,
}

impl LocalTransaction {
    pub fn new(lease: Arc<Lease>) -> Self {
        Self { lease }
    }
}

impl SqlTransaction for LocalTransaction {
    fn run(&mut self, statement: SqlStatement) -> BoxFuture<'_, Result<SqlResult, SqlError>> {
        let job = move |file: &Arc<SqlFile>, left: Duration| {
            let limits = &file.settings().limits;
            let budget = Budget { time: left.min(Budget::of(limits).time), ..Budget::of(limits) };
            let writer = file.writer();
            let answer = writer.connection.run(&statement, &budget);
            if let Ok(result) = &answer {
                let cost = &result.cost;
                file.origin().log_if_slow(&writer.connection, &statement.sql, cost.duration, cost.rows_read);
            }
            let then = match &answer {
                Err(SqlError::Store(error)) => Then::End(error.to_string()),
                _ if !writer.connection.in_transaction() => Then::End("a statement rolled it back".into()),
                _ => Then::GoOn,
            };
            (answer, then)
        };
        async move {
            let answer = self.lease.with_writer(job).await;
            self.lease.seen_is_durable().await?;
            answer
        }
        .boxed()
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<Durability, SqlError>> {
        let job = |file: &Arc<SqlFile>, _: Duration| {
            let committed = file.writer().commit_now();
            (committed, Then::End("it was committed".into()))
        };
        async move {
            if let Some(ticket) = self.lease.with_writer(job).await? {
                ticket.await?;
            }
            Ok(Durability::Fsync)
        }
        .boxed()
    }

    fn rollback(self: Box<Self>) -> BoxFuture<'static, ()> {
        let job = |_: &Arc<SqlFile>, _: Duration| (Ok(()), Then::End("it was rolled back".into()));
        async move {
            // If it is over already, it is rolled back.
            let _ = self.lease.with_writer(job).await;
        }
        .boxed()
    }
}

impl Drop for LocalTransaction {
    fn drop(&mut self) {
        self.lease.end("its owner let go of it".into());
    }
}

/// A lease that nobody received.
impl Drop for Lease {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if state.over.is_none() {
            self.give_back_elsewhere();
        }
    }
}
