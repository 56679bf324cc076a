use base::socket::{self, Received, Upgrade};
use base::{Body, NodeLimits, SocketOptions, WorkerLimits};
use http::Response;
use manifest::NotFound;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use worker::{FetchEvent, Invoker};

use crate::HostMap;
use crate::fixture::*;

/// Answers by path; a socket echoes one message and closes.
fn worker() -> Arc<dyn Invoker> {
    Arc::new(Fake(|_, event: FetchEvent| -> Reply {
        Box::pin(async move {
            let path = event.url.rsplit('/').next().unwrap_or_default().to_owned();
            let mut response = Response::new(Body::empty());
            *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
            if path == "ask" {
                let upgrade = event.headers.get("upgrade").map_or("none", |value| value.to_str().unwrap_or(""));
                return Ok(Response::new(Body::full(upgrade.to_owned())));
            }
            if path == "empty" {
                return Ok(response);
            }
            if path == "wrong" {
                *response.status_mut() = http::StatusCode::OK;
            }
            if path == "other" {
                response.headers_mut().insert("sec-websocket-protocol", "other".parse().unwrap());
            }
            let (near, far) = socket::pair(SocketOptions::from(&WorkerLimits::default()));
            Upgrade::attach(&mut response, far);
            tokio::task::spawn_local(async move {
                let Received::Message(message) = near.receive().await else { return };
                near.send(message).unwrap();
                near.close(socket::Ended::new(1000, "").cleanly());
                near.receive().await;
            });
            Ok(response)
        })
    }))
}

fn with_sockets(test: impl AsyncFnOnce(std::rc::Rc<Node>)) {
    let plan = plan("app", vec![route("/*", WORKER)], &[], WorkerLimits::default(), NotFound::None);
    let map = HostMap::new([site(plan, worker(), no_files())]).unwrap();
    with_node(map, NodeLimits::default(), test);
}

const FIELDS: &str = "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n\
                      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat\r\n";

#[test]
fn a_worker_sees_what_is_asked_and_may_say_no() {
    with_sockets(async |node| {
        assert_eq!(node.get("/ask", FIELDS).await.text(), "websocket");
        assert_eq!(node.get("/ask", "").await.text(), "none");
        assert_eq!(node.get("/ask", "Upgrade: h2c\r\n").await.text(), "none");
    });
}

#[test]
fn an_answer_that_opens_no_socket_is_the_workers_fault() {
    with_sockets(async |node| {
        for path in ["/empty", "/wrong", "/other"] {
            let answer = node.get(path, FIELDS).await;
            assert_eq!((answer.status, answer.code().as_str()), (500, "invalid_response"), "{path}");
        }
        assert_eq!(node.get("/empty", "").await.code(), "invalid_response");
        let answer = node.get("/socket", "").await;
        assert_eq!((answer.status, answer.code().as_str()), (426, "upgrade_required"));
        assert_eq!(answer.field("upgrade"), Some("websocket"));
        let answer = node.get("/socket", &FIELDS.replace("13", "12")).await;
        assert_eq!((answer.status, answer.code().as_str()), (426, "socket_version"));
    });
}

#[test]
fn the_record_of_a_socket_is_written_at_its_end() {
    with_sockets(async |node| {
        let mut stream = node.connect().await;
        stream
            .write_all(format!("GET /socket HTTP/1.1\r\nHost: app.localhost\r\n{FIELDS}\r\n").as_bytes())
            .await
            .unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("x-request-id: "), "{head}");
        assert!(node.records.0.lock().unwrap().is_empty());
        assert_eq!(node.drain.in_flight(), 1);
        // "hey", and a close of code 1000, both masked with zeros.
        stream.write_all(&[0x81, 0x83, 0, 0, 0, 0, b'h', b'e', b'y']).await.unwrap();
        stream.write_all(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]).await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert!(rest.ends_with(&[0x88, 0x02, 0x03, 0xe8]), "{rest:?}");
        let record = node.records(1).await.remove(0);
        assert_eq!((record.status, record.request_bytes, record.code), (101, 3, None));
        assert!(record.total >= record.head);
        assert_eq!(node.drain.in_flight(), 0);
    });
}
