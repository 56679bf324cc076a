//! Calls of gRPC through the node, as its frames are: messages both ways while neither side has ended, and a
//! status in trailers.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Node, Place, run};

/// A message as gRPC frames it: not compressed, its length, its bytes.
fn message(text: &str) -> Bytes {
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(text.len()).expect("short").to_be_bytes());
    framed.extend_from_slice(text.as_bytes());
    framed.into()
}

/// A server that sends each piece back as it comes, and then how it went.
async fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
                while let Some(Ok((request, respond))) = connection.accept().await {
                    tokio::spawn(call(request, respond));
                }
            });
        }
    });
    address
}

async fn call(request: Request<RecvStream>, mut respond: h2::server::SendResponse<Bytes>) {
    let field = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert_eq!((field("content-type"), field("te")), ("application/grpc", "trailers"));
    assert_eq!(field("grpc-timeout"), "5S", "what gRPC says itself passes");
    let mut head = Response::new(());
    head.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    if request.uri().path() == "/echo.Echo/Missing" {
        head.headers_mut().insert("grpc-status", HeaderValue::from_static("12"));
        respond.send_response(head, true).expect("it is sent");
        return;
    }
    let mut back = respond.send_response(head, false).expect("it is sent");
    let mut body = request.into_body();
    while let Some(piece) = body.data().await {
        let piece = piece.expect("a piece");
        body.flow_control().release_capacity(piece.len()).expect("it was held");
        back.send_data(piece, false).expect("it is sent");
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers.insert("grpc-message", HeaderValue::from_static("all%20is%20well"));
    back.send_trailers(trailers).expect("they are sent");
}

fn node(place: &Place, server: SocketAddr) -> Node {
    let manifest = format!(
        "name = \"edge\"\n[[routes]]\nmatch = \"/*\"\nupstream = \"calls\"\n[upstreams.calls]\n\
         targets = [\"h2c://{server}\"]\n"
    );
    place.dev(&place.project("project", &[("selvedge.toml", &manifest)]))
}

async fn client(node: &Node) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(node.address).await.expect("a connection");
    let (client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(async move { drop(connection.await) });
    client.ready().await.expect("it takes requests")
}

fn begin(client: &mut SendRequest<Bytes>, method: &str) -> (ResponseFuture, SendStream<Bytes>) {
    let request = Request::post(format!("http://edge.localhost/echo.Echo/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", "5S")
        .body(())
        .expect("a request");
    client.send_request(request, false).expect("it is sent")
}

/// So many bytes of a body.
async fn read(body: &mut RecvStream, bytes: usize) -> Vec<u8> {
    let mut read = Vec::new();
    while read.len() < bytes {
        let piece = body.data().await.expect("more comes").expect("a piece");
        body.flow_control().release_capacity(piece.len()).expect("it was held");
        read.extend_from_slice(&piece);
    }
    read
}

#[test]
fn a_call_streams_both_ways_and_ends_with_its_status() {
    run(async {
        let place = Place::new();
        let node = node(&place, server().await);
        let mut client = client(&node).await;
        let (response, mut requests) = begin(&mut client, "Both");
        requests.send_data(message("first"), false).expect("it is sent");
        // The answer begins, and answers the first message, while the request goes on.
        let (head, mut body) = response.await.expect("an answer").into_parts();
        assert_eq!(
            (head.status.as_u16(), &head.headers["content-type"]),
            (200, &HeaderValue::from_static("application/grpc"))
        );
        assert_eq!(read(&mut body, message("first").len()).await, message("first"));
        for text in ["second", "third"] {
            requests.send_data(message(text), false).expect("it is sent");
            assert_eq!(read(&mut body, message(text).len()).await, message(text));
        }
        requests.send_data(Bytes::new(), true).expect("it ends");
        assert!(body.data().await.is_none(), "nothing else was sent");
        let trailers = body.trailers().await.expect("an end").expect("trailers");
        assert_eq!(
            (&trailers["grpc-status"], &trailers["grpc-message"]),
            (&HeaderValue::from_static("0"), &HeaderValue::from_static("all%20is%20well"),)
        );
    });
}

#[test]
fn a_call_that_is_refused_at_once_says_so_in_its_head() {
    run(async {
        let place = Place::new();
        let node = node(&place, server().await);
        let mut client = client(&node).await;
        let (response, mut requests) = begin(&mut client, "Missing");
        requests.send_data(message("unheard"), true).expect("it is sent");
        let (head, mut body) = response.await.expect("an answer").into_parts();
        assert_eq!((head.status.as_u16(), &head.headers["grpc-status"]), (200, &HeaderValue::from_static("12")));
        assert!(body.data().await.is_none());
    });
}

#[test]
fn calls_share_a_connection_and_do_not_wait_for_each_other() {
    run(async {
        let place = Place::new();
        let node = node(&place, server().await);
        let mut client = client(&node).await;
        let calls: Vec<_> = (0..8).map(|_| begin(&mut client, "Both")).collect();
        // The last to begin is the first to speak.
        for (at, (response, mut requests)) in calls.into_iter().enumerate().rev() {
            let text = format!("call {at}");
            requests.send_data(message(&text), true).expect("it is sent");
            let mut body = response.await.expect("an answer").into_body();
            assert_eq!(read(&mut body, message(&text).len()).await, message(&text));
            assert!(body.data().await.is_none());
            let trailers = body.trailers().await.expect("an end").expect("trailers");
            assert_eq!(trailers["grpc-status"], "0");
        }
    });
}
