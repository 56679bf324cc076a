//! Where in its memory a request writes, and what keeps a fresh sandbox cheap.
//!
//! When a sandbox ends, wasmtime gives its slot the image's content back by copying the pages that were
//! written, if they lie in at most 32 runs (its `MAX_REGIONS`). What lies behind the 32nd is unmapped,
//! and the next request in the slot takes a fault for each page of it: 50 faults double what a routed
//! request costs. How many runs there are depends on where a script's objects happen to lie.
//!
//! So the host looks now and then at what a request wrote. Where the runs are too many, a sandbox
//! begins with a write to the pages of the smallest gaps between them, which makes two runs one. Such a
//! page stays with the slot: it costs one fault, then a copy of 4 KiB for each request.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use super::sandbox::Sandbox;

/// Runs from which on something is done, and how many are left then.
const RUNS_MAX: usize = 28;

/// Pages that may be written and bridged together; wasmtime keeps no more than 256.
const PAGES_MAX: usize = 224;

/// The process's pages, as Linux tells them; nothing elsewhere.
static PAGEMAP: LazyLock<Option<File>> = LazyLock::new(|| File::open("/proc/self/pagemap").ok());

/// What is known of the places that the requests of one image write to.
#[derive(Default)]
pub struct Places {
    ended: AtomicU32,
    bridges: RwLock<Arc<[u32]>>,
}

impl Places {
    /// Writes to the pages that join runs. For a sandbox that nothing has run in.
    pub fn settle(&self, sandbox: &mut Sandbox) {
        let bridges = self.bridges.read().unwrap_or_else(PoisonError::into_inner).clone();
        if bridges.is_empty() {
            return;
        }
        let page_bytes = rustix::param::page_size();
        let data = sandbox.memory.data_mut(&mut sandbox.store);
        for page in bridges.iter() {
            if let Some(byte) = data.get_mut(*page as usize * page_bytes) {
                // The same byte; that it is written is what counts.
                *byte = std::hint::black_box(*byte);
            }
        }
    }

    /// Learns from a sandbox that has served one request and is about to end: from the first ones, and
    /// then from one in 4,096.
    pub fn learn(&self, sandbox: &Sandbox) {
        let nth = self.ended.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        if !(nth < 256 && nth.is_power_of_two() || nth.is_multiple_of(4096)) {
            return;
        }
        let Some(runs) = written(sandbox) else { return };
        let more = bridges(&runs, RUNS_MAX, PAGES_MAX);
        if !more.is_empty() {
            let mut known = self.bridges.write().unwrap_or_else(PoisonError::into_inner);
            let mut all = [&**known, &more].concat();
            all.sort_unstable();
            all.dedup();
            *known = all.into();
        }
    }
}

/// The pages between runs that are to be written, so that at most `runs_max` runs remain: those of the
/// smallest gaps, while all pages together are at most `pages_max`.
fn bridges(runs: &[Range<u32>], runs_max: usize, pages_max: usize) -> Vec<u32> {
    let mut gaps: Vec<Range<u32>> = runs.windows(2).map(|pair| pair[0].end..pair[1].start).collect();
    gaps.sort_by_key(|gap| gap.len());
    let mut room = pages_max.saturating_sub(runs.iter().map(|run| run.len()).sum());
    let too_many = runs.len().saturating_sub(runs_max);
    let fit = gaps.into_iter().take(too_many).take_while(|gap| {
        let fits = gap.len() <= room;
        room -= if fits { gap.len() } else { 0 };
        fits
    });
    fit.flatten().collect()
}

/// The runs of pages that a sandbox's memory has to itself. What was left there by those before it in
/// its slot counts, too.
fn written(sandbox: &Sandbox) -> Option<Vec<Range<u32>>> {
    let page_bytes = rustix::param::page_size();
    let first = sandbox.memory.data_ptr(&sandbox.store).addr() / page_bytes;
    let mut entries = vec![0; sandbox.memory.data_size(&sandbox.store) / page_bytes * 8];
    PAGEMAP.as_ref()?.read_exact_at(&mut entries, first as u64 * 8).ok()?;
    Some(runs(entries.chunks_exact(8).map(|entry| is_own(u64::from_le_bytes(entry.try_into().unwrap_or_default())))))
}

/// Whether an entry of the pagemap is of a page in memory that is neither a file's nor shared (the
/// kernel's Documentation/admin-guide/mm/pagemap.rst: bits 63, 61 and 56).
fn is_own(entry: u64) -> bool {
    const PRESENT: u64 = 1 << 63;
    const FILE: u64 = 1 << 61;
    const EXCLUSIVE: u64 = 1 << 56;
    entry & (PRESENT | FILE | EXCLUSIVE) == PRESENT | EXCLUSIVE
}

fn runs(pages: impl Iterator<Item = bool>) -> Vec<Range<u32>> {
    let mut runs: Vec<Range<u32>> = Vec::new();
    for (page, _) in (0..).zip(pages).filter(|(_, own)| *own) {
        match runs.last_mut() {
            Some(run) if run.end == page => run.end += 1,
            _ => runs.push(page..page + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_next_to_each_other_are_one_run() {
        let pages = [true, true, false, true, false, false, true];
        assert_eq!(runs(pages.into_iter()), [0..2, 3..4, 6..7]);
        assert!(runs([].into_iter()).is_empty());
    }

    #[test]
    fn only_a_page_of_ones_own_is_written() {
        assert!(is_own(1 << 63 | 1 << 56 | 0x1234));
        assert!(!is_own(1 << 63 | 1 << 61 | 1 << 56), "a page of the image");
        assert!(!is_own(1 << 63), "the zero page");
        assert!(!is_own(0));
    }

    #[test]
    fn the_smallest_gaps_are_bridged_first() {
        let written = [0..2, 5..6, 7..9, 20..21, 22..23];
        assert!(bridges(&written, 5, 100).is_empty());
        assert_eq!(bridges(&written, 3, 100), [6, 21]);
        assert_eq!(bridges(&written, 2, 100), [6, 21, 2, 3, 4]);
        assert_eq!(bridges(&written, 2, 10), [6, 21], "what does not fit is left");
        assert!(bridges(&[], 3, 100).is_empty());
    }
}
