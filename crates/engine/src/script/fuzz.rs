//! What crosses the border between guest and host, fed with nonsense: see `testkit::fuzz`.

mod calls;
mod operations;

use std::sync::OnceLock;

use base::artifact::{Module, ModuleKind, Script};
use base::{Artifact, Digest};
use encoding_rs::Encoding;
use testkit::fuzz::{Choices, Fuzz};

use super::codec::{Decoder, Encoder, Value};
use super::compression::{Codec, Next, OUTPUT_MAX};
use super::rewriter::{Registration, Rewriter};
use super::{host, textcodec, weburl};
use crate::cache::{Cache, Kind};

const PRELUDE: &[u8] = include_bytes!("../../../../engine-guest/dist/prelude.artifact");

/// Writes a value as a guest would.
fn encode(value: &Value<'_>, out: &mut Encoder) {
    match value {
        Value::Undefined => out.0.push(0),
        Value::Null => drop(out.null()),
        Value::Bool(value) => drop(out.bool(*value)),
        Value::Number(value) => drop(out.number(*value)),
        Value::String(value) => drop(out.string(value)),
        Value::Bytes(value) => drop(out.bytes(value)),
        Value::Array(values) => {
            out.array(values.len() as u32);
            values.iter().for_each(|value| encode(value, out));
        }
    }
}

#[test]
fn codec() {
    let mut sample = Encoder::default();
    sample.null().bool(true).integer(7).integer(1 << 40).number(0.5).string("grüße").bytes(&[1, 2]);
    sample.array(2).string("a").array(1).array(2).null().bool(false);
    let words = ["\u{5}\u{1}\0\0\0a", "\u{7}\u{1}\0\0\0", "\u{6}\0\0\0\0", "\u{4}", "\u{8}\u{1}\0\0\0"];
    Fuzz::new("codec").seeds([sample.0, vec![7, 1, 0, 0, 0].repeat(20)]).words(&words).run(|input| {
        let mut decoder = Decoder::new(input);
        let mut values = 0;
        while let Ok(value) = decoder.next() {
            if value == Value::Undefined && values >= input.len() {
                break;
            }
            values += 1;
            let mut out = Encoder::default();
            encode(&value, &mut out);
            let again = Decoder::new(&out.0).next();
            // Not a number is not equal to itself.
            assert!(again.as_ref() == Ok(&value) || format!("{again:?}") == format!("Ok({value:?})"), "{again:?}");
        }
        values
    });
}

#[test]
fn calls() {
    calls::fuzz();
}

#[test]
fn operations() {
    operations::fuzz();
}

const URL_WORDS: [&str; 34] = [
    "http:",
    "https://",
    "file:///",
    "ws:",
    "foo:",
    "//",
    "\\\\",
    "/..",
    "/./",
    "/%2e%2E",
    "?",
    "#",
    "@",
    ":",
    ":80",
    ":65536",
    "[::1]",
    "[1:2::3.4.5.6]",
    "0x7f.1",
    "256.256",
    "xn--",
    "é",
    "ß.de",
    "\u{200d}",
    "C|/",
    "C:",
    " ",
    "\t",
    "%zz",
    "\u{ad}",
    "user:pass@",
    "a.b",
    "data:text/html,",
    "\u{1F600}",
];

#[test]
fn url() {
    let seeds = [
        "https://user:pass@example.com:8080/a/../b?c=d#e",
        "file:///C:/a/b",
        "foo://h/a?b#c",
        "javascript:alert(1)",
        "http://[2001:db8::1]/",
        "http://192.168.0.1:80/%41",
        "//host/path\nhttp://base/a/b",
        "?q\nfile:///C|/x",
        "data:text/plain,a b  #c",
        "http://bücher.example/",
    ];
    const FIELDS: [&str; 11] = [
        "href", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash", "origin",
    ];
    Fuzz::new("url").seeds(seeds).words(&URL_WORDS).run(|input| {
        let text = String::from_utf8_lossy(input);
        let mut parts = text.split('\n');
        let (href, base) = (parts.next().unwrap_or(""), parts.next());
        let mut out = Encoder::default();
        weburl::parse(href, base, &mut out);
        let Some(mut href) = written(&out.0) else { return 0 };
        for (index, value) in parts.enumerate() {
            let mut out = Encoder::default();
            weburl::set(&href, FIELDS[index % FIELDS.len()], value, &mut out);
            if let Some(changed) = written(&out.0) {
                href = changed;
            }
        }
        href.len()
    });
}

/// The href of an answer: what is written reads as the same, and every index lies within it.
fn written(answer: &[u8]) -> Option<String> {
    let Ok(Value::Array(fields)) = Decoder::new(answer).next() else { return None };
    let href = fields[0].as_str().expect("an href").to_owned();
    assert!(href.is_ascii(), "{href}");
    let places: Vec<u32> = fields[1..].iter().map(|place| place.as_u32().expect("an index")).collect();
    assert!(places.iter().all(|&place| place as usize <= href.len()), "{href} {places:?}");
    let mut again = Encoder::default();
    weburl::parse(&href, None, &mut again);
    assert_eq!(again.0, answer, "{href} reads as itself");
    Some(href)
}

#[test]
fn headers() {
    let seeds = ["content-type\ntext/html\nset-cookie\na=b; Path=/\nset-cookie\nc=é", "x\n", "", "a\n\u{ff}\nb\n \t"];
    let words = ["\n", "\r", "\0", ":", "content-length", "transfer-encoding", "é", "長", "\u{7f}"];
    Fuzz::new("headers").seeds(seeds).words(&words).run(|input| {
        let Ok(headers) = host::parse_headers(&String::from_utf8_lossy(input)) else { return 0 };
        let mut block = Vec::new();
        host::write_headers(&headers, &mut block);
        let again = host::parse_headers(std::str::from_utf8(&block).expect("text")).expect("what was written is read");
        assert_eq!(again, headers);
        headers.len() + 1
    });
}

const ENCODINGS: [&str; 13] = [
    "utf-16le",
    "utf-16be",
    "iso-2022-jp",
    "shift_jis",
    "euc-jp",
    "euc-kr",
    "big5",
    "gbk",
    "gb18030",
    "windows-1252",
    "x-user-defined",
    "koi8-r",
    "utf-8",
];

/// A text in pieces is the text.
#[test]
fn encodings() {
    let seeds = ["\x02\x05\x1b$B$\"$$\x1b(Bab\x1b(J\\~", "\x03\x01abc", "\x00\x03a\0b\0", "\x08\x02\u{81}0"];
    let words = ["\x1b$B", "\x1b(B", "\x1b(J", "\x1b(I", "\x1b$@", "\x1b", "\u{81}", "\u{d8}\0"];
    Fuzz::new("encodings").seeds(seeds).words(&words).run(|input| {
        let mut choices = Choices::new(input);
        let name = Encoding::for_label(choices.pick(&ENCODINGS).as_bytes()).expect("an encoding").name();
        let cut = 1 + choices.below(7);
        let fatal = choices.byte() & 1 == 1;
        let bytes = choices.rest();
        let decode = |word: u32, bytes: &[u8], last: bool| {
            let mut arguments = Encoder::default();
            arguments.string(name).integer(word.into()).bytes(bytes).bool(fatal).bool(last);
            let mut out = Encoder::default();
            textcodec::decode(&mut Decoder::new(&arguments.0), &mut out).expect("well-formed arguments");
            let Ok(Value::Array(fields)) = Decoder::new(&out.0).next() else { return None };
            let text = fields[0].as_str().expect("text").to_owned();
            Some((text, fields[1].as_u32().expect("a count") as usize, fields[2].as_u32().expect("a word")))
        };
        let whole = decode(0, bytes, true).map(|(text, ..)| text);
        let (mut text, mut rest, mut word) = (Some(String::new()), Vec::new(), 0);
        for (index, piece) in bytes.chunks(cut).chain([&b""[..]]).enumerate() {
            rest.extend_from_slice(piece);
            let last = index == bytes.len().div_ceil(cut);
            let Some((more, count, next)) = decode(word, &rest, last) else {
                text = None;
                break;
            };
            assert!(count <= rest.len());
            text.as_mut().expect("nothing failed yet").push_str(&more);
            rest.drain(..rest.len() - count);
            word = next;
        }
        assert_eq!(text, whole, "{name}, cut after {cut}");
        whole.map(|text| (name, text.len() / 8))
    });
}

/// Compressed data of strangers: bounded steps, and memory that was told.
#[test]
fn inflate() {
    const FORMATS: [&str; 4] = ["gzip", "deflate", "deflate-raw", "brotli"];
    let compressed = |index: u8, data: &[u8]| {
        let mut codec = Codec::open(FORMATS[usize::from(index)], true, None).expect("a format");
        let mut out = vec![index, 3];
        codec.feed(data);
        while codec.step(true, &mut out).expect("it compresses") == Next::More {}
        out
    };
    let texts: [&[u8]; 3] = [b"", b"selvedge selvedge selvedge edge", &[7; 100_000]];
    let seeds = (0..4).flat_map(|index| texts.map(|text| compressed(index, text)));
    Fuzz::new("inflate").seeds(seeds).run(|input| {
        let mut choices = Choices::new(input);
        let mut codec = Codec::open(choices.pick(&FORMATS), false, None).expect("a format");
        let cut = 1 + choices.below(200) * 16;
        let data = choices.rest();
        let (mut out, mut bytes) = (Vec::new(), 0);
        for (index, piece) in data.chunks(cut).chain([&b""[..]]).enumerate() {
            codec.feed(piece);
            loop {
                out.clear();
                let Ok(next) = codec.step(index == data.len().div_ceil(cut), &mut out) else { return (1, bytes / 256) };
                bytes += out.len();
                assert!(out.len() <= 2 * OUTPUT_MAX && codec.weight() < 20 << 20);
                // A bomb of this size has shown what it is.
                if next != Next::More || bytes > 8 << 20 {
                    break;
                }
            }
        }
        (0, bytes / 256)
    });
}

#[test]
fn rewriter() {
    let seeds = [
        "\x00\x05<!doctype html><html><head><title>x</title></head><body><p class=a>text <b>bold</b></p><br></body></html>",
        "\x01\x03<table><tr><td><svg><![CDATA[x]]></svg><!-- c --><script>if (a<b) {}</script>",
        "\x02\x01<template><p></template><select><option>x<math><mi>y</mi></math>",
    ];
    const SELECTORS: [&str; 6] = ["*", "p > b", "[class~=a i]", "td:nth-child(2n+1)", "body :not(p)", "svg *"];
    let words = [
        "<p>",
        "</p>",
        "<b x=\"y\">",
        "<!--",
        "-->",
        "<script>",
        "</script>",
        "<svg>",
        "<![CDATA[",
        "]]>",
        "<template>",
        "<textarea>",
        "</",
        "<",
        ">",
        "=",
        "\"",
        "&amp;",
        "\0",
        "<plaintext>",
        "<frameset>",
        "é",
    ];
    Fuzz::new("rewriter").seeds(seeds).words(&words).run(|input| {
        let mut choices = Choices::new(input);
        let registration = |selector: Option<&str>| Registration { selector: selector.map(str::to_owned), wants: 31 };
        let registrations = [registration(Some(choices.pick(&SELECTORS))), registration(Some("*")), registration(None)];
        let charset = choices.pick(&["utf-8", "windows-1252", "shift_jis"]);
        let cut = 1 + choices.below(60);
        let data = choices.rest();
        let mut rewriter = Rewriter::open(&registrations, charset, 1 << 20).expect("selectors are valid");
        let mut out = Vec::new();
        for (index, piece) in data.chunks(cut).chain([&b""[..]]).enumerate() {
            let last = index == data.len().div_ceil(cut);
            if rewriter.feed(piece).is_err() {
                return 1;
            }
            loop {
                let Ok(waits) = rewriter.parse(last, &mut out) else { return 2 };
                if waits {
                    rewriter.encode_batch(&mut Encoder::default());
                    rewriter.fill(&[], &mut out).expect("no edits are edits");
                }
                if !rewriter.has_more(last) {
                    break;
                }
            }
        }
        // Text that is malformed in its encoding is mended on its way through a handler.
        let sound = charset == "utf-8" && std::str::from_utf8(data).is_ok();
        assert!(!sound || out == data, "without edits it is the same");
        3
    });
}

#[test]
fn artifact() {
    let module = |name: &str, kind| Module {
        name: name.into(),
        kind,
        source: b"export default 1;".to_vec(),
        imports: vec![("./b.js".into(), 1)],
        source_map: Some("{}".into()),
    };
    let modules = vec![module("a.js", ModuleKind::Js), module("b.js", ModuleKind::Classic)];
    let script = Artifact::Script(Script { entry: 0, modules, warm: Some("/".into()) });
    let component = Artifact::Component(vec![0, b'a', b's', b'm']);
    Fuzz::new("artifact").seeds([component.encode(), script.encode(), PRELUDE[..4000].to_vec()]).run(|input| {
        let artifact = Artifact::decode(input).map_err(|error| error.to_string())?;
        assert_eq!(Artifact::decode(&artifact.encode()).as_ref(), Ok(&artifact));
        Ok::<_, String>(match artifact {
            Artifact::Script(script) => script.modules.len(),
            Artifact::Component(_) => 0,
        })
    });
}

/// Files of the cache that were damaged never reach wasmtime.
#[test]
fn cache() {
    static PLACE: OnceLock<(tempfile::TempDir, Cache)> = OnceLock::new();
    let (folder, cache) = PLACE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(&folder.path().join("cache"), &folder.path().join("key")).expect("a cache");
        (folder, cache)
    });
    let key = Digest::of(b"a module");
    let content = [0x7f, b'E', b'L', b'F'].repeat(40);
    cache.store(Kind::Image, &key, &content);
    let file = folder.path().join("cache").join(format!("{key}.image"));
    let seal = std::fs::read(file.with_extension("image.seal")).expect("a seal");
    Fuzz::new("cache").seeds([[&[seal.len() as u8][..], &seal, &content].concat()]).run(|input| {
        let (length, rest) = input.split_first().unwrap_or((&0, input));
        let (new_seal, new_content) = rest.split_at(usize::from(*length).min(rest.len()));
        std::fs::write(&file, new_content).expect("the file can be written");
        std::fs::write(file.with_extension("image.seal"), new_seal).expect("the seal can be written");
        let sound = cache.is_sound(Kind::Image, &key);
        assert!(!sound || new_content == content, "a damaged file passed");
        sound
    });
}
