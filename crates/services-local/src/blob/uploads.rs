//! Uploads in parts.

use base::Body;
use rusqlite::{Connection, OptionalExtension as _, params};
use services::Durability;
use services::blob::{
    Assembled, BlobError, Bucket, Conditions, Expected, PartInfo, PartWanted, PutReceipt, UploadId, UploadInfo,
    UploadOptions, assemble,
};

use super::rows::{self, json, to_json};
use super::versions::{Desk, Made, NewVersion, insert_piece};
use super::{LocalBlobs, in_view};
use crate::content::ContentId;
use crate::database::{Tx, WriteError};

/// An upload, by the row that it has.
pub struct Begun {
    pub row: i64,
    pub info: UploadInfo,
}

const FIND: &str = "
    SELECT upload.id, started_ms, options FROM upload JOIN bucket ON bucket.id = upload.bucket
    WHERE upload.name = ?1 AND bucket.name = ?2 AND key = ?3";

pub fn find(c: &Connection, bucket: &str, key: &str, id: &UploadId) -> rusqlite::Result<Option<Begun>> {
    let mut statement = c.prepare_cached(FIND)?;
    let found = statement.query_row(params![id.as_str(), bucket, key.as_bytes()], |row| {
        let info = UploadInfo {
            id: id.clone(),
            key: key.to_owned(),
            started_ms: row.get::<_, i64>(1)? as u64,
            options: json(row, 2)?,
        };
        Ok(Begun { row: row.get(0)?, info })
    });
    found.optional()
}

const PARTS: &str = "
    SELECT number, size, etag, checksum, uploaded_ms, piece FROM part
    WHERE upload = ?1 AND number > ?2 ORDER BY number LIMIT ?3";

fn parts(c: &Connection, upload: i64, after: u32, limit: usize) -> rusqlite::Result<Vec<(PartInfo, i64)>> {
    let mut statement = c.prepare_cached(PARTS)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![upload, after, limit], |row| {
        let part = PartInfo {
            number: row.get(0)?,
            size: row.get::<_, i64>(1)? as u64,
            etag: row.get(2)?,
            checksum: json(row, 3)?,
            uploaded_ms: row.get::<_, i64>(4)? as u64,
        };
        Ok((part, row.get(5)?))
    })?;
    rows.collect()
}

/// Removes an upload with its parts; answers the content files that nothing names any more.
pub fn remove(tx: &Tx<'_>, upload: i64) -> rusqlite::Result<Vec<ContentId>> {
    let parts = parts(tx.connection(), upload, 0, usize::MAX)?;
    let bytes: u64 = parts.iter().map(|(part, _)| part.size).sum();
    tx.prepare("DELETE FROM part WHERE upload = ?1")?.execute([upload])?;
    tx.prepare("DELETE FROM upload WHERE id = ?1")?.execute([upload])?;
    rows::use_bytes(tx, -(bytes as i64))?;
    rows::release_pieces(tx, &parts.into_iter().map(|(_, piece)| piece).collect::<Vec<_>>())
}

impl LocalBlobs {
    pub(super) async fn begin_upload(
        &self,
        bucket: &Bucket,
        key: &str,
        options: UploadOptions,
    ) -> Result<UploadId, BlobError> {
        self.limits.check_key(key)?;
        self.limits.check_metadata(&options.http, &options.custom)?;
        self.limits.check_tags(&options.tags)?;
        let store = self.stores.created(&bucket.app_id()).await?;
        let desk = self.desk(&store);
        let (name, key) = (bucket.name.to_string(), key.to_owned());
        let mut random = [0; 16];
        self.rng.fill(&mut random);
        let id = UploadId::new(random);
        let write = move |tx: &mut Tx<'_>| -> Result<UploadId, WriteError<BlobError>> {
            let bucket = desk.bucket(tx, &name)?;
            let count: i64 = tx
                .prepare("SELECT count(*) FROM upload WHERE bucket = ?1")?
                .query_row([bucket.id], |row| row.get(0))?;
            let uploads_max = desk.limits.blob_uploads;
            if count as usize >= uploads_max {
                return Err(WriteError::Refused(BlobError::TooManyUploads { uploads_max }));
            }
            let sql = "INSERT INTO upload (name, bucket, key, started_ms, options) VALUES (?1, ?2, ?3, ?4, ?5)";
            let now_ms = desk.clock.unix_ms() as i64;
            let options = to_json(&options)?;
            tx.prepare(sql)?.execute(params![id.as_str(), bucket.id, key.as_bytes(), now_ms, options])?;
            Ok(id)
        };
        store.database.write(0, write).await
    }

    pub(super) async fn receive_part(
        &self,
        bucket: &Bucket,
        key: &str,
        id: &UploadId,
        number: u32,
        body: Body,
        mut expect: Expected,
    ) -> Result<PartInfo, BlobError> {
        self.limits.check_part(number)?;
        let store = self.stores.existing(&bucket.app_id()).await?.ok_or(BlobError::NoUpload)?;
        let begun = store.database.read(|c| find(c, bucket.name.as_str(), key, id))?.ok_or(BlobError::NoUpload)?;
        expect.algorithm = expect.algorithm.or(begun.info.options.algorithm);
        let (piece, digests) = self.receive(&store, &bucket.app_id(), body, expect).await?;
        let desk = self.desk(&store);
        let (name, key, id) = (bucket.name.to_string(), key.to_owned(), id.clone());
        let write = move |tx: &mut Tx<'_>| -> Result<PartInfo, WriteError<BlobError>> {
            let begun = find(tx.connection(), &name, &key, &id)?;
            let begun = begun.ok_or(WriteError::Refused(BlobError::NoUpload))?;
            desk.check_quota(tx, digests.size)?;
            let part = PartInfo {
                number,
                size: digests.size,
                etag: digests.etag(),
                checksum: digests.checksum,
                uploaded_ms: desk.clock.unix_ms(),
            };
            replace_part(tx, &desk, begun.row, number)?;
            let piece = insert_piece(tx, piece)?;
            tx.prepare("INSERT INTO part VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(params![
                begun.row,
                number,
                piece,
                part.size as i64,
                part.etag,
                to_json(&part.checksum)?,
                part.uploaded_ms as i64
            ])?;
            rows::use_bytes(tx, part.size as i64)?;
            Ok(part)
        };
        store.database.write(0, write).await
    }

    pub(super) async fn list_parts(
        &self,
        bucket: &Bucket,
        key: &str,
        id: &UploadId,
        after: u32,
        limit: usize,
    ) -> Result<(UploadInfo, Vec<PartInfo>), BlobError> {
        let store = self.stores.existing(&bucket.app_id()).await?.ok_or(BlobError::NoUpload)?;
        let (name, key, id, database) = (bucket.name.to_string(), key.to_owned(), id.clone(), store.database.clone());
        let read = move || {
            in_view(&database, |view| {
                let Some(begun) = find(view, &name, &key, &id)? else { return Ok(None) };
                let parts = parts(view, begun.row, after, limit)?;
                Ok(Some((begun.info, parts.into_iter().map(|(part, _)| part).collect())))
            })
        };
        self.stores.run(&store, read).await??.ok_or(BlobError::NoUpload)
    }

    pub(super) async fn complete(
        &self,
        bucket: &Bucket,
        key: &str,
        id: &UploadId,
        wanted: Vec<PartWanted>,
        conditions: Conditions,
    ) -> Result<PutReceipt, BlobError> {
        let store = self.stores.existing(&bucket.app_id()).await?.ok_or(BlobError::NoUpload)?;
        let desk = self.desk(&store);
        let (name, key, id) = (bucket.name.to_string(), key.to_owned(), id.clone());
        let write = move |tx: &mut Tx<'_>| -> Result<PutReceipt, WriteError<BlobError>> {
            let begun = find(tx.connection(), &name, &key, &id)?;
            let begun = begun.ok_or(WriteError::Refused(BlobError::NoUpload))?;
            let stored = parts(tx.connection(), begun.row, 0, usize::MAX)?;
            let at = |number: u32| stored.binary_search_by_key(&number, |(part, _)| part.number).ok();
            let found = |number| at(number).map(|n| stored[n].0.clone());
            let options = &begun.info.options;
            let (assembled, used) = assemble(&wanted, found, options, &desk.limits).map_err(WriteError::Refused)?;
            let pieces: Vec<i64> = used.iter().filter_map(|part| at(part.number)).map(|n| stored[n].1).collect();
            let Assembled { size, etag, checksum } = assembled;
            let new = NewVersion {
                bucket: name,
                key,
                size,
                etag,
                http: options.http.clone(),
                custom: options.custom.clone(),
                tags: options.tags.clone(),
                checksum,
                parts: Some(pieces.len() as u32),
                conditions,
            };
            let info = desk.put(tx, new, |_| Ok(Made::Of(pieces)))?;
            let left_out = remove(tx, begun.row)?;
            desk.discard(tx, left_out);
            Ok(PutReceipt { info, durability: Durability::Fsync })
        };
        store.database.write(0, write).await
    }

    pub(super) async fn abort(&self, bucket: &Bucket, key: &str, id: &UploadId) -> Result<bool, BlobError> {
        let Some(store) = self.stores.existing(&bucket.app_id()).await? else { return Ok(false) };
        let desk = self.desk(&store);
        let (name, key, id) = (bucket.name.to_string(), key.to_owned(), id.clone());
        let write = move |tx: &mut Tx<'_>| -> Result<bool, WriteError<BlobError>> {
            let Some(begun) = find(tx.connection(), &name, &key, &id)? else { return Ok(false) };
            let dropped = remove(tx, begun.row)?;
            desk.discard(tx, dropped);
            Ok(true)
        };
        store.database.remove(write).await
    }
}

/// Gives up what was under a number so far.
fn replace_part(tx: &mut Tx<'_>, desk: &Desk, upload: i64, number: u32) -> rusqlite::Result<()> {
    let sql = "DELETE FROM part WHERE upload = ?1 AND number = ?2 RETURNING piece, size";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let Some((piece, size)) = tx.prepare(sql)?.query_row(params![upload, number], read).optional()? else {
        return Ok(());
    };
    rows::use_bytes(tx, -size)?;
    let dropped = rows::release_pieces(tx, &[piece])?;
    desk.discard(tx, dropped);
    Ok(())
}
