use super::contenders::{parse_contract, parse_redis};
use super::*;

#[test]
fn the_figures_of_redis_and_of_the_contract_are_read() {
    let printed = "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\"\n\
                   \"SET\",\"53881.00\",\"0.890\",\"0.100\",\"0.887\",\"1.500\",\"1.800\",\"5.000\"\n";
    assert_eq!(parse_redis(printed).expect("a table"), (53_881.0, 887.0, 1_800.0));
    assert!(parse_redis("Could not connect").is_err());
    let figures =
        parse_contract("{\"cpu_us\":11.5,\"per_s\":60000,\"p50_us\":800.5,\"p99_us\":2000.0}\n").expect("JSON");
    assert_eq!(figures, Figures { cpu_us: Some(11.5), per_s: 60_000.0, p50_us: 800.5, p99_us: 2_000.0 });
    assert!(parse_contract("{}").is_err());
}

#[test]
fn a_bar_says_its_ratio_and_whether_it_is_met() {
    let figures = |per_s| vec![Figures { cpu_us: None, per_s, p50_us: 1.0, p99_us: 2.0 }];
    let rounds = Rounds::from([(Contender::Contract, figures(90.0)), (Contender::RedisAlways, figures(100.0))]);
    let text = text(&CASES[0], &rounds);
    assert!(text.contains("bar: selvedge contract / redis always = 0.90, at least 1.0: MISSED"), "{text}");
    assert!(!text.contains("miniflare"), "{text}");
}

#[test]
fn the_times_of_pgbench_are_read() {
    let log = "0 1 900 0 1700000000 5\n1 1 1100 0 1700000000 9\n0 2 1000 0 1700000001 2\n";
    let figures = postgres::figures(log, 3).expect("times");
    assert_eq!((figures.per_s, figures.p50_us, figures.p99_us), (1.0, 1_000.0, 1_100.0));
    assert!(postgres::figures("", 3).is_err());
    assert!(postgres::figures("0 1 skipped 0 1 2\n", 3).is_err());
}

#[test]
fn a_peer_that_is_emulated_is_to_be_slower_in_its_tail_too() {
    let figures = |per_s, p99_us| vec![Figures { cpu_us: None, per_s, p50_us: 1.0, p99_us }];
    let rounds =
        Rounds::from([(Contender::Handler, figures(1_000.0, 2_000.0)), (Contender::Miniflare, figures(90.0, 1_000.0))]);
    let case = CASES.iter().find(|case| case.name == "sql-query").expect("a case");
    let text = text(case, &rounds);
    assert!(text.contains("bar: selvedge handler / miniflare = 11.11, at least 10.0: met"), "{text}");
    assert!(text.contains("bar: p99 of selvedge handler / miniflare = 2.00, less than 1: MISSED"), "{text}");
}
