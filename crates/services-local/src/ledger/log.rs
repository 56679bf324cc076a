//! Writing the log: what gathers while one batch is flushed is the next batch.
//!
//! One thread writes. After a failed write or flush, nothing of that segment is written or tried
//! again: what was not known to be flushed is *in doubt* for ever, its tickets fail, and after a
//! pause a new segment begins, which says where the sound part of the last one ends. Until then
//! nothing is taken.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use services::StoreError;

use super::record;
use super::segment::{self, Header, SEGMENT_BYTES, Writer};
use crate::answer::{self, Waits};
use crate::data_dir::Reserve;
use crate::disk;

/// Bytes that may wait for the thread; beyond, whoever commits waits.
const GATHER_BYTES_MAX: usize = 32 << 20;
/// Pause before a failed log begins a new segment; doubles up to the most.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What those who commit, those who wait, and the thread share.
pub struct Log {
    dir: PathBuf,
    gather: Mutex<Gather>,
    /// Something gathered, or the log closes.
    work: Condvar,
    /// There is room, something became durable, or the log failed.
    progress: Condvar,
    durable: AtomicU64,
    doubtful: AtomicBool,
    /// Given up when the disk is found full.
    reserve: Arc<Reserve>,
}

struct Gather {
    /// The batch that gathers, and the segment that it will be written to.
    batch: u64,
    segment: u64,
    bytes: Vec<u8>,
    /// In the order of their batches.
    waiters: VecDeque<(u64, Box<dyn Waits>)>,
    failure: Option<StoreError>,
    doubts: Vec<RangeInclusive<u64>>,
    closed: bool,
}

/// Where a record went.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub batch: u64,
    pub segment: u64,
}

/// How a database is called in the log.
pub struct Name {
    pub id: u32,
    pub path: String,
    /// The segment that was last told of the name.
    pub told: AtomicU64,
}

/// Resolves when a commit, and all before it of the same database, are durable. It fails if that
/// can't be known: the commit may or may not be found after a crash.
#[derive(Clone)]
pub struct Ticket {
    log: Arc<Log>,
    batch: u64,
}

impl Log {
    /// The log after `last`, which is durable already. Segments from `next` on are new.
    pub fn new(dir: PathBuf, last: u64, next: u64, reserve: Arc<Reserve>) -> Arc<Self> {
        let mut bytes = Vec::new();
        segment::begin_batch(&mut bytes);
        Arc::new(Self {
            dir,
            gather: Mutex::new(Gather {
                batch: last + 1,
                segment: next,
                bytes,
                waiters: VecDeque::new(),
                failure: None,
                doubts: Vec::new(),
                closed: false,
            }),
            work: Condvar::new(),
            progress: Condvar::new(),
            durable: AtomicU64::new(last),
            doubtful: AtomicBool::new(false),
            reserve,
        })
    }

    fn gather(&self) -> MutexGuard<'_, Gather> {
        self.gather.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds records to the batch that gathers. Waits while too much is waiting already.
    pub fn append(&self, name: &Name, records: &[u8]) -> Result<Place, StoreError> {
        let mut gather = self.gather();
        while gather.bytes.len() > GATHER_BYTES_MAX && gather.failure.is_none() && !gather.closed {
            gather = self.progress.wait(gather).unwrap_or_else(PoisonError::into_inner);
        }
        gather.refusal()?;
        let was_empty = segment::is_empty(&gather.bytes);
        let place = Place { batch: gather.batch, segment: gather.segment };
        if name.told.swap(place.segment, Ordering::Relaxed) != place.segment {
            record::name(&mut gather.bytes, name.id, &name.path);
        }
        gather.bytes.extend_from_slice(records);
        drop(gather);
        if was_empty {
            self.work.notify_one();
        }
        Ok(place)
    }

    /// Why nothing can be taken now, if so.
    pub fn refusal(&self) -> Result<(), StoreError> {
        self.gather().refusal()
    }

    /// Everything up to this batch is durable, but for what is in doubt.
    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Whether this batch failed: it may or may not be found after a crash.
    pub fn in_doubt(&self, batch: u64) -> bool {
        batch == u64::MAX || (self.doubtful.load(Ordering::Acquire) && self.gather().in_doubt(batch))
    }

    pub fn is_durable(&self, batch: u64) -> bool {
        batch <= self.durable() && !self.in_doubt(batch)
    }

    /// The segment that is being filled.
    pub fn segment(&self) -> u64 {
        self.gather().segment
    }

    pub fn ticket(self: &Arc<Self>, batch: u64) -> Ticket {
        Ticket { log: self.clone(), batch }
    }

    /// Begins a new segment with the next batch, unless the last one is still to be begun.
    #[cfg(test)]
    pub fn turn_over(&self) {
        let idle = |gather: &mut Gather| !segment::is_empty(&gather.bytes) || self.durable() + 1 < gather.batch;
        let waited = self.progress.wait_while(self.gather(), idle);
        let mut gather = waited.unwrap_or_else(PoisonError::into_inner);
        if segment::path(&self.dir, gather.segment).exists() {
            gather.segment += 1;
        }
    }

    /// No more is taken; what has gathered is still written.
    pub fn close(&self) {
        self.gather().closed = true;
        self.work.notify_all();
        self.progress.notify_all();
    }

    /// The thread. It ends when the log is closed and everything is written.
    pub fn run(self: &Arc<Self>, mut writer: Option<Writer>) {
        let mut bytes = Vec::new();
        let mut pause = PAUSE;
        while let Some((batch, segment)) = self.take(&mut bytes, writer.as_ref()) {
            match self.write(&mut writer, segment, batch, &mut bytes) {
                Ok(()) => {
                    pause = PAUSE;
                    self.succeed(batch);
                }
                Err(error) => {
                    let what = self.describe(writer.as_ref(), &error);
                    writer = None;
                    self.fail(&what);
                    while !self.begin_again(&mut writer, &mut pause) {}
                }
            }
        }
        // Whoever still waits waits for nothing.
        let mut gather = self.gather();
        let cause = gather.failure.get_or_insert(StoreError::Closed).clone();
        let waiters = std::mem::take(&mut gather.waiters);
        drop(gather);
        self.progress.notify_all();
        answer::tell_all(waiters.into_iter().map(|(_, waits)| waits), &Err(cause));
    }

    /// Waits for a batch; none comes after the log has closed. The batch that gathers next knows
    /// its segment from the begin, since what it says depends on that.
    fn take(&self, bytes: &mut Vec<u8>, writer: Option<&Writer>) -> Option<(u64, u64)> {
        segment::begin_batch(bytes);
        let mut gather = self.gather();
        while segment::is_empty(&gather.bytes) {
            if gather.closed {
                return None;
            }
            gather = self.work.wait(gather).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(bytes, &mut gather.bytes);
        let taken = (gather.batch, gather.segment);
        gather.batch += 1;
        let current = writer.filter(|writer| writer.number() == taken.1);
        if current.map_or(0, Writer::end) + bytes.len() as u64 >= SEGMENT_BYTES {
            gather.segment += 1;
        }
        drop(gather);
        self.progress.notify_all();
        Some(taken)
    }

    fn write(&self, writer: &mut Option<Writer>, segment: u64, batch: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
        let current = match writer.take() {
            Some(current) if current.number() == segment => current,
            _ => Writer::create(&self.dir, Header { number: segment, after: batch - 1, first: batch, replay_from: 0 })?,
        };
        writer.insert(current).append(batch, bytes)
    }

    /// What a failure of the disk is to others. If it is full, there may be room right after.
    fn describe(&self, writer: Option<&Writer>, error: &io::Error) -> StoreError {
        let what = disk::store_error(writer.map_or(self.dir.as_path(), Writer::path), error);
        if matches!(what, StoreError::Full(_)) {
            self.reserve.give_up();
        }
        what
    }

    fn succeed(&self, batch: u64) {
        let mut gather = self.gather();
        self.durable.store(batch, Ordering::Release);
        let waiting = gather.waiters.iter().take_while(|(waits_for, _)| *waits_for <= batch).count();
        let ready: Vec<(u64, Box<dyn Waits>)> = gather.waiters.drain(..waiting).collect();
        drop(gather);
        self.progress.notify_all();
        answer::tell_all(ready.into_iter().map(|(_, waits)| waits), &Ok(()));
    }

    /// Everything that is not durable is in doubt now.
    fn fail(&self, cause: &StoreError) {
        tracing::error!(error = %cause, "the ledger takes no commits");
        let mut gather = self.gather();
        let doubt = self.durable() + 1..=gather.batch;
        gather.batch += 1;
        gather.segment += 1;
        gather.doubts.push(doubt);
        segment::begin_batch(&mut gather.bytes);
        gather.failure = Some(cause.clone());
        self.doubtful.store(true, Ordering::Release);
        let waiters = std::mem::take(&mut gather.waiters);
        drop(gather);
        self.progress.notify_all();
        answer::tell_all(waiters.into_iter().map(|(_, waits)| waits), &Err(cause.clone()));
    }

    /// Tells somebody what becomes of a batch, as soon as that is known.
    fn tell(&self, batch: u64, waits: Box<dyn Waits>) {
        let mut gather = self.gather();
        if let Some(fate) = gather.fate(batch, self.durable()) {
            drop(gather);
            return waits.tell(fate, None);
        }
        let at = gather.waiters.partition_point(|(waits_for, _)| *waits_for <= batch);
        gather.waiters.insert(at, (batch, waits));
    }

    /// After a pause, tries to begin a new segment. Answers whether this is over.
    fn begin_again(&self, writer: &mut Option<Writer>, pause: &mut Duration) -> bool {
        let gather = self.gather();
        let closed = |gather: &mut Gather| !gather.closed;
        let waited = self.work.wait_timeout_while(gather, *pause, closed);
        let (gather, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if gather.closed {
            return true;
        }
        let (number, first) = (gather.segment, gather.batch);
        drop(gather);
        *pause = (*pause * 2).min(PAUSE_MAX);
        let header = Header { number, after: self.durable(), first, replay_from: 0 };
        match Writer::create(&self.dir, header) {
            Ok(begun) => {
                *writer = Some(begun);
                self.gather().failure = None;
                tracing::info!(segment = number, "the ledger takes commits again");
                true
            }
            Err(error) => {
                let what = self.describe(None, &error);
                tracing::warn!(error = %what, "the ledger can't begin a new segment yet");
                self.gather().failure = Some(what);
                false
            }
        }
    }
}

impl Gather {
    fn refusal(&self) -> Result<(), StoreError> {
        match &self.failure {
            _ if self.closed => Err(StoreError::Closed),
            Some(StoreError::Failed(what)) => Err(StoreError::ReadOnly(what.clone())),
            Some(cause) => Err(cause.clone()),
            None => Ok(()),
        }
    }

    fn in_doubt(&self, batch: u64) -> bool {
        batch == u64::MAX || self.doubts.iter().any(|doubt| doubt.contains(&batch))
    }

    /// What became of a batch; none while it is under way.
    fn fate(&self, batch: u64, durable: u64) -> Option<Result<(), StoreError>> {
        if self.in_doubt(batch) {
            let what = "the commit may or may not have been kept".to_owned();
            return Some(Err(self.failure.clone().unwrap_or(StoreError::ReadOnly(what))));
        }
        if batch <= durable {
            return Some(Ok(()));
        }
        // The thread has ended.
        self.failure.clone().map(Err)
    }
}

impl Ticket {
    pub fn is_durable(&self) -> bool {
        self.log.is_durable(self.batch)
    }

    /// Tells somebody, as soon as it is known.
    pub fn tell(self, waits: Box<dyn Waits>) {
        match self.is_durable() {
            true => waits.tell(Ok(()), None),
            false => self.log.tell(self.batch, waits),
        }
    }

    /// Blocks until it is known.
    pub fn wait(self) -> Result<(), StoreError> {
        let mut gather = self.log.gather();
        loop {
            if let Some(fate) = gather.fate(self.batch, self.log.durable()) {
                return fate;
            }
            gather = self.log.progress.wait(gather).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Future for Ticket {
    type Output = Result<(), StoreError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.is_durable() {
            return Poll::Ready(Ok(()));
        }
        let mut gather = self.log.gather();
        if let Some(fate) = gather.fate(self.batch, self.log.durable()) {
            return Poll::Ready(fate);
        }
        // Sorted by batch. A ticket that is polled again leaves a waker behind that wakes nobody
        // who minds.
        let at = gather.waiters.partition_point(|(waits_for, _)| *waits_for <= self.batch);
        gather.waiters.insert(at, (self.batch, Box::new(cx.waker().clone())));
        Poll::Pending
    }
}
