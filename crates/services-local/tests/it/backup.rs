//! Backups taken live, put back and checked; and what the check finds.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use base::{Body, ResourceName, Secret, SystemClock, TenantName};
use services::{ArtifactStore as _, Kv as _, PutOptions, SecretStore as _};
use services_local::{BackupError, BackupReport, DataDir, DataDirOptions, FsckReport};

use crate::shelf::{self, Kept};
use crate::workload::namespace;
use crate::{Place, block_on};

fn backup(place: &Place) -> BackupReport {
    services_local::backup(&place.data(), &place.path().join("backups"), &SystemClock::default()).expect("a backup")
}

fn restore(place: &Place, into: &str) -> Result<PathBuf, BackupError> {
    let data = place.path().join(into);
    services_local::restore(&place.path().join("backups"), None, &data).map(|_| data)
}

fn fsck(data: &Path) -> FsckReport {
    services_local::fsck(data).expect("checked")
}

fn sound(data: &Path) -> FsckReport {
    let report = fsck(data);
    assert_eq!(report.problems, []);
    report
}

fn reopen(place: &Place, data: &Path) -> DataDir {
    DataDir::open(data, DataDirOptions::new(place.path().join("node.key"))).expect("opens")
}

fn put(data: &DataDir, key: &str, bytes: usize) {
    let value = Body::full(vec![b'v'; bytes]);
    block_on(data.kv().put(&namespace(), key, value, PutOptions::default())).expect("put");
}

/// Makes every file look as if it had been left alone for a while.
fn settle(dir: &Path) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            settle(&path);
        } else if let Ok(file) = fs::OpenOptions::new().write(true).open(&path) {
            let past = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
            file.set_modified(past).expect("the time is set");
        }
    }
}

#[test]
fn a_live_backup_holds_what_was_acknowledged_before_it() {
    let place = Place::new();
    let data = place.open();
    shelf::commit(&data, 12, 30);
    let key = ResourceName::parse("api-key").expect("a name");
    block_on(data.secrets().expect("secrets").put(&namespace().app_id(), &key, Secret::new("s3cret".into())))
        .expect("put");
    let tenant = TenantName::parse("acme").expect("a name");
    let digest = block_on(data.artifacts().put(&tenant, "an artifact".into())).expect("put");
    put(&data, "small", 10);
    put(&data, "large", 200_000);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // What is written meanwhile may or may not be in it; values go as quickly as they come.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                put(&data, "replaced", 100_000);
            }
        });
        scope.spawn(|| shelf::commit(&data, 12, 60));
        for _ in 0..3 {
            backup(&place);
        }
        done.store(true, Ordering::Relaxed);
    });
    let restored = restore(&place, "restored").expect("restored");
    let report = sound(&restored);
    assert!(report.databases >= 14 && report.values >= 1 && report.artifacts == 1, "{report:?}");
    let mut kept = Kept::default();
    kept.0.extend((0..12).map(|number| (number, 30)));
    for (&number, &count) in &kept.0 {
        shelf::check(&restored, number, count).expect("what was acknowledged is there");
    }
    let data = reopen(&place, &restored);
    let large = block_on(data.kv().get(&namespace(), "large")).expect("get").expect("an entry");
    assert_eq!(block_on(large.bytes()).expect("read").len(), 200_000);
    assert!(block_on(data.artifacts().get(&tenant, &digest)).expect("get").is_some());
    let secret = block_on(data.secrets().expect("the key").get(&namespace().app_id(), &key)).expect("get");
    assert_eq!(secret.expect("set").value.expose().as_ref(), b"s3cret");
    shelf::commit(&data, 12, 70);
}

#[test]
fn what_did_not_change_is_not_copied_again() {
    let place = Place::new();
    let data = place.open();
    shelf::commit(&data, 4, 5);
    put(&data, "large", 200_000);
    drop(data);
    settle(&place.data());
    let first = backup(&place);
    assert_eq!(first.new_files, first.files);
    let second = backup(&place);
    assert_eq!((second.files, second.new_files), (first.files, 0));
    let data = place.open();
    put(&data, "small", 10);
    let third = backup(&place);
    assert!(third.new_files >= 1 && third.new_files < third.files, "{third:?}");
    let backups = place.path().join("backups");
    assert_eq!(services_local::prune(&backups, 1).expect("pruned"), 2);
    sound(&restore(&place, "restored").expect("restored"));
    let gone = services_local::restore(&backups, Some(first.taken_ms), &place.path().join("other"));
    assert!(gone.is_err_and(|error| error.to_string().contains("holds no backup of")));
}

#[test]
fn a_bad_backup_and_a_bad_place_are_refused() {
    let place = Place::new();
    let refuse = |into: &str| restore(&place, into).expect_err("refused");
    assert_eq!(refuse("restored").code().name, "not_found");
    let data = place.open();
    put(&data, "large", 200_000);
    let inside = services_local::backup(&place.data(), &place.data().join("backups"), &SystemClock::default());
    assert!(matches!(inside, Err(BackupError::Inside(_))));
    fs::remove_dir_all(place.data().join("backups")).expect("removed");
    backup(&place);
    assert!(matches!(refuse("data"), BackupError::NotEmpty(_)));
    let mut dirs = vec![place.path().join("backups/files")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => dirs.push(path),
                false => fs::write(&path, "something else").expect("damaged"),
            }
        }
    }
    assert_eq!(refuse("half").code().name, "store_corrupt");
    let half = DataDir::open(place.path().join("half"), place.options());
    assert!(half.is_err(), "half of a directory is none");
}

#[test]
fn the_check_finds_what_is_damaged_and_names_it() {
    let place = Place::new();
    let data = place.open();
    shelf::commit(&data, 2, 20);
    put(&data, "kept", 200_000);
    put(&data, "lost", 200_000);
    let tenant = TenantName::parse("acme").expect("a name");
    block_on(data.artifacts().put(&tenant, "an artifact".into())).expect("put");
    drop(data);
    // A start, so that the files hold everything and nothing lies beside them.
    drop(place.open());
    sound(&place.data());
    let below = |dir: &str| -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut dirs = vec![place.data().join(dir)];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).expect("a directory") {
                let path = entry.expect("an entry").path();
                if path.is_dir() { dirs.push(path) } else { files.push(path) }
            }
        }
        files
    };
    fs::remove_file(&below("kv/acme/shop.content")[0]).expect("removed");
    fs::write(&below("artifacts")[0], "another artifact").expect("damaged");
    let shelf = place.data().join("shelf-1.db");
    let mut pages = fs::read(&shelf).expect("read");
    let end = pages.len();
    pages[end - 4_096..].fill(0x5a);
    fs::write(&shelf, pages).expect("damaged");
    let report = fsck(&place.data());
    let mut paths: Vec<&str> = report.problems.iter().map(|problem| problem.path.as_str()).collect();
    paths.sort_unstable();
    assert!(paths[0].starts_with("artifacts/") && paths[1].starts_with("kv/acme/shop.content/"), "{paths:?}");
    assert_eq!(paths[2..], ["shelf-1.db"]);
}
