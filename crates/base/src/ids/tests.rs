use super::*;

fn check(input: &str, expect: Result<(), NameError>) {
    assert_eq!(AppName::parse(input).map(|_| ()), expect, "{input:?}");
}

#[test]
fn a_label_is_what_dns_takes() {
    check("guestbook", Ok(()));
    check("a-1", Ok(()));
    check("", Err(NameError::Empty));
    check("-a", Err(NameError::BadCharacter { at: 0, found: '-', allowed: LABEL }));
    check("a-", Err(NameError::BadCharacter { at: 1, found: '-', allowed: LABEL }));
    check("Ä", Err(NameError::BadCharacter { at: 0, found: 'Ä', allowed: LABEL }));
    check(&"a".repeat(64), Err(NameError::TooLong(64)));
}

#[test]
fn a_binding_is_an_identifier() {
    assert!(BindingName::parse("API_KEY").is_ok());
    assert!(BindingName::parse("1X").is_err());
    assert!(BindingName::parse("a-b").is_err());
}
