//! Transactions, counters, the change feed, lists with values, and quotas.

use std::task::{Context, Poll, Waker};

use base::{Body, Code, NodeLimits, code};
use bytes::Bytes;
use futures_util::future::join_all;

use super::kv::{namespace, put, read};
use super::{Subject, block_on};
use crate::kv::{LISTED_VALUE_BYTES, PAGE_CHANGES};
use crate::{
    Action, AppId, Change, ChangeKind, ChangesOptions, Check, CommitReceipt, Condition, Kv, KvError, KvLimits,
    KvNamespace, KvUsage, ListOptions, PutOptions, Transaction, Write,
};

/// The part of the suite that wants limits that are soon reached: those of [`small_limits`].
pub fn kv_limits<P: Kv>(open: impl Fn() -> Subject<P>) {
    block_on(async {
        quotas_hold_and_what_shrinks_is_welcome(&open()).await;
        of_racers_for_the_last_place_one_gets_it(&open()).await;
        what_is_no_longer_kept_is_an_error(&open()).await;
    });
}

pub fn small_limits() -> NodeLimits {
    NodeLimits {
        kv_namespace_keys: 4,
        kv_namespace_bytes: 1_000,
        kv_app_keys: 6,
        kv_app_bytes: 1_500,
        watch_changes: 8,
        ..NodeLimits::default()
    }
}

pub(super) async fn more<P: Kv>(open: &impl Fn() -> Subject<P>) {
    a_transaction_happens_as_a_whole_or_not_at_all(&open()).await;
    transactions_that_race_never_interleave(&open()).await;
    additions_add_up(&open()).await;
    bad_transactions_are_refused(&open()).await;
    changes_are_told_in_order_and_none_is_left_out(&open()).await;
    a_watcher_waits_for_what_concerns_it(&open()).await;
    a_transaction_is_told_in_one_page(&open()).await;
    an_expiry_is_told_once(&open()).await;
    lists_give_values_and_what_is_new(&open()).await;
    what_is_stored_is_counted(&open()).await;
}

fn put_action(value: impl Into<Bytes>) -> Action {
    Action::Put { value: value.into(), metadata: None, expires_at_ms: None }
}

fn transaction(checks: &[(&str, Condition)], writes: Vec<(&str, Action)>) -> Transaction {
    let check = |&(key, condition): &(&str, Condition)| Check { key: key.into(), condition };
    let write = |(key, action): (&str, Action)| Write { key: key.into(), action };
    Transaction { checks: checks.iter().map(check).collect(), writes: writes.into_iter().map(write).collect() }
}

async fn commit(kv: &impl Kv, ns: &KvNamespace, transaction: Transaction) -> CommitReceipt {
    kv.commit(ns, transaction).await.expect("commit")
}

async fn refused(kv: &impl Kv, ns: &KvNamespace, transaction: Transaction, code: Code) -> KvError {
    let error = kv.commit(ns, transaction).await.expect_err(code.name);
    assert_eq!(error.code().name, code.name, "{error}");
    error
}

async fn a_transaction_happens_as_a_whole_or_not_at_all<P: Kv>(subject: &Subject<P>) {
    let (kv, ns) = (&*subject.provider, namespace("shop", "accounts"));
    let first = put(kv, &ns, "a", "10").await;
    put(kv, &ns, "gone", "x").await;
    let large = Bytes::from(vec![7; 100_000]);
    let writes = vec![
        ("b", put_action("5")),
        ("large", put_action(large.clone())),
        ("gone", Action::Delete),
        ("n", Action::Add(3)),
    ];
    let checks = [
        ("a", Condition::Revision(first)),
        ("b", Condition::Absent),
        ("gone", Condition::Present),
        ("none", Condition::Always),
    ];
    let receipt = commit(kv, &ns, transaction(&checks, writes)).await;
    assert_eq!(receipt.sums, [3]);
    let asked: Vec<String> = ["a", "b", "gone", "large", "n"].map(String::from).into();
    let found = kv.get_many(&ns, &asked).await.expect("get_many");
    let revisions: Vec<Option<u64>> = found.iter().map(|entry| entry.as_ref().map(|entry| entry.revision)).collect();
    let all = Some(receipt.revision);
    assert_eq!(revisions, [Some(first), all, None, all, all], "one revision for all that was written");
    assert_eq!(read(kv, &ns, "large").await, Some(large));
    for (key, condition, current) in [
        ("a", Condition::Absent, Some(first)),
        ("a", Condition::Revision(first + 1_000), Some(first)),
        ("gone", Condition::Present, None),
        ("gone", Condition::Revision(first), None),
    ] {
        let writes = vec![("b", put_action("6")), ("a", Action::Delete), ("n", Action::Add(1))];
        let checks = [("b", Condition::Present), (key, condition)];
        let error = refused(kv, &ns, transaction(&checks, writes), &code::REVISION_CONFLICT).await;
        assert!(
            matches!(error, KvError::CheckFailed { key: failed, current: seen } if failed == key && seen == current)
        );
    }
    let failing = vec![("b", put_action("6")), ("a", Action::Delete), ("large", Action::Add(1))];
    refused(kv, &ns, transaction(&[], failing), &code::NOT_A_COUNTER).await;
    assert_eq!(read(kv, &ns, "a").await.expect("untouched"), "10");
    assert_eq!(read(kv, &ns, "b").await.expect("untouched"), "5");
    let checked = commit(kv, &ns, transaction(&[("a", Condition::Present)], Vec::new())).await;
    assert!(checked.revision >= receipt.revision, "to check only is allowed");
}

async fn transactions_that_race_never_interleave<P: Kv>(subject: &Subject<P>) {
    let (kv, ns) = (&*subject.provider, &namespace("shop", "pairs"));
    let both =
        |n: usize| transaction(&[], vec![("left", put_action(n.to_string())), ("right", put_action(n.to_string()))]);
    let look = || async {
        let found = kv.get_many(ns, &["left".into(), "right".into()]).await.expect("get_many");
        let revisions: Vec<_> = found.iter().map(|entry| entry.as_ref().map(|entry| entry.revision)).collect();
        assert_eq!(revisions[0], revisions[1], "no view shows one side only");
    };
    let write = |n| {
        let look = &look;
        async move {
            commit(kv, ns, both(n)).await;
            look().await;
        }
    };
    join_all((0..24).map(write)).await;
    let claim = |n: usize| {
        transaction(
            &[("lock", Condition::Absent)],
            vec![("lock", put_action(n.to_string())), ("count", Action::Add(1))],
        )
    };
    let outcomes = join_all((0..16).map(|n| kv.commit(ns, claim(n)))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(read(kv, ns, "count").await.expect("counted"), "1");
}

async fn additions_add_up<P: Kv>(subject: &Subject<P>) {
    let (kv, ns) = (&*subject.provider, namespace("shop", "counters"));
    let outcomes = join_all((0..50).map(|n| kv.commit(&ns, Transaction::add("n", n)))).await;
    let mut sums: Vec<i64> = outcomes.into_iter().flat_map(|outcome| outcome.expect("added").sums).collect();
    sums.sort_unstable();
    assert_eq!(sums.last(), Some(&(0..50).sum::<i64>()));
    assert_eq!(read(kv, &ns, "n").await.expect("a number"), "1225");
    let expires_at_ms = Some(subject.clock.unix_ms() + 1_000);
    let options = PutOptions { metadata: Some("{}".into()), expires_at_ms, ..PutOptions::default() };
    kv.put(&ns, "kept", Body::full("-5"), options).await.expect("put");
    assert_eq!(commit(kv, &ns, Transaction::add("kept", 7)).await.sums, [2]);
    let kept = kv.get(&ns, "kept").await.expect("get").expect("it is there");
    assert_eq!((kept.metadata.as_deref(), kept.expires_at_ms), (Some("{}"), expires_at_ms));
    (subject.advance)(1_000);
    assert_eq!(commit(kv, &ns, Transaction::add("kept", 7)).await.sums, [7], "an expired counter is absent");
    let again = kv.get(&ns, "kept").await.expect("get").expect("it is there");
    assert_eq!((again.metadata, again.expires_at_ms), (None, None));
    put(kv, &ns, "most", &i64::MAX.to_string()).await;
    refused(kv, &ns, Transaction::add("most", 1), &code::COUNTER_OVERFLOW).await;
    assert_eq!(commit(kv, &ns, Transaction::add("most", i64::MIN)).await.sums, [-1]);
    for no_counter in ["", "1.5", "01", "+1", " 1", "9223372036854775808", "x"] {
        put(kv, &ns, "text", no_counter).await;
        refused(kv, &ns, Transaction::add("text", 1), &code::NOT_A_COUNTER).await;
        assert_eq!(read(kv, &ns, "text").await.expect("untouched"), no_counter);
    }
}

async fn bad_transactions_are_refused<P: Kv>(subject: &Subject<P>) {
    let (kv, ns, limits) = (&*subject.provider, namespace("shop", "bad"), KvLimits::default());
    let long = "k".repeat(limits.key_bytes + 1);
    let past = Action::Put { value: Bytes::new(), metadata: None, expires_at_ms: Some(1) };
    let no_json = Action::Put { value: Bytes::new(), metadata: Some("{".into()), expires_at_ms: None };
    for (key, action, code) in [
        ("", Action::Delete, &code::KEY_EMPTY),
        (long.as_str(), Action::Add(1), &code::KEY_TOO_LONG),
        ("k", past, &code::BAD_EXPIRY),
        ("k", no_json, &code::BAD_METADATA),
    ] {
        let writes = vec![("fine", put_action("x")), (key, action)];
        refused(kv, &ns, transaction(&[], writes), code).await;
    }
    refused(kv, &ns, transaction(&[(&long, Condition::Absent)], Vec::new()), &code::KEY_TOO_LONG).await;
    let twice = vec![("fine", put_action("x")), ("fine", Action::Delete)];
    refused(kv, &ns, transaction(&[], twice), &code::BAD_TRANSACTION).await;
    let names: Vec<String> = (0..=limits.transaction_keys).map(|n| n.to_string()).collect();
    let many = names.iter().map(|name| (name.as_str(), put_action("x"))).collect();
    refused(kv, &ns, transaction(&[], many), &code::TRANSACTION_TOO_LARGE).await;
    let large = vec![("fine", put_action("x")), ("large", put_action(vec![0; limits.transaction_bytes]))];
    refused(kv, &ns, transaction(&[], large), &code::TRANSACTION_TOO_LARGE).await;
    assert!(kv.list(&ns, ListOptions::default()).await.expect("list").keys.is_empty());
}

async fn feed(kv: &impl Kv, ns: &KvNamespace, prefix: &str, since: u64) -> (Vec<Change>, u64) {
    let (mut all, mut since) = (Vec::new(), since);
    loop {
        let options = ChangesOptions { prefix: prefix.into(), since: Some(since), wait: false };
        let page = kv.changes(ns, options).await.expect("changes");
        assert!(page.through >= since);
        let done = page.through == since;
        since = page.through;
        all.extend(page.changes);
        if done {
            return (all, since);
        }
    }
}

fn words(changes: &[Change]) -> Vec<(&str, &'static str)> {
    changes.iter().map(|change| (change.key.as_str(), change.kind.as_str())).collect()
}

async fn changes_are_told_in_order_and_none_is_left_out<P: Kv>(subject: &Subject<P>) {
    let (kv, ns, other) = (&*subject.provider, namespace("shop", "fed"), namespace("shop", "other"));
    let start = kv.changes(&ns, ChangesOptions::default()).await.expect("now");
    assert!(start.changes.is_empty());
    put(kv, &ns, "a", "1").await;
    put(kv, &other, "a", "elsewhere").await;
    let second = put(kv, &ns, "b/1", "1").await;
    put(kv, &ns, "a", "2").await;
    kv.delete(&ns, "b/1", Condition::Always).await.expect("delete");
    kv.delete(&ns, "none", Condition::Always).await.expect("nothing changes");
    kv.delete(&ns, "a", Condition::Absent).await.expect_err("refused");
    commit(kv, &ns, transaction(&[], vec![("b/2", Action::Add(1)), ("a", Action::Delete)])).await;
    let (told, now) = feed(kv, &ns, "", start.through).await;
    let expected = [("a", "put"), ("b/1", "put"), ("a", "put"), ("b/1", "delete"), ("b/2", "put"), ("a", "delete")];
    assert_eq!(words(&told), expected);
    assert!(told.windows(2).all(|pair| pair[0].revision <= pair[1].revision));
    assert_eq!(told[4].revision, told[5].revision, "a transaction has one revision");
    assert_eq!(words(&feed(kv, &ns, "b/", second).await.0), [("b/1", "delete"), ("b/2", "put")]);
    assert!(feed(kv, &ns, "", now).await.0.is_empty());
    let ahead = ChangesOptions { since: Some(now + 1_000), ..ChangesOptions::default() };
    let error = kv.changes(&ns, ahead).await.expect_err("nobody was given this revision");
    assert!(matches!(error, KvError::ChangesGone { newest, .. } if newest == now), "{error}");
    // One that waits would pass over all writes until then.
    let waits = ChangesOptions { since: Some(now + 1), wait: true, ..ChangesOptions::default() };
    assert_eq!(kv.changes(&ns, waits).await.expect_err("nor this one").code().name, code::CHANGES_GONE.name);
}

async fn a_watcher_waits_for_what_concerns_it<P: Kv>(subject: &Subject<P>) {
    let (kv, ns) = (&*subject.provider, namespace("shop", "watched"));
    let since = Some(kv.changes(&ns, ChangesOptions::default()).await.expect("now").through);
    let mut waiting = kv.changes(&ns, ChangesOptions { prefix: "a".into(), since, wait: true });
    let mut idle = kv.changes(&ns, ChangesOptions { prefix: "z".into(), since, wait: true });
    let mut context = Context::from_waker(Waker::noop());
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    put(kv, &ns, "b", "not this").await;
    assert!(idle.as_mut().poll(&mut context).is_pending());
    let revision = put(kv, &ns, "a", "this").await;
    let page = waiting.await.expect("changes");
    assert_eq!(page.changes, [Change { key: "a".into(), kind: ChangeKind::Put, revision }]);
    assert!(matches!(idle.as_mut().poll(&mut context), Poll::Pending));
    drop(idle);
    put(kv, &ns, "z", "nobody waits any more").await;
}

async fn a_transaction_is_told_in_one_page<P: Kv>(subject: &Subject<P>) {
    let (kv, ns) = (&*subject.provider, namespace("shop", "torn"));
    let names: Vec<String> = (0..KvLimits::default().transaction_keys).map(|n| format!("{n:04}")).collect();
    let rounds = PAGE_CHANGES / names.len() + 2;
    put(kv, &ns, "first", "so that no page ends with a transaction").await;
    for _ in 0..rounds {
        commit(kv, &ns, transaction(&[], names.iter().map(|name| (name.as_str(), put_action("x"))).collect())).await;
    }
    let page = kv.changes(&ns, ChangesOptions { since: Some(0), ..ChangesOptions::default() }).await.expect("a page");
    assert!(page.changes.len() >= PAGE_CHANGES);
    assert_eq!((page.changes.len() - 1) % names.len(), 0, "whole transactions");
    assert_eq!(page.changes.last().map(|change| change.revision), Some(page.through));
    assert_eq!(feed(kv, &ns, "", 0).await.0.len(), 1 + rounds * names.len());
}

async fn an_expiry_is_told_once<P: Kv>(subject: &Subject<P>) {
    let (kv, ns) = (&*subject.provider, namespace("shop", "short"));
    let options = |ms| PutOptions { expires_at_ms: Some(subject.clock.unix_ms() + ms), ..PutOptions::default() };
    kv.put(&ns, "a", Body::full("x"), options(10)).await.expect("put");
    (subject.advance)(10);
    // What expired is not there to be deleted, and still is told.
    assert!(!kv.delete(&ns, "a", Condition::Always).await.expect("delete").existed);
    let (told, now) = feed(kv, &ns, "", 0).await;
    assert_eq!(words(&told), [("a", "put"), ("a", "expire")]);
    kv.put(&ns, "b", Body::full("x"), options(10)).await.expect("put");
    (subject.advance)(10);
    put(kv, &ns, "b", "again").await;
    let (told, _) = feed(kv, &ns, "", now).await;
    let mut kinds = words(&told);
    kinds.retain(|&(_, kind)| kind != "expire");
    assert_eq!(kinds, [("b", "put"), ("b", "put")]);
}

async fn lists_give_values_and_what_is_new<P: Kv>(subject: &Subject<P>) {
    let (kv, ns) = (&*subject.provider, namespace("shop", "listed"));
    let first = put(kv, &ns, "a", "one").await;
    put(kv, &ns, "b", "").await;
    let large = "l".repeat(LISTED_VALUE_BYTES + 1);
    put(kv, &ns, "c", &large).await;
    put(kv, &ns, "d", &large[1..]).await;
    let page = kv.list(&ns, ListOptions { values: true, ..ListOptions::default() }).await.expect("list");
    let sizes: Vec<Option<usize>> = page.keys.iter().map(|key| key.value.as_ref().map(Bytes::len)).collect();
    assert_eq!(sizes, [Some(3), Some(0), None, Some(LISTED_VALUE_BYTES)]);
    assert!(kv.list(&ns, ListOptions::default()).await.expect("list").keys.iter().all(|key| key.value.is_none()));
    let after = |revision| ListOptions { after_revision: Some(revision), ..ListOptions::default() };
    assert!(kv.list(&ns, after(page.revision)).await.expect("list").keys.is_empty());
    put(kv, &ns, "a", "two").await;
    let new = kv.list(&ns, after(page.revision)).await.expect("list");
    assert_eq!(new.keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["a"]);
    assert_eq!(kv.list(&ns, after(first)).await.expect("list").keys.len(), 4);
    assert!(kv.list(&ns, after(u64::MAX)).await.expect("list").keys.is_empty());
    let (told, _) = feed(kv, &ns, "", page.revision).await;
    assert_eq!(words(&told), [("a", "put")], "a list says from where to watch");
    // Values fill a page before its keys do.
    let limits = KvLimits::default();
    let count = limits.list_bytes / LISTED_VALUE_BYTES + 3;
    for n in 0..count {
        put(kv, &ns, &format!("big/{n:04}"), &large[1..]).await;
    }
    let mut options = ListOptions { prefix: "big/".into(), values: true, ..ListOptions::default() };
    let mut pages = Vec::new();
    loop {
        let page = kv.list(&ns, options.clone()).await.expect("list");
        assert!(
            page.keys.iter().filter_map(|key| key.value.as_ref()).map(Bytes::len).sum::<usize>() <= limits.list_bytes
        );
        pages.push(page.keys.len());
        match page.cursor {
            Some(cursor) => options.cursor = Some(cursor),
            None => break,
        }
    }
    assert_eq!((pages.len(), pages.iter().sum::<usize>()), (2, count));
}

async fn usage(kv: &impl Kv, ns: &KvNamespace) -> KvUsage {
    let all = kv.usage(&ns.app_id()).await.expect("usage");
    all.into_iter().find(|used| used.namespace == ns.name).map(|used| used.usage).unwrap_or_default()
}

async fn what_is_stored_is_counted<P: Kv>(subject: &Subject<P>) {
    let (kv, ns, other) = (&*subject.provider, namespace("shop", "counted"), namespace("shop", "other"));
    assert_eq!(usage(kv, &ns).await, KvUsage::default());
    put(kv, &ns, "é", "1234").await;
    assert_eq!(usage(kv, &ns).await, KvUsage { keys: 1, bytes: 6 });
    let options = PutOptions { metadata: Some("\"ü\"".into()), ..PutOptions::default() };
    kv.put(&ns, "é", Body::full(vec![0; 100_000]), options).await.expect("put");
    assert_eq!(usage(kv, &ns).await, KvUsage { keys: 1, bytes: 2 + 4 + 100_000 });
    put(kv, &other, "a", "").await;
    commit(kv, &ns, transaction(&[], vec![("n", Action::Add(10)), ("é", Action::Delete), ("x", put_action("y"))]))
        .await;
    assert_eq!(usage(kv, &ns).await, KvUsage { keys: 2, bytes: 5 });
    assert_eq!(usage(kv, &other).await, KvUsage { keys: 1, bytes: 1 });
    let stranger = AppId::new(ns.tenant.clone(), namespace("blog", "x").app);
    assert!(kv.usage(&stranger).await.expect("usage").iter().all(|used| used.usage == KvUsage::default()));
}

async fn quotas_hold_and_what_shrinks_is_welcome<P: Kv>(subject: &Subject<P>) {
    let (kv, ns, other) = (&*subject.provider, namespace("shop", "small"), namespace("shop", "other"));
    let write = |ns: &KvNamespace, key: &str, bytes: usize| {
        let (ns, key) = (ns.clone(), key.to_owned());
        async move { kv.put(&ns, &key, Body::full(vec![b'x'; bytes]), PutOptions::default()).await.map(drop) }
    };
    let over = |outcome: Result<(), KvError>, limit: &str| {
        let error = outcome.expect_err(limit);
        assert_eq!(error.code().name, code::QUOTA_EXCEEDED.name);
        assert!(error.to_string().contains(limit), "{error}");
    };
    for key in ["a", "b", "c", "d"] {
        write(&ns, key, 9).await.expect("within the quota");
    }
    over(write(&ns, "e", 9).await, "kv_namespace_keys");
    write(&ns, "a", 960).await.expect("within the quota");
    over(write(&ns, "a", 970).await, "kv_namespace_bytes");
    over(write(&ns, "b", 20).await, "kv_namespace_bytes");
    write(&ns, "b", 9).await.expect("no larger than before");
    over(kv.commit(&ns, Transaction::add("e", 1)).await.map(drop), "kv_namespace_keys");
    let swap = transaction(&[], vec![("e", Action::Add(1)), ("d", Action::Delete)]);
    commit(kv, &ns, swap).await;
    write(&other, "a", 100).await.expect("within the quota of the app");
    over(write(&other, "b", 490).await, "kv_app_bytes");
    write(&other, "b", 9).await.expect("within the quota of the app");
    over(write(&other, "c", 9).await, "kv_app_keys");
    kv.delete(&ns, "a", Condition::Always).await.expect("to remove is always allowed");
    write(&other, "c", 9).await.expect("there is room again");
    write(&namespace("blog", "small"), "a", 900).await.expect("another app has its own quota");
    assert_eq!(usage(kv, &ns).await, KvUsage { keys: 3, bytes: 10 + 10 + 2 });
}

async fn of_racers_for_the_last_place_one_gets_it<P: Kv>(subject: &Subject<P>) {
    let (kv, ns) = (&*subject.provider, namespace("shop", "small"));
    for key in ["a", "b", "c"] {
        put(kv, &ns, key, "x").await;
    }
    let names: Vec<String> = (0..16).map(|n| format!("racer-{n}")).collect();
    let outcomes = join_all(names.iter().map(|name| kv.put(&ns, name, Body::full("x"), PutOptions::default()))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(usage(kv, &ns).await.keys, 4);
}

async fn what_is_no_longer_kept_is_an_error<P: Kv>(subject: &Subject<P>) {
    let (kv, ns) = (&*subject.provider, namespace("shop", "small"));
    let first = put(kv, &ns, "a", "0").await;
    // Providers forget in their own time, and this is more than any lets stand.
    for n in 0..1_000 {
        put(kv, &ns, "a", &n.to_string()).await;
    }
    let since = |since| ChangesOptions { since: Some(since), ..ChangesOptions::default() };
    let error = kv.changes(&ns, since(first)).await.expect_err("forgotten");
    assert_eq!(error.code().name, code::CHANGES_GONE.name);
    let KvError::ChangesGone { since: asked, oldest, .. } = error else { panic!("{error}") };
    assert_eq!(asked, first);
    let (told, now) = feed(kv, &ns, "", oldest).await;
    assert!(told.len() >= small_limits().watch_changes as usize);
    assert_eq!(told.first().map(|change| change.revision), Some(oldest + 1), "nothing between is missing");
    assert_eq!(told.last().map(|change| change.revision), Some(now));
}
