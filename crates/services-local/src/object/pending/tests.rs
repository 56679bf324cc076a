use bytes::Bytes;

use super::{BYTES_MAX, KEYS_MAX, Pending};

fn value(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

#[test]
fn a_key_that_is_put_again_waits_once() {
    let mut pending = Pending::default();
    assert!(pending.put("a", &value("1")));
    assert!(pending.put("b", &value("2")));
    assert!(pending.put("a", &value("3")));
    assert_eq!(pending.take(), [("a".into(), value("3")), ("b".into(), value("2"))]);
    assert!(pending.is_empty());
}

#[test]
fn there_is_room_for_few_keys_and_small_values() {
    let mut pending = Pending::default();
    for key in 0..KEYS_MAX {
        assert!(pending.put(&key.to_string(), &value("1")));
    }
    assert!(!pending.put("one more", &value("1")));
    assert!(pending.put("0", &value("2")), "one that waits already has its place");
    assert!(!pending.put("0", &Bytes::from(vec![0; BYTES_MAX])));
    pending.forget();
    assert!(pending.is_empty());
}
