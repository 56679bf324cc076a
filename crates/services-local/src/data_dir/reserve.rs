//! Room for the next start, on a disk that is full.
//!
//! A node that runs on a full disk refuses writes and goes on reading. One that *starts* there has
//! to write a little before it reads anything: a segment of the ledger, the index of a log, which
//! process this is. So the directory holds a file that is nothing but room, and a start that finds
//! the disk full gives it up:
//!
//! ```text
//!           room for it, and much besides             a start without room
//! missing ────────────────────────────────▶ kept ────────────────────────────▶ spent
//!                                             ▲                                  │
//!                                             └──── room for it, and some more ──┘
//! ```
//!
//! A node that runs gives it up as well, once a write has found the disk full: what removes something has to
//! write a little, too. Then it does, until half of the room is gone, which is left for the next start.
//!
//! While it is spent, writes of apps and artifacts are refused, so that what was given up serves
//! this start and the ones after it. Whoever writes looks, once a second at most, whether there is
//! room again, and then makes the file anew: nobody has to do anything but free some space.
//!
//! A small disk gets no reserve, nor does a file system that can't promise room.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::Clock;
use services::StoreError;

use crate::disk;

const NAME: &str = "reserve";
/// How seldom a reserve that is spent looks for room.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A disk with less room than so many reserves gets none.
const MAKE_FACTOR: u64 = 8;
/// So many reserves have to be free before a spent one is made anew.
const REMAKE_FACTOR: u64 = 2;
/// A start needs this part of a reserve; with less room than that the reserve is spent.
const START_PART: u64 = 2;

/// The file as it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Missing,
    /// It is empty: a start has used it up.
    Spent,
    Kept,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Leave,
    Make,
    Spend,
}

impl Found {
    /// `free` is what the disk has besides.
    fn step(self, free: u64, bytes: u64) -> Step {
        match self {
            Self::Missing if free >= MAKE_FACTOR * bytes => Step::Make,
            Self::Spent if free >= REMAKE_FACTOR * bytes => Step::Make,
            Self::Kept if free < bytes / START_PART => Step::Spend,
            _ => Step::Leave,
        }
    }
}

/// The reserve of a directory; [`Reserve::default`] is none.
#[derive(Default)]
pub struct Reserve {
    spent: AtomicBool,
    remake: Option<Remake>,
}

/// How a spent reserve comes back.
struct Remake {
    file: PathBuf,
    bytes: u64,
    clock: Arc<dyn Clock>,
    look_at: Mutex<Duration>,
}

impl Reserve {
    /// Makes the reserve, or spends it, as the disk is. Blocks.
    pub fn open(dir: &Path, bytes: u64, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let file = dir.join(NAME);
        if bytes == 0 {
            disk::remove(&file)?;
            return Ok(Self::default());
        }
        let found = match file.metadata() {
            Ok(metadata) if metadata.len() == 0 => Found::Spent,
            Ok(_) => Found::Kept,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Missing,
            Err(error) => return Err(error),
        };
        let spent = match found.step(disk::free_bytes(dir), bytes) {
            Step::Leave => found == Found::Spent,
            Step::Make => match make(&file, bytes) {
                Ok(()) => false,
                // Somebody else took the room meanwhile.
                Err(error) if error.kind() == io::ErrorKind::StorageFull => true,
                Err(error) => return Err(error),
            },
            Step::Spend => {
                OpenOptions::new().write(true).open(&file)?.set_len(0)?;
                true
            }
        };
        if spent {
            tracing::warn!(path = %dir.display(), "the disk is full; the node starts on its reserve and refuses writes");
        }
        let remake = Remake { file, bytes, clock, look_at: Mutex::default() };
        Ok(Self { spent: AtomicBool::new(spent), remake: Some(remake) })
    }

    /// Refuses a write while there is no room for the next start.
    pub fn check(&self) -> Result<(), StoreError> {
        match &self.remake {
            Some(remake) if self.spent.load(Ordering::Relaxed) => {
                let refused = remake.look();
                self.spent.store(refused.is_err(), Ordering::Relaxed);
                refused
            }
            _ => Ok(()),
        }
    }
}

impl Reserve {
    /// The same for a write that removes something, and may take of the room what no start needs.
    pub fn check_removal(&self) -> Result<(), StoreError> {
        self.check().or_else(|refused| match &self.remake {
            Some(remake) if disk::free_bytes(&remake.file) >= remake.bytes / START_PART => Ok(()),
            _ => Err(refused),
        })
    }

    /// A write has found the disk full: the room is given up, so that things can be removed. Blocks.
    pub fn give_up(&self) {
        let Some(remake) = &self.remake else { return };
        if self.spent.load(Ordering::Relaxed) || !remake.file.metadata().is_ok_and(|kept| kept.len() > 0) {
            return;
        }
        match OpenOptions::new().write(true).open(&remake.file).and_then(|file| file.set_len(0)) {
            Ok(()) => {
                self.spent.store(true, Ordering::Relaxed);
                tracing::warn!("the disk is full; the reserve is given up, for what is to be removed");
            }
            Err(error) => tracing::error!(%error, "the disk is full, and the reserve can't be given up"),
        }
    }
}

impl Remake {
    fn look(&self) -> Result<(), StoreError> {
        let full = || StoreError::Full(format!("{}: the reserve is used up", self.file.display()));
        let mut look_at = self.look_at.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.monotonic();
        if now < *look_at {
            return Err(full());
        }
        *look_at = now + LOOK_EVERY;
        let step = Found::Spent.step(disk::free_bytes(&self.file), self.bytes);
        if step != Step::Make || make(&self.file, self.bytes).is_err() {
            return Err(full());
        }
        tracing::info!("there is room on the disk again; the node takes writes");
        Ok(())
    }
}

/// Takes the room. A file system that can't promise any is left without a reserve.
fn make(file: &Path, bytes: u64) -> io::Result<()> {
    let reserved = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
    match disk::take_room(&reserved, bytes) {
        Ok(true) => Ok(()),
        Ok(false) => disk::remove(file).map(drop),
        Err(error) => {
            reserved.set_len(0)?;
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: u64 = 32 << 20;

    #[test]
    fn a_reserve_is_made_where_there_is_room_and_spent_where_there_is_none() {
        let room = [
            (Found::Missing, 8 * BYTES, Step::Make),
            (Found::Missing, 8 * BYTES - 1, Step::Leave),
            (Found::Missing, 0, Step::Leave),
            (Found::Kept, BYTES / 2, Step::Leave),
            (Found::Kept, BYTES / 2 - 1, Step::Spend),
            (Found::Kept, 0, Step::Spend),
            (Found::Spent, 2 * BYTES, Step::Make),
            (Found::Spent, 2 * BYTES - 1, Step::Leave),
            (Found::Spent, 0, Step::Leave),
        ];
        for (found, free, step) in room {
            assert_eq!(found.step(free, BYTES), step, "{found:?} with {free} bytes free");
        }
    }

    #[test]
    fn a_directory_without_a_reserve_refuses_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join(NAME), b"from before").expect("a file");
        let clock = Arc::new(base::SystemClock::default());
        let reserve = Reserve::open(dir.path(), 0, clock).expect("it opens");
        assert_eq!(reserve.check(), Ok(()));
        assert!(!dir.path().join(NAME).exists(), "it was given back");
    }
}
