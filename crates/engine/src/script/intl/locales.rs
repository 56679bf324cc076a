//! The data of locales: an index of lines, and compressed sections behind it.

use std::io::Read as _;

use crate::script::codec::{Decoder, Encoder};
use crate::script::host::Refusal;

static DATA: &[u8] = include_bytes!("../../../../../engine-guest/dist/cldr.bin");

/// No section is longer once it is decompressed.
const SECTION_BYTES_MAX: u64 = 1 << 20;

/// The index, and what follows it.
fn parts() -> Option<(&'static str, &'static [u8])> {
    let line = DATA.iter().position(|byte| *byte == b'\n')?;
    let length: usize = std::str::from_utf8(&DATA[..line]).ok()?.parse().ok()?;
    let (index, sections) = DATA.get(line + 1..)?.split_at_checked(length)?;
    Some((std::str::from_utf8(index).ok()?, sections))
}

/// TAGS() → the tags of all locales, with spaces between them.
pub fn tags(out: &mut Encoder) {
    let index = parts().map_or("", |(index, _)| index);
    let tags = index.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (tag, section) = (words.next()?, words.next()?);
        (section == "dates").then_some(tag)
    });
    out.string(&tags.collect::<Vec<_>>().join(" "));
}

/// DATA(tag, section) → JSON, or null where there is none. What all locales share is `root`'s.
pub fn section(args: &mut Decoder<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let (tag, section) = (args.next()?, args.next()?);
    out.optional_string(find(tag.as_str()?, section.as_str()?).as_deref());
    Ok(())
}

pub fn find(tag: &str, section: &str) -> Option<String> {
    let (index, sections) = parts()?;
    let mut found = index.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let line = found.find(|words| words.first() == Some(&tag) && words.get(1) == Some(&section))?;
    let (offset, length): (usize, usize) = (line.get(2)?.parse().ok()?, line.get(3)?.parse().ok()?);
    let bytes = sections.get(offset..offset.checked_add(length)?)?;
    let mut text = String::new();
    brotli::Decompressor::new(bytes, 4096).take(SECTION_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}
