//! What is done to blobs now and then: lifecycles, orphans, and the search for rot.

use std::collections::HashSet;
use std::sync::Arc;

use rusqlite::{Connection, params};
use services::blob::{BlobError, BlobInfo, Bucket, Damage, DeleteKey, ScrubReport, Settings, VersionId};
use services::{AppId, StoreError};

use super::pieces::{self, Piece};
use super::rows::{self, VERSION, read_version};
use super::{LocalBlobs, in_view, uploads};
use crate::content::ContentId;
use crate::database::{Tx, WriteError};
use crate::kv::stores::Store;

/// Versions looked at in one go.
const BATCH: usize = 256;

/// What a lifecycle wants gone.
enum Due {
    /// As a deletion of the key would have it, if this version is still the latest.
    Latest(String, u64),
    Version(String, VersionId),
    Upload(i64),
}

impl LocalBlobs {
    /// Applies lifecycles, and removes content files that lost their row, in the files that are
    /// open; in all files if `every`. Answers how many versions and uploads went.
    pub async fn sweep(&self, every: bool) -> Result<usize, BlobError> {
        let mut swept = 0;
        if every {
            for app in self.stores.on_disk()? {
                if let Some(store) = self.stores.existing(&app).await? {
                    swept += self.sweep_store(&store).await?;
                }
            }
        } else {
            for store in self.stores.opened() {
                swept += self.sweep_store(&store).await?;
            }
        }
        Ok(swept)
    }

    async fn sweep_store(&self, store: &Arc<Store>) -> Result<usize, BlobError> {
        let database = store.database.clone();
        let buckets = self.stores.run(store, move || database.read(rows::buckets)).await??;
        let mut swept = 0;
        for bucket in buckets.into_iter().filter(|bucket| !bucket.settings.lifecycle.is_empty()) {
            let mut after = 0;
            loop {
                let (settings, database) = (bucket.settings.clone(), store.database.clone());
                let now_ms = self.clock.unix_ms();
                let read = move || in_view(&database, |view| due(view, bucket.id, &settings, after, now_ms));
                let (found, next) = self.stores.run(store, read).await??;
                swept += found.len();
                self.remove(store, bucket.name.clone(), found).await?;
                match next {
                    Some(number) => after = number,
                    None => break,
                }
            }
        }
        let (orphans, pinned) = (store.clone(), self.pins.clone());
        let sweep = move || {
            orphans.contents.sweep(|| {
                // Noted before the rows are read: what is let go of later had a row until then.
                let mut keep: HashSet<ContentId> = pinned.names().into_iter().collect();
                keep.extend(orphans.database.read(rows::contents)?.into_iter().map(|(name, _)| name));
                Ok(keep)
            })
        };
        self.stores.run(store, sweep).await??;
        Ok(swept)
    }

    async fn remove(&self, store: &Store, bucket: String, found: Vec<Due>) -> Result<(), BlobError> {
        if found.is_empty() {
            return Ok(());
        }
        let desk = self.desk(store);
        let write = move |tx: &mut Tx<'_>| -> Result<(), WriteError<BlobError>> {
            for due in found {
                match due {
                    Due::Latest(key, number) => {
                        let row = rows::bucket(tx.connection(), &bucket)?;
                        let latest = row.map(|row| rows::find(tx.connection(), row.id, &key, None)).transpose()?;
                        if latest.flatten().is_some_and(|info| info.version.number == number) {
                            desk.delete(tx, &bucket, &DeleteKey::new(key))?;
                        }
                    }
                    Due::Version(key, version) => {
                        let wanted = DeleteKey { version: Some(version), ..DeleteKey::new(key) };
                        desk.delete(tx, &bucket, &wanted)?;
                    }
                    Due::Upload(row) => {
                        let dropped = uploads::remove(tx, row)?;
                        desk.discard(tx, dropped);
                    }
                }
            }
            Ok(())
        };
        store.database.remove(write).await
    }

    pub(super) async fn scrub_bucket(&self, bucket: &Bucket) -> Result<ScrubReport, BlobError> {
        let mut report = ScrubReport::default();
        let app = bucket.app_id();
        let Some(store) = self.stores.existing(&app).await? else { return Ok(report) };
        let key = self.key(&store, &app).await?;
        let mut after = 0;
        loop {
            let (name, database) = (bucket.name.to_string(), store.database.clone());
            let read = move || in_view(&database, |view| batch(view, &name, after));
            let versions = self.stores.run(&store, read).await??;
            let Some((last, _)) = versions.last() else { return Ok(report) };
            after = last.version.number;
            for (info, pieces) in versions.into_iter().filter(|(info, _)| !info.marker) {
                report.blobs += 1;
                report.bytes += info.size;
                for piece in pieces {
                    let (contents, key) = (store.contents.clone(), key.clone());
                    let scrubbed = self.stores.run(&store, move || pieces::scrub(&contents, &key, &piece)).await?;
                    // A version that was deleted meanwhile is no damage.
                    if let Err(error) = scrubbed
                        && store.database.read(|c| rows::exists(c, info.version.number))?
                    {
                        tracing::error!(%bucket, key = info.key, %error, "a blob is damaged");
                        let (key, version) = (info.key.clone(), info.version.id().to_string());
                        report.damaged.push(Damage { key, version, what: error.to_string() });
                    }
                }
            }
        }
    }

    /// Checks the file of one app from end to end, and that every large piece has its file.
    pub async fn check(&self, app: &AppId) -> Result<(), BlobError> {
        let Some(store) = self.stores.existing(app).await? else { return Ok(()) };
        let checked = store.clone();
        Ok(self.stores.run(&store, move || checked.check()).await??)
    }

    /// The apps that have a file of blobs, open or not. Blocks.
    pub fn apps(&self) -> Result<Vec<AppId>, StoreError> {
        self.stores.on_disk()
    }
}

fn batch(view: &Connection, bucket: &str, after: u64) -> rusqlite::Result<Vec<(BlobInfo, Vec<Piece>)>> {
    let Some(bucket) = rows::bucket(view, bucket)? else { return Ok(Vec::new()) };
    let sql = format!("SELECT {VERSION} FROM version WHERE bucket = ?1 AND number > ?2 ORDER BY number LIMIT ?3");
    let mut statement = view.prepare_cached(&sql)?;
    let rows = statement.query_map(params![bucket.id, after as i64, BATCH as i64], read_version)?;
    rows.map(|info| info.and_then(|info| Ok((rows::pieces(view, info.version.number)?, info))).map(|(p, i)| (i, p)))
        .collect()
}

/// What is due among the versions after a number; the number to go on from, if there are more.
fn due(
    view: &Connection,
    bucket: i64,
    settings: &Settings,
    after: u64,
    now_ms: u64,
) -> rusqlite::Result<(Vec<Due>, Option<u64>)> {
    let mut found = Vec::new();
    if after == 0 {
        let mut begun = view.prepare_cached("SELECT id, key, started_ms FROM upload WHERE bucket = ?1")?;
        let mut rows = begun.query([bucket])?;
        while let Some(row) = rows.next()? {
            let key = String::from_utf8_lossy(row.get_ref(1)?.as_blob()?).into_owned();
            if settings.expires_upload(&key, row.get::<_, i64>(2)? as u64, now_ms) {
                found.push(Due::Upload(row.get(0)?));
            }
        }
    }
    let sql = format!(
        "SELECT {VERSION}, replaced_ms FROM version WHERE bucket = ?1 AND number > ?2 ORDER BY number LIMIT ?3"
    );
    let mut statement = view.prepare_cached(&sql)?;
    let mut rows = statement.query(params![bucket, after as i64, BATCH as i64])?;
    let (mut count, mut last) = (0, after);
    while let Some(row) = rows.next()? {
        let info = read_version(row)?;
        let replaced_ms = row.get::<_, Option<i64>>(10)?.map(|ms| ms as u64);
        (count, last) = (count + 1, info.version.number);
        let number = info.version.number;
        if info.latest && settings.expires(&info, now_ms) {
            found.push(Due::Latest(info.key, number));
        } else if let Some(replaced_ms) = replaced_ms
            && settings.expires_noncurrent(&info, replaced_ms, now_ms)
        {
            found.push(Due::Version(info.key, info.version.id()));
        } else if info.latest && info.marker && settings.expires_lone_marker(&info) {
            let mut others =
                view.prepare_cached("SELECT 1 FROM version WHERE bucket = ?1 AND key = ?2 AND number < ?3")?;
            if !others.exists(params![bucket, info.key.as_bytes(), number as i64])? {
                found.push(Due::Version(info.key, info.version.id()));
            }
        }
    }
    Ok((found, (count == BATCH).then_some(last)))
}
