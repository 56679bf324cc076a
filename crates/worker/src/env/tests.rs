use super::*;

#[test]
fn subrequests_are_refused_beyond_their_limit_and_by_its_name() {
    let limits = WorkerLimits { subrequests: 2, ..WorkerLimits::default() };
    let meter = Meter::default();
    assert!(meter.subrequest(&limits).is_ok());
    assert!(meter.subrequest(&limits).is_ok());
    let refused = meter.subrequest(&limits).unwrap_err();
    assert_eq!(refused.code.name, "subrequests_exceeded");
    assert!(refused.detail.contains("limits.subrequests"), "{refused}");
    assert_eq!(meter.usage(0).subrequests, 2, "a refused call was not made");
}

#[test]
fn log_bytes_are_counted_up_to_their_limit() {
    let limits = WorkerLimits { log_bytes: 10, ..WorkerLimits::default() };
    let meter = Meter::default();
    assert!(meter.log(10, &limits));
    assert!(!meter.log(1, &limits));
}
