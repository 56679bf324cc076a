use std::collections::BTreeMap;
use std::sync::Arc;

use base::{AppName, ClassName, NodeLimits, SystemClock, TenantName};
use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::{Subject, block_on, random, usage};
use crate::AppId;
use crate::memory::MemoryObjects;
use crate::object::{
    Alarm, LeaseError, Leases, ListOptions, ObjectClass, ObjectError, ObjectKey, ObjectLimits, ObjectStorage,
    ObjectStore,
};

/// The suite of [`ObjectStore`] and [`Leases`]. `open` gives a fresh provider, with the limits of a
/// node's defaults.
pub fn objects<P: ObjectStore + Leases>(open: impl Fn() -> Subject<P>) {
    block_on(async {
        a_key_has_one_owner_and_fences_rise(&*open().provider).await;
        a_turn_is_kept_as_a_whole(&*open().provider).await;
        what_failed_or_was_rolled_back_never_was(&*open().provider).await;
        parts_are_undone_by_themselves(&*open().provider).await;
        a_key_that_is_put_again_has_its_last_value(&*open().provider).await;
        lists_are_in_order(&*open().provider).await;
        limits_are_kept(&*open().provider).await;
        a_stale_owner_writes_nothing(&*open().provider).await;
        objects_share_nothing(&*open().provider).await;
        alarms_are_found_until_they_are_changed(&*open().provider).await;
        nothing_takes_no_space(&*open().provider).await;
        exports_come_back(&*open().provider).await;
        exports_of_one_id_keep_apart(&*open().provider).await;
        usage::objects_are_counted(&*open().provider).await;
        an_object_is_put_back_to_a_bookmark(open()).await;
        an_object_is_put_back_when_it_is_opened_next(open()).await;
        what_never_was_is_not_to_be_had(open()).await;
    });
    random("objects", operation(), |operations| block_on(agrees_with_the_model(&*open().provider, operations)));
}

use super::object_past::{
    an_object_is_put_back_to_a_bookmark, an_object_is_put_back_when_it_is_opened_next, what_never_was_is_not_to_be_had,
};

fn class(app: &str, name: &str) -> ObjectClass {
    let app = AppId::new(TenantName::parse("acme").expect("a name"), AppName::parse(app).expect("a name"));
    ObjectClass::new(app, ClassName::parse(name).expect("a name"))
}

pub(super) fn key(name: &str) -> ObjectKey {
    let class = class("shop", "Room");
    ObjectKey { id: class.id_of_name(name), class }
}

pub(super) async fn opened(store: &impl ObjectStore, key: &ObjectKey, fence: u64) -> Box<dyn ObjectStorage> {
    store.open(key, fence).await.expect("it opens")
}

pub(super) async fn commit(storage: &mut dyn ObjectStorage) {
    if let Some(ticket) = storage.commit().expect("a commit") {
        ticket.await.expect("durable");
    }
}

pub(super) fn text(value: Option<&Bytes>) -> Option<String> {
    value.map(|value| String::from_utf8_lossy(value).into_owned())
}

async fn a_key_has_one_owner_and_fences_rise(leases: &impl Leases) {
    let (one, two) = (key("one"), key("two"));
    let first = leases.acquire(&one).await.expect("it is free");
    assert_eq!(leases.acquire(&one).await.err(), Some(LeaseError::Held));
    let other = leases.acquire(&two).await.expect("another is free");
    let fence = first.fence;
    drop(first);
    let second = leases.acquire(&one).await.expect("it is free again");
    assert!(second.fence > fence);
    drop((second, other));
}

async fn a_turn_is_kept_as_a_whole(store: &impl ObjectStore) {
    let key = key("turn");
    let mut storage = opened(store, &key, 1).await;
    assert!(storage.commit().expect("nothing was written").is_none());
    storage.put("a", b"1").expect("put");
    storage.put("b", b"").expect("an empty value is a value");
    assert_eq!(text(storage.get(&["a"]).expect("get")[0].as_ref()), Some("1".into()), "its own write");
    commit(&mut *storage).await;
    storage.put("a", b"2").expect("put");
    assert!(storage.delete("b").expect("delete"));
    assert!(!storage.delete("b").expect("delete"), "nothing is there");
    commit(&mut *storage).await;
    drop(storage);
    let mut storage = opened(store, &key, 2).await;
    let values = storage.get(&["a", "b"]).expect("get");
    assert_eq!((text(values[0].as_ref()), values[1].as_ref()), (Some("2".into()), None));
}

async fn what_failed_or_was_rolled_back_never_was(store: &impl ObjectStore) {
    let key = key("undone");
    let mut storage = opened(store, &key, 1).await;
    storage.put("a", b"1").expect("put");
    commit(&mut *storage).await;
    storage.put("a", b"2").expect("put");
    storage.set_alarm(Some(Alarm::at(7))).expect("set");
    storage.roll_back();
    assert_eq!(text(storage.get(&["a"]).expect("get")[0].as_ref()), Some("1".into()));
    assert_eq!(storage.alarm().expect("alarm"), None);
    storage.put("b", b"lost").expect("put");
    drop(storage);
    let mut storage = opened(store, &key, 2).await;
    assert_eq!(storage.get(&["b"]).expect("get"), [None], "it was never committed");
}

async fn parts_are_undone_by_themselves(store: &impl ObjectStore) {
    let mut storage = opened(store, &key("parts"), 1).await;
    storage.put("a", b"1").expect("put");
    storage.begin().expect("begin");
    storage.put("a", b"2").expect("put");
    storage.begin().expect("begin");
    storage.put("b", b"inner").expect("put");
    storage.end(true).expect("end");
    storage.set_alarm(Some(Alarm::at(9))).expect("set");
    storage.end(false).expect("end");
    storage.begin().expect("begin");
    storage.put("c", b"kept").expect("put");
    storage.end(true).expect("end");
    commit(&mut *storage).await;
    let values = storage.get(&["a", "b", "c"]).expect("get");
    let values: Vec<_> = values.iter().map(|value| text(value.as_ref())).collect();
    assert_eq!(values, [Some("1".into()), None, Some("kept".into())]);
    assert_eq!(storage.alarm().expect("alarm"), None);
}

async fn a_key_that_is_put_again_has_its_last_value(store: &impl ObjectStore) {
    let key = key("again");
    let mut storage = opened(store, &key, 1).await;
    for count in 0..70 {
        storage.put("count", format!("{count}").as_bytes()).expect("put");
        storage.put(&format!("other {}", count % 10), b"other").expect("put");
    }
    storage.put("gone", b"1").expect("put");
    assert!(storage.delete("gone").expect("delete"), "what was put in this turn is there");
    storage.begin().expect("begin");
    storage.put("count", b"undone").expect("put");
    storage.end(false).expect("end");
    let count = ListOptions { end: Some("other"), ..ListOptions::default() };
    assert_eq!(storage.list(&count).expect("list"), [("count".into(), Bytes::from("69"))]);
    storage.put("count", b"70").expect("put");
    storage.put("count", &[b'x'; 9_000]).expect("put");
    storage.put("count", b"71").expect("put");
    commit(&mut *storage).await;
    storage.put("count", b"rolled back").expect("put");
    storage.roll_back();
    drop(storage);
    let mut storage = opened(store, &key, 2).await;
    assert_eq!(text(storage.get(&["count"]).expect("get")[0].as_ref()), Some("71".into()));
    assert_eq!(storage.list(&ListOptions::default()).expect("list").len(), 11);
}

async fn lists_are_in_order(store: &impl ObjectStore) {
    let mut storage = opened(store, &key("list"), 1).await;
    for name in ["b", "a", "ab", "a\u{10ffff}", "é", "B"] {
        storage.put(name, name.as_bytes()).expect("put");
    }
    let mut keys = |options: ListOptions<'_>| -> Vec<String> {
        storage.list(&options).expect("list").into_iter().map(|(key, _)| key).collect()
    };
    let all = ListOptions::default();
    assert_eq!(keys(all), ["B", "a", "ab", "a\u{10ffff}", "b", "é"]);
    assert_eq!(keys(ListOptions { reverse: true, limit: Some(2), ..all }), ["é", "b"]);
    assert_eq!(keys(ListOptions { prefix: Some("a"), ..all }), ["a", "ab", "a\u{10ffff}"]);
    assert_eq!(keys(ListOptions { start: Some("a"), end: Some("b"), ..all }), ["a", "ab", "a\u{10ffff}"]);
    assert_eq!(keys(ListOptions { start_after: Some("a"), limit: Some(1), ..all }), ["ab"]);
    assert_eq!(keys(ListOptions { start: Some("x"), end: Some("b"), ..all }), Vec::<String>::new());
}

async fn limits_are_kept(store: &impl ObjectStore) {
    let limits = ObjectLimits::from(&NodeLimits::default());
    let mut storage = opened(store, &key("limits"), 1).await;
    let long = "k".repeat(limits.key_bytes);
    storage.put(&long, &vec![7; limits.value_bytes]).expect("the largest");
    let too_long = format!("{long}k");
    assert_eq!(storage.put("", b"").err(), Some(ObjectError::KeyEmpty));
    let max = limits.key_bytes;
    assert_eq!(storage.put(&too_long, b"").err(), Some(ObjectError::KeyTooLong { bytes: max + 1, max }));
    let max = limits.value_bytes;
    let refused = storage.put("k", &vec![7; max + 1]).err();
    assert_eq!(refused, Some(ObjectError::ValueTooLarge { bytes: max + 1, max }));
    commit(&mut *storage).await;
    assert_eq!(
        storage.get(&[&long]).expect("get")[0].as_ref().map(Bytes::len),
        Some(max),
        "what was refused did no harm"
    );
}

async fn a_stale_owner_writes_nothing(store: &impl ObjectStore) {
    let key = key("fenced");
    let mut stale = opened(store, &key, 5).await;
    let mut owner = opened(store, &key, 6).await;
    assert_eq!(store.open(&key, 4).await.err(), Some(ObjectError::Fenced));
    // It may know already, or learn it when it commits.
    let written = stale.put("a", b"stale").and_then(|()| stale.commit().map(drop));
    assert_eq!(written.err(), Some(ObjectError::Fenced));
    drop(stale);
    owner.put("a", b"owner").expect("put");
    commit(&mut *owner).await;
    assert_eq!(text(owner.get(&["a"]).expect("get")[0].as_ref()), Some("owner".into()));
}

async fn objects_share_nothing(store: &impl ObjectStore) {
    let (shop, hall) = (key("one"), class("shop", "Hall"));
    let keys = [shop, key("two"), ObjectKey { id: hall.id_of_name("one"), class: hall }];
    for (n, key) in keys.iter().enumerate() {
        let mut storage = opened(store, key, 1).await;
        assert_eq!(storage.get(&["a"]).expect("get"), [None]);
        storage.put("a", n.to_string().as_bytes()).expect("put");
        commit(&mut *storage).await;
    }
    for (n, key) in keys.iter().enumerate() {
        let mut storage = opened(store, key, 2).await;
        assert_eq!(text(storage.get(&["a"]).expect("get")[0].as_ref()), Some(n.to_string()));
    }
}

async fn alarms_are_found_until_they_are_changed(store: &impl ObjectStore) {
    let (one, two) = (key("one"), key("two"));
    let (mut first, mut second) = (opened(store, &one, 1).await, opened(store, &two, 1).await);
    first.set_alarm(Some(Alarm::at(2_000))).expect("set");
    second.set_alarm(Some(Alarm::at(1_000))).expect("set");
    commit(&mut *first).await;
    commit(&mut *second).await;
    assert!(store.next_alarm().is_some_and(|next| next <= 1_000));
    assert_eq!(store.due(999, 10).await.expect("due"), []);
    assert_eq!(store.due(2_000, 10).await.expect("due"), [(two.clone(), 1_000), (one.clone(), 2_000)]);
    assert_eq!(store.due(2_000, 1).await.expect("due"), [(two.clone(), 1_000)]);
    drop(second);
    let mut second = opened(store, &two, 2).await;
    assert_eq!(second.alarm().expect("alarm"), Some(Alarm::at(1_000)));
    second.set_alarm(Some(Alarm { tries: 3, ..Alarm::at(5_000) })).expect("set");
    commit(&mut *second).await;
    first.set_alarm(None).expect("unset");
    commit(&mut *first).await;
    assert_eq!(store.due(4_999, 10).await.expect("due"), []);
    assert_eq!(store.due(5_000, 10).await.expect("due"), [(two, 5_000)]);
}

async fn nothing_takes_no_space(store: &impl ObjectStore) {
    let (room, key) = (class("shop", "Room"), key("empty"));
    let mut storage = opened(store, &key, 1).await;
    storage.set_name("empty");
    assert_eq!(storage.get(&["a"]).expect("get"), [None]);
    commit(&mut *storage).await;
    drop(storage);
    assert_eq!(store.list(&room, None, 10).await.expect("list"), []);
    let mut storage = opened(store, &key, 2).await;
    storage.put("a", b"1").expect("put");
    commit(&mut *storage).await;
    drop(storage);
    let mut storage = opened(store, &key, 3).await;
    assert_eq!(store.list(&room, None, 10).await.expect("list"), [key.id]);
    storage.delete_all().expect("delete");
    commit(&mut *storage).await;
    drop(storage);
    // To close it may take a while.
    while !store.list(&room, None, 10).await.expect("list").is_empty() {
        std::thread::yield_now();
    }
    assert_eq!(store.info(&key).await.expect("info"), None);
}

async fn exports_come_back(store: &impl ObjectStore) {
    let (one, two) = (key("one"), key("two"));
    assert_eq!(store.export(&one).await.expect("export"), None);
    let mut storage = opened(store, &one, 1).await;
    storage.set_name("one");
    storage.put("a", b"\0\xff").expect("put");
    storage.set_alarm(Some(Alarm::at(70))).expect("set");
    commit(&mut *storage).await;
    let info = store.info(&one).await.expect("info").expect("it is there");
    assert_eq!((info.name.as_deref(), info.alarm_ms, info.entries), (Some("one"), Some(70), 1));
    let export = store.export(&one).await.expect("export").expect("it is there");
    store.replace(&two, 1, Some(export)).await.expect("replace");
    let mut copy = opened(store, &two, 2).await;
    assert_eq!(copy.get(&["a"]).expect("get"), [Some(Bytes::from_static(b"\0\xff"))]);
    assert_eq!(copy.alarm().expect("alarm"), Some(Alarm::at(70)));
    assert_eq!(store.due(70, 10).await.expect("due").len(), 2);
    drop(copy);
    let nonsense = store.replace(&two, 3, Some(Bytes::from_static(b"nonsense"))).await;
    assert!(matches!(nonsense, Err(ObjectError::BadExport(_))), "{nonsense:?}");
    let mut copy = opened(store, &two, 4).await;
    assert_eq!(copy.get(&["a"]).expect("get")[0].as_ref().map(Bytes::len), Some(2), "it is as it was");
    drop(copy);
    store.replace(&two, 5, None).await.expect("replace");
    assert_eq!(store.info(&two).await.expect("info"), None);
}

/// Two apps may have an object of one id, and move them in and out at the same time.
async fn exports_of_one_id_keep_apart(store: &impl ObjectStore) {
    let id = key("one").id;
    let there = async |app: &str| {
        let (key, value) = (ObjectKey { id, class: class(app, "Room") }, Bytes::copy_from_slice(app.as_bytes()));
        let mut storage = opened(store, &key, 1).await;
        storage.put("app", &value).expect("put");
        commit(&mut *storage).await;
        drop(storage);
        for fence in 2..100 {
            let export = store.export(&key).await.expect("export").expect("it is there");
            store.replace(&key, fence, Some(export)).await.expect("replace");
        }
        let mut storage = opened(store, &key, 100).await;
        assert_eq!(storage.get(&["app"]).expect("get"), [Some(value)]);
    };
    futures_util::future::join(there("shop"), there("mart")).await;
}

#[derive(Clone, Debug)]
enum Operation {
    Put(String, Vec<u8>),
    Get(Vec<String>),
    Delete(String),
    DeleteAll,
    Alarm(Option<u64>),
    List {
        prefix: String,
        start: Option<String>,
        reverse: bool,
        limit: Option<usize>,
    },
    Begin,
    End(bool),
    Commit,
    RollBack,
    Reopen,
    /// Remembers this moment.
    Mark,
    /// Puts the object back to one that was remembered.
    Restore(prop::sample::Index),
}

fn operation() -> impl Strategy<Value = Operation> {
    let key = || "[ab]{1,2}";
    prop_oneof![
        4 => (key(), proptest::collection::vec(any::<u8>(), 0..40)).prop_map(|(key, value)| Operation::Put(key, value)),
        2 => proptest::collection::vec(key(), 1..4).prop_map(Operation::Get),
        2 => key().prop_map(Operation::Delete),
        1 => Just(Operation::DeleteAll),
        2 => proptest::option::of(1_u64..9).prop_map(Operation::Alarm),
        2 => ("[ab]?", proptest::option::of("[ab]"), any::<bool>(), proptest::option::of(1_usize..4))
            .prop_map(|(prefix, start, reverse, limit)| Operation::List { prefix, start, reverse, limit }),
        1 => Just(Operation::Begin),
        1 => any::<bool>().prop_map(Operation::End),
        3 => Just(Operation::Commit),
        1 => Just(Operation::RollBack),
        1 => Just(Operation::Reopen),
        1 => Just(Operation::Mark),
        1 => any::<prop::sample::Index>().prop_map(Operation::Restore),
    ]
}

async fn marked(storage: &mut dyn ObjectStorage) -> u64 {
    commit(storage).await;
    storage.bookmark().expect("a bookmark")
}

/// Runs the same on a provider and on the memory model.
async fn agrees_with_the_model<P: ObjectStore>(store: &P, operations: Vec<Operation>) -> Result<(), TestCaseError> {
    let model = MemoryObjects::new(Arc::new(SystemClock::default()), ObjectLimits::from(&NodeLimits::default()));
    let (key, mut fence, mut parts) = (key("random"), 1, 0);
    let (mut own, mut other) = (opened(store, &key, fence).await, opened(&model, &key, fence).await);
    let mut marks = Vec::new();
    for operation in operations {
        let storages: [&mut dyn ObjectStorage; 2] = [&mut *own, &mut *other];
        match operation {
            Operation::Put(key, value) => storages.into_iter().for_each(|s| s.put(&key, &value).expect("put")),
            Operation::Get(keys) => {
                let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                let values: Vec<_> = storages.into_iter().map(|s| s.get(&keys).expect("get")).collect();
                prop_assert_eq!(&values[0], &values[1]);
            }
            Operation::Delete(key) => {
                let deleted: Vec<bool> = storages.into_iter().map(|s| s.delete(&key).expect("delete")).collect();
                prop_assert_eq!(deleted[0], deleted[1]);
            }
            Operation::DeleteAll => storages.into_iter().for_each(|s| s.delete_all().expect("delete_all")),
            Operation::Alarm(at) => storages.into_iter().for_each(|s| s.set_alarm(at.map(Alarm::at)).expect("set")),
            Operation::List { prefix, start, reverse, limit } => {
                let (prefix, start) = (Some(prefix.as_str()), start.as_deref());
                let options = ListOptions { prefix, start, reverse, limit, ..ListOptions::default() };
                let listed: Vec<_> = storages.into_iter().map(|s| s.list(&options).expect("list")).collect();
                prop_assert_eq!(&listed[0], &listed[1]);
            }
            Operation::Begin => {
                parts += 1;
                storages.into_iter().for_each(|s| s.begin().expect("begin"));
            }
            Operation::End(keep) if parts > 0 => {
                parts -= 1;
                storages.into_iter().for_each(|s| s.end(keep).expect("end"));
            }
            Operation::End(_) => {}
            Operation::Commit => {
                for storage in storages {
                    (0..parts).for_each(|_| storage.end(true).expect("end"));
                    commit(storage).await;
                }
                parts = 0;
            }
            Operation::Mark if parts == 0 => marks.push((marked(&mut *own).await, marked(&mut *other).await)),
            Operation::Restore(index) if !marks.is_empty() => {
                (parts, fence) = (0, fence + 2);
                let (mark, of_model) = *index.get(&marks);
                drop((own, other));
                store.restore(&key, fence - 1, mark).await.expect("it is put back");
                model.restore(&key, fence - 1, of_model).await.expect("it is put back");
                (own, other) = (opened(store, &key, fence).await, opened(&model, &key, fence).await);
            }
            Operation::Mark | Operation::Restore(_) => {}
            Operation::RollBack | Operation::Reopen => {
                parts = 0;
                storages.into_iter().for_each(|s| s.roll_back());
                if matches!(operation, Operation::Reopen) {
                    fence += 1;
                    drop(own);
                    own = opened(store, &key, fence).await;
                }
            }
        }
        let all = |s: &mut dyn ObjectStorage| -> BTreeMap<String, Bytes> {
            s.list(&ListOptions::default()).expect("list").into_iter().collect()
        };
        prop_assert_eq!(all(&mut *own), all(&mut *other));
        prop_assert_eq!(own.alarm().expect("alarm"), other.alarm().expect("alarm"));
    }
    Ok(())
}
