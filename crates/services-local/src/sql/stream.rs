//! The rows of one statement, handed over as they are asked for.
//!
//! A statement that is half-way lives on a thread's stack, so each stream has a thread for as long
//! as it lasts; `sql_streams` says how many there may be. It steps only when somebody asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use services::sql::{SqlRows, SqlStatement, SqlStream};
use services::{SqlError, StoreError};
use tokio::sync::oneshot;

use super::Settings;
use super::file::SqlFile;
use crate::tenant_sql::{Budget, Cancel, StreamPiece};

/// About how much one piece holds.
const PIECE_BYTES: u64 = 256 << 10;

/// The streams of the node.
pub struct Streams {
    settings: Arc<Settings>,
    open: Arc<AtomicU64>,
}

type Answer = Result<Option<SqlRows>, SqlError>;
type Asked = oneshot::Sender<Answer>;

/// A place among the streams.
struct Place(Arc<AtomicU64>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Streams {
    pub fn new(settings: Arc<Settings>) -> Self {
        Self { settings, open: Arc::default() }
    }

    pub async fn open(&self, file: Arc<SqlFile>, statement: SqlStatement) -> Result<LocalStream, SqlError> {
        let place = self.place()?;
        let (asks, asked) = channel();
        let (begin, begun) = oneshot::channel();
        let (cancel, rows_read) = (Cancel::default(), Arc::new(AtomicU64::new(0)));
        let budget = Budget {
            time: Duration::from_millis(self.settings.limits.sql_stream_ms),
            cancel: Some(cancel.clone()),
            ..Budget::of(&self.settings.limits)
        };
        let (read, seen) = (rows_read.clone(), file.clone());
        let work = move || {
            let _place = place;
            serve(&file, &statement, &budget, begin, &asked, &read);
        };
        let thread = std::thread::Builder::new().name("store-sql-stream".into()).spawn(work);
        thread.map_err(|error| StoreError::Failed(format!("no thread for a stream: {error}")))?;
        let columns = begun.await.unwrap_or_else(|_| Err(SqlError::Cancelled))?;
        Ok(LocalStream { file: seen, is_durable: false, columns, asks, cancel, rows_read })
    }

    fn place(&self) -> Result<Place, StoreError> {
        let place = Place(self.open.clone());
        let open = self.open.fetch_add(1, Ordering::Relaxed);
        match open < self.settings.limits.sql_streams {
            true => Ok(place),
            false => Err(StoreError::Busy { in_flight: open as usize }),
        }
    }
}

/// Runs the statement, a piece for each one who asks.
fn serve(
    file: &SqlFile,
    statement: &SqlStatement,
    budget: &Budget,
    begin: oneshot::Sender<Result<Vec<String>, SqlError>>,
    asked: &Receiver<Asked>,
    rows_read: &AtomicU64,
) {
    let mut begin = Some(begin);
    let mut rows_count = 0;
    let until = file.settings().clock.monotonic() + budget.time;
    // Nobody asks any more, or too late.
    let next = || {
        let left = until.saturating_sub(file.settings().clock.monotonic());
        asked.recv_timeout(left).ok()
    };
    let ended = file.with_reader(|reader| {
        reader.stream(statement, budget, PIECE_BYTES, |piece| match piece {
            StreamPiece::Columns(columns) => begin.take().is_some_and(|begin| begin.send(Ok(columns)).is_ok()),
            StreamPiece::Rows(rows) => {
                rows_count += rows.len() as u64;
                rows_read.store(rows_count, Ordering::Relaxed);
                next().is_some_and(|reply| reply.send(Ok(Some(rows))).is_ok())
            }
        })
    });
    let ended = ended.map_err(SqlError::from).and_then(|ended| ended);
    if let Ok(read) = &ended {
        rows_read.store(*read, Ordering::Relaxed);
    }
    let last = match ended {
        Ok(_) => Ok(None),
        Err(SqlError::Cancelled) if !budget.cancel.as_ref().is_some_and(Cancel::is_cancelled) => {
            Err(SqlError::TimeLimit { ms_max: budget.time.as_millis() as u64 })
        }
        Err(error) => Err(error),
    };
    match begin.take() {
        Some(begin) => drop(begin.send(last.map(|_| Vec::new()))),
        None => {
            if let Some(reply) = next() {
                let _ = reply.send(last);
            }
        }
    }
}

/// The caller's end. Dropping it ends the statement.
pub struct LocalStream {
    file: Arc<SqlFile>,
    /// No crash takes back what its rows are read from.
    is_durable: bool,
    columns: Vec<String>,
    asks: Sender<Asked>,
    cancel: Cancel,
    rows_read: Arc<AtomicU64>,
}

impl SqlStream for LocalStream {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next(&mut self) -> BoxFuture<'_, Answer> {
        let (reply, answer) = oneshot::channel();
        // A thread that has gone had nothing more to say, or nobody asked in time.
        let asked = self.asks.send(reply).is_ok();
        async move {
            let answer = match asked {
                true => answer.await.unwrap_or(Err(SqlError::Cancelled)),
                false => Err(SqlError::Cancelled),
            };
            if !self.is_durable {
                // All rows are of the state that the first was read from.
                self.file.durable().await?;
                self.is_durable = true;
            }
            answer
        }
        .boxed()
    }

    fn rows_read(&self) -> u64 {
        self.rows_read.load(Ordering::Relaxed)
    }
}

impl Drop for LocalStream {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}
