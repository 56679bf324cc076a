//! How an operation on blobs fails.

use base::{BodyError, Code, code};

use crate::StoreError;

#[derive(Clone, Debug, thiserror::Error)]
pub enum BlobError {
    #[error("the key is empty")]
    KeyEmpty,
    #[error("the key has {bytes} bytes, blob_key_bytes allows {bytes_max}")]
    KeyTooLong { bytes: usize, bytes_max: usize },
    #[error("{keys} keys were named at once, blob_delete_keys allows {keys_max}")]
    TooManyKeys { keys: usize, keys_max: usize },
    #[error("the blob has more bytes than {limit} allows, which is {bytes_max}")]
    TooLarge { limit: &'static str, bytes_max: u64 },
    #[error("the app's blobs would have {bytes} bytes, blob_app_bytes allows {bytes_max}")]
    Quota { bytes: u64, bytes_max: u64 },
    #[error("the metadata has {bytes} bytes, blob_metadata_bytes allows {bytes_max}")]
    MetadataTooLarge { bytes: usize, bytes_max: usize },
    #[error("the metadata can't be sent as fields of HTTP: {0}")]
    BadMetadata(String),
    #[error("the tags are not acceptable: {0}")]
    BadTags(String),
    #[error("the range starts behind the end; the blob has {size} bytes")]
    BadRange { size: u64 },
    #[error("{}", precondition(etag.as_deref()))]
    Precondition { etag: Option<String> },
    #[error("the content does not have the {what} that was sent with it")]
    BadDigest { what: &'static str },
    #[error("the body has {found} bytes where {expected} were announced")]
    BadLength { expected: u64, found: u64 },
    #[error("there is no bucket {0}")]
    NoBucket(String),
    #[error("the bucket is not empty")]
    BucketNotEmpty,
    #[error("the app has {buckets_max} buckets, which is what blob_buckets allows")]
    TooManyBuckets { buckets_max: usize },
    #[error("there is no such upload; it was completed or aborted, or never begun")]
    NoUpload,
    #[error("{uploads_max} uploads to this bucket are not completed, which is what blob_uploads allows")]
    TooManyUploads { uploads_max: usize },
    #[error("parts have numbers from 1 to {parts_max} (blob_parts)")]
    PartNumber { parts_max: u32 },
    #[error("the part {number} was not uploaded, or has another tag or checksum")]
    BadPart { number: u32 },
    #[error("the parts are not named in rising order")]
    PartOrder,
    #[error("the part {number} has {bytes} bytes; all but the last have at least {bytes_min} (blob_part_bytes_min)")]
    PartTooSmall { number: u32, bytes: u64, bytes_min: u64 },
    #[error("the settings are not acceptable: {0}")]
    BadSettings(String),
    #[error("the cursor was not made by a list of this bucket with these options")]
    BadCursor,
    #[error("the content could not be read to its end")]
    Body(#[source] BodyError),
    #[error("blobs are not available")]
    Store(#[from] StoreError),
}

fn precondition(etag: Option<&str>) -> String {
    match etag {
        Some(etag) => format!("a condition does not hold; what is there has the tag \"{etag}\""),
        None => "a condition does not hold; there is nothing under the key".into(),
    }
}

impl BlobError {
    /// The stable code, which also says whose fault it is and whether a retry may help.
    pub fn code(&self) -> Code {
        match self {
            BlobError::KeyEmpty => &code::KEY_EMPTY,
            BlobError::KeyTooLong { .. } => &code::BLOB_KEY_TOO_LONG,
            BlobError::TooManyKeys { .. } => &code::BLOB_TOO_MANY_KEYS,
            BlobError::TooLarge { .. } => &code::BLOB_TOO_LARGE,
            BlobError::Quota { .. } => &code::BLOB_QUOTA,
            BlobError::MetadataTooLarge { .. } => &code::BLOB_METADATA_TOO_LARGE,
            BlobError::BadMetadata(_) => &code::BLOB_BAD_METADATA,
            BlobError::BadTags(_) => &code::BLOB_BAD_TAGS,
            BlobError::BadRange { .. } => &code::BLOB_RANGE,
            BlobError::Precondition { .. } => &code::BLOB_PRECONDITION,
            BlobError::BadDigest { .. } => &code::BLOB_DIGEST,
            BlobError::BadLength { .. } => &code::BLOB_LENGTH,
            BlobError::NoBucket(_) => &code::NO_BUCKET,
            BlobError::BucketNotEmpty => &code::BUCKET_NOT_EMPTY,
            BlobError::TooManyBuckets { .. } => &code::TOO_MANY_BUCKETS,
            BlobError::NoUpload => &code::NO_UPLOAD,
            BlobError::TooManyUploads { .. } => &code::TOO_MANY_UPLOADS,
            BlobError::PartNumber { .. } | BlobError::BadPart { .. } => &code::BAD_PART,
            BlobError::PartOrder => &code::PART_ORDER,
            BlobError::PartTooSmall { .. } => &code::PART_TOO_SMALL,
            BlobError::BadSettings(_) => &code::BUCKET_SETTINGS,
            BlobError::BadCursor => &code::BAD_CURSOR,
            BlobError::Body(error) => error.code,
            BlobError::Store(error) => error.code(),
        }
    }
}
