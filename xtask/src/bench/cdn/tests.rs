use super::load::parse_h2load;
use super::*;

#[test]
fn the_figures_of_h2load_are_read_and_a_failed_request_fails_the_round() {
    let printed = "starting benchmark...\nfinished in 2.00s, 95210.50 req/s, 96.10MB/s\n\
                   requests: 190421 total, 190741 started, 190421 done, 190421 succeeded, 0 failed, 0 errored, 0 timeout\n";
    assert_eq!(parse_h2load(printed).expect("figures"), (190_421.0, 95_210.5));
    assert!(parse_h2load(&printed.replace("0 failed", "3 failed")).is_err());
    assert!(parse_h2load("nothing").is_err());
}

#[test]
fn a_bar_compares_by_cpu_time_and_tells_the_rate_as_well() {
    let figures = |cpu_us, per_s| vec![Figures { cpu_us: Some(cpu_us), per_s: Some(per_s), ..Figures::default() }];
    let rounds = Rounds::from([(Contender::Selvedge, figures(10.0, 90.0)), (Contender::Nginx, figures(11.0, 100.0))]);
    let text = text(&CASES[0], &rounds);
    assert!(text.contains("bar: 1.10 x nginx per CPU second (0.90 x its rate), at least 1.2: MISSED"), "{text}");
    assert!(!text.contains("varnish") && !text.contains("idle KiB"), "{text}");
}

#[test]
fn a_set_by_zipfs_law_is_the_same_each_time_and_larger_than_the_cache() {
    let requests = zipf::sequence(10_000);
    assert_eq!(requests, zipf::sequence(10_000));
    let all: usize = (0..7_000).map(zipf::bytes).sum();
    assert!((3 * zipf::CACHE_BYTES..5 * zipf::CACHE_BYTES).contains(&all), "{all}");
    assert_eq!(zipf::object(b"GET /object/17 HTTP/1.1\r\n\r\n"), Some(17));
    let optimum = zipf::optimum(&requests);
    assert!((1..=requests.len()).contains(&optimum), "{optimum}");
}
