//! The promises of [`Store`] as tests, which every store runs. A function panics at the first that
//! does not hold.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::purge::{Purge, Purged};
use crate::store::{Key, Store, StoreError, VARIANTS_MAX, Variants};
use crate::stored::Stored;
use crate::tags::Tags;
use crate::vary::VaryValues;

/// Random sequences tried.
const CASES: u32 = 64;

/// The suite. `open` gives an empty store that takes a body of 100,000 bytes and no larger, and has
/// room for 64 of them.
pub fn store<S: Store>(open: impl Fn() -> S) {
    block_on(async {
        what_is_put_comes_back_whole(&open()).await;
        keys_share_nothing(&open()).await;
        variants_replace_their_like(&open()).await;
        one_more_variant_displaces_the_oldest(&open()).await;
        too_large_a_response_changes_nothing(&open()).await;
        stale_responses_are_found_too(&open()).await;
        deleted_responses_do_not_come_back(&open()).await;
        a_purge_finds_what_it_is_about_and_nothing_else(&open()).await;
        a_soft_purge_makes_stale(&open()).await;
        what_there_is_is_told(&open()).await;
    });
    any_sequence_is_like_the_model(open);
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime without drivers needs nothing").block_on(future)
}

fn key(app: &str, cache: Option<&str>, url: &str) -> Key {
    Key { app: app.into(), cache: cache.map(Arc::from), url: url.into() }
}

/// A response to a request that accepted `accept`.
fn response(body: &str, accept: &str, stored_at_ms: u64) -> Stored {
    let mut request = HeaderMap::new();
    if let Ok(accept) = HeaderValue::from_str(accept) {
        request.insert(header::ACCEPT, accept);
    }
    let mut headers = HeaderMap::new();
    headers.append(header::SET_COOKIE, HeaderValue::from_static("a=1"));
    headers.append(header::SET_COOKIE, HeaderValue::from_static("b=2"));
    headers.insert(HeaderName::from_static("x-bytes"), HeaderValue::from_bytes(b"\xff").expect("a value"));
    Stored {
        status: StatusCode::IM_A_TEAPOT,
        headers,
        body: Bytes::copy_from_slice(body.as_bytes()).into(),
        stored_at_ms,
        initial_age_s: 5,
        lifetime_s: 60,
        vary: VaryValues::of(vec![header::ACCEPT], &request),
        terms: crate::Terms { stale_if_error_s: 7, ..crate::Terms::default() },
        tags: Tags::new(vec![format!("tag {body:.10}").into(), "all".into()]),
        body_id: (1 << 63) | body.bytes().fold(7, |id: u64, byte| id.wrapping_mul(31).wrapping_add(byte.into())),
    }
}

async fn get(store: &impl Store, key: &Key) -> Variants {
    store.get(key).await.expect("get")
}

/// What is found, with its body at hand.
async fn read(stored: &Stored) -> Stored {
    let body = stored.body.read().await.expect("a body");
    assert_eq!(body.len() as u64, stored.body.len());
    Stored { body: body.into(), ..stored.clone() }
}

async fn bodies(store: &impl Store, key: &Key) -> Vec<Bytes> {
    let mut bodies = Vec::new();
    for stored in get(store, key).await.iter() {
        bodies.push(stored.body.read().await.expect("a body"));
    }
    bodies.sort_unstable();
    bodies
}

async fn put(store: &impl Store, key: &Key, stored: &Stored) {
    store.put(key.clone(), stored.clone()).await.expect("put");
}

async fn what_is_put_comes_back_whole(store: &impl Store) {
    let key = key("shop", None, "http://a.test/");
    assert!(get(store, &key).await.is_empty());
    for body in ["", "x", &"y".repeat(100_000)] {
        let stored = response(body, "text/html", 1);
        put(store, &key, &stored).await;
        let found = get(store, &key).await;
        assert_eq!(found.len(), 1);
        assert!(read(&found[0]).await == stored, "{} bytes came back as others", body.len());
    }
}

async fn keys_share_nothing(store: &impl Store) {
    let keys = [
        key("shop", None, "http://a.test/"),
        key("blog", None, "http://a.test/"),
        key("shop", Some("default"), "http://a.test/"),
        key("shop", Some(""), "http://a.test/"),
        key("shop", None, "http://a.test/?"),
        key("shop", None, "https://a.test/"),
    ];
    for (at, key) in keys.iter().enumerate() {
        put(store, key, &response(&at.to_string(), "", 1)).await;
    }
    for (at, key) in keys.iter().enumerate() {
        assert_eq!(bodies(store, key).await, [at.to_string()], "{key:?}");
        assert!(store.delete(key).await.expect("delete"));
        assert!(get(store, key).await.is_empty());
    }
}

async fn variants_replace_their_like(store: &impl Store) {
    let key = key("shop", None, "http://a.test/");
    for (body, accept) in [("1", "html"), ("2", "json"), ("3", "html")] {
        put(store, &key, &response(body, accept, 1)).await;
    }
    assert_eq!(bodies(store, &key).await, ["2", "3"]);
}

async fn one_more_variant_displaces_the_oldest(store: &impl Store) {
    let key = key("shop", None, "http://a.test/");
    // The oldest is not the one that was put first.
    for at in 0..=VARIANTS_MAX as u64 {
        put(store, &key, &response(&at.to_string(), &at.to_string(), 100 - at)).await;
    }
    let found = bodies(store, &key).await;
    assert_eq!(found.len(), VARIANTS_MAX);
    let oldest = (VARIANTS_MAX - 1).to_string();
    assert!(found.iter().all(|body| *body != oldest));
}

async fn too_large_a_response_changes_nothing(store: &impl Store) {
    let key = key("shop", None, "http://a.test/");
    assert_eq!(store.body_bytes_max(), 100_000);
    put(store, &key, &response("old", "", 1)).await;
    let large = response(&"x".repeat(100_001), "", 2);
    let refused = store.put(key.clone(), large).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { bytes: 100_001, max: 100_000 })), "{refused:?}");
    assert_eq!(bodies(store, &key).await, ["old"]);
}

async fn stale_responses_are_found_too(store: &impl Store) {
    let key = key("shop", None, "http://a.test/");
    put(store, &key, &Stored { lifetime_s: 0, ..response("stale", "", 0) }).await;
    assert_eq!(bodies(store, &key).await, ["stale"]);
}

async fn deleted_responses_do_not_come_back(store: &impl Store) {
    let key = key("shop", None, "http://a.test/");
    assert!(!store.delete(&key).await.expect("delete"));
    for accept in ["a", "b"] {
        put(store, &key, &response("1", accept, 1)).await;
    }
    assert!(store.delete(&key).await.expect("delete"));
    assert!(!store.delete(&key).await.expect("delete"));
    assert!(get(store, &key).await.is_empty());
}

fn purge(what: Purged) -> Purge {
    Purge { app: "shop".into(), what, stale_at_ms: None, durable: false }
}

async fn a_purge_finds_what_it_is_about_and_nothing_else(store: &impl Store) {
    let names =
        ["http://a.test/", "http://a.test/x", "http://a.test/x device=mobile", "http://a.test/xy", "http://b/%"];
    let mine = |url: &str| key("shop", None, url);
    let other = key("blog", None, "http://a.test/x");
    for what in [
        Purged::Url("http://a.test/x".into()),
        Purged::Prefix("http://a.test/".into()),
        Purged::Prefix("http://b/%".into()),
        Purged::Tag("tag 3".into()),
        Purged::Tag("all".into()),
        Purged::Tag("nobody's".into()),
        Purged::All,
        Purged::Entry { cache: None, url: "http://a.test/x".into() },
    ] {
        for (at, url) in names.iter().enumerate() {
            put(store, &mine(url), &response(&at.to_string(), "a", 1)).await;
            put(store, &mine(url), &response("other variant", "b", 1)).await;
        }
        put(store, &other, &response("3", "a", 1)).await;
        let purge = purge(what);
        let (mut count, mut gone) = (0, 0);
        count += store.purge(&purge).await.expect("purge");
        for (at, url) in names.iter().enumerate() {
            for (body, tag) in
                [(at.to_string(), format!("tag {at}")), ("other variant".into(), "tag other vari".into())]
            {
                let tags = Tags::new(vec![tag.into(), "all".into()]);
                let hit = purge.hits_key(&mine(url)) && purge.hits_tags(&tags);
                gone += u64::from(hit);
                let found = bodies(store, &mine(url)).await.iter().any(|found| *found == body);
                assert_eq!(found, !hit, "{purge:?} {url} {body}");
            }
        }
        assert_eq!(count, gone, "{purge:?}");
        assert_eq!(bodies(store, &other).await, ["3"], "{purge:?} is about another app");
    }
}

async fn a_soft_purge_makes_stale(store: &impl Store) {
    let key = key("shop", None, "http://a.test/");
    put(store, &key, &response("1", "a", 1_000)).await;
    let purge = Purge { stale_at_ms: Some(11_000), ..purge(Purged::Tag("tag 1".into())) };
    assert_eq!(store.purge(&purge).await.expect("purge"), 1);
    let found = read(&get(store, &key).await[0]).await;
    assert_eq!(found, Stored { lifetime_s: 15, ..response("1", "a", 1_000) }, "it was 15 seconds old");
    assert!(!found.is_fresh(11_000) && found.stale_for_s(12_000) == 1);
}

async fn what_there_is_is_told(store: &impl Store) {
    assert_eq!(store.usage(None).await.expect("usage").memory.entries, 0);
    let named = key("shop", Some("c"), "http://a.test/x");
    let keys = [key("shop", None, "http://a.test/x"), key("shop", None, "http://a.test/x y"), named];
    for key in &keys {
        put(store, key, &response("1234567", "", 1)).await;
    }
    put(store, &key("shop", None, "http://a.test/xy"), &response("1", "", 1)).await;
    let mut found = store.keys("shop", "http://a.test/x").await.expect("keys");
    found.sort_by_key(|key| (key.cache.is_some(), key.url.len()));
    assert_eq!(found, keys);
    assert!(store.keys("blog", "http://a.test/x").await.expect("keys").is_empty());
    let usage = store.usage(Some("shop")).await.expect("usage");
    let amount = usage.disk.unwrap_or(usage.memory);
    assert!(amount.entries == 4 && amount.bytes >= 22, "{usage:?}");
    assert_eq!(store.usage(Some("blog")).await.expect("usage").memory.entries, 0);
}

#[derive(Debug, Clone)]
enum Step {
    Put(u8, u8),
    Get(u8),
    Delete(u8),
}

/// Far below the bounds a store has no reason to forget, but it may.
fn any_sequence_is_like_the_model<S: Store>(open: impl Fn() -> S) {
    let step = prop_oneof![
        (0..4u8, 0..3u8).prop_map(|(key, accept)| Step::Put(key, accept)),
        (0..4u8).prop_map(Step::Get),
        (0..4u8).prop_map(Step::Delete),
    ];
    random(prop::collection::vec(step, 0..60), |steps| {
        let store = open();
        let mut model: HashMap<(u8, u8), Bytes> = HashMap::new();
        let name = |at: u8| key("shop", None, &format!("http://a.test/{at}"));
        for (at, step) in steps.into_iter().enumerate() {
            match step {
                Step::Put(url, accept) => {
                    let stored = response(&at.to_string(), &accept.to_string(), at as u64);
                    block_on(put(&store, &name(url), &stored));
                    model.insert((url, accept), at.to_string().into());
                }
                Step::Get(url) => {
                    for found in block_on(bodies(&store, &name(url))) {
                        let known = model.iter().any(|((u, _), body)| *u == url && *body == found);
                        prop_assert!(known, "{found:?} was not there to be found");
                    }
                }
                Step::Delete(url) => {
                    let found = block_on(store.delete(&name(url))).expect("delete");
                    let known = model.keys().any(|(u, _)| *u == url);
                    prop_assert!(known || !found, "deleted what was not there");
                    model.retain(|(u, _), _| *u != url);
                }
            }
        }
        Ok(())
    });
}

fn random<S: Strategy>(strategy: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>)
where
    S::Value: Debug,
{
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    if let Err(failure) = TestRunner::new(config).run(&strategy, test) {
        panic!("{failure}");
    }
}
