use std::hash::Hasher as _;
use std::sync::Arc;

use super::*;

#[test]
fn it_hashes_as_published() {
    // The vectors of the function's authors.
    for (text, hash) in [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)] {
        let mut hasher = NameHasher::default();
        hasher.write(text.as_bytes());
        assert_eq!(hasher.finish(), hash, "{text}");
    }
}

#[test]
fn a_shared_name_is_found_by_its_text() {
    let map: ByName<Arc<str>, u8> = [("shop".into(), 1), ("blog".into(), 2)].into_iter().collect();
    assert_eq!((map.get("shop"), map.get("blog"), map.get("")), (Some(&1), Some(&2), None));
}
