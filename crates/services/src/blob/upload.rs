//! Uploads in parts, and what parts come to.

use super::checksum::etag_of_parts;
use super::{Algorithm, BlobError, BlobLimits, Checksum, HttpMetadata, Map};

/// Names an upload: 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(String);

impl UploadId {
    pub fn new(random: [u8; 16]) -> Self {
        Self(random.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Any text: one that names no upload finds none.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct UploadOptions {
    pub http: HttpMetadata,
    pub custom: Map,
    pub tags: Map,
    /// The checksum that parts come with; CRC64NVME of the whole if none is named.
    pub algorithm: Option<Algorithm>,
    /// The blob's checksum is that of the parts' checksums.
    pub composite: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadInfo {
    pub id: UploadId,
    pub key: String,
    /// Milliseconds since the Unix epoch.
    pub started_ms: u64,
    pub options: UploadOptions,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UploadsPage {
    pub uploads: Vec<UploadInfo>,
    pub prefixes: Vec<String>,
    /// The last key or common prefix of the page, exactly if there are more.
    pub next: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartInfo {
    pub number: u32,
    pub size: u64,
    pub etag: String,
    pub checksum: Checksum,
    pub uploaded_ms: u64,
}

/// A part as the one who completes an upload knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartWanted {
    pub number: u32,
    pub etag: String,
    pub checksum: Option<Vec<u8>>,
}

/// What parts come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assembled {
    pub size: u64,
    pub etag: String,
    pub checksum: Option<Checksum>,
}

/// Judges the parts that were named against those that are stored, `found(number)`; answers what
/// they come to.
pub fn assemble(
    wanted: &[PartWanted],
    found: impl Fn(u32) -> Option<PartInfo>,
    upload: &UploadOptions,
    limits: &BlobLimits,
) -> Result<(Assembled, Vec<PartInfo>), BlobError> {
    if wanted.is_empty() {
        return Err(BlobError::BadPart { number: 1 });
    }
    if wanted.windows(2).any(|pair| pair[0].number >= pair[1].number) {
        return Err(BlobError::PartOrder);
    }
    let mut parts = Vec::with_capacity(wanted.len());
    for (n, want) in wanted.iter().enumerate() {
        let number = want.number;
        let part = found(number).filter(|part| {
            part.etag == want.etag && want.checksum.as_ref().is_none_or(|value| *value == part.checksum.value)
        });
        let part = part.ok_or(BlobError::BadPart { number })?;
        if n + 1 < wanted.len() && part.size < limits.blob_part_bytes_min {
            return Err(BlobError::PartTooSmall { number, bytes: part.size, bytes_min: limits.blob_part_bytes_min });
        }
        parts.push(part);
    }
    let size = parts.iter().map(|part| part.size).sum();
    if size > limits.blob_bytes {
        return Err(BlobError::TooLarge { limit: "blob_bytes", bytes_max: limits.blob_bytes });
    }
    let etag = etag_of_parts(parts.iter().map(|part| part.etag.as_str()));
    Ok((Assembled { size, etag, checksum: checksum(&parts, upload) }, parts))
}

/// That of the whole where parts tell it, else that of the parts' checksums. None if the parts came
/// with different ones.
fn checksum(parts: &[PartInfo], upload: &UploadOptions) -> Option<Checksum> {
    let algorithm = upload.algorithm.unwrap_or(Algorithm::Crc64Nvme);
    if parts.iter().any(|part| part.checksum.algorithm != algorithm) {
        return None;
    }
    let whole = || algorithm.combine(parts.iter().map(|part| (part.checksum.clone(), part.size)));
    let of_parts = || algorithm.composite(&parts.iter().map(|part| part.checksum.clone()).collect::<Vec<_>>());
    if upload.composite { Some(of_parts()) } else { whole().or_else(|| Some(of_parts())) }
}
