use bytes::Bytes;

use super::{ENTRY_BYTES, Recent};

fn value(text: &'static str) -> Option<Bytes> {
    Some(Bytes::from_static(text.as_bytes()))
}

#[test]
fn what_was_noted_last_is_what_is_known() {
    let mut recent = Recent::new(10_000);
    assert_eq!(recent.get("a"), None);
    recent.note("a", value("one"));
    recent.note("b", None);
    assert_eq!(recent.get("a"), Some(value("one")));
    assert_eq!(recent.get("b"), Some(None));
    recent.note("a", None);
    recent.note("b", value("two"));
    assert_eq!(recent.get("a"), Some(None));
    assert_eq!(recent.get("b"), Some(value("two")));
    recent.forget_all();
    assert_eq!(recent.get("b"), None);
}

#[test]
fn it_never_holds_more_than_it_may() {
    let max = 3 * (ENTRY_BYTES + 1 + 3);
    let mut recent = Recent::new(max);
    for key in ["a", "b", "c"] {
        recent.note(key, value("one"));
    }
    assert_eq!(recent.get("a"), Some(value("one")));
    // A fourth has no room beside them.
    recent.note("d", value("one"));
    assert_eq!(recent.get("a"), None);
    assert_eq!(recent.get("d"), Some(value("one")));
    // One that grows beyond it goes, and so does what is too large alone.
    recent.note("d", Some(Bytes::from(vec![0; max])));
    assert_eq!(recent.get("d"), None);
    recent.note("e", Some(Bytes::from(vec![0; max])));
    assert_eq!(recent.get("e"), None);
    assert_eq!(recent.bytes, 0);
}

#[test]
fn nothing_is_kept_where_nothing_may_be() {
    let mut recent = Recent::new(0);
    recent.note("a", value("one"));
    assert_eq!(recent.get("a"), None);
}
