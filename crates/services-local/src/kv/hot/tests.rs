use super::*;

use testkit::ManualClock;

const KEY: &str = "key";

fn namespace(app: &str, name: &str) -> KvNamespace {
    KvNamespace::new(
        TenantName::parse("tenant").expect("a name"),
        AppName::parse(app).expect("a name"),
        ResourceName::parse(name).expect("a name"),
    )
}

fn home() -> KvNamespace {
    namespace("app", "store")
}

fn entry(revision: u64, expires_at_ms: Option<u64>) -> (KvEntry, Bytes) {
    let value = Bytes::from(vec![b'v'; 1_000]);
    let metadata = Some("1".to_owned());
    (KvEntry { value: Body::full(value.clone()), size: 1_000, metadata, expires_at_ms, revision }, value)
}

fn ticket(hot: &Hot, ns: &KvNamespace, key: &str) -> Option<Ticket> {
    hot.get(ns, key, &*ManualClock::at(0)).err().flatten()
}

fn keep(hot: &Hot, ticket: Option<Ticket>, key: &str, revision: u64) {
    let (entry, value) = entry(revision, None);
    ticket.into_iter().for_each(|ticket| hot.keep(ticket, &home(), key, &entry, &value));
}

fn read(hot: &Hot, key: &str, revision: u64) {
    keep(hot, ticket(hot, &home(), key), key, revision);
}

fn found(hot: &Hot, key: &str) -> Option<u64> {
    hot.get(&home(), key, &*ManualClock::at(0)).ok().map(|entry| entry.revision)
}

fn change(hot: &Arc<Hot>, key: &str) -> Changing {
    let ns = home();
    hot.change(&ns.app_id(), &ns.name, key)
}

#[test]
fn what_was_read_is_at_hand_as_a_whole_under_its_own_names() {
    let hot = Hot::new(1 << 20);
    read(&hot, KEY, 1);
    let mut entry = hot.get(&home(), KEY, &*ManualClock::at(0)).expect("it is at hand");
    assert_eq!((entry.size, entry.revision, entry.metadata.as_deref()), (1_000, 1, Some("1")));
    assert_eq!(entry.value.take_whole().expect("whole").len(), 1_000);
    assert_eq!(found(&hot, "other"), None);
    for ns in [namespace("app", "other"), namespace("other", "store")] {
        assert!(hot.get(&ns, KEY, &*ManualClock::at(0)).is_err());
    }
}

#[test]
fn a_key_that_is_written_is_not_at_hand_until_all_its_writers_are_done() {
    let hot = Arc::new(Hot::new(1 << 20));
    read(&hot, KEY, 1);
    let (first, second) = (change(&hot, KEY), change(&hot, KEY));
    assert_eq!(found(&hot, KEY), None);
    read(&hot, KEY, 1);
    drop(first);
    read(&hot, KEY, 1);
    assert_eq!(found(&hot, KEY), None);
    drop(second);
    read(&hot, KEY, 2);
    assert_eq!(found(&hot, KEY), Some(2));
}

#[test]
fn what_was_read_before_a_write_began_or_ended_is_not_kept() {
    let hot = Arc::new(Hot::new(1 << 20));
    let before = ticket(&hot, &home(), KEY);
    let writing = change(&hot, KEY);
    let meanwhile = ticket(&hot, &home(), KEY);
    assert!(before.is_some() && meanwhile.is_none());
    keep(&hot, before, KEY, 1);
    assert_eq!(found(&hot, KEY), None);
    drop(writing);
    keep(&hot, before, KEY, 1);
    assert_eq!(found(&hot, KEY), None);
}

#[test]
fn an_expired_value_is_not_at_hand() {
    let hot = Hot::new(1 << 20);
    let (entry, value) = entry(1, Some(1_000));
    hot.keep(ticket(&hot, &home(), KEY).expect("a ticket"), &home(), KEY, &entry, &value);
    assert!(hot.get(&home(), KEY, &*ManualClock::at(999)).is_ok());
    assert!(hot.get(&home(), KEY, &*ManualClock::at(1_000)).is_err());
}

#[test]
fn two_keys_of_one_hash_take_each_others_place() {
    let hot = Hot::new(1 << 20);
    let ticket = ticket(&hot, &home(), KEY);
    keep(&hot, ticket, "other", 1);
    assert_eq!(found(&hot, KEY), None);
    keep(&hot, ticket, KEY, 2);
    assert_eq!(found(&hot, KEY), Some(2));
}

#[test]
fn memory_is_bounded_and_what_is_read_stays() {
    let hot = Hot::new(PARTS * 20_000);
    read(&hot, KEY, 1);
    for n in 0..1_000 {
        read(&hot, &format!("key-{n}"), n);
        assert_eq!(found(&hot, KEY), Some(1), "after {n}");
    }
    for part in &hot.parts {
        let part = part.lock().expect("sound");
        for shelf in [&part.young, &part.old] {
            assert_eq!(shelf.bytes, shelf.values.values().map(Kept::weight).sum::<usize>());
            assert!(shelf.bytes <= 10_000);
        }
    }
    assert_eq!(found(&hot, "key-0"), None);
    assert_eq!(found(&hot, "key-999"), Some(999));
}

#[test]
fn without_memory_nothing_is_kept() {
    let hot = Hot::new(0);
    read(&hot, KEY, 1);
    assert_eq!(found(&hot, KEY), None);
}
