use super::*;

#[test]
fn every_text_survives_a_url() {
    for text in ["plain", "a/b c", "ä+%2F&=?#", "\u{0}\n", "..", "日本"] {
        assert_eq!(decode(&encode(text)).as_deref(), Some(text));
        assert!(encode(text).is_ascii());
        let query = QueryText::default().with("none", None::<u8>).with("a", Some(text)).with("n", Some(7));
        let parsed = Query::parse(query.as_str().strip_prefix('?'), &["a", "n"]).expect("it was just made");
        assert_eq!(parsed.text("a"), Some(text));
        assert_eq!(parsed.number("n"), Ok(Some(7)));
        assert_eq!(parsed.number("none"), Ok(None));
    }
}

#[test]
fn a_bad_query_says_what_is_wrong() {
    let check = |text: &str, expect: &str| {
        let error = Query::parse(Some(text), &["limit"]).and_then(|q| q.number("limit")).expect_err(text);
        assert_eq!((error.detail.as_str(), error.status), (expect, 400), "{text}");
    };
    check("limits=1", "there is no query parameter \"limits\" here; there is: limit");
    check("limit=1&limit=2", "the query parameter \"limit\" stands twice");
    check("limit=ten", "the query parameter \"limit\" is a whole number, not \"ten\"");
    check("limit", "the query parameter \"limit\" is a whole number, not \"\"");
    check("limit=-1", "the query parameter \"limit\" is a whole number, not \"-1\"");
    check("limit=%FF", "the query is not UTF-8");
}
