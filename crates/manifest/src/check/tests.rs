use super::paths::{PathError, normalise};
use super::to_label;

#[test]
fn paths_are_made_plain_or_refused() {
    let good = [("a/b.ts", "a/b.ts"), ("./a//b/", "a/b"), ("a/../b", "b"), (".", "."), ("./", "."), ("a/..", ".")];
    for (path, plain) in good {
        assert_eq!(normalise(path).as_deref(), Ok(plain), "{path}");
    }
    let bad = [
        ("", PathError::Empty),
        (" ", PathError::Empty),
        ("/a", PathError::Absolute),
        ("C:/a", PathError::Absolute),
        ("c:a", PathError::Absolute),
        ("a\\b", PathError::Backslash),
        ("../a", PathError::Leaves),
        ("a/../../b", PathError::Leaves),
        ("a\0b", PathError::Control),
    ];
    for (path, error) in bad {
        assert_eq!(normalise(path), Err(error), "{path:?}");
    }
}

#[test]
fn the_nearest_label_is_a_label() {
    for (text, label) in [("My App!", "my-app"), ("__A__", "a"), ("ä", ""), ("API_KEY", "api-key")] {
        assert_eq!(to_label(text), label, "{text}");
    }
    let long = to_label(&"a_".repeat(80));
    assert!(base::ResourceName::parse(&long).is_ok(), "{long}");
}
