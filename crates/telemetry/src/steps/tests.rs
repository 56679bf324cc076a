use super::*;

#[test]
fn steps_keep_their_order_and_no_more_than_there_may_be() {
    let steps = Steps::begin(Arc::new(base::SystemClock::default()));
    steps.note("route", "é".repeat(TEXT_BYTES_MAX));
    (0..2 * STEPS_MAX).for_each(|number| steps.note("worker", number.to_string()));
    let taken = steps.so_far();
    assert_eq!(taken.len(), STEPS_MAX);
    assert_eq!(taken[0].text.len(), TEXT_BYTES_MAX);
    assert_eq!((taken[1].phase, taken[1].text.as_str()), ("worker", "0"));
    assert!(taken.is_sorted_by_key(|step| step.at));
}
