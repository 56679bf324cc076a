//! Lines for a person at a terminal.
//!
//! `12:00:01 GET /path 200 3.2 ms cold 0.9 ms (load 0.2 inst 0.1 prep 0.1 first 0.5) web#12`

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::time::Duration;

use crate::{GuestLine, InvocationRecord, Level, Record, Start};

const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const GREEN: &str = "\x1b[32m";
const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

pub(super) fn record(out: &mut Vec<u8>, record: &Record, color: bool) {
    let paint = |code: &'static str| if color { code } else { "" };
    let status = match record.status {
        0 | 500.. => RED,
        400.. => YELLOW,
        _ => GREEN,
    };
    let (tint, dim, reset) = (paint(status), paint(DIM), paint(RESET));
    let mut line = format!("{dim}{}{reset} ", TimeOfDay(record.started_unix_ms));
    let _ = write!(line, "{} {} ", Plain(&record.method), Plain(&record.path));
    let _ = match record.status {
        0 => write!(line, "{tint}---{reset}"),
        status => write!(line, "{tint}{status}{reset}"),
    };
    let _ = write!(line, " {}", Ms(record.total));
    for invocation in &record.invocations {
        write_invocation(&mut line, invocation, dim, reset);
    }
    if let Some(code) = record.code {
        let _ = write!(line, " {tint}{}{reset}", code.name);
    }
    let mut detail = record.detail.iter().flat_map(|detail| detail.lines());
    if let Some(first) = detail.next() {
        let _ = write!(line, ": {}", Plain(first));
    }
    line.push('\n');
    // A stack trace stands below its error.
    for frame in detail {
        let _ = writeln!(line, "  {}", Plain(frame));
    }
    out.extend_from_slice(line.as_bytes());
}

fn write_invocation(line: &mut String, invocation: &InvocationRecord, dim: &str, reset: &str) {
    let _ = match invocation.start {
        Start::Warm => write!(line, " {dim}warm{reset}"),
        Start::Cold(phases) => write!(
            line,
            " cold {} {dim}(load {} inst {} prep {} first {}){reset}",
            Ms(phases.total()),
            Tenths(phases.load),
            Tenths(phases.instantiate),
            Tenths(phases.prepare),
            Tenths(phases.first_response),
        ),
    };
    let _ = write!(line, " {}#{}", Plain(&invocation.worker), invocation.instance);
}

pub(super) fn line(out: &mut Vec<u8>, line: &GuestLine, color: bool) {
    let tint = match line.level {
        _ if !color => "",
        Level::Error => RED,
        Level::Warn => YELLOW,
        Level::Info => "",
        Level::Debug => DIM,
    };
    let reset = if color { RESET } else { "" };
    let (time, level) = (TimeOfDay(line.unix_ms), line.level.as_str());
    let dim = if color { DIM } else { "" };
    for (index, text) in line.text.lines().enumerate() {
        let _ = write!(out, "{time} {tint}{level}{reset} {}: {}", Plain(&line.worker), Plain(text));
        // Once, beside the first line.
        if let Some(source) = line.source.as_deref().filter(|_| index == 0) {
            let _ = write!(out, " {dim}({}){reset}", Plain(source));
        }
        out.push(b'\n');
    }
}

pub(super) fn dropped(out: &mut Vec<u8>, count: u64) {
    let _ = writeln!(out, "{count} log lines were dropped: the output is slower than the traffic");
}

/// The time of day, in UTC.
struct TimeOfDay(u64);

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.0 / 1000 % 86_400;
        write!(f, "{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
    }
}

struct Ms(Duration);

impl fmt::Display for Ms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", Tenths(self.0))
    }
}

/// Milliseconds with one digit after the point.
struct Tenths(Duration);

impl fmt::Display for Tenths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1}", self.0.as_secs_f64() * 1000.0)
    }
}

/// Text that a stranger chose: control characters are shown, never sent to the terminal.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c.is_control() && c != '\t' { write!(f, "{}", c.escape_default())? } else { f.write_char(c)? }
        }
        Ok(())
    }
}
