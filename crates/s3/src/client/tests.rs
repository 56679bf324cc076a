use std::sync::Arc;

use base::{AppName, Body, NodeLimits, ResourceName, SystemRng, TenantName};
use http::StatusCode;
use services::AppId;
use services::access_key::{AccessKeyStore as _, Grant};
use services::blob::{BlobLimits, Blobs as _};
use services::memory::{MemoryAccessKeys, MemoryBlobs};
use testkit::ManualClock;

use super::*;
use crate::tests::block_on;
use crate::{Parts, S3};

/// The server of this crate, and a bucket of it as somebody else's.
struct Served {
    s3: S3,
    bucket: Bucket,
    clock: Arc<ManualClock>,
}

impl Served {
    fn new() -> Self {
        let clock = ManualClock::new();
        let (keys, blobs) =
            (MemoryAccessKeys::new(clock.clone()), MemoryBlobs::new(clock.clone(), BlobLimits::default()));
        let (tenant, app) = (TenantName::parse("local"), AppName::parse("shop"));
        let app = AppId::new(tenant.expect("a name"), app.expect("a name"));
        let (key, secret) = block_on(keys.create(&app, Grant::all())).expect("made");
        let named = services::blob::Bucket::new(
            app.tenant.clone(),
            app.app.clone(),
            ResourceName::parse("past").expect("a name"),
        );
        block_on(blobs.create_bucket(&named)).expect("made");
        let parts = Parts {
            blobs: Arc::new(blobs),
            keys: Arc::new(keys),
            clock: clock.clone(),
            rng: Arc::new(SystemRng),
            limits: NodeLimits::default(),
            hosts: vec!["127.0.0.1".into()],
        };
        let bucket = Bucket {
            scheme: "http".into(),
            host: "127.0.0.1:8789".into(),
            name: "past".into(),
            region: "us-east-1".into(),
            access_key: key.id,
            secret,
        };
        Self { s3: S3::new(parts), bucket, clock }
    }

    fn send(&self, ask: &Ask) -> (StatusCode, HeaderMap, Bytes) {
        let signed = self.bucket.sign(ask, base::Clock::unix_ms(&*self.clock) / 1_000);
        let mut request = http::Request::new(Body::full(ask.body.clone()));
        *request.method_mut() = ask.method.clone();
        *request.uri_mut() = signed.url.parse().expect("a URL");
        *request.headers_mut() = signed.headers;
        let (head, body) = block_on(self.s3.respond(request)).into_parts();
        (head.status, head.headers, block_on(body.collect(1 << 24)).expect("a body"))
    }

    fn expect(&self, status: u16, ask: &Ask) -> Bytes {
        let (found, _, body) = self.send(ask);
        assert_eq!(found, status, "{ask:?}: {}", String::from_utf8_lossy(&body));
        body
    }
}

#[test]
fn what_is_signed_is_what_a_server_of_the_protocol_takes() {
    let served = Served::new();
    // Whatever a key holds, in the path and in a query.
    for key in ["0a/sql/local/shop/main.db/1.ltx", "a b+c%20&d=e/ü~*'()", "x"] {
        served.expect(200, &Ask::new(Method::PUT, key).body(key.to_owned()));
        assert_eq!(served.expect(200, &Ask::new(Method::GET, key)), key.as_bytes());
        let page = read_page(&served.expect(200, &list(key, None))).expect("a page");
        assert_eq!(page, Page { keys: vec![(key.to_owned(), key.len() as u64)], next: None });
        let part = |range| served.expect(206, &Ask { range: Some(range), ..Ask::new(Method::GET, key) });
        assert_eq!((&part((0, Some(1)))[..], &part((0, None))[..]), (&key.as_bytes()[..1], key.as_bytes()));
        served.expect(204, &Ask::new(Method::DELETE, key));
        served.expect(404, &Ask::new(Method::GET, key));
    }
    let signed = served.bucket.sign(&Ask::new(Method::PUT, "x").body("one"), 0);
    assert!(format!("{:?}", signed.headers).contains("Sensitive"), "a log has no signature");
}

#[test]
fn a_listing_has_pages() {
    let served = Served::new();
    for n in 0..1_005 {
        served.expect(200, &Ask::new(Method::PUT, &format!("a/{n:04}")));
    }
    served.expect(200, &Ask::new(Method::PUT, "b/1"));
    let first = read_page(&served.expect(200, &list("a/", None))).expect("a page");
    assert_eq!(first.keys.len(), 1_000);
    let rest = read_page(&served.expect(200, &list("a/", first.next.as_deref()))).expect("a page");
    assert_eq!((rest.keys.len(), rest.next), (5, None));
}

#[test]
fn what_is_large_goes_in_parts() {
    let served = Served::new();
    let begun = served.expect(200, &Ask::new(Method::POST, "large").query("uploads", ""));
    let upload = read_upload(&begun).expect("an id");
    let mut etags = Vec::new();
    for (number, content) in [("1", vec![1; 5 << 20]), ("2", vec![2; 3])] {
        let part = Ask::new(Method::PUT, "large").query("partNumber", number).query("uploadId", &upload);
        let (status, headers, _) = served.send(&part.body(content));
        assert_eq!(status, 200);
        etags.push(headers["etag"].to_str().expect("a text").to_owned());
    }
    let done = served.expect(200, &complete("large", &upload, &etags));
    assert_eq!(refusal(&done), None);
    assert_eq!(served.expect(200, &Ask::new(Method::GET, "large")).len(), (5 << 20) + 3);
}

#[test]
fn a_refusal_says_why() {
    let mut served = Served::new();
    let gone = served.expect(404, &Ask::new(Method::GET, "none"));
    assert_eq!(refusal(&gone).map(|refused| refused.code).as_deref(), Some("NoSuchKey"));
    served.bucket.secret = Secret::new("another".into());
    let denied = served.expect(403, &Ask::new(Method::GET, "none"));
    assert_eq!(refusal(&denied).map(|refused| refused.code).as_deref(), Some("SignatureDoesNotMatch"));
    assert_eq!(refusal(b"<html>a proxy</html>"), None);
    for foreign in [&b"no document"[..], b"\xff", b"<Other/>", b"<ListBucketResult><Contents/></ListBucketResult>"] {
        assert!(read_page(foreign).is_err());
    }
    assert!(read_page(b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>").is_err());
}
