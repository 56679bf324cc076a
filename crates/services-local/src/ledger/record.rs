//! What the ledger records, as bytes.
//!
//! A database is named once in each segment that speaks of it, so that every segment can be read
//! alone; after that it goes by a number. Numbers are little-endian.

use std::collections::BTreeMap;

use lz4_flex::block;

const NAME: u8 = 1;
const PAGES: u8 = 2;
const CHECKPOINT: u8 = 3;
const FORGET: u8 = 4;
const ADOPT: u8 = 5;

/// The last part of a commit.
const LAST: u8 = 1;
/// A part of what a database held when it was first journaled: for the archive, not for recovery.
const BASE: u8 = 2;
/// What a database was made with, whose name may not be durable: recovery makes it of this.
const BORN: u8 = 4;

/// A record, as a reader finds it.
#[derive(Debug)]
pub enum Record<'a> {
    /// From here on in this segment, the number means this file.
    Name {
        id: u32,
        path: &'a str,
    },
    Pages(Pages<'a>),
    /// The file of the database durably holds every commit up to this batch.
    Checkpoint {
        id: u32,
        batch: u64,
    },
    /// The database is removed.
    Forget {
        id: u32,
    },
    /// The database exists again.
    Adopt {
        id: u32,
    },
}

/// Images of pages that one commit wrote, or a part of them.
#[derive(Debug, Clone, Copy)]
pub struct Pages<'a> {
    pub id: u32,
    pub time_ms: u64,
    pub page_bytes: u32,
    pub last: bool,
    pub base: bool,
    pub born: bool,
    /// The size of the database after the commit.
    pub database_pages: u32,
    pub count: u32,
    pub images: &'a [u8],
}

pub fn name(into: &mut Vec<u8>, id: u32, path: &str) {
    into.push(NAME);
    into.extend_from_slice(&id.to_le_bytes());
    into.extend_from_slice(&(path.len() as u32).to_le_bytes());
    into.extend_from_slice(path.as_bytes());
}

pub fn checkpoint(into: &mut Vec<u8>, id: u32, batch: u64) {
    into.push(CHECKPOINT);
    into.extend_from_slice(&id.to_le_bytes());
    into.extend_from_slice(&batch.to_le_bytes());
}

pub fn forget(into: &mut Vec<u8>, id: u32) {
    into.push(FORGET);
    into.extend_from_slice(&id.to_le_bytes());
}

pub fn adopt(into: &mut Vec<u8>, id: u32) {
    into.push(ADOPT);
    into.extend_from_slice(&id.to_le_bytes());
}

/// What a [`Pages`] record says besides its images.
#[derive(Clone, Copy)]
pub struct PagesHead {
    pub id: u32,
    pub time_ms: u64,
    pub page_bytes: u32,
    pub last: bool,
    pub base: bool,
    pub born: bool,
    pub database_pages: u32,
}

/// A page is compressed if that makes it smaller; its stored length tells.
pub fn pages(into: &mut Vec<u8>, head: PagesHead, images: &BTreeMap<u32, &[u8]>) {
    into.push(PAGES);
    into.extend_from_slice(&head.id.to_le_bytes());
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    into.push(flag(head.last, LAST) | flag(head.base, BASE) | flag(head.born, BORN));
    into.extend_from_slice(&head.time_ms.to_le_bytes());
    into.extend_from_slice(&head.page_bytes.to_le_bytes());
    into.extend_from_slice(&head.database_pages.to_le_bytes());
    into.extend_from_slice(&(images.len() as u32).to_le_bytes());
    let length_at = into.len();
    into.extend_from_slice(&[0; 4]);
    let mut packed = vec![0; block::get_maximum_output_size(head.page_bytes as usize)];
    for (&page, &image) in images {
        let length = block::compress_into(image, &mut packed).expect("the buffer takes the worst case");
        let stored = if length < image.len() { &packed[..length] } else { image };
        into.extend_from_slice(&page.to_le_bytes());
        into.extend_from_slice(&(stored.len() as u32).to_le_bytes());
        into.extend_from_slice(stored);
    }
    let length = (into.len() - length_at - 4) as u32;
    into[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
}

/// Restores the image of a page from what was stored of it.
pub fn unpack(stored: &[u8], image: &mut [u8]) -> Result<(), Malformed> {
    if stored.len() == image.len() {
        image.copy_from_slice(stored);
        return Ok(());
    }
    match block::decompress_into(stored, image) {
        Ok(length) if length == image.len() => Ok(()),
        _ => Err(Malformed),
    }
}

/// Bytes that hold no record although their checksum is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record of the ledger can't be read")]
pub struct Malformed;

/// The records in the payload of a batch.
pub struct Records<'a> {
    reader: Reader<'a>,
}

impl<'a> Records<'a> {
    pub fn new(payload: &'a [u8]) -> Self {
        Self { reader: Reader(payload) }
    }

    fn read(&mut self) -> Result<Record<'a>, Malformed> {
        let reader = &mut self.reader;
        let kind = reader.byte()?;
        let id = reader.u32()?;
        Ok(match kind {
            NAME => {
                let length = reader.u32()?;
                let path = std::str::from_utf8(reader.take(length as usize)?).map_err(|_| Malformed)?;
                Record::Name { id, path }
            }
            PAGES => {
                let flags = reader.byte()?;
                Record::Pages(Pages {
                    id,
                    last: flags & LAST != 0,
                    base: flags & BASE != 0,
                    born: flags & BORN != 0,
                    time_ms: reader.u64()?,
                    page_bytes: reader.page_bytes()?,
                    database_pages: reader.u32()?,
                    count: reader.u32()?,
                    images: {
                        let length = reader.u32()?;
                        reader.take(length as usize)?
                    },
                })
            }
            CHECKPOINT => Record::Checkpoint { id, batch: reader.u64()? },
            FORGET => Record::Forget { id },
            ADOPT => Record::Adopt { id },
            _ => return Err(Malformed),
        })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.reader.0.is_empty()).then(|| self.read())
    }
}

impl<'a> Pages<'a> {
    /// Each page with what is stored of it.
    pub fn stored(&self) -> impl Iterator<Item = Result<(u32, &'a [u8]), Malformed>> + use<'a> {
        let mut reader = Reader(self.images);
        (0..self.count).map(move |_| {
            let (page, length) = (reader.u32()?, reader.u32()?);
            let stored = reader.take(length as usize)?;
            if page == 0 { Err(Malformed) } else { Ok((page, stored)) }
        })
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into().expect("four bytes")))
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into().expect("eight bytes")))
    }

    fn page_bytes(&mut self) -> Result<u32, Malformed> {
        let bytes = self.u32()?;
        (bytes.is_power_of_two() && (512..=65_536).contains(&bytes)).then_some(bytes).ok_or(Malformed)
    }
}
