use super::{KV_MORE, OWN, is_called};

#[test]
fn a_member_of_a_binding_is_a_call_unless_it_is_its_own() {
    for called in ["env.SVC.add(1)", "const { SVC } = env; SVC?.add()", "env.SVC\n  .add()", "x = env.SVC.settings"] {
        assert!(is_called(called, "SVC", |member| !OWN.contains(&member)), "{called}");
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
        assert!(!is_called(other, "SVC", |member| !OWN.contains(&member)), "{other}");
    }
}

#[test]
fn what_kv_has_besides_is_told_from_what_every_namespace_has() {
    let more = |source| is_called(source, "KV", |member| KV_MORE.contains(&member));
    assert!(more("await env.KV.atomic().commit()") && more("env.KV.add(k)"));
    assert!(!more("env.KV.get(k); env.OTHER.add(k); env.KV.address"));
}
