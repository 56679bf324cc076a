use super::*;

fn refusal(bytes: &[u8]) -> String {
    shape(bytes).expect_err("it is no component").detail
}

#[test]
fn the_first_bytes_tell_what_a_file_is() {
    assert!(shape(b"\0asm\x0d\0\x01\0").is_ok());
    assert!(refusal(b"").contains("empty"));
    assert!(refusal(b"#!/bin/sh").contains("not WebAssembly"));
    assert!(refusal(b"  (component)").contains("text"));
    assert!(refusal(b"\0asm\x01\0\0\0").contains("wasm-tools component new"));
    assert!(refusal(b"\0asm\x0d").contains("ends within"));
    assert!(refusal(b"\0asm\x07\0\0\0").contains("version [07, 00, 00, 00]"));
}

#[test]
fn released_interfaces_of_version_02_are_granted() {
    for name in ["wasi:io/streams@0.2.0", "wasi:http/types@0.2.10", "wasi:config/store@0.2.0-rc.1"] {
        assert!(is_granted(name), "{name}");
    }
    for name in [
        "wasi:io/streams@0.3.0",
        "wasi:io/streams@0.2.0-rc-2023-11-10",
        "wasi:io/streams",
        "wasi:keyvalue/store@0.2.0-draft",
        "wasi:config/store@0.2.0",
        "other",
    ] {
        assert!(!is_granted(name), "{name}");
    }
}

#[test]
fn the_wrong_world_is_named() {
    let exports = |names: &[&str]| wrong_world(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
    assert!(exports(&[]).contains("exports nothing"));
    assert!(exports(&["wasi:cli/run@0.2.3"]).contains("command-line program"));
    assert!(exports(&["wasi:http/handler@0.3.0"]).contains("version of wasi:http"));
    assert!(exports(&["a:b/c"]).contains("`a:b/c`"));
}
