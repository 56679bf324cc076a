use http::header;
use proptest::prelude::*;

use super::*;

fn stored() -> Stored {
    let mut headers = HeaderMap::new();
    headers.append(header::SET_COOKIE, HeaderValue::from_static("a=1"));
    headers.append(header::SET_COOKIE, HeaderValue::from_bytes(b"b=\xff").expect("a value"));
    let mut request = HeaderMap::new();
    request.insert(header::ACCEPT, HeaderValue::from_static("text/html, x"));
    Stored {
        status: StatusCode::IM_A_TEAPOT,
        headers,
        body: Content::empty(),
        stored_at_ms: 1,
        initial_age_s: 2,
        lifetime_s: u64::MAX,
        vary: VaryValues::of(vec![header::ACCEPT, header::ACCEPT_LANGUAGE], &request),
        terms: Terms { always_validate: true, never_stale: false, stale_while_revalidate_s: 3, stale_if_error_s: 4 },
        tags: Tags::new(vec!["b".into(), "ä".into()]),
        body_id: 5,
    }
}

#[test]
fn what_is_encoded_is_decoded() {
    let stored = stored();
    assert_eq!(Stored::decode_head(&stored.encode_head()), Some(stored));
}

#[test]
fn what_is_cut_off_or_goes_on_is_no_head() {
    let mut bytes = stored().encode_head();
    for end in 0..bytes.len() {
        assert_eq!(Stored::decode_head(&bytes[..end]), None, "{end}");
    }
    bytes.push(0);
    assert_eq!(Stored::decode_head(&bytes), None);
}

proptest! {
    #[test]
    fn nonsense_is_never_more_than_none(at in 0..200_usize, value in any::<u8>()) {
        let mut bytes = stored().encode_head();
        let at = at % bytes.len();
        bytes[at] = value;
        let _ = Stored::decode_head(&bytes);
    }
}
