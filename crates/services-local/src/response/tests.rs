use std::cell::RefCell;
use std::fs;

use base::SystemRng;
use bytes::Bytes;
use cache::{MemoryStore, MemoryStoreLimits, Purged, Tags, Terms, Tiered, VaryValues};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tempfile::TempDir;

use super::*;

const LIMITS: ResponseLimits =
    ResponseLimits { bytes: 8 << 20, app_bytes: 8 << 20, entry_bytes: 100_000, filling_bytes: 64 << 20 };
const LARGE: ResponseLimits = ResponseLimits { bytes: 64 << 20, app_bytes: 64 << 20, entry_bytes: 8 << 20, ..LIMITS };

fn open(dir: &TempDir, limits: ResponseLimits) -> LocalResponses {
    LocalResponses::open(&dir.path().join("cache"), limits, &SystemRng).expect("it opens")
}

fn key(at: usize) -> Key {
    Key { app: "shop".into(), cache: None, url: format!("http://a.test/{at}").into() }
}

/// A body that no other has.
fn body(at: usize, bytes: usize) -> Bytes {
    (0..bytes).map(|n| (n / 7 + at * 31 + n * n / 100) as u8).collect()
}

fn response(at: usize, bytes: usize) -> Stored {
    let mut headers = HeaderMap::new();
    headers.insert(header::ETAG, HeaderValue::from_str(&format!("\"{at}\"")).expect("a value"));
    Stored {
        status: StatusCode::OK,
        headers,
        body: body(at, bytes).into(),
        stored_at_ms: 1_000,
        initial_age_s: 0,
        lifetime_s: 60,
        vary: VaryValues::default(),
        terms: Terms::default(),
        tags: Tags::new(vec!["t".into()]),
        body_id: at as u64 + 1,
    }
}

async fn found(store: &LocalResponses, at: usize) -> Option<Bytes> {
    let found = store.get(&key(at)).await.expect("get");
    let stored = found.first()?;
    assert_eq!(stored.headers[header::ETAG], format!("\"{at}\""));
    stored.body.read().await.ok()
}

fn files(dir: &TempDir) -> Vec<PathBuf> {
    let folders = fs::read_dir(dir.path().join("cache")).expect("a directory").map(|entry| entry.expect("one").path());
    let inside = folders.filter(|path| path.is_dir()).flat_map(|path| fs::read_dir(path).expect("a folder"));
    inside.map(|entry| entry.expect("a file").path()).collect()
}

#[test]
fn the_store_keeps_its_promises() {
    let dirs = RefCell::new(Vec::new());
    cache::conformance::store(|| {
        let dir = TempDir::new().expect("a directory");
        let store = open(&dir, LIMITS);
        dirs.borrow_mut().push(dir);
        store
    });
}

#[test]
fn so_it_does_below_memory() {
    let dirs = RefCell::new(Vec::new());
    let memory = MemoryStoreLimits { bytes: 1 << 20, app_bytes: 1 << 20, entry_bytes: 100_000 };
    cache::conformance::store(|| {
        let dir = TempDir::new().expect("a directory");
        let store = Tiered::new(MemoryStore::new(memory), Arc::new(open(&dir, LIMITS)));
        dirs.borrow_mut().push(dir);
        store
    });
}

#[tokio::test]
async fn a_restart_finds_everything_but_what_was_purged() {
    let dir = TempDir::new().expect("a directory");
    let sizes = [0, 10, 20_000, 300_000, 1 << 20];
    let store = open(&dir, LARGE);
    for (at, bytes) in sizes.into_iter().enumerate() {
        store.put(key(at), response(at, bytes)).await.expect("put");
    }
    let purge = Purge { app: "shop".into(), what: Purged::Url(key(2).url), stale_at_ms: None, durable: true };
    assert_eq!(store.purge(&purge).await.expect("purge"), 1);
    drop(store);
    let store = open(&dir, LARGE);
    for (at, bytes) in sizes.into_iter().enumerate() {
        assert_eq!(found(&store, at).await, (at != 2).then(|| body(at, bytes)), "{at}");
    }
    let all = Purge { what: Purged::All, ..purge };
    assert_eq!(store.purge(&all).await.expect("purge"), 4);
    drop(store);
    let store = open(&dir, LARGE);
    assert_eq!(found(&store, 0).await, None);
    assert_eq!(store.usage(None).await.expect("usage").disk.expect("a disk").entries, 0);
    store.put(key(0), response(0, 10)).await.expect("put");
    assert_eq!(found(&store, 0).await, Some(body(0, 10)));
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let dir = TempDir::new().expect("a directory");
    let _first = open(&dir, LIMITS);
    LocalResponses::open(&dir.path().join("cache"), LIMITS, &SystemRng).err().expect("it is in use");
}

#[tokio::test]
async fn what_is_damaged_is_never_served() {
    let dir = TempDir::new().expect("a directory");
    let store = open(&dir, LARGE);
    for (at, bytes) in [100_000, 1 << 20].into_iter().enumerate() {
        store.put(key(at), response(at, bytes)).await.expect("put");
    }
    let sound = store.get(&key(1)).await.expect("get");
    for file in files(&dir) {
        let mut bytes = fs::read(&file).expect("a file");
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&file, bytes).expect("written");
    }
    assert_eq!(found(&store, 0).await, None, "it is checked before it is answered");
    let parts = &sound[0].body;
    assert_eq!(parts.slice(10..20).read().await.expect("its first piece is sound"), body(1, 1 << 20).slice(10..20));
    parts.read().await.expect_err("its last one is not");
    assert_eq!(store.get(&key(0)).await.expect("get").len(), 0);
    for file in files(&dir) {
        fs::write(&file, b"short").expect("written");
    }
    assert_eq!(store.get(&key(1)).await.expect("get").len(), 0);
}

#[tokio::test]
async fn who_reads_goes_on_when_the_entry_is_gone() {
    let dir = TempDir::new().expect("a directory");
    let store = open(&dir, LARGE);
    store.put(key(0), response(0, 1 << 20)).await.expect("put");
    let reading = store.get(&key(0)).await.expect("get");
    assert!(store.delete(&key(0)).await.expect("delete"));
    assert!(files(&dir).is_empty());
    assert_eq!(reading[0].body.read().await.expect("it is open"), body(0, 1 << 20));
}

#[tokio::test]
async fn what_is_renewed_keeps_its_body() {
    let dir = TempDir::new().expect("a directory");
    let store = open(&dir, LARGE);
    store.put(key(0), response(0, 1 << 20)).await.expect("put");
    let before = files(&dir);
    let held = store.get(&key(0)).await.expect("get");
    assert!(held[0].body.whole().is_none(), "it is not at hand");
    let renewed = Stored { stored_at_ms: 50_000, ..Stored::clone(&held[0]) };
    store.put(key(0), renewed).await.expect("put");
    assert_eq!(files(&dir), before, "no file was written");
    let found = store.get(&key(0)).await.expect("get");
    assert_eq!((found.len(), found[0].stored_at_ms), (1, 50_000));
    assert_eq!(found[0].body.read().await.expect("a body"), body(0, 1 << 20));
}

#[tokio::test]
async fn room_is_bounded_and_what_was_used_stays() {
    let dir = TempDir::new().expect("a directory");
    let store = open(&dir, LIMITS);
    for at in 0..300 {
        store.put(key(at), response(at, 90_000)).await.expect("put");
        assert!(found(&store, 0).await.is_some(), "{at}: it is in use");
        let amount = store.usage(None).await.expect("usage").disk.expect("a disk");
        assert!(amount.bytes <= LIMITS.bytes, "{amount:?}");
    }
    assert!(found(&store, 299).await.is_some() && found(&store, 1).await.is_none());
    let on_disk: u64 = files(&dir).iter().map(|file| fs::metadata(file).expect("a file").len()).sum();
    assert!(on_disk <= LIMITS.bytes && files(&dir).len() > 80, "{on_disk}");
}

#[tokio::test]
async fn an_app_at_its_share_makes_room_for_itself() {
    let dir = TempDir::new().expect("a directory");
    let store = open(&dir, ResponseLimits { app_bytes: 1 << 20, ..LIMITS });
    let other = Key { app: "small".into(), ..key(0) };
    store.put(other.clone(), response(0, 90_000)).await.expect("put");
    for at in 0..100 {
        store.put(key(at), response(at, 90_000)).await.expect("put");
    }
    assert_eq!(store.get(&other).await.expect("get").len(), 1);
    let share = store.usage(Some("shop")).await.expect("usage").disk.expect("a disk");
    assert!(share.bytes <= 1 << 20 && share.entries >= 10, "{share:?}");
}

#[tokio::test]
async fn files_that_nothing_names_are_swept_and_a_damaged_index_is_begun_anew() {
    let dir = TempDir::new().expect("a directory");
    let store = open(&dir, LARGE);
    store.put(key(0), response(0, 100_000)).await.expect("put");
    drop(store);
    let orphan = dir.path().join("cache").join("01").join("0123456789abcdef-1");
    fs::create_dir_all(orphan.parent().expect("a folder")).expect("a folder");
    fs::write(&orphan, b"left").expect("written");
    let store = open(&dir, LARGE);
    drop(store);
    assert!(!orphan.exists(), "the threads end what they began");
    fs::write(dir.path().join("cache").join(INDEX), b"this is no database at all, but it is long enough")
        .expect("written");
    for name in ["index.db-wal", "index.db-shm"] {
        let _ = fs::remove_file(dir.path().join("cache").join(name));
    }
    let store = open(&dir, LARGE);
    assert_eq!(found(&store, 0).await, None);
    store.put(key(0), response(0, 100_000)).await.expect("put");
    assert!(found(&store, 0).await.is_some());
    assert_eq!(files(&dir).len(), 1);
}

#[tokio::test]
async fn a_soft_purge_of_everything_leaves_what_comes_after() {
    let dir = TempDir::new().expect("a directory");
    let store = open(&dir, LARGE);
    store.put(key(0), response(0, 10)).await.expect("put");
    let purge = Purge { app: "shop".into(), what: Purged::All, stale_at_ms: Some(11_000), durable: true };
    assert_eq!(store.purge(&purge).await.expect("purge"), 1);
    store.put(key(1), response(1, 10)).await.expect("put");
    drop(store);
    let store = open(&dir, LARGE);
    let lifetime = async |at| store.get(&key(at)).await.expect("get")[0].lifetime_s;
    assert_eq!((lifetime(0).await, lifetime(1).await), (10, 60));
    let renewed = Stored { stored_at_ms: 11_000, ..response(0, 10) };
    store.put(key(0), renewed).await.expect("put");
    assert_eq!(lifetime(0).await, 60);
}

/// Entries that one purge finds, more than it does at once.
const MANY: usize = 600;

async fn many(store: &LocalResponses, first: usize) {
    for at in first..first + MANY {
        store.put(key(at), response(at, 10)).await.expect("put");
    }
}

fn purge_of(what: Purged) -> Purge {
    Purge { app: "shop".into(), what, stale_at_ms: None, durable: true }
}

/// Until what purges left is done.
async fn swept(store: &LocalResponses, entries: u64) {
    while store.usage(None).await.expect("usage").disk.expect("a disk").entries > entries {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_purge_that_finds_much_holds_at_once_and_is_done_later() {
    let dir = TempDir::new().expect("a directory");
    let store = open(&dir, LARGE);
    many(&store, 0).await;
    let other = Stored { tags: Tags::new(vec!["other".into()]), ..response(MANY, 10) };
    store.put(key(MANY), other).await.expect("put");
    for what in [Purged::Tag("t".into()), Purged::Prefix("http://a.test/".into())] {
        // What is not about it stays, and so does what comes later.
        let stays = matches!(what, Purged::Tag(_));
        let count = if stays { MANY } else { MANY + 2 };
        assert_eq!(store.purge(&purge_of(what.clone())).await.expect("purge"), count as u64, "{what:?}");
        for at in [0, 1, MANY / 2, MANY - 1] {
            assert_eq!(found(&store, at).await, None, "{what:?}: {at}");
        }
        assert_eq!(found(&store, MANY).await.is_some(), stays);
        assert_eq!(store.keys("shop", &key(1).url).await.expect("keys").len(), 0);
        store.put(key(1), response(1, 10)).await.expect("put");
        assert_eq!(found(&store, 1).await, Some(body(1, 10)), "{what:?}");
        assert!(store.purge(&purge_of(what.clone())).await.expect("purge") <= 1, "nothing else is left of it");
        assert_eq!(found(&store, 1).await, None);
        swept(&store, u64::from(stays)).await;
        many(&store, 0).await;
        store.put(key(MANY + 1), response(MANY + 1, 10)).await.expect("put");
    }
}

#[tokio::test]
async fn what_a_purge_left_to_be_done_is_purged_after_a_restart() {
    let dir = TempDir::new().expect("a directory");
    let store = open(&dir, LARGE);
    many(&store, 0).await;
    store.purge(&purge_of(Purged::Tag("t".into()))).await.expect("purge");
    drop(store);
    let store = open(&dir, LARGE);
    for at in [0, MANY - 1] {
        assert_eq!(found(&store, at).await, None, "{at}");
    }
    swept(&store, 0).await;
    assert!(files(&dir).is_empty());
}

#[tokio::test]
async fn a_soft_purge_that_finds_much_makes_stale_at_once() {
    let dir = TempDir::new().expect("a directory");
    let store = open(&dir, LARGE);
    many(&store, 0).await;
    let lifetime_s = |at: usize| {
        let store = &store;
        async move { store.get(&key(at)).await.expect("get")[0].lifetime_s }
    };
    assert_eq!(lifetime_s(7).await, 60);
    let soft = Purge { stale_at_ms: Some(11_000), ..purge_of(Purged::Prefix("http://a.test/".into())) };
    assert_eq!(store.purge(&soft).await.expect("purge"), MANY as u64);
    for at in [0, 7, MANY - 1] {
        assert_eq!(lifetime_s(at).await, 10, "it was ten seconds old then");
    }
    store.put(key(7), response(7, 10)).await.expect("put");
    assert_eq!(lifetime_s(7).await, 60, "what is renewed is fresh");
    drop(store);
    let store = open(&dir, LARGE);
    assert_eq!(store.get(&key(8)).await.expect("get")[0].lifetime_s, 10);
    assert_eq!(store.get(&key(7)).await.expect("get")[0].lifetime_s, 60);
}
