use super::*;

#[test]
fn names_are_unique_and_snake_case() {
    let mut seen = std::collections::BTreeSet::new();
    for code in ALL {
        assert!(seen.insert(code.name), "{} stands twice", code.name);
        assert!(code.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", code.name);
        assert!((400..600).contains(&code.status), "{}", code.name);
        assert!(code.remedy.ends_with('.'), "{} has no remedy sentence", code.name);
    }
}
