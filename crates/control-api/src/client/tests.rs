use base::Fault;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// One call against a server that sends `answer` to whatever comes; returns what came, too.
async fn call_against(answer: &'static str) -> (String, Result<Status, ApiError>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let server = async {
        let (mut stream, _) = listener.accept().await.expect("the client connects");
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.expect("the client sends a request"));
        }
        stream.write_all(answer.as_bytes()).await.expect("the client reads");
        String::from_utf8(request).expect("a head is text")
    };
    let client = Client::new(ClientOptions::new(address, Secret::new("t0ken".into())));
    let (request, result) = tokio::join!(server, client.status());
    (request.replace(&address.to_string(), "ADDRESS"), result)
}

#[tokio::test]
async fn a_call_shows_the_token_and_reads_the_answer() {
    let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"version\":\"9.9.9\",\"generation\":3,\"apps\":2,\"uptime_ms\":5,\"new\":1}";
    let (request, result) = call_against(answer).await;
    assert_eq!(request, "GET /v1/status HTTP/1.1\r\nhost: ADDRESS\r\nauthorization: Bearer t0ken\r\n\r\n");
    let expect = Status { version: "9.9.9".into(), generation: 3, apps: 2, uptime_ms: 5 };
    assert_eq!(result, Ok(expect));
}

#[tokio::test]
async fn an_odd_answer_is_an_error_that_names_the_node() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\ncut",
        "HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\nhello",
        "SSH-2.0-OpenSSH_9.9\r\n",
        "",
    ] {
        let error = call_against(answer).await.1.expect_err(answer);
        assert!(error.is(&code::NODE_UNREACHABLE), "{answer}: {error:?}");
        assert_eq!((error.fault, error.status), (Fault::Node, 502));
    }
}

#[tokio::test]
async fn a_node_that_is_not_there_says_where_it_was_looked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    let client = Client::new(ClientOptions::new(address, Secret::new("t".into())));
    let error = client.status().await.expect_err("nobody listens");
    assert!(error.detail.starts_with(&format!("the node at {address} can't be reached: ")), "{error}");
}

#[tokio::test]
async fn a_token_that_is_no_field_value_is_an_error() {
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let client = Client::new(ClientOptions::new(address, Secret::new("a\nb".into())));
    let error = client.status().await.expect_err("it would split the request");
    assert!(error.is(&code::UNAUTHENTICATED), "{error:?}");
}
