use super::*;

/// A field section of these lines.
fn section(lines: &[&[u8]]) -> Vec<u8> {
    [&[&[0_u8, 0] as &[u8]], lines].concat().concat()
}

/// A line with a name that is written out, plain.
fn named(name: &[u8], value: &[u8]) -> Vec<u8> {
    assert!(name.len() < 7 + 128 && value.len() < 127);
    let mut line = if name.len() < 7 { vec![0x20 | name.len() as u8] } else { vec![0x27, name.len() as u8 - 7] };
    line.extend_from_slice(name);
    line.push(value.len() as u8);
    line.extend_from_slice(value);
    line
}

const GET: &[u8] = &[0xc0 | 17];
const POST: &[u8] = &[0xc0 | 20];
const HTTPS: &[u8] = &[0xc0 | 23];
const ROOT: &[u8] = &[0xc0 | 1];
/// `:path: /x`, with its name from the table.
const PATH_X: &[u8] = &[0x51, 2, b'/', b'x'];
const AUTHORITY_A: &[u8] = &[0x50, 1, b'a'];
/// `accept: */*`
const ACCEPT: &[u8] = &[0xc0 | 29];

#[test]
fn a_field_stands_there_once_and_before_the_others() {
    let check_lines = |lines: &[&[u8]], expect| assert_eq!(check(&section(lines)).is_ok(), expect, "{lines:?}");
    check_lines(&[GET, HTTPS, AUTHORITY_A, ROOT, ACCEPT], true);
    check_lines(&[GET, HTTPS, AUTHORITY_A, ROOT, PATH_X, ACCEPT], false);
    check_lines(&[GET, POST, HTTPS, AUTHORITY_A, ROOT], false);
    check_lines(&[GET, HTTPS, AUTHORITY_A, AUTHORITY_A, ROOT], false);
    check_lines(&[GET, HTTPS, AUTHORITY_A, ROOT, &named(b":path", b"/x")], false);
    check_lines(&[GET, HTTPS, AUTHORITY_A, &named(b":authority", b"b"), ROOT], false);
    check_lines(&[GET, HTTPS, ROOT, &named(b":authority", b"b"), &named(b"accept", b"x")], true);
    check_lines(&[GET, HTTPS, ACCEPT, ROOT], false);
    check_lines(&[GET, HTTPS, &named(b"x-own", b"1"), ROOT], false);
    check_lines(&[GET, HTTPS, ROOT, &[0xc0 | 25]], false);
    // `:path` by Huffman's code, beside the plain one.
    let coded = [&[0x28_u8 | 4] as &[u8], FIELDS[PATH].1, &[1, b'/']].concat();
    check_lines(&[GET, HTTPS, &coded, AUTHORITY_A], true);
    check_lines(&[GET, HTTPS, &coded, &named(b":path", b"/x")], false);
    check_lines(&[GET, HTTPS, &coded, PATH_X], false);
}

#[test]
fn what_can_not_be_read_is_left_to_who_reads_all_of_it() {
    for bytes in [&[] as &[u8], &[0], &[0, 0, 0x80], &[0, 0, 0x51, 9, b'/'], &[0, 0, 0x27, 0xff, 0xff], &[0xff; 40]] {
        assert_eq!(check(bytes), Ok(()), "{bytes:?}");
    }
}

#[test]
fn a_head_is_found_in_whatever_pieces_it_comes() {
    let twice = section(&[GET, HTTPS, ROOT, PATH_X]);
    let once = section(&[GET, HTTPS, ROOT]);
    for (head, expect) in [(twice, false), (once, true)] {
        // A frame that nobody knows, the head, and a body that looks like a bad head.
        let mut stream = vec![0x21, 3, 1, 1, 1, HEADERS as u8, head.len() as u8];
        stream.extend_from_slice(&head);
        stream.extend_from_slice(&[HEADERS as u8, 4, 0, 0, 0xc0 | 25, 0xc0 | 25]);
        for size in 1..=stream.len() {
            let mut watch = HeadWatch::default();
            let ok = stream.chunks(size).all(|piece| watch.read(&Bytes::copy_from_slice(piece)).is_ok());
            assert_eq!(ok, expect, "in pieces of {size}");
            assert!(watch.done && watch.partial.is_empty());
        }
    }
}
