use super::*;

fn check(stack: &str, expect: Option<(&str, u32, u32)>) {
    let found = Frame::first(stack);
    assert_eq!(found.as_ref().map(|f| (f.file.as_str(), f.line, f.column)), expect, "{stack:?}");
}

#[test]
fn the_topmost_position_of_a_stack_is_its_frame() {
    check(
        "    at fetch (src/index.ts:12:5)\n    at dispatch (selvedge:dispatch.ts:53:61)\n",
        Some(("src/index.ts", 12, 5)),
    );
    check("    at src/index.ts:3:1\n", Some(("src/index.ts", 3, 1)));
    check("    at native\n    at f (a.js:1:2)", Some(("a.js", 1, 2)));
    check("    at hostError (selvedge:errors.ts:1:2)\n    at f (a.ts:3:4)", Some(("a.ts", 3, 4)));
    check("no positions here", None);
    check("", None);
}

#[test]
fn a_failure_that_may_pass_says_when_to_come_back() {
    let problem = Failure::new(&base::code::INSTANCE_LOST, "internals").problem();
    assert_eq!(problem.retry_after_s, Some(1));
    let knows = Failure::new(&base::code::QUARANTINED, "internals").with_retry_after_s(42);
    assert_eq!(knows.problem().retry_after_s, Some(42));
    assert_eq!(Failure::new(&base::code::GUEST_EXCEPTION, "internals").problem().retry_after_s, None);
    assert!(problem.detail.is_none(), "what the log says is not for the client");
}
