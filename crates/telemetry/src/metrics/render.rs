//! The text format. Apps and routes are sorted, so that two scrapes can be compared by eye.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use crate::MirrorOutcome;

use super::by_name::ByName;
use super::{App, BOUNDS_US, Histogram, Kind, Metrics, POINTS_MAX};

pub(super) fn render(metrics: &Metrics) -> String {
    let mut out = String::new();
    let apps = sorted(&metrics.apps);
    requests(&mut out, &apps);
    mirrored(&mut out, &apps);
    head(&mut out, "selvedge_request_duration_seconds", "Time to the last byte of the response.", "histogram");
    for (app, series) in &apps {
        let label = format!("app=\"{}\"", escape(app));
        histogram(&mut out, "selvedge_request_duration_seconds", &label, &series.duration);
    }
    per_app(&mut out, &apps);
    head(&mut out, "selvedge_cold_start_seconds", "Cold starts, phase by phase.", "histogram");
    for (phase, series) in ["load", "instantiate", "prepare", "first_response"].iter().zip(&metrics.cold_phases) {
        histogram(&mut out, "selvedge_cold_start_seconds", &format!("phase=\"{phase}\""), series);
    }
    let name = "selvedge_admission_wait_seconds";
    head(&mut out, name, "Time that requests waited for a place, of those that had to.", "histogram");
    histogram(&mut out, name, "", &metrics.admission_wait);
    head(&mut out, "selvedge_errors_total", "Errors by code, limits that were hit among them.", "counter");
    for (code, count) in &*metrics.codes.lock().unwrap_or_else(PoisonError::into_inner) {
        let _ = writeln!(out, "selvedge_errors_total{{code=\"{code}\"}} {count}");
    }
    head(&mut out, "selvedge_console_lines_total", "Lines that guests wrote to their consoles.", "counter");
    let _ = writeln!(out, "selvedge_console_lines_total {}", metrics.lines.load(Relaxed));
    for (name, help, kind, read) in &*metrics.observed.lock().unwrap_or_else(PoisonError::into_inner) {
        head(&mut out, name, help, kind_name(*kind));
        let _ = writeln!(out, "{name} {}", read());
    }
    for (name, help, kind, read) in &*metrics.points.lock().unwrap_or_else(PoisonError::into_inner) {
        head(&mut out, name, help, kind_name(*kind));
        for point in read().into_iter().take(POINTS_MAX) {
            let labels: Vec<_> = point.labels.iter().map(|(key, text)| format!("{key}=\"{}\"", escape(text))).collect();
            let _ = writeln!(out, "{name}{{{}}} {}", labels.join(","), point.value);
        }
    }
    out
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    }
}

type Sorted<T> = BTreeMap<Arc<str>, Arc<T>>;

fn sorted<T>(map: &RwLock<ByName<Arc<str>, Arc<T>>>) -> Sorted<T> {
    map.read().unwrap_or_else(PoisonError::into_inner).iter().map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn head(out: &mut String, name: &str, help: &str, kind: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn requests(out: &mut String, apps: &Sorted<App>) {
    head(out, "selvedge_requests_total", "Requests by app, route and class of status.", "counter");
    for (app, series) in apps {
        for (route, counts) in sorted(&series.routes) {
            for (class, count) in counts.by_class.iter().enumerate() {
                let status = if class == 0 { "none".to_owned() } else { format!("{class}xx") };
                let (app, route, count) = (escape(app), escape(&route), count.load(Relaxed));
                if count > 0 {
                    let _ = writeln!(
                        out,
                        "selvedge_requests_total{{app=\"{app}\",route=\"{route}\",status=\"{status}\"}} {count}"
                    );
                }
            }
        }
    }
}

fn mirrored(out: &mut String, apps: &Sorted<App>) {
    let name = "selvedge_mirrored_total";
    head(out, name, "Copies of requests for a shadow target, by how its answers compare.", "counter");
    for (app, series) in apps {
        for (route, counts) in sorted(&series.routes) {
            for (outcome, count) in MirrorOutcome::ALL.iter().zip(&counts.mirrored) {
                let (app, route, outcome, count) = (escape(app), escape(&route), outcome.as_str(), count.load(Relaxed));
                if count > 0 {
                    let _ = writeln!(out, "{name}{{app=\"{app}\",route=\"{route}\",outcome=\"{outcome}\"}} {count}");
                }
            }
        }
    }
}

/// Name, help, kind, where to read it.
type PerApp = (&'static str, &'static str, &'static str, fn(&App) -> &AtomicU64);

fn per_app(out: &mut String, apps: &Sorted<App>) {
    const TABLE: [PerApp; 12] = [
        ("selvedge_invocations_total", "Runs of guest code.", "counter", |a| &a.invocations),
        ("selvedge_cold_starts_total", "Runs that needed a new instance.", "counter", |a| &a.cold_starts),
        ("selvedge_guest_cpu_microseconds_total", "CPU time of guest code.", "counter", |a| &a.cpu_us),
        ("selvedge_guest_memory_bytes", "Memory of the instance that ran last.", "gauge", |a| &a.memory_bytes),
        ("selvedge_subrequests_total", "Calls that guest code made.", "counter", |a| &a.subrequests),
        ("selvedge_kv_reads_total", "Keys read.", "counter", |a| &a.kv_reads),
        ("selvedge_kv_writes_total", "Keys written.", "counter", |a| &a.kv_writes),
        ("selvedge_blob_reads_total", "Reads of blobs.", "counter", |a| &a.blob_reads),
        ("selvedge_blob_writes_total", "Writes of blobs.", "counter", |a| &a.blob_writes),
        ("selvedge_sql_rows_read_total", "Rows read from SQL databases.", "counter", |a| &a.sql_rows_read),
        ("selvedge_sql_rows_written_total", "Rows written to SQL databases.", "counter", |a| &a.sql_rows_written),
        ("selvedge_admission_rejected_total", "Requests refused for want of a place.", "counter", |a| &a.rejected),
    ];
    for (name, help, kind, read) in TABLE {
        head(out, name, help, kind);
        for (app, series) in apps {
            let _ = writeln!(out, "{name}{{app=\"{}\"}} {}", escape(app), read(series).load(Relaxed));
        }
    }
}

fn histogram(out: &mut String, name: &str, label: &str, histogram: &Histogram) {
    let comma = if label.is_empty() { "" } else { "," };
    let braces = if label.is_empty() { String::new() } else { format!("{{{label}}}") };
    let mut total = 0;
    for (at, count) in histogram.buckets.iter().enumerate() {
        total += count.load(Relaxed);
        let bound = BOUNDS_US.get(at).map_or("+Inf".to_owned(), |us| (*us as f64 / 1e6).to_string());
        let _ = writeln!(out, "{name}_bucket{{{label}{comma}le=\"{bound}\"}} {total}");
    }
    let _ = writeln!(out, "{name}_sum{braces} {}", histogram.sum_us.load(Relaxed) as f64 / 1e6);
    let _ = writeln!(out, "{name}_count{braces} {total}");
}

fn escape(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
