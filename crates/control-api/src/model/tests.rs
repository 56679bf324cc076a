use super::*;

#[test]
fn a_message_is_one_line_of_bounded_length() {
    let longest = "x".repeat(Message::BYTES_MAX);
    assert_eq!(Message::parse(&longest).map(String::from), Ok(longest.clone()));
    assert_eq!(Message::parse(&format!("{longest}y")), Err(MessageError::TooLong(Message::BYTES_MAX + 1)));
    assert_eq!(Message::parse("two\nlines"), Err(MessageError::Control));
    assert_eq!(Message::parse(" Fix the cart \n").map(String::from), Ok("Fix the cart".into()));
    let error = serde_json::from_str::<DeployRequest>(r#"{"document": {}, "message": "a\u001b[31mb"}"#);
    assert!(error.expect_err("it would colour a terminal").to_string().contains("control characters"));
}

#[test]
fn a_request_with_an_unknown_field_is_refused() {
    let error = serde_json::from_str::<RollbackRequest>(r#"{"id": "abc"}"#).expect_err("it would roll back elsewhere");
    assert!(error.to_string().contains("expected `to`"), "{error}");
    assert_eq!(serde_json::from_str::<RollbackRequest>("{}").ok(), Some(RollbackRequest { to: None }));
}
