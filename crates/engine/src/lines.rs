//! What guests write to the log, within the allowance of their request.

use telemetry::{GuestLine, Level};
use worker::{Call, Env, Meter};

/// How a stack trace inside a text is told.
const FRAME: &str = "    at ";

/// What a guest wrote, and where it stands in what runs.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    pub level: Level,
    pub text: &'a str,
    /// `file:line:column`.
    pub site: Option<&'a str>,
}

/// Passes a line on, or notes once (in `cut`) that there are no more to come. Positions become those
/// of the original source.
pub fn emit(call: &Call, meter: &Meter, env: &Env, cut: &mut bool, unix_ms: u64, line: Line) {
    let Line { level, text, site } = line;
    let within = meter.log(text.len() as u64, &env.limits);
    if !within && *cut {
        return;
    }
    let (level, text) = if within {
        let text = if text.contains(FRAME) { env.original(text) } else { text.to_owned() };
        (level, text)
    } else {
        *cut = true;
        let max = env.limits.log_bytes;
        (
            Level::Warn,
            format!("log_limit: more than {max} bytes in one request (limits.log_bytes); the rest is dropped"),
        )
    };
    let request_id = call.record.edit().request_id.clone();
    let source = site.filter(|_| within).map(|site| env.original(site));
    let (app, worker) = (env.app.clone(), env.worker.as_str().into());
    let line = GuestLine { unix_ms, app, worker, request_id, level, text, source };
    call.record.sink().line(line);
}
