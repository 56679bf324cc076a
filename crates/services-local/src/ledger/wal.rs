//! Reads what a commit appended to a database's write-ahead log (`-wal`).
//!
//! The rule is that of SQLite's own recovery (<https://sqlite.org/fileformat2.html#walformat>): a
//! frame counts if its salts are those of the log's header and its checksum continues the chain
//! from the header on, and a commit counts if its last frame does. So what is read here is exactly
//! what SQLite would find again, and a rolled-back or overwritten frame never passes for a commit.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// The magic number, but for its lowest bit: whether checksums read words as big-endian.
const MAGIC: u32 = 0x377f_0682;
/// What is read at first; most commits are smaller. Doubles up to the most.
const FRAMES_READ: usize = 4;
const FRAMES_READ_MAX: usize = 256;

/// A write-ahead log, and how far it was read.
pub struct Wal {
    file: File,
    position: Option<Position>,
    /// What the last look read at first, from where it began: mostly all that it found.
    seen: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Position {
    salts: [u8; 8],
    big_endian: bool,
    page_bytes: usize,
    next: u64,
    sums: [u32; 2],
}

/// What was committed since the last look, as a range of the file that whole frames fill.
#[derive(Debug)]
pub struct Commits {
    pub page_bytes: usize,
    /// The size of the database after the last commit.
    pub database_pages: u32,
    range: Range<u64>,
    after: Position,
}

/// One page of a commit.
pub struct Frame<'a> {
    pub page: u32,
    pub image: &'a [u8],
}

impl Wal {
    pub fn new(file: File) -> Self {
        Self { file, position: None, seen: Vec::new() }
    }

    /// Forgets how far it was read: the next look finds everything since the last restart.
    pub fn rewind(&mut self) {
        self.position = None;
    }

    /// Frames between the begin of the log and what was read.
    pub fn frames(&self) -> u64 {
        let frames = |p: &Position| (p.next - HEADER_BYTES as u64) / p.frame_bytes() as u64;
        self.position.as_ref().map_or(0, frames)
    }

    /// Looks for commits after what was read. They count as read once [`Wal::advance`] is told, and
    /// are read before the next look.
    pub fn look(&mut self) -> io::Result<Option<Commits>> {
        let mut header = [0; HEADER_BYTES];
        if read_up_to(&self.file, &mut header, 0)? < HEADER_BYTES {
            return Ok(None);
        }
        let Some(start) = Position::parse(&header) else { return Ok(None) };
        let begin = self.position.filter(|position| position.salts == start.salts).unwrap_or(start);
        self.seen.resize(FRAMES_READ * begin.frame_bytes(), 0);
        let length = read_up_to(&self.file, &mut self.seen, begin.next)?;
        let (mut position, mut found) = (begin, None);
        if position.go_over(&self.seen[..length], begin.next, &mut found) < FRAMES_READ {
            return Ok(found);
        }
        let (mut frames, mut buffer) = (FRAMES_READ, Vec::new());
        loop {
            frames = (frames * 2).min(FRAMES_READ_MAX);
            buffer.resize(frames * position.frame_bytes(), 0);
            let length = read_up_to(&self.file, &mut buffer, position.next)?;
            if position.go_over(&buffer[..length], begin.next, &mut found) < frames {
                return Ok(found);
            }
        }
    }

    /// Hands the frames of these commits over in pieces, in the order in which they were written;
    /// the last piece is marked.
    pub fn read<E: From<io::Error>>(
        &self,
        commits: &Commits,
        mut piece: impl FnMut(&[Frame<'_>], bool) -> Result<(), E>,
    ) -> Result<(), E> {
        let frame_bytes = commits.after.frame_bytes();
        let mut at = commits.range.start;
        let whole = (commits.range.end - at) as usize;
        if whole <= FRAMES_READ * frame_bytes {
            // These are the commits that the last look found.
            return piece(&frames_of(&self.seen[..whole], frame_bytes), true);
        }
        let mut buffer = Vec::new();
        while at < commits.range.end {
            let length = ((commits.range.end - at) as usize).min(FRAMES_READ_MAX * frame_bytes);
            buffer.resize(length, 0);
            self.file.read_exact_at(&mut buffer, at)?;
            at += length as u64;
            piece(&frames_of(&buffer, frame_bytes), at == commits.range.end)?;
        }
        Ok(())
    }

    pub fn advance(&mut self, commits: &Commits) {
        self.position = Some(commits.after);
    }
}

fn frames_of(bytes: &[u8], frame_bytes: usize) -> Vec<Frame<'_>> {
    let frame = |bytes| {
        let (head, image): (&[u8], &[u8]) = <[u8]>::split_at(bytes, FRAME_HEADER_BYTES);
        Frame { page: word(head, 0), image }
    };
    bytes.chunks_exact(frame_bytes).map(frame).collect()
}

impl Position {
    /// Goes over frames as far as they continue the log, and keeps the last commit that began at
    /// `begin`; answers how many they were.
    fn go_over(&mut self, frames: &[u8], begin: u64, found: &mut Option<Commits>) -> usize {
        let mut whole = 0;
        for frame in frames.chunks_exact(self.frame_bytes()) {
            let Some(database_pages) = self.step(frame) else { break };
            whole += 1;
            if database_pages > 0 {
                let (page_bytes, range) = (self.page_bytes, begin..self.next);
                *found = Some(Commits { page_bytes, database_pages, range, after: *self });
            }
        }
        whole
    }

    fn parse(header: &[u8; HEADER_BYTES]) -> Option<Self> {
        let (magic, page_bytes) = (word(header, 0), word(header, 8) as usize);
        if magic & !1 != MAGIC || !page_bytes.is_power_of_two() || !(512..=65_536).contains(&page_bytes) {
            return None;
        }
        let big_endian = magic & 1 == 1;
        let sums = checksum(big_endian, [0, 0], &header[..24]);
        let salts = header[16..24].try_into().expect("eight bytes");
        let next = HEADER_BYTES as u64;
        let whole = sums == [word(header, 24), word(header, 28)];
        whole.then_some(Self { salts, big_endian, page_bytes, next, sums })
    }

    fn frame_bytes(&self) -> usize {
        FRAME_HEADER_BYTES + self.page_bytes
    }

    /// Goes over a frame, if it continues the log; answers the size of the database for one that
    /// ends a commit, and 0 for others.
    fn step(&mut self, frame: &[u8]) -> Option<u32> {
        let (head, image) = frame.split_at(FRAME_HEADER_BYTES);
        if head[8..16] != self.salts || word(head, 0) == 0 {
            return None;
        }
        let sums = checksum(self.big_endian, checksum(self.big_endian, self.sums, &head[..8]), image);
        if sums != [word(head, 16), word(head, 20)] {
            return None;
        }
        (self.sums, self.next) = (sums, self.next + frame.len() as u64);
        Some(word(head, 4))
    }
}

/// The checksum of the format: two sums over pairs of words.
fn checksum(big_endian: bool, [mut first, mut second]: [u32; 2], bytes: &[u8]) -> [u32; 2] {
    let from = if big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
    let (pairs, _) = bytes.as_chunks::<8>();
    for &[a, b, c, d, e, f, g, h] in pairs {
        first = first.wrapping_add(from([a, b, c, d])).wrapping_add(second);
        second = second.wrapping_add(from([e, f, g, h])).wrapping_add(first);
    }
    [first, second]
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// Fills the buffer as far as the file goes.
fn read_up_to(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests;
