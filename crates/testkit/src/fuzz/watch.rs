//! Ends the process when an input takes too long, or the process holds too much.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{fs, process, thread};

const LOOK: Duration = Duration::from_millis(50);

/// Of a page, on every machine that this is run on.
const PAGE_BYTES: u64 = 4096;

pub struct Watch {
    since: Instant,
    /// When the current input began, in milliseconds since then plus one; 0 between two.
    began_ms: Arc<AtomicU64>,
}

impl Watch {
    pub fn start(time_max: Duration, resident_bytes_max: u64) -> Self {
        let watch = Self { since: Instant::now(), began_ms: Arc::default() };
        let (since, began_ms) = (watch.since, watch.began_ms.clone());
        thread::spawn(move || {
            loop {
                thread::sleep(LOOK);
                let began = began_ms.load(Ordering::Relaxed);
                let took = Duration::from_millis((millis(since) + 1).saturating_sub(began));
                if began > 0 && took > time_max {
                    give_up(&format!("an input took longer than {} ms", time_max.as_millis()));
                }
                let resident = resident_bytes();
                if resident > resident_bytes_max {
                    give_up(&format!("the process holds more than {} MiB", resident_bytes_max >> 20));
                }
            }
        });
        watch
    }

    pub fn begin(&self) {
        self.began_ms.store(millis(self.since) + 1, Ordering::Relaxed);
    }

    pub fn end(&self) {
        self.began_ms.store(0, Ordering::Relaxed);
    }
}

fn give_up(reason: &str) -> ! {
    eprintln!("the watch ended the process: {reason}");
    process::abort();
}

fn millis(since: Instant) -> u64 {
    since.elapsed().as_millis() as u64
}

/// 0 where the system does not say.
fn resident_bytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|field| field.parse().ok());
    pages.unwrap_or(0) * PAGE_BYTES
}
