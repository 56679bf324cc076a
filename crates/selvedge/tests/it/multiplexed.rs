//! Hits of HTTP/2, which lie ready for a plain request and are looked for on the long way for any other; and what
//! passes through, which waits beside its connection or takes the long way.

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use tokio::net::TcpStream;

use crate::harness::{Node, Place, draws, run, until};
use crate::passing;
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

/// A node with one app that passes everything on.
fn passing_node(place: &Place, origin: &Origin) -> Node {
    let manifest = format!(
        "name = \"edge\"\n[upstreams.origin]\ntargets = [\"http://{}\"]\n\
         [[routes]]\nmatch = \"/*\"\nupstream = \"origin\"\ncache = false\n",
        origin.address
    );
    place.serve_project(&place.project("project", &[("selvedge.toml", &manifest)]))
}

#[test]
fn random_requests_pass_alike_whether_they_wait_beside_their_connection_or_not() {
    const FIELDS: [&[(&str, &str)]; 10] = [
        &[],
        &[("accept-language", "de")],
        &[("cookie", "a=1")],
        &[("cookie", "a=1"), ("cookie", "b=2")],
        &[("x-forwarded-for", "6.6.6.6"), ("forwarded", "for=x"), ("x-forwarded-host", "evil")],
        &[("if-none-match", "*"), ("range", "bytes=1-2")],
        &[("te", "trailers")],
        &[("via", "1.0 other"), ("cdn-loop", "other; a=b")],
        &[("cf-connecting-ip", "6.6.6.6"), ("x-request-id", "mine")],
        &[("x-empty", ""), ("x-two", "1"), ("x-two", "2")],
    ];
    let place = Place::new();
    let origin = passing::origin();
    let node = passing_node(&place, &origin);
    let paths: Vec<_> = passing::ANSWERS.iter().map(|(path, _)| *path).chain(["/large", "/plain?a=b&c"]).collect();
    run(async {
        let mut client = connect(&node).await;
        let mut draw = draws(3);
        for round in 0..100 {
            let url = format!("http://edge.localhost{}", paths[round % paths.len()]);
            let fields = (0..draw(3)).map(|_| FIELDS[draw(FIELDS.len())]).collect::<Vec<_>>().concat();
            let beside = ask(&mut client, &url, &fields).await;
            // A host that is named twice takes the long way.
            let long = ask(&mut client, &url, &[&fields[..], &[("host", "edge.localhost")]].concat()).await;
            assert_eq!(beside, long, "{url} {fields:?}");
        }
    });
}

/// Ten at once, of which one is given up while its origin thinks: its record says so, and the others are answered.
#[test]
fn one_that_its_client_resets_is_recorded_as_gone_and_the_others_go_on() {
    let place = Place::new();
    let (asked, told) = std::sync::mpsc::channel();
    let origin = Origin::start(move |seen, stream| {
        if seen.target == "/slow" {
            asked.send(()).expect("the test waits");
            // Until the node gives it up.
            let _ = std::io::Read::read(stream, &mut [0]);
        }
        send(stream, "", &seen.target);
    });
    let node = passing_node(&place, &origin);
    run(async {
        let mut client = connect(&node).await;
        let slow = Request::get("http://edge.localhost/slow").body(()).expect("a request");
        let (slow, mut stream) = client.send_request(slow, true).expect("it is sent");
        tokio::task::spawn_blocking(move || told.recv().expect("the origin was asked")).await.expect("it waited");
        let urls: Vec<_> = (0..10).map(|number| format!("http://edge.localhost/{number}")).collect();
        let others = urls.iter().map(|url| {
            let mut client = client.clone();
            async move { ask(&mut client, url, &[]).await }
        });
        for (number, answer) in futures_util::future::join_all(others).await.into_iter().enumerate() {
            assert_eq!((answer.0, answer.2), (200, format!("/{number}").into_bytes()));
        }
        stream.send_reset(h2::Reason::CANCEL);
        assert!(slow.await.is_err());
        assert_eq!(ask(&mut client, "http://edge.localhost/after", &[]).await.0, 200);
    });
    until("the record", || node.log().contains("client_gone").then_some(()));
}
