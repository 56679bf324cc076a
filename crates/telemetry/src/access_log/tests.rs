use std::sync::{Condvar, Mutex};

use base::code;

use super::*;
use crate::{InvocationRecord, Level, Phases, Start, Usage};

/// What was written; can be held back like a terminal on which someone pressed ctrl-S.
#[derive(Clone, Default)]
struct Output(Arc<(Mutex<Terminal>, Condvar)>);

#[derive(Default)]
struct Terminal {
    bytes: Vec<u8>,
    held: bool,
    /// The writer waits.
    blocked: bool,
}

impl Output {
    fn hold(&self, held: bool) {
        self.0.0.lock().unwrap().held = held;
        self.0.1.notify_all();
    }

    fn wait_until_blocked(&self) {
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |terminal| !terminal.blocked).unwrap());
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.0.lock().unwrap().bytes.clone()).unwrap()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut terminal = self.0.0.lock().unwrap();
        terminal.blocked = true;
        self.0.1.notify_all();
        terminal = self.0.1.wait_while(terminal, |terminal| terminal.held).unwrap();
        terminal.blocked = false;
        terminal.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn start(format: Format, queue: usize) -> (Arc<AccessLog>, Output) {
    let output = Output::default();
    (AccessLog::start(output.clone(), &AccessLogOptions { format, queue, recent: None }).unwrap(), output)
}

fn sample() -> Record {
    let ms = Duration::from_micros;
    Record {
        started_unix_ms: 43_201_000,
        request_id: "r1".into(),
        app: Some("guestbook".into()),
        route: Some("/*".into()),
        method: "GET".into(),
        host: "guestbook.localhost".into(),
        path: "/path".into(),
        protocol: "HTTP/1.1",
        status: 200,
        total: ms(3210),
        invocations: vec![InvocationRecord {
            worker: "web".into(),
            instance: 12,
            start: Start::Cold(Phases {
                load: ms(200),
                instantiate: ms(100),
                prepare: ms(100),
                first_response: ms(500),
            }),
            usage: Usage { cpu: ms(400), ..Default::default() },
            failure: None,
        }],
        ..Default::default()
    }
}

fn line(text: &str) -> GuestLine {
    GuestLine {
        unix_ms: 43_201_000,
        app: "guestbook".into(),
        worker: "web".into(),
        request_id: "r1".into(),
        level: Level::Warn,
        text: text.into(),
        source: None,
    }
}

#[test]
fn a_person_reads_one_line_per_request() {
    let (log, output) = start(Format::Human { color: false }, 16);
    log.record(sample());
    let mut warm = sample();
    warm.invocations[0].start = Start::Warm;
    warm.status = 503;
    warm.code = Some(&code::CPU_EXCEEDED);
    warm.detail = Some("used 1000 ms".into());
    log.record(warm);
    log.line(line("careful\nthere\x1b[2J"));
    log.flush();
    assert_eq!(
        output.text(),
        "12:00:01 GET /path 200 3.2 ms cold 0.9 ms (load 0.2 inst 0.1 prep 0.1 first 0.5) web#12\n\
         12:00:01 GET /path 503 3.2 ms warm web#12 cpu_exceeded: used 1000 ms\n\
         12:00:01 warn web: careful\n\
         12:00:01 warn web: there\\u{1b}[2J\n"
    );
}

#[test]
fn a_machine_reads_one_object_per_line() {
    let (log, output) = start(Format::Json, 16);
    log.record(sample());
    log.line(line("two\nlines"));
    log.flush();
    let text = output.text();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["kind"], "request");
    assert_eq!(lines[0]["app"], "guestbook");
    assert_eq!(lines[0]["total_us"], 3210);
    assert_eq!(lines[0]["invocations"][0]["phases_us"]["first_response"], 500);
    assert!(lines[0].get("code").is_none());
    assert_eq!(lines[1]["kind"], "console");
    assert_eq!(lines[1]["text"], "two\nlines");
}

#[test]
fn a_slow_output_costs_lines_and_never_waits() {
    let (log, output) = start(Format::Human { color: false }, 4);
    output.hold(true);
    log.line(line("x"));
    output.wait_until_blocked();
    for _ in 0..999 {
        log.line(line("x"));
    }
    let dropped = log.dropped();
    output.hold(false);
    assert_eq!(dropped, 1000 - 1 - 4, "all but the queue and the one being written");
    log.flush();
    let text = output.text();
    assert!(text.contains(" log lines were dropped: the output is slower than the traffic\n"), "{text}");
    assert_eq!(text.lines().filter(|line| line.ends_with(": x")).count() as u64, 1000 - dropped);
}

#[test]
fn dropping_the_log_writes_what_is_queued() {
    let (log, output) = start(Format::Human { color: false }, 16);
    log.line(line("last words"));
    drop(log);
    assert!(output.text().ends_with("last words\n"));
}

#[test]
fn a_stack_trace_stands_below_its_request() {
    let (log, output) = start(Format::Human { color: false }, 16);
    let mut record = sample();
    record.invocations.clear();
    record.status = 500;
    record.code = Some(&code::GUEST_EXCEPTION);
    record.detail = Some("TypeError: no\x1b\n    at inner (src/a.ts:3:7)\n    at outer (src/a.ts:1:1)".into());
    log.record(record);
    log.flush();
    let text = output.text();
    assert!(text.contains("guest_exception: TypeError: no"), "{text}");
    assert!(text.ends_with("\n      at inner (src/a.ts:3:7)\n      at outer (src/a.ts:1:1)\n"), "{text}");
    assert!(!text.contains('\x1b'), "{text}");
}

#[test]
fn a_line_says_where_it_was_written() {
    for (format, expect) in [
        (Format::Human { color: false }, "12:00:01 warn web: one (src/a.ts:3:7)\n12:00:01 warn web: two\n"),
        (Format::Json, r#""text":"one\ntwo","source":"src/a.ts:3:7"}"#),
    ] {
        let (log, output) = start(format, 16);
        log.line(GuestLine { source: Some("src/a.ts:3:7".into()), ..line("one\ntwo") });
        log.flush();
        assert!(output.text().contains(expect), "{}", output.text());
    }
}
