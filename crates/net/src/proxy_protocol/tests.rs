use proptest::prelude::*;

use super::*;

const MAX: usize = 2048;

fn client(text: &str) -> Option<SocketAddr> {
    Some(text.parse().unwrap())
}

fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[0x20 | command, family], &length, payload].concat()
}

#[test]
fn version_1_names_the_client() {
    let line = "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n";
    let read_line = read(format!("{line}GET / HTTP/1.1\r\n").as_bytes(), MAX).unwrap().unwrap();
    assert_eq!(read_line, Header { bytes: line.len(), client: client("192.0.2.1:56324") });
    let six = read(b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n", MAX).unwrap().unwrap();
    assert_eq!(six.client, client("[2001:db8::1]:1"));
    assert_eq!(read(b"PROXY UNKNOWN whatever it says\r\n", MAX).unwrap().unwrap().client, None);
}

#[test]
fn version_2_names_the_client() {
    let four = [192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb];
    // Fields follow the addresses, and are skipped.
    let bytes = v2(1, 0x11, &[&four[..], &[0x04, 0, 1, 7]].concat());
    assert_eq!(read(&bytes, MAX), Ok(Some(Header { bytes: bytes.len(), client: client("192.0.2.1:56324") })));
    let mut six = [0; 36];
    six[..16].copy_from_slice(&"2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
    six[33] = 9;
    assert_eq!(read(&v2(1, 0x21, &six), MAX).unwrap().unwrap().client, client("[2001:db8::1]:9"));
    assert_eq!(read(&v2(0, 0x11, &four), MAX).unwrap().unwrap().client, None, "LOCAL");
    assert_eq!(read(&v2(1, 0x31, &[0; 216]), MAX).unwrap().unwrap().client, None, "a socket of the file system");
}

#[test]
fn what_is_no_header_is_refused() {
    for bad in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"POST / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 more\r\n",
        b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 99999 443\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 +1 443\r\n",
        b"PROXY TCP5 192.0.2.1 198.51.100.1 1 2\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n",
        &[b'P'; 200],
        &[&b"PROXY "[..], &[b'x'; 200]].concat(),
        &v2(2, 0x11, &[0; 12]),
        &v2(1, 0x11, &[0; 11]),
        &v2(1, 0x21, &[0; 35]),
        &v2(1, 0x71, &[0; 40]),
        &v2(1, 0x11, &[0; 4000]),
    ] {
        assert!(read(bad, MAX).is_err(), "{:?}", String::from_utf8_lossy(bad));
    }
}

proptest! {
    #[test]
    fn a_header_in_pieces_is_read_when_it_is_whole(cut in 0_usize..45) {
        for whole in [&b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"[..], &v2(1, 0x11, &[1; 29])] {
            let cut = cut.min(whole.len() - 1);
            prop_assert_eq!(read(&whole[..cut], MAX), Ok(None));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), binary: bool) {
        let bytes = if binary { [&SIGNATURE[..], &bytes].concat() } else { bytes };
        if let Ok(Some(header)) = read(&bytes, MAX) {
            prop_assert!(header.bytes <= bytes.len());
        }
    }
}
