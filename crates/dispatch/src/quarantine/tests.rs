use base::Clock as _;
use proptest::prelude::*;
use testkit::ManualClock;

use super::*;

const POLICY: Policy = Policy { start_failures: 3, first_traps: 10, pause_max: Duration::from_secs(60) };

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

#[test]
fn the_third_failed_start_in_a_row_begins_a_pause() {
    let mut quarantine = Quarantine::default();
    let now = seconds(100);
    assert_eq!(quarantine.failed(FailedStart::BeforeEvent, "first", now, POLICY), None);
    assert_eq!(quarantine.failed(FailedStart::BeforeEvent, "second", now, POLICY), None);
    assert_eq!(quarantine.ask(now), Verdict::Start);
    assert_eq!(quarantine.failed(FailedStart::BeforeEvent, "third", now, POLICY), Some(seconds(1)));
    assert_eq!(quarantine.ask(now), Verdict::Wait(seconds(1)));
    assert_eq!((quarantine.failures(), quarantine.first_failure()), (3, Some("first")));
}

#[test]
fn traps_of_first_events_need_more_and_a_success_forgets_them() {
    let mut quarantine = Quarantine::default();
    for _ in 0..9 {
        assert_eq!(quarantine.failed(FailedStart::FirstEvent, "trap", seconds(0), POLICY), None);
    }
    quarantine.succeeded();
    assert_eq!(quarantine, Quarantine::default());
    for _ in 0..9 {
        assert_eq!(quarantine.failed(FailedStart::FirstEvent, "trap", seconds(0), POLICY), None);
    }
    assert_eq!(quarantine.failed(FailedStart::FirstEvent, "trap", seconds(0), POLICY), Some(seconds(1)));
}

#[test]
fn pauses_double_up_to_the_limit_with_one_probe_between() {
    let clock = ManualClock::new();
    let mut quarantine = Quarantine::default();
    for _ in 0..2 {
        quarantine.failed(FailedStart::BeforeEvent, "broken", clock.monotonic(), POLICY);
    }
    for expected_s in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        let pause = quarantine.failed(FailedStart::BeforeEvent, "broken", clock.monotonic(), POLICY);
        assert_eq!(pause, Some(seconds(expected_s)));
        clock.advance(expected_s * 1000 - 1);
        assert_eq!(quarantine.ask(clock.monotonic()), Verdict::Wait(Duration::from_millis(1)));
        clock.advance(1);
        assert_eq!(quarantine.ask(clock.monotonic()), Verdict::Probe);
        assert!(matches!(quarantine.ask(clock.monotonic()), Verdict::Wait(_)), "one probe at a time");
    }
    quarantine.succeeded();
    assert_eq!(quarantine.ask(clock.monotonic()), Verdict::Start);
}

#[test]
fn a_probe_that_is_given_up_leaves_the_next_one_its_turn() {
    let mut quarantine = Quarantine::default();
    for _ in 0..3 {
        quarantine.failed(FailedStart::BeforeEvent, "broken", seconds(0), POLICY);
    }
    assert_eq!(quarantine.ask(seconds(1)), Verdict::Probe);
    quarantine.gave_up(seconds(1));
    assert_eq!(quarantine.ask(seconds(1)), Verdict::Probe);
}

proptest! {
    /// Whatever happens, in whatever order: never two probes at once, no pause beyond the limit,
    /// and a worker that starts well again is let in.
    #[test]
    fn it_always_lets_a_worker_recover(steps in proptest::collection::vec((0u8..5, 0u64..5_000), 0..200)) {
        let clock = ManualClock::new();
        let mut quarantine = Quarantine::default();
        let mut probing = false;
        for (step, ms) in steps {
            let now = clock.monotonic();
            match step {
                0 => match quarantine.ask(now) {
                    Verdict::Probe => {
                        prop_assert!(!probing);
                        probing = true;
                    }
                    Verdict::Wait(pause) => prop_assert!(pause <= POLICY.pause_max),
                    Verdict::Start => prop_assert!(!probing),
                },
                1 => {
                    let pause = quarantine.failed(FailedStart::BeforeEvent, "x", now, POLICY);
                    prop_assert!(pause.is_none_or(|pause| pause <= POLICY.pause_max));
                    probing = probing && quarantine.is_probing();
                }
                2 => {
                    quarantine.gave_up(now);
                    probing = false;
                }
                3 => {
                    quarantine.succeeded();
                    probing = false;
                }
                _ => clock.advance(ms),
            }
        }
        quarantine.gave_up(clock.monotonic());
        clock.advance(60_000);
        prop_assert!(!matches!(quarantine.ask(clock.monotonic()), Verdict::Wait(_)));
    }
}
