use super::super::codec::Encoder;
use super::{of_plain, plain};

fn encoded(write: impl for<'a> FnOnce(&'a mut Encoder) -> &'a mut Encoder) -> Vec<u8> {
    let mut encoder = Encoder::default();
    write(&mut encoder);
    encoder.0
}

#[test]
fn a_value_of_one_token_comes_back_as_it_went() {
    let values = [
        encoded(|e| e.integer(7)),
        encoded(|e| e.number(-0.5)),
        encoded(|e| e.number(f64::NAN)),
        encoded(|e| e.string("a text")),
        encoded(|e| e.string("")),
        encoded(|e| e.bool(true)),
        encoded(|e| e.null()),
    ];
    for value in values {
        let tokens = of_plain(&value).expect("it is one token");
        assert_eq!(plain(&tokens), Some(&value[..]));
    }
}

#[test]
fn what_is_more_than_a_token_is_left_to_the_prelude() {
    let object = encoded(|e| e.array(2).integer(3).integer(0));
    let number_alone = encoded(|e| e.array(1).integer(1));
    let number_of_text = encoded(|e| e.array(2).integer(1).string("1"));
    let undefined = encoded(|e| e.array(1).undefined());
    for tokens in [object, number_alone, number_of_text, undefined, Vec::new()] {
        assert_eq!(plain(&tokens), None);
    }
    let list = encoded(|e| e.array(0));
    let two = encoded(|e| e.null().null());
    let bytes = encoded(|e| e.bytes(b"x"));
    for value in [list, two, bytes, Vec::new()] {
        assert_eq!(of_plain(&value), None);
    }
}
