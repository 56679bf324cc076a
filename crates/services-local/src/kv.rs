//! KV on SQLite: one file per app, values above 64 KiB as content files beside it.

use std::sync::Arc;

use base::{Body, Clock};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt as _;
use services::kv::Cursor;
use services::{
    AppId, Condition, DeleteReceipt, Durability, Kv, KvEntry, KvError, KvLimits, KvNamespace, ListOptions, ListPage,
    PutOptions, PutReceipt, StoreError,
};

use crate::DataDirError;
use crate::content::{ContentGuard, ContentId, ContentWriter, Contents};
use crate::data_dir::Root;
use crate::database::{Fate, Tx, WriteError};

mod rows;
pub(crate) mod stores;

use rows::{Place, Row};
use stores::{Layout, Store, Stores};

/// Values up to this size lie in the row.
pub(crate) const INLINE_BYTES_MAX: usize = 64 << 10;
/// What a streaming put gathers before it writes.
const WRITE_BYTES: usize = 256 << 10;
/// Expired entries removed in one write, so that a sweep never holds up a group for long.
const SWEEP_ROWS: usize = 256;
/// How often a read looks again when the value was replaced between its row and its file.
const READ_ATTEMPTS: usize = 8;

/// [`Kv`] in a data directory.
pub struct LocalKv {
    stores: Stores,
    limits: KvLimits,
    clock: Arc<dyn Clock>,
    /// Last, so that the stores close before the lock on the directory goes.
    _root: Arc<Root>,
}

/// A received value, before its row.
enum Value {
    Inline(Bytes),
    Content(ContentGuard, u64),
}

impl LocalKv {
    pub(crate) fn open(root: Arc<Root>, limits: KvLimits) -> Result<Self, DataDirError> {
        let path = root.create_dir(&["kv"]).map_err(|error| DataDirError::from_io(&root.path, error))?;
        let open_max = root.options.limits.kv_files_open as usize;
        let layout = Layout { kind: rows::KIND, named: rows::contents, open_max };
        Ok(Self { stores: Stores::new(path, layout, &root), limits, clock: root.options.clock.clone(), _root: root })
    }

    /// Reclaims the space of expired entries and orphaned content files in the files that are
    /// open; answers how many entries went. Runs by itself once a minute.
    pub async fn sweep(&self) -> Result<usize, StoreError> {
        let mut swept = 0;
        for store in self.stores.opened() {
            loop {
                let now_ms = self.clock.unix_ms();
                let contents = store.contents.clone();
                let write = move |tx: &mut Tx<'_>| -> Result<usize, WriteError<StoreError>> {
                    let (count, dropped) = rows::delete_expired(tx, now_ms, SWEEP_ROWS)?;
                    tx.after(move |fate| discard(&contents, fate, dropped));
                    Ok(count)
                };
                let count = store.database.write(0, write).await?;
                swept += count;
                if count < SWEEP_ROWS {
                    break;
                }
            }
            let orphans = store.clone();
            self.stores.run(&store, move || orphans.sweep_orphans()).await??;
        }
        Ok(swept)
    }

    /// The apps that have a KV file, open or not. Blocks.
    pub fn apps(&self) -> Result<Vec<AppId>, StoreError> {
        self.stores.on_disk()
    }

    /// Checks the file of one app from end to end, and that every large value has its file.
    pub async fn check(&self, app: &AppId) -> Result<(), KvError> {
        let Some(store) = self.stores.existing(app).await? else { return Ok(()) };
        let checked = store.clone();
        Ok(self.stores.run(&store, move || checked.check()).await??)
    }

    async fn receive(&self, store: &Store, mut body: Body) -> Result<Value, KvError> {
        let too_large = KvError::ValueTooLarge { bytes_max: self.limits.value_bytes };
        if let Some(bytes) = body.take_whole() {
            return match bytes.len() {
                size if size > self.limits.value_bytes => Err(too_large),
                size if size <= INLINE_BYTES_MAX => Ok(Value::Inline(bytes)),
                _ => {
                    let mut content = store.contents.create().await?;
                    content.write(bytes).await?;
                    content.finish().await.map(|(guard, size)| Value::Content(guard, size)).map_err(KvError::from)
                }
            };
        }
        let mut buffer = BytesMut::new();
        let mut content: Option<ContentWriter> = None;
        let mut size = 0;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(KvError::Body)?.into_data() else { continue };
            size += data.len();
            if size > self.limits.value_bytes {
                return Err(too_large);
            }
            buffer.extend_from_slice(&data);
            if size > INLINE_BYTES_MAX && (content.is_none() || buffer.len() >= WRITE_BYTES) {
                let mut writer = match content.take() {
                    Some(writer) => writer,
                    None => store.contents.create().await?,
                };
                writer.write(buffer.split().freeze()).await?;
                content = Some(writer);
            }
        }
        match content {
            None => Ok(Value::Inline(buffer.freeze())),
            Some(mut writer) => {
                writer.write(buffer.freeze()).await?;
                let (guard, size) = writer.finish().await?;
                Ok(Value::Content(guard, size))
            }
        }
    }

    /// The entry of a row; `None` if its content file has gone, which a newer row explains.
    async fn entry(store: &Store, row: Row) -> Result<Option<KvEntry>, StoreError> {
        let value = match row.place {
            Place::Inline(bytes) => Some(Body::full(bytes)),
            Place::Content(id) => store.contents.stream(id, row.size).await?,
        };
        Ok(value.map(|value| KvEntry {
            value,
            size: row.size,
            metadata: row.metadata,
            expires_at_ms: row.expires_at_ms,
            revision: row.revision,
        }))
    }

    async fn read(&self, ns: &KvNamespace, key: &str) -> Result<Option<KvEntry>, KvError> {
        self.limits.check_key(key)?;
        let store = match self.stores.open_now(ns) {
            Some(store) => store,
            None => match self.stores.existing(&ns.app_id()).await? {
                Some(store) => store,
                None => return Ok(None),
            },
        };
        for _ in 0..READ_ATTEMPTS {
            let now_ms = self.clock.unix_ms();
            let Some(row) = store.database.read(|c| rows::get(c, &ns.name, key, now_ms))? else { return Ok(None) };
            if let Some(entry) = Self::entry(&store, row).await? {
                return Ok(Some(entry));
            }
        }
        Err(StoreError::Corrupt(format!("a content file of {ns} is missing")).into())
    }

    /// All rows come from one snapshot. Should a large value be replaced before its file is open,
    /// the whole snapshot is taken again.
    async fn read_many(&self, ns: &KvNamespace, keys: &[String]) -> Result<Vec<Option<KvEntry>>, KvError> {
        self.limits.check_keys(keys)?;
        let Some(store) = self.stores.existing(&ns.app_id()).await? else {
            return Ok(keys.iter().map(|_| None).collect());
        };
        let shared = Arc::new((ns.name.clone(), keys.to_vec()));
        'attempt: for _ in 0..READ_ATTEMPTS {
            let (now_ms, shared, database) = (self.clock.unix_ms(), shared.clone(), store.database.clone());
            let read = move || database.read(|c| rows::get_many(c, &shared.0, &shared.1, now_ms));
            let rows = self.stores.run(&store, read).await??;
            let mut entries = Vec::with_capacity(rows.len());
            for row in rows {
                let Some(row) = row else {
                    entries.push(None);
                    continue;
                };
                match Self::entry(&store, row).await? {
                    None => continue 'attempt,
                    entry => entries.push(entry),
                }
            }
            return Ok(entries);
        }
        Err(StoreError::Corrupt(format!("a content file of {ns} is missing")).into())
    }

    async fn write(
        &self,
        ns: &KvNamespace,
        key: &str,
        value: Body,
        options: PutOptions,
    ) -> Result<PutReceipt, KvError> {
        self.limits.check_put(key, &options, self.clock.unix_ms())?;
        let store = self.stores.created(&ns.app_id()).await?;
        let (inline, guard, size) = match self.receive(&store, value).await? {
            Value::Inline(bytes) => {
                let size = bytes.len() as u64;
                (Some(bytes), None, size)
            }
            Value::Content(guard, size) => (None, Some(guard), size),
        };
        let held = inline.as_ref().map_or(0, Bytes::len) + key.len() + options.metadata.as_ref().map_or(0, String::len);
        let (clock, contents) = (self.clock.clone(), store.contents.clone());
        let (namespace, key) = (ns.name.clone(), key.to_owned());
        let write = move |tx: &mut Tx<'_>| -> Result<PutReceipt, WriteError<KvError>> {
            let old = rows::find(tx, &namespace, &key)?;
            let visible = old.as_ref().filter(|old| old.visible(clock.unix_ms()));
            options.condition.check(visible.map(|old| old.revision)).map_err(WriteError::Refused)?;
            let revision = tx.next_sequence();
            let content = guard.as_ref().map(ContentGuard::id);
            rows::put(tx, &namespace, &key, inline.as_deref(), content, size, &options, revision)?;
            tx.after(move |fate| {
                match (guard, fate) {
                    (Some(guard), Fate::Committed) => guard.keep(),
                    (Some(guard), Fate::Unknown) => guard.leave(),
                    (None, _) => {}
                }
                discard(&contents, fate, old.and_then(|old| old.content));
            });
            Ok(PutReceipt { revision, durability: Durability::Fsync, size })
        };
        store.database.write(held, write).await
    }

    async fn remove(&self, ns: &KvNamespace, key: &str, condition: Condition) -> Result<DeleteReceipt, KvError> {
        self.limits.check_key(key)?;
        let durability = Durability::Fsync;
        let Some(store) = self.stores.existing(&ns.app_id()).await? else {
            return condition.check(None).map(|()| DeleteReceipt { existed: false, durability });
        };
        let (clock, contents) = (self.clock.clone(), store.contents.clone());
        let (namespace, key) = (ns.name.clone(), key.to_owned());
        let write = move |tx: &mut Tx<'_>| -> Result<DeleteReceipt, WriteError<KvError>> {
            let old = rows::find(tx, &namespace, &key)?;
            let visible = old.as_ref().filter(|old| old.visible(clock.unix_ms()));
            condition.check(visible.map(|old| old.revision)).map_err(WriteError::Refused)?;
            let existed = visible.is_some();
            if let Some(old) = old {
                rows::delete(tx, old.id)?;
                tx.after(move |fate| discard(&contents, fate, old.content));
            }
            Ok(DeleteReceipt { existed, durability })
        };
        store.database.write(0, write).await
    }

    async fn list_page(&self, ns: &KvNamespace, options: ListOptions) -> Result<ListPage, KvError> {
        self.limits.check_prefix(&options.prefix)?;
        let decode = |text: &String| Cursor::decode(text, ns, &options.prefix);
        let after = options.cursor.as_ref().map(decode).transpose()?.map(|cursor| cursor.after);
        let page = self.limits.page(&options);
        let Some(store) = self.stores.existing(&ns.app_id()).await? else {
            return Ok(ListPage { keys: Vec::new(), cursor: None, complete: true });
        };
        let (now_ms, namespace, prefix) = (self.clock.unix_ms(), ns.name.clone(), options.prefix.clone());
        let database = store.database.clone();
        let read = move || {
            // One more than the page shows whether there is another.
            database.read(|c| rows::list(c, &namespace, &prefix, after.as_deref(), page + 1, now_ms))
        };
        let mut keys = self.stores.run(&store, read).await??;
        let complete = keys.len() <= page;
        keys.truncate(page);
        let cursor = match keys.last() {
            Some(last) if !complete => Some(Cursor { after: last.name.clone() }.encode(ns, &options.prefix)),
            _ => None,
        };
        Ok(ListPage { keys, cursor, complete })
    }
}

/// Removes the content files of rows that are gone for certain.
fn discard(contents: &Arc<Contents>, fate: Fate, ids: impl IntoIterator<Item = ContentId>) {
    if fate == Fate::Committed {
        ids.into_iter().for_each(|id| contents.discard(id));
    }
}

impl Kv for LocalKv {
    fn get<'a>(&'a self, ns: &'a KvNamespace, key: &'a str) -> BoxFuture<'a, Result<Option<KvEntry>, KvError>> {
        self.read(ns, key).boxed()
    }

    fn get_many<'a>(
        &'a self,
        ns: &'a KvNamespace,
        keys: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<KvEntry>>, KvError>> {
        self.read_many(ns, keys).boxed()
    }

    fn put<'a>(
        &'a self,
        ns: &'a KvNamespace,
        key: &'a str,
        value: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutReceipt, KvError>> {
        self.write(ns, key, value, options).boxed()
    }

    fn delete<'a>(
        &'a self,
        ns: &'a KvNamespace,
        key: &'a str,
        condition: Condition,
    ) -> BoxFuture<'a, Result<DeleteReceipt, KvError>> {
        self.remove(ns, key, condition).boxed()
    }

    fn list<'a>(&'a self, ns: &'a KvNamespace, options: ListOptions) -> BoxFuture<'a, Result<ListPage, KvError>> {
        self.list_page(ns, options).boxed()
    }
}
