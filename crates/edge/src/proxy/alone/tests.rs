use super::*;

#[test]
fn what_is_for_one_is_remembered_for_a_while_and_of_whom_it_was_said() {
    let key = |url: &str| Key { app: "a".into(), cache: None, url: url.into() };
    let alone = Alone::default();
    let goes = |at_ms| [Whom::All, Whom::Authorized].map(|whom| alone.goes(&key("/"), whom, at_ms));
    assert_eq!(goes(0), [false, false]);
    alone.remember(&key("/"), Whom::Authorized, 5);
    assert_eq!(goes(6), [false, true], "others wait for each other as before");
    alone.remember(&key("/"), Whom::All, 1_000);
    assert_eq!(goes(6_000), [true, true]);
    alone.forget(&key("/"));
    assert_eq!(goes(6_000), [false, true]);
    alone.remember(&key("/"), Whom::All, 1_000);
    assert_eq!(goes(ALONE_MS + 999), [true, true]);
    assert_eq!(goes(ALONE_MS + 1_000), [false, false]);
    assert!(!alone.goes(&key("/other"), Whom::Authorized, 6_000));
    alone.forget(&key("/other"));
}
