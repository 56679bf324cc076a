//! The promise about the past of an object.

use super::Subject;
use super::object::{commit, key, opened, text};
use crate::object::{Alarm, Leases, ObjectError, ObjectStorage, ObjectStore};

async fn put(storage: &mut dyn ObjectStorage, value: &str) {
    storage.put("a", value.as_bytes()).expect("put");
    commit(storage).await;
}

fn value(storage: &mut dyn ObjectStorage) -> Option<String> {
    text(storage.get(&["a"]).expect("get")[0].as_ref())
}

/// Every bookmark is exact, however many commits one moment of the clock sees.
pub async fn an_object_is_put_back_to_a_bookmark<P: ObjectStore + Leases>(subject: Subject<P>) {
    let (store, key) = (&*subject.provider, key("past"));
    let mut storage = opened(store, &key, 1).await;
    let mut marks = Vec::new();
    for step in 0..4 {
        put(&mut *storage, &format!("{step}")).await;
        marks.push(storage.bookmark().expect("a bookmark"));
    }
    storage.set_alarm(Some(Alarm::at(u64::MAX >> 12))).expect("set");
    put(&mut *storage, "last").await;
    assert!(marks.is_sorted_by(|one, next| one < next), "{marks:?}");
    drop(storage);
    let mut fence = 1;
    for (step, &mark) in marks.iter().enumerate().rev() {
        let mut storage = opened(store, &key, fence + 1).await;
        let before = (value(&mut *storage), storage.bookmark().expect("a bookmark"));
        drop(storage);
        // Back, on another way, and back again: what was there before is a part of the past, too.
        let time_ms = store.restore(&key, fence + 2, mark).await.expect("it is put back");
        assert!(time_ms <= mark);
        let mut storage = opened(store, &key, fence + 3).await;
        assert_eq!(store.restore(&key, fence, mark).await, Err(ObjectError::Fenced), "another has it");
        assert_eq!(value(&mut *storage), Some(format!("{step}")));
        assert_eq!(storage.alarm().expect("alarm"), None);
        put(&mut *storage, "another way").await;
        drop(storage);
        store.restore(&key, fence + 4, before.1).await.expect("it is put back");
        assert_eq!(value(&mut *opened(store, &key, fence + 5).await), before.0);
        fence += 5;
    }
}

pub async fn an_object_is_put_back_when_it_is_opened_next<P: ObjectStore + Leases>(subject: Subject<P>) {
    let (store, key) = (&*subject.provider, key("next"));
    let mut storage = opened(store, &key, 1).await;
    put(&mut *storage, "one").await;
    let mark = storage.bookmark().expect("a bookmark");
    put(&mut *storage, "two").await;
    // One that is rolled back was never asked for, and the last one counts.
    storage.restore_next(mark).expect("it is asked for");
    storage.roll_back();
    storage.restore_next(0).expect("it is asked for");
    let number = storage.restore_next(mark).expect("it is asked for");
    commit(&mut *storage).await;
    put(&mut *storage, "three").await;
    assert_eq!(storage.before_restore(number).expect("an answer"), None, "it is yet to come");
    assert_eq!(value(&mut *storage).as_deref(), Some("three"));
    drop(storage);
    let mut storage = opened(store, &key, 2).await;
    assert_eq!(value(&mut *storage).as_deref(), Some("one"));
    let before = storage.before_restore(number).expect("an answer").expect("it has happened");
    assert_eq!(storage.before_restore(number + 7).expect("an answer"), None);
    drop(storage);
    assert_eq!(value(&mut *opened(store, &key, 3).await).as_deref(), Some("one"), "it is done once");
    let mut storage = opened(store, &key, 4).await;
    storage.restore_next(before).expect("it is asked for");
    commit(&mut *storage).await;
    drop(storage);
    assert_eq!(value(&mut *opened(store, &key, 5).await).as_deref(), Some("three"), "and undone");
}

pub async fn what_never_was_is_not_to_be_had<P: ObjectStore + Leases>(subject: Subject<P>) {
    let (store, one, other) = (&*subject.provider, key("one"), key("other"));
    (subject.advance)(1_000);
    let early = subject.clock.unix_ms();
    (subject.advance)(1_000);
    let mut storage = opened(store, &one, 1).await;
    put(&mut *storage, "one").await;
    let future = subject.clock.unix_ms() + 60_000;
    assert!(matches!(storage.restore_next(future), Err(ObjectError::Past(_))), "a moment to come");
    storage.roll_back();
    drop(storage);
    assert!(matches!(store.restore(&one, 2, early).await, Err(ObjectError::Past(_))), "before it was there");
    assert!(matches!(store.restore(&one, 2, future).await, Err(ObjectError::Past(_))), "a moment to come");
    assert!(matches!(store.restore(&other, 2, future).await, Err(ObjectError::Past(_))), "nothing was there");
    // Asked for by the object itself, it changes nothing.
    let mut storage = opened(store, &one, 3).await;
    storage.restore_next(early).expect("it is asked for");
    commit(&mut *storage).await;
    drop(storage);
    assert_eq!(value(&mut *opened(store, &one, 4).await).as_deref(), Some("one"));
    let class = &one.class;
    assert_eq!(store.list(class, None, 10).await.expect("a list"), [one.id], "nothing was made");
}
