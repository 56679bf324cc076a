//! One app, asked twice.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::super::expected::Outcome;
use super::super::server::Server;
use super::{ENTRIES, SHOWN_BYTES};
use crate::repo;

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
    let server = Server::start(program, &folder.join("data"), &directory, &[])?;
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
