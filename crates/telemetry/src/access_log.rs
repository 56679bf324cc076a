//! The access log and the guests' console, written by a thread of their own.
//!
//! The hot path only moves a record into a bounded queue. Formatting and writing happen on the
//! writer's thread. If the queue is full the record is dropped and counted, and the log says how
//! many are missing: a slow disk or terminal never slows a request.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::{GuestLine, Recent, Record, Sink};

mod human;
mod json;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line, for machines.
    Json,
    /// For a person at a terminal.
    Human { color: bool },
}

#[derive(Debug, Clone)]
pub struct AccessLogOptions {
    pub format: Format,
    /// Records and lines that may wait for the writer.
    pub queue: usize,
    /// Who keeps the last records.
    pub recent: Option<Arc<Recent>>,
}

impl Default for AccessLogOptions {
    fn default() -> Self {
        Self { format: Format::Json, queue: 16 << 10, recent: None }
    }
}

enum Item {
    Record(Box<Record>),
    Line(GuestLine),
    /// Everything before this has been written when the sender hears of it.
    Flush(SyncSender<()>),
}

/// See the [module's documentation](self).
pub struct AccessLog {
    /// Taken when the log is dropped, which ends the writer.
    queue: Option<SyncSender<Item>>,
    dropped: Arc<AtomicU64>,
    writer: Option<JoinHandle<()>>,
}

impl AccessLog {
    /// Starts the writer.
    pub fn start(out: impl Write + Send + 'static, options: &AccessLogOptions) -> std::io::Result<Arc<Self>> {
        let (queue, items) = sync_channel(options.queue.max(1));
        let dropped = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            out,
            format: options.format,
            dropped: dropped.clone(),
            recent: options.recent.clone(),
            told: 0,
            buffer: Vec::new(),
        };
        let thread = std::thread::Builder::new().name("access-log".to_owned());
        let writer = thread.spawn(move || writer.run(&items))?;
        Ok(Arc::new(Self { queue: Some(queue), dropped, writer: Some(writer) }))
    }

    /// Records and lines that were dropped because the writer fell behind, since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits until everything logged so far is written. Blocks.
    pub fn flush(&self) {
        let (done, written) = sync_channel(1);
        if self.queue.as_ref().is_some_and(|queue| queue.send(Item::Flush(done)).is_ok()) {
            let _ = written.recv();
        }
    }

    fn push(&self, item: Item) {
        if self.queue.as_ref().is_some_and(|queue| queue.try_send(item).is_err()) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Sink for AccessLog {
    fn record(&self, record: Record) {
        self.push(Item::Record(Box::new(record)));
    }

    fn line(&self, line: GuestLine) {
        self.push(Item::Line(line));
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// How often the writer looks while there is traffic. Waking it for every record would cost the
/// hot path a system call each.
const LOOK: Duration = Duration::from_millis(4);
/// After so many looks without anything it sleeps until it is woken.
const LOOKS: u32 = 64;
/// Written at once.
const BUFFER_BYTES: usize = 64 << 10;

struct Writer<W> {
    out: W,
    format: Format,
    dropped: Arc<AtomicU64>,
    recent: Option<Arc<Recent>>,
    /// How many dropped records the log has admitted to.
    told: u64,
    buffer: Vec<u8>,
}

impl<W: Write> Writer<W> {
    fn run(mut self, items: &Receiver<Item>) {
        let mut quiet = 0;
        loop {
            let item = match items.try_recv() {
                Ok(item) => item,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    self.write_out();
                    quiet += 1;
                    if quiet < LOOKS {
                        std::thread::sleep(LOOK);
                        continue;
                    }
                    match items.recv() {
                        Ok(item) => item,
                        Err(_) => break,
                    }
                }
            };
            quiet = 0;
            self.take(item);
        }
        self.write_out();
    }

    fn take(&mut self, item: Item) {
        match (item, self.format) {
            (Item::Record(mut record), format) => {
                match format {
                    Format::Json => json::record(&mut self.buffer, &record),
                    Format::Human { color } => human::record(&mut self.buffer, &record, color),
                }
                if let Some(recent) = &self.recent {
                    recent.put(&mut record);
                }
            }
            (Item::Line(line), Format::Json) => json::line(&mut self.buffer, &line),
            (Item::Line(line), Format::Human { color }) => human::line(&mut self.buffer, &line, color),
            (Item::Flush(done), _) => {
                self.write_out();
                let _ = done.send(());
            }
        }
        if self.buffer.len() >= BUFFER_BYTES {
            self.write_out();
        }
    }

    fn write_out(&mut self) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        if dropped > self.told {
            let missing = dropped - self.told;
            match self.format {
                Format::Json => json::dropped(&mut self.buffer, missing),
                Format::Human { .. } => human::dropped(&mut self.buffer, missing),
            }
            self.told = dropped;
        }
        if self.buffer.is_empty() {
            return;
        }
        // Nobody is left to tell if the log can't be written.
        let written = self.out.write_all(&self.buffer).and_then(|()| self.out.flush());
        if written.is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            self.told += 1;
        }
        self.buffer.clear();
    }
}

#[cfg(test)]
mod tests;
