//! One app, asked twice.

use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{ENTRIES, Outcome, SHOWN_BYTES};
use crate::repo;

/// What a server says once it listens, in front of its addresses.
const LISTENS: &str = "://";
const LISTENS_FOR_ADMIN: &str = "admin on http://";

pub struct Compared {
    pub outcomes: Vec<Outcome>,
    /// What the server had to complain about.
    pub complaint: String,
}

pub fn compare(program: &Path, folder: &Path, app: &str) -> Result<Compared> {
    let directory = folder.join("apps").join(app);
    let entry = ENTRIES.into_iter().find(|entry| directory.join(entry).is_file());
    let entry = directory.join(entry.with_context(|| format!("{app} has neither of {}", ENTRIES.join(", ")))?);
    let requests = directory.join("requests.json");
    let mut node = script(folder, "answer.mjs");
    let expected = repo::output(node.arg(&entry).arg(&requests)).with_context(|| format!("{app} under node"))?;
    let server = Server::start(program, folder, &directory, &[])?;
    let mut ask = script(folder, "ask.mjs");
    let found = repo::output(ask.arg(&server.address).arg(&requests));
    let complaint = server.stop();
    let found = found.with_context(|| format!("{app} on selvedge\n{complaint}"))?;
    Ok(Compared { outcomes: outcomes(&expected, &found)?, complaint })
}

fn script(folder: &Path, name: &str) -> Command {
    let mut command = Command::new("node");
    let hooks = folder.join("node/hooks.mjs");
    command.arg("--no-warnings").arg("--import").arg(hooks).arg(folder.join("node").join(name));
    // As scripts on Selvedge have it.
    command.env("NODE_ENV", "production").env("TZ", "UTC").current_dir(folder);
    command
}

/// Pairs the answers, which both programs print in the order of the requests, one a line.
pub fn outcomes(expected: &str, found: &str) -> Result<Vec<Outcome>> {
    let parse = |text: &str| -> Result<Vec<Value>> {
        text.lines().map(|line| serde_json::from_str(line).with_context(|| format!("not an answer: {line}"))).collect()
    };
    let (expected, found) = (parse(expected)?, parse(found)?);
    let pairs = expected.iter().enumerate().map(|(index, want)| {
        let request = format!("{} {}", index + 1, want["request"].as_str().unwrap_or("?"));
        Outcome { request, difference: difference(want, found.get(index).unwrap_or(&Value::Null)) }
    });
    Ok(pairs.collect())
}

fn difference(want: &Value, have: &Value) -> Option<String> {
    if want == have {
        return None;
    }
    for part in ["threw", "status", "headers"] {
        if want[part] != have[part] {
            let body = have["text"].as_str().unwrap_or_default();
            let (body, _) = body.split_at(body.floor_char_boundary(SHOWN_BYTES));
            return Some(format!("{part}: {} under node, {} here; {body}", want[part], have[part]));
        }
    }
    let (want, have) = (body(want), body(have));
    let same = want.bytes().zip(have.bytes()).take_while(|(a, b)| a == b).count();
    let around = |text: &str| {
        let from = text.floor_char_boundary(same.saturating_sub(SHOWN_BYTES / 4));
        let to = text.floor_char_boundary((from + SHOWN_BYTES).min(text.len()));
        text[from..to].to_owned()
    };
    Some(format!("body, from byte {same}: {:?} under node, {:?} here", around(&want), around(&have)))
}

fn body(answer: &Value) -> String {
    let text = answer["text"].as_str().or(answer["base64"].as_str());
    text.unwrap_or_default().to_owned()
}

/// `selvedge dev` on one app; ended when dropped.
pub struct Server {
    child: Child,
    pub address: String,
    said: Option<std::thread::JoinHandle<String>>,
}

impl Server {
    /// Its data, and its authority if it has one, lie in `folder`.
    pub fn start(program: &Path, folder: &Path, app: &Path, more: &[&str]) -> Result<Self> {
        let data = folder.join("data");
        fs::create_dir_all(&data).with_context(|| format!("creating {}", data.display()))?;
        let mut command = Command::new(program);
        command.arg("dev").arg(app).args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data"]).arg(&data);
        command.args(more).env("XDG_DATA_HOME", &data);
        command.env("NO_COLOR", "1").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        let stderr = child.stderr.take().context("a pipe")?;
        let (sender, addresses) = mpsc::channel();
        let said = std::thread::spawn(move || collect(stderr, &sender));
        let mut server = Self { child, address: String::new(), said: Some(said) };
        match addresses.recv() {
            Ok(address) => server.address = address,
            Err(_) => anyhow::bail!("selvedge ended before it listened:\n{}", server.stop()),
        }
        Ok(server)
    }

    /// Ends it, and gives what it said.
    pub fn stop(mut self) -> String {
        self.end();
        self.said.take().and_then(|said| said.join().ok()).unwrap_or_default()
    }

    fn end(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// Reads to the end, and sends the address of the server once it listens everywhere.
fn collect(pipe: impl Read, address: &mpsc::Sender<String>) -> String {
    let (mut said, mut sent) = (String::new(), false);
    for line in BufReader::new(pipe).lines().map_while(Result::ok) {
        said.push_str(&line);
        said.push('\n');
        if !sent && said.contains(LISTENS_FOR_ADMIN) {
            let (_, rest) = said.split_once(LISTENS).unwrap_or_default();
            let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':')).unwrap_or(rest.len());
            // The other side is gone only when the run ends.
            let _ = address.send(rest[..end].to_owned());
            sent = true;
        }
    }
    said
}
