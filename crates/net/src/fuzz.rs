//! What a client sends, before and after it is a request, fed with nonsense: see `testkit::fuzz`.

use base::{NodeLimits, SocketOptions, WorkerLimits, socket};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use testkit::fuzz::{Choices, Fuzz};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::chunked::Chunked;
use crate::frames::Frames;
use crate::head::check_head;
use crate::websocket::{Stop, handshake, run};
use crate::{ServerLimits, proxy_protocol, target};

const HEAD_WORDS: [&str; 30] = [
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    " ",
    "\t",
    ":",
    "GET ",
    "POST ",
    "HTTP/1.1",
    "HTTP/1.0",
    "Host: a\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: ",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Upgrade: websocket\r\n",
    "Connection: Upgrade\r\n",
    "Expect: 100-continue\r\n",
    "http://h/",
    "*",
    "/%2e%2e/",
    "\\",
    "%00",
    "?",
    "#",
    "\0",
    "é",
    "_",
    "+5",
];

/// A head is judged the same in one piece and in many.
#[test]
fn head() {
    let limits =
        ServerLimits::from(&NodeLimits { header_bytes: 2048, uri_bytes: 512, header_count: 10, ..Default::default() });
    let seeds = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nPUT /a/../b?c HTTP/1.1\r\nHost: a:80\r\nContent-Length: 12\r\nX: y\r\n\r\nbody",
        "POST http://h/%2e HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ];
    Fuzz::new("head").seeds(seeds).words(&HEAD_WORDS).run(|input| {
        let (cut, bytes) = input.split_last().map_or((0, input), |(cut, bytes)| (usize::from(*cut), bytes));
        let whole = check_head(bytes, 0, &limits);
        let early = check_head(&bytes[..cut.min(bytes.len())], 0, &limits);
        let pieces = if early == Ok(None) { check_head(bytes, cut.min(bytes.len()), &limits) } else { early };
        assert_eq!(whole, pieces, "cut after {cut}");
        whole.map(|head| head.is_some()).map_err(|refusal| refusal.detail)
    });
}

#[test]
fn chunked() {
    let seeds = ["5\r\nhello\r\n0\r\n\r\n", "3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: x\r\n\r\nGET /"];
    let words = ["\r\n", "0\r\n\r\n", ";", "ffffffffffffffff", "\n", "\r", "T: v\r\n"];
    Fuzz::new("chunked").seeds(seeds).words(&words).run(|input| {
        let (cut, bytes) = input.split_last().map_or((1, input), |(cut, bytes)| (1 + usize::from(*cut % 16), bytes));
        let mut whole = Chunked::default();
        let expected = whole.advance(bytes);
        let mut pieces = Chunked::default();
        let found = bytes.chunks(cut).try_fold(0, |sum, piece| pieces.advance(piece).map(|read| sum + read));
        assert_eq!(expected, found, "in pieces of {cut}");
        (expected.map(|read| read / 16).map_err(|malformed| malformed.0), pieces.is_end())
    });
}

/// What is normal stays as it is.
#[test]
fn request_target() {
    let seeds = ["/a/../b?c=d\nexample.com", "http://h:80/x\nh:80", "/%2e%2e/é\n[::1]:8080", "*\na", "//h/x\nA.B"];
    Fuzz::new("request_target").seeds(seeds).words(&HEAD_WORDS).run(|input| {
        let text = String::from_utf8_lossy(input);
        let (uri, host) = text.split_once('\n').unwrap_or((&text, "a"));
        let (Ok(uri), Ok(host)) = (uri.parse::<Uri>(), HeaderValue::from_bytes(host.as_bytes())) else {
            return Err(None);
        };
        let mut headers = HeaderMap::from_iter([(http::header::HOST, host)]);
        let first = match target::normalise(&Method::GET, &uri, &mut headers, target::Paths::Segments) {
            Ok(first) => first,
            Err(refusal) => return Err(Some(refusal.detail)),
        };
        let again: Uri = first.path_and_query.as_str().parse().expect("a target");
        let second = target::normalise(&Method::GET, &again, &mut headers, target::Paths::Segments)
            .expect("what is normal is accepted");
        assert_eq!(first.authority, second.authority);
        // A path that is not written compares as another than the slash it is read as.
        assert_eq!(first.path_and_query.as_str(), second.path_and_query.as_str());
        Ok(())
    });
}

struct Never;

impl Stop for Never {
    fn drain(&self) -> impl Future<Output = ()> {
        std::future::pending()
    }

    fn cut(&self) -> impl Future<Output = ()> {
        std::future::pending()
    }
}

/// Frames of a stranger, in pieces, to an end that echoes.
#[test]
fn frames() {
    let seeds: [&[u8]; 5] = [
        b"\x05\x81\x85\x01\x02\x03\x04igohn",
        b"\x02\x01\x83\0\0\0\0abc\x89\x80\0\0\0\0\x80\x82\0\0\0\0de\x88\x82\0\0\0\0\x03\xe8",
        b"\x10\x82\xfe\x00\x80\0\0\0\0",
        b"\x03\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0",
        b"\x03\x88\x80\0\0\0\0",
    ];
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(false).build().expect("a runtime");
    let limits = WorkerLimits { socket_message_bytes: 4096, socket_close_ms: 10, ..WorkerLimits::default() };
    Fuzz::new("frames").seeds(seeds).run(|input| {
        let mut choices = Choices::new(input);
        let cut = 1 + choices.below(64);
        let bytes = choices.rest();
        runtime.block_on(async {
            let (near, far) = tokio::io::duplex(4096);
            let (end, worker) = socket::pair(SocketOptions::from(&limits));
            let (mut reader, mut writer) = tokio::io::split(near);
            let (before, rest) = bytes.split_at(bytes.len().min(choices_before(bytes)));
            let pump = run(far, before.to_vec(), Role::Server, end, Never);
            let echo = async {
                while let socket::Received::Message(message) = worker.receive().await {
                    if worker.send(message).is_err() {
                        break;
                    }
                }
            };
            let send = async {
                for piece in rest.chunks(cut) {
                    if writer.write_all(piece).await.is_err() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                // The client leaves.
                drop(writer.shutdown().await);
            };
            let drain = async {
                let mut sink = Vec::new();
                drop(reader.read_to_end(&mut sink).await);
            };
            let talk = async {
                tokio::select! {
                    (stream, summary) = pump => { drop(stream); summary.ended.code }
                    () = async { tokio::join!(send, drain, echo); std::future::pending().await } => 0,
                }
            };
            talk.await
        })
    });
}

/// How much came with the handshake.
fn choices_before(bytes: &[u8]) -> usize {
    bytes.last().map_or(0, |last| usize::from(*last % 8))
}

#[test]
fn handshakes() {
    let seeds = [
        "upgrade\nwebsocket\nconnection\nkeep-alive, Upgrade\nsec-websocket-key\ndGhlIHNhbXBsZSBub25jZQ==\nsec-websocket-version\n13",
        "upgrade\nwebsocket\nconnection\nupgrade\nsec-websocket-accept\ns3pPLMBiTxaQ9kYGzzhZRbK+xOo=\nsec-websocket-protocol\na, b",
    ];
    let words =
        ["sec-websocket-protocol\n", "sec-websocket-extensions\n", "websocket", ",", " ", "\n", "=", "13", "8", "é"];
    Fuzz::new("handshakes").seeds(seeds).words(&words).run(|input| {
        let mut headers = HeaderMap::new();
        let mut fields = input.split(|byte| *byte == b'\n');
        while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
                headers.append(name, value);
            }
        }
        let offered: Vec<String> = handshake::offers(&headers).map(str::to_owned).collect();
        let read = handshake::read(&Method::GET, Version::HTTP_11, &headers);
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        let checked = handshake::check_answer(&headers, &key, &offered);
        handshake::tidy(&mut headers);
        (read.map(|key| key.is_some()).map_err(|refusal| refusal.detail), checked, offered.len())
    });
}

/// A header in pieces is the header in one.
#[test]
fn proxy_header() {
    let binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbbGET /";
    let seeds = [&b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\nGET /"[..], b"PROXY UNKNOWN\r\n", binary];
    let words = ["PROXY ", "TCP4 ", "TCP6 ", "UNKNOWN", "\r\n", " ", "::1", "65536"];
    Fuzz::new("proxy_header").seeds(seeds).words(&words).run(|input| {
        let whole = proxy_protocol::read(input, 256);
        let pieces =
            (0..=input.len()).map(|end| proxy_protocol::read(&input[..end], 256)).find(|read| *read != Ok(None));
        assert_eq!(whole, pieces.unwrap_or(Ok(None)));
        whole.map(|header| header.map(|header| header.client.is_some())).map_err(|malformed| malformed.to_string())
    });
}

/// Frames in pieces are the frames in one.
#[test]
fn h2_frames() {
    let limits = ServerLimits::from(&NodeLimits { h2_control_frames: 50, h2_window_updates: 50, ..Default::default() });
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let seeds = [
        [&preface[..], b"\0\0\0\x04\0\0\0\0\0", b"\0\0\x08\x06\0\0\0\0\0ping-ack"].concat(),
        [&preface[..], b"\0\0\x04\x01\x04\0\0\0\x01head", b"\0\0\x04\x09\x04\0\0\0\x01more"].concat(),
    ];
    Fuzz::new("h2_frames").seeds(seeds).run(|input| {
        let (cut, bytes) = input.split_last().map_or((1, input), |(cut, bytes)| (1 + usize::from(*cut % 16), bytes));
        let now = tokio::time::Instant::now();
        let whole = Frames::new(&limits).judge(bytes, 0, now);
        let mut gate = Frames::new(&limits);
        let pieces = bytes.chunks(cut).try_for_each(|piece| gate.judge(piece, 0, now));
        assert_eq!(whole, pieces, "in pieces of {cut}");
        whole.map_err(|flood| flood.to_string())
    });
}
