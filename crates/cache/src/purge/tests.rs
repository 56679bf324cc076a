use super::*;

fn key(url: &str) -> Key {
    Key { app: "shop".into(), cache: None, url: url.into() }
}

fn purge(what: Purged) -> Purge {
    Purge { app: "shop".into(), what, stale_at_ms: None, durable: false }
}

fn tags(tags: &[&str]) -> Tags {
    Tags::new(tags.iter().map(|&tag| tag.into()).collect())
}

#[test]
fn a_purge_is_about_its_own() {
    let check = |what: Purged, url: &str, tagged: &[&str], hits: bool| {
        let purge = purge(what);
        assert_eq!(purge.hits_key(&key(url)) && purge.hits_tags(&tags(tagged)), hits, "{purge:?} {url} {tagged:?}");
    };
    check(Purged::Url("http://a/b".into()), "http://a/b", &[], true);
    check(Purged::Url("http://a/b".into()), "http://a/b device=mobile", &[], true);
    check(Purged::Url("http://a/b".into()), "http://a/bc", &[], false);
    check(Purged::Prefix("http://a/b".into()), "http://a/bc", &[], true);
    check(Purged::Prefix("http://a/b/".into()), "http://a/bc", &[], false);
    check(Purged::Tag("x".into()), "http://a/", &["w", "x"], true);
    check(Purged::Tag("x".into()), "http://a/", &["xy"], false);
    check(Purged::All, "http://a/", &[], true);
    check(Purged::Entry { cache: Some("c".into()), url: "http://a/".into() }, "http://a/", &[], false);
    let other = Key { app: "blog".into(), ..key("http://a/") };
    assert!(!purge(Purged::All).hits_key(&other), "another app's");
}

#[test]
fn what_was_asked_for_before_a_purge_is_not_news() {
    let purges = Arc::<Purges>::default();
    let before = purges.ticket();
    purges.record(purge(Purged::Tag("x".into())));
    let after = purges.ticket();
    assert_eq!(before.verdict(&key("http://a/"), &tags(&["x"])), Verdict::Drop);
    assert_eq!(before.verdict(&key("http://a/"), &tags(&["y"])), Verdict::Keep);
    assert_eq!(after.verdict(&key("http://a/"), &tags(&["x"])), Verdict::Keep);
    purges.record(Purge { stale_at_ms: Some(7), ..purge(Purged::All) });
    assert_eq!(after.verdict(&key("http://a/"), &tags(&[])), Verdict::Stale { at_ms: 7 });
    assert_eq!(before.verdict(&key("http://a/"), &tags(&["x"])), Verdict::Drop, "the harder one counts");
    drop(before);
    assert_eq!(purges.state().remembered.len(), 1, "the first matters to nobody");
    drop(after);
    assert!(purges.state().remembered.is_empty() && purges.state().tickets.is_empty());
}

#[test]
fn who_is_too_slow_for_all_purges_stores_nothing() {
    let purges = Arc::<Purges>::default();
    let slow = purges.ticket();
    for at in 0..=REMEMBERED_MAX {
        purges.record(purge(Purged::Url(format!("http://a/{at}").into())));
    }
    assert_eq!(purges.state().remembered.len(), REMEMBERED_MAX);
    assert_eq!(slow.verdict(&key("http://other/"), &tags(&[])), Verdict::Drop);
    assert_eq!(purges.ticket().verdict(&key("http://other/"), &tags(&[])), Verdict::Keep);
}
