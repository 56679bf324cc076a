use super::*;

/// A register that can be read, written, and changed from one value to another.
struct Register;

#[derive(Debug)]
enum Op {
    Read,
    Write(u32),
    Swap(u32, u32),
}

impl Model for Register {
    type State = u32;
    type Op = Op;
    /// The value, or whether the swap happened.
    type Seen = u32;

    fn start(&self) -> u32 {
        0
    }

    fn step(&self, state: &u32, op: &Op, seen: Option<&u32>) -> Option<u32> {
        let (shown, after) = match *op {
            Op::Read => (*state, *state),
            Op::Write(value) => (0, value),
            Op::Swap(from, to) if *state == from => (1, to),
            Op::Swap(..) => (0, *state),
        };
        seen.is_none_or(|&seen| seen == shown).then_some(after)
    }
}

/// `(client, op, began, ended, seen)`; an end of 0 is none.
fn check_history(calls: Vec<(u64, Op, u64, u64, u32)>) -> Result<(), Violation> {
    let call = |(client, op, began, ended, seen)| {
        let ended = Some((ended, seen)).filter(|&(end, _)| end > 0);
        Call { client, op, began, ended }
    };
    check(&Register, &calls.into_iter().map(call).collect::<Vec<_>>())
}

#[test]
fn what_overlaps_may_have_happened_in_any_order() {
    for read in [0, 1] {
        let history = vec![(1, Op::Write(1), 1, 4, 0), (2, Op::Read, 2, 3, read)];
        assert!(check_history(history).is_ok(), "{read}");
    }
    let both = vec![(1, Op::Write(1), 1, 5, 0), (2, Op::Read, 2, 3, 1), (3, Op::Read, 4, 6, 0)];
    let violation = check_history(both).expect_err("it went back in time");
    assert!(violation.to_string().contains("!"), "{violation}");
}

#[test]
fn what_ended_before_came_before() {
    let stale = vec![(1, Op::Write(1), 1, 2, 0), (2, Op::Read, 3, 4, 0)];
    let violation = check_history(stale).expect_err("a stale read");
    assert_eq!(violation.explained, [0]);
    let lost = vec![(1, Op::Swap(0, 1), 1, 4, 1), (2, Op::Swap(0, 2), 2, 3, 1)];
    assert!(check_history(lost).is_err(), "two swaps from the same value");
}

#[test]
fn what_has_no_end_may_have_happened_late_or_never() {
    for reads in [[0, 0], [0, 1], [1, 1]] {
        let history = vec![(1, Op::Write(1), 1, 0, 0), (2, Op::Read, 2, 3, reads[0]), (2, Op::Read, 4, 5, reads[1])];
        assert!(check_history(history).is_ok(), "{reads:?}");
    }
    let undone = vec![(1, Op::Write(1), 1, 0, 0), (2, Op::Read, 2, 3, 1), (2, Op::Read, 4, 5, 0)];
    assert!(check_history(undone).is_err(), "what was seen does not go away");
    let early = vec![(2, Op::Read, 1, 2, 1), (1, Op::Write(1), 3, 0, 0)];
    assert!(check_history(early).is_err(), "nothing is seen before it began");
}

#[test]
fn a_history_of_many_that_overlap_is_checked_quickly() {
    let mut history = History::default();
    for round in 0..10 {
        let writes: Vec<usize> = (0..8).map(|n| history.begin(n, Op::Write(round * 8 + n as u32))).collect();
        writes.into_iter().for_each(|number| history.end(number, 0));
        let read = history.begin(9, Op::Read);
        history.end(read, round * 8 + 3);
    }
    assert!(check(&Register, history.calls()).is_ok());
    let read = history.begin(9, Op::Read);
    history.end(read, 4);
    assert!(check(&Register, history.calls()).is_err());
}
