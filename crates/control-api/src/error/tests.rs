use super::*;

#[test]
fn an_error_survives_its_problem_document() {
    for row in code::ALL.iter().copied() {
        let error = ApiError::new(row, "what happened").with_stack(Some("at <anonymous> (a.ts:1:2)".into()));
        let body = error.to_document().to_string();
        assert_eq!(ApiError::from_document(error.status, body.as_bytes()), error);
    }
}

#[test]
fn a_code_of_a_newer_server_is_kept() {
    let body = br#"{"code":"from_the_future","title":"Something new","fault":"client","more":1}"#;
    let error = ApiError::from_document(418, body);
    assert_eq!((error.code.as_str(), error.detail.as_str()), ("from_the_future", "Something new"));
    assert_eq!((error.status, error.fault, error.row()), (418, Fault::Client, None));
    assert_eq!(ApiError::from_document(418, error.to_document().to_string().as_bytes()), error);
}

#[test]
fn an_answer_of_something_else_says_so() {
    for body in [&b"<html>Bad gateway</html>"[..], b"", b"[]", b"{}", b"\xff"] {
        let error = ApiError::from_document(502, body);
        assert!(error.is(&code::NODE_UNREACHABLE), "{error:?}");
        assert!(error.detail.contains("502"), "{error}");
    }
}

#[test]
fn a_guests_fault_is_the_deployers_own() {
    assert_eq!(ApiError::new(&code::START_FAILED, "").status, 422);
    assert_eq!(ApiError::new(&code::HOST_CLAIMED, "").status, 409);
    assert_eq!(ApiError::new(&code::STORE_FAILED, "").status, 500);
}
