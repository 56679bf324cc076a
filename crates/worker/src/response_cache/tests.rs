use cache::{MemoryStore, MemoryStoreLimits};
use futures_util::{FutureExt as _, StreamExt as _};
use http::{StatusCode, header};

use super::*;

fn open(change: impl FnOnce(&mut NodeLimits)) -> ResponseCache {
    let mut limits = NodeLimits::default();
    change(&mut limits);
    let store = MemoryStore::new(MemoryStoreLimits::from(&limits));
    ResponseCache::new(Arc::new(store), &limits)
}

fn scope(app: &str, now_ms: u64) -> CacheScope {
    CacheScope { app: app.into(), now_ms }
}

fn request(url: &str) -> CacheRequest {
    CacheRequest { cache: None, method: Method::GET, url: url.into(), headers: HeaderMap::new() }
}

fn response(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
    response
}

fn put(cache: &ResponseCache, scope: &CacheScope, request: &CacheRequest, response: Response) -> Put {
    cache.put(scope, request, response).now_or_never().expect("at once").expect("put")
}

fn found(cache: &ResponseCache, scope: &CacheScope, request: &CacheRequest) -> Option<Bytes> {
    let response = cache.lookup(scope, request).now_or_never().expect("at once").expect("lookup")?;
    Some(response.into_body().collect(100 << 20).now_or_never().expect("at once").expect("the body"))
}

#[test]
fn an_app_finds_its_own_responses_until_they_are_stale() {
    let cache = open(|_| {});
    let (shop, url) = (scope("shop", 1_000), request("http://a.test/#top"));
    assert_eq!(found(&cache, &shop, &url), None);
    assert_eq!(put(&cache, &shop, &url, response(Body::full("hello"))), Put::Stored);
    assert_eq!(found(&cache, &shop, &request("http://a.test/")).unwrap(), "hello");
    assert_eq!(found(&cache, &scope("blog", 1_000), &url), None, "another app");
    let named = CacheRequest { cache: Some("default".into()), ..url.clone() };
    assert_eq!(found(&cache, &shop, &named), None, "another cache");
    assert_eq!(found(&cache, &shop, &CacheRequest { method: Method::HEAD, ..url.clone() }), None);
    assert!(found(&cache, &scope("shop", 60_999), &url).is_some());
    assert_eq!(found(&cache, &scope("shop", 61_000), &url), None, "stale");
    assert!(cache.delete(&shop, &url).now_or_never().unwrap().unwrap());
    assert!(!cache.delete(&shop, &url).now_or_never().unwrap().unwrap());
}

#[test]
fn what_can_not_be_stored_is_said() {
    let cache = open(|limits| {
        limits.cache_entry_bytes = 10;
        limits.cache_key_bytes = 50;
    });
    let (shop, url) = (scope("shop", 0), request("http://a.test/"));
    let mut partial = response(Body::full("x"));
    *partial.status_mut() = StatusCode::PARTIAL_CONTENT;
    assert_eq!(put(&cache, &shop, &url, partial), Put::Refused(Refusal::Partial));
    let skipped = |request: &CacheRequest, response| match put(&cache, &shop, request, response) {
        Put::Skipped(why) => why,
        other => panic!("{other:?}"),
    };
    let mut private = response(Body::full("x"));
    private.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private"));
    assert!(skipped(&url, private).contains("private"));
    assert!(skipped(&url, response(Body::full("12345678901"))).contains("cache_entry_bytes"));
    let pieces = stream::iter((0..3).map(|_| Ok(Frame::data(Bytes::from_static(b"12345")))));
    assert!(skipped(&url, response(Body::stream(StreamBody::new(pieces)))).contains("cache_entry_bytes"));
    let long = request(&format!("http://a.test/{}", "x".repeat(50)));
    assert!(skipped(&long, response(Body::full("x"))).contains("cache_key_bytes"));
    assert_eq!(cache.filling.load(Ordering::Relaxed), 0);
}

#[test]
fn a_body_that_fails_is_not_stored() {
    let cache = open(|_| {});
    let (shop, url) = (scope("shop", 0), request("http://a.test/"));
    let pieces = stream::iter([Ok(Frame::data(Bytes::from_static(b"half"))), Err(BodyError::gone())]);
    let failed = cache.put(&shop, &url, response(Body::stream(StreamBody::new(pieces)))).now_or_never().unwrap();
    assert_eq!(failed.unwrap_err().code.name, "client_gone");
    assert_eq!(found(&cache, &shop, &url), None);
}

#[test]
fn bodies_on_their_way_in_are_bounded_together() {
    let cache = open(|limits| limits.cache_filling_bytes = 100);
    let (shop, url) = (scope("shop", 0), request("http://a.test/"));
    let endless = stream::iter([Ok(Frame::data(Bytes::from(vec![0; 80])))]).chain(stream::pending());
    let mut first = Box::pin(cache.put(&shop, &url, response(Body::stream(StreamBody::new(endless)))));
    assert!(first.as_mut().now_or_never().is_none());
    let second = put(&cache, &shop, &url, response(Body::full(vec![0; 30])));
    assert!(matches!(second, Put::Skipped(why) if why.contains("cache_filling_bytes")));
    drop(first);
    assert_eq!(put(&cache, &shop, &url, response(Body::full(vec![0; 30]))), Put::Stored);
}

#[test]
fn a_large_body_comes_in_pieces() {
    let cache = open(|_| {});
    let (shop, url) = (scope("shop", 0), request("http://a.test/"));
    let large = Bytes::from(vec![7; 200_000]);
    put(&cache, &shop, &url, response(Body::full(large.clone())));
    let mut answer = cache.lookup(&shop, &url).now_or_never().unwrap().unwrap().unwrap();
    assert_eq!(answer.headers()[STATUS], "HIT");
    assert!(answer.body_mut().take_whole().is_none());
    assert_eq!(found(&cache, &shop, &url).unwrap(), large);
}
