//! What guests write to the log, within the allowance of their request.

use telemetry::{GuestLine, Level};
use worker::{Call, Env, Meter};

/// Passes a line on, or notes once (in `cut`) that there are no more to come.
pub fn emit(call: &Call, meter: &Meter, env: &Env, cut: &mut bool, unix_ms: u64, level: Level, text: &str) {
    let within = meter.log(text.len() as u64, &env.limits);
    if !within && *cut {
        return;
    }
    let (level, text) = if within {
        (level, text.to_owned())
    } else {
        *cut = true;
        let max = env.limits.log_bytes;
        (
            Level::Warn,
            format!("log_limit: more than {max} bytes in one request (limits.log_bytes); the rest is dropped"),
        )
    };
    let request_id = call.record.edit().request_id.clone();
    let line = GuestLine { unix_ms, app: env.app.clone(), worker: env.worker.as_str().into(), request_id, level, text };
    call.record.sink().line(line);
}
