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
