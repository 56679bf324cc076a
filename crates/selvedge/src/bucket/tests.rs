//! What a bucket answers when it does not answer well.

use std::io::{Read as _, Seek as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::thread::JoinHandle;

use tempfile::NamedTempFile;

use super::*;

/// What a server does with a request.
enum Does {
    Answers(&'static str),
    /// Says nothing, until the other side goes.
    Keeps,
    Hangs,
}

/// A server that does one thing after another, a connection each, and keeps what it was asked.
struct Server {
    endpoint: String,
    thread: Option<JoinHandle<()>>,
    asked: Arc<Mutex<Vec<String>>>,
    secret: NamedTempFile,
}

impl Server {
    fn start(script: Vec<Does>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let kept = asked.clone();
        let run = move || {
            for does in script {
                let (mut stream, _) = listener.accept().expect("a connection");
                let request = read_request(&mut stream);
                kept.lock().expect("no panic").push(request);
                match does {
                    Does::Answers(answer) => stream.write_all(answer.as_bytes()).expect("it listens"),
                    Does::Hangs => {}
                    // Ends when the other side closes.
                    Does::Keeps => drop(stream.read(&mut [0])),
                }
            }
        };
        let mut secret = NamedTempFile::new().expect("a file");
        secret.write_all(b"the secret\n").expect("written");
        Self { endpoint, thread: Some(std::thread::spawn(run)), asked, secret }
    }

    fn depot(&self) -> BucketDepot {
        let patience =
            Patience { silence: Duration::from_millis(300), pause: Duration::from_millis(1), ..Patience::default() };
        BucketDepot::patient(config(&self.endpoint, self.secret.path()), crate::wire::clock(), patience).expect("opens")
    }

    /// Each request's first line, once all that was to come has come.
    fn asked(mut self) -> Vec<String> {
        self.thread.take().expect("not joined yet").join().expect("no panic");
        let asked = self.asked.lock().expect("no panic");
        asked.iter().map(|request| request.lines().next().unwrap_or_default().to_owned()).collect()
    }
}

/// The head, and the body that it tells of.
fn read_request(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase().lines().find_map(|line| {
                line.strip_prefix("content-length:").and_then(|length| length.trim().parse::<usize>().ok())
            });
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        let mut buffer = [0; 4096];
        let bytes = stream.read(&mut buffer).expect("a request");
        assert!(bytes > 0, "the request ends too early: {text}");
        read.extend_from_slice(&buffer[..bytes]);
    }
}

fn config(endpoint: &str, secret_file: &Path) -> BucketConfig {
    BucketConfig {
        endpoint: endpoint.to_owned(),
        bucket: "past".into(),
        region: "us-east-1".into(),
        prefix: "a".into(),
        access_key: Some("KEY".into()),
        secret_file: Some(secret_file.to_owned()),
        ca: None,
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const SLOW_DOWN: &str = "HTTP/1.1 503 Slow Down\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const DENIED: &str = "HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 62\r\n\r\n<Error><Code>AccessDenied</Code><Message>no</Message></Error>\r\n";
const NO_KEY: &str =
    "HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 37\r\n\r\n<Error><Code>NoSuchKey</Code></Error>";
const NO_BUCKET: &str =
    "HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 40\r\n\r\n<Error><Code>NoSuchBucket</Code></Error>";

fn file(content: &str) -> File {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(content.as_bytes()).and_then(|()| file.rewind()).expect("written");
    file
}

fn read(depot: &BucketDepot, name: &str) -> String {
    io::read_to_string(depot.open(name, None).expect("opens").expect("is there")).expect("is read")
}

#[test]
fn what_passes_is_asked_again_and_what_does_not_is_told() {
    let server = Server::start(vec![Does::Answers(SLOW_DOWN), Does::Hangs, Does::Keeps, Does::Answers(OK)]);
    server.depot().put("x/1.ltx", &mut file("pages")).expect("the fourth time");
    assert_eq!(server.asked(), ["PUT /past/a/x/1.ltx HTTP/1.1"; 4]);

    let server = Server::start((0..4).map(|_| Does::Answers(SLOW_DOWN)).collect());
    let told = server.depot().put("x", &mut file("pages")).expect_err("it is overloaded for long").to_string();
    assert!(told.contains("PUT ") && told.contains("/past/a/x: 503"), "{told}");
    assert_eq!(server.asked().len(), 4);

    let server = Server::start(vec![Does::Answers(DENIED), Does::Answers(NO_BUCKET)]);
    let depot = server.depot();
    let told = depot.put("x", &mut file("pages")).expect_err("it may not").to_string();
    assert!(told.contains("403 AccessDenied: no") && !told.contains("the secret"), "{told}");
    let told = depot.open("x", None).err().expect("no bucket is an error").to_string();
    assert!(told.contains("404 NoSuchBucket"), "{told}");
    assert_eq!(server.asked().len(), 2, "neither is asked again");
}

#[test]
fn what_is_not_there_is_no_failure() {
    let server = Server::start(vec![Does::Answers(NO_KEY), Does::Answers(NO_KEY)]);
    let depot = server.depot();
    assert!(depot.open("x", None).expect("an answer").is_none());
    depot.remove("x").expect("it is gone");
    assert_eq!(server.asked(), ["GET /past/a/x HTTP/1.1", "DELETE /past/a/x HTTP/1.1"]);
}

#[test]
fn an_answer_that_breaks_off_goes_on_where_it_was() {
    let script = vec![
        Does::Answers("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123"),
        Does::Answers(SLOW_DOWN),
        Does::Answers("HTTP/1.1 206 Partial Content\r\nconnection: close\r\ncontent-length: 6\r\n\r\n456789"),
    ];
    let server = Server::start(script);
    assert_eq!(read(&server.depot(), "x"), "0123456789");
    let requests = server.asked.lock().expect("no panic").clone();
    assert!(requests[2].contains("range: bytes=4-"), "{requests:?}");
    assert_eq!(server.asked().len(), 3);

    // One that begins anew instead, and one that never gets further.
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123";
    let server = Server::start(vec![Does::Answers(cut), Does::Answers(cut)]);
    let content = server.depot().open("x", None).expect("opens").expect("is there");
    let told = io::read_to_string(content).expect_err("it can't be read").to_string();
    assert!(told.contains("after 4 bytes") && told.contains("gives no part"), "{told}");
    assert_eq!(server.asked().len(), 2);
    let none = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n";
    let server = Server::start((0..4).map(|_| Does::Answers(none)).collect());
    let content = server.depot().open("x", None).expect("opens").expect("is there");
    let told = io::read_to_string(content).expect_err("it never comes").to_string();
    assert!(told.contains("after 0 bytes it broke off"), "{told}");
    assert_eq!(server.asked().len(), 4);
}

#[test]
fn nobody_is_asked_without_credentials() {
    let config = config("http://127.0.0.1:1", Path::new("/nowhere/secret"));
    let told = check_credentials(&config).expect_err("there is no secret").to_string();
    assert!(told.contains("/nowhere/secret can't be read"), "{told}");
    let config = BucketConfig { access_key: None, ..config };
    let depot = BucketDepot::open(config, crate::wire::clock()).expect("opens");
    assert!(depot.list("").expect_err("nobody signs").to_string().contains("/nowhere/secret"));
}
