//! Makes an input smaller for as long as it fails.

use std::time::{Duration, Instant};

/// Each try is a process.
const TRIES_MAX: usize = 400;
const TIME_MAX: Duration = Duration::from_secs(120);

/// Takes pieces out, large ones first, then makes single bytes plain. `fails` says whether an input
/// is still the same failure.
pub fn shrink(input: &[u8], mut fails: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let began = Instant::now();
    let mut tries = 0;
    let mut still = |input: &[u8]| {
        tries += 1;
        (tries <= TRIES_MAX && began.elapsed() < TIME_MAX).then(|| fails(input))
    };
    let mut best = input.to_vec();
    let mut size = best.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < best.len() {
            let end = (at + size).min(best.len());
            let shorter = [&best[..at], &best[end..]].concat();
            match still(&shorter) {
                None => return best,
                Some(true) => best = shorter,
                Some(false) => at = end,
            }
        }
        size /= 2;
    }
    for at in 0..best.len() {
        let plain = if best[at].is_ascii_graphic() { b'a' } else { 0 };
        let mut plainer = best.clone();
        plainer[at] = plain;
        if best[at] == plain {
            continue;
        }
        match still(&plainer) {
            None => return best,
            Some(true) => best = plainer,
            Some(false) => {}
        }
    }
    best
}
