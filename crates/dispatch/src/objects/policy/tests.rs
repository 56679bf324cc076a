use proptest::prelude::*;

use super::*;

const TAKEOVER: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(1);

fn view(runs: Option<u64>, current: Option<u64>, in_use: u32) -> View {
    View { runs, current, in_use, waited: Duration::ZERO, takeover: TAKEOVER }
}

#[test]
fn an_event_enters_what_runs_and_starts_what_sleeps() {
    assert_eq!(at_the_door(view(None, Some(1), 0)), Step::Start);
    assert_eq!(at_the_door(view(Some(1), Some(1), 0)), Step::Enter);
    assert_eq!(at_the_door(view(Some(1), Some(1), 9)), Step::Enter);
}

#[test]
fn another_deployment_takes_over_between_two_events() {
    assert_eq!(at_the_door(view(Some(1), Some(2), 0)), Step::Replace);
    assert_eq!(at_the_door(view(Some(1), Some(2), 1)), Step::WaitForLast(TAKEOVER));
    let late = View { waited: TAKEOVER, ..view(Some(1), Some(2), 1) };
    assert_eq!(at_the_door(late), Step::Replace);
}

#[test]
fn what_is_unused_sleeps_and_what_is_used_never_does() {
    assert!(sleeps(view(Some(1), Some(1), 0), IDLE, IDLE));
    assert!(!sleeps(view(Some(1), Some(1), 0), IDLE / 2, IDLE));
    assert!(!sleeps(view(Some(1), Some(1), 1), IDLE * 9, IDLE));
    assert!(sleeps(view(Some(1), Some(2), 0), Duration::ZERO, IDLE), "it is not current any more");
    assert!(!sleeps(view(Some(1), None, 1), IDLE * 9, IDLE));
    assert!(!sleeps(view(None, Some(1), 0), IDLE * 9, IDLE));
}

proptest! {
    /// However a waiting event looks again and again, it gets in within the time, and never into an
    /// instance that is not current.
    #[test]
    fn whoever_waits_gets_in(ends_after_ms in 0_u64..20_000, looks_ms in 1_u64..5_000) {
        let (mut runs, mut waited) = (Some(1), Duration::ZERO);
        loop {
            let in_use = u32::from(waited < Duration::from_millis(ends_after_ms) && runs == Some(1));
            match at_the_door(View { waited, ..view(runs, Some(2), in_use) }) {
                Step::Enter => break,
                Step::Start => runs = Some(2),
                Step::Replace => runs = None,
                Step::WaitForLast(left) => waited += left.min(Duration::from_millis(looks_ms)),
            }
            prop_assert!(waited <= TAKEOVER);
        }
        prop_assert_eq!(runs, Some(2));
    }
}
