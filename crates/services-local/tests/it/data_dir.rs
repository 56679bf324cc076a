use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use base::{AppName, Body, TenantName};
use services::{AppId, ChangesOptions, Kv, PutOptions};
use services_local::{DataDir, DataDirError};

use crate::workload::namespace;
use crate::{Place, block_on};

fn refuse(place: &Place) -> (String, &'static str) {
    let error = DataDir::open(place.data(), place.options()).map(drop).expect_err("the directory is refused");
    let path = place.data().canonicalize().unwrap_or(place.data());
    (error.to_string().replace(&path.display().to_string(), "DATA"), error.code().name)
}

#[test]
fn a_directory_is_made_and_belongs_to_its_owner() {
    let place = Place::new();
    let data = place.open();
    let mode = |path: &std::path::Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(data.path()), 0o700);
    assert_eq!(mode(&data.cache_dir().expect("cache")), 0o700);
    assert_eq!(fs::read_to_string(data.path().join("format")).expect("format"), "selvedge-data 1\n");
}

#[test]
fn a_directory_that_ought_to_be_there_is_not_made() {
    let place = Place::new();
    let find = || {
        let options = services_local::DataDirOptions { create: false, ..place.options() };
        DataDir::open(place.data(), options).map_err(|error| (error.to_string(), error.code().name))
    };
    let path = place.data();
    for exists in [false, true] {
        if exists {
            fs::create_dir(&path).expect("a directory");
        }
        let (message, code) = find().map(drop).expect_err("it is not there");
        assert!(message.starts_with(&format!("there is no data directory at {}", path.display())), "{message}");
        assert_eq!((code, path.exists()), ("data_unusable", exists));
    }
    fs::write(path.join("notes.txt"), "mine").expect("a file");
    let (message, _) = find().map(drop).expect_err("somebody else's");
    assert!(message.contains("holds \"notes.txt\" and no Selvedge data"), "{message}");
    assert_eq!(fs::read_dir(&path).expect("a directory").count(), 1, "nothing was left in it");
    fs::remove_file(path.join("notes.txt")).expect("removed");
    drop(place.open());
    drop(find().expect("now it is there"));
}

#[test]
fn a_held_directory_names_its_holder() {
    let place = Place::new();
    let held = place.open();
    let (message, code) = refuse(&place);
    let pid = std::process::id();
    assert_eq!(message, format!("DATA is held by another Selvedge, process {pid}; stop it, or choose another --data"));
    assert_eq!(code, "data_locked");
    let kv = held.kv();
    drop(held);
    assert_eq!(refuse(&place).1, "data_locked", "a provider that is still in use keeps the lock");
    drop(kv);
    place.open();
}

#[test]
fn a_newer_format_is_refused() {
    let place = Place::new();
    drop(place.open());
    fs::write(place.data().join("format"), "selvedge-data 7\n").expect("write");
    let (message, code) = refuse(&place);
    assert_eq!(
        message,
        "DATA was written by a newer Selvedge (format 7, this one knows 1); use that version or a newer one"
    );
    assert_eq!(code, "data_newer");
}

#[test]
fn a_damaged_format_is_refused() {
    let place = Place::new();
    drop(place.open());
    for text in [b"".as_slice(), b"selvedge-data", b"selvedge-data 0", b"\xff\xfe"] {
        fs::write(place.data().join("format"), text).expect("write");
        let (message, code) = refuse(&place);
        assert_eq!(message, "DATA/format does not say which format the directory has; restore it from a backup");
        assert_eq!(code, "store_corrupt");
    }
}

#[test]
fn a_directory_of_something_else_is_refused() {
    let place = Place::new();
    fs::create_dir(place.data()).expect("mkdir");
    fs::write(place.data().join("thesis.txt"), "…").expect("write");
    let (message, code) = refuse(&place);
    let advice = "choose an empty directory for --data, or one that Selvedge made";
    assert_eq!(message, format!("DATA holds \"thesis.txt\" and no Selvedge data; {advice}"));
    assert_eq!(code, "data_unusable");
}

#[test]
fn a_file_in_place_of_the_directory_is_refused() {
    let place = Place::new();
    fs::write(place.data(), "").expect("write");
    let (message, code) = refuse(&place);
    assert_eq!(message, "DATA is not a directory; choose another --data");
    assert_eq!(code, "data_unusable");
}

#[test]
fn a_directory_without_permission_is_refused() {
    let place = Place::new();
    fs::create_dir(place.data()).expect("mkdir");
    fs::set_permissions(place.data(), fs::Permissions::from_mode(0o500)).expect("chmod");
    if fs::write(place.data().join("probe"), "").is_ok() {
        // Permissions bind everyone but root.
        return fs::remove_file(place.data().join("probe")).expect("remove");
    }
    let (message, code) = refuse(&place);
    let advice = "give it to the user that runs Selvedge (chown), or choose another --data";
    assert!(message.starts_with("this user may not write DATA/") && message.ends_with(advice), "{message}");
    assert_eq!(code, "data_unusable");
}

#[test]
fn a_damaged_database_is_an_error_and_not_a_crash() {
    let place = Place::new();
    drop(place.open());
    fs::write(place.data().join("node.db"), vec![0x5a; 8192]).expect("write");
    let (message, code) = refuse(&place);
    assert!(message.contains("restore it from a backup"), "{message}");
    assert_eq!(code, "store_corrupt");
}

#[test]
fn a_database_of_a_newer_schema_is_refused() {
    let place = Place::new();
    drop(place.open());
    let raised = rusqlite::Connection::open(place.data().join("node.db")).expect("open");
    raised.pragma_update(None, "user_version", 9).expect("raise");
    drop(raised);
    let (message, _) = refuse(&place);
    assert!(message.contains("has schema 9, this Selvedge knows 2; use a newer one"), "{message}");
}

#[test]
fn one_damaged_app_leaves_the_others_alone() {
    let place = Place::new();
    let (good, mut bad) = (namespace(), namespace());
    bad.app = AppName::parse("blog").expect("a name");
    {
        let kv = place.open().kv();
        for ns in [&good, &bad] {
            block_on(kv.put(ns, "k", Body::full("v"), PutOptions::default())).expect("put");
        }
    }
    fs::write(place.data().join("kv/acme/blog.db"), vec![0x5a; 8192]).expect("write");
    let kv = place.open().kv();
    let error = block_on(kv.get(&bad, "k")).expect_err("damaged");
    assert_eq!(error.code().name, "store_corrupt");
    assert!(block_on(kv.get(&good, "k")).expect("get").is_some());
    let owner = TenantName::parse("acme").expect("a name");
    assert_eq!(kv.apps().expect("apps"), [AppId::new(owner, bad.app), good.app_id()]);
}

#[test]
fn reading_makes_no_file() {
    let place = Place::new();
    let kv = place.open().kv();
    assert!(block_on(kv.get(&namespace(), "k")).expect("get").is_none());
    assert!(block_on(kv.list(&namespace(), Default::default())).expect("list").complete);
    assert!(kv.apps().expect("apps").is_empty());
}

#[test]
fn few_files_stay_open_and_all_answer() {
    let place = Place::new();
    let mut options = place.options();
    options.limits.kv_files_open = 4;
    let data = DataDir::open(place.data(), options).expect("opens");
    let kv = data.kv();
    let of =
        |n: usize| services::KvNamespace { app: AppName::parse(&format!("app-{n}")).expect("a name"), ..namespace() };
    let mut revisions = Vec::new();
    for n in 0..12 {
        let ns = of(n);
        let put = kv.put(&ns, "k", Body::full(n.to_string()), PutOptions::default());
        revisions.push(block_on(put).expect("put").revision);
    }
    let pages = |n: usize| data.path().join(format!("kv/acme/app-{n}.db-wal")).exists();
    assert_eq!((0..12).filter(|&n| pages(n)).count(), 4, "a closed file has no log");
    for (n, &before) in revisions.iter().enumerate() {
        let ns = of(n);
        let entry = block_on(kv.get(&ns, "k")).expect("get").expect("it is there");
        assert_eq!(block_on(entry.bytes()).expect("value"), n.to_string());
        let put = kv.put(&ns, "k", Body::full("again"), PutOptions::default());
        assert!(block_on(put).expect("put").revision > before);
    }
}

#[test]
fn the_space_of_expired_and_orphaned_values_is_reclaimed() {
    let (place, clock) = (Place::new(), testkit::ManualClock::new());
    let options = services_local::DataDirOptions { clock: clock.clone(), ..place.options() };
    let data = DataDir::open(place.data(), options).expect("opens");
    let kv = data.kv();
    let expires = PutOptions { expires_at_ms: Some(base::Clock::unix_ms(&*clock) + 10), ..PutOptions::default() };
    for n in 0..600 {
        let value = if n % 300 == 0 { vec![1; 70_000] } else { vec![1; 10] };
        block_on(kv.put(&namespace(), &n.to_string(), Body::full(value), expires.clone())).expect("put");
    }
    block_on(kv.put(&namespace(), "stays", Body::full(vec![2; 70_000]), PutOptions::default())).expect("put");
    let contents = data.path().join("kv/acme/shop.content");
    let files = || fs::read_dir(&contents).expect("content files").count();
    assert_eq!(files(), 3);
    fs::write(contents.join("00112233445566778899aabbccddeeff"), "orphan").expect("write");
    fs::write(contents.join("00112233445566778899aabbccddeeff.tmp"), "orphan").expect("write");
    assert_eq!(block_on(kv.sweep()).expect("sweep"), 0);
    assert_eq!(files(), 3);
    clock.advance(10);
    assert_eq!(block_on(kv.sweep()).expect("sweep"), 600);
    assert_eq!(block_on(kv.sweep()).expect("sweep"), 0);
    assert_eq!(files(), 1);
    block_on(kv.check(&namespace().app_id())).expect("sound");
}

#[test]
fn a_file_shrinks_when_what_it_held_has_expired() {
    let (place, clock) = (Place::in_memory(), testkit::ManualClock::new());
    let options = || services_local::DataDirOptions { clock: clock.clone(), ..place.options() };
    let file = place.data().join("kv/acme/shop.db");
    let size = || fs::metadata(&file).expect("the file").len();
    let open = || DataDir::open(place.data(), options()).expect("opens");
    let data = open();
    let expires = PutOptions { expires_at_ms: Some(base::Clock::unix_ms(&*clock) + 10), ..PutOptions::default() };
    for n in 0..2_000 {
        block_on(data.kv().put(&namespace(), &n.to_string(), Body::full(vec![1; 4_000]), expires.clone()))
            .expect("put");
    }
    drop(data);
    let full = size();
    assert!(full > 8_000_000, "{full}");
    clock.advance(10);
    let data = open();
    block_on(data.kv().put(&namespace(), "stays", Body::full("x"), PutOptions::default())).expect("put");
    assert_eq!(block_on(data.kv().sweep()).expect("sweep"), 2_000);
    let usage = block_on(data.kv().usage(&namespace().app_id())).expect("usage");
    assert_eq!((usage[0].usage.keys, usage[0].usage.bytes), (1, 6));
    drop(data);
    let left = size();
    assert!(left < full / 4, "{left} of {full} bytes are left");
    // And what stays free is used before the file grows.
    let data = open();
    for n in 0..200 {
        block_on(data.kv().put(&namespace(), &n.to_string(), Body::full(vec![1; 1_000]), PutOptions::default()))
            .expect("put");
    }
    block_on(data.kv().check(&namespace().app_id())).expect("sound");
    drop(data);
    assert!(size() <= left, "{} bytes, {left} before", size());
}

/// A file as the first version made it.
const FIRST_SCHEMA: &str = "
    PRAGMA application_id = 0x534c564b;
    PRAGMA user_version = 1;
    CREATE TABLE sequence (value INTEGER NOT NULL) STRICT;
    INSERT INTO sequence VALUES (7);
    CREATE TABLE namespace (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE entry (
        id INTEGER PRIMARY KEY, namespace INTEGER NOT NULL, key BLOB NOT NULL, revision INTEGER NOT NULL,
        expires_at_ms INTEGER, metadata TEXT, size INTEGER NOT NULL, content BLOB, value BLOB,
        UNIQUE (namespace, key), CHECK ((content IS NULL) <> (value IS NULL))
    ) STRICT;
    CREATE INDEX entry_expiry ON entry (expires_at_ms) WHERE expires_at_ms IS NOT NULL;
    CREATE INDEX entry_content ON entry (content) WHERE content IS NOT NULL;
    INSERT INTO namespace VALUES (1, 'stock'), (2, 'other');
    INSERT INTO entry VALUES (1, 1, CAST('a' AS BLOB), 6, NULL, '\"ü\"', 3, NULL, CAST('one' AS BLOB));
    INSERT INTO entry VALUES (2, 2, CAST('b' AS BLOB), 7, NULL, NULL, 0, NULL, CAST('' AS BLOB));
";

#[test]
fn a_file_of_the_first_version_is_counted_and_watched_from_now_on() {
    let place = Place::new();
    drop(place.open());
    fs::create_dir_all(place.data().join("kv/acme")).expect("a directory");
    let old = rusqlite::Connection::open(place.data().join("kv/acme/shop.db")).expect("open");
    old.execute_batch(FIRST_SCHEMA).expect("the first schema");
    drop(old);
    let kv = place.open().kv();
    let usage = block_on(kv.usage(&namespace().app_id())).expect("usage");
    let counted: Vec<_> = usage.iter().map(|of| (of.namespace.as_str(), of.usage.keys, of.usage.bytes)).collect();
    assert_eq!(counted, [("other", 1, 1), ("stock", 1, 1 + 4 + 3)]);
    let changes = |since| ChangesOptions { since, ..ChangesOptions::default() };
    let gone = block_on(kv.changes(&namespace(), changes(Some(3)))).expect_err("nothing was noted then");
    assert_eq!(gone.code().name, "changes_gone");
    let now = block_on(kv.changes(&namespace(), changes(None))).expect("now").through;
    let put = block_on(kv.put(&namespace(), "a", Body::full("two"), PutOptions::default())).expect("put");
    assert!(now >= 7 && put.revision > now);
    let told = block_on(kv.changes(&namespace(), changes(Some(now)))).expect("changes").changes;
    assert_eq!(told.iter().map(|change| change.revision).collect::<Vec<_>>(), [put.revision]);
    block_on(kv.sweep()).expect("a file that can give nothing back is swept all the same");
}

#[test]
fn a_missing_content_file_is_found() {
    let place = Place::new();
    let kv = place.open().kv();
    block_on(kv.put(&namespace(), "k", Body::full(vec![1; 70_000]), PutOptions::default())).expect("put");
    let contents = place.data().join("kv/acme/shop.content");
    for file in fs::read_dir(contents).expect("content files") {
        fs::remove_file(file.expect("an entry").path()).expect("remove");
    }
    assert_eq!(block_on(kv.get(&namespace(), "k")).expect_err("missing").code().name, "store_corrupt");
    assert_eq!(block_on(kv.check(&namespace().app_id())).expect_err("missing").code().name, "store_corrupt");
}

#[test]
fn a_damaged_artifact_is_found_and_put_again() {
    use services::ArtifactStore as _;
    let place = Place::new();
    let data = place.open();
    let (artifacts, owner) = (data.artifacts(), namespace().tenant);
    let digest = block_on(artifacts.put(&owner, "hello".into())).expect("put");
    let name = digest.to_string();
    let file = data.path().join("artifacts/acme").join(&name[..2]).join(&name);
    fs::write(&file, "jello").expect("damage");
    let error = block_on(artifacts.get(&owner, &digest)).expect_err("damaged");
    assert_eq!(error.code().name, "store_corrupt");
    block_on(artifacts.put(&owner, "hello".into())).expect("put");
    assert_eq!(block_on(artifacts.get(&owner, &digest)).expect("get").expect("it is there"), "hello");
}

#[test]
fn releases_survive_a_restart() {
    use base::Digest;
    use services::{DeploymentRecord, ReleaseStore as _};
    let place = Place::new();
    let (app, id) = (namespace().app_id(), Digest::of(b"x"));
    let record =
        DeploymentRecord { id, created_ms: 1, message: None, document: b"{}".into(), hosts: vec!["a.example".into()] };
    let (generation, current) = {
        let data = place.open();
        let releases = data.releases();
        block_on(releases.record(&app, record)).expect("record");
        block_on(releases.point(&app, &id, "ann")).expect("point");
        (releases.generation(), block_on(releases.current()).expect("current"))
    };
    let releases = place.open().releases();
    assert_eq!(releases.generation(), generation);
    assert_eq!(block_on(releases.current()).expect("current"), current);
}

#[test]
fn errors_keep_their_kind() {
    let locked = DataDirError::Locked { path: "/data".into(), pid: None };
    assert_eq!(locked.to_string(), "/data is held by another Selvedge; stop it, or choose another --data");
}
