//! Reading everything, to find what the disk has lost.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use base::Digest;
use rusqlite::{Connection, OpenFlags};
use services::blob::{Blobs as _, Bucket};
use services::care::{ArchiveCopy, CareError, CheckReport, Damage};
use services::{AppId, StoreError};

use super::files;
use crate::data_dir::Root;
use crate::maintenance::block_on;
use crate::sql::newer_format;
use crate::{Ledger, LocalArtifacts, LocalBlobs, LocalKv, ledger};

/// What is said of one damaged database.
const MESSAGES_MAX: u32 = 5;

pub fn check(
    root: &Root,
    kv: &LocalKv,
    artifacts: &LocalArtifacts,
    blobs: Option<&LocalBlobs>,
    ledger: &Ledger,
) -> Result<CheckReport, CareError> {
    let mut report = CheckReport::default();
    // What is removed meanwhile would look as if it had been lost.
    let _hold = root.removals.hold();
    let files = files::list(&root.path)?;
    for path in &files.databases {
        report.databases += 1;
        let found = root.path.join(path);
        report.bytes += found.metadata().map_or(0, |metadata| metadata.len());
        let messages = database(&found).unwrap_or_else(|error| vec![error.to_string()]);
        report.damage.extend(messages.into_iter().map(|what| damage(path, what)));
    }
    for path in &files.others {
        report.files += 1;
        match file(&root.path.join(path), artifacts) {
            Ok(bytes) => report.bytes += bytes,
            Err(what) => report.damage.push(damage(path, what)),
        }
    }
    for (path, whole) in ledger::check_archive(&root.path.join("archive"))? {
        report.files += 1;
        report.bytes += path.metadata().map_or(0, |metadata| metadata.len());
        let below = path.strip_prefix(&root.path).unwrap_or(&path);
        report.damage.extend(whole.err().map(|what| damage(below, what)));
    }
    check_copy(ledger, &mut report);
    for app in kv.apps()? {
        if let Err(error) = block_on(kv.check(&app)) {
            report.damage.push(Damage { place: format!("KV of {app}"), what: told(&error) });
        }
    }
    for app in blobs.map_or_else(|| Ok(Vec::new()), LocalBlobs::apps)? {
        report.damage.extend(blobs.into_iter().flat_map(|blobs| blobs_of(blobs, &app)));
    }
    Ok(report)
}

/// That a place far away does not answer is a problem of the copy's, not damage.
fn check_copy(ledger: &Ledger, report: &mut CheckReport) {
    let checked = ledger.check_copy();
    let copy = ledger.archive_copy();
    match checked {
        Ok(checked) => {
            for file in checked {
                report.files += 1;
                report.bytes += file.bytes;
                report.damage.extend(file.whole.err().map(|what| Damage { place: file.name, what }));
            }
            report.archive = copy;
        }
        Err(error) => {
            let problem = |copy: ArchiveCopy| ArchiveCopy { problem: Some(error.to_string()), ..copy };
            report.archive = copy.map(problem);
        }
    }
}

/// What is wrong with an app's blobs. That a file can be read says little about what is sealed in it:
/// each is opened with its key.
fn blobs_of(blobs: &LocalBlobs, app: &AppId) -> Vec<Damage> {
    let whole = |what: String| Damage { place: format!("blobs of {app}"), what };
    let buckets = match block_on(blobs.buckets(app)) {
        Ok(buckets) => buckets,
        Err(error) => return vec![whole(error.to_string())],
    };
    let mut damage: Vec<Damage> =
        block_on(blobs.check(app)).err().map(|error| whole(error.to_string())).into_iter().collect();
    for bucket in buckets {
        let bucket = Bucket::new(app.tenant.clone(), app.app.clone(), bucket.name);
        match block_on(blobs.scrub(&bucket)) {
            Ok(found) => damage.extend(found.damaged.into_iter().map(|one| Damage {
                place: format!("blob {} of bucket {bucket} (version {})", one.key, one.version),
                what: one.what,
            })),
            Err(error) => damage.push(whole(error.to_string())),
        }
    }
    damage
}

fn damage(path: &Path, what: String) -> Damage {
    Damage { place: path.display().to_string(), what }
}

/// What is wrong with a database.
pub fn database(path: &Path) -> rusqlite::Result<Vec<String>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({MESSAGES_MAX})"))?;
    let messages = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    drop(statement);
    let newer = newer_format(&connection)?
        .map(|format| format!("it has format {format}, which this Selvedge does not know; check it with a newer one"));
    Ok(messages.into_iter().filter(|message| message != "ok").chain(newer).collect())
}

/// Reads a file to its end. An artifact has its digest.
fn file(path: &Path, artifacts: &LocalArtifacts) -> Result<u64, String> {
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    let digest = path.file_name().and_then(|name| Digest::parse(name.to_str()?)).filter(|_| artifacts.holds(path));
    let Some(digest) = digest else {
        // It may be larger than the memory.
        return std::io::copy(&mut file, &mut std::io::sink()).map_err(|error| error.to_string());
    };
    let mut bytes = Vec::new();
    let read = file.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    match Digest::of(&bytes) == digest {
        true => Ok(read as u64),
        false => Err("it does not have its digest; deploy it again".into()),
    }
}

fn told(error: &services::KvError) -> String {
    match error {
        services::KvError::Store(StoreError::Corrupt(what)) => what.clone(),
        other => other.to_string(),
    }
}
