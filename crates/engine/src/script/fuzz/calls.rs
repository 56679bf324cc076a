//! Host calls with arguments that no prelude would send: the guest is a stranger, prelude included.

use base::WorkerLimits;
use telemetry::{NullSink, Record, RecordHandle};
use testkit::fuzz::{Choices, Fuzz};
use worker::{Call, Event, FetchEvent};

use super::encode;
use crate::script::abi::{call, crypto, node, operation};
use crate::script::codec::{Decoder, Encoder, Value};
use crate::script::guest::{Guest, GuestCall, Layout, Phase};
use crate::script::host;

/// Every call, and what its arguments should be: `u` a number, `h` a handle, `s` text, `n` a name,
/// `b` a boolean, `y` bytes or nothing, `a` a list, `e` edits.
const CALLS: [(i32, &str); 49] = [
    (call::LOG, "nss"),
    (call::RANDOM, "u"),
    (call::URL_PARSE, "ss"),
    (call::URL_SET, "sns"),
    (call::CANCEL, "h"),
    (call::BODY_CANCEL, "h"),
    (call::STREAM_OPEN, ""),
    (call::STREAM_CLOSE, "h"),
    (call::STREAM_ABORT, "hsss"),
    (call::STREAM_LINK, "hh"),
    (call::DONE, "h"),
    (call::FAIL, "hsssbs"),
    (call::RESPOND, "husybb"),
    (call::TEXT_LABEL, "n"),
    (call::TEXT_DECODE, "nuybb"),
    (call::CODED, "hh"),
    (call::MODULES, "n"),
    (call::HAND_OVER, "hb"),
    (call::UNREAD_TAKE, "h"),
    (call::UNREAD_ANSWER, "hhb"),
    (call::UNREAD_DROP, "h"),
    (call::CODEC_OPEN, "nb"),
    (call::CODEC_STEP, "hyb"),
    (call::CODEC_STEP, "hyb"),
    (call::HELD_DROP, "h"),
    (call::SELECTOR_CHECK, "n"),
    (call::REWRITER_OPEN, "na"),
    (call::REWRITER_PARSE, "hyb"),
    (call::REWRITER_PARSE, "hyb"),
    (call::REWRITER_FILL, "he"),
    (call::SOCKET_OPEN, ""),
    (call::SOCKET_ANSWER, "hh"),
    (call::SOCKET_SEND, "hy"),
    (call::SOCKET_CLOSE, "hus"),
    (call::SOCKET_BUFFERED, "h"),
    (crypto::DIGEST, "ny"),
    (crypto::RUNNING_DIGEST, "nyyb"),
    (crypto::HMAC, "nyyy"),
    (crypto::ENCRYPT, "nyyyyu"),
    (crypto::DECRYPT, "nyyyyu"),
    (crypto::HKDF, "nyyyu"),
    (crypto::SIGN, "nnyyu"),
    (crypto::VERIFY, "nnyyyu"),
    (crypto::AGREE, "nyy"),
    (crypto::CURVE_IMPORT, "nnyy"),
    (crypto::CURVE_EXPORT, "nnyy"),
    (node::HASH, "nyyb"),
    (node::CIPHER, "nbyyyyy"),
    (node::ZIP, "nbuuuby"),
];

const NAMES: [&str; 52] = [
    "gzip",
    "deflate",
    "deflate-raw",
    "brotli",
    "SHA-1",
    "SHA-256",
    "SHA-384",
    "SHA-512",
    "MD5",
    "md5",
    "sha1",
    "sha224",
    "sha256",
    "sha512-256",
    "ripemd160",
    "P-256",
    "P-384",
    "P-521",
    "Ed25519",
    "X25519",
    "RSASSA-PKCS1-v1_5",
    "RSA-PSS",
    "RSA-OAEP",
    "AES-GCM",
    "AES-CBC",
    "AES-CTR",
    "AES-KW",
    "GCM",
    "CBC",
    "CTR",
    "KW",
    "gcm",
    "cbc",
    "ctr",
    "raw",
    "pkcs8",
    "spki",
    "utf-8",
    "utf-16le",
    "shift_jis",
    "iso-2022-jp",
    "p > b",
    "*",
    "[a=b]",
    "debug",
    "href",
    "host",
    "port",
    "pathname",
    "scrypt",
    "pbkdf2",
    "jwk",
];
const TEXTS: [&str; 10] = [
    "",
    "https://example.com/a?b#c",
    "content-type\ntext/plain",
    "a\n\0",
    "é\u{1F600}",
    "<p>x</p>",
    "8080",
    "/../x",
    "name\nvalue\nname",
    "C:\\",
];
const NUMBERS: [f64; 16] = [
    0.0,
    1.0,
    2.0,
    12.0,
    16.0,
    32.0,
    128.0,
    200.0,
    1000.0,
    65_536.0,
    4_294_967_295.0,
    -1.0,
    0.5,
    1e300,
    f64::NAN,
    f64::INFINITY,
];

pub fn fuzz() {
    let seeds =
        (0..CALLS.len() as u8).map(|index| vec![index, 1, 40, 2, 40, 3, 40, 4, 40, 5, 41, 6, index, 7, 40, 1, 1, 1]);
    Fuzz::new("calls").seeds(seeds).run(|input| {
        let mut choices = Choices::new(input);
        let mut guest = guest();
        let mut answers: Vec<Vec<u8>> = vec![(0..32).collect(), vec![0; 16], vec![7; 65]];
        let (mut answered, mut count) = (0u64, 0);
        while !choices.is_over() && count < 60 {
            count += 1;
            let (code, shape) = CALLS[choices.below(CALLS.len())];
            let mut arguments = Encoder::default();
            for kind in shape.chars() {
                encode(&argument(kind, &mut choices, &answers), &mut arguments);
            }
            let mut out = Encoder::default();
            if host::answer(&mut guest, code, &arguments.0, &mut out).is_ok() {
                answered |= 1 << (code % 64);
                keep_bytes(&out.0, &mut answers);
            }
        }
        // Operations are decoded when they begin: their codes and bounds alone are looked at here.
        let _ = host::start(&mut guest, operation::TIMER, choices.rest());
        answered
    });
}

pub fn guest() -> Guest {
    let mut guest = Guest::evaluating(Layout::default(), &WorkerLimits::default());
    guest.phase = Phase::Serving;
    let record = RecordHandle::new(Record::default(), std::sync::Arc::new(NullSink));
    let event = FetchEvent {
        method: http::Method::GET,
        url: "http://t/".into(),
        headers: http::HeaderMap::new(),
        body: base::Body::empty(),
        client: None,
        cf: None,
        entry: None,
    };
    guest.calls.insert(1, GuestCall::new(Call::new(record), Some(Event::Fetch(Box::new(event))), None));
    guest.begin(1);
    guest
}

/// An argument of this kind, now and then of another.
pub fn argument<'v, 'i: 'v>(kind: char, choices: &mut Choices<'i>, answers: &'v [Vec<u8>]) -> Value<'v> {
    let odd = choices.byte();
    let kind = if odd < 16 { ['u', 's', 'b', 'y', 'a', 'z', 'n', 'e'][usize::from(odd) % 8] } else { kind };
    match kind {
        'u' => Value::Number(NUMBERS[choices.below(NUMBERS.len())]),
        'h' => Value::Number(choices.below(10) as f64),
        'n' => Value::String(choices.pick(&NAMES).into()),
        's' if odd & 1 == 0 => Value::String(choices.pick(&TEXTS).into()),
        's' => Value::String(String::from_utf8_lossy(choices.bytes(200))),
        'b' => Value::Bool(choices.byte() & 1 == 1),
        'y' if odd & 7 == 1 => Value::Null,
        'y' if odd & 1 == 0 => Value::Bytes(&answers[choices.below(answers.len())]),
        'y' => Value::Bytes(choices.bytes(300)),
        'a' => {
            let pairs = (0..choices.below(6)).flat_map(|_| {
                let selector =
                    if choices.byte() & 1 == 0 { Value::Null } else { Value::String(choices.pick(&NAMES).into()) };
                [selector, Value::Number(choices.below(40) as f64)]
            });
            Value::Array(pairs.collect())
        }
        'e' => Value::Array((0..choices.below(5)).map(|_| edit(choices)).collect()),
        _ => Value::Undefined,
    }
}

/// `[id, flags, before, after, replacement, prepended, appended, attributes, name]`
fn edit<'a>(choices: &mut Choices<'a>) -> Value<'a> {
    let mut fields = vec![Value::Number(choices.below(8) as f64), Value::Number(choices.below(20) as f64)];
    for _ in 0..6 {
        let pieces = (0..choices.below(3)).flat_map(|_| {
            let text = Value::String(String::from_utf8_lossy(choices.bytes(12)));
            [text, Value::Bool(choices.byte() & 1 == 1)]
        });
        fields.push(Value::Array(pieces.collect()));
    }
    fields.push(if choices.byte() & 1 == 0 { Value::Null } else { Value::String(choices.pick(&TEXTS).into()) });
    Value::Array(fields)
}

/// What calls answer is given to the next ones.
fn keep_bytes(answer: &[u8], answers: &mut Vec<Vec<u8>>) {
    let Ok(value) = Decoder::new(answer).next() else { return };
    let parts = if let Value::Array(parts) = value { parts } else { vec![value] };
    for part in parts {
        if let Value::Bytes(bytes) = part
            && answers.len() < 24
        {
            answers.push(bytes[..bytes.len().min(4096)].to_vec());
        }
    }
}
