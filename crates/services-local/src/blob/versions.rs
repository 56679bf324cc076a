//! Writes of versions: what a put, a copy, a completed upload and a deletion do in one transaction.

use std::sync::Arc;

use base::Clock;
use services::Durability;
use services::blob::{
    BlobError, BlobInfo, BlobLimits, Checksum, Conditions, DeleteKey, Deleted, HttpMetadata, Map, Version, Versioning,
};

use super::pieces::{NewPiece, NewPlace, Pins};
use super::rows::{self, BucketRow};
use crate::content::{ContentId, Contents};
use crate::database::{Fate, Tx, WriteError};

type Written<T> = Result<T, WriteError<BlobError>>;

/// What every write needs.
#[derive(Clone)]
pub struct Desk {
    pub clock: Arc<dyn Clock>,
    pub limits: Arc<BlobLimits>,
    pub contents: Arc<Contents>,
    pub pins: Arc<Pins>,
}

/// A version that is about to be.
pub struct NewVersion {
    pub bucket: String,
    pub key: String,
    pub size: u64,
    pub etag: String,
    pub http: HttpMetadata,
    pub custom: Map,
    pub tags: Map,
    pub checksum: Option<Checksum>,
    pub parts: Option<u32>,
    pub conditions: Conditions,
}

impl Desk {
    /// The bucket, made if it is not there.
    pub fn bucket(&self, tx: &Tx<'_>, name: &str) -> Written<BucketRow> {
        if let Some(row) = rows::bucket(tx.connection(), name)? {
            return Ok(row);
        }
        let count: i64 = tx.connection().query_row("SELECT count(*) FROM bucket", [], |row| row.get(0))?;
        let buckets_max = self.limits.blob_buckets;
        if count as usize >= buckets_max {
            return Err(WriteError::Refused(BlobError::TooManyBuckets { buckets_max }));
        }
        Ok(rows::insert_bucket(tx, name, self.clock.unix_ms())?)
    }

    /// Whether so many bytes more are within the app's quota.
    pub fn check_quota(&self, tx: &Tx<'_>, more: u64) -> Written<()> {
        let (bytes, bytes_max) = (rows::used_bytes(tx.connection())? + more, self.limits.blob_app_bytes);
        match bytes > bytes_max {
            true => Err(WriteError::Refused(BlobError::Quota { bytes, bytes_max })),
            false => Ok(()),
        }
    }

    /// Puts a version over these pieces, if its conditions hold.
    pub fn put(&self, tx: &mut Tx<'_>, new: NewVersion, pieces: &[i64]) -> Written<BlobInfo> {
        self.check_quota(tx, new.size)?;
        let bucket = self.bucket(tx, &new.bucket)?;
        let current = rows::find(tx.connection(), bucket.id, &new.key, None)?;
        new.conditions.check(current.as_ref()).map_err(WriteError::Refused)?;
        let number = tx.next_sequence();
        let version = Version { number, null: bucket.settings.versioning != Versioning::Enabled };
        let info = BlobInfo {
            key: new.key,
            version,
            latest: true,
            marker: false,
            size: new.size,
            etag: new.etag,
            uploaded_ms: self.clock.unix_ms(),
            http: new.http,
            custom: new.custom,
            tags: new.tags,
            checksum: new.checksum,
            parts: new.parts,
        };
        // The new one first: it may be a copy of the pieces that the old one gives up.
        let replaced = if version.null { self.null_version(tx, bucket.id, &info.key)? } else { None };
        rows::insert_version(tx, bucket.id, &info, pieces)?;
        if let Some(number) = replaced {
            self.discard(tx, rows::remove_version(tx, number)?);
        }
        Ok(info)
    }

    fn null_version(&self, tx: &Tx<'_>, bucket: i64, key: &str) -> rusqlite::Result<Option<u64>> {
        let null = rows::find(tx.connection(), bucket, key, Some(services::blob::VersionId::Null))?;
        Ok(null.map(|info| info.version.number))
    }

    /// Deletes a key, or one version for good.
    pub fn delete(&self, tx: &mut Tx<'_>, bucket: &str, wanted: &DeleteKey) -> Written<Deleted> {
        let durability = Durability::Fsync;
        let mut deleted = Deleted { existed: false, version: None, was_marker: false, marker: None, durability };
        let conditions = Conditions { if_match: wanted.if_match.clone(), ..Conditions::default() };
        let Some(bucket) = rows::bucket(tx.connection(), bucket)? else {
            return conditions.check(None).map(|()| deleted).map_err(WriteError::Refused);
        };
        let found = rows::find(tx.connection(), bucket.id, &wanted.key, wanted.version)?;
        conditions.check(found.as_ref()).map_err(WriteError::Refused)?;
        if wanted.version.is_some() {
            let Some(info) = found else { return Ok(deleted) };
            self.discard(tx, rows::remove_version(tx, info.version.number)?);
            rows::settle(tx, bucket.id, &wanted.key)?;
            deleted.existed = true;
            deleted.was_marker = info.marker;
            deleted.version = Some(info.version);
            return Ok(deleted);
        }
        deleted.existed = found.is_some_and(|info| !info.marker);
        let versioning = bucket.settings.versioning;
        if versioning != Versioning::Enabled
            && let Some(number) = self.null_version(tx, bucket.id, &wanted.key)?
        {
            self.discard(tx, rows::remove_version(tx, number)?);
        }
        match versioning {
            Versioning::Off => rows::settle(tx, bucket.id, &wanted.key)?,
            Versioning::Enabled | Versioning::Suspended => {
                let version = Version { number: tx.next_sequence(), null: versioning == Versioning::Suspended };
                rows::insert_version(tx, bucket.id, &marker(&wanted.key, version, self.clock.unix_ms()), &[])?;
                deleted.marker = Some(version);
            }
        }
        Ok(deleted)
    }

    /// Removes content files once it is certain that no row names them.
    pub fn discard(&self, tx: &mut Tx<'_>, dropped: Vec<ContentId>) {
        if dropped.is_empty() {
            return;
        }
        let (pins, contents) = (self.pins.clone(), self.contents.clone());
        tx.after(move |fate| {
            if fate == Fate::Committed {
                dropped.into_iter().for_each(|name| pins.discard(&contents, name));
            }
        });
    }
}

/// Inserts a piece, and sees to its file when the fate of the transaction is known.
pub fn insert_piece(tx: &mut Tx<'_>, piece: NewPiece) -> rusqlite::Result<i64> {
    let id = rows::insert_piece(tx, &piece)?;
    if let NewPlace::File(guard) = piece.place {
        tx.after(move |fate| match fate {
            Fate::Committed => guard.keep(),
            Fate::Unknown => guard.leave(),
        });
    }
    Ok(id)
}

fn marker(key: &str, version: Version, now_ms: u64) -> BlobInfo {
    BlobInfo {
        key: key.into(),
        version,
        latest: true,
        marker: true,
        size: 0,
        etag: String::new(),
        uploaded_ms: now_ms,
        http: HttpMetadata::default(),
        custom: Map::new(),
        tags: Map::new(),
        checksum: None,
        parts: None,
    }
}
