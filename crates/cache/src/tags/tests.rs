use http::HeaderValue;

use super::*;

fn parsed(lines: &[(&'static str, &str)]) -> Result<Vec<String>, TooManyTags> {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"));
    }
    Ok(Tags::parse(&headers)?.iter().map(str::to_owned).collect())
}

#[test]
fn both_fields_are_read_in_their_own_manner() {
    assert_eq!(parsed(&[]).unwrap(), [""; 0]);
    let found = parsed(&[("cache-tag", "b, a ,,b"), ("surrogate-key", "c  two words"), ("cache-tag", "d e")]);
    assert_eq!(found.unwrap(), ["a", "b", "c", "d e", "two", "words"]);
}

#[test]
fn more_than_a_purge_could_find_is_refused() {
    let many = vec!["x"; TAGS_MAX + 1].join(" ");
    assert_eq!(parsed(&[("surrogate-key", &many)]), Err(TooManyTags));
    assert_eq!(parsed(&[("cache-tag", &"y".repeat(TAG_BYTES_MAX + 1))]), Err(TooManyTags));
    assert!(parsed(&[("cache-tag", &"y".repeat(TAG_BYTES_MAX))]).is_ok());
}
