//! KV on SQLite: one file per app, values above 64 KiB as content files beside it.

use std::sync::Arc;

use base::{Body, Clock};
use bytes::BytesMut;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt as _;
use services::kv::Cursor;
use services::{
    Action, AppId, ChangesOptions, ChangesPage, Check, CommitReceipt, Condition, DeleteReceipt, Durability, Kv,
    KvEntry, KvError, KvLimits, KvNamespace, ListOptions, ListPage, NamespaceUsage, PutOptions, PutReceipt, StoreError,
    Transaction, Write,
};

use crate::DataDirError;
use crate::content::ContentWriter;
use crate::data_dir::Root;
use crate::database::{Tx, WriteError};

mod feed;
mod hot;
mod recent;
mod rows;
pub(crate) mod stores;
mod write;

use hot::{Hot, Ticket};
use rows::{Place, Row, Wanted};
use stores::{Layout, Store, Stores};
use write::{Desk, Step, Value, Writing};

/// Values up to this size lie in the row.
pub(crate) const INLINE_BYTES_MAX: usize = 64 << 10;
/// What a streaming put gathers before it writes.
const WRITE_BYTES: usize = 256 << 10;
/// Expired entries removed in one write, so that a sweep never holds up a group for long.
const SWEEP_ROWS: usize = 256;
/// Free pages that stay in a file, and how many go in one write.
const FREE_PAGES_KEPT: u64 = 256;
const FREED_PAGES: u64 = 256;
/// How often a read looks again when the value was replaced between its row and its file.
const READ_ATTEMPTS: usize = 8;

/// [`Kv`] in a data directory.
pub struct LocalKv {
    stores: Stores,
    /// But for quotas.
    limits: KvLimits,
    hot: Arc<Hot>,
    clock: Arc<dyn Clock>,
    /// Last, so that the stores close before the lock on the directory goes.
    root: Arc<Root>,
}

impl LocalKv {
    pub(crate) fn open(root: Arc<Root>, limits: KvLimits) -> Result<Self, DataDirError> {
        let path = root.create_dir(&["kv"]).map_err(|error| DataDirError::from_io(&root.path, error))?;
        let open_max = root.options.limits.kv_files_open as usize;
        let layout = Layout { kind: rows::KIND, named: rows::contents, open_max };
        let (stores, clock) = (Stores::new(path, layout, &root), root.options.clock.clone());
        let hot = Arc::new(Hot::new(root.options.limits.kv_cache_bytes as usize));
        Ok(Self { stores, limits, hot, clock, root })
    }

    fn desk(&self, store: &Arc<Store>) -> Desk {
        let limits = self.root.quotas.kv(&store.app.app);
        Desk { clock: self.clock.clone(), limits, store: store.clone(), hot: self.hot.clone() }
    }

    /// Reclaims the space of expired entries and orphaned content files in the files that are
    /// open, and gives what became free back to the file system; answers how many entries went.
    /// Runs by itself once a minute.
    pub async fn sweep(&self) -> Result<usize, StoreError> {
        let mut swept = 0;
        for store in self.stores.opened() {
            loop {
                let desk = self.desk(&store);
                let write = move |tx: &mut Tx<'_>| -> Result<usize, WriteError<StoreError>> {
                    Ok(write::expire(&desk, tx, SWEEP_ROWS)?)
                };
                let count = store.database.remove(write).await?;
                swept += count;
                if count < SWEEP_ROWS {
                    break;
                }
            }
            self.give_back(&store).await?;
            let orphans = store.clone();
            self.stores.run(&store, move || orphans.sweep_orphans()).await??;
        }
        Ok(swept)
    }

    /// Shortens the file by its free pages, a few at a time, down to what new entries will want.
    async fn give_back(&self, store: &Store) -> Result<(), StoreError> {
        let mut free = store.database.read(rows::free_pages)?;
        while free > FREE_PAGES_KEPT {
            let pages = (free - FREE_PAGES_KEPT).min(FREED_PAGES);
            let write =
                move |tx: &mut Tx<'_>| -> Result<(), WriteError<StoreError>> { Ok(rows::give_back(tx, pages)?) };
            store.database.remove(write).await?;
            let left = store.database.read(rows::free_pages)?;
            if left >= free {
                // A file of before pages could be given back: they are used again, and that is all.
                break;
            }
            free = left;
        }
        Ok(())
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

    async fn read(&self, ns: &KvNamespace, key: &str, ticket: Option<Ticket>) -> Result<Option<KvEntry>, KvError> {
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
            let value = match &row.place {
                Place::Inline(bytes) => Some(bytes.clone()),
                Place::Content(_) => None,
            };
            if let Some(entry) = Self::entry(&store, row).await? {
                if let Some((ticket, value)) = ticket.zip(value) {
                    self.hot.keep(ticket, ns, key, &entry, &value);
                }
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
        let value = self.receive(&store, value).await?;
        let size = value.size();
        let held = value.held() + key.len() + options.metadata.as_ref().map_or(0, String::len);
        let (desk, name, key) = (self.desk(&store), ns.name.clone(), key.to_owned());
        let write = move |tx: &mut Tx<'_>| -> Result<PutReceipt, WriteError<KvError>> {
            let mut writing = Writing::begin(desk, tx, &name)?;
            writing.put_alone(&key, value, &options)?;
            let CommitReceipt { revision, durability, .. } = writing.finish()?;
            Ok(PutReceipt { revision, durability, size })
        };
        store.database.write_decided(held, write).await
    }

    async fn remove(&self, ns: &KvNamespace, key: &str, condition: Condition) -> Result<DeleteReceipt, KvError> {
        self.limits.check_key(key)?;
        let durability = Durability::Fsync;
        let Some(store) = self.stores.existing(&ns.app_id()).await? else {
            return condition.check(None).map(|()| DeleteReceipt { existed: false, durability });
        };
        let (desk, name, key) = (self.desk(&store), ns.name.clone(), key.to_owned());
        let write = move |tx: &mut Tx<'_>| -> Result<DeleteReceipt, WriteError<KvError>> {
            let mut writing = Writing::begin(desk, tx, &name)?;
            writing.check(&key, condition)?;
            let existed = writing.step(&key, Step::Delete)?;
            let CommitReceipt { durability, .. } = writing.finish()?;
            Ok(DeleteReceipt { existed, durability })
        };
        // What it frees goes beyond no quota, so that its condition is all that may refuse it.
        store.database.remove_decided(write).await
    }

    async fn transact(&self, ns: &KvNamespace, transaction: Transaction) -> Result<CommitReceipt, KvError> {
        self.limits.check_transaction(&transaction, self.clock.unix_ms())?;
        let store = self.stores.created(&ns.app_id()).await?;
        let held = transaction.bytes();
        let removes = transaction.writes.iter().all(|write| matches!(write.action, Action::Delete));
        let Transaction { checks, writes } = transaction;
        let mut steps = Vec::with_capacity(writes.len());
        for Write { key, action } in writes {
            // Its file is written before its row: should the rest be refused, it goes again.
            let value = match &action {
                Action::Put { value, .. } => Some(self.receive(&store, Body::full(value.clone())).await?),
                Action::Delete | Action::Add(_) => None,
            };
            steps.push((key, Step::new(action, value)));
        }
        let (desk, name) = (self.desk(&store), ns.name.clone());
        let write = move |tx: &mut Tx<'_>| -> Result<CommitReceipt, WriteError<KvError>> {
            let mut writing = Writing::begin(desk, tx, &name)?;
            for Check { key, condition } in checks {
                let current = writing.current(&key)?;
                if !condition.holds(current) {
                    return Err(WriteError::Refused(KvError::CheckFailed { key, current }));
                }
            }
            for (key, step) in steps {
                writing.step(&key, step)?;
            }
            writing.finish()
        };
        if removes { store.database.remove(write).await } else { store.database.write(held, write).await }
    }

    async fn list_page(&self, ns: &KvNamespace, options: ListOptions) -> Result<ListPage, KvError> {
        self.limits.check_prefix(&options.prefix)?;
        let decode = |text: &String| Cursor::decode(text, ns, &options.prefix);
        let after = options.cursor.as_ref().map(decode).transpose()?.map(|cursor| cursor.after);
        let Some(store) = self.stores.existing(&ns.app_id()).await? else {
            return Ok(ListPage { keys: Vec::new(), cursor: None, complete: true, revision: 0 });
        };
        let wanted = Wanted {
            namespace: ns.name.clone(),
            prefix: options.prefix.clone(),
            after,
            after_revision: options.after_revision.map_or(0, |after| after.min(i64::MAX as u64)),
            limit: self.limits.page(&options),
            value_bytes: options.values.then_some(self.limits.list_bytes),
        };
        let (now_ms, database) = (self.clock.unix_ms(), store.database.clone());
        let read = move || database.read(|c| rows::list(c, &wanted, now_ms));
        let (keys, more, revision) = self.stores.run(&store, read).await??;
        let cursor = match keys.last() {
            Some(last) if more => Some(Cursor { after: last.name.clone() }.encode(ns, &options.prefix)),
            _ => None,
        };
        Ok(ListPage { keys, cursor, complete: !more, revision })
    }

    async fn feed(&self, ns: &KvNamespace, mut options: ChangesOptions) -> Result<ChangesPage, KvError> {
        self.limits.check_prefix(&options.prefix)?;
        let app = ns.app_id();
        let mut news = self.stores.news(&app);
        loop {
            // What is written from here on ends the wait below.
            news.borrow_and_update();
            let page = self.feed_page(ns, &app, &options).await?;
            if !options.wait || options.since.is_none() || !page.changes.is_empty() {
                return Ok(page);
            }
            options.since = Some(page.through);
            // The sender is never given up.
            let _ = news.changed().await;
        }
    }

    async fn feed_page(&self, ns: &KvNamespace, app: &AppId, options: &ChangesOptions) -> Result<ChangesPage, KvError> {
        let Some(store) = self.stores.existing(app).await? else {
            self.limits.check_since(options.since.unwrap_or(0), 0, 0)?;
            return Ok(ChangesPage { changes: Vec::new(), through: 0 });
        };
        let (database, name, since) = (store.database.clone(), ns.name.clone(), options.since);
        let prefix = options.prefix.clone();
        let read = move || database.read(|c| feed::read(c, &name, &prefix, since));
        let page = self.stores.run(&store, read).await??;
        if let Some(since) = since {
            self.limits.check_since(since, page.floor, page.last)?;
        }
        Ok(ChangesPage { changes: page.changes, through: page.through })
    }

    async fn used(&self, app: &AppId) -> Result<Vec<NamespaceUsage>, KvError> {
        let Some(store) = self.stores.existing(app).await? else { return Ok(Vec::new()) };
        let database = store.database.clone();
        Ok(self.stores.run(&store, move || database.read(rows::usage)).await??)
    }
}

impl Kv for LocalKv {
    fn get<'a>(&'a self, ns: &'a KvNamespace, key: &'a str) -> BoxFuture<'a, Result<Option<KvEntry>, KvError>> {
        // What is at hand is answered before the larger part of a read is made.
        let read = async move {
            match self.hot.get(ns, key, &*self.clock) {
                Ok(entry) => Ok(Some(entry)),
                Err(ticket) => self.read(ns, key, ticket).boxed().await,
            }
        };
        read.boxed()
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

    fn commit<'a>(
        &'a self,
        ns: &'a KvNamespace,
        transaction: Transaction,
    ) -> BoxFuture<'a, Result<CommitReceipt, KvError>> {
        self.transact(ns, transaction).boxed()
    }

    fn changes<'a>(
        &'a self,
        ns: &'a KvNamespace,
        options: ChangesOptions,
    ) -> BoxFuture<'a, Result<ChangesPage, KvError>> {
        self.feed(ns, options).boxed()
    }

    fn usage<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<Vec<NamespaceUsage>, KvError>> {
        self.used(app).boxed()
    }
}
