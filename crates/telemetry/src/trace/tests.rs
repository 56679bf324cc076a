use super::*;
use base::SystemRng;

const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn accepts(header: &str) -> bool {
    TraceContext::accept(Some(header.as_bytes()), &SystemRng).parent_id != [0; 8]
}

#[test]
fn a_trace_is_continued() {
    let context = TraceContext::accept(Some(GOOD.as_bytes()), &SystemRng);
    assert_eq!(context.trace_id_hex(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(context.sampled);
    let onward = context.traceparent();
    assert!(onward.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
    assert!(!onward.contains("00f067aa0ba902b7"), "the sub-request's parent is our span");
}

#[test]
fn a_malformed_header_begins_a_new_trace() {
    assert!(accepts(GOOD));
    assert!(accepts("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-brings"));
    for bad in [
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
    ] {
        assert!(!accepts(bad), "{bad:?}");
    }
}
