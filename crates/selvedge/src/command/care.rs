//! `backup`, `restore` and `fsck`: the care of a whole data directory.

use std::path::Path;

use anyhow::{Result, bail};

use super::{print, print_json, time};
use crate::cli;
use crate::wire;

pub fn backup(args: &cli::Backup, json: bool) -> Result<()> {
    let report = wire::backup(&args.data.data, &args.into)?;
    let pruned = match args.keep {
        Some(keep) => wire::prune(&args.into, usize::try_from(keep)?)?,
        None => 0,
    };
    if json {
        return print_json(&report);
    }
    let (into, taken_ms) = (args.into.display(), report.taken_ms);
    print(format!("{into}: backup {taken_ms} of {}", time(taken_ms)))?;
    print(format!("  {} files, {}", report.files, size(report.bytes)))?;
    print(format!("  {} of them new, {}", report.new_files, size(report.new_bytes)))?;
    if pruned > 0 {
        print(format!("  {pruned} older backups removed"))?;
    }
    print("  the node key is not in it; keep that elsewhere")
}

pub fn restore(args: &cli::Restore, json: bool) -> Result<()> {
    let data = &args.data.data;
    let (taken_ms, files, checked) = wire::restore(&args.from, args.backup, data)?;
    if !checked.problems.is_empty() {
        return conclude(data, &checked, json);
    }
    if json {
        return print_json(&serde_json::json!({ "taken_ms": taken_ms, "files": files }));
    }
    print(format!("{}: {files} files of {}, all sound", data.display(), time(taken_ms)))
}

pub fn fsck(data: &Path, json: bool) -> Result<()> {
    conclude(data, &wire::fsck(data)?, json)
}

/// Prints a report, and fails if there is something to report.
fn conclude(data: &Path, report: &wire::FsckReport, json: bool) -> Result<()> {
    if json {
        print_json(report)?;
    } else {
        let wire::FsckReport { databases, values, artifacts, archived, .. } = report;
        print(format!(
            "{}: {databases} databases, {values} large values, {artifacts} artifacts, {archived} files of the archive",
            data.display()
        ))?;
        for problem in &report.problems {
            print(format!("  {}: {}", problem.path, problem.what))?;
        }
    }
    match report.problems.len() {
        0 => Ok(()),
        1 => bail!("one file is damaged; restore it from a backup"),
        count => bail!("{count} files are damaged; restore them from a backup"),
    }
}

/// Bytes as people read them.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} bytes"),
        1_024..0x10_0000 => format!("{:.1} KiB", bytes as f64 / 1_024.0),
        0x10_0000..0x4000_0000 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}
