use super::*;

#[test]
fn the_least_recently_used_goes_first() {
    let mut recent = Recent::new(2);
    assert!(recent.insert(1, "one").is_empty());
    assert!(recent.insert(2, "two").is_empty());
    assert_eq!(recent.get(1), Some(&"one"));
    assert_eq!(recent.insert(3, "three"), ["two"]);
    let left = [1, 2, 3].map(|key| recent.get(key).copied());
    assert_eq!(left, [Some("one"), None, Some("three")]);
}

#[test]
fn a_value_that_is_replaced_is_handed_back() {
    let mut recent = Recent::new(2);
    recent.insert(1, "old");
    assert_eq!(recent.insert(1, "new"), ["old"]);
    assert_eq!((recent.len(), recent.remove(1), recent.len()), (1, Some("new"), 0));
    assert_eq!(recent.remove(1), None);
}
