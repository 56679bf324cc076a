use super::*;

#[test]
fn lines_are_few_in_a_second_and_say_how_many_were_left_out() {
    let (mut lines, now) = (Lines::default(), Instant::now());
    assert_eq!([0; 4].map(|_| lines.next(2, now)), [Some(0), Some(0), None, None]);
    let later = now + Duration::from_secs(1);
    assert_eq!([0; 3].map(|_| lines.next(2, later)), [Some(2), Some(0), None]);
    assert_eq!(lines.next(0, later + Duration::from_secs(9)), None, "none at all");
}

#[test]
fn every_reason_has_a_place_and_a_name_of_its_own() {
    let failures = Failures::default();
    for reason in Reason::ALL {
        failures.add(reason);
    }
    assert!(Reason::ALL.iter().all(|reason| failures.of(*reason) == 1));
    let mut names = Reason::ALL.map(Reason::name).to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!((names.len(), failures.sum()), (Reason::ALL.len(), Reason::ALL.len() as u64));
}
