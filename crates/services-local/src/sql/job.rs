//! What waits for the writer of a database.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::ThreadId;

use services::sql::{Migration, SqlAnswer, SqlResult, SqlStatement};
use services::{Durability, SqlError, StoreError};
use tokio::sync::oneshot;

use super::transaction::Lease;
use crate::answer::{Behind, Told, Waits};
use crate::ledger::Ticket;
use crate::tenant_sql::{ScriptOutcome, first_word};

/// Batches in one group; with [`GROUP_BYTES_MAX`] it bounds how long neighbours wait for a turn.
const GROUP_JOBS_MAX: usize = 256;
const GROUP_BYTES_MAX: usize = 4 << 20;
/// Jobs, and bytes of them, that may wait for one database.
const QUEUE_JOBS_MAX: usize = 4_096;
const QUEUE_BYTES_MAX: usize = 64 << 20;

/// What a batch does.
pub enum Work {
    /// To wait until what was committed before is durable.
    Nothing,
    /// To keep a change feed, and tell where it is between what was written before and what comes after.
    Feed,
    Statements(Vec<SqlStatement>),
    Script(String),
    /// A script as long as a migration.
    Import(String),
}

impl Work {
    /// Whether it does nothing but remove rows, tables and indices, so that it is let through on a full disk.
    pub fn removes(&self) -> bool {
        match self {
            Work::Nothing => true,
            Work::Statements(statements) => statements.iter().all(|statement| removes(&statement.sql)),
            // A semicolon within a text makes two pieces, of which the second hardly removes anything; that is
            // refused, then.
            Work::Script(text) => text.split(';').all(|piece| piece.trim().is_empty() || removes(piece)),
            Work::Feed | Work::Import(_) => false,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Work::Nothing | Work::Feed => 0,
            Work::Statements(statements) => statements.iter().map(SqlStatement::weight).sum(),
            Work::Script(text) | Work::Import(text) => text.len(),
        }
    }
}

fn removes(statement: &str) -> bool {
    let word = first_word(statement);
    ["DELETE", "DROP"].iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// What it came to.
#[derive(Clone, Debug, Default)]
pub struct Done {
    pub results: Vec<SqlResult>,
    pub script: ScriptOutcome,
    /// Where the change feed was.
    pub position: u64,
    /// Bytes of the database after the commit.
    pub size_bytes: u64,
}

impl Done {
    pub fn into_answer(self) -> SqlAnswer {
        SqlAnswer { results: self.results, durability: Durability::Fsync, size_bytes: self.size_bytes }
    }
}

/// An answer goes out with the ticket that says when it may be believed.
pub type Reply<T> = oneshot::Sender<(Result<T, SqlError>, Option<Ticket>)>;

/// A batch, and who waits for it.
pub struct BatchJob {
    pub work: Work,
    pub bytes: usize,
    reply: oneshot::Sender<Told<Done, SqlError>>,
    home: ThreadId,
}

/// A batch that was committed or refused.
struct Finished {
    outcome: Result<Done, SqlError>,
    reply: oneshot::Sender<Told<Done, SqlError>>,
    home: ThreadId,
}

impl BatchJob {
    /// Whoever waits for it, on this thread, is to look as soon as it is woken.
    pub fn new(work: Work, reply: oneshot::Sender<Told<Done, SqlError>>) -> Self {
        Self { bytes: work.bytes(), work, reply, home: std::thread::current().id() }
    }

    /// Answers when the ticket says that it may be believed: a refusal, too, for a constraint that does not
    /// hold tells what was there.
    pub fn finish(self, outcome: Result<Done, SqlError>, ticket: Option<Ticket>) {
        let finished = Box::new(Finished { outcome, reply: self.reply, home: self.home });
        match ticket {
            Some(ticket) => ticket.tell(finished),
            None => finished.tell(Ok(()), None),
        }
    }

    fn is_given_up(&self) -> bool {
        self.reply.is_closed()
    }
}

impl Waits for Finished {
    fn home(&self) -> Option<ThreadId> {
        Some(self.home)
    }

    fn tell(self: Box<Self>, result: Result<(), StoreError>, behind: Option<Behind>) {
        let answer = result.map_err(SqlError::from).and(self.outcome);
        // Nobody waits any more if the caller's future was dropped.
        let _ = self.reply.send((answer, behind));
    }
}

pub enum Job {
    Batch(BatchJob),
    Begin(oneshot::Sender<Result<Arc<Lease>, SqlError>>),
    Migrate { migrations: Arc<[Migration]>, reply: Reply<Vec<String>> },
}

impl Job {
    fn bytes(&self) -> usize {
        match self {
            Job::Batch(job) => job.bytes,
            Job::Begin(_) => 0,
            Job::Migrate { migrations, .. } => migrations.iter().map(|migration| migration.text.len()).sum(),
        }
    }

    pub fn refuse(self, error: StoreError) {
        match self {
            Job::Batch(job) => job.finish(Err(error.into()), None),
            Job::Begin(reply) => drop(reply.send(Err(error.into()))),
            Job::Migrate { reply, .. } => drop(reply.send((Err(error.into()), None))),
        }
    }
}

/// What a turn does: a group of batches, or one thing that wants the writer for itself.
pub enum Turn {
    Group(Vec<BatchJob>),
    Alone(Job),
}

#[derive(Default)]
pub struct Queue {
    jobs: VecDeque<Job>,
    bytes: usize,
    /// A turn is queued or running, or a transaction has the writer.
    pub busy: bool,
}

impl Queue {
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    pub fn push(&mut self, job: Job) -> Result<(), StoreError> {
        let (in_flight, bytes) = (self.jobs.len(), job.bytes());
        if in_flight >= QUEUE_JOBS_MAX || (in_flight > 0 && self.bytes + bytes > QUEUE_BYTES_MAX) {
            return Err(StoreError::Busy { in_flight });
        }
        self.bytes += bytes;
        self.jobs.push_back(job);
        Ok(())
    }

    pub fn take_turn(&mut self) -> Turn {
        let mut group = Vec::new();
        let mut bytes = 0;
        while group.len() < GROUP_JOBS_MAX && (group.is_empty() || bytes < GROUP_BYTES_MAX) {
            match self.jobs.pop_front() {
                Some(Job::Batch(job)) => {
                    bytes += job.bytes;
                    self.bytes -= job.bytes;
                    // Who has gone before it began wants nothing done.
                    if !job.is_given_up() {
                        group.push(job);
                    }
                }
                Some(other) if group.is_empty() => {
                    self.bytes -= other.bytes();
                    return Turn::Alone(other);
                }
                Some(other) => {
                    self.jobs.push_front(other);
                    break;
                }
                None => break,
            }
        }
        Turn::Group(group)
    }

    pub fn drain(&mut self) -> Vec<Job> {
        self.bytes = 0;
        self.jobs.drain(..).collect()
    }
}
