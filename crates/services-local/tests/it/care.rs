//! Backups, restoring them, and the check of everything.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use base::{Body, TenantName};
use bytes::Bytes;
use services::blob::{Blobs as _, PutOptions as BlobOptions};
use services::care::{BackupOptions, BackupReport, Care, CareError};
use services::{ArtifactStore, Kv, PutOptions, Sql as _, SqlStatement};
use services_local::{DataDir, backups, restore};

use crate::blobs::bucket;
use crate::child::sql_database;
use crate::shelf;
use crate::workload::namespace;
use crate::{Place, block_on};

const PLAIN: BackupOptions = BackupOptions { verify: false, keep: None };
const VERIFIED: BackupOptions = BackupOptions { verify: true, keep: None };

fn put(data: &DataDir, key: &str, value: Vec<u8>) {
    let kv = data.kv();
    block_on(kv.put(&namespace(), key, Body::full(value), PutOptions::default())).expect("it is stored");
}

fn get(data: &DataDir, key: &str) -> Option<Bytes> {
    let entry = block_on(data.kv().get(&namespace(), key)).expect("a read")?;
    Some(block_on(entry.bytes()).expect("the value"))
}

fn back_up(data: &DataDir, to: &Path, options: BackupOptions) -> Result<BackupReport, CareError> {
    block_on(data.care().back_up(to, options))
}

fn restored(place: &Place, from: &Path, id: Option<u64>) -> DataDir {
    let to = place.path().join(format!("restored-{}", id.unwrap_or(0)));
    restore(from, id, &to).expect("it is restored");
    DataDir::open(to, place.options()).expect("what was restored opens")
}

fn chunks(at: &Path) -> Vec<PathBuf> {
    let dirs = fs::read_dir(at.join("chunks")).expect("chunks").map(|dir| dir.expect("an entry").path());
    dirs.flat_map(|dir| fs::read_dir(dir).expect("a directory")).map(|file| file.expect("an entry").path()).collect()
}

#[test]
fn what_was_stored_is_in_what_is_restored() {
    let place = Place::new();
    let (data, to) = (place.open(), place.path().join("backups"));
    let large = vec![7; 300 << 10];
    put(&data, "small", b"value".to_vec());
    put(&data, "large", large.clone());
    let tenant: TenantName = "acme".parse().expect("a name");
    let artifact = block_on(data.artifacts().put(&tenant, Bytes::from_static(b"an artifact"))).expect("put");

    let report = back_up(&data, &to, VERIFIED).expect("a backup");
    assert!(report.verified && report.files >= 5 && report.new_bytes > 300 << 10, "{report:?}");
    put(&data, "small", b"later".to_vec());

    let again = restored(&place, &to, Some(report.id));
    assert_eq!(get(&again, "small").expect("an entry"), b"value".as_slice());
    assert_eq!(get(&again, "large").expect("an entry"), large);
    assert_eq!(
        block_on(again.artifacts().get(&tenant, &artifact)).expect("a read").expect("the artifact"),
        "an artifact"
    );
    assert_eq!(block_on(again.care().check()).expect("a check").damage, []);
}

#[test]
fn a_backup_that_fails_leaves_what_was_there_and_names_its_own_place() {
    let place = Place::new();
    let (data, to) = (place.open(), place.path().join("backups"));
    put(&data, "first", vec![1; 100_000]);
    let first = back_up(&data, &to, PLAIN).expect("a backup");
    let before: BTreeSet<PathBuf> = chunks(&to).into_iter().collect();
    // No chunk finds a place any more, but in the directories that are there.
    for n in 0..=0xff_u8 {
        let dir = to.join("chunks").join(format!("{n:02x}"));
        if !dir.exists() {
            fs::write(dir, "in the way").expect("a file");
        }
    }
    for n in 0..20_u32 {
        let noise = (0..300_000_u32).map(|at| (at.wrapping_mul(n + 7) >> 9) as u8).collect();
        put(&data, &format!("large {n}"), noise);
    }
    let error = back_up(&data, &to, PLAIN).expect_err("it has no place").to_string();
    assert!(error.contains("backups/chunks/"), "{error}");
    assert_eq!(fs::read_dir(to.join("tmp")).expect("a directory").count(), 0, "nothing is on its way any more");
    let dirs = fs::read_dir(to.join("chunks")).expect("chunks").map(|dir| dir.expect("an entry").path());
    let files = dirs.filter(|dir| dir.is_dir()).flat_map(|dir| fs::read_dir(dir).expect("a directory"));
    let after: BTreeSet<PathBuf> = files.map(|file| file.expect("an entry").path()).collect();
    assert_eq!(after, before, "what it had stored is gone again");
    assert_eq!(backups(&to).expect("a list").len(), 1);
    assert_eq!(get(&restored(&place, &to, Some(first.id)), "first").expect("an entry").len(), 100_000);
}

#[test]
fn a_second_backup_stores_only_what_changed() {
    let place = Place::new();
    let (data, to) = (place.open(), place.path().join("backups"));
    put(&data, "large", (0..4_u32 << 20).map(|n| (n % 251) as u8).collect());
    for key in 0..200 {
        put(&data, &format!("key {key}"), vec![key as u8; 10_000]);
    }
    let first = back_up(&data, &to, PLAIN).expect("a backup");
    put(&data, "key 7", b"changed".to_vec());
    let second = back_up(&data, &to, VERIFIED).expect("a backup");
    assert!(second.new_bytes < first.bytes / 4, "{first:?} {second:?}");
    assert_eq!(backups(&to).expect("a list").iter().map(|info| info.id).collect::<Vec<_>>(), [first.id, second.id]);

    assert_eq!(get(&restored(&place, &to, Some(first.id)), "key 7").expect("an entry"), vec![7; 10_000]);
    let kept = back_up(&data, &to, BackupOptions { verify: false, keep: Some(1) }).expect("a backup");
    assert_eq!(kept.removed, 2);
    let newest = restored(&place, &to, None);
    assert_eq!(get(&newest, "key 7").expect("an entry"), b"changed".as_slice());
    assert_eq!(block_on(newest.care().check()).expect("a check").damage, []);
}

/// Databases in the ledger, some of them open and written to, some closed, one dropped as a crash does.
#[test]
fn journaled_databases_are_copied_while_they_are_written() {
    let place = Place::new();
    let (data, to) = (place.open(), place.path().join("backups"));
    shelf::commit(&data, 6, 25);
    let report = std::thread::scope(|scope| {
        scope.spawn(|| shelf::commit(&data, 6, 60));
        back_up(&data, &to, VERIFIED).expect("a backup that restores")
    });
    assert_eq!(block_on(data.care().check()).expect("a check").damage, []);
    let again = restored(&place, &to, Some(report.id));
    for database in 0..6 {
        shelf::check(again.path(), database, 25).expect("what was acknowledged before is there");
    }
    shelf::commit(&again, 6, 70);
}

/// Each write replaces a large value, whose file goes: a backup must find the file of its own moment.
#[test]
fn a_backup_under_load_is_whole() {
    let place = Place::new();
    let (data, to) = (place.open(), place.path().join("backups"));
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let n = written.fetch_add(1, Ordering::Relaxed);
                put(&data, &format!("key {}", n % 5), vec![n as u8; 100 << 10]);
                put(&data, &format!("small {}", n % 5), vec![n as u8; 100]);
            }
        });
        for _ in 0..6 {
            let before = written.load(Ordering::Relaxed);
            while written.load(Ordering::Relaxed) < before + 10 {
                std::thread::yield_now();
            }
            back_up(&data, &to, VERIFIED).expect("a backup that restores");
        }
        stop.store(true, Ordering::Relaxed);
    });
    // What waited for the backups has gone, so that each key has one file.
    drop(data);
    let data = place.open();
    put(&data, "key 0", b"opens the store, which sweeps".to_vec());
    assert_eq!(block_on(data.care().check()).expect("a check").damage, []);
}

#[test]
fn damage_is_found_and_told() {
    let place = Place::new();
    let (data, to) = (place.open(), place.path().join("backups"));
    put(&data, "large", vec![1; 100 << 10]);
    put(&data, "other", vec![2; 50 << 10]);
    let tenant: TenantName = "acme".parse().expect("a name");
    let digest = block_on(data.artifacts().put(&tenant, Bytes::from_static(b"an artifact"))).expect("put");
    let report = back_up(&data, &to, PLAIN).expect("a backup");

    let chunk = chunks(&to).into_iter().max_by_key(|path| path.metadata().expect("metadata").len()).expect("a chunk");
    let mut bytes = fs::read(&chunk).expect("a chunk");
    bytes[1_000] ^= 1;
    fs::write(&chunk, bytes).expect("write");
    let error = restore(&to, Some(report.id), &place.path().join("no")).expect_err("it is damaged");
    assert_eq!(error.code().name, "bad_backup");
    assert!(error.to_string().contains("does not have its digest"), "{error}");
    assert!(!place.path().join("no").exists(), "nothing half restored");

    let artifact = data.artifacts().local_file(&tenant, &digest).expect("a file");
    fs::write(artifact, b"an artefact").expect("write");
    let content = data.path().join("kv/acme/shop.content");
    let content = fs::read_dir(&content).expect("contents").next().expect("one").expect("an entry").path();
    fs::remove_file(content).expect("removed");
    let damage = block_on(data.care().check()).expect("a check").damage;
    let told: Vec<String> = damage.iter().map(|damage| format!("{}: {}", damage.place, damage.what)).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("artifacts/acme/") && told[0].contains("digest"), "{told:?}");
    assert!(told[1].starts_with("KV of acme/shop: the content file"), "{told:?}");
    let unverified = back_up(&data, &to, VERIFIED).expect_err("it does not restore");
    assert_eq!(unverified.code().name, "backup_unverified");
}

/// The file is as long as it was and can be read to its end: only its key tells that a bit is another.
#[test]
fn rot_in_a_blob_is_found_and_told_by_its_key() {
    let place = Place::new();
    let (data, to) = (place.open(), place.path().join("backups"));
    let blobs = data.blobs().expect("the node key is made");
    let bucket = bucket();
    let put = |key| {
        let stored = blobs.put(&bucket, key, Body::full(vec![3; 200_000]), BlobOptions::default());
        block_on(stored).expect("it is stored");
        let files = fs::read_dir(data.path().join("blob/acme/shop.content")).expect("contents");
        files.map(|file| file.expect("an entry").path()).collect::<BTreeSet<_>>()
    };
    let sound = put("sound");
    assert_eq!(block_on(data.care().check()).expect("a check").damage, []);
    let rotten = put("rotten").difference(&sound).next().cloned().expect("a file of its own");
    let mut bytes = fs::read(&rotten).expect("a file");
    bytes[100_000] ^= 4;
    fs::write(&rotten, bytes).expect("write");
    let damage = block_on(data.care().check()).expect("a check").damage;
    let [found] = &damage[..] else { panic!("{damage:?}") };
    assert!(found.place.starts_with("blob rotten of bucket acme/shop/"), "{found:?}");
    assert!(found.what.contains("chunk 1 is damaged"), "{found:?}");
    let unverified = back_up(&data, &to, VERIFIED).expect_err("what it holds is rotten as well");
    assert_eq!(unverified.code().name, "backup_unverified");
}

#[test]
fn a_database_of_a_newer_version_is_told() {
    let place = Place::new();
    let data = place.open();
    let statement = SqlStatement::bind("CREATE TABLE t (x)".to_owned(), Vec::new());
    block_on(data.sql().batch(&sql_database(0), vec![statement])).expect("it is made");
    assert_eq!(block_on(data.care().check()).expect("a check").damage, []);
    drop(data);
    let dir = place.data().join("sql/acme/shop");
    let file = fs::read_dir(dir).expect("databases").map(|file| file.expect("an entry").path());
    let file = file.into_iter().find(|file| file.extension().is_some_and(|end| end == "db")).expect("a database");
    let newer = rusqlite::Connection::open(file).expect("open");
    newer.pragma_update(None, "user_version", 9).expect("written");
    drop(newer);
    let damage = block_on(place.open().care().check()).expect("a check").damage;
    let [found] = &damage[..] else { panic!("{damage:?}") };
    assert!(found.what.starts_with("it has format 9, which this Selvedge does not know"), "{found:?}");
}

#[test]
fn places_that_will_not_do_are_refused() {
    let place = Place::new();
    let (data, to) = (place.open(), place.path().join("backups"));
    let refused = |result: Result<BackupReport, CareError>| {
        let error = result.expect_err("it is refused");
        (error.code().name, error.to_string())
    };
    assert!(refused(back_up(&data, &data.path().join("inside"), PLAIN)).1.contains("lies in the data directory"));
    fs::create_dir(&to).expect("a directory");
    fs::write(to.join("letter.txt"), "dear").expect("write");
    assert!(refused(back_up(&data, &to, PLAIN)).1.contains("holds no backups"));
    assert_eq!(backups(&place.path().join("nowhere")).expect_err("nothing").code().name, "bad_backup");

    let other = place.path().join("other");
    back_up(&data, &other, PLAIN).expect("a backup");
    let full = restore(&other, None, &to).expect_err("it is not empty");
    assert!(full.to_string().contains("not empty"), "{full}");
    let unknown = restore(&other, Some(5), &place.path().join("new")).expect_err("there is no such backup");
    assert!(unknown.to_string().contains("no backup 5"), "{unknown}");

    // A list that somebody changed can't write elsewhere.
    let id = backups(&other).expect("a list")[0].id;
    let list = other.join(format!("backups/{id}.json"));
    let text = fs::read_to_string(&list).expect("a list").replace("\"format\"", "\"../../escaped\"");
    fs::write(&list, text).expect("write");
    let escaping = restore(&other, None, &place.path().join("new")).expect_err("it escapes");
    assert!(escaping.to_string().contains("which is no path"), "{escaping}");
}
