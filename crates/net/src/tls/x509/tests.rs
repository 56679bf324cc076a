use super::super::fixture::{Authority, NOW, ocsp, tlv};
use super::*;

const DAY: Duration = Duration::from_secs(86_400);
const GOOD: u8 = 0x80;

#[test]
fn the_times_of_an_answer_are_read() {
    let staple = staple(&ocsp(NOW, Some(NOW + DAY), GOOD)).expect("an answer");
    assert_eq!(staple, Staple { this_update: NOW, next_update: Some(NOW + DAY), revoked: false });
    let staple = super::staple(&ocsp(NOW, None, GOOD)).expect("an answer without an end");
    assert_eq!(staple.next_update, None);
    assert!(super::staple(&ocsp(NOW, None, 0xa1)).expect("an answer").revoked);
}

#[test]
fn what_is_no_answer_is_none() {
    let good = ocsp(NOW, Some(NOW + DAY), GOOD);
    for bytes in 0..good.len() {
        assert_eq!(staple(&good[..bytes]), None, "cut after {bytes}");
    }
    let try_later = tlv(0x30, &[&[0x0a, 1, 3]]);
    for nonsense in [&b""[..], b"what the authority says", &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &try_later] {
        assert_eq!(staple(nonsense), None, "{nonsense:?}");
    }
    for at in 0..good.len() {
        let mut odd = good.clone();
        odd[at] ^= 0x41;
        // Whatever is made of it, it ends.
        let _ = staple(&odd);
    }
}

#[test]
fn a_certificate_says_whom_it_is_for() {
    let authority = Authority::new("staff of\nexample");
    let told = subject(&authority.certificate).expect("a name");
    assert!(told.contains("CN=staff of\\nexample"), "{told}");
    for bytes in 0..authority.certificate.len() {
        assert_eq!(subject(&authority.certificate[..bytes]), None, "cut after {bytes}");
    }
}
