use std::future::Future as _;
use std::task::Waker;

use http::{HeaderValue, header};

use super::*;

fn link(to: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(header::LINK, HeaderValue::from_static(to))])
}

fn written(line: &Line) -> String {
    let (mut stream, mut cx) = (Vec::new(), Context::from_waker(Waker::noop()));
    assert!(matches!(line.poll_write(&mut stream, &mut cx), Poll::Ready(Ok(()))));
    String::from_utf8(stream).expect("text")
}

/// Takes a few bytes at a time, and none in between.
struct Narrow(Vec<u8>, bool);

impl AsyncWrite for Narrow {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.1 = !self.1;
        if self.1 {
            return Poll::Pending;
        }
        let some = bytes.len().min(7);
        self.0.extend_from_slice(&bytes[..some]);
        Poll::Ready(Ok(some))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn what_is_said_before_the_answer_is_written_whole_and_in_order() {
    let line = Arc::<Line>::default();
    let interim = line.begin(1);
    interim.pass(StatusCode::PROCESSING, &HeaderMap::new());
    interim.pass(StatusCode::EARLY_HINTS, &link("</a.css>; rel=preload"));
    let whole = "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n";
    let (mut stream, mut cx) = (Narrow(Vec::new(), false), Context::from_waker(Waker::noop()));
    let mut ended = Box::pin(line.end());
    assert!(ended.as_mut().poll(&mut cx).is_pending(), "the answer waits");
    while line.poll_write(&mut stream, &mut cx).is_pending() {
        assert_eq!(line.is_begun(), !stream.0.is_empty() && !stream.0.ends_with(b"\r\n\r\n"));
    }
    assert_eq!(String::from_utf8(stream.0).expect("text"), whole);
    assert!(ended.as_mut().poll(&mut cx).is_ready() && !line.is_begun());
}

#[test]
fn what_comes_late_or_for_another_request_goes_nowhere() {
    let line = Arc::<Line>::default();
    let first = line.begin(1);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Box::pin(line.end()).as_mut().poll(&mut cx).is_ready(), "there is nothing to wait for");
    first.pass(StatusCode::EARLY_HINTS, &link("</late>"));
    line.begin(2);
    first.pass(StatusCode::EARLY_HINTS, &link("</late>"));
    assert!(!line.waits());
    assert_eq!(written(&line), "");
}

#[test]
fn only_what_is_for_the_client_passes_and_no_more_than_it_may() {
    let line = Arc::<Line>::default();
    let interim = line.begin(1);
    interim.pass(StatusCode::CONTINUE, &HeaderMap::new());
    interim.pass(StatusCode::SWITCHING_PROTOCOLS, &HeaderMap::new());
    interim.pass(StatusCode::OK, &HeaderMap::new());
    let large = HeaderValue::try_from("x".repeat(HEAD_BYTES_MAX)).expect("a value");
    interim.pass(StatusCode::EARLY_HINTS, &HeaderMap::from_iter([(header::LINK, large)]));
    assert!(!line.waits());
    let mut fields = link("</a>");
    fields.insert(header::CONNECTION, HeaderValue::from_static("x-own"));
    fields.insert("x-own", HeaderValue::from_static("1"));
    interim.pass(StatusCode::EARLY_HINTS, &fields);
    assert_eq!(written(&line), "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
    (0..2 * WAITING_MAX).for_each(|_| interim.pass(StatusCode::PROCESSING, &HeaderMap::new()));
    assert_eq!(written(&line).matches("102").count(), WAITING_MAX);
}
