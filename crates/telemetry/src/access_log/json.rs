//! Lines for machines. The names of the fields are stable.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;

use crate::{GuestLine, InvocationRecord, Record, Start};

#[derive(Serialize)]
struct Request<'a> {
    kind: &'static str,
    time_ms: u64,
    request_id: &'a str,
    trace_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployment: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tries: Option<u32>,
    #[serde(skip_serializing_if = "str::is_empty")]
    cache: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<std::net::IpAddr>,
    method: &'a str,
    host: &'a str,
    path: &'a str,
    protocol: &'a str,
    status: u16,
    request_bytes: u64,
    response_bytes: u64,
    head_us: u64,
    total_us: u64,
    admission_wait_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    invocations: Vec<Invocation<'a>>,
}

#[derive(Serialize)]
struct Invocation<'a> {
    worker: &'a str,
    instance: u64,
    cold: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    phases_us: Option<Phases>,
    cpu_us: u64,
    memory_bytes: u64,
    subrequests: u64,
    kv_reads: u64,
    kv_writes: u64,
    blob_reads: u64,
    blob_writes: u64,
    sql_rows_read: u64,
    sql_rows_written: u64,
    log_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'static str>,
}

#[derive(Serialize)]
struct Phases {
    load: u64,
    instantiate: u64,
    prepare: u64,
    first_response: u64,
}

#[derive(Serialize)]
struct Console<'a> {
    kind: &'static str,
    time_ms: u64,
    request_id: &'a str,
    app: &'a str,
    worker: &'a str,
    level: &'static str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
}

#[derive(Serialize)]
struct Dropped {
    kind: &'static str,
    count: u64,
}

pub(super) fn record(out: &mut Vec<u8>, record: &Record) {
    let line = Request {
        kind: "request",
        time_ms: record.started_unix_ms,
        request_id: &record.request_id,
        trace_id: record.trace.trace_id_hex(),
        app: record.app.as_deref(),
        deployment: record.deployment.as_deref(),
        route: record.route.as_deref(),
        target: record.target.as_deref(),
        server: record.server.as_deref(),
        tries: Some(record.tries).filter(|tries| *tries > 0),
        cache: record.cache_text(),
        client: record.client,
        method: &record.method,
        host: &record.host,
        path: &record.path,
        protocol: record.protocol,
        status: record.status,
        request_bytes: record.request_bytes,
        response_bytes: record.response_bytes,
        head_us: us(record.head),
        total_us: us(record.total),
        admission_wait_us: us(record.admission_wait),
        code: record.code.map(|code| code.name),
        detail: record.detail.as_deref(),
        invocations: record.invocations.iter().map(invocation).collect(),
    };
    write(out, &line);
}

fn invocation(invocation: &InvocationRecord) -> Invocation<'_> {
    let phases = match invocation.start {
        Start::Warm => None,
        Start::Cold(phases) => Some(Phases {
            load: us(phases.load),
            instantiate: us(phases.instantiate),
            prepare: us(phases.prepare),
            first_response: us(phases.first_response),
        }),
    };
    let usage = &invocation.usage;
    Invocation {
        worker: &invocation.worker,
        instance: invocation.instance,
        cold: phases.is_some(),
        phases_us: phases,
        cpu_us: us(usage.cpu),
        memory_bytes: usage.memory_bytes,
        subrequests: usage.subrequests,
        kv_reads: usage.kv_reads,
        kv_writes: usage.kv_writes,
        blob_reads: usage.blob_reads,
        blob_writes: usage.blob_writes,
        sql_rows_read: usage.sql_rows_read,
        sql_rows_written: usage.sql_rows_written,
        log_bytes: usage.log_bytes,
        failure: invocation.failure.map(|code| code.name),
    }
}

pub(super) fn line(out: &mut Vec<u8>, line: &GuestLine) {
    let line = Console {
        kind: "console",
        time_ms: line.unix_ms,
        request_id: &line.request_id,
        app: &line.app,
        worker: &line.worker,
        level: line.level.as_str(),
        text: &line.text,
        source: line.source.as_deref(),
    };
    write(out, &line);
}

pub(super) fn dropped(out: &mut Vec<u8>, count: u64) {
    write(out, &Dropped { kind: "dropped", count });
}

fn write(out: &mut Vec<u8>, line: &impl Serialize) {
    if serde_json::to_writer(&mut *out, line).is_ok() {
        out.push(b'\n');
    }
}

fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
