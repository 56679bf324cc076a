//! LTX, the format in which LiteFS and Litestream keep changes of SQLite databases
//! (<https://github.com/superfly/ltx>, version 3 of its `ltx.go`, `encoder.go` and `decoder.go`):
//! a header, pages in order, an index of them, and a trailer; numbers are big-endian.
//!
//! Each page is an LZ4 block behind its number and length. The checksum of the file is CRC-64
//! (ISO) over everything but itself, with pages as they are before compression. The checksum of
//! the database that the format can carry as well is left out, as the format allows: to keep it,
//! each commit would have to read what it replaces.

use std::io::{self, Read, Write};

use crc::{CRC_64_GO_ISO, Crc, Digest, Table};
use lz4_flex::block;

const MAGIC: &[u8; 4] = b"LTX1";
const NO_DATABASE_CHECKSUM: u32 = 1 << 1;
static CHECKSUM: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_GO_ISO);
pub const HEADER_BYTES: usize = 100;
const TRAILER_BYTES: usize = 16;
/// Set in a page's flags if the length of its data follows.
const SIZED: u16 = 1;
/// Set in every checksum, so that none is zero.
const CHECKSUM_SET: u64 = 1 << 63;
/// The page that SQLite locks bytes in, which is never written, begins here.
const LOCK_BYTE: u64 = 0x4000_0000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub page_bytes: u32,
    /// The size of the database afterwards.
    pub database_pages: u32,
    pub first_txid: u64,
    pub last_txid: u64,
    pub time_ms: u64,
}

impl Header {
    /// Holds every page of the database.
    pub fn is_snapshot(&self) -> bool {
        self.first_txid == 1
    }

    fn encode(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(MAGIC);
        for (at, value) in [(4, NO_DATABASE_CHECKSUM), (8, self.page_bytes), (12, self.database_pages)] {
            bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
        }
        for (at, value) in [(16, self.first_txid), (24, self.last_txid), (32, self.time_ms)] {
            bytes[at..at + 8].copy_from_slice(&value.to_be_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8; HEADER_BYTES]) -> io::Result<Self> {
        let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let long = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let page_bytes = word(8);
        if &bytes[..4] != MAGIC || !page_bytes.is_power_of_two() || !(512..=65_536).contains(&page_bytes) {
            return Err(damaged("it is no LTX file"));
        }
        Ok(Self { page_bytes, database_pages: word(12), first_txid: long(16), last_txid: long(24), time_ms: long(32) })
    }
}

/// The page that a database of this page size never holds.
pub fn lock_page(page_bytes: u32) -> u32 {
    (LOCK_BYTE / u64::from(page_bytes)) as u32 + 1
}

/// Writes one file into a stream.
pub struct Encoder<W> {
    into: W,
    page_bytes: usize,
    hash: Digest<'static, u64, Table<16>>,
    written: u64,
    /// Page, offset and size.
    index: Vec<(u32, u64, u64)>,
    packed: Vec<u8>,
}

impl<W: Write> Encoder<W> {
    pub fn begin(into: W, header: Header) -> io::Result<Self> {
        let page_bytes = header.page_bytes as usize;
        let packed = vec![0; block::get_maximum_output_size(page_bytes)];
        let hash = CHECKSUM.digest();
        let mut encoder = Self { into, page_bytes, hash, written: 0, index: Vec::new(), packed };
        encoder.write(&header.encode())?;
        Ok(encoder)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.written += bytes.len() as u64;
        self.into.write_all(bytes)
    }

    /// Pages come in rising order.
    pub fn page(&mut self, page: u32, image: &[u8]) -> io::Result<()> {
        debug_assert_eq!(image.len(), self.page_bytes);
        let offset = self.written;
        let length = block::compress_into(image, &mut self.packed).expect("the buffer takes the worst case");
        let mut head = [0; 10];
        head[..4].copy_from_slice(&page.to_be_bytes());
        head[4..6].copy_from_slice(&SIZED.to_be_bytes());
        head[6..].copy_from_slice(&(length as u32).to_be_bytes());
        self.write(&head)?;
        self.into.write_all(&self.packed[..length])?;
        self.written += length as u64;
        self.hash.update(image);
        self.index.push((page, offset, self.written - offset));
        Ok(())
    }

    pub fn finish(mut self) -> io::Result<W> {
        self.write(&[0; 6])?;
        let mut index = Vec::new();
        for (page, offset, size) in std::mem::take(&mut self.index) {
            [u64::from(page), offset, size].into_iter().for_each(|number| varint(&mut index, number));
        }
        varint(&mut index, 0);
        self.write(&index)?;
        self.write(&(index.len() as u64).to_be_bytes())?;
        // No checksum of the database; then that of the file.
        self.write(&[0; 8])?;
        let sum = CHECKSUM_SET | self.hash.clone().finalize();
        self.into.write_all(&sum.to_be_bytes())?;
        Ok(self.into)
    }
}

fn varint(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

/// Reads files that follow each other in a stream.
pub struct Decoder<R> {
    from: R,
    hash: Digest<'static, u64, Table<16>>,
    page_bytes: usize,
}

impl<R: Read> Decoder<R> {
    pub fn new(from: R) -> Self {
        Self { from, hash: CHECKSUM.digest(), page_bytes: 0 }
    }

    fn read(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.from.read_exact(bytes)?;
        self.hash.update(bytes);
        Ok(())
    }

    /// The header of the next file; none at the end of the stream.
    pub fn next(&mut self) -> io::Result<Option<Header>> {
        let mut bytes = [0; HEADER_BYTES];
        if self.from.read(&mut bytes[..1])? == 0 {
            return Ok(None);
        }
        self.from.read_exact(&mut bytes[1..])?;
        self.hash = CHECKSUM.digest();
        self.hash.update(&bytes);
        let header = Header::decode(&bytes)?;
        self.page_bytes = header.page_bytes as usize;
        Ok(Some(header))
    }

    /// Hands over each page of the file, and checks it as a whole at the end.
    pub fn pages(&mut self, mut page: impl FnMut(u32, &[u8]) -> io::Result<()>) -> io::Result<()> {
        let (mut packed, mut image) = (Vec::new(), vec![0; self.page_bytes]);
        loop {
            let mut head = [0; 6];
            self.read(&mut head)?;
            if head == [0; 6] {
                break;
            }
            let [a, b, c, d, flags @ ..] = head;
            if u16::from_be_bytes(flags) != SIZED {
                return Err(damaged("a page is stored in a way that is not known here"));
            }
            let mut length = [0; 4];
            self.read(&mut length)?;
            let length = u32::from_be_bytes(length) as usize;
            if length > block::get_maximum_output_size(self.page_bytes) {
                return Err(damaged("a page is longer than it can be"));
            }
            packed.resize(length, 0);
            self.from.read_exact(&mut packed)?;
            match block::decompress_into(&packed, &mut image) {
                Ok(length) if length == image.len() => self.hash.update(&image),
                _ => return Err(damaged("a page can't be decompressed")),
            }
            page(u32::from_be_bytes([a, b, c, d]), &image)?;
        }
        self.end()
    }

    /// Goes over the index and checks the sum.
    fn end(&mut self) -> io::Result<()> {
        while self.varint()? != 0 {
            self.varint()?;
            self.varint()?;
        }
        // The length of the index, and the checksum of the database.
        self.read(&mut [0; 8])?;
        let mut trailer = [0; TRAILER_BYTES];
        self.read(&mut trailer[..8])?;
        let sum = CHECKSUM_SET | self.hash.clone().finalize();
        self.from.read_exact(&mut trailer[8..])?;
        match trailer[8..] == sum.to_be_bytes() {
            true => Ok(()),
            false => Err(damaged("its checksum is wrong")),
        }
    }

    fn varint(&mut self) -> io::Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            self.read(&mut byte)?;
            number |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] < 0x80 {
                return Ok(number);
            }
        }
        Err(damaged("its index can't be read"))
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests;
