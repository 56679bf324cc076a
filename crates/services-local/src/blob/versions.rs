//! Writes of versions: what a put, a copy, a completed upload and a deletion do in one transaction.

use std::sync::Arc;

use base::Clock;
use services::blob::{
    BlobError, BlobInfo, BlobLimits, Checksum, Conditions, DeleteKey, Deleted, HttpMetadata, Map, Version, Versioning,
};
use services::{AppId, Durability};

use super::hot::Hot;
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
    pub hot: Arc<Hot>,
    pub app: AppId,
}

/// What a version is made of.
pub enum Made {
    /// Of a piece that was inserted for it.
    New(i64),
    /// Of the pieces of others, which go on as they are.
    Of(Vec<i64>),
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

    /// Puts a version, if its conditions hold. Nothing is written before that is known.
    pub fn put(
        &self,
        tx: &mut Tx<'_>,
        new: NewVersion,
        make: impl FnOnce(&mut Tx<'_>) -> rusqlite::Result<Made>,
    ) -> Written<BlobInfo> {
        self.check_quota(tx, new.size)?;
        let current = rows::find_named(tx.connection(), &new.bucket, &new.key, None)?;
        new.conditions.check(current.as_ref()).map_err(WriteError::Refused)?;
        let bucket = self.bucket(tx, &new.bucket)?;
        self.change(tx, &new.bucket, &new.key);
        let made = make(tx)?;
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
        // Held first: it may be a copy of the pieces that the old one gives up.
        let pieces = match made {
            Made::New(piece) => vec![piece],
            Made::Of(pieces) => {
                rows::hold_pieces(tx, &pieces)?;
                pieces
            }
        };
        let replaced = match (&current, version.null) {
            (_, false) | (None, _) => None,
            (Some(current), true) if current.version.null => Some(current.version.number),
            (Some(_), true) => rows::null_version(tx.connection(), bucket.id, &info.key)?,
        };
        let removed = replaced.map(|number| rows::remove_version(tx, number)).transpose()?;
        if current.is_some_and(|current| Some(current.version.number) != replaced) {
            rows::replace_latest(tx, bucket.id, &info.key, info.uploaded_ms)?;
        }
        rows::insert_version(tx, bucket.id, &info, &pieces)?;
        let (freed, given_up) = removed.unwrap_or_default();
        rows::use_bytes(tx, info.size as i64 - freed as i64)?;
        let dropped = rows::release_pieces(tx, &given_up)?;
        self.discard(tx, dropped);
        Ok(info)
    }

    /// Removes a version for good, with what only it had.
    fn remove(&self, tx: &mut Tx<'_>, number: u64) -> rusqlite::Result<()> {
        let (size, pieces) = rows::remove_version(tx, number)?;
        rows::use_bytes(tx, -(size as i64))?;
        let dropped = rows::release_pieces(tx, &pieces)?;
        self.discard(tx, dropped);
        Ok(())
    }

    /// Whoever reads this key from now on asks the database, until the fate of the write is known.
    pub fn change(&self, tx: &mut Tx<'_>, bucket: &str, key: &str) {
        let changing = self.hot.change(&self.app, bucket, key);
        tx.after(move |fate| match fate {
            Fate::Committed => drop(changing),
            Fate::Unknown => changing.stay(),
        });
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
        self.change(tx, &bucket.name, &wanted.key);
        if wanted.version.is_some() {
            let Some(info) = found else { return Ok(deleted) };
            self.remove(tx, info.version.number)?;
            rows::settle(tx, bucket.id, &wanted.key)?;
            deleted.existed = true;
            deleted.was_marker = info.marker;
            deleted.version = Some(info.version);
            return Ok(deleted);
        }
        deleted.existed = found.is_some_and(|info| !info.marker);
        let versioning = bucket.settings.versioning;
        if versioning != Versioning::Enabled
            && let Some(number) = rows::null_version(tx.connection(), bucket.id, &wanted.key)?
        {
            self.remove(tx, number)?;
        }
        match versioning {
            Versioning::Off => rows::settle(tx, bucket.id, &wanted.key)?,
            Versioning::Enabled | Versioning::Suspended => {
                let version = Version { number: tx.next_sequence(), null: versioning == Versioning::Suspended };
                let now_ms = self.clock.unix_ms();
                rows::replace_latest(tx, bucket.id, &wanted.key, now_ms)?;
                rows::insert_version(tx, bucket.id, &marker(&wanted.key, version, now_ms), &[])?;
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
