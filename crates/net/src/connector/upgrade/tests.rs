//! Against a server that answers by hand, over TLS too.

use std::net::SocketAddr;

use base::WorkerLimits;
use base::socket::{Ended, Message, Received, close_code};
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderValue, Method};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::*;
use crate::connector::tests::{acceptor, allow, connector, run};

/// What the server does with the handshake's key.
type Answer = fn(&str) -> String;

fn switch(key: &str) -> String {
    let accept = handshake::accept(&HeaderValue::try_from(key).unwrap());
    let accept = accept.to_str().unwrap().to_owned();
    format!("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n")
}

/// Answers one handshake, then echoes one message and closes.
async fn origin(tls: bool, answer: Answer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::task::spawn_local(async move {
        let (stream, _) = listener.accept().await.unwrap();
        if tls {
            // It would rather speak HTTP/2; a WebSocket does not ask for it.
            let acceptor = acceptor(b"http/1.1");
            speak(acceptor.accept(stream).await.unwrap(), answer).await;
        } else {
            speak(stream, answer).await;
        }
    });
    address
}

async fn speak<S: AsyncRead + AsyncWrite + Unpin>(stream: S, answer: Answer) {
    let mut reader = BufReader::new(stream);
    let (mut key, mut line) = (String::new(), String::new());
    while reader.read_line(&mut line).await.unwrap() > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("sec-websocket-key: ") {
            key = line[line.len() - value.len()..].trim().to_owned();
        }
        line.clear();
    }
    let head = format!("{}\r\n", answer(&key));
    reader.write_all(head.as_bytes()).await.unwrap();
    let mut socket = WebSocketStream::from_raw_socket(reader, Role::Server, None).await;
    if let Some(Ok(message)) = socket.next().await {
        let _ = socket.send(message).await;
        let _ = socket.close(None).await;
        while let Some(Ok(_)) = socket.next().await {}
    }
}

async fn ask(scheme: &str, address: SocketAddr) -> Result<http::Response<Body>, ExchangeError> {
    let url = url::Url::parse(&format!("{scheme}://localhost:{}/chat", address.port())).unwrap();
    let headers = HeaderMap::from_iter([(http::header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("chat"))]);
    let outgoing = Outgoing { method: Method::GET, url, headers, body: Body::empty() };
    let options = SocketOptions { message_bytes: 1000, ..SocketOptions::from(&WorkerLimits::default()) };
    connector(5_000).upgrade(outgoing, options, allow()).await
}

#[test]
fn a_socket_goes_through_tls() {
    run(async {
        for (scheme, tls) in [("http", false), ("https", true)] {
            let mut response = ask(scheme, origin(tls, switch).await).await.unwrap();
            let end = Upgrade::take(&mut response).unwrap();
            end.send(Message::text("hello")).unwrap();
            assert_eq!(end.receive().await, Received::Message(Message::text("hello")));
            assert_eq!(end.receive().await, Received::Ended(Ended::new(close_code::NONE, "").cleanly()));
        }
    });
}

#[test]
fn a_server_that_answers_wrongly_is_not_believed() {
    let wrong_accept: Answer = |_| switch("dGhlIHNhbXBsZSBub25jZQ==");
    let no_upgrade: Answer = |key| switch(key).replace("Upgrade: websocket", "Upgrade: h2c");
    let extension: Answer = |key| switch(key) + "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let protocol: Answer = |key| switch(key) + "Sec-WebSocket-Protocol: other\r\n";
    run(async {
        for answer in [wrong_accept, no_upgrade, extension, protocol] {
            let error = ask("http", origin(false, answer).await).await.unwrap_err();
            assert_eq!(error.code().name, "upstream_protocol", "{error}");
        }
    });
}

#[test]
fn a_server_that_sends_too_much_hears_why() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (told, hears) = tokio::sync::oneshot::channel();
        tokio::task::spawn_local(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut reader = BufReader::new(stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                reader.read_line(&mut head).await.unwrap();
            }
            let at = head.to_ascii_lowercase().find("sec-websocket-key: ").unwrap() + 19;
            let answer = switch(head[at..].lines().next().unwrap()) + "\r\n";
            reader.write_all(answer.as_bytes()).await.unwrap();
            let mut socket = WebSocketStream::from_raw_socket(reader, Role::Server, None).await;
            socket.send(Frame::binary(vec![0; 1001])).await.unwrap();
            let Some(Ok(Frame::Close(Some(frame)))) = socket.next().await else { return };
            told.send(u16::from(frame.code)).unwrap();
        });
        let end = Upgrade::take(&mut ask("http", address).await.unwrap()).unwrap();
        let Received::Ended(ended) = end.receive().await else { panic!("the message is too large") };
        assert_eq!((ended.code, ended.cause.unwrap().name), (close_code::TOO_BIG, "socket_message_too_large"));
        assert_eq!(hears.await.unwrap(), close_code::TOO_BIG);
    });
}
