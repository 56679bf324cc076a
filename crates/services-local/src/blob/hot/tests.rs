use super::*;

use base::{AppName, TenantName};
use services::blob::{HttpMetadata, Map, Version};

const KEY: &str = "key";

fn app() -> AppId {
    AppId::new(TenantName::parse("tenant").unwrap(), AppName::parse("app").unwrap())
}

fn info(key: &str, number: u64) -> BlobInfo {
    BlobInfo {
        key: key.into(),
        version: Version { number, null: true },
        latest: true,
        marker: false,
        size: 1_000,
        etag: String::new(),
        uploaded_ms: 0,
        http: HttpMetadata::default(),
        custom: Map::new(),
        tags: Map::new(),
        checksum: None,
        parts: None,
    }
}

fn keep(hot: &Hot, key: &str, number: u64) {
    hot.keep(hot.ticket(), &app(), "files", &info(key, number), &Bytes::from(vec![0; 1_000]));
}

fn found(hot: &Hot, key: &str) -> Option<u64> {
    hot.get(&app(), "files", key).map(|(info, _)| info.version.number)
}

#[test]
fn what_was_read_is_at_hand_under_its_own_names() {
    let hot = Hot::new(100_000);
    keep(&hot, KEY, 1);
    assert_eq!(found(&hot, KEY), Some(1));
    assert_eq!(found(&hot, "other"), None);
    assert!(hot.get(&app(), "pictures", KEY).is_none());
    let other = AppId::new(TenantName::parse("tenant").unwrap(), AppName::parse("other").unwrap());
    assert!(hot.get(&other, "files", KEY).is_none());
}

#[test]
fn a_key_that_is_written_is_not_at_hand_until_all_its_writers_are_done() {
    let hot = Arc::new(Hot::new(100_000));
    keep(&hot, KEY, 1);
    let (first, second) = (hot.change(&app(), "files", KEY), hot.change(&app(), "files", KEY));
    assert_eq!(found(&hot, KEY), None);
    keep(&hot, KEY, 1);
    drop(first);
    keep(&hot, KEY, 1);
    assert_eq!(found(&hot, KEY), None);
    keep(&hot, "neighbour", 1);
    assert_eq!(found(&hot, "neighbour"), Some(1));
    drop(second);
    keep(&hot, KEY, 2);
    assert_eq!(found(&hot, KEY), Some(2));
    assert!(hot.lock().changing.is_empty());
}

#[test]
fn what_was_read_before_a_write_began_or_ended_is_not_kept() {
    let hot = Arc::new(Hot::new(100_000));
    let before = hot.ticket();
    let writing = hot.change(&app(), "files", KEY);
    let meanwhile = hot.ticket();
    drop(writing);
    for ticket in [before, meanwhile] {
        hot.keep(ticket, &app(), "files", &info(KEY, 1), &Bytes::new());
        assert_eq!(found(&hot, KEY), None);
    }
}

#[test]
fn a_key_whose_write_may_show_later_is_not_at_hand_any_more() {
    let hot = Arc::new(Hot::new(100_000));
    hot.change(&app(), "files", KEY).stay();
    drop(hot.change(&app(), "files", KEY));
    keep(&hot, KEY, 1);
    assert_eq!(found(&hot, KEY), None);
}

#[test]
fn memory_is_bounded_and_what_is_read_stays() {
    let hot = Hot::new(20_000);
    keep(&hot, KEY, 1);
    for n in 0..100 {
        keep(&hot, &format!("key-{n}"), n);
        assert_eq!(found(&hot, KEY), Some(1), "after {n}");
        let state = hot.lock();
        assert!(state.young.bytes <= 10_000 && state.old.bytes <= 10_000);
    }
    assert_eq!(found(&hot, "key-0"), None);
    assert_eq!(found(&hot, "key-99"), Some(99));
}

#[test]
fn without_memory_nothing_is_kept() {
    let hot = Hot::new(0);
    keep(&hot, KEY, 1);
    assert_eq!(found(&hot, KEY), None);
    assert_eq!(hot.lock().young.bytes, 0);
}
