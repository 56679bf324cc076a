//! Lists: what a page is asked for, what it holds, and the cursor between two.

use base::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{BlobError, BlobInfo, Bucket};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// Only keys that start with this; empty for all.
    pub prefix: String,
    /// Keys that go on with this after the prefix count as one: their common prefix.
    pub delimiter: Option<String>,
    /// Only keys and common prefixes behind this one.
    pub after: Option<String>,
    /// Keys and common prefixes in the page; `None`, and anything above `blob_list_keys`, means
    /// `blob_list_keys`.
    pub limit: Option<usize>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPage {
    pub blobs: Vec<BlobInfo>,
    pub prefixes: Vec<String>,
    /// The last key or common prefix of the page, exactly if there are more.
    pub next: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionsOptions {
    pub prefix: String,
    pub delimiter: Option<String>,
    pub after: Option<Place>,
    pub limit: Option<usize>,
}

/// A place in a list of versions: behind this version of this key, or behind all of them (or the
/// whole common prefix).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub key: String,
    pub version: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionsPage {
    pub versions: Vec<BlobInfo>,
    pub prefixes: Vec<String>,
    pub next: Option<Place>,
}

/// The common prefix that a key counts to, if to one.
pub fn group_of<'a>(key: &'a str, prefix: &str, delimiter: Option<&str>) -> Option<&'a str> {
    let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty())?;
    let at = key.get(prefix.len()..)?.find(delimiter)?;
    Some(&key[..prefix.len() + at + delimiter.len()])
}

/// The first byte string after all that start with `prefix`. No byte of UTF-8 is 0xff.
pub fn end_of(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    match end.last_mut() {
        Some(last) => *last += 1,
        None => end.push(0xff),
    }
    end
}

const CHECKSUM_BYTES: usize = 8;

/// A place in a list as text that says nothing to its bearer. The checksum is there so that a
/// mangled cursor, or one of another list, is an error and not a silently wrong page.
pub struct Cursor;

impl Cursor {
    pub fn encode(bucket: &Bucket, prefix: &str, delimiter: Option<&str>, after: &str) -> String {
        let mut bytes = checksum(bucket, prefix, delimiter, after).to_vec();
        bytes.extend_from_slice(after.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub fn decode(bucket: &Bucket, prefix: &str, delimiter: Option<&str>, text: &str) -> Result<String, BlobError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BlobError::BadCursor)?;
        let (found, after) = bytes.split_at_checked(CHECKSUM_BYTES).ok_or(BlobError::BadCursor)?;
        let after = std::str::from_utf8(after).map_err(|_| BlobError::BadCursor)?;
        match found == checksum(bucket, prefix, delimiter, after) {
            true => Ok(after.to_owned()),
            false => Err(BlobError::BadCursor),
        }
    }
}

fn checksum(bucket: &Bucket, prefix: &str, delimiter: Option<&str>, after: &str) -> [u8; CHECKSUM_BYTES] {
    let mut whole = [0; CHECKSUM_BYTES];
    let delimiter = delimiter.unwrap_or_default();
    // The lengths come first, so no two inputs collide.
    let input = format!("blob-cursor/{bucket}/{}/{}/{prefix}{delimiter}{after}", prefix.len(), delimiter.len());
    whole.copy_from_slice(&Digest::of(input.as_bytes()).as_bytes()[..CHECKSUM_BYTES]);
    whole
}
