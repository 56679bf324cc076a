//! Code that only starting needs.
//!
//! A node that starts reads manifests, opens databases and makes an engine; then it answers, out of
//! a small part of a large binary. The pages of code that starting touched stay in the process's
//! resident memory, though nothing will ask for them: 15 MiB of the 35 of a node that answers from
//! its cache. They are unmapped once, when it has started. A page that is needed again comes back
//! by a fault, from the page cache, without a read.
//!
//! Only mappings of the executable's own file are given back, and of these only such in which no
//! page is private: every page of them is the file's, so none can be lost.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

/// How long a node that has started is left alone before.
const AFTER: Duration = Duration::from_secs(2);

/// Waits until a node that has just started has come to rest, then gives the pages back.
pub async fn give_back() {
    tokio::time::sleep(AFTER).await;
    let (Ok(program), Ok(mappings)) = (std::env::current_exe(), fs::read_to_string("/proc/self/smaps")) else {
        // Not Linux, or without /proc: memory stays as it is.
        return;
    };
    for range in unchanged(&mappings, &program) {
        pages::unmap(range);
    }
}

/// The address ranges that map `program`, can't be written, and have no page of their own.
/// `mappings` is in the form of `/proc/PID/smaps` (proc_pid_smaps(5)).
fn unchanged(mappings: &str, program: &Path) -> Vec<Range<usize>> {
    let mut candidate = None;
    let mut found = Vec::new();
    for line in mappings.lines() {
        if let Some((range, rest)) = range(line) {
            let read_only = rest.starts_with("r-xp") || rest.starts_with("r--p");
            // Access, offset, device and inode stand before the path.
            let path = rest.splitn(5, ' ').nth(4).map(str::trim_start);
            candidate = (read_only && path == program.to_str()).then_some(range);
        } else if let Some(private) = line.strip_prefix("Anonymous:")
            && private.trim() == "0 kB"
        {
            found.extend(candidate.take());
        }
    }
    found
}

/// The range that a mapping's first line begins with, and the rest of that line.
fn range(line: &str) -> Option<(Range<usize>, &str)> {
    let (addresses, rest) = line.split_once(' ')?;
    let (start, end) = addresses.split_once('-')?;
    Some((usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?, rest))
}

mod pages {
    #![allow(unsafe_code)]

    use std::ops::Range;

    use rustix::mm::{Advice, madvise};

    pub fn unmap(range: Range<usize>) {
        let start = std::ptr::with_exposed_provenance_mut(range.start);
        // SAFETY: the range maps the file of the running program, without a right to write and
        // without a page that differs from the file, so what the next access finds is what stood
        // there. The kernel never writes to a program's file while it runs (ETXTBSY).
        let given_back = unsafe { madvise(start, range.len(), Advice::LinuxDontNeed) };
        if let Err(error) = given_back {
            tracing::debug!(%error, "code that starting needed stays resident");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPPINGS: &str = "\
5000-6000 r--p 00000000 fe:00 77                         /usr/bin/selvedge
Rss:                   4 kB
Anonymous:             0 kB
6000-9000 r-xp 00001000 fe:00 77                         /usr/bin/selvedge
Rss:                  12 kB
Anonymous:             0 kB
9000-a000 r--p 00004000 fe:00 77                         /usr/bin/selvedge
Anonymous:             4 kB
a000-b000 rw-p 00005000 fe:00 77                         /usr/bin/selvedge
Anonymous:             0 kB
b000-c000 r-xp 00000000 fe:00 78                         /usr/lib/libc.so.6
Anonymous:             0 kB
c000-d000 rw-p 00000000 00:00 0
Anonymous:             0 kB
d000-e000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
";

    #[test]
    fn only_the_programs_own_unchanged_pages_are_given_back() {
        assert_eq!(unchanged(MAPPINGS, Path::new("/usr/bin/selvedge")), [0x5000..0x6000, 0x6000..0x9000]);
        assert!(unchanged(MAPPINGS, Path::new("/usr/bin/other")).is_empty());
        assert!(unchanged("what is this", Path::new("/usr/bin/selvedge")).is_empty());
    }

    #[test]
    fn a_path_with_spaces_is_one_path() {
        let mappings = "1000-2000 r-xp 00000000 fe:00 7                          /my apps/selvedge\nAnonymous: 0 kB\n";
        assert_eq!(unchanged(mappings, Path::new("/my apps/selvedge")), [0x1000..0x2000]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_program_goes_on_after_it() {
        give_back().await;
        assert_eq!(std::hint::black_box(b"as before"), b"as before");
    }
}
