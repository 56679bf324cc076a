//! Canned responses from a real socket.

use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use url::Url;

use super::super::tests::{allow, connector, run};
use super::super::{ExchangeError, HostAsked, Peer, PeerOptions, PeerTimes};
use super::*;

/// Serves connections one after the other: each request gets the next response, in its pieces, and some
/// close after it. How many connections it were.
async fn canned(responses: Vec<(Vec<&'static str>, bool)>) -> (Arc<Peer>, tokio::task::JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    let serving = tokio::spawn(async move {
        let (mut left, mut connections) = (responses.into_iter(), 0);
        while left.len() > 0 {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("an option");
            connections += 1;
            let (mut text, mut byte) = (Vec::new(), [0]);
            while matches!(stream.read(&mut byte).await, Ok(1)) {
                text.push(byte[0]);
                if !text.ends_with(b"\r\n\r\n") {
                    continue;
                }
                text.clear();
                let Some((pieces, close)) = left.next() else { break };
                for piece in pieces {
                    stream.write_all(piece.as_bytes()).await.expect("written");
                    tokio::task::yield_now().await;
                }
                if close {
                    break;
                }
            }
        }
        connections
    });
    let long = Duration::from_secs(30);
    let options = PeerOptions {
        host: HostAsked::Target,
        srv: None,
        url: Url::parse(&url).expect("a URL"),
        h2c: false,
        check: allow(),
        times: PeerTimes { connect: long, tls: long, first_byte: long },
        head_bytes: 16 << 10,
        head_fields: 256,
        unix: None,
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

async fn text(response: Response<Body>) -> Result<String, String> {
    let body = response.into_body().collect(1 << 20).await.map_err(|error| error.detail)?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

#[test]
fn what_came_with_the_head_is_whole_and_what_did_not_is_read() {
    let long: &'static str = "x".repeat(100_000).leak();
    let head: &'static str = "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n".to_owned().leak();
    let responses = vec![
        (vec!["HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc"], false),
        (vec!["HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n", "d", "ef"], false),
        (vec!["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"], false),
        (vec!["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"], false),
        (vec![head, long], false),
        (vec!["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\ng\r\n", "2\r\nhi\r\n0\r\n", "\r\n"], false),
        (vec!["HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"], false),
        (vec!["HTTP/1.1 200 OK\r\n\r\nto the", " end"], true),
    ];
    run(async {
        let (peer, serving) = canned(responses).await;
        for (number, expect) in ["abc", "def", "", "", long, "ghi", "", "to the end"].into_iter().enumerate() {
            let method = if number == 3 { Method::HEAD } else { Method::GET };
            let response = ask(&peer, method).await.expect("a response");
            assert_eq!(text(response).await.expect("a body"), expect, "number {number}");
        }
        assert_eq!(serving.await.expect("it served"), 1);
    });
}

#[test]
fn a_response_that_breaks_off_is_none() {
    run(async {
        for (pieces, reason) in [
            (vec!["HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab"], "the response broke off"),
            (vec!["HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n", "ab"], "the response broke off"),
            (vec!["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab"], "the response broke off"),
        ] {
            let (peer, _serving) = canned(vec![(pieces, true)]).await;
            let response = ask(&peer, Method::GET).await.expect("a head");
            let error = text(response).await.expect_err("it broke off");
            assert!(error.starts_with(reason), "{error}");
        }
        for pieces in [vec!["HTTP/1.1 200 OK\r\nx: "], vec![], vec!["hello\r\n\r\n"]] {
            let (peer, _serving) = canned(vec![(pieces, true)]).await;
            let error = ask(&peer, Method::GET).await.expect_err("no response");
            assert!(matches!(error, ExchangeError::Protocol { .. }), "{error}");
        }
    });
}

#[test]
fn a_connection_that_ended_is_not_used_again() {
    let one = |text| (vec![text], true);
    run(async {
        let (peer, serving) = canned(vec![
            one("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na"),
            one("HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\nb"),
            one("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nc"),
            one("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nd"),
        ])
        .await;
        for expect in ["a", "b", "c", "d"] {
            // Whether the end of the last one is known already or is noticed by its failure: asked again, the
            // next one answers.
            let answer = tokio::time::timeout(Duration::from_secs(20), async {
                loop {
                    if let Ok(response) = ask(&peer, Method::GET).await {
                        return text(response).await;
                    }
                }
            });
            assert_eq!(answer.await.expect("in time").expect("a body"), expect);
        }
        assert_eq!(serving.await.expect("it served"), 4);
    });
}

#[test]
fn who_gives_up_gives_up_the_connection() {
    run(async {
        let (peer, serving) = canned(vec![
            (vec!["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"], false),
            (vec!["HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nd"], true),
        ])
        .await;
        drop(ask(&peer, Method::GET).await.expect("a head"));
        let response = ask(&peer, Method::GET).await.expect("a response");
        assert_eq!(text(response).await.expect("a body"), "d");
        assert_eq!(serving.await.expect("it served"), 2);
    });
}
