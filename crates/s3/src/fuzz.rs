//! What a client of S3 sends, fed with nonsense: see `testkit::fuzz`.

use base::Body;
use bytes::Bytes;
use http_body::Frame;
use http_body_util::StreamBody;
use services::blob::Trailer;
use testkit::fuzz::Fuzz;

use crate::chunked::{Content, Framing};
use crate::request::Asked;
use crate::sigv4::{Canonical, Credential};
use crate::tests::block_on;
use crate::{date, operation, xml};

const CHUNK_WORDS: [&str; 10] = [
    "\r\n",
    "0\r\n",
    ";chunk-signature=",
    "5\r\nhello\r\n",
    "x-amz-checksum-crc32:",
    "ffffffff",
    "\r\n\r\n",
    ";",
    ":",
    "=",
];

fn read(bytes: &[u8], size: usize) -> Result<Bytes, &'static str> {
    let frames: Vec<_> = bytes.chunks(size).map(|c| Ok(Frame::data(Bytes::copy_from_slice(c)))).collect();
    let body = Body::stream(StreamBody::new(futures_util::stream::iter(frames)));
    let framing = Framing { signing: None, trailers: true };
    block_on(Content::wrap(body, framing, Trailer::default()).collect(1 << 20)).map_err(|error| error.code.name)
}

/// Chunks are read the same in one piece and in many.
#[test]
fn s3_chunks() {
    let seeds = [
        "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n",
        "0\r\n\r\n",
        "a;chunk-signature=00\r\n0123456789\r\n0\r\n\r\n",
    ];
    Fuzz::new("s3-chunks").seeds(seeds).words(&CHUNK_WORDS).run(|input| {
        let whole = read(input, input.len().max(1));
        // What follows the last chunk is seen if it comes with it.
        if let Ok(content) = &whole {
            assert_eq!(read(input, 1).as_ref(), Ok(content));
        }
        whole.map(|content| content.len())
    });
}

const REQUEST_WORDS: [&str; 16] = [
    "/bucket/key",
    "?",
    "&",
    "=",
    "%2F",
    "%00",
    "uploadId",
    "versionId",
    "X-Amz-Credential",
    "aws4_request",
    "/",
    "<Delete><Object><Key>",
    "</Key></Object></Delete>",
    "<!DOCTYPE a [",
    "&amp;",
    "20130524T000000Z",
];

/// Targets, credentials, dates and documents are read or refused.
#[test]
fn s3_request() {
    let seeds = [
        "/bucket/a%20b?list-type=2&prefix=a",
        "KEY/20130524/us-east-1/s3/aws4_request",
        "2013-05-24T00:00:00.000Z",
        "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
        "<Delete><Object><Key>a</Key></Object><Quiet>true</Quiet></Delete>",
    ];
    Fuzz::new("s3-request").seeds(seeds).words(&REQUEST_WORDS).run(|input| {
        let text = String::from_utf8_lossy(input).into_owned();
        let mut came_to = Vec::new();
        if let Ok(request) = http::Request::get(&text).header("host", &text).body(()) {
            let asked = Asked::read(request.into_parts().0, &["localhost".into()]);
            if let Ok(asked) = &asked {
                let canonical = Canonical {
                    method: "GET",
                    path: &asked.path,
                    query: &asked.query,
                    headers: &asked.headers,
                    signed: &["host".to_owned()],
                    payload: "",
                };
                canonical.text();
            }
            came_to.push(asked.map_or_else(|error| error.name, |_| "request"));
        }
        came_to.extend(Credential::parse(&text).map(|_| "credential"));
        came_to.extend(date::parse_basic(&text).or(date::parse_extended(&text)).map(|_| "date"));
        came_to.push(operation::read_tagging(input).map_or_else(|error| error.name, |_| "tags"));
        let keys = xml::read(input, "Delete", |root| Ok(xml::all(root, "Object").count()));
        came_to.push(keys.map_or_else(|error| error.name, |_| "keys"));
        came_to
    });
}
