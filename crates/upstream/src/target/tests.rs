use proptest::prelude::*;

use super::*;

const POLICY: TargetPolicy =
    TargetPolicy { failures: 3, eject_ms: 1_000, slow_start_ms: 2_000, checks_up: 2, checks_down: 3 };

fn fail(target: &mut Target, now_ms: u64) {
    let trial = target.begin(now_ms);
    if target.failed(trial, now_ms) {
        target.eject(now_ms);
    }
}

#[test]
fn failures_in_a_row_eject_it_and_a_success_between_does_not() {
    let mut target = Target::new(POLICY);
    fail(&mut target, 0);
    fail(&mut target, 0);
    target.succeeded(false, 0);
    fail(&mut target, 0);
    fail(&mut target, 0);
    assert_eq!(target.state(0), State::Healthy);
    fail(&mut target, 0);
    assert_eq!(target.state(0), State::Ejected { until_ms: 1_000 });
}

#[test]
fn one_request_tries_it_and_then_its_share_grows() {
    let mut target = Target::new(POLICY);
    (0..3).for_each(|_| fail(&mut target, 0));
    assert!(!target.may_be_used(999, true));
    assert!(target.may_be_used(1_000, true));
    assert!(!target.may_be_used(1_000, false), "not by a request that could not go elsewhere");
    assert!(target.begin(1_000));
    assert!(!target.may_be_used(1_000, true), "one at a time");
    target.succeeded(true, 1_100);
    assert_eq!(target.state(1_100), State::Warming { since_ms: 1_100 });
    assert_eq!(target.share(1_100), WARM_SHARE_MIN);
    assert_eq!(target.share(2_100), 500);
    assert_eq!(target.share(3_100), 1_000);
    assert_eq!(target.state(3_100), State::Healthy);
}

#[test]
fn each_time_again_it_stays_away_longer_until_it_was_calm() {
    let mut target = Target::new(TargetPolicy { slow_start_ms: 0, ..POLICY });
    (0..3).for_each(|_| fail(&mut target, 0));
    fail(&mut target, 1_000);
    assert_eq!(target.state(1_000), State::Ejected { until_ms: 3_000 });
    assert!(target.begin(3_000));
    target.succeeded(true, 3_000);
    (0..3).for_each(|_| fail(&mut target, 3_500));
    assert_eq!(target.state(3_500), State::Ejected { until_ms: 6_500 });
    assert!(target.begin(6_500));
    target.succeeded(true, 6_500);
    (0..3).for_each(|_| fail(&mut target, 20_000));
    assert_eq!(target.state(20_000), State::Ejected { until_ms: 21_000 });
}

#[test]
fn a_client_that_leaves_while_it_is_tried_leaves_the_trial_to_another() {
    let mut target = Target::new(POLICY);
    (0..3).for_each(|_| fail(&mut target, 0));
    assert!(target.begin(1_000));
    target.abandoned(true);
    assert!(target.may_be_used(1_000, true));
}

#[test]
fn checks_take_it_down_and_bring_it_back() {
    let mut target = Target::new(POLICY);
    target.checked(false, 0);
    target.checked(false, 0);
    target.checked(true, 0);
    (0..3).for_each(|_| target.checked(false, 0));
    assert_eq!(target.state(0), State::Down);
    target.succeeded(false, 5);
    assert_eq!(target.state(60_000), State::Down, "time alone does not bring it back");
    target.checked(true, 60_000);
    assert_eq!(target.state(60_000), State::Down);
    target.checked(true, 60_000);
    assert_eq!(target.state(60_000), State::Warming { since_ms: 60_000 });
}

#[derive(Debug, Clone)]
enum Step {
    Ask(bool),
    Leave,
    Check(bool),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => any::<bool>().prop_map(Step::Ask),
        1 => Just(Step::Leave),
        2 => any::<bool>().prop_map(Step::Check),
        2 => (0_u64..3_000).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    /// Whatever happens: with its checks passing and its requests answered it comes back.
    #[test]
    fn it_always_comes_back(steps in steps()) {
        let mut target = Target::new(POLICY);
        let mut now_ms = 0;
        for step in steps {
            match step {
                Step::Ask(ok) if target.may_be_used(now_ms, true) => {
                    let trial = target.begin(now_ms);
                    if ok { target.succeeded(trial, now_ms) } else if target.failed(trial, now_ms) { target.eject(now_ms) }
                }
                Step::Leave if target.may_be_used(now_ms, true) => {
                    let trial = target.begin(now_ms);
                    target.abandoned(trial);
                }
                Step::Ask(_) | Step::Leave => {}
                Step::Check(ok) => target.checked(ok, now_ms),
                Step::Wait(ms) => now_ms += ms,
            }
            prop_assert!((1..=1_000).contains(&target.share(now_ms)));
        }
        target.checked(true, now_ms);
        target.checked(true, now_ms);
        now_ms += POLICY.eject_ms * u64::from(EJECTIONS_MAX);
        prop_assert!(target.may_be_used(now_ms, true));
        let trial = target.begin(now_ms);
        target.succeeded(trial, now_ms);
        prop_assert_eq!(target.state(now_ms + POLICY.slow_start_ms), State::Healthy);
    }
}
