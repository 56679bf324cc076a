//! Canned responses from a real socket, and the decoder of chunks on its own.

use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use tokio::net::TcpListener;
use url::Url;

use super::super::tests::{allow, connector, run};
use super::super::{ExchangeError, Peer, PeerOptions, PeerTimes};
use super::*;

/// Serves connections one after the other: each request gets the next response, and who closes after it.
async fn canned(responses: &'static [(&'static str, bool)]) -> (Arc<Peer>, tokio::task::JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    let serving = tokio::spawn(async move {
        let (mut left, mut connections) = (responses.iter(), 0);
        while left.len() > 0 {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            connections += 1;
            let (mut text, mut byte) = (Vec::new(), [0]);
            while matches!(stream.read(&mut byte).await, Ok(1)) {
                text.push(byte[0]);
                if !text.ends_with(b"\r\n\r\n") {
                    continue;
                }
                text.clear();
                let Some((response, close)) = left.next() else { break };
                stream.write_all(response.as_bytes()).await.expect("written");
                if *close {
                    break;
                }
            }
        }
        connections
    });
    let long = Duration::from_secs(30);
    let options = PeerOptions {
        url: Url::parse(&url).expect("a URL"),
        h2c: false,
        check: allow(),
        times: PeerTimes { connect: long, tls: long, first_byte: long },
        head_bytes: 16 << 10,
        idle: long,
        idle_per_core: 8,
        age: None,
        requests: None,
        ca: None,
        server_name: None,
        certificate: None,
    };
    (Peer::new(connector(5_000), options).expect("a peer"), serving)
}

async fn ask(peer: &Peer, method: Method) -> Result<Response<Body>, ExchangeError> {
    let asked = peer.exchange(method, PathAndQuery::from_static("/x"), HeaderMap::new(), Body::empty());
    asked.await.map_err(|undone| undone.error)
}

/// The body, and with what it was told; or what went wrong.
async fn told(response: Result<Response<Body>, ExchangeError>) -> String {
    match response {
        Err(error) => error.to_string().split(": ").skip(1).collect::<Vec<_>>().join(": "),
        Ok(response) => match response.into_body().collect(1 << 20).await {
            Ok(body) => String::from_utf8_lossy(&body).into_owned(),
            Err(error) => error.detail,
        },
    }
}

#[test]
fn a_response_has_one_end_or_none() {
    const CASES: &[((&str, bool), &str)] = &[
        (("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", false), "abc"),
        (("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false), ""),
        (("HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc", false), "abc"),
        (("HTTP/1.1 204 No Content\r\n\r\n", false), ""),
        (("HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", false), ""),
        (("HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na", false), "a"),
        (("HTTP/1.1 200 OK\r\n\r\nto the end", true), "to the end"),
        (("HTTP/1.0 200 OK\r\n\r\nto the end", true), "to the end"),
        (("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n", false), "abcde"),
        (("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-t: 1\r\n\r\n", false), ""),
        (("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab", true), "the response broke off: the connection was closed"),
        (
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab", true),
            "the response broke off: the connection was closed",
        ),
        (
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc", true),
            "the response broke off: a chunk is longer than its size",
        ),
        (
            ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc", false),
            "Content-Length is not one number of bytes",
        ),
        (("HTTP/1.1 200 OK\r\ncontent-length: +3\r\n\r\nabc", false), "Content-Length is not one number of bytes"),
        (
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\n\r\nabc", false),
            "the response has a transfer coding that is not known",
        ),
        (
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\nabc", false),
            "the response has a transfer coding that is not known",
        ),
        (
            ("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", false),
            "the server changes to a protocol that nobody asked for",
        ),
        (("HTTP/1.1 200 OK\r\nx: 1\r\n", true), "the connection was closed before the head was whole"),
        (("hello\r\n\r\n", false), "the head can't be read: invalid HTTP version"),
        (("HTTP/1.1 200 OK\r\nno field\r\n\r\n", false), "the head can't be read: invalid header name"),
    ];
    for ((response, closes), expect) in CASES {
        let responses: &'static [_] = vec![(*response, *closes)].leak();
        run(async {
            let (peer, _serving) = canned(responses).await;
            assert_eq!(told(ask(&peer, Method::GET).await).await, *expect, "{response:?}");
        });
    }
}

#[test]
fn a_head_that_does_not_end_is_given_up() {
    let head = format!("HTTP/1.1 200 OK\r\n{}", "x: y\r\n".repeat(4_000));
    let responses: &'static [_] = vec![(&*head.leak(), false)].leak();
    run(async {
        let (peer, _serving) = canned(responses).await;
        assert_eq!(told(ask(&peer, Method::GET).await).await, "the head has more than 16384 bytes");
    });
}

#[test]
fn a_connection_is_used_again_where_its_end_is_certain() {
    const RESPONSES: &[(&str, bool)] = &[
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na", false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n", false),
        // Told twice: no other request follows.
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n1\r\nd\r\n0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: Close\r\n\r\ne", true),
        ("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nf", true),
        // More than it said.
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\ngHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nh", true),
    ];
    run(async {
        let (peer, serving) = canned(RESPONSES).await;
        for (number, expect) in ["a", "b", "", "d", "e", "f", "g", "h"].into_iter().enumerate() {
            let method = if number == 2 { Method::HEAD } else { Method::GET };
            let response = ask(&peer, method).await.expect("a response");
            assert!(!response.headers().contains_key("connection"));
            assert_eq!(told(Ok(response)).await, expect);
        }
        drop(peer);
        assert_eq!(serving.await.expect("it served"), 5);
    });
}

#[test]
fn a_connection_that_was_closed_meanwhile_is_not_used() {
    const RESPONSES: &[(&str, bool)] = &[
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nb", true),
    ];
    run(async {
        let (peer, serving) = canned(RESPONSES).await;
        assert_eq!(told(ask(&peer, Method::GET).await).await, "a");
        // The close is there when the next connection is: the server waits for that.
        let second = tokio::time::timeout(Duration::from_secs(10), async {
            loop {
                let answer = ask(&peer, Method::GET).await;
                if answer.is_ok() {
                    return told(answer).await;
                }
            }
        });
        assert_eq!(second.await.expect("in time"), "b");
        assert_eq!(serving.await.expect("it served"), 2);
    });
}

/// What comes of a body in pieces of this size.
fn decoded(body: &[u8], size: usize) -> Result<(Vec<u8>, Option<HeaderMap>, usize), &'static str> {
    let (mut chunks, mut buffer, mut data, mut trailers) = (Chunks::default(), BytesMut::new(), Vec::new(), None);
    for piece in body.chunks(size) {
        buffer.extend_from_slice(piece);
        while let Some(frame) = chunks.next(&mut buffer)? {
            match frame.into_data() {
                Ok(bytes) => data.extend_from_slice(&bytes),
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
    }
    assert!(chunks.is_end(), "{body:?}");
    Ok((data, trailers, buffer.len()))
}

#[test]
fn chunks_mean_the_same_in_pieces_of_any_size() {
    let body = b"5\r\nhello\r\n1;a=\"b\"\r\n \r\n05 \r\nworld\r\n0\r\nx-sum: 1\r\n\r\nrest";
    for size in 1..=body.len() {
        let (data, trailers, _) = decoded(body, size).expect("a body");
        assert_eq!(data, b"hello world", "in pieces of {size}");
        assert_eq!(trailers.expect("trailers")["x-sum"], "1");
    }
    assert_eq!(decoded(body, body.len()).expect("a body").2, 4);
}

#[test]
fn chunks_that_are_none_are_errors() {
    let long = format!("{}\r\n", "1".repeat(5_000));
    for body in
        ["\r\n", "x\r\n", "-1\r\n", "+1\r\n", "0x1\r\n", " 1\r\n", "1\n", "1\r\nabc", "11111111111111111\r\n", &long]
    {
        assert!(decoded(body.as_bytes(), body.len()).is_err(), "{body:?}");
    }
    let endless = format!("1\r\na\r\n0\r\n{}", "x: y\r\n".repeat(4_000));
    assert!(decoded(endless.as_bytes(), 1_000).is_err());
}
