//! What one flush costs: a writer that appends 4 KiB and waits for the disk, again and again.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::Figures;
use crate::bench::table::percentile;

const BYTES: usize = 4096;

pub fn measure(folder: &Path, seconds: u32) -> Result<Figures> {
    let path = folder.join("floor");
    let mut file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
    let (begun, run) = (Instant::now(), Duration::from_secs(u64::from(seconds)));
    let mut times = Vec::new();
    while begun.elapsed() < run {
        let flush = Instant::now();
        file.write_all(&[7; BYTES])?;
        file.sync_data()?;
        times.push(flush.elapsed().as_secs_f64() * 1e6);
    }
    let per_s = times.len() as f64 / begun.elapsed().as_secs_f64();
    let _ = fs::remove_file(&path);
    times.sort_by(f64::total_cmp);
    Ok(Figures { cpu_us: None, per_s, p50_us: percentile(&times, 0.5), p99_us: percentile(&times, 0.99) })
}
