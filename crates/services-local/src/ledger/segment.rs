//! The files of the ledger: segments, each a header and batches.
//!
//! ```text
//! DATA/ledger/NNNNNNNNNNNNNNNN.log
//!   block 0     header: magic, version, number of the segment, the last batch before it,
//!               its first batch, the first segment that recovery needs, checksum
//!   from then   batches, each beginning on a block of its own: magic, checksum, number of the
//!               segment, number of the batch, length, then its records
//! ```
//!
//! A block is 4 KiB, so that writing a batch never touches a block that holds an acknowledged one.
//! A batch is valid as a whole or not at all, and it is begun only after the one before it was
//! flushed. So the first invalid batch of the newest segment is where a crash tore the log, unless
//! a later one is valid: then something flushed was lost, and that is damage. Every other segment
//! must hold all batches up to the one that its successor names.
//!
//! The file of a segment that is needed no more becomes the next one: what is overwritten in place
//! needs no change of the file system's own records, which makes a flush about half as dear. The
//! number of the segment in every batch tells old content from new. A segment whose file is new is
//! filled with zeros ahead of its batches, a part at a time, for the same reason: room that was only
//! taken costs such a change with each block that is written to it first.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use services::StoreError;

use crate::disk;

pub const BLOCK_BYTES: u64 = 4 << 10;
/// A segment takes no further batch beyond this.
pub const SEGMENT_BYTES: u64 = 16 << 20;
/// The least room for which a segment is begun.
const RESERVED_BYTES_MIN: u64 = 1 << 20;
/// On a disk with less room than so many segments, no more is taken than that.
const WHOLE_FACTOR: u64 = 8;
const MAGIC: &[u8; 8] = b"SLVLEDG\0";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 52;
const BATCH_MAGIC: u32 = 0x4c42_5631;
const BATCH_HEADER_BYTES: usize = 32;
const SPARE: &str = "spare";
/// How far a new file is filled ahead: as far again as it is written, within these.
const AHEAD_BYTES_MIN: u64 = 64 << 10;
const AHEAD_BYTES_MAX: u64 = 1 << 20;
static ZEROS: [u8; AHEAD_BYTES_MIN as usize] = [0; AHEAD_BYTES_MIN as usize];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub number: u64,
    /// The last batch of the segments before this one; what they hold beyond it does not count.
    pub after: u64,
    pub first: u64,
    /// Recovery begins with this segment.
    pub replay_from: u64,
}

impl Header {
    fn encode(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        for (at, value) in [(12, self.number), (20, self.after), (28, self.first), (36, self.replay_from)] {
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        let sum = crc32fast::hash(&bytes[..44]);
        bytes[44..48].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, &'static str> {
        if &bytes[..8] != MAGIC {
            return Err("it does not begin like a segment");
        }
        if u32_at(bytes, 8) != VERSION {
            return Err("it was written by another version of Selvedge");
        }
        if crc32fast::hash(&bytes[..44]) != u32_at(bytes, 44) {
            return Err("the checksum of its header is wrong");
        }
        let at = |at| u64_at(bytes, at);
        Ok(Self { number: at(12), after: at(20), first: at(28), replay_from: at(36) })
    }
}

pub fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016x}.log"))
}

/// The numbers of the segments in a directory, in order.
pub fn list(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_suffix(".log"));
        numbers.extend(digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Gives up a segment; its file is kept for the next one of `home` if none is kept yet. The name
/// is gone durably before the file is used again.
pub fn retire(dir: &Path, number: u64, home: &Path) -> io::Result<()> {
    let (path, spare) = (path(dir, number), home.join(SPARE));
    if spare.exists() {
        disk::remove(&path)?;
    } else {
        fs::rename(&path, &spare)?;
        disk::sync_dir(home)?;
    }
    disk::sync_dir(dir)
}

/// Moves a segment to another directory, durably.
pub fn shift(dir: &Path, number: u64, to: &Path) -> io::Result<()> {
    fs::rename(path(dir, number), path(to, number))?;
    disk::sync_dir(to)?;
    disk::sync_dir(dir)
}

/// A segment that is being written.
pub struct Writer {
    path: PathBuf,
    file: File,
    number: u64,
    end: u64,
    /// Up to where the file holds something; what lies behind is taken, up to its length.
    filled: u64,
    length: u64,
}

impl Writer {
    /// Creates a segment, durably.
    pub fn create(dir: &Path, header: Header) -> io::Result<Self> {
        let temporary = dir.join("next.tmp");
        if let Err(error) = fs::rename(dir.join(SPARE), &temporary)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let mut options = OpenOptions::new();
        // Not truncated: the old content is what makes a flush cheap.
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&temporary)?;
        let filled = disk::filled_bytes(&file).max(BLOCK_BYTES);
        reserve(&temporary, &file)?;
        let mut block = vec![0; BLOCK_BYTES as usize];
        block[..HEADER_BYTES].copy_from_slice(&header.encode());
        file.write_all_at(&block, 0)?;
        let path = path(dir, header.number);
        disk::publish(&file, &temporary, &path)?;
        let length = file.metadata()?.len();
        Ok(Self { path, file, number: header.number, end: BLOCK_BYTES, filled, length })
    }

    pub fn number(&self) -> u64 {
        self.number
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the next batch goes.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Writes a batch and flushes it. `room` is the header's place, and then the records; it is
    /// padded to whole blocks.
    pub fn append(&mut self, batch: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
        let payload = &bytes[BATCH_HEADER_BYTES..];
        let (length, payload_sum) = (payload.len() as u32, crc32fast::hash(payload));
        bytes[..4].copy_from_slice(&BATCH_MAGIC.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..24].copy_from_slice(&batch.to_le_bytes());
        bytes[24..28].copy_from_slice(&length.to_le_bytes());
        bytes[28..32].copy_from_slice(&payload_sum.to_le_bytes());
        let sum = crc32fast::hash(&bytes[8..BATCH_HEADER_BYTES]);
        bytes[4..8].copy_from_slice(&sum.to_le_bytes());
        bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES as usize), 0);
        self.file.write_all_at(bytes, self.end)?;
        let end = self.end + bytes.len() as u64;
        if end > self.filled {
            self.fill_ahead(end)?;
        }
        self.file.sync_data()?;
        self.end = end;
        Ok(())
    }

    /// Fills the room behind a batch that is about to be flushed.
    fn fill_ahead(&mut self, end: u64) -> io::Result<()> {
        let until = (end + end.clamp(AHEAD_BYTES_MIN, AHEAD_BYTES_MAX)).min(self.length);
        let mut at = end;
        while at < until {
            let part = (until - at).min(AHEAD_BYTES_MIN);
            self.file.write_all_at(&ZEROS[..part as usize], at)?;
            at += part;
        }
        self.filled = at;
        Ok(())
    }
}

/// A buffer with the place for a batch's header.
pub fn begin_batch(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.resize(BATCH_HEADER_BYTES, 0);
}

/// Whether anything was recorded in it.
pub fn is_empty(buffer: &[u8]) -> bool {
    buffer.len() <= BATCH_HEADER_BYTES
}

/// Takes the space of a whole segment at once, or of a part where there is little, so that a node which
/// starts on its reserve can do so again. File systems that can't are left to notice a full disk late.
fn reserve(path: &Path, file: &File) -> io::Result<()> {
    let bytes = match disk::free_bytes(path) {
        free if free < SEGMENT_BYTES * WHOLE_FACTOR => RESERVED_BYTES_MIN,
        _ => SEGMENT_BYTES,
    };
    if file.metadata()?.len() < bytes {
        disk::take_room(file, bytes)?;
    }
    Ok(())
}

/// A segment that is being read.
pub struct Reader {
    path: PathBuf,
    file: File,
    pub header: Header,
    end: u64,
    next: u64,
    expected: u64,
    buffer: Vec<u8>,
}

/// A batch as it lies in the file.
pub struct Batch<'a> {
    pub number: u64,
    /// Where its records begin.
    pub offset: u64,
    pub payload: &'a [u8],
}

impl Reader {
    pub fn open(dir: &Path, number: u64) -> Result<Self, StoreError> {
        let path = path(dir, number);
        let fail = |error: io::Error| disk::store_error(&path, &error);
        let file = File::open(&path).map_err(fail)?;
        let end = file.metadata().map_err(fail)?.len();
        let mut bytes = [0; HEADER_BYTES];
        let short = |_| damaged(&path, "it is shorter than a header");
        file.read_exact_at(&mut bytes, 0).map_err(short)?;
        let header = Header::decode(&bytes).map_err(|what| damaged(&path, what))?;
        if header.number != number {
            return Err(damaged(&path, "it is another segment than its name says"));
        }
        let expected = header.first;
        Ok(Self { path, file, header, end, next: BLOCK_BYTES, expected, buffer: Vec::new() })
    }

    /// The next batch. `until` is the last batch that this segment must hold, if another segment
    /// follows it; without one, the log ends where its last valid batch does.
    pub fn next(&mut self, until: Option<u64>) -> Result<Option<Batch<'_>>, StoreError> {
        if until.is_some_and(|until| self.expected > until) {
            return Ok(None);
        }
        let found = self.find(self.next)?.filter(|&number| number == self.expected);
        let Some(number) = found else {
            let what = format!("batch {} is missing or damaged", self.expected);
            if until.is_some() || self.later_batch()? {
                return Err(damaged(&self.path, &what));
            }
            return Ok(None);
        };
        let offset = self.next + BATCH_HEADER_BYTES as u64;
        self.next = (offset + self.buffer.len() as u64).next_multiple_of(BLOCK_BYTES);
        self.expected += 1;
        Ok(Some(Batch { number, offset, payload: &self.buffer }))
    }

    /// Reads the batch at this place into the buffer and answers its number, if one is there.
    fn find(&mut self, at: u64) -> Result<Option<u64>, StoreError> {
        let fail = |error: io::Error| disk::store_error(&self.path, &error);
        let mut head = [0; BATCH_HEADER_BYTES];
        if at + BATCH_HEADER_BYTES as u64 > self.end {
            return Ok(None);
        }
        self.file.read_exact_at(&mut head, at).map_err(fail)?;
        let length = u32_at(&head, 24) as usize;
        let sound = u32_at(&head, 0) == BATCH_MAGIC
            && crc32fast::hash(&head[8..]) == u32_at(&head, 4)
            && u64_at(&head, 8) == self.header.number
            && at + (BATCH_HEADER_BYTES + length) as u64 <= self.end;
        if !sound {
            return Ok(None);
        }
        self.buffer.resize(length, 0);
        self.file.read_exact_at(&mut self.buffer, at + BATCH_HEADER_BYTES as u64).map_err(fail)?;
        Ok((crc32fast::hash(&self.buffer) == u32_at(&head, 28)).then(|| u64_at(&head, 16)))
    }

    /// Whether a batch that was written after the expected one lies further on.
    fn later_batch(&mut self) -> Result<bool, StoreError> {
        let mut at = self.next;
        while at < self.end {
            if self.find(at)?.is_some_and(|number| number > self.expected) {
                return Ok(true);
            }
            at += BLOCK_BYTES;
        }
        Ok(false)
    }

    /// The last batch that was read, or what came before the segment.
    pub fn last_batch(&self) -> u64 {
        self.expected - 1
    }

    pub fn file(&self) -> &File {
        &self.file
    }
}

fn damaged(path: &Path, what: &str) -> StoreError {
    StoreError::Corrupt(format!("the ledger {}: {what}", path.display()))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests;
