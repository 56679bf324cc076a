//! Downloads that take longer than a takeover may.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rustix::process::Signal;

use super::{Authority, has_curl, ports};
use crate::harness::{Node, Place, Request, until, write};
use crate::proxy::Origin;

/// More than the kernel takes for a client that does not read.
const LARGE: usize = 48 << 20;

const MANIFEST: &str = r#"
name = "edge"
[upstreams.origin]
targets = ["http://ORIGIN"]
[workers.web]
entry = "src/index.ts"
[[routes]]
match = "/pass/*"
upstream = "origin"
[[routes]]
match = "/cached/*"
upstream = "origin"
cache = true
[[routes]]
match = "/files/*"
assets = "public"
[[routes]]
match = "/*"
worker = "web"
"#;

/// A stream that never ends, and what needs nothing.
const WORKER: &str = r#"
export default {
  fetch(request: Request): Response {
    if (!request.url.endsWith("/stream")) return new Response("here");
    const body = new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode("begun")) });
    return new Response(body);
  },
};
"#;

/// Lets an origin's second half out.
#[derive(Default)]
struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn open(&self) {
        *self.0.lock().expect("no panic") = true;
        self.1.notify_all();
    }

    fn wait(&self) {
        drop(self.1.wait_while(self.0.lock().expect("no panic"), |is_open| !*is_open).expect("no panic"));
    }
}

/// Sends a half of 100,000 bytes, and the other when the gate opens.
fn origin(gate: &Arc<Gate>) -> Origin {
    let gate = gate.clone();
    Origin::start(move |_, stream| {
        let head =
            "HTTP/1.1 200 OK\r\ncontent-length: 200000\r\ncache-control: max-age=60\r\nconnection: close\r\n\r\n";
        let half = vec![b'a'; 100_000];
        let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&half));
        gate.wait();
        // Whoever was cut off reads nothing more.
        let _ = sent.and_then(|()| stream.write_all(&half));
    })
}

fn project(place: &Place, origin: &Origin) {
    let manifest = MANIFEST.replace("ORIGIN", &origin.address.to_string());
    let project = place.project("project", &[("selvedge.toml", &manifest), ("src/index.ts", WORKER)]);
    write(&project.join("public/files/large.bin"), &"f".repeat(LARGE));
    place.deploy(&project).expect_success();
}

/// Asks, and reads the head and a little of the body.
fn begin(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("no connection is refused");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: edge.localhost\r\n\r\n").expect("sent");
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
    stream.read_exact(&mut [0; 5]).expect("the body begins");
    stream
}

/// What comes until the connection ends; an error if it is cut.
fn rest(mut stream: TcpStream) -> std::io::Result<usize> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(bytes.len() + 5)
}

fn take_over(place: &Place, node: &Node) -> Node {
    let next = place.serve_with(&["--config", "node.toml", "--takeover"]);
    assert_eq!(next.address, node.address, "the port is the same");
    assert_eq!(next.send(&Request::get("/").at_app("edge")).expect(200).text(), "here");
    next
}

#[test]
fn downloads_that_need_no_store_outlive_a_takeover() {
    let place = Place::new();
    let gate = Arc::<Gate>::default();
    let origin = origin(&gate);
    project(&place, &origin);
    write(&place.path("node.toml"), "[cache]\ndisk = \"responses\"\n[limits]\nhandover_ms = 300\n");
    let mut node = place.serve_with(&["--config", "node.toml"]);
    let paths = ["/pass/a", "/cached/b", "/files/large.bin"];
    let downloads = paths.map(|path| begin(node.address, path));
    let stream = begin(node.address, "/stream");
    let url = format!("http://edge.localhost:{}/pass/traced", node.address.port());
    let traced = place.command(["trace", &url, "--send", "--data"]).arg(place.data()).stderr(Stdio::piped()).spawn();
    until("what is traced is under way", || (origin.visits() == 3).then_some(()));

    let next = take_over(&place, &node);
    node.wait_for_stderr("3 connections go on here until they end");
    assert!(rest(stream).is_ok_and(|bytes| bytes < 20), "what needs a worker is cut, without its last chunk");
    assert!(!traced.expect("it runs").wait_with_output().expect("it ends").status.success(), "so is what is traced");
    // The second successor finds the stores free as well, and the first nothing to wait for.
    gate.open();
    let last = take_over(&place, &next);
    for (path, (stream, bytes)) in paths.iter().zip(downloads.into_iter().zip([200_000, 200_000, LARGE])) {
        assert_eq!(rest(stream).unwrap_or_else(|error| panic!("{path}: {error}")), bytes, "{path}");
        // Its record is written where it was served.
        let line = node.wait_for_log(&format!("\"{path}\""));
        let line = line.lines().find(|line| line.contains(path)).expect("a line").to_owned();
        assert!(line.contains(&format!("\"response_bytes\":{bytes}")), "{line}");
    }
    assert!(node.wait().success());
    last.stop();
}

#[test]
fn downloads_outlive_a_takeover_for_drain_ms_or_until_the_process_is_stopped() {
    let place = Place::new();
    let gate = Arc::<Gate>::default();
    project(&place, &origin(&gate));
    let stopped_by = |drain_ms: u64, stop: &dyn Fn(&Node)| {
        write(&place.path("node.toml"), &format!("[limits]\nhandover_ms = 50\ndrain_ms = {drain_ms}\n"));
        let mut node = place.serve_with(&["--config", "node.toml"]);
        let download = begin(node.address, "/pass/a");
        let next = take_over(&place, &node);
        node.wait_for_stderr("1 connections go on here until they end");
        stop(&node);
        assert!(node.wait().success());
        assert!(rest(download).is_ok_and(|bytes| bytes < 200_000), "it is cut");
        next.stop();
    };
    stopped_by(100, &|_| {});
    stopped_by(600_000, &|node| node.signal(Signal::TERM));
    gate.open();
}

#[test]
fn a_takeover_without_downloads_leaves_no_process_behind() {
    let place = Place::new();
    project(&place, &origin(&Arc::default()));
    write(&place.path("node.toml"), "[limits]\nhandover_ms = 50\n");
    let mut node = place.serve_with(&["--config", "node.toml"]);
    let next = take_over(&place, &node);
    assert!(node.wait().success());
    next.stop();
}

/// A download by curl into a file.
struct Download {
    child: Child,
    file: PathBuf,
}

impl Download {
    /// Begins one, and waits until some of its body is there.
    fn begin(place: &Place, port: &str, version: &str, path: &str) -> Self {
        let file = place.path(&format!("{version}{}", path.replace('/', "-")));
        let (host, url) = (format!("edge.localhost:{port}"), format!("https://edge.localhost:{port}{path}"));
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--no-buffer", "--max-time", "60", "--noproxy", "*", version]);
        // A client that does not read what is a file faster than the node is replaced.
        command.args(["--limit-rate", "12M", "--resolve", &format!("{host}:127.0.0.1"), "--cacert"]);
        command.arg(place.path("ca.pem")).args(["--write-out", "%{http_version}", "--output"]).arg(&file).arg(url);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("curl runs");
        until("the body begins", || std::fs::metadata(&file).ok().filter(|found| found.len() > 0));
        Self { child, file }
    }

    /// The version of HTTP, and how many bytes there were; an error if it was cut.
    fn end(self) -> Result<(String, u64), String> {
        let output = self.child.wait_with_output().expect("it ends");
        let (version, error) = (output.stdout, output.stderr);
        match output.status.success() {
            true => {
                let bytes = std::fs::metadata(&self.file).expect("the file").len();
                Ok((String::from_utf8_lossy(&version).into_owned(), bytes))
            }
            false => Err(String::from_utf8_lossy(&error).into_owned()),
        }
    }
}

#[test]
fn downloads_under_tls_outlive_a_takeover_in_both_versions_of_http() {
    if !has_curl() {
        return;
    }
    let place = Place::new();
    let gate = Arc::<Gate>::default();
    project(&place, &origin(&gate));
    Authority::new(&place).issue("a", &["edge.localhost"]);
    let listeners = r#"
[[listeners]]
listen = "127.0.0.1:0"
[[listeners]]
listen = "127.0.0.1:0"
tls = { certificates = [{ cert = "a.pem", key = "a.key" }] }
[limits]
handover_ms = 300
"#;
    write(&place.path("node.toml"), listeners);
    let mut node = place.serve_with(&["--config", "node.toml"]);
    let port = ports(&node, "https").remove(0);
    let versions = [("--http1.1", "1.1"), ("--http2", "2")];
    let paths = [("/pass/", 200_000), ("/cached/", 200_000), ("/files/large.bin", LARGE as u64)];
    let asked: Vec<_> = versions.iter().flat_map(|version| paths.iter().map(move |path| (version, path))).collect();
    let begin = |(option, version): &(&str, &str), path: &str| {
        // Each has a fetch of its own.
        let path = if path.ends_with('/') { format!("{path}{version}") } else { path.to_owned() };
        Download::begin(&place, &port, option, &path)
    };
    let downloads: Vec<_> = asked.iter().map(|(version, (path, _))| begin(version, path)).collect();
    let stream = Download::begin(&place, &port, "--http2", "/stream");

    let next = take_over(&place, &node);
    node.wait_for_stderr("6 connections go on here until they end");
    assert!(stream.end().is_err(), "what needs a worker is cut");
    gate.open();
    for ((version, (path, bytes)), download) in asked.into_iter().zip(downloads) {
        let ended = download.end().unwrap_or_else(|error| panic!("{path} over {}: {error}", version.1));
        assert_eq!(ended, (version.1.to_owned(), *bytes), "{path}");
    }
    assert!(node.wait().success());
    next.stop();
}
