use base::{Body, code};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use http_body_util::StreamBody;
use services::blob::{Algorithm, Trailer};

use crate::chunked::{Chain, Content, Framing};
use crate::date;
use crate::request::Asked;
use crate::sigv4::{Canonical, Credential, EMPTY_SHA256, SigningKey, UNSIGNED, string_to_sign};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const AMZ_DATE: &str = "20130524T000000Z";

fn credential() -> Credential {
    Credential::parse("AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request").expect("a credential")
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value))).collect()
}

/// The examples of the S3 API reference.
#[test]
fn signatures_are_those_of_the_reference() {
    let key = SigningKey::derive(SECRET, &credential());
    let headers = headers(&[
        ("host", "examplebucket.s3.amazonaws.com"),
        ("range", "bytes=0-9"),
        ("x-amz-content-sha256", EMPTY_SHA256),
        ("x-amz-date", AMZ_DATE),
    ]);
    let signed: Vec<String> = ["host", "range", "x-amz-content-sha256", "x-amz-date"].map(str::to_owned).into();
    let request = Canonical {
        method: "GET",
        path: "/test.txt",
        query: &[],
        headers: &headers,
        signed: &signed,
        payload: EMPTY_SHA256,
    };
    let text = string_to_sign(AMZ_DATE, &credential(), &request.text());
    assert_eq!(key.sign(&text), "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    assert!(key.verify(&text, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"));
    assert!(!key.verify(&text, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb42"));
    assert!(!key.verify(&text, "not hexadecimal"));
    let query: Vec<(String, String)> = [
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"),
        ("X-Amz-Date", AMZ_DATE),
        ("X-Amz-Expires", "86400"),
        ("X-Amz-SignedHeaders", "host"),
        ("X-Amz-Signature", "is no part of what is signed"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let presigned = Canonical { query: &query, signed: &["host".to_owned()], payload: UNSIGNED, ..request };
    let text = string_to_sign(AMZ_DATE, &credential(), &presigned.text());
    assert_eq!(key.sign(&text), "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

#[test]
fn credentials_have_five_parts() {
    for bad in ["", "a/20130524/us-east-1/s3", "a/2013/us-east-1/s3/aws4_request", "/20130524/r/s3/aws4_request"] {
        assert_eq!(Credential::parse(bad), None, "{bad}");
    }
    assert_eq!(credential().scope(), "20130524/us-east-1/s3/aws4_request");
}

fn framing(signed: bool, trailers: bool) -> Framing {
    let signing = signed.then(|| Chain {
        key: SigningKey::derive(SECRET, &credential()),
        amz_date: AMZ_DATE.into(),
        scope: credential().scope(),
        previous: "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9".into(),
    });
    Framing { signing, trailers }
}

/// A body in pieces of so many bytes.
fn pieces(bytes: &[u8], size: usize) -> Body {
    let frames: Vec<_> = bytes.chunks(size).map(|c| Ok(Frame::data(Bytes::copy_from_slice(c)))).collect();
    Body::stream(StreamBody::new(futures_util::stream::iter(frames)))
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime without drivers needs nothing").block_on(future)
}

fn read(bytes: &[u8], size: usize, framing: Framing) -> Result<(Bytes, Trailer), &'static str> {
    let trailer = Trailer::default();
    let body = Content::wrap(pieces(bytes, size), framing, trailer.clone());
    let content = block_on(body.collect(1 << 20)).map_err(|error| error.code.name)?;
    Ok((content, trailer))
}

fn reference_chunks() -> Vec<u8> {
    let mut body = Vec::new();
    let chunks = [
        (65_536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
        (1_024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
        (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
    ];
    for (size, signature) in chunks {
        body.extend_from_slice(format!("{size:x};chunk-signature={signature}\r\n").as_bytes());
        body.extend(std::iter::repeat_n(b'a', size));
        body.extend_from_slice(b"\r\n");
    }
    body
}

#[test]
fn signed_chunks_are_those_of_the_reference() {
    let body = reference_chunks();
    for size in [1, 7, 1_000, body.len()] {
        let (content, _) = read(&body, size, framing(true, false)).expect("the chunks are right");
        assert_eq!(content, vec![b'a'; 66_560]);
    }
    for at in [90, 66_000] {
        let mut changed = body.clone();
        changed[at] = b'b';
        assert_eq!(read(&changed, 1_000, framing(true, false)).err(), Some(code::S3_SIGNATURE.name));
    }
    for cut in [1, 50, 100, 65_000, body.len() - 90, body.len() - 3] {
        let failed = read(&body[..cut], 1_000, framing(true, false)).err();
        assert_eq!(failed, Some(code::BLOB_LENGTH.name), "cut at {cut}");
    }
}

#[test]
fn trailers_bring_checksums() {
    let body = b"5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n";
    for size in [1, 3, body.len()] {
        let (content, trailer) = read(body, size, framing(false, true)).expect("it is well-formed");
        assert_eq!(content, "hello world");
        assert_eq!(trailer.get(), Some(&Algorithm::Crc32.of(b"hello world")));
    }
    let bad: [(&[u8], &str); 5] = [
        (b"5\r\nhello!\r\n0\r\n\r\n", code::S3_BAD_REQUEST.name),
        (b"x\r\nhello\r\n0\r\n\r\n", code::S3_BAD_REQUEST.name),
        (b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:!\r\n\r\n", code::BLOB_DIGEST.name),
        (b"5\r\nhello\r\n0\r\n", code::BLOB_LENGTH.name),
        (b"ffffffffffffffffff\r\nhello", code::S3_BAD_REQUEST.name),
    ];
    for (body, expected) in bad {
        assert_eq!(read(body, 4, framing(false, true)).err(), Some(expected), "{}", String::from_utf8_lossy(body));
    }
    let endless = vec![b'1'; 5_000];
    assert_eq!(read(&endless, 100, framing(false, true)).err(), Some(code::S3_BAD_REQUEST.name));
}

#[test]
fn dates_go_both_ways() {
    for (basic, unix_s) in
        [("19700101T000000Z", 0), ("20130524T000000Z", 1_369_353_600), ("20000229T235959Z", 951_868_799)]
    {
        assert_eq!(date::parse_basic(basic), Some(unix_s), "{basic}");
        assert_eq!(date::basic(unix_s), basic);
        let extended = date::extended(unix_s * 1_000 + 7);
        assert_eq!(date::parse_extended(&extended), Some(unix_s), "{extended}");
    }
    for bad in ["", "20130524T000000", "20131324T000000Z", "20130524T250000Z", "20130524 000000Z", "2013é524T000000"] {
        assert_eq!(date::parse_basic(bad), None, "{bad}");
    }
    assert_eq!(date::parse_extended("2013-05-24"), Some(1_369_353_600));
}

#[test]
fn buckets_stand_in_the_path_or_in_the_host() {
    let check = |host: &str, uri: &str, expect: (Option<&str>, Option<&str>)| {
        let request = http::Request::get(uri).header("host", host).body(()).expect("a request");
        let asked = Asked::read(request.into_parts().0, &["s3.example.com".into(), "localhost".into()]);
        let asked = asked.expect("it reads");
        assert_eq!((asked.bucket.as_deref(), asked.key.as_deref()), expect, "{host}{uri}");
    };
    check("s3.example.com", "/", (None, None));
    check("s3.example.com", "/images", (Some("images"), None));
    check("s3.example.com", "/images/a/b%20c", (Some("images"), Some("a/b c")));
    check("images.s3.example.com", "/a/b", (Some("images"), Some("a/b")));
    check("images.localhost:8789", "/", (Some("images"), None));
    check("127.0.0.1:8789", "/images//x", (Some("images"), Some("/x")));
}
