use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, StatusCode};

use super::*;
use crate::conformance;
use crate::vary::VaryValues;

const LIMITS: MemoryStoreLimits = MemoryStoreLimits { bytes: 8 << 20, app_bytes: 8 << 20, entry_bytes: 100_000 };

fn response(bytes: usize) -> Stored {
    Stored {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: Bytes::from(vec![7; bytes]).into(),
        stored_at_ms: 0,
        initial_age_s: 0,
        lifetime_s: 60,
        vary: VaryValues::default(),
        terms: crate::Terms::default(),
        tags: Tags::default(),
        body_id: 0,
    }
}

fn key(app: &str, at: usize) -> Key {
    Key { app: app.into(), cache: None, url: format!("http://a.test/{at}").into() }
}

fn count(store: &MemoryStore, app: &str, among: usize) -> usize {
    (0..among).filter(|&at| !store.get(&key(app, at)).now_or_never().unwrap().unwrap().is_empty()).count()
}

#[test]
fn the_store_keeps_its_promises() {
    conformance::store(|| MemoryStore::new(LIMITS));
}

#[test]
fn all_together_stay_within_the_capacity() {
    let store = MemoryStore::new(LIMITS);
    for at in 0..1_000 {
        store.put_now(&key(&format!("app{}", at % 10), at), response(90_000)).unwrap();
        assert!(store.bytes() <= LIMITS.bytes, "{} bytes after {at} puts", store.bytes());
    }
    assert!(store.bytes() > LIMITS.bytes / 2);
}

#[test]
fn an_app_at_its_share_makes_room_for_itself() {
    let store = MemoryStore::new(MemoryStoreLimits { app_bytes: 1 << 20, ..LIMITS });
    store.put_now(&key("small", 0), response(90_000)).unwrap();
    for at in 0..100 {
        store.put_now(&key("greedy", at), response(90_000)).unwrap();
    }
    assert_eq!(count(&store, "small", 1), 1);
    assert_eq!(count(&store, "greedy", 100), 11, "a MiB of 90 kB each");
    assert!(!store.get(&key("greedy", 99)).now_or_never().unwrap().unwrap().is_empty(), "the newest stays");
    assert!(store.bytes() < 2 << 20);
}

#[test]
fn the_books_are_even_when_everything_is_gone() {
    let store = MemoryStore::new(LIMITS);
    for round in 0..500 {
        store.put_now(&key("shop", round % 7), response(round)).unwrap();
        if round % 3 == 0 {
            store.delete(&key("shop", round % 7)).now_or_never().unwrap().unwrap();
        }
    }
    for at in 0..7 {
        store.delete(&key("shop", at)).now_or_never().unwrap().unwrap();
    }
    store.entries.run_pending_tasks();
    assert_eq!(store.bytes(), 0);
    assert!(lock(&store.shares).0.is_empty());
}
