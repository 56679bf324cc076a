use super::*;

#[test]
fn what_is_encoded_is_decoded() {
    let mut e = Encoder::default();
    e.null().bool(true).integer(7).integer(1 << 40).number(0.5).string("grüße").bytes(&[1, 2]);
    e.array(2).string("a").null();
    let mut d = Decoder::new(&e.0);
    assert_eq!(d.next(), Ok(Value::Null));
    assert_eq!(d.next(), Ok(Value::Bool(true)));
    assert_eq!(d.next().and_then(|v| v.as_u32()), Ok(7));
    assert_eq!(d.next(), Ok(Value::Number((1u64 << 40) as f64)));
    assert_eq!(d.next(), Ok(Value::Number(0.5)));
    assert_eq!(d.next(), Ok(Value::String("grüße".into())));
    assert_eq!(d.next(), Ok(Value::Bytes(&[1, 2])));
    assert_eq!(d.next(), Ok(Value::Array(vec![Value::String("a".into()), Value::Null])));
    assert_eq!(d.next(), Ok(Value::Undefined), "past the end");
}

#[test]
fn a_strangers_bytes_are_refused_not_trusted() {
    for bad in [&[9u8][..], &[5, 255, 255, 255, 255], &[7, 255, 255, 255, 255, 0], &[4, 0, 0], &[6, 4, 0, 0, 0, 1]] {
        assert_eq!(Decoder::new(bad).next(), Err(Malformed), "{bad:?}");
        assert_eq!(Decoder::new(bad).raw(), Err(Malformed), "{bad:?}");
    }
    let nested: Vec<u8> = std::iter::repeat_n([7, 1, 0, 0, 0], 40).flatten().chain([0]).collect();
    assert_eq!(Decoder::new(&nested).next(), Err(Malformed));
    assert_eq!(Decoder::new(&nested).raw(), Err(Malformed));
}

#[test]
fn a_lone_surrogate_becomes_one_replacement_character_and_no_key() {
    let check = |bytes: &[u8], expect: &str| {
        let mut e = vec![5];
        e.extend((bytes.len() as u32).to_le_bytes());
        e.extend(bytes);
        let value = Decoder::new(&e).next().expect("a value");
        assert_eq!((value.as_str(), value.as_key()), (Ok(expect), Err(NoKey::Unpaired)), "{bytes:?}");
    };
    check(b"\xed\xa0\x80", "\u{fffd}");
    check(b"a\xed\xbf\xbfb\xed\xa0\xbd", "a\u{fffd}b\u{fffd}");
    check(b"\xed\xa0\x80\xed\xa0\x80", "\u{fffd}\u{fffd}");
    check(
        "grüße\u{1f600}".as_bytes().iter().copied().chain([0xff, 0xe2, 0x82]).collect::<Vec<u8>>().as_slice(),
        "grüße\u{1f600}\u{fffd}\u{fffd}",
    );
    let mut e = Encoder::default();
    e.string("\u{fffd}").null();
    let mut d = Decoder::new(&e.0);
    assert_eq!(d.next().expect("a value").as_key(), Ok("\u{fffd}"), "whoever writes it means it");
    let nothing = d.next().expect("a value");
    assert_eq!((nothing.as_key(), nothing.as_optional_key()), (Err(NoKey::Malformed), Ok(None)));
}

#[test]
fn a_value_is_passed_on_as_it_stands() {
    let mut first = Encoder::default();
    first.array(3).string("a").array(1).number(0.5).bytes(&[1]);
    let mut both = first.0.clone();
    both.extend([8, 7, 0, 0, 0]);
    let mut d = Decoder::new(&both);
    assert_eq!(d.raw(), Ok(&first.0[..]));
    assert_eq!(d.next().and_then(|v| v.as_u32()), Ok(7));
    assert_eq!(d.raw(), Err(Malformed), "past the end");
}
