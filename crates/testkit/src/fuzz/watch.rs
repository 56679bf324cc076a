//! Ends the process when an input takes too long, or the process holds too much.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{fs, process, thread};

const LOOK: Duration = Duration::from_millis(50);

/// An input may take so many times longer on the clock than on the processor: a long run is often
/// one that yields to everything else on its machine.
const WAITS: u32 = 10;

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
            let (mut current, mut cpu_before) = (0, Duration::ZERO);
            loop {
                thread::sleep(LOOK);
                let (began, cpu) = (began_ms.load(Ordering::Relaxed), cpu_time());
                if began != current {
                    (current, cpu_before) = (began, cpu);
                }
                let took = Duration::from_millis((millis(since) + 1).saturating_sub(began));
                if began > 0 && (cpu.saturating_sub(cpu_before) > time_max || took > time_max * WAITS) {
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

/// Of the whole process; nothing where the system does not say.
fn cpu_time() -> Duration {
    /// Of a tick, on every machine that this is run on.
    const TICK_MS: u64 = 10;
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program, in parentheses, may hold anything.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_ascii_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * TICK_MS)
}

/// 0 where the system does not say.
fn resident_bytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|field| field.parse().ok());
    pages.unwrap_or(0) * PAGE_BYTES
}
