use super::load::{Closed, Open, parse_h2load, parse_wrk, summarise};
use super::process::{Stat, descendants};
use super::stage::app_name;
use super::table::median;
use super::*;

const WRK: &str = "\
Running 6s test @ http://127.0.0.1:8787/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.60ms    4.91ms  67.00ms   95.00%
    Req/Sec    20.19k     1.00k   22.00k    70.00%
  Latency Distribution
     50%    1.26ms
     75%    1.40ms
     90%  930.00us
     99%    1.07s
  120828 requests in 6.00s, 15.00MB read
Requests/sec:  20138.25
Transfer/sec:      2.50MB
";

#[test]
fn wrks_figures_are_read() {
    let expect = Closed { requests: 120_828.0, per_s: 20138.25, p50_us: 1260.0, p99_us: 1_070_000.0 };
    assert_eq!(parse_wrk(WRK).unwrap(), expect);
}

#[test]
fn failed_requests_fail_the_round() {
    let failed = format!("{WRK}  Non-2xx or 3xx responses: 12\n");
    assert!(parse_wrk(&failed).unwrap_err().to_string().contains("Non-2xx or 3xx responses: 12"));
    assert!(parse_wrk("unable to connect").is_err());
}

#[test]
fn h2loads_log_gives_percentiles_and_whether_it_kept_up() {
    let records: String = (1..=100).map(|time| format!("1700000000000000\t200\t{time}\n")).collect();
    let outcomes = parse_h2load(&records).unwrap();
    let kept_up = Open { p50_us: 51.0, p99_us: 99.0, kept_up: true };
    assert_eq!(summarise(&outcomes, 102.0).unwrap(), kept_up);
    assert_eq!(summarise(&outcomes, 110.0).unwrap(), Open { kept_up: false, ..kept_up });
    let refused = parse_h2load("1700000000000000\t503\t12\n").unwrap();
    assert!(summarise(&refused, 1.0).unwrap_err().to_string().contains("status 503"));
    assert!(parse_h2load("").is_err());
    assert!(parse_h2load("1700000000000000 200\n").is_err());
}

#[test]
fn cold_starts_are_read_from_the_access_log() {
    let line = r#"{"kind":"request","head_us":700,"invocations":[{"worker":"web","instance":1,"cold":true,
        "phases_us":{"load":100,"instantiate":20,"prepare":30,"first_response":400}}]}"#;
    let start = cold::parse(&line.replace('\n', "")).unwrap();
    assert_eq!((start.total(), start.head), (550.0, 700.0));
    assert_eq!(cold::parse(r#"{"kind":"request","head_us":9,"invocations":[{"cold":false}]}"#), None);
    assert_eq!(cold::parse("no JSON"), None);
}

#[test]
fn a_report_has_each_figure_in_text_and_json() {
    let report = Report::new("start", "ten starts").figure("exec to first response, ms", "first_ms", 1, 41.26);
    assert!(report.text().starts_with("\nstart: ten starts\n  exec to first response, ms"));
    assert!(report.text().ends_with(" 41.3"));
    assert_eq!(report.json(), serde_json::json!({ "first_ms": 41.26 }));
}

#[test]
fn a_process_is_read_whatever_its_name() {
    let text = "42 (a) b (c) S 7 42 42 0 -1 4194560 100 0 0 0 250 50 9 9 20 0 4 0 100 1000 10";
    assert_eq!(Stat::parse(text), Some(Stat { pid: 42, parent: 7, ticks: 318 }));
    assert_eq!(Stat::parse("42 (a"), None);
}

#[test]
fn a_tree_holds_children_of_children_and_no_one_else() {
    let stat = |pid, parent| Stat { pid, parent, ticks: 0 };
    let all = vec![stat(1, 0), stat(4, 3), stat(3, 2), stat(2, 1), stat(9, 1)];
    let tree: Vec<u64> = descendants(2, all).into_iter().map(|stat| stat.pid).collect();
    assert_eq!(tree, [2, 3, 4]);
}

#[test]
fn medians_are_of_the_middle() {
    assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
    assert_eq!(median(Vec::new()), None);
    assert_eq!(table::percentile(&[1.0, 2.0, 3.0], 0.99), 3.0);
    assert_eq!(table::percentile(&[], 0.5), 0.0);
}

#[test]
fn the_posted_json_has_its_size() {
    let echo = cases::CASES.iter().find(|case| case.name == "echo").unwrap();
    let body = echo.body.unwrap()();
    assert_eq!(body.len(), 1024);
    assert!(body.contains(echo.expect));
    serde_json::from_str::<serde_json::Value>(&body).unwrap();
}

#[test]
fn an_apps_name_is_found_in_its_manifest() {
    assert_eq!(app_name("# a comment\nname = \"guestbook\" # its name\n"), Some("guestbook"));
    assert_eq!(app_name("[workers.web]\n"), None);
}
