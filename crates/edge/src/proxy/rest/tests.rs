use super::*;

#[test]
fn only_the_whole_rest_of_the_same_body_is_one() {
    let etag = HeaderValue::from_static("\"a\"");
    let check = |status: u16, fields: &[(&'static str, &'static str)], size: Option<u64>, expect: bool| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        for (name, value) in fields {
            response.headers_mut().insert(*name, HeaderValue::from_static(value));
        }
        assert_eq!(is_rest(&response, 10, size, &etag, None), expect, "{status} {fields:?}");
    };
    let (range, same) = (("content-range", "bytes 10-99/100"), ("etag", "\"a\""));
    check(206, &[range, same], Some(100), true);
    check(206, &[range, same], None, true);
    check(206, &[range, same], Some(101), false);
    check(200, &[range, same], Some(100), false);
    check(206, &[range, ("etag", "\"b\"")], Some(100), false);
    check(206, &[range, ("etag", "W/\"a\"")], Some(100), false);
    check(206, &[range], Some(100), false);
    check(206, &[("content-range", "bytes 11-99/100"), same], Some(100), false);
    check(206, &[("content-range", "bytes 10-98/100"), same], Some(100), false);
    check(206, &[("content-range", "bytes 10-99/*"), same], Some(100), false);
    check(206, &[range, same, ("content-encoding", "gzip")], Some(100), false);
}
