use base::{AppName, Body, BodyError, ResourceName, TenantName, code};
use bytes::Bytes;
use futures_util::future::join_all;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};

use super::{Subject, block_on, kv_model, kv_more};
use crate::{Condition, Kv, KvError, KvLimits, KvNamespace, ListOptions, PutOptions};

/// The suite of [`Kv`]. `open` gives a fresh provider with the default limits.
pub fn kv<P: Kv>(open: impl Fn() -> Subject<P>) {
    block_on(async {
        entries_come_back_as_they_were_put(&open()).await;
        revisions_rise_and_conditions_hold(&open()).await;
        of_writers_that_race_one_wins(&open()).await;
        expired_entries_are_gone_everywhere(&open()).await;
        lists_are_ordered_paged_and_complete(&open()).await;
        namespaces_share_nothing(&open()).await;
        streams_are_one_version(&open()).await;
        a_failed_put_changes_nothing(&open()).await;
        bad_input_is_refused(&open()).await;
        kv_more::more(&open).await;
    });
    kv_model::compare(open);
}

pub(super) fn namespace(app: &str, name: &str) -> KvNamespace {
    KvNamespace::new(
        TenantName::parse("acme").expect("a name"),
        AppName::parse(app).expect("a name"),
        ResourceName::parse(name).expect("a name"),
    )
}

pub(super) async fn read(kv: &impl Kv, ns: &KvNamespace, key: &str) -> Option<Bytes> {
    let entry = kv.get(ns, key).await.expect("get")?;
    Some(entry.bytes().await.expect("the value"))
}

pub(super) async fn put(kv: &impl Kv, ns: &KvNamespace, key: &str, value: &str) -> u64 {
    let receipt = kv.put(ns, key, Body::full(value.to_owned()), PutOptions::default()).await.expect("put");
    receipt.revision
}

fn large(seed: u8) -> Bytes {
    (0..200_000u32).map(|i| (i % 251) as u8 ^ seed).collect::<Vec<u8>>().into()
}

/// A body in pieces, which can't be taken whole.
fn pieces(bytes: &Bytes) -> Body {
    let frames: Vec<_> = bytes.chunks(10_000).map(|c| Ok(Frame::data(Bytes::copy_from_slice(c)))).collect();
    Body::stream(StreamBody::new(futures_util::stream::iter(frames)))
}

async fn entries_come_back_as_they_were_put<P: Kv>(subject: &Subject<P>) {
    let (kv, ns) = (&*subject.provider, namespace("shop", "carts"));
    assert!(kv.get(&ns, "a").await.expect("get").is_none());
    let keys = ["a", "A", "ä/é", "a\0b", "…", "a b", &"k".repeat(512)];
    for key in keys {
        put(kv, &ns, key, &format!("value of {key}")).await;
    }
    for key in keys {
        assert_eq!(read(kv, &ns, key).await.expect("it is there"), format!("value of {key}"), "{key:?}");
    }
    for value in
        [Bytes::new(), Bytes::from_static(b"\0\xff"), vec![7; 64 << 10].into(), vec![8; 65_537].into(), large(1)]
    {
        for body in [Body::full(value.clone()), pieces(&value)] {
            let options = PutOptions { metadata: Some(r#"{"n":[1,"ü"]}"#.into()), ..PutOptions::default() };
            let receipt = kv.put(&ns, "v", body, options).await.expect("put");
            assert_eq!(receipt.size, value.len() as u64);
            let entry = kv.get(&ns, "v").await.expect("get").expect("it is there");
            assert_eq!((entry.size, entry.revision), (receipt.size, receipt.revision));
            assert_eq!(entry.metadata.as_deref(), Some(r#"{"n":[1,"ü"]}"#));
            assert_eq!(entry.expires_at_ms, None);
            assert_eq!(entry.bytes().await.expect("the value"), value);
        }
    }
    let asked: Vec<String> = ["v", "none", "A", "v"].map(String::from).into();
    let found = kv.get_many(&ns, &asked).await.expect("get_many");
    let sizes: Vec<Option<u64>> = found.iter().map(|entry| entry.as_ref().map(|entry| entry.size)).collect();
    assert_eq!(sizes, [Some(200_000), None, Some(10), Some(200_000)]);
    let last = found.into_iter().next_back().flatten().expect("it is there");
    assert_eq!(last.bytes().await.expect("the value"), large(1));
}

async fn revisions_rise_and_conditions_hold<P: Kv>(subject: &Subject<P>) {
    let (kv, ns) = (&*subject.provider, namespace("shop", "carts"));
    let put_if = |condition| kv.put(&ns, "k", Body::full("x"), PutOptions { condition, ..PutOptions::default() });
    let current = |error: KvError| match error {
        KvError::Conflict { current } => current,
        other => panic!("expected a conflict, found {other}"),
    };
    assert_eq!(current(put_if(Condition::Revision(1)).await.expect_err("absent")), None);
    let first = put_if(Condition::Absent).await.expect("absent").revision;
    assert_eq!(current(put_if(Condition::Absent).await.expect_err("present")), Some(first));
    let second = put_if(Condition::Revision(first)).await.expect("unchanged").revision;
    assert!(second > first);
    assert_eq!(current(put_if(Condition::Revision(first)).await.expect_err("changed")), Some(second));
    assert_eq!(current(kv.delete(&ns, "k", Condition::Revision(first)).await.expect_err("changed")), Some(second));
    assert!(kv.delete(&ns, "k", Condition::Revision(second)).await.expect("unchanged").existed);
    assert!(!kv.delete(&ns, "k", Condition::Always).await.expect("nothing there").existed);
    assert!(put_if(Condition::Absent).await.expect("absent again").revision > second);
}

async fn of_writers_that_race_one_wins<P: Kv>(subject: &Subject<P>) {
    let (kv, ns) = (&*subject.provider, namespace("shop", "carts"));
    let options = || PutOptions { condition: Condition::Absent, ..PutOptions::default() };
    let racers = (0..32).map(|n| kv.put(&ns, "lock", Body::full(format!("{n}")), options()));
    let outcomes = join_all(racers).await;
    let winners: Vec<usize> = (0..32).filter(|&n| outcomes[n].is_ok()).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(read(kv, &ns, "lock").await.expect("the winner's value"), winners[0].to_string());
}

async fn expired_entries_are_gone_everywhere<P: Kv>(subject: &Subject<P>) {
    let (kv, ns) = (&*subject.provider, namespace("shop", "carts"));
    let at = subject.clock.unix_ms() + 1_000;
    let options = || PutOptions { expires_at_ms: Some(at), ..PutOptions::default() };
    let first = kv.put(&ns, "a", Body::full("x"), options()).await.expect("put").revision;
    kv.put(&ns, "b", Body::full(large(3)), options()).await.expect("put");
    put(kv, &ns, "c", "stays").await;
    (subject.advance)(999);
    let entry = kv.get(&ns, "a").await.expect("get").expect("not expired yet");
    assert_eq!(entry.expires_at_ms, Some(at));
    (subject.advance)(1);
    assert!(kv.get(&ns, "a").await.expect("get").is_none());
    let found = kv.get_many(&ns, &["a".into(), "b".into(), "c".into()]).await.expect("get_many");
    assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [false, false, true]);
    let page = kv.list(&ns, ListOptions { limit: Some(1), ..ListOptions::default() }).await.expect("list");
    assert_eq!(page.keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["c"]);
    assert!(page.complete);
    let if_first = PutOptions { condition: Condition::Revision(first), ..PutOptions::default() };
    kv.put(&ns, "a", Body::full("y"), if_first).await.expect_err("an expired entry is absent");
    assert!(!kv.delete(&ns, "b", Condition::Absent).await.expect("delete").existed);
    let if_absent = PutOptions { condition: Condition::Absent, ..PutOptions::default() };
    assert!(kv.put(&ns, "a", Body::full("y"), if_absent).await.expect("absent").revision > first);
    let late = PutOptions { expires_at_ms: Some(subject.clock.unix_ms()), ..PutOptions::default() };
    let error = kv.put(&ns, "a", Body::full("z"), late).await.expect_err("now is not the future");
    assert_eq!(error.code().name, code::BAD_EXPIRY.name);
    assert_eq!(read(kv, &ns, "a").await.expect("unchanged"), "y");
}

async fn lists_are_ordered_paged_and_complete<P: Kv>(subject: &Subject<P>) {
    let (kv, ns) = (&*subject.provider, namespace("shop", "carts"));
    // In the order of their bytes, which is neither that of any locale nor that of UTF-16.
    let names = ["A", "a", "a\u{0}", "a/", "a/1", "a/10", "a/2", "a/\u{e9}", "a/\u{ffff}", "a/\u{10000}", "a0", "b"];
    for name in names.iter().rev() {
        let options = PutOptions { metadata: Some(format!("\"{}\"", name.len())), ..PutOptions::default() };
        kv.put(&ns, name, Body::full("x"), options).await.expect("put");
    }
    for (prefix, limit) in [("", 1), ("", 5), ("", 1_000), ("a/", 1), ("a/", 3), ("a/", 7), ("zz", 1), ("a0", 1)] {
        let expected: Vec<&str> = names.into_iter().filter(|name| name.starts_with(prefix)).collect();
        let mut found = Vec::new();
        let mut cursor = None;
        loop {
            let options = ListOptions {
                prefix: prefix.into(),
                cursor: cursor.take(),
                limit: Some(limit),
                ..ListOptions::default()
            };
            let page = kv.list(&ns, options).await.expect("list");
            assert!(page.keys.len() <= limit);
            assert_eq!(page.complete, page.cursor.is_none());
            for key in page.keys {
                assert_eq!(key.metadata, Some(format!("\"{}\"", key.name.len())));
                found.push(key.name);
            }
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "prefix {prefix:?}, {limit} a page");
    }
    let page = kv.list(&ns, ListOptions { limit: Some(2), ..ListOptions::default() }).await.expect("list");
    let cursor = page.cursor.expect("there is more");
    let mut bad: Vec<(KvNamespace, &str, String)> = vec![
        (namespace("shop", "other"), "", cursor.clone()),
        (namespace("other", "carts"), "", cursor.clone()),
        (ns.clone(), "a", cursor.clone()),
        (ns.clone(), "", String::new()),
        (ns.clone(), "", "?".into()),
    ];
    bad.extend((1..cursor.len()).map(|cut| (ns.clone(), "", cursor[cut..].to_owned())));
    for (ns, prefix, cursor) in bad {
        let options = ListOptions { prefix: prefix.into(), cursor: Some(cursor.clone()), ..ListOptions::default() };
        let error = kv.list(&ns, options).await.expect_err("a cursor of another list");
        assert_eq!(error.code().name, code::BAD_CURSOR.name, "{ns} {prefix:?} {cursor:?}");
    }
}

async fn namespaces_share_nothing<P: Kv>(subject: &Subject<P>) {
    let kv = &*subject.provider;
    let (one, two, three) = (namespace("shop", "carts"), namespace("shop", "users"), namespace("blog", "carts"));
    put(kv, &one, "k", "one").await;
    put(kv, &two, "k", "two").await;
    assert!(read(kv, &three, "k").await.is_none());
    kv.delete(&one, "k", Condition::Always).await.expect("delete");
    assert_eq!(read(kv, &two, "k").await.expect("untouched"), "two");
    assert!(kv.list(&one, ListOptions::default()).await.expect("list").keys.is_empty());
}

async fn streams_are_one_version<P: Kv>(subject: &Subject<P>) {
    let (kv, ns) = (&*subject.provider, namespace("shop", "files"));
    let put_large = |seed| kv.put(&ns, "f", Body::full(large(seed)), PutOptions::default());
    put_large(1).await.expect("put");
    let slow = kv.get(&ns, "f").await.expect("get").expect("it is there");
    put_large(2).await.expect("put");
    let mut halfway = kv.get(&ns, "f").await.expect("get").expect("it is there").value;
    let first = halfway.frame().await.expect("a frame").expect("data").into_data().expect("data");
    kv.delete(&ns, "f", Condition::Always).await.expect("delete");
    assert_eq!(slow.bytes().await.expect("the first version"), large(1));
    let rest = halfway.collect(1 << 20).await.expect("the second version");
    assert_eq!([first, rest].concat(), large(2));
}

async fn a_failed_put_changes_nothing<P: Kv>(subject: &Subject<P>) {
    let (kv, ns) = (&*subject.provider, namespace("shop", "files"));
    put(kv, &ns, "f", "old").await;
    for size in [10, 300_000] {
        let frames = [Ok(Frame::data(Bytes::from(vec![1; size]))), Err(BodyError::gone())];
        let torn = Body::stream(StreamBody::new(futures_util::stream::iter(frames)));
        let error = kv.put(&ns, "f", torn, PutOptions::default()).await.expect_err("a torn body");
        assert_eq!(error.code().name, code::CLIENT_GONE.name);
        let options = PutOptions { condition: Condition::Absent, ..PutOptions::default() };
        kv.put(&ns, "f", Body::full(vec![2; size]), options).await.expect_err("it is there");
        assert_eq!(read(kv, &ns, "f").await.expect("it is there"), "old");
    }
}

async fn bad_input_is_refused<P: Kv>(subject: &Subject<P>) {
    let (kv, ns, limits) = (&*subject.provider, namespace("shop", "carts"), KvLimits::default());
    let long = "k".repeat(limits.key_bytes + 1);
    for (key, expected) in
        [("", &code::KEY_EMPTY), (".", &code::KEY_EMPTY), ("..", &code::KEY_EMPTY), (&long, &code::KEY_TOO_LONG)]
    {
        let errors = [
            kv.get(&ns, key).await.map(drop).expect_err("get"),
            kv.get_many(&ns, &[key.to_owned()]).await.map(drop).expect_err("get_many"),
            kv.put(&ns, key, Body::empty(), PutOptions::default()).await.map(drop).expect_err("put"),
            kv.delete(&ns, key, Condition::Always).await.map(drop).expect_err("delete"),
        ];
        errors.iter().for_each(|error| assert_eq!(error.code().name, expected.name, "{key:?}: {error}"));
    }
    let many: Vec<String> = (0..=limits.get_keys).map(|n| n.to_string()).collect();
    assert_eq!(kv.get_many(&ns, &many).await.expect_err("too many").code().name, code::TOO_MANY_KEYS.name);
    let list = kv.list(&ns, ListOptions { prefix: long, ..ListOptions::default() }).await;
    assert_eq!(list.expect_err("a long prefix").code().name, code::KEY_TOO_LONG.name);
    let over = Bytes::from(vec![0; limits.value_bytes + 1]);
    for body in [Body::full(over.clone()), pieces(&over)] {
        let error = kv.put(&ns, "k", body, PutOptions::default()).await.expect_err("too large");
        assert_eq!(error.code().name, code::VALUE_TOO_LARGE.name);
    }
    for (metadata, expected) in [
        (format!("\"{}\"", "m".repeat(limits.metadata_bytes)), &code::METADATA_TOO_LARGE),
        ("{".into(), &code::BAD_METADATA),
        (String::new(), &code::BAD_METADATA),
    ] {
        let options = PutOptions { metadata: Some(metadata), ..PutOptions::default() };
        let error = kv.put(&ns, "k", Body::empty(), options).await.expect_err("bad metadata");
        assert_eq!(error.code().name, expected.name);
    }
    for at in [0, 1, u64::MAX] {
        let options = PutOptions { expires_at_ms: Some(at), ..PutOptions::default() };
        let error = kv.put(&ns, "k", Body::empty(), options).await.expect_err("bad expiry");
        assert_eq!(error.code().name, code::BAD_EXPIRY.name);
    }
    assert!(kv.get(&ns, "k").await.expect("get").is_none());
    let largest = Bytes::from(vec![9; limits.value_bytes]);
    kv.put(&ns, "k", pieces(&largest), PutOptions::default()).await.expect("the largest value is accepted");
    assert_eq!(read(kv, &ns, "k").await.expect("it is there"), largest);
}
