use base::{AppName, ResourceName, TenantName};
use proptest::prelude::*;

use super::*;

fn namespace(name: &str) -> KvNamespace {
    KvNamespace::new(
        TenantName::parse("acme").expect("a name"),
        AppName::parse("shop").expect("a name"),
        ResourceName::parse(name).expect("a name"),
    )
}

#[test]
fn errors_say_what_which_limit_and_its_value() {
    let limits = KvLimits::default();
    let check = |error: KvError, expected: &str| assert_eq!(error.to_string(), expected);
    let error = limits.check_key(&"k".repeat(600)).expect_err("too long");
    check(error, "the key has 600 bytes, key_bytes allows 512");
    let error = limits.check_key("..").expect_err("dots");
    check(error, "the key can't be \"..\"");
    let many = vec!["k".to_owned(); 101];
    check(limits.check_keys(&many).expect_err("too many"), "101 keys were asked for at once, get_keys allows 100");
    check(KvError::Conflict { current: Some(7) }, "the key has another revision, 7");
    check(KvError::Conflict { current: None }, "the key has no entry");
}

#[test]
fn a_page_has_at_least_one_key_and_at_most_the_limit() {
    let limits = KvLimits::default();
    let page = |limit| limits.page(&ListOptions { limit, ..ListOptions::default() });
    assert_eq!([page(None), page(Some(0)), page(Some(10)), page(Some(5_000))], [1_000, 1, 10, 1_000]);
}

proptest! {
    #[test]
    fn a_cursor_comes_back(prefix in "\\PC{0,8}", rest in "\\PC{1,8}") {
        let (ns, cursor) = (namespace("carts"), Cursor { after: format!("{prefix}{rest}") });
        let text = cursor.encode(&ns, &prefix);
        prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        prop_assert_eq!(Cursor::decode(&text, &ns, &prefix).expect("its own"), cursor);
        prop_assert!(Cursor::decode(&text, &namespace("users"), &prefix).is_err());
    }

    #[test]
    fn a_changed_cursor_is_refused(at in 0usize..30, with in any::<u8>()) {
        let ns = namespace("carts");
        let mut text = Cursor { after: "some-key-of-a-list".into() }.encode(&ns, "some").into_bytes();
        let at = at % text.len();
        prop_assume!(text[at] != with);
        text[at] = with;
        let text = String::from_utf8_lossy(&text);
        prop_assert!(Cursor::decode(&text, &ns, "some").is_err());
    }
}
