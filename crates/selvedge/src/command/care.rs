//! `backup`, `restore`, `recover` and `fsck`: all data of a node at once.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use control_api::{ArchiveCopied, BackupRequest};

use super::sql::moment;
use super::{print, print_json, time};
use crate::admin::{Prepare, reach};
use crate::config::{self, ArchiveConfig, last};
use crate::wire::{Depot, Recover, Storage};
use crate::{cli, wire};

pub async fn backup(args: cli::Backup, json: bool) -> Result<()> {
    if args.list {
        return list(&args.to, json);
    }
    let to = std::path::absolute(&args.to).with_context(|| format!("{}", args.to.display()))?;
    let to = to.into_os_string().into_string().ok().context("the directory's name is not UTF-8")?;
    let request = BackupRequest { to, verify: !args.no_verify, keep: args.keep };
    let made = reach(&args.data.data, Prepare::No)?.back_up(request).await?;
    if json {
        return print_json(&made);
    }
    let (files, all, new) = (made.files, size(made.bytes), size(made.new_bytes));
    print(format!("backup {} ({}): {files} files, {all}, of which {new} are new", made.id, time(made.id)))?;
    if made.removed > 0 {
        print(format!("removed {} older", made.removed))?;
    }
    print(if made.verified { "restored to a temporary place, and sound" } else { "not verified" })
}

fn list(from: &Path, json: bool) -> Result<()> {
    let backups = wire::backups(from)?;
    if json {
        return print_json(&serde_json::json!({ "items": backups }));
    }
    for backup in backups {
        print(format!("{}  {}  {} files, {}", backup.id, time(backup.id), backup.files, size(backup.bytes)))?;
    }
    Ok(())
}

pub fn restore(args: &cli::Restore, json: bool) -> Result<()> {
    let restored = wire::restore(&args.from, args.backup, &args.data)?;
    if json {
        return print_json(&restored);
    }
    let (id, files, bytes) = (restored.id, restored.files, size(restored.bytes));
    print(format!("restored backup {id} ({}) to {}: {files} files, {bytes}", time(id), args.data.display()))?;
    print("secrets open with the node key that they were sealed with, which is in no backup")
}

pub fn recover(args: cli::Recover, json: bool) -> Result<()> {
    let config = args.config.as_deref().map(|path| config::read(Some(path))).transpose()?;
    let archive = match (args.from, &config) {
        (Some(from), _) => ArchiveConfig::Directory(from),
        (None, Some(config)) => config.archive.clone().context("the configuration has no [archive]")?,
        (None, None) => bail!("say where the copy of the archive is"),
    };
    let depot = wire::open_depot(&archive)?;
    let Some(data) = args.data.filter(|_| !args.list) else { return list_archives(&*depot, json) };
    let at_ms = args.at.map_or(Ok(u64::MAX), |at| moment::parse(&at, wire::clock().unix_ms()))?;
    // Of a directory that is there, the limits that its node had.
    let storage = match (config, data.exists()) {
        (Some(config), _) => config.storage(),
        (None, true) => last::read(&data)?,
        (None, false) => Storage::default(),
    };
    let what = Recover { id: args.archive, at_ms, only: args.only, replace: args.replace };
    let recovered = wire::recover(&*depot, &data, &storage, &what)?;
    if json {
        return print_json(&recovered);
    }
    let (count, bytes, to) = (recovered.databases, size(recovered.bytes), data.display());
    print(format!("recovered {count} databases, {bytes}, from {}/{} to {to}", depot.name(), recovered.id))?;
    print(format!("each was read as a whole; the last commit is of {}", time(recovered.newest_ms)))?;
    print("KV, blobs, deployments and secrets are in backups alone")
}

fn list_archives(depot: &dyn Depot, json: bool) -> Result<()> {
    let archives = wire::archives(depot)?;
    if json {
        return print_json(&serde_json::json!({ "items": archives }));
    }
    for archive in archives {
        let (id, count, bytes) = (archive.id, archive.databases, size(archive.bytes));
        print(format!("{id}  of {}  {count} databases, {bytes}", archive.of))?;
    }
    Ok(())
}

/// The data of `dev`, where it is started without saying.
const DEV_DATA: &str = ".selvedge/data";

/// What changed, and what will with the next start.
pub async fn reload(args: cli::Data, json: bool) -> Result<()> {
    // Where nobody serves there may be a `dev` of the project.
    let of_dev = Path::new(DEV_DATA);
    let data = if !args.data.exists() && of_dev.exists() { of_dev } else { &*args.data };
    let reloaded = reach(data, Prepare::No)?.reload().await?;
    if json {
        return print_json(&reloaded);
    }
    for line in &reloaded.changed {
        print(line.clone())?;
    }
    for line in &reloaded.later {
        print(format!("later: {line}"))?;
    }
    match reloaded.problem {
        Some(problem) => bail!("{problem}"),
        None if reloaded.changed.is_empty() && reloaded.later.is_empty() => print("nothing is different"),
        None => Ok(()),
    }
}

pub async fn fsck(args: cli::Data, json: bool) -> Result<()> {
    let found = reach(&args.data, Prepare::No)?.check().await?;
    if json {
        print_json(&found)?;
    } else {
        let bytes = size(found.bytes);
        print(format!("read {} databases and {} other files, {bytes}", found.databases, found.files))?;
        if let Some(copy) = &found.archive {
            print(copy_told(copy))?;
        }
        for damage in &found.damage {
            print(format!("{}: {}", damage.place, damage.what))?;
        }
    }
    match found.damage.len() {
        0 if json => Ok(()),
        0 => print("all of it is sound"),
        1 => bail!("something is damaged; restore it from a backup"),
        count => bail!("{count} things are damaged; restore them from a backup"),
    }
}

fn copy_told(copy: &ArchiveCopied) -> String {
    let behind = match copy.behind_ms {
        0 => "has everything".to_owned(),
        ms => format!("is {} s behind", ms.div_ceil(1_000)),
    };
    let problem = copy.problem.as_ref().map(|problem| format!(": {problem}")).unwrap_or_default();
    format!("the copy of the archive in {} {behind}{problem}", copy.place)
}

/// Bytes as people read them.
fn size(bytes: u64) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|&(_, unit)| bytes >= unit) {
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} bytes"),
    }
}
