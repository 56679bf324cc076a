//! A connection that is logged in, and what is done on it: one thing at a time, to its end.
//!
//! **The end of a statement is always waited for.** A statement that is given up (its time is over, its
//! caller left, its rows are too many) is cancelled at the server over a connection of its own, and
//! then read on until the server says that it is ready. Only so is it known what state the connection
//! is in. A server that takes longer than `cancel_ms` loses the connection.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use postgres_protocol::IsNull;
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;
use services::postgres::{DatabaseOptions, Effects, PostgresError, Query, ResultSet, Row, ServerError};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::cancel::Canceller;
use super::startup::Ready;
use super::statements::{Prepared, Statements};
use super::wire::{Wire, error_of, unexpected};

/// What a row costs beside its bytes.
const ROW_BYTES: u64 = 32;

pub struct Connection {
    pub wire: Wire,
    options: Arc<DatabaseOptions>,
    canceller: Canceller,
    statements: Statements,
    /// As the server said last: idle, in a transaction, in one that failed.
    status: u8,
    /// Something may have been left behind that the next one must not meet.
    dirty: bool,
    /// Nothing more can be done with it.
    broken: bool,
    /// A request to cancel that is on its way.
    cancelling: Option<JoinHandle<()>>,
}

/// Why a statement is to end before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Nobody waits for it any more.
    Gone,
    /// So many milliseconds are over, by this limit.
    Late { ms: u64, limit: &'static str },
}

impl Stop {
    fn error(self) -> PostgresError {
        match self {
            Stop::Gone => PostgresError::Lost("nobody waits for the statement".to_owned()),
            Stop::Late { ms, limit } => {
                PostgresError::Timeout(format!("the statement was cancelled after {ms} ms ({limit})"))
            }
        }
    }
}

/// What has come of a statement so far.
#[derive(Default)]
struct Outcome {
    result: ResultSet,
    bytes: u64,
    error: Option<PostgresError>,
    stopped: Option<Stop>,
    /// The rows went beyond what may be gathered.
    too_large: bool,
    finished: bool,
}

impl Connection {
    pub fn new(ready: Ready, options: Arc<DatabaseOptions>, canceller: Canceller) -> Self {
        Self {
            wire: ready.wire,
            statements: Statements::new(options.limits.prepared as usize),
            options,
            canceller: canceller.with_key(ready.key),
            status: IDLE,
            dirty: false,
            broken: false,
            cancelling: None,
        }
    }

    pub fn is_broken(&self) -> bool {
        self.broken
    }

    pub fn is_in_transaction(&self) -> bool {
        self.status != IDLE
    }

    /// Nothing has to be done before the next one gets it.
    pub fn is_clean(&self) -> bool {
        !self.broken && self.status == IDLE && !self.dirty
    }

    /// Runs a statement. Whatever becomes of it, the connection knows its own state afterwards.
    pub async fn query(&mut self, query: &Query, stop: impl Future<Output = Stop>) -> Result<ResultSet, PostgresError> {
        // A second attempt may ask it again after it has come.
        let mut stop = pin!(stop.fuse());
        for attempt in 0.. {
            let known = self.statements.get(&query.text);
            let was_known = known.is_some();
            let prepared = match known {
                Some(prepared) => prepared,
                None => self.prepare(query, stop.as_mut()).await?,
            };
            let result = self.execute(query, &prepared, stop.as_mut()).await;
            let Err(PostgresError::Statement(error)) = &result else { return result };
            if is_stale(error) {
                // Prepared anew when it is met again: at once, if nothing hangs on the attempt.
                self.forget(&query.text);
                if was_known && attempt == 0 && self.status == IDLE && !self.broken {
                    continue;
                }
            }
            return result;
        }
        unreachable!("the second attempt returns")
    }

    /// Parse and Describe, so that the types of parameters and columns are known.
    async fn prepare(
        &mut self,
        query: &Query,
        stop: std::pin::Pin<&mut impl Future<Output = Stop>>,
    ) -> Result<Arc<Prepared>, PostgresError> {
        let name = self.statements.fresh_name();
        for gone in self.statements.overdue() {
            self.put(|out| frontend::close(b'S', &gone, out))?;
        }
        self.put(|out| frontend::parse(&name, &query.text, [], out))?;
        self.put(|out| frontend::describe(b'S', &name, out))?;
        frontend::sync(&mut self.wire.outgoing);
        let mut prepared = Prepared::new(name, &query.text);
        let mut outcome = Outcome::default();
        self.run(&mut outcome, stop, |message, _| prepared.take(message)).await?;
        let prepared = Arc::new(prepared);
        self.statements.insert(query.text.clone(), prepared.clone());
        Ok(prepared)
    }

    /// Bind and Execute.
    async fn execute(
        &mut self,
        query: &Query,
        prepared: &Prepared,
        stop: std::pin::Pin<&mut impl Future<Output = Stop>>,
    ) -> Result<ResultSet, PostgresError> {
        if prepared.params.len() != query.params.len() {
            let (wanted, given) = (prepared.params.len(), query.params.len());
            let message = format!("the statement takes {wanted} parameters, and {given} were given");
            return Err(PostgresError::Refused(message));
        }
        self.put(|out| bind(query, prepared, out))?;
        self.put(|out| frontend::execute("", 0, out))?;
        frontend::sync(&mut self.wire.outgoing);
        let columns = prepared.columns.clone();
        let mut outcome = Outcome { result: ResultSet { columns, ..ResultSet::default() }, ..Outcome::default() };
        self.run(&mut outcome, stop, |message, _| match message {
            Message::BindComplete => Ok(true),
            _ => Ok(false),
        })
        .await?;
        self.note_effects(prepared.effects, &outcome.result.command);
        Ok(outcome.result)
    }

    /// Statements of ours, without parameters: `BEGIN`, `LISTEN`, `COMMIT`. The last command's tag.
    pub async fn command(&mut self, text: &str) -> Result<String, PostgresError> {
        self.put(|out| frontend::query(text, out))?;
        let mut outcome = Outcome::default();
        let ms = self.options.limits.statement_ms;
        let mut stop = pin!(async move {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Stop::Late { ms, limit: STATEMENT_MS }
        });
        self.run(&mut outcome, stop.as_mut(), |_, _| Ok(false)).await?;
        Ok(outcome.result.command)
    }

    /// Makes it what it was: no transaction, nothing left behind.
    pub async fn clean(&mut self) {
        let done = async {
            if self.is_in_transaction() {
                self.command("ROLLBACK").await?;
            }
            if std::mem::take(&mut self.dirty) {
                // It drops the prepared statements too.
                self.statements.clear();
                self.command("DISCARD ALL").await?;
                self.wire.settings_changed = false;
            }
            Ok::<_, PostgresError>(())
        };
        if done.await.is_err() {
            self.broken = true;
        }
    }

    fn note_effects(&mut self, effects: Effects, tag: &str) {
        self.dirty |= effects.and_tag(tag).session || std::mem::take(&mut self.wire.settings_changed);
        if matches!(tag, "DEALLOCATE" | "DISCARD") {
            self.statements.clear();
        }
    }

    fn forget(&mut self, text: &str) {
        self.statements.remove(text);
    }

    /// Puts a message into the outgoing buffer; what can't be one (a NUL, a length beyond the
    /// protocol's) leaves nothing there.
    fn put<E: Into<PutError>>(
        &mut self,
        write: impl FnOnce(&mut bytes::BytesMut) -> Result<(), E>,
    ) -> Result<(), PostgresError> {
        write(&mut self.wire.outgoing).map_err(|error| {
            self.wire.outgoing.clear();
            PostgresError::Refused(error.into().0)
        })
    }

    /// Sends what was put out, and reads until the server is ready. `take` sees messages first, and
    /// says whether one was its own.
    async fn run(
        &mut self,
        outcome: &mut Outcome,
        stop: std::pin::Pin<&mut impl Future<Output = Stop>>,
        mut take: impl FnMut(&Message, &mut Outcome) -> io::Result<bool>,
    ) -> Result<(), PostgresError> {
        let read = self.read_to_end(outcome, stop, &mut take).await;
        if let Some(cancelling) = self.cancelling.take() {
            // One that came late would meet the statement after this one. So it is waited for, and
            // what follows is the cleaning, which may be cancelled without harm.
            let _ = cancelling.await;
            self.dirty = true;
        }
        if let Err(error) = read {
            self.broken = true;
            if error.kind() == io::ErrorKind::FileTooLarge {
                drop(self.canceller.cancel());
                return Err(PostgresError::ResultTooLarge { bytes_max: self.options.limits.result_bytes });
            }
            // What the server said before it closed is the reason.
            return Err(match (outcome.error.take(), outcome.stopped) {
                (_, Some(stop @ Stop::Late { .. })) => stop.error(),
                (Some(said), _) => PostgresError::Lost(format!("{}: {said}", self.options.address)),
                (None, _) => PostgresError::Lost(format!("{}: {error}", self.options.address)),
            });
        }
        if outcome.too_large {
            return Err(PostgresError::ResultTooLarge { bytes_max: self.options.limits.result_bytes });
        }
        match outcome.error.take() {
            // The server heard of the cancelling, and that is why it ended.
            Some(PostgresError::Statement(error)) if error.sqlstate == QUERY_CANCELED => Err(match outcome.stopped {
                Some(stop) => stop.error(),
                None if error.message.contains("statement timeout") => PostgresError::Timeout(format!(
                    "{} (limits.statement_ms of the database, or a statement_timeout of its own)",
                    error.message
                )),
                None => PostgresError::Statement(error),
            }),
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    async fn read_to_end(
        &mut self,
        outcome: &mut Outcome,
        mut stop: std::pin::Pin<&mut impl Future<Output = Stop>>,
        take: &mut impl FnMut(&Message, &mut Outcome) -> io::Result<bool>,
    ) -> io::Result<()> {
        // Until it has heard everything, a server may wait with its own words; both have the same end.
        let patience = Duration::from_millis(self.options.limits.statement_ms + self.options.limits.cancel_ms);
        tokio::time::timeout(patience, self.wire.flush()).await.map_err(|_| stalled())??;
        let mut last_moment = None;
        while !outcome.finished {
            let late = async {
                match last_moment {
                    Some(moment) => tokio::time::sleep_until(moment).await,
                    None => std::future::pending().await,
                }
            };
            let message = tokio::select! {
                biased;
                message = self.wire.next() => message?,
                reason = stop.as_mut(), if last_moment.is_none() => {
                    outcome.stopped = Some(reason);
                    last_moment = Some(self.give_up());
                    continue;
                }
                () = late => return Err(stalled()),
            };
            if take(&message, outcome)? {
                continue;
            }
            if self.take(message, outcome)? && last_moment.is_none() {
                last_moment = Some(self.give_up());
            }
        }
        Ok(())
    }

    /// Asks the server to cancel; until when it has to.
    fn give_up(&mut self) -> Instant {
        self.cancelling = self.canceller.cancel();
        Instant::now() + Duration::from_millis(self.options.limits.cancel_ms)
    }

    /// Takes one message. True if the statement is to be cancelled.
    fn take(&mut self, message: Message, outcome: &mut Outcome) -> io::Result<bool> {
        match message {
            Message::DataRow(body) => {
                let cells = body.buffer_bytes();
                outcome.bytes += cells.len() as u64 + ROW_BYTES;
                if outcome.bytes <= self.options.limits.result_bytes {
                    outcome.result.rows.push(Row(cells.clone()));
                    return Ok(false);
                }
                outcome.result.rows = Vec::new();
                return Ok(!std::mem::replace(&mut outcome.too_large, true));
            }
            Message::CommandComplete(body) => {
                (outcome.result.command, outcome.result.row_count) = command_and_count(body.tag()?);
            }
            Message::ErrorResponse(body) => {
                let error = error_of(&body)?;
                outcome.error.get_or_insert(PostgresError::Statement(Box::new(error)));
            }
            Message::ReadyForQuery(body) => {
                self.status = body.status();
                outcome.finished = true;
            }
            Message::CopyInResponse(_) => {
                outcome.error = Some(copy());
                // A server that takes a copy ignores the Sync that was sent already.
                frontend::copy_fail("a binding copies nothing", &mut self.wire.outgoing)?;
                frontend::sync(&mut self.wire.outgoing);
                self.flush_soon()?;
            }
            Message::CopyOutResponse(_) => {
                outcome.error = Some(copy());
                return Ok(true);
            }
            Message::EmptyQueryResponse
            | Message::CopyData(_)
            | Message::CopyDone
            | Message::RowDescription(_)
            | Message::CloseComplete
            | Message::NoData
            | Message::PortalSuspended => {}
            other => return Err(unexpected(&other)),
        }
        Ok(false)
    }

    /// A few bytes, for which there is room.
    fn flush_soon(&mut self) -> io::Result<()> {
        self.wire.flush().now_or_never().unwrap_or_else(|| Err(stalled()))
    }

    /// Closes it, with a word to the server if it still listens.
    pub async fn close(self) {
        if !self.broken {
            self.wire.terminate().await;
        }
    }
}

pub const STATEMENT_MS: &str = "limits.statement_ms of the database";

/// Status of a connection without a transaction (the protocol's ReadyForQuery).
const IDLE: u8 = b'I';

const QUERY_CANCELED: &str = "57014";

fn copy() -> PostgresError {
    let message =
        "COPY moves data over the connection itself, which a binding does not; use INSERT with unnest() or SELECT";
    PostgresError::Refused(message.to_owned())
}

fn stalled() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the server does not answer")
}

/// Errors that a statement gets because it was prepared for another schema, or is prepared no longer.
/// The server refuses before it runs: what it did in between was rolled back with the statement.
fn is_stale(error: &ServerError) -> bool {
    matches!(error.sqlstate.as_str(), "26000" | "0A000") || error.sqlstate.starts_with("42")
}

/// `INSERT 0 5` → (`INSERT`, 5)
fn command_and_count(tag: &str) -> (String, Option<u64>) {
    let words: Vec<&str> = tag.split(' ').collect();
    let is_number = |word: &&str| word.bytes().all(|b| b.is_ascii_digit());
    let count = words.last().filter(|word| is_number(word)).and_then(|word| word.parse().ok());
    let command = words.iter().take_while(|word| !is_number(word)).copied().collect::<Vec<_>>().join(" ");
    (command, count)
}

/// Why a message could not be written.
struct PutError(String);

impl From<io::Error> for PutError {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<frontend::BindError> for PutError {
    fn from(error: frontend::BindError) -> Self {
        match error {
            frontend::BindError::Conversion(error) => Self(error.to_string()),
            frontend::BindError::Serialization(error) => Self(error.to_string()),
        }
    }
}

fn bind(query: &Query, prepared: &Prepared, out: &mut bytes::BytesMut) -> Result<(), frontend::BindError> {
    let encoded: Vec<_> =
        query.params.iter().zip(&prepared.params).map(|(param, type_oid)| param.encode(*type_oid)).collect();
    let formats: Vec<i16> = encoded.iter().map(|(format, _)| *format).collect();
    let write = |content: Option<std::borrow::Cow<'_, [u8]>>, out: &mut bytes::BytesMut| match content {
        Some(content) => {
            out.extend_from_slice(&content);
            Ok(IsNull::No)
        }
        None => Ok(IsNull::Yes),
    };
    let values = encoded.into_iter().map(|(_, content)| content);
    let results = prepared.columns.iter().map(services::postgres::Column::format);
    frontend::bind("", &prepared.name, formats, values, write, results, out)
}
