use super::*;

#[test]
fn one_coding_alone_is_taken() {
    let check = |lines: &[(&'static str, &'static str)], taken: bool| {
        let pair = |(name, value): &(&'static str, &'static str)| (name.parse().unwrap(), value.parse().unwrap());
        let headers: HeaderMap = lines.iter().map(pair).collect();
        assert_eq!(fault(&headers).is_none(), taken, "{lines:?}");
    };
    check(&[], true);
    check(&[("content-length", "5")], true);
    check(&[("transfer-encoding", "chunked")], true);
    check(&[("transfer-encoding", " Chunked ")], true);
    for odd in ["xchunked", "gzip, chunked", "identity", "chunked, gzip", "chunked, chunked", "", "chunked;a=b", "x"] {
        check(&[("transfer-encoding", odd)], false);
    }
    check(&[("transfer-encoding", "gzip"), ("transfer-encoding", "chunked")], false);
    check(&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], false);
    check(&[("transfer-encoding", "chunked"), ("content-length", "5")], false);
    check(&[("transfer-encoding", "identity"), ("content-length", "5")], false);
}
