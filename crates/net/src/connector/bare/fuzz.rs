//! What servers say, fed with nonsense: see `testkit::fuzz`.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use base::Body;
use http::Response;
use testkit::fuzz::Fuzz;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::super::dial::HeadMax;
use super::super::inline::Inline;
use super::super::pool::{Lease, Link, Pool, Reuse, Sender, Unsent, Wear};
use super::super::tests::run;
use super::super::{Target, strip_hop_by_hop};
use super::tests::word;

const SEEDS: [&str; 9] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 404 Not Found\r\nServer: x\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\ncontent-length: 3\r\n\r\nabc",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nb",
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\ncontent-length: 4\r\n\r\n",
    "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\n\r\nto the end",
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno",
];

const WORDS: [&str; 22] = [
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    " ",
    "\t",
    ":",
    "HTTP/1.1 ",
    "HTTP/1.0 ",
    "200 OK",
    "100 Continue",
    "content-length: 2\r\n",
    "content-length: 3\r\n",
    "content-length: ",
    "transfer-encoding: chunked\r\n",
    "connection: close\r\n",
    "connection: keep-alive\r\n",
    "upgrade: websocket\r\n",
    ", ",
    "+",
    "\0",
    "é",
];

/// More bytes of an answer change nothing that was said of it, but that what is behind it makes it hyper's.
#[test]
fn answer_in_pieces() {
    Fuzz::new("answer_in_pieces").seeds(SEEDS).words(&WORDS).run(|input| {
        let whole = word(input);
        for cut in 0..input.len() {
            let piece = word(&input[..cut]);
            let agrees = match piece {
                "head" => true,
                "body" => whole != "head",
                _ => whole == "other",
            };
            assert!(agrees, "{piece} at {cut}, and then {whole}");
        }
        whole
    });
}

/// A server that gives this answer to every request but the last, in two pieces, and ends the connection
/// behind it or not. How many connections it had is counted.
#[derive(Clone)]
struct Server {
    answer: Arc<[u8]>,
    cut: usize,
    ends: bool,
    connections: Arc<AtomicUsize>,
}

impl Server {
    fn connect(&self) -> Link {
        self.connections.fetch_add(1, Ordering::Relaxed);
        let (near, far) = tokio::io::duplex(1 << 20);
        tokio::spawn(self.clone().serve(far));
        let inline = Inline::new(Box::new(near), HeadMax { bytes: 16 << 10, fields: 100 });
        Link { sender: Sender::Inline(Box::new(inline)), address: IpAddr::from([127, 0, 0, 1]), wear: Wear::new() }
    }

    async fn serve(self, mut stream: DuplexStream) {
        loop {
            let (mut text, mut byte) = (Vec::new(), [0]);
            while !text.ends_with(b"\r\n\r\n") {
                let Ok(1) = stream.read(&mut byte).await else { return };
                text.push(byte[0]);
            }
            let over = &b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nover"[..];
            let is_last = text.starts_with(b"GET /over ");
            let pieces = if is_last { [over, b""] } else { [&self.answer[..self.cut], &self.answer[self.cut..]] };
            for piece in pieces {
                if stream.write_all(piece).await.is_err() {
                    return;
                }
                // Whoever reads comes before the next piece.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            if self.ends && !is_last {
                return;
            }
        }
    }
}

/// What an answer comes to, and what is left of the connection. hyper has it from the beginning of a request
/// that says anything beside itself.
async fn outcome(server: Server, by_hyper: bool) -> (String, usize) {
    let long = Duration::from_secs(30);
    let pool = Pool::new(Reuse { idle: long, per_target: 8, age: None, requests: None });
    let spot = pool.spot(Arc::new(Target { https: false, host: "h".to_owned(), port: 80, unix: None }));
    let ask = async |path: &'static str| {
        let mut request = http::Request::get(path).header("accept", "*/*").body(Body::empty()).expect("a request");
        if by_hyper {
            request.extensions_mut().insert("beside");
        }
        let taken =
            pool.take(&spot, &|_| Ok(()), Some(&mut Context::from_waker(Waker::noop())), tokio::time::Instant::now());
        let link = taken.unwrap_or_else(|| server.connect());
        Lease::new(pool.clone(), spot.clone(), link).send(request, Some(Duration::from_secs(1))).await
    };
    let said = match ask("/x").await {
        Ok(response) => describe(response).await,
        // hyper looks at a head in pieces when its end is there, and finds what is wrong with it only then.
        Err(Unsent::Late | Unsent::Unclear(_) | Unsent::Failed(_, None)) => "none".to_owned(),
        Err(Unsent::Failed(_, Some(_))) => "none, and nothing was sent".to_owned(),
    };
    // All that it has to say is there when it is asked again.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let over = ask("/over").await.unwrap_or_else(|_| panic!("no last answer"));
    let over = over.into_body().collect(1 << 10).await.expect("its body");
    assert_eq!(over, "over", "what a connection still held was nobody's answer");
    (said, server.connections.load(Ordering::Relaxed))
}

async fn describe(mut response: Response<Body>) -> String {
    strip_hop_by_hop(response.headers_mut());
    let (parts, body) = response.into_parts();
    let body = async {
        match body.collect(1 << 20).await {
            Ok(body) => String::from_utf8_lossy(&body).into_owned(),
            Err(error) => error.code.name.to_owned(),
        }
    };
    let body = tokio::time::timeout(Duration::from_secs(1), body).await.unwrap_or_else(|_| "pauses".to_owned());
    format!("{:?} {:?} {} {:?}", parts.status, parts.headers, parts.extensions.len(), body)
}

/// Random answers are the same ones, whoever makes the exchange, and leave the connection in the same state.
#[test]
fn answer_both_ways() {
    Fuzz::new("answer_both_ways").seeds(SEEDS).words(&WORDS).run(|input| {
        let (choice, answer) = input.split_last().map_or((0, input), |(choice, answer)| (usize::from(*choice), answer));
        let (cut, ends) = ((choice / 2).min(answer.len()), choice % 2 == 0);
        let mut said = String::new();
        run(async {
            tokio::time::pause();
            let server = || Server { answer: answer.into(), cut, ends, connections: Arc::default() };
            let bare = outcome(server(), false).await;
            let hyper = outcome(server(), true).await;
            assert_eq!(bare, hyper, "{:?} at {cut}", String::from_utf8_lossy(answer));
            said = bare.0;
        });
        said.split(' ').next().map(str::to_owned)
    });
}
