use futures_util::FutureExt as _;
use http_body_util::StreamBody;

use super::{decoded as decoded_within, negotiate as negotiate_within, *};

fn decoded(body: Body, coding: Coding) -> Body {
    decoded_within(body, coding, &WorkerLimits::default())
}

fn negotiate(response: Response, accepts: Option<&HeaderValue>) -> Response {
    negotiate_within(response, accepts, &WorkerLimits::default())
}

fn whole(body: Body) -> Result<Vec<u8>, BodyError> {
    body.collect(64 << 20).now_or_never().expect("a body at hand is read at once").map(|bytes| bytes.to_vec())
}

fn in_pieces(data: &[u8], size: usize) -> Body {
    let frames: Vec<Result<Frame<Bytes>, BodyError>> =
        data.chunks(size).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
    Body::stream(StreamBody::new(futures_util::stream::iter(frames)))
}

fn response(coding: &str, body: Body) -> Response {
    let mut response = http::Response::new(body);
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_str(coding).unwrap());
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("5"));
    response
}

fn check_accepts(accepts: &'static str, gzip: bool, brotli: bool) {
    let accepts = HeaderValue::from_static(accepts);
    assert_eq!(Coding::Gzip.is_accepted(Some(&accepts)), gzip, "{accepts:?}");
    assert_eq!(Coding::Brotli.is_accepted(Some(&accepts)), brotli, "{accepts:?}");
}

#[test]
fn what_a_reader_takes_is_what_it_says() {
    check_accepts("gzip, deflate, br", true, true);
    check_accepts("GZIP;q=0.5", true, false);
    check_accepts("gzip;q=0, *", false, true);
    check_accepts("br;q=1.0, *;q=0", false, true);
    check_accepts("identity", false, false);
    check_accepts("", false, false);
    assert!(!Coding::Gzip.is_accepted(None));
}

#[test]
fn every_coding_comes_back_as_it_was_in_pieces_of_any_size() {
    let text: Vec<u8> = (0..300_000_u32).map(|i| (i % 251) as u8).collect();
    for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli] {
        let coded = whole(encoded(Body::full(text.clone()), coding)).unwrap();
        assert!(coded.len() < text.len() / 10, "{coding:?}: {} bytes", coded.len());
        for size in [1, 1000, coded.len()] {
            assert_eq!(whole(decoded(in_pieces(&coded, size), coding)).unwrap(), text, "{coding:?} by {size}");
        }
        let cut = whole(decoded(in_pieces(&coded[..coded.len() - 5], 1000), coding)).unwrap_err();
        assert_eq!(cut.code.name, "upstream_protocol");
        let more = [coded.as_slice(), b"more"].concat();
        assert_eq!(whole(decoded(Body::full(more), coding)).unwrap(), text);
        assert_eq!(whole(decoded(in_pieces(b"", 1), coding)).unwrap(), b"");
    }
}

#[test]
fn deflate_is_read_with_and_without_zlibs_header() {
    let coded = whole(encoded(Body::full("hello, hello"), Coding::Deflate)).unwrap();
    let bare = &coded[2..coded.len() - 4];
    assert_eq!(whole(decoded(Body::full(bare.to_vec()), Coding::Deflate)).unwrap(), b"hello, hello");
}

#[test]
fn a_bomb_unfolds_in_bounded_pieces() {
    let coded = whole(encoded(Body::full(vec![0; 16 << 20]), Coding::Gzip)).unwrap();
    let mut body = Recoded::new(Body::full(coded), Coding::Gzip, false);
    let mut total = 0;
    let mut cx = Context::from_waker(std::task::Waker::noop());
    while let Poll::Ready(Some(frame)) = Pin::new(&mut body).poll_frame(&mut cx) {
        let piece = frame.unwrap().into_data().unwrap();
        assert!(piece.len() <= 128 << 10, "{} bytes at once", piece.len());
        total += piece.len();
    }
    assert_eq!(total, 16 << 20);
}

#[test]
fn what_unfolds_beyond_its_limit_is_an_error() {
    let coded = whole(encoded(Body::full(vec![0; 2 << 20]), Coding::Brotli)).unwrap();
    let limits = |decoded_mib| WorkerLimits { decoded_mib, ..WorkerLimits::default() };
    let unfolded = |limits: &WorkerLimits| whole(decoded_within(Body::full(coded.clone()), Coding::Brotli, limits));
    assert_eq!(unfolded(&limits(2)).unwrap().len(), 2 << 20);
    assert!(unfolded(&limits(1)).unwrap_err().detail.contains("limits.decoded_mib"));
}

#[test]
fn a_response_leaves_in_a_coding_that_its_reader_takes() {
    let gzip = HeaderValue::from_static("gzip");
    let accepted = negotiate(response("gzip", Body::full("hello")), Some(&gzip));
    assert_eq!(accepted.headers()[CONTENT_ENCODING], "gzip");
    assert!(!accepted.headers().contains_key(CONTENT_LENGTH));
    assert_eq!(accepted.headers()[VARY], "accept-encoding");
    let coded = whole(accepted.into_body()).unwrap();
    assert_eq!(whole(decoded(Body::full(coded.clone()), Coding::Gzip)).unwrap(), b"hello");

    let plain = negotiate(response("gzip", Body::full("hello")), None);
    assert!(!plain.headers().contains_key(CONTENT_ENCODING));
    assert_eq!(whole(plain.into_body()).unwrap(), b"hello");

    let mut already = response("gzip", Body::full(coded.clone()));
    already.extensions_mut().insert(AlreadyCoded);
    let kept = negotiate(already, Some(&gzip));
    assert_eq!(kept.headers()[CONTENT_LENGTH], "5");
    assert_eq!(whole(kept.into_body()).unwrap(), coded);

    let mut already = response("gzip", Body::full(coded));
    already.extensions_mut().insert(AlreadyCoded);
    let unfolded = negotiate(already, None);
    assert!(!unfolded.headers().contains_key(CONTENT_ENCODING));
    assert_eq!(whole(unfolded.into_body()).unwrap(), b"hello");

    let unknown = negotiate(response("zstd", Body::full("hello")), None);
    assert_eq!(unknown.headers()[CONTENT_ENCODING], "zstd");
    assert_eq!(whole(unknown.into_body()).unwrap(), b"hello");
}
