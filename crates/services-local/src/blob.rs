//! Blobs on SQLite and files: one database per app, content above `blob_inline_bytes` as files
//! beside it, all of it sealed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base::{Body, Clock, Rng};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rusqlite::{Connection, OptionalExtension as _, params};
use services::blob::{
    Blob, BlobError, BlobInfo, BlobLimits, Blobs, Bucket, BucketChange, BucketInfo, Conditions, Content, CopyOptions,
    DeleteKey, Deleted, Digests, Expected, GetOptions, ListOptions, ListPage, Map, PartInfo, PartWanted, PutOptions,
    PutReceipt, Range, ScrubReport, Source, UploadId, UploadInfo, UploadOptions, UploadsPage, Verdict, VersionId,
    VersionsOptions, VersionsPage,
};
use services::{AppId, Durability, StoreError};

use crate::DataDirError;
use crate::data_dir::Root;
use crate::database::{Database, Tx, WriteError};
use crate::kv::stores::{Layout, Store, Stores};
use crate::node_key::NodeKey;

mod care;
mod hot;
mod lists;
mod pieces;
mod rows;
mod sealing;
mod uploads;
mod versions;

use hot::Hot;
use pieces::{NewPiece, NewPlace, Piece, Pinned, Pins, Reader, Receiver};
use sealing::{AppKey, Wrapped};
use versions::{Desk, Made, NewVersion, insert_piece};

/// How often a read looks again when the version was deleted between its row and its content.
const READ_ATTEMPTS: usize = 8;
/// A blob up to this size that lies in its row is answered whole.
const WHOLE_BYTES_MAX: u64 = 64 << 10;

/// [`Blobs`] in a data directory.
pub struct LocalBlobs {
    stores: Stores,
    /// But for quotas.
    limits: Arc<BlobLimits>,
    inline_max: usize,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    pins: Arc<Pins>,
    hot: Arc<Hot>,
    node_key: NodeKey,
    /// Where it stands which node key is in use.
    node: Arc<Database>,
    keys: Mutex<HashMap<AppId, Arc<AppKey>>>,
    /// Last, so that the stores close before the lock on the directory goes.
    root: Arc<Root>,
}

impl LocalBlobs {
    pub(crate) fn open(node_key: NodeKey, node: Arc<Database>, root: Arc<Root>) -> Result<Self, DataDirError> {
        let path = root.create_dir(&["blob"]).map_err(|error| DataDirError::from_io(&root.path, error))?;
        let limits = &root.options.limits;
        let layout = Layout { kind: rows::KIND, named: rows::contents, open_max: limits.blob_files_open as usize };
        Ok(Self {
            stores: Stores::new(path, layout, &root),
            limits: Arc::new(BlobLimits::from(limits)),
            inline_max: limits.blob_inline_bytes as usize,
            clock: root.options.clock.clone(),
            rng: root.options.rng.clone(),
            pins: Arc::default(),
            hot: Arc::new(Hot::new(limits.blob_cache_bytes as usize)),
            node_key,
            node,
            keys: Mutex::default(),
            root,
        })
    }

    fn desk(&self, store: &Store) -> Desk {
        Desk {
            clock: self.clock.clone(),
            limits: self.root.quotas.blobs(&store.app.app),
            contents: store.contents.clone(),
            pins: self.pins.clone(),
            hot: self.hot.clone(),
            app: store.app.clone(),
        }
    }

    /// The key of an app's blobs; made at its first write.
    async fn key(&self, store: &Store, app: &AppId) -> Result<Arc<AppKey>, BlobError> {
        if let Some(key) = self.keys.lock().unwrap_or_else(PoisonError::into_inner).get(app) {
            return Ok(key.clone());
        }
        let wrapped = match store.database.read(read_key)? {
            Some(wrapped) => wrapped,
            None => self.make_key(store, app).await?,
        };
        let key = AppKey::unwrap(wrapped, &self.node_key, app).ok_or_else(|| {
            StoreError::Corrupt(format!("the blobs of {app} don't open with this node key; start the node with theirs"))
        })?;
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(keys.entry(app.clone()).or_insert_with(|| Arc::new(key)).clone())
    }

    /// Whoever comes first makes it.
    async fn make_key(&self, store: &Store, app: &AppId) -> Result<Wrapped, BlobError> {
        // Before anything is sealed, it stands in the directory which node key opens it.
        let check_value = self.node_key.check_value();
        let note = move |tx: &mut Tx<'_>| -> Result<(), WriteError<StoreError>> {
            let sql = "INSERT INTO node_key SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM node_key)";
            tx.prepare(sql)?.execute([check_value])?;
            Ok(())
        };
        self.node.write(0, note).await?;
        let new = AppKey::create(&*self.rng).wrap(&self.node_key, app, &*self.rng);
        let write = move |tx: &mut Tx<'_>| -> Result<Wrapped, WriteError<BlobError>> {
            if let Some(wrapped) = read_key(tx.connection())? {
                return Ok(wrapped);
            }
            tx.prepare("INSERT INTO app_key VALUES (?1, ?2)")?.execute(params![new.nonce, new.sealed])?;
            Ok(new)
        };
        store.database.write(0, write).await
    }

    async fn receive(
        &self,
        store: &Store,
        app: &AppId,
        body: Body,
        expect: Expected,
    ) -> Result<(NewPiece, Digests), BlobError> {
        let receiver = Receiver {
            contents: &store.contents,
            key: self.key(store, app).await?,
            rng: &*self.rng,
            inline_max: self.inline_max,
            bytes_max: self.limits.blob_put_bytes,
        };
        receiver.receive(body, expect).await
    }

    async fn put_one(
        &self,
        bucket: &Bucket,
        key: &str,
        body: Body,
        options: PutOptions,
    ) -> Result<PutReceipt, BlobError> {
        self.limits.check_put(key, &options)?;
        let app = bucket.app_id();
        let store = self.stores.created(&app).await?;
        let (piece, digests) = self.receive(&store, &app, body, options.expect).await?;
        let held = match &piece.place {
            NewPlace::Inline(sealed) => sealed.len(),
            NewPlace::File(_) => 0,
        };
        let new = NewVersion {
            bucket: bucket.name.to_string(),
            key: key.to_owned(),
            size: digests.size,
            etag: digests.etag(),
            http: options.http,
            custom: options.custom,
            tags: options.tags,
            checksum: Some(digests.checksum),
            parts: None,
            conditions: options.conditions,
        };
        let desk = self.desk(&store);
        let write = move |tx: &mut Tx<'_>| -> Result<PutReceipt, WriteError<BlobError>> {
            let info = desk.put(tx, new, |tx| insert_piece(tx, piece).map(Made::New))?;
            Ok(PutReceipt { info, durability: Durability::Fsync })
        };
        store.database.write_decided(held, write).await
    }

    async fn head_one(
        &self,
        bucket: &Bucket,
        key: &str,
        version: Option<VersionId>,
    ) -> Result<Option<BlobInfo>, BlobError> {
        self.limits.check_key(key)?;
        let app = bucket.app_id();
        if version.is_none()
            && let Some((info, _)) = self.hot.get(&app, bucket.name.as_str(), key)
        {
            return Ok(Some(info));
        }
        let Some(store) = self.stores.existing(&app).await? else { return Ok(None) };
        let info = store.database.read(|c| rows::find_named(c, bucket.name.as_str(), key, version))?;
        Ok(info.filter(|info| version.is_some() || !info.marker))
    }

    async fn get_one(&self, bucket: &Bucket, key: &str, options: GetOptions) -> Result<Option<Blob>, BlobError> {
        self.limits.check_key(key)?;
        let app = bucket.app_id();
        if options.version.is_none()
            && let Some((info, bytes)) = self.hot.get(&app, bucket.name.as_str(), key)
        {
            return answer(info, &bytes, &options).map(Some);
        }
        let Some(store) = self.stores.existing(&app).await? else { return Ok(None) };
        for _ in 0..READ_ATTEMPTS {
            let ticket = self.hot.ticket();
            let found = store.database.read(|c| rows::read(c, bucket.name.as_str(), key, options.version))?;
            let Some((info, mut pieces)) = found else { return Ok(None) };
            if info.marker && options.version.is_none() {
                return Ok(None);
            }
            if let [Piece { inline: Some(_), size: 0..=WHOLE_BYTES_MAX, .. }] = pieces.as_slice() {
                let app_key = self.key(&store, &app).await?;
                let bytes = pieces::open_inline(&store.contents, &app_key, pieces.swap_remove(0))?;
                if options.version.is_none() {
                    self.hot.keep(ticket, &app, bucket.name.as_str(), &info, &bytes);
                }
                return answer(info, &bytes, &options).map(Some);
            }
            let content = match wanted(&info, &options)? {
                Err(nothing) => nothing,
                Ok(range) => match self.body(&store, &app, info.version.number, pieces, range).await? {
                    Some(body) => Content::Bytes { body, range },
                    None => continue,
                },
            };
            return Ok(Some(Blob { info, content }));
        }
        Err(StoreError::Busy { in_flight: READ_ATTEMPTS }.into())
    }

    /// The bytes of a range, as a stream; `None` if the version was deleted before they could be
    /// held.
    async fn body(
        &self,
        store: &Arc<Store>,
        app: &AppId,
        version: u64,
        pieces: Vec<Piece>,
        range: Range,
    ) -> Result<Option<Body>, BlobError> {
        if range.length == 0 {
            return Ok(Some(Body::empty()));
        }
        let key = self.key(store, app).await?;
        let pinned = Pinned::new(&self.pins, store, &pieces);
        // A deletion that was committed before the pin may have taken the files away.
        if !store.database.read(|c| rows::exists(c, version))? {
            return Ok(None);
        }
        Ok(Some(Body::stream(Reader::new(pinned, key, pieces, range))))
    }

    async fn copy_one(
        &self,
        from: Source<'_>,
        bucket: &Bucket,
        key: &str,
        options: CopyOptions,
    ) -> Result<Option<PutReceipt>, BlobError> {
        self.limits.check_key(from.key)?;
        self.limits.check_key(key)?;
        if let Some((http, custom)) = &options.metadata {
            self.limits.check_metadata(http, custom)?;
        }
        if let Some(tags) = &options.tags {
            self.limits.check_tags(tags)?;
        }
        if from.bucket.app_id() != bucket.app_id() {
            return Err(BlobError::NoBucket(from.bucket.name.to_string()));
        }
        let Some(store) = self.stores.existing(&bucket.app_id()).await? else { return Ok(None) };
        let desk = self.desk(&store);
        let (source, source_key, version, on_source) =
            (from.bucket.name.to_string(), from.key.to_owned(), from.version, from.conditions);
        let (name, key) = (bucket.name.to_string(), key.to_owned());
        let write = move |tx: &mut Tx<'_>| -> Result<Option<PutReceipt>, WriteError<BlobError>> {
            let Some(row) = rows::bucket(tx.connection(), &source)? else { return Ok(None) };
            let found = rows::find(tx.connection(), row.id, &source_key, version)?;
            let Some(info) = found.filter(|info| !info.marker) else { return Ok(None) };
            if on_source.judge(&info) != Verdict::Holds {
                return Err(WriteError::Refused(BlobError::Precondition { etag: Some(info.etag) }));
            }
            let mut segments = tx.prepare("SELECT piece FROM segment WHERE version = ?1 ORDER BY number")?;
            let pieces = segments.query_map([info.version.number as i64], |row| row.get(0))?;
            let pieces: Vec<i64> = pieces.collect::<rusqlite::Result<_>>()?;
            drop(segments);
            let (http, custom) = options.metadata.unwrap_or((info.http, info.custom));
            let new = NewVersion {
                bucket: name,
                key,
                size: info.size,
                etag: info.etag,
                http,
                custom,
                tags: options.tags.unwrap_or(info.tags),
                checksum: info.checksum,
                parts: info.parts,
                conditions: options.conditions,
            };
            let info = desk.put(tx, new, |_| Ok(Made::Of(pieces)))?;
            Ok(Some(PutReceipt { info, durability: Durability::Fsync }))
        };
        store.database.write(0, write).await
    }

    /// Each key in a write of its own, so that one that is refused undoes no other; they meet in
    /// one group, which is flushed once.
    async fn delete_many(
        &self,
        bucket: &Bucket,
        keys: Vec<DeleteKey>,
    ) -> Result<Vec<Result<Deleted, BlobError>>, BlobError> {
        self.limits.check_delete(&keys)?;
        let store = self.stores.existing(&bucket.app_id()).await?;
        let writes = keys.into_iter().map(|wanted| {
            let store = store.clone();
            async move {
                self.limits.check_key(&wanted.key)?;
                let Some(store) = store else {
                    let conditions = Conditions { if_match: wanted.if_match, ..Conditions::default() };
                    conditions.check(None)?;
                    let durability = Durability::Fsync;
                    return Ok(Deleted { existed: false, version: None, was_marker: false, marker: None, durability });
                };
                let (desk, name) = (self.desk(&store), bucket.name.to_string());
                store.database.remove(move |tx: &mut Tx<'_>| desk.delete(tx, &name, &wanted)).await
            }
        });
        Ok(futures_util::future::join_all(writes).await)
    }

    async fn tag_one(
        &self,
        bucket: &Bucket,
        key: &str,
        version: Option<VersionId>,
        tags: Map,
    ) -> Result<bool, BlobError> {
        self.limits.check_key(key)?;
        self.limits.check_tags(&tags)?;
        let Some(store) = self.stores.existing(&bucket.app_id()).await? else { return Ok(false) };
        let (desk, name, key) = (self.desk(&store), bucket.name.to_string(), key.to_owned());
        let write = move |tx: &mut Tx<'_>| -> Result<bool, WriteError<BlobError>> {
            let found = rows::find_named(tx.connection(), &name, &key, version)?;
            let Some(info) = found.filter(|info| !info.marker) else { return Ok(false) };
            desk.change(tx, &name, &key);
            let tags = rows::to_json(&tags)?;
            let number = info.version.number as i64;
            tx.prepare("UPDATE version SET tags = ?2 WHERE number = ?1")?.execute(params![number, tags])?;
            Ok(true)
        };
        store.database.write(0, write).await
    }

    async fn change(&self, bucket: &Bucket, change: BucketChange) -> Result<(), BlobError> {
        let missing = || BlobError::NoBucket(bucket.name.to_string());
        let store = self.stores.existing(&bucket.app_id()).await?.ok_or_else(missing)?;
        let (limits, name, missing) = (self.limits.clone(), bucket.name.to_string(), missing());
        let write = move |tx: &mut Tx<'_>| -> Result<(), WriteError<BlobError>> {
            let mut row = rows::bucket(tx.connection(), &name)?.ok_or(WriteError::Refused(missing))?;
            row.settings.apply(change);
            limits.check_settings(&row.settings).map_err(WriteError::Refused)?;
            let settings = rows::to_json(&row.settings)?;
            tx.prepare("UPDATE bucket SET settings = ?2 WHERE id = ?1")?.execute(params![row.id, settings])?;
            Ok(())
        };
        store.database.write(0, write).await
    }

    async fn create_one(&self, bucket: &Bucket) -> Result<bool, BlobError> {
        if self.bucket_one(bucket).await?.is_some() {
            return Ok(false);
        }
        let store = self.stores.created(&bucket.app_id()).await?;
        let (desk, name) = (self.desk(&store), bucket.name.to_string());
        let write = move |tx: &mut Tx<'_>| -> Result<bool, WriteError<BlobError>> {
            let new = rows::bucket(tx.connection(), &name)?.is_none();
            desk.bucket(tx, &name)?;
            Ok(new)
        };
        store.database.write(0, write).await
    }

    async fn delete_bucket_one(&self, bucket: &Bucket) -> Result<bool, BlobError> {
        let Some(store) = self.stores.existing(&bucket.app_id()).await? else { return Ok(false) };
        let name = bucket.name.to_string();
        let write = move |tx: &mut Tx<'_>| -> Result<bool, WriteError<BlobError>> {
            let Some(row) = rows::bucket(tx.connection(), &name)? else { return Ok(false) };
            if !rows::is_empty(tx.connection(), row.id)? {
                return Err(WriteError::Refused(BlobError::BucketNotEmpty));
            }
            tx.prepare("DELETE FROM bucket WHERE id = ?1")?.execute([row.id])?;
            Ok(true)
        };
        store.database.remove(write).await
    }

    async fn bucket_one(&self, bucket: &Bucket) -> Result<Option<BucketInfo>, BlobError> {
        let Some(store) = self.stores.existing(&bucket.app_id()).await? else { return Ok(None) };
        let row = store.database.read(|c| rows::bucket(c, bucket.name.as_str()))?;
        let info = |row: rows::BucketRow| BucketInfo {
            name: bucket.name.clone(),
            created_ms: row.created_ms,
            settings: row.settings,
        };
        Ok(row.map(info))
    }

    async fn buckets_of(&self, app: &AppId) -> Result<Vec<BucketInfo>, BlobError> {
        let Some(store) = self.stores.existing(app).await? else { return Ok(Vec::new()) };
        let database = store.database.clone();
        let rows = self.stores.run(&store, move || database.read(rows::buckets)).await??;
        let info = |row: rows::BucketRow| {
            let damaged = |_| StoreError::Corrupt(format!("{app} has a bucket with a name that none can have"));
            let name = base::ResourceName::parse(&row.name).map_err(damaged)?;
            Ok(BucketInfo { name, created_ms: row.created_ms, settings: row.settings })
        };
        rows.into_iter().map(info).collect()
    }

    /// Runs a list in one view, on a thread for what may block.
    async fn page<T: Default + Send + 'static>(
        &self,
        bucket: &Bucket,
        read: impl FnOnce(&Connection, i64) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, BlobError> {
        let Some(store) = self.stores.existing(&bucket.app_id()).await? else { return Ok(T::default()) };
        let (name, database) = (bucket.name.to_string(), store.database.clone());
        let read = move || {
            in_view(&database, |view| match rows::bucket(view, &name)? {
                Some(row) => read(view, row.id),
                None => Ok(T::default()),
            })
        };
        Ok(self.stores.run(&store, read).await??)
    }
}

/// The range that a get wants of a blob, or what it is answered without any.
fn wanted(info: &BlobInfo, options: &GetOptions) -> Result<Result<Range, Content>, BlobError> {
    Ok(match options.conditions.judge(info) {
        Verdict::NotModified => Err(Content::NotModified),
        Verdict::Refused => Err(Content::Refused),
        Verdict::Holds => {
            let range = options.range.map(|spec| spec.resolve(info.size)).transpose()?;
            Ok(range.unwrap_or(Range::whole(info.size)))
        }
    })
}

/// What a get answers of a blob that is whole.
fn answer(info: BlobInfo, bytes: &Bytes, options: &GetOptions) -> Result<Blob, BlobError> {
    let content = match wanted(&info, options)? {
        Err(nothing) => nothing,
        Ok(range) => {
            Content::Bytes { body: Body::full(bytes.slice(range.offset as usize..range.end() as usize)), range }
        }
    };
    Ok(Blob { info, content })
}

/// Runs `read` in one view over several statements.
fn in_view<T>(database: &Database, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
    database.read(|connection| {
        // Compiled once, as what it is about is.
        connection.prepare_cached("BEGIN")?.raw_execute()?;
        let answer = read(connection);
        // Of a read that failed, the connection is given up.
        answer.and_then(|answer| connection.prepare_cached("COMMIT")?.raw_execute().map(|_| answer))
    })
}

fn read_key(connection: &Connection) -> rusqlite::Result<Option<Wrapped>> {
    let mut statement = connection.prepare_cached("SELECT nonce, sealed FROM app_key")?;
    statement.query_row([], |row| Ok(Wrapped { nonce: row.get(0)?, sealed: row.get(1)? })).optional()
}

impl Blobs for LocalBlobs {
    fn create_bucket<'a>(&'a self, bucket: &'a Bucket) -> BoxFuture<'a, Result<bool, BlobError>> {
        self.create_one(bucket).boxed()
    }

    fn delete_bucket<'a>(&'a self, bucket: &'a Bucket) -> BoxFuture<'a, Result<bool, BlobError>> {
        self.delete_bucket_one(bucket).boxed()
    }

    fn buckets<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<Vec<BucketInfo>, BlobError>> {
        self.buckets_of(app).boxed()
    }

    fn used<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<u64, BlobError>> {
        async move {
            let Some(store) = self.stores.existing(app).await? else { return Ok(0) };
            let database = store.database.clone();
            Ok(self.stores.run(&store, move || database.read(rows::used_bytes)).await??)
        }
        .boxed()
    }

    fn bucket<'a>(&'a self, bucket: &'a Bucket) -> BoxFuture<'a, Result<Option<BucketInfo>, BlobError>> {
        self.bucket_one(bucket).boxed()
    }

    fn change_bucket<'a>(&'a self, bucket: &'a Bucket, to: BucketChange) -> BoxFuture<'a, Result<(), BlobError>> {
        self.change(bucket, to).boxed()
    }

    fn head<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        version: Option<VersionId>,
    ) -> BoxFuture<'a, Result<Option<BlobInfo>, BlobError>> {
        self.head_one(bucket, key, version).boxed()
    }

    fn get<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        options: GetOptions,
    ) -> BoxFuture<'a, Result<Option<Blob>, BlobError>> {
        self.get_one(bucket, key, options).boxed()
    }

    fn put<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutReceipt, BlobError>> {
        self.put_one(bucket, key, body, options).boxed()
    }

    fn copy<'a>(
        &'a self,
        from: Source<'a>,
        bucket: &'a Bucket,
        key: &'a str,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<Option<PutReceipt>, BlobError>> {
        self.copy_one(from, bucket, key, options).boxed()
    }

    fn delete<'a>(
        &'a self,
        bucket: &'a Bucket,
        keys: Vec<DeleteKey>,
    ) -> BoxFuture<'a, Result<Vec<Result<Deleted, BlobError>>, BlobError>> {
        self.delete_many(bucket, keys).boxed()
    }

    fn tag<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        version: Option<VersionId>,
        tags: Map,
    ) -> BoxFuture<'a, Result<bool, BlobError>> {
        self.tag_one(bucket, key, version, tags).boxed()
    }

    fn list<'a>(&'a self, bucket: &'a Bucket, options: ListOptions) -> BoxFuture<'a, Result<ListPage, BlobError>> {
        let limit = self.limits.page(options.limit);
        self.page(bucket, move |view, id| lists::list(view, id, &options, limit)).boxed()
    }

    fn list_versions<'a>(
        &'a self,
        bucket: &'a Bucket,
        options: VersionsOptions,
    ) -> BoxFuture<'a, Result<VersionsPage, BlobError>> {
        let limit = self.limits.page(options.limit);
        self.page(bucket, move |view, id| lists::versions(view, id, &options, limit)).boxed()
    }

    fn create_upload<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        options: UploadOptions,
    ) -> BoxFuture<'a, Result<UploadId, BlobError>> {
        self.begin_upload(bucket, key, options).boxed()
    }

    fn put_part<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        upload: &'a UploadId,
        number: u32,
        body: Body,
        expect: Expected,
    ) -> BoxFuture<'a, Result<PartInfo, BlobError>> {
        self.receive_part(bucket, key, upload, number, body, expect).boxed()
    }

    fn parts<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        upload: &'a UploadId,
        after: u32,
        limit: usize,
    ) -> BoxFuture<'a, Result<(UploadInfo, Vec<PartInfo>), BlobError>> {
        self.list_parts(bucket, key, upload, after, limit).boxed()
    }

    fn uploads<'a>(
        &'a self,
        bucket: &'a Bucket,
        options: ListOptions,
    ) -> BoxFuture<'a, Result<UploadsPage, BlobError>> {
        let limit = self.limits.page(options.limit);
        self.page(bucket, move |view, id| lists::uploads(view, id, &options, limit)).boxed()
    }

    fn complete_upload<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        upload: &'a UploadId,
        parts: Vec<PartWanted>,
        conditions: Conditions,
    ) -> BoxFuture<'a, Result<PutReceipt, BlobError>> {
        self.complete(bucket, key, upload, parts, conditions).boxed()
    }

    fn abort_upload<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        upload: &'a UploadId,
    ) -> BoxFuture<'a, Result<bool, BlobError>> {
        self.abort(bucket, key, upload).boxed()
    }

    fn scrub<'a>(&'a self, bucket: &'a Bucket) -> BoxFuture<'a, Result<ScrubReport, BlobError>> {
        self.scrub_bucket(bucket).boxed()
    }
}
