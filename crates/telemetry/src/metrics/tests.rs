use super::*;
use crate::{Phases, Usage};

fn record(app: &str, status: u16) -> Record {
    Record {
        app: Some(app.into()),
        route: Some("/*".into()),
        status,
        total: Duration::from_micros(700),
        ..Default::default()
    }
}

fn has(text: &str, line: &str) {
    assert!(text.lines().any(|l| l == line), "{line} is not in:\n{text}");
}

#[test]
fn a_record_is_counted_once_in_each_place() {
    let metrics = Metrics::new();
    let ms = Duration::from_millis;
    let mut cold = record("blog", 503);
    cold.code = Some(&code::CPU_EXCEEDED);
    cold.admission_wait = ms(3);
    cold.invocations.push(InvocationRecord {
        worker: "web".into(),
        instance: 1,
        start: Start::Cold(Phases { load: ms(1), instantiate: ms(2), prepare: ms(3), first_response: ms(4) }),
        usage: Usage { cpu: ms(1000), memory_bytes: 4096, kv_reads: 2, ..Default::default() },
        failure: Some(&code::CPU_EXCEEDED),
    });
    metrics.observe(&cold);
    metrics.observe(&record("blog", 200));
    metrics.observe_value("selvedge_log_dropped_total", "Dropped.", Kind::Counter, || 7);
    let text = metrics.render();
    has(&text, "selvedge_requests_total{app=\"blog\",route=\"/*\",status=\"2xx\"} 1");
    has(&text, "selvedge_requests_total{app=\"blog\",route=\"/*\",status=\"5xx\"} 1");
    has(&text, "selvedge_request_duration_seconds_bucket{app=\"blog\",le=\"0.0005\"} 0");
    has(&text, "selvedge_request_duration_seconds_bucket{app=\"blog\",le=\"0.001\"} 2");
    has(&text, "selvedge_request_duration_seconds_count{app=\"blog\"} 2");
    has(&text, "selvedge_request_duration_seconds_sum{app=\"blog\"} 0.0014");
    has(&text, "selvedge_cold_starts_total{app=\"blog\"} 1");
    has(&text, "selvedge_cold_start_seconds_sum{phase=\"prepare\"} 0.003");
    has(&text, "selvedge_guest_cpu_microseconds_total{app=\"blog\"} 1000000");
    has(&text, "selvedge_kv_reads_total{app=\"blog\"} 2");
    has(&text, "selvedge_admission_wait_seconds_count 1");
    has(&text, "selvedge_errors_total{code=\"cpu_exceeded\"} 1");
    has(&text, "selvedge_log_dropped_total 7");
}

#[test]
fn the_number_of_series_is_bounded() {
    let metrics = Metrics::new();
    for n in 0..APPS_MAX + 50 {
        metrics.observe(&record(&format!("app-{n}"), 200));
    }
    for n in 0..ROUTES_MAX + 50 {
        let route = Some(format!("/{n}").into());
        metrics.observe(&Record { route, ..record("app-0", 200) });
    }
    let text = metrics.render();
    let requests = text.lines().filter(|line| line.starts_with("selvedge_requests_total{")).count();
    assert!(requests <= APPS_MAX + ROUTES_MAX + 2, "{requests}");
    has(&text, "selvedge_requests_total{app=\"other\",route=\"/*\",status=\"2xx\"} 50");
    has(&text, "selvedge_requests_total{app=\"app-0\",route=\"other\",status=\"2xx\"} 51");
}

#[test]
fn labels_are_escaped() {
    let metrics = Metrics::new();
    metrics.observe(&Record { route: Some("/a\"b\\c".into()), ..record("x", 200) });
    has(&metrics.render(), "selvedge_requests_total{app=\"x\",route=\"/a\\\"b\\\\c\",status=\"2xx\"} 1");
}
