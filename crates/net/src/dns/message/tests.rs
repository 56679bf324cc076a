use std::net::Ipv4Addr;

use super::*;

const INTERNET: u16 = 1;

/// An answer to a question, with these records: owner, kind, seconds, data.
fn answer(asked: &[u8], flags: u16, records: &[(&[u8], u16, u32, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = asked.to_vec();
    bytes[2..4].copy_from_slice(&flags.to_be_bytes());
    bytes[6..8].copy_from_slice(&u16::try_from(records.len()).expect("few").to_be_bytes());
    for (owner, kind, ttl_s, data) in records {
        bytes.extend_from_slice(owner);
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&INTERNET.to_be_bytes());
        bytes.extend_from_slice(&ttl_s.to_be_bytes());
        bytes.extend_from_slice(&u16::try_from(data.len()).expect("short").to_be_bytes());
        bytes.extend_from_slice(data);
    }
    bytes
}

/// The name of the question.
const ASKED: &[u8] = &[0xc0, 12];
const OK: u16 = 0x8180;

fn ask(kind: Kind) -> Vec<u8> {
    question(7, "Api.Example", kind).expect("a question")
}

#[test]
fn a_question_is_written_as_the_standard_has_it() {
    let bytes = question(0x1234, "a.bc", Kind::Srv).expect("a question");
    assert_eq!(bytes, b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x02bc\0\0\x21\0\x01");
    assert_eq!(question(0x1234, "a.bc.", Kind::Srv), Some(bytes));
    let long = ["a"; 128].join(".");
    for name in ["", ".", "a..b", "a b", "ä.de", &"a".repeat(64), &long] {
        assert_eq!(question(1, name, Kind::A), None, "{name:?}");
    }
}

#[test]
fn addresses_and_services_are_read() {
    let asked = ask(Kind::A);
    let bytes = answer(&asked, OK, &[(ASKED, 1, 60, vec![10, 0, 0, 1]), (ASKED, 1, 30, vec![10, 0, 0, 2])]);
    let records = [[10, 0, 0, 1], [10, 0, 0, 2]].map(|four: [u8; 4]| Record::Address(Ipv4Addr::from(four).into()));
    assert_eq!(read(&bytes, &asked, Kind::A), Some(Reply::Records { records: records.to_vec(), ttl_s: 30 }));
    let asked = ask(Kind::Srv);
    let data = [&[0, 1, 0, 2, 0x1f, 0x90, 1, b'B'] as &[u8], ASKED].concat();
    let service = Service { priority: 1, weight: 2, port: 8080, host: "b.api.example".to_owned() };
    assert_eq!(
        read(&answer(&asked, OK, &[(ASKED, 33, 5, data)]), &asked, Kind::Srv),
        Some(Reply::Records { records: vec![Record::Service(service)], ttl_s: 5 })
    );
}

#[test]
fn an_alias_leads_on_and_not_in_circles() {
    let asked = ask(Kind::A);
    let other: &[u8] = b"\x05other\0";
    let address = vec![10, 0, 0, 1];
    // In whatever order they stand; the shorter time counts.
    let bytes = answer(&asked, OK, &[(other, 1, 9, address.clone()), (ASKED, 5, 4, other.to_vec())]);
    let record = Record::Address(Ipv4Addr::new(10, 0, 0, 1).into());
    assert_eq!(read(&bytes, &asked, Kind::A), Some(Reply::Records { records: vec![record], ttl_s: 4 }));
    let bytes = answer(&asked, OK, &[(ASKED, 5, 4, ASKED.to_vec())]);
    assert_eq!(read(&bytes, &asked, Kind::A), Some(Reply::Records { records: Vec::new(), ttl_s: 0 }));
    // What belongs to another name is nobody's answer.
    let bytes = answer(&asked, OK, &[(other, 1, 9, address)]);
    assert_eq!(read(&bytes, &asked, Kind::A), Some(Reply::Records { records: Vec::new(), ttl_s: u32::MAX }));
}

#[test]
fn what_answers_another_question_is_no_answer() {
    let asked = ask(Kind::A);
    let good = answer(&asked, OK, &[(ASKED, 1, 60, vec![10, 0, 0, 1])]);
    let check = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        assert_eq!(read(&bytes, &asked, Kind::A), None);
    };
    check(&|bytes| bytes[1] ^= 1);
    check(&|bytes| bytes[2] &= 0x7f);
    check(&|bytes| bytes[5] = 2);
    check(&|bytes| bytes[14] ^= 1);
    check(&|bytes| bytes[26] ^= 1);
    check(&|bytes| bytes.truncate(40));
    assert_eq!(read(&good, &ask(Kind::Aaaa), Kind::Aaaa), None);
}

#[test]
fn a_server_may_have_no_answer() {
    let asked = ask(Kind::A);
    let said = |flags| read(&answer(&asked, flags, &[]), &asked, Kind::A);
    assert_eq!(said(OK), Some(Reply::Records { records: Vec::new(), ttl_s: u32::MAX }));
    assert_eq!(said(OK | 3), Some(Reply::NoSuchName));
    assert_eq!(said(OK | 2), Some(Reply::Failed(2)));
    assert_eq!(said(OK | 0x200), Some(Reply::Truncated));
}

#[test]
fn names_that_point_at_themselves_or_ahead_are_none() {
    let asked = ask(Kind::A);
    // The owner stands at the byte behind the question.
    let at = u8::try_from(asked.len()).expect("short");
    for owner in [[0xc0, at], [0xc0, at + 1], [0xc0, 0xff], [0x80, 0]] {
        let bytes = answer(&asked, OK, &[(&owner, 1, 60, vec![10, 0, 0, 1])]);
        assert_eq!(read(&bytes, &asked, Kind::A), None, "{owner:?}");
    }
    // A time that is negative is none at all.
    let bytes = answer(&asked, OK, &[(ASKED, 1, 0x8000_0001, vec![10, 0, 0, 1])]);
    assert!(matches!(read(&bytes, &asked, Kind::A), Some(Reply::Records { ttl_s: 0, .. })));
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_to_an_end(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
        for kind in [Kind::A, Kind::Aaaa, Kind::Srv] {
            let asked = ask(kind);
            // Behind a head and a question that fit, too.
            let mut whole = answer(&asked, OK, &[]);
            whole[7] = 9;
            whole.extend_from_slice(&bytes);
            for bytes in [&bytes, &whole] {
                if let Some(Reply::Records { records, .. }) = read(bytes, &asked, kind) {
                    proptest::prop_assert!(records.len() <= RECORDS_MAX);
                }
            }
        }
    }
}
