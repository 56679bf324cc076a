use super::*;

fn header(first_txid: u64, last_txid: u64) -> Header {
    Header { page_bytes: 512, database_pages: 3, first_txid, last_txid, time_ms: 1_700_000_000_123 }
}

fn image(seed: u8) -> Vec<u8> {
    (0..512_u32).map(|n| (n as u8).wrapping_mul(seed)).collect()
}

fn two_files() -> Vec<u8> {
    let mut snapshot = Encoder::begin(Vec::new(), header(1, 1)).expect("begun");
    (1..=3).for_each(|page| snapshot.page(page, &image(page as u8)).expect("written"));
    let mut change = Encoder::begin(snapshot.finish().expect("finished"), header(2, 2)).expect("begun");
    change.page(2, &image(9)).expect("written");
    change.finish().expect("finished")
}

fn read(bytes: &[u8]) -> io::Result<Vec<(u64, Vec<u32>)>> {
    let mut decoder = Decoder::new(bytes);
    let mut found = Vec::new();
    while let Some(header) = decoder.next()? {
        let mut pages = Vec::new();
        decoder.pages(|page, image_read| {
            pages.push(page);
            let seed = if header.last_txid == 2 { 9 } else { page as u8 };
            assert_eq!(image_read, image(seed));
            Ok(())
        })?;
        found.push((header.last_txid, pages));
    }
    Ok(found)
}

#[test]
fn files_come_back_one_after_the_other() {
    assert_eq!(read(&two_files()).expect("read"), [(1, vec![1, 2, 3]), (2, vec![2])]);
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let whole = two_files();
    for at in (0..whole.len()).step_by(3) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        let outcome = std::panic::catch_unwind(|| read(&flipped));
        assert!(outcome.map_or(true, |read| read.is_err()), "a flipped bit at {at}");
    }
    let first_ends = whole.windows(4).skip(1).position(|window| window == MAGIC).expect("a second file") + 1;
    for length in (1..whole.len()).step_by(3).filter(|&length| length != first_ends) {
        assert!(read(&whole[..length]).is_err(), "cut at {length}");
    }
}

#[test]
fn the_checksum_is_that_of_the_format() {
    assert_eq!(CHECKSUM.checksum(b"123456789"), 0xb909_56c7_75a4_1001);
}

#[test]
fn the_bytes_are_those_of_the_format() {
    let mut encoder = Encoder::begin(Vec::new(), header(1, 1)).expect("begun");
    encoder.page(1, &[0; 512]).expect("written");
    let bytes = encoder.finish().expect("finished");
    assert_eq!(&bytes[..4], b"LTX1");
    assert_eq!(bytes[4..16], [0, 0, 0, 2, 0, 0, 2, 0, 0, 0, 0, 3]);
    assert_eq!(
        bytes[16..40],
        [[0, 0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0, 1], 1_700_000_000_123_u64.to_be_bytes()].concat()
    );
    assert_eq!(bytes[100..106], [0, 0, 0, 1, 0, 1], "the first page and its flags");
    let size = u32::from_be_bytes(bytes[106..110].try_into().expect("four bytes")) as usize;
    let index = 110 + size + 6;
    assert_eq!(bytes[index..index + 4], [1, 100, 10 + size as u8, 0], "page, offset, size, end");
    assert_eq!(bytes[index + 4..index + 12], 4_u64.to_be_bytes());
    assert_eq!((bytes.len(), bytes[index + 20] & 0x80), (index + 28, 0x80));
}
