use std::io::Read as _;
use std::task::Waker;

use futures_util::FutureExt as _;
use http::HeaderValue;
use http_body_util::BodyExt as _;
use tokio::sync::mpsc;

use super::*;

fn text(bytes: usize) -> Vec<u8> {
    (0..).flat_map(|line: u32| format!("line {line} of a page\n").into_bytes()).take(bytes).collect()
}

fn decoded(bytes: &[u8], coding: Coding) -> Vec<u8> {
    let mut whole = Vec::new();
    // What a pause flushed is read as far as it goes.
    let _ = match coding {
        Coding::Brotli => brotli::Decompressor::new(bytes, 4_096).read_to_end(&mut whole),
        Coding::Zstd => zstd::stream::read::Decoder::new(bytes).expect("a decoder").read_to_end(&mut whole),
        Coding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut whole),
    };
    whole
}

fn page(body: Body, change: impl FnOnce(&mut Response<Body>)) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response.headers_mut().insert(header::ETAG, HeaderValue::from_static("\"a\""));
    change(&mut response);
    response
}

fn encoding(response: &Response<Body>) -> Option<&str> {
    response.headers().get(header::CONTENT_ENCODING)?.to_str().ok()
}

/// A body that comes as it is sent.
struct Channel(mpsc::UnboundedReceiver<Bytes>);

impl HttpBody for Channel {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

#[tokio::test]
async fn every_coding_gives_the_same_body_back_whole_or_as_a_stream() {
    for coding in Coding::ALL {
        for bytes in [2_000, 60_000, 700_000] {
            let plain = text(bytes);
            let mut response = page(Body::full(plain.clone()), |_| {});
            answer(&mut response, Some(coding), &Streams::new(1), None);
            assert_eq!(encoding(&response), Some(coding.token()));
            assert_eq!(response.headers()[header::ETAG], "W/\"a\"");
            assert_eq!(response.headers()[header::VARY], "Accept-Encoding");
            let made = response.into_body().collect(usize::MAX).await.expect("a body");
            assert!(made.len() < bytes / 2);
            assert_eq!(decoded(&made, coding), plain, "{coding:?} {bytes}");
        }
    }
}

#[tokio::test]
async fn what_a_source_sent_before_it_pauses_arrives() {
    for coding in Coding::ALL {
        let (pieces, body) = mpsc::unbounded_channel();
        let mut response = page(Body::stream(Channel(body)), |_| {});
        answer(&mut response, Some(coding), &Streams::new(1), None);
        let mut body = response.into_body();
        let mut got = Vec::new();
        for piece in ["first", ", second", ", third"] {
            pieces.send(Bytes::from(piece)).expect("a reader");
            while let Some(Some(frame)) = body.frame().now_or_never() {
                got.extend_from_slice(&frame.expect("a frame").into_data().expect("data"));
            }
            assert!(decoded(&got, coding).ends_with(piece.as_bytes()), "{coding:?} {piece}");
        }
        drop(pieces);
        let rest = body.collect(usize::MAX).await.expect("the rest");
        got.extend_from_slice(&rest);
        assert_eq!(decoded(&got, coding), b"first, second, third");
    }
}

#[test]
fn what_gains_nothing_or_may_not_be_changed_stays_as_it_is() {
    let insert = |name, value: &'static str| {
        move |response: &mut Response<Body>| {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
    };
    let long = || Body::full(text(5_000));
    let cases = [
        page(Body::full(text(500)), |_| {}),
        page(long(), insert(header::CONTENT_ENCODING, "gzip")),
        page(long(), insert(header::CACHE_CONTROL, "public, no-transform")),
        page(long(), insert(header::CONTENT_TYPE, "image/png")),
        page(long(), insert(header::CONTENT_TYPE, "text/event-stream")),
        page(long(), insert(header::CONTENT_RANGE, "bytes 0-4999/9000")),
        page(long(), |response| *response.status_mut() = StatusCode::PARTIAL_CONTENT),
    ];
    for mut response in cases {
        let before = response.headers().clone();
        answer(&mut response, Some(Coding::Gzip), &Streams::new(1), None);
        assert_eq!(*response.headers(), before);
    }
    // It would be compressed for another client.
    let mut response = page(long(), |_| {});
    answer(&mut response, None, &Streams::new(1), None);
    assert_eq!((encoding(&response), response.headers()[header::VARY].to_str().ok()), (None, Some("Accept-Encoding")));
}

#[test]
fn no_more_bodies_are_compressed_at_a_time_than_is_allowed() {
    let streams = Streams::new(1);
    let large = || page(Body::full(text(500_000)), |_| {});
    let (mut first, mut second, mut third) = (large(), large(), large());
    answer(&mut first, Some(Coding::Zstd), &streams, None);
    answer(&mut second, Some(Coding::Zstd), &streams, None);
    drop(first);
    answer(&mut third, Some(Coding::Zstd), &streams, None);
    assert_eq!((encoding(&second), encoding(&third)), (None, Some("zstd")));
}

#[test]
fn a_file_is_compressed_once() {
    let kept = Kept::default();
    let once = |body: Vec<u8>| {
        let mut response = page(Body::full(body), |_| {});
        answer(&mut response, Some(Coding::Brotli), &Streams::new(0), Some((&kept, 100_000)));
        response.into_body().whole().expect("a whole body").to_vec()
    };
    let first = once(text(200_000));
    // The tag is the content's: what lies there answers.
    assert_eq!(once(text(3_000)), first);
    assert_eq!(kept.0.borrow().files.len(), 1);
}

#[test]
fn a_large_body_gives_way_to_others() {
    let mut response = page(Body::full(text(2_000_000)), |_| {});
    answer(&mut response, Some(Coding::Gzip), &Streams::new(1), None);
    let mut body = response.into_body();
    let mut cx = Context::from_waker(Waker::noop());
    let mut pauses = 0;
    loop {
        match Pin::new(&mut body).poll_frame(&mut cx) {
            Poll::Pending => pauses += 1,
            Poll::Ready(Some(frame)) => assert!(frame.is_ok()),
            Poll::Ready(None) => break,
        }
    }
    assert!(pauses >= 10, "{pauses}");
}
