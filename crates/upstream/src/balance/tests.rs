use proptest::prelude::*;

use super::*;

const WEIGHTS: [u64; 3] = [5, 1, 1];

fn all(count: usize) -> Set {
    (0..count).collect()
}

fn idle(weight: u64) -> Load {
    Load { weight: weight * 1_000, in_flight: 0, latency_us: 0.0 }
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("http://10.0.0.{n}:80")).collect()
}

fn balancer(balance: Balance, count: usize) -> Balancer {
    let names = names(count);
    let targets: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
    Balancer::new(balance, &targets)
}

#[test]
fn round_robin_keeps_to_weights_and_mixes_them() {
    let mut balancer = Balancer::new(Balance::RoundRobin, &[("a", 5), ("b", 1), ("c", 1)]);
    let asked: Vec<_> = (0..14).map(|_| balancer.choose(all(3), |at| idle(WEIGHTS[at]), None, 0)).collect();
    assert_eq!(asked, [0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0]);
}

#[test]
fn least_requests_takes_who_has_fewest_for_their_weight_and_turns_among_equals() {
    let mut balancer = balancer(Balance::LeastRequests, 3);
    let equal: Vec<_> = (0..6).map(|_| balancer.choose(all(3), |_| idle(1), None, 0)).collect();
    assert_eq!(equal, [0, 1, 2, 0, 1, 2]);
    let loads = [(1, 3), (4, 9), (1, 4)];
    let load = |at: usize| Load { in_flight: loads[at].1, ..idle(loads[at].0) };
    assert_eq!(balancer.choose(all(3), load, None, 0), 1, "(9 + 1) / 4 is less than (3 + 1) / 1");
}

#[test]
fn of_two_the_one_with_less_load_is_taken() {
    let mut balancer = balancer(Balance::TwoChoices, 2);
    let slow = |at: usize| Load { latency_us: [9_000.0, 1_000.0][at], ..idle(1) };
    let busy = |at: usize| Load { latency_us: 1_000.0, in_flight: [1, 30][at], ..idle(1) };
    for random in (0..64).map(|n| hash(&[n])) {
        assert_eq!(balancer.choose(all(2), slow, None, random), 1);
        assert_eq!(balancer.choose(all(2), busy, None, random), 0);
    }
}

#[test]
fn two_choices_draw_by_weight() {
    let mut balancer = balancer(Balance::TwoChoices, 3);
    let mut asked = [0; 3];
    for random in (0_u32..3_000).map(|n| hash(&n.to_le_bytes())) {
        asked[balancer.choose(all(3), |at| idle(WEIGHTS[at]), None, random)] += 1;
    }
    assert!(asked[0] > asked[1] * 2 && asked[1] > 100 && asked[2] > 100, "{asked:?}");
}

fn spread(balancer: &mut Balancer, usable: Set, keys: u32) -> Vec<usize> {
    (0..keys).map(|key| balancer.choose(usable, |_| idle(1), Some(hash(&key.to_le_bytes())), 0)).collect()
}

fn counts(asked: &[usize], targets: usize) -> Vec<usize> {
    (0..targets).map(|at| asked.iter().filter(|asked| **asked == at).count()).collect()
}

#[test]
fn a_consistent_hash_spreads_keys_and_moves_only_those_of_who_is_away() {
    for (balance, within) in [(Balance::Ketama, 2.0), (Balance::Maglev, 1.2)] {
        let mut balancer = balancer(balance, 10);
        let before = spread(&mut balancer, all(10), 10_000);
        for count in counts(&before, 10) {
            assert!((1_000.0 / within..1_000.0 * within).contains(&(count as f64)), "{balance:?}: {count}");
        }
        let after = spread(&mut balancer, all(10).without(Set::from_iter([3])), 10_000);
        for (before, after) in before.iter().zip(&after) {
            assert!(before == after || *before == 3, "{balance:?}: a key of {before} moved to {after}");
            assert_ne!(*after, 3);
        }
        let moved = counts(&after, 10);
        assert!(moved.iter().all(|count| *count < 2_000), "{balance:?}: no one else gets them all: {moved:?}");
    }
}

#[test]
fn a_target_more_moves_about_its_share_of_the_keys() {
    for (balance, most) in [(Balance::Ketama, 1_500), (Balance::Maglev, 2_000)] {
        let before = spread(&mut balancer(balance, 10), all(10), 10_000);
        let after = spread(&mut balancer(balance, 11), all(11), 10_000);
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
        assert!((500..most).contains(&moved), "{balance:?}: {moved} of 10,000");
    }
}

#[test]
fn a_consistent_hash_keeps_to_weights() {
    for balance in [Balance::Ketama, Balance::Maglev] {
        let mut balancer = Balancer::new(balance, &[("http://a", 3), ("http://b", 1)]);
        let asked = counts(&spread(&mut balancer, all(2), 10_000), 2);
        assert!((6_500..8_500).contains(&asked[0]), "{balance:?}: {asked:?}");
    }
}

proptest! {
    #[test]
    fn whoever_is_chosen_may_be_used(
        which in 0_usize..5, usable in proptest::collection::hash_set(0_usize..64, 1..64), key in proptest::option::of(any::<u64>()),
        random in any::<u64>(), weights in proptest::collection::vec(1_u64..100, 64),
    ) {
        let balance =
            [Balance::RoundRobin, Balance::LeastRequests, Balance::TwoChoices, Balance::Ketama, Balance::RoundRobin][which];
        let mut balancer = balancer(balance, 64);
        let set: Set = usable.iter().copied().collect();
        for turn in 0..8 {
            let chosen = balancer.choose(set, |at| idle(weights[at]), key, random.wrapping_add(turn));
            prop_assert!(usable.contains(&chosen));
        }
    }
}
