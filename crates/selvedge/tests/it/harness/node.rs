//! A running node, which ends with the test.

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use super::client::{Answer, Request, raw};
use super::{PATIENCE, until};

/// A command that runs on and tells what it does.
pub struct Watcher {
    child: Child,
    stdout: Said,
    stderr: Said,
}

impl Watcher {
    pub fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let stdout = Said::collect(child.stdout.take().expect("a pipe"));
        let stderr = Said::collect(child.stderr.take().expect("a pipe"));
        Self { child, stdout, stderr }
    }

    /// Waits until it has said something so many times; answers what it said after the time before.
    #[track_caller]
    pub fn wait_for(&self, part: &str, times: usize) -> String {
        let said = self.stdout.wait(part, |said| said.matches(part).count() >= times);
        said.split(part).nth(times - 1).unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub fn wait_for_stderr(&self, part: &str) -> String {
        self.stderr.wait(part, |said| said.contains(part))
    }

    /// Asks it to stop, and waits until it has.
    #[track_caller]
    pub fn stop(mut self) -> ExitStatus {
        let pid = Pid::from_raw(self.child.id() as i32).expect("a process");
        kill_process(pid, Signal::TERM).expect("the process runs");
        until("the command ends", || self.child.try_wait().expect("our child"))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub struct Node {
    child: Child,
    pub address: SocketAddr,
    pub admin: SocketAddr,
    stderr: Said,
    stdout: Said,
    data: PathBuf,
}

impl Node {
    /// Sends a request as it is written here, on a connection of its own that stays open, and reads the answer.
    pub fn exchange(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        stream.write_all(request.as_bytes()).expect("written");
        let (mut bytes, mut space) = (Vec::new(), [0; 4096]);
        loop {
            let n = stream.read(&mut space).expect("an answer");
            bytes.extend_from_slice(&space[..n]);
            if let Some(answer) = Answer::parse(&bytes) {
                return answer;
            }
            assert!(n > 0, "{request}: cut off after {}", String::from_utf8_lossy(&bytes));
        }
    }

    /// Starts it on ports that the kernel chooses, and waits until it has told which.
    pub fn start(command: &mut Command, data: &Path) -> Self {
        command
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--s3", "127.0.0.1:0", "--data"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let stderr = Said::collect(child.stderr.take().expect("a pipe"));
        let stdout = Said::collect(child.stdout.take().expect("a pipe"));
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        // From here on the guard ends the process, whatever happens.
        let mut node = Self { child, address: nowhere, admin: nowhere, stderr, stdout, data: data.to_owned() };
        let said = node.stderr.wait("its addresses", |said| said.contains("admin on http://"));
        node.address = address_after(&said, "http://");
        node.admin = address_after(&said, "admin on http://");
        node
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.send(&Request::get(path))
    }

    #[track_caller]
    pub fn send(&self, request: &Request) -> Answer {
        match request.send(self.address) {
            Ok(answer) => answer,
            Err(error) => panic!("no answer to {request:?}: {error}\n{}", self.stderr.text()),
        }
    }

    /// To the admin listener, with the token.
    #[track_caller]
    pub fn ask_admin(&self, request: Request) -> Answer {
        let token = fs::read_to_string(self.data.join("admin.token")).expect("the token");
        request.header("authorization", &format!("Bearer {token}")).send(self.admin).expect("an answer")
    }

    /// Sends bytes as they are; an answer, if there was one.
    pub fn raw(&self, bytes: &[u8]) -> Option<Answer> {
        Answer::parse(&raw(self.address, bytes).ok()?)
    }

    /// Asks for a path until the answer is as wanted.
    #[track_caller]
    pub fn until(&self, request: &Request, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let begun = Instant::now();
        loop {
            let answer = self.send(request);
            if wanted(&answer) {
                return answer;
            }
            let waited = begun.elapsed();
            let what = || format!("{request:?}; the last was {} {}", answer.status, answer.text());
            assert!(waited < PATIENCE, "waited for the right answer to {}\n{}", what(), self.stderr.text());
        }
    }

    /// What the node said to the person who started it.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// The access log, as far as it is written.
    pub fn log(&self) -> String {
        self.stdout.text()
    }

    #[track_caller]
    pub fn wait_for_stderr(&self, part: &str) -> String {
        self.stderr.wait(part, |said| said.contains(part))
    }

    #[track_caller]
    pub fn wait_for_log(&self, part: &str) -> String {
        self.stdout.wait(part, |said| said.contains(part))
    }

    /// Where it serves the S3 protocol.
    pub fn s3(&self) -> SocketAddr {
        address_after(&self.stderr.wait("its S3 address", |said| said.contains("S3 on http://")), "S3 on http://")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("a process");
        kill_process(pid, signal).expect("the process runs");
    }

    /// Waits for the end that was asked for.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        until("the node ends", || self.child.try_wait().expect("our child"))
    }

    /// Asks it to stop, and waits until it has.
    #[track_caller]
    pub fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert!(status.success(), "it ended with {status}\n{}", self.stderr.text());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first address behind the prefix. What was said before may name a host there.
fn address_after(said: &str, prefix: &str) -> SocketAddr {
    let address = |rest: &str| {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':')).unwrap_or(rest.len());
        rest[..end].parse().ok()
    };
    let found = said.split(prefix).skip(1).find_map(address);
    found.unwrap_or_else(|| panic!("no address after {prefix:?} in {said}"))
}

/// What a process wrote to one of its pipes so far.
#[derive(Clone)]
struct Said(Arc<(Mutex<Lines>, Condvar)>);

#[derive(Default)]
struct Lines {
    text: String,
    ended: bool,
}

impl Said {
    fn collect(pipe: impl Read + Send + 'static) -> Self {
        let said = Self(Arc::default());
        let writer = said.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines() {
                let Ok(line) = line else { break };
                writer.change(|lines| lines.text += &format!("{line}\n"));
            }
            writer.change(|lines| lines.ended = true);
        });
        said
    }

    fn change(&self, change: impl FnOnce(&mut Lines)) {
        change(&mut self.0.0.lock().expect("no test panics with it"));
        self.0.1.notify_all();
    }

    fn text(&self) -> String {
        self.0.0.lock().expect("no test panics with it").text.clone()
    }

    /// Waits until what was said is as wanted.
    #[track_caller]
    fn wait(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let lines = self.0.0.lock().expect("no test panics with it");
        let waiting = |lines: &mut Lines| !lines.ended && !wanted(&lines.text);
        let (lines, _) = self.0.1.wait_timeout_while(lines, PATIENCE, waiting).expect("no test panics with it");
        let text = lines.text.clone();
        drop(lines);
        assert!(wanted(&text), "it never said {what:?}, but:\n{text}");
        text
    }
}
