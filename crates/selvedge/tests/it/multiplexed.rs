//! Hits of HTTP/2, which lie ready for a plain request and are looked for on the long way for any other.

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use tokio::net::TcpStream;

use crate::harness::{Node, Place, draws, run};
use crate::proxy::{Origin, node, send};

type Fields = Vec<(String, Vec<u8>)>;

/// An answer, without what differs from one to the next.
type Seen = (u16, Fields, Vec<u8>);

async fn connect(node: &Node) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(node.address).await.expect("a connection");
    let (client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(async move { drop(connection.await) });
    client.ready().await.expect("it takes requests")
}

/// What an earlier request made the node fetch may still be on its way into the cache; who meets it asks again.
async fn ask(client: &mut SendRequest<Bytes>, url: &str, fields: &[(&str, &str)]) -> Seen {
    loop {
        if let Some(seen) = ask_once(client, url, fields).await {
            return seen;
        }
    }
}

async fn ask_once(client: &mut SendRequest<Bytes>, url: &str, fields: &[(&str, &str)]) -> Option<Seen> {
    let mut request = Request::get(url);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(()).expect("a request");
    let (response, _) = client.send_request(request, true).expect("it is sent");
    let (head, mut body) = response.await.expect("an answer").into_parts();
    let mut content = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.expect("a piece");
        body.flow_control().release_capacity(piece.len()).expect("it was held");
        content.extend_from_slice(&piece);
    }
    let is_early = |value: &http::HeaderValue| value.to_str().is_ok_and(|value| value.contains("collapsed"));
    if head.headers.get_all("cache-status").iter().any(is_early) {
        return None;
    }
    let unlike = |name: &str| matches!(name, "x-request-id" | "age" | "date");
    let alike = |name: &str, value: &[u8]| match name {
        // The seconds that are left may be one less.
        "cache-status" => value.split(|byte| *byte == b'=').next().unwrap_or_default().to_vec(),
        _ => value.to_vec(),
    };
    for name in ["x-request-id", "date"] {
        assert_eq!(head.headers.get_all(name).iter().count(), 1, "{name}: {head:?}");
    }
    let fields = head.headers.iter().filter(|(name, _)| !unlike(name.as_str()));
    let mut fields: Fields =
        fields.map(|(name, value)| (name.to_string(), alike(name.as_str(), value.as_bytes()))).collect();
    fields.sort();
    Some((head.status.as_u16(), fields, content))
}

#[test]
fn random_requests_are_answered_alike_whether_their_answer_lies_ready_or_not() {
    const PATHS: [&str; 8] = ["/a", "/b?x=1", "/own", "/vary", "/cookie", "/private", "/stale", "/large"];
    const FIELDS: [&[(&str, &str)]; 12] = [
        &[],
        &[("accept-language", "de")],
        &[("accept-language", "en"), ("accept-language", "de")],
        &[("accept-encoding", "gzip")],
        &[("cookie", "a=1")],
        &[("cookie", "a=1"), ("cookie", "b=2")],
        &[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-proto", "https")],
        &[("if-none-match", "\"e\"")],
        &[("range", "bytes=1-2")],
        // Not max-age=0, which is another question in the next second.
        &[("cache-control", "no-cache")],
        &[("authorization", "Basic eA==")],
        &[("x-request-id", "mine")],
    ];
    let place = Place::new();
    // The same answer to the same question, whenever it is asked.
    let origin = Origin::start(|seen, stream| {
        let fields = match seen.target.as_str() {
            "/own" => {
                "cache-control: max-age=600\r\nage: 3\r\nvia: 1.0 them\r\ncache-status: them; hit\r\nlink: <a>\r\nlink: <b>\r\n"
            }
            "/vary" => "cache-control: max-age=600\r\nvary: Accept-Language, Accept-Encoding\r\netag: \"e\"\r\n",
            "/cookie" => "cache-control: public, max-age=600\r\nvary: cookie\r\nset-cookie: s=1\r\n",
            "/private" => "cache-control: private\r\n",
            "/stale" => "cache-control: max-age=0\r\netag: \"e\"\r\n",
            _ => "cache-control: max-age=600\r\netag: \"e\"\r\n",
        };
        // More than a client takes at once.
        let body = if seen.target == "/large" { "x".repeat(200_000) } else { seen.target.clone() };
        send(stream, fields, &body);
    });
    let node = node(&place, &origin, "");
    run(async {
        let mut client = connect(&node).await;
        let (mut draw, mut hits) = (draws(1), 0);
        let host = node.address.to_string();
        for _ in 0..200 {
            let url = format!("http://{host}{}", PATHS[draw(PATHS.len())]);
            let fields = (0..draw(3)).map(|_| FIELDS[draw(FIELDS.len())]).collect::<Vec<_>>().concat();
            ask(&mut client, &url, &fields).await;
            let ready = ask(&mut client, &url, &fields).await;
            // A host that is named twice is compared on the long way.
            let long = ask(&mut client, &url, &[&fields[..], &[("host", &host)]].concat()).await;
            assert_eq!(ready, long, "{url} {fields:?}");
            hits += usize::from(ready.1.iter().any(|(_, value)| value.starts_with(b"selvedge; hit")));
        }
        assert!((60..200).contains(&hits), "{hits} of 200 were hits");
    });
}
