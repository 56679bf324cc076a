use super::is_called;

#[test]
fn a_member_of_a_binding_is_a_call_unless_it_is_its_own() {
    for called in ["env.SVC.add(1)", "const { SVC } = env; SVC?.add()", "env.SVC\n  .add()", "x = env.SVC.settings"] {
        assert!(is_called(called, "SVC"), "{called}");
    }
    for other in [
        "env.SVC.fetch(r)",
        "env.SVC",
        "env.MYSVC.add()",
        "env.SVC2.add()",
        "env.SVC?.fetch(r)",
        "SVC.",
        "SVC = .5",
        "",
    ] {
        assert!(!is_called(other, "SVC"), "{other}");
    }
}
