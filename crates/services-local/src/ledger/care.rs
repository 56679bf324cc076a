//! What keeps the log short: databases that hold an old segment are made durable on their own, and
//! segments that none needs go.

use std::cmp::Reverse;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, ScopedJoinHandle};
use std::time::Duration;

use services::StoreError;

use super::archive::{Collected, Commit, Shelf};
use super::journal::Member;
use super::segment::{self, SEGMENT_BYTES};
use super::{Inner, begun};

const EVERY: Duration = Duration::from_millis(250);
/// What the archive took in is sorted when it is so much, or so old.
const SORT_SEGMENTS: usize = 64;
const SORT_EVERY: Duration = Duration::from_secs(3_600);
/// Threads that flush files; they wait for the disk, not for a core.
const THREADS: usize = 8;

/// Which commits are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// What the archive took in, if it is time to.
    IfDue,
    /// What the archive took in.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests need not wait until it is due"))]
    Retired,
    /// All that is durable, of segments that the ledger still needs too.
    Durable,
}

fn is_due(log: &Path, numbers: &[u64]) -> bool {
    let age = |number| std::fs::metadata(segment::path(log, number))?.modified()?.elapsed().map_err(io::Error::other);
    let aged = numbers.first().is_some_and(|&first| age(first).is_ok_and(|age| age > SORT_EVERY));
    aged || numbers.len() >= SORT_SEGMENTS
}

/// The thread; it ends when this is dropped.
pub struct Care {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Care {
    pub fn start(inner: Arc<Inner>) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let work = move || {
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                if let Err(error) = inner.tend() {
                    tracing::warn!(%error, "the ledger could not be shortened; it is tried again");
                }
            }
        };
        let thread = std::thread::Builder::new().name("ledger-care".into()).spawn(work)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Care {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Inner {
    /// One round.
    pub(super) fn tend(&self) -> Result<(), StoreError> {
        let current = self.log.segment();
        // Half of what the log may hold is for what comes while this works.
        let kept = (self.bytes_max / SEGMENT_BYTES / 2).max(1);
        let is_old = |needed: u64| needed + kept < current;
        let mut late = Vec::new();
        for member in self.all() {
            if member.is_in_doubt()
                && let Err(error) = self.mend(&member)
            {
                tracing::warn!(file = %member.path.display(), %error, "a database could not be written anew yet");
                continue;
            }
            match member.needed_from() {
                None => self.let_go(&member),
                Some(needed) if is_old(needed) || !member.is_held() => late.push(member),
                Some(_) => {}
            }
        }
        late.extend(self.large(&late));
        flush_all(late);
        let needed_from = self.all().iter().filter_map(|member| member.needed_from()).min();
        self.retire_before(needed_from.unwrap_or(current))?;
        self.sort(Sort::IfDue)
    }

    /// Of the others, those that a start after a crash would be longest about, until the rest is short. What is
    /// written over and over, or packs well, takes little room in the log and holds up no old segment.
    fn large(&self, late: &[Arc<Member>]) -> Vec<Arc<Member>> {
        let is_late = |member: &Arc<Member>| late.iter().any(|late| Arc::ptr_eq(late, member));
        let sized = |member: Arc<Member>| (member.recovered_bytes(), member);
        let mut members: Vec<_> = self.all().into_iter().map(sized).filter(|(bytes, _)| *bytes > 0).collect();
        let mut bytes: u64 = members.iter().map(|(bytes, _)| bytes).sum();
        if bytes <= self.bytes_max {
            return Vec::new();
        }
        members.sort_by_key(|(bytes, _)| Reverse(*bytes));
        let too_many = |(of_it, _): &(u64, Arc<Member>)| {
            let more = bytes > self.bytes_max / 2;
            bytes -= of_it;
            more
        };
        let large = members.into_iter().take_while(too_many).map(|(_, member)| member);
        large.filter(|member| !is_late(member)).collect()
    }

    /// Writes a database anew whose file could not be flushed.
    pub(super) fn mend(&self, member: &Member) -> Result<(), StoreError> {
        let _moving = self.moving();
        let collected = self.unsorted(Some(member.name()))?;
        member.mend(collected.commits.get(member.name()).map(Vec::as_slice).unwrap_or_default())
    }

    /// Gives up the segments before this one.
    fn retire_before(&self, number: u64) -> Result<(), StoreError> {
        let fail = |error| crate::disk::store_error(&self.dir, &error);
        let _moving = self.moving();
        // The one being filled may not exist yet, and the last one before it says where it ends.
        let segments = segment::list(&self.dir).map_err(fail)?;
        let newest = segments.last().copied().unwrap_or(0);
        for &old in segments.iter().filter(|&&old| old < number && old < newest) {
            let moved = match self.archived_log() {
                Some(log) => self
                    .begun()
                    .write(&log, old, |batch| self.log.is_durable(batch))
                    .and_then(|()| segment::shift(&self.dir, old, &log)),
                None => segment::retire(&self.dir, old, &self.dir),
            };
            moved.map_err(fail)?;
            self.begun().forget(old);
        }
        self.set_oldest(number.min(newest));
        Ok(())
    }

    /// Sorts commits, database by database.
    pub(super) fn sort(&self, what: Sort) -> Result<(), StoreError> {
        let (Some(archive), Some(log)) = (&self.archive, self.archived_log()) else { return Ok(()) };
        let fail = |error| crate::disk::store_error(&log, &error);
        let _moving = self.moving();
        if self.sorting_is_over.load(Ordering::Relaxed) {
            return Err(StoreError::Closed);
        }
        let numbers = segment::list(&log).map_err(fail)?;
        if what == Sort::IfDue && !is_due(&log, &numbers) {
            return Ok(());
        }
        // What was sorted before it was moved here is not read again, but for a commit without its end.
        let (sorted_until, needed_from) = *self.sorted();
        let durable = self.log.durable();
        if numbers.is_empty() && (what != Sort::Durable || sorted_until == durable) {
            return Ok(());
        }
        let last = if what == Sort::Durable { u64::MAX } else { numbers.last().copied().unwrap_or(0) };
        let (mut collected, mut until_now) = (Collected::default(), sorted_until);
        for (reader, until) in self.segments()?.into_iter().filter(|(reader, _)| reader.header.number <= last) {
            if until > sorted_until || reader.header.number >= needed_from {
                collected.take(reader, until, None)?;
            }
            until_now = until_now.max(until);
        }
        let open_since = collected.open_since().unwrap_or(u64::MAX);
        self.put_away(archive, collected.commits.into_iter().collect())?;
        *self.sorted() = (until_now, open_since);
        for number in numbers.into_iter().filter(|&number| number < open_since) {
            begun::remove(&log, number).and_then(|()| segment::retire(&log, number, &self.dir)).map_err(fail)?;
        }
        Ok(())
    }

    /// Writes the commits of each database into its directory, by a few threads.
    fn put_away(&self, archive: &Path, commits: Vec<(String, Vec<Commit>)>) -> Result<(), StoreError> {
        let (threads, now_ms) = (THREADS.min(commits.len()), self.clock.unix_ms());
        let left = Mutex::new(commits);
        let next = || left.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let work = || -> Result<(), StoreError> {
            while let Some((name, commits)) = next() {
                let shelf = Shelf::of(archive, &name);
                shelf.append(archive, &commits)?;
                // A backup finds every file that it has listed.
                if !self.removals.is_held() {
                    shelf.tidy(now_ms, self.archive_ms)?;
                }
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let join = |thread: ScopedJoinHandle<'_, Result<(), StoreError>>| {
                thread.join().unwrap_or_else(|_| Err(StoreError::Failed("sorting the archive panicked".into())))
            };
            threads.into_iter().map(join).fold(Ok(()), Result::and)
        })
    }
}

/// Copies and flushes these, by a few threads: the file system joins flushes that come together.
fn flush_all(members: Vec<Arc<Member>>) {
    let threads = THREADS.min(members.len());
    let left = Mutex::new(members);
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let work = || {
        while let Some(member) = next() {
            // One that can't be copied now, because it is read or written, is not in the way of the
            // others.
            if let Err(error) = member.copy_idle().and_then(|_| member.flush()) {
                tracing::warn!(file = %member.path.display(), %error, "a database holds up the ledger");
            }
        }
    };
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
}
