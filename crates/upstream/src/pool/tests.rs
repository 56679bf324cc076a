use proptest::prelude::*;

use super::*;

fn settings() -> PoolSettings {
    PoolSettings {
        balance: Balance::RoundRobin,
        target: TargetPolicy { failures: 3, eject_ms: 1_000, slow_start_ms: 0, checks_up: 1, checks_down: 1 },
        eject_percent: 50,
        budget: BudgetSettings { percent: 20, min_per_s: 10 },
        breaker: BreakerSettings { percent: 0, requests_min: 20, open_ms: 1_000 },
        requests_max: 0,
        waiting_max: 0,
        gradient: None,
    }
}

fn pool(count: usize, settings: PoolSettings) -> Pool {
    let target = |n| TargetSettings { name: format!("http://10.0.0.{n}:80"), weight: 1 };
    Pool::new(settings, (0..count).map(target).collect(), 7)
}

fn go(begin: Begin) -> Pick {
    match begin {
        Begin::Go(pick) => pick,
        other => panic!("it should go out: {other:?}"),
    }
}

const ASK: Ask = Ask { key: None, sticky: None, tried: NOBODY, trial: true, waited: false, again: false };
const NOBODY: Set = Set::NOBODY;
const OK: Outcome = Outcome::Answered { status: 200 };

fn done(pool: &mut Pool, mut pick: Pick, outcome: Outcome, latency_us: u64, now_ms: u64) -> bool {
    pool.judge(&mut pick, outcome, latency_us, now_ms);
    pool.end(pick)
}

fn fail(pool: &mut Pool, at: usize, now_ms: u64) {
    let pick = go(pool.begin(&Ask { sticky: Some(at), ..ASK }, now_ms));
    assert_eq!(pick.at, at);
    done(pool, pick, Outcome::Unreached, 0, now_ms);
}

#[test]
fn nobody_is_sent_to_who_is_ejected_and_no_more_than_a_share_of_them_is() {
    let mut pool = pool(4, settings());
    for at in [0, 1] {
        (0..3).for_each(|_| fail(&mut pool, at, 0));
    }
    for _ in 0..20 {
        let pick = go(pool.begin(&ASK, 1));
        assert!(pick.at >= 2);
        done(&mut pool, pick, Outcome::Broke, 0, 1);
    }
    let states: Vec<_> = pool.targets(1).iter().map(|target| target.state).collect();
    assert_eq!(states, ["ejected", "ejected", "healthy", "healthy"]);
}

#[test]
fn a_single_target_is_never_ejected_and_when_all_are_down_all_are_tried() {
    let mut single = pool(1, settings());
    (0..50).for_each(|_| fail(&mut single, 0, 0));
    let mut all_down = pool(2, settings());
    (0..2).for_each(|at| all_down.checked(at, false, 0));
    assert_eq!([go(all_down.begin(&ASK, 0)).at, go(all_down.begin(&ASK, 0)).at], [0, 1]);
}

#[test]
fn a_request_goes_to_another_target_each_time() {
    let mut pool = pool(3, settings());
    let mut tried = Set::default();
    for _ in 0..3 {
        let pick = go(pool.begin(&Ask { tried, sticky: Some(0), again: !tried.is_empty(), ..ASK }, 0));
        assert!(!tried.contains(pick.at));
        tried.insert(pick.at);
        done(&mut pool, pick, Outcome::Unreached, 0, 0);
    }
}

#[test]
fn who_comes_too_many_waits_in_line_and_the_line_has_an_end() {
    let mut pool = pool(2, PoolSettings { requests_max: 1, waiting_max: 1, ..settings() });
    let first = go(pool.begin(&ASK, 0));
    go(pool.begin(&ASK, 0));
    assert_eq!(pool.begin(&ASK, 0), Begin::Wait);
    assert_eq!(pool.begin(&ASK, 0), Begin::Refuse(Refusal::Full));
    assert!(done(&mut pool, first, OK, 100, 0), "somebody waits");
    assert_eq!(pool.begin(&ASK, 0), Begin::Refuse(Refusal::Full), "who waits goes first");
    let turn = Ask { waited: true, ..ASK };
    assert_eq!(go(pool.begin(&turn, 0)).at, first.at);
    assert_eq!(pool.view().waiting, 0);
}

#[test]
fn an_open_breaker_refuses_and_says_for_how_long() {
    let breaker = BreakerSettings { percent: 50, requests_min: 10, open_ms: 2_000 };
    let mut pool = pool(2, PoolSettings { breaker, ..settings() });
    for _ in 0..10 {
        let pick = go(pool.begin(&ASK, 0));
        done(&mut pool, pick, Outcome::Answered { status: 503 }, 100, 0);
    }
    assert_eq!(pool.begin(&ASK, 500), Begin::Refuse(Refusal::Open { retry_after_ms: 1_500 }));
    let trial = go(pool.begin(&ASK, 2_000));
    assert!(matches!(pool.begin(&ASK, 2_000), Begin::Refuse(Refusal::Open { .. })));
    done(&mut pool, trial, OK, 100, 2_000);
    go(pool.begin(&ASK, 2_000));
}

#[test]
fn a_slow_target_gets_less_of_two_choices() {
    let mut pool = pool(3, PoolSettings { balance: Balance::TwoChoices, ..settings() });
    let mut asked = [0; 3];
    for n in 0_u64..3_000 {
        let pick = go(pool.begin(&ASK, n));
        asked[pick.at] += 1;
        done(&mut pool, pick, OK, if pick.at == 0 { 50_000 } else { 1_000 }, n);
    }
    assert!(asked[0] < 300 && asked[1] > 800 && asked[2] > 800, "{asked:?}");
}

#[test]
fn a_target_that_warms_up_is_asked_less_often() {
    let warm = TargetPolicy { slow_start_ms: 10_000, ..settings().target };
    let mut pool = pool(2, PoolSettings { target: warm, ..settings() });
    pool.checked(0, false, 0);
    pool.checked(0, true, 0);
    let mut count = |now_ms| {
        let asked = (0..100).filter(|_| {
            let pick = go(pool.begin(&ASK, now_ms));
            done(&mut pool, pick, OK, 10, now_ms);
            pick.at == 0
        });
        asked.count()
    };
    assert!(count(0) < 15);
    assert!((30..40).contains(&count(5_000)), "half the weight of the other");
    assert_eq!(count(10_000), 50);
}

#[test]
fn in_an_outage_retries_stay_a_share_of_requests() {
    let mut pool = pool(4, settings());
    let mut sent = 0;
    for n in 0_u64..10_000 {
        let mut ask = ASK;
        loop {
            let pick = go(pool.begin(&ask, n));
            sent += 1;
            ask.tried.insert(pick.at);
            ask.again = true;
            done(&mut pool, pick, Outcome::Broke, 0, n);
            if ask.tried.len() > 3 || !pool.may_retry(n) {
                break;
            }
        }
    }
    assert!(sent <= 10_000 + 2_000 + 200, "{sent}");
}

proptest! {
    /// What begins ends; nothing is left behind, and nobody waits while there is room.
    #[test]
    fn the_counts_come_out_even(
        steps in proptest::collection::vec((0_u8..4, any::<u64>()), 1..300), requests_max in 0_u64..4, balance in 0_usize..3,
    ) {
        let balance = [Balance::RoundRobin, Balance::LeastRequests, Balance::TwoChoices][balance];
        let gradient = Some(GradientSettings { start: 5, min: 1, max: 10 });
        let mut pool = pool(3, PoolSettings { requests_max, waiting_max: 3, balance, gradient, ..settings() });
        let (mut going, mut waiting, mut now_ms) = (Vec::new(), 0_u64, 0);
        for (step, random) in steps {
            match step {
                0 | 1 => match pool.begin(&ASK, now_ms) {
                    Begin::Go(pick) => going.push(pick),
                    Begin::Wait => waiting += 1,
                    Begin::Refuse(_) => {}
                },
                2 if !going.is_empty() => {
                    let pick = going.swap_remove(random as usize % going.len());
                    let outcomes = [OK, Outcome::Broke, Outcome::Abandoned, Outcome::Unreached];
                    let wake = done(&mut pool, pick, outcomes[random as usize % 4], random % 10_000, now_ms);
                    prop_assert_eq!(wake, waiting > 0);
                    if wake {
                        waiting -= 1;
                        match pool.begin(&Ask { waited: true, ..ASK }, now_ms) {
                            Begin::Go(pick) => going.push(pick),
                            Begin::Wait => waiting += 1,
                            Begin::Refuse(_) => {}
                        }
                    }
                }
                _ => now_ms += random % 2_000,
            }
            let view = pool.view();
            prop_assert_eq!(view.in_flight, going.len() as u64);
            prop_assert_eq!(view.waiting, waiting);
            let each: Vec<_> = pool.targets(now_ms).iter().map(|target| target.in_flight).collect();
            prop_assert_eq!(each.iter().sum::<u64>(), going.len() as u64);
            prop_assert!(requests_max == 0 || each.iter().all(|count| *count <= requests_max));
        }
    }
}
