//! WebSockets and event streams through the whole node, by a client that speaks in bytes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use rustix::process::Signal;

use crate::harness::{Node, PATIENCE, Place, Request, until, write};

const MANIFEST: &str = r#"
name = "app"
routes = [
  { match = "/echo", worker = "echo" },
  { match = "/fresh", worker = "fresh" },
  { match = "/*", worker = "front" },
]
[workers.echo]
entry = "src/echo.ts"
[workers.fresh]
entry = "src/echo.ts"
isolation = "request"
[workers.front]
entry = "src/front.ts"
egress = ["127.0.0.0/8"]
[workers.front.bindings]
ECHO = { worker = "echo" }
"#;

const ECHO: &str = r#"
export default {
  fetch(request: Request): Response {
    if (request.headers.get("Upgrade") !== "websocket") return new Response("Expected a WebSocket", { status: 426 });
    const { 0: client, 1: server } = new WebSocketPair();
    server.accept();
    server.addEventListener("message", ({ data }) => {
      if (data === "bye") server.close(4001, "bye yourself");
      else server.send(typeof data === "string" ? `echo ${data}` : data);
    });
    server.addEventListener("close", ({ code }) => console.log(`the socket ended with ${code}`));
    return new Response(null, { status: 101, webSocket: client } as ResponseInit);
  },
};
"#;

const FRONT: &str = r#"
const open = (url: string): Promise<string> => new Promise((resolve) => {
  const socket = new WebSocket(url);
  socket.onopen = () => socket.send("from a worker");
  socket.onmessage = ({ data }) => { socket.close(1000); resolve(data); };
  socket.onerror = (event: any) => resolve(event.error.code);
});
export default {
  async fetch(request: Request, env: any): Promise<Response> {
    const url = new URL(request.url);
    const to = url.searchParams.get("to")!;
    switch (url.pathname) {
      case "/binding": return env.ECHO.fetch(request);
      case "/proxy": return fetch(to, request);
      case "/client": return new Response(await open(to));
      case "/events": {
        const { readable, writable } = new TransformStream();
        const writer = writable.getWriter();
        const asked = request.body?.getReader();
        void (async () => {
          for (const name of ["one", "two"]) {
            // Each event is asked for by a piece of the body, if there is one.
            await asked?.read();
            await writer.write(new TextEncoder().encode(`data: ${name}\n\n`));
          }
          await writer.close();
        })();
        return new Response(readable, { headers: { "content-type": "text/event-stream" } });
      }
      case "/listen": {
        const source = new EventSource(to);
        const heard: string[] = [];
        await new Promise<void>((resolve) => {
          source.onmessage = ({ data }) => { heard.push(data); if (data === "two") resolve(); };
        });
        source.close();
        return new Response(heard.join());
      }
      default: return new Response("no such path", { status: 404 });
    }
  },
};
"#;

fn project(place: &Place) -> std::path::PathBuf {
    place.project("project", &[("selvedge.toml", MANIFEST), ("src/echo.ts", ECHO), ("src/front.ts", FRONT)])
}

/// A client's end.
pub struct Socket(pub BufReader<TcpStream>);

#[derive(Debug, PartialEq)]
pub enum Frame {
    Text(String),
    Binary(Vec<u8>),
    Close(u16),
}

impl Socket {
    #[track_caller]
    pub fn open(address: SocketAddr, path: &str) -> Self {
        Self::open_at(address, "app", path)
    }

    #[track_caller]
    pub fn open_at(address: SocketAddr, app: &str, path: &str) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time");
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {app}.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        (&stream).write_all(head.as_bytes()).expect("written");
        let mut reader = BufReader::new(stream);
        let mut answer = String::new();
        while !answer.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut answer).expect("an answer") > 0, "{answer}");
        }
        assert!(answer.starts_with("HTTP/1.1 101 "), "{path}: {answer}");
        Self(reader)
    }

    pub fn send(&mut self, opcode: u8, payload: &[u8]) {
        let length = match payload.len() {
            short @ 0..=125 => vec![0x80 | short as u8],
            middle @ 126..=0xffff => [&[0xfe][..], &(middle as u16).to_be_bytes()].concat(),
            long => [&[0xff][..], &(long as u64).to_be_bytes()].concat(),
        };
        let mask = [1, 2, 3, 4];
        let masked: Vec<u8> = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        let frame = [&[0x80 | opcode][..], &length, &mask, &masked].concat();
        self.0.get_mut().write_all(&frame).expect("written");
    }

    #[track_caller]
    pub fn read(&mut self) -> Frame {
        let mut exactly = |count: usize| {
            let mut bytes = vec![0; count];
            self.0.read_exact(&mut bytes).expect("a frame");
            bytes
        };
        let head = exactly(2);
        let length = match head[1] {
            126 => usize::from(u16::from_be_bytes(exactly(2).try_into().unwrap())),
            127 => u64::from_be_bytes(exactly(8).try_into().unwrap()) as usize,
            short => usize::from(short),
        };
        let payload = exactly(length);
        match head[0] {
            0x81 => Frame::Text(String::from_utf8(payload).expect("UTF-8")),
            0x82 => Frame::Binary(payload),
            0x88 => Frame::Close(u16::from_be_bytes([payload[0], payload[1]])),
            other => panic!("an unexpected frame: {other:#x}"),
        }
    }

    #[track_caller]
    fn check_echo(&mut self) {
        self.send(1, "grüße".as_bytes());
        assert_eq!(self.read(), Frame::Text("echo grüße".into()));
        let large = vec![9; 300_000];
        self.send(2, &large);
        assert_eq!(self.read(), Frame::Binary(large));
    }
}

fn query(node: &Node, path: &str, scheme: &str, to: &str) -> String {
    format!("{path}?to={scheme}://{}{to}", node.address)
}

#[test]
fn sockets_of_every_kind_echo() {
    let place = Place::new();
    let node = place.dev(&project(&place));
    let proxied = query(&node, "/proxy", "http", "/echo");
    for path in ["/echo", "/fresh", "/binding", &proxied] {
        let mut socket = Socket::open(node.address, path);
        socket.check_echo();
        socket.send(1, b"bye");
        assert_eq!(socket.read(), Frame::Close(4001), "{path}");
        socket.send(8, &4001_u16.to_be_bytes());
        let mut rest = Vec::new();
        socket.0.read_to_end(&mut rest).expect("an end");
        assert!(rest.is_empty());
    }
    // The same client leaves instead, with no word.
    drop(Socket::open(node.address, "/echo"));
    for said in ["the socket ended with 4001", "the socket ended with 1006"] {
        until(said, || (node.log() + &node.stderr()).contains(said).then_some(()));
    }
    let answer = node.send(&Request::get(&query(&node, "/client", "ws", "/echo")).at_app("app"));
    assert_eq!(answer.expect(200).text(), "echo from a worker");
    node.send(&Request::get("/echo").at_app("app")).expect(426);
    node.stop();
}

#[test]
fn a_worker_opens_sockets_only_where_it_may() {
    let place = Place::new();
    let node = place.serve_project(&project(&place));
    for target in ["ws://10.0.0.1/", "ws://[fd00::1]/", "wss://192.168.1.1/"] {
        let answer = node.send(&Request::get(&format!("/client?to={target}")).at_app("app"));
        assert_eq!(answer.expect(200).text(), "egress_denied", "{target}");
    }
    let admin = format!("/client?to=ws://127.0.0.1:{}/", node.admin.port());
    assert_eq!(node.send(&Request::get(&admin).at_app("app")).expect(200).text(), "egress_denied");
}

#[test]
fn a_node_that_stops_says_goodbye_to_its_sockets() {
    let place = Place::new();
    let mut node = place.serve_project(&project(&place));
    let mut sockets: Vec<Socket> = ["/echo", "/fresh"].iter().map(|path| Socket::open(node.address, path)).collect();
    sockets.iter_mut().for_each(Socket::check_echo);
    node.signal(Signal::TERM);
    for socket in &mut sockets {
        assert_eq!(socket.read(), Frame::Close(1001));
        socket.send(8, &1001_u16.to_be_bytes());
    }
    assert!(node.wait().success());
}

#[test]
fn sockets_of_a_replaced_deployment_are_told_to_come_back() {
    let place = Place::new();
    let project = project(&place);
    let node = place.dev(&project);
    let mut socket = Socket::open(node.address, "/echo");
    socket.check_echo();
    write(&project.join("src/echo.ts"), &ECHO.replace("`echo ${data}`", "`again ${data}`"));
    assert_eq!(socket.read(), Frame::Close(1012));
    let mut socket = Socket::open(node.address, "/echo");
    socket.send(1, b"x");
    assert_eq!(socket.read(), Frame::Text("again x".into()));
}

#[test]
fn an_event_stream_arrives_as_it_is_written() {
    let place = Place::new();
    let node = place.dev(&project(&place));
    let stream = TcpStream::connect(node.address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    let ask = |bytes: &[u8]| (&stream).write_all(bytes).expect("written");
    ask(b"POST /events HTTP/1.1\r\nHost: app.localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    let mut lines = BufReader::new(&stream).lines();
    let mut read_until = |wanted: &str| {
        let line = lines.find(|line| line.as_ref().is_ok_and(|line| line == wanted));
        assert!(line.is_some(), "{wanted} never came");
    };
    read_until("data: one");
    // The second is written when it is asked for, which is after the first was read.
    ask(b"1\r\nb\r\n0\r\n\r\n");
    read_until("data: two");
    let listened = node.send(&Request::get(&query(&node, "/listen", "http", "/events")).at_app("app"));
    assert_eq!(listened.expect(200).text(), "one,two");
}
