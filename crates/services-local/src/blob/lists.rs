//! Pages of keys, versions and uploads.

use rusqlite::{Connection, params};
use services::blob::{
    BlobInfo, ListOptions, ListPage, Place, UploadId, UploadInfo, UploadsPage, VersionsOptions, VersionsPage, end_of,
    group_of,
};

use super::rows::{VERSION, json, read_version};

/// Rows read at a time, when a page may be full of common prefixes.
const ROWS: usize = 1_000;

/// One page of the latest versions. Where a common prefix begins, the search goes on behind all
/// keys that have it: a page costs a seek for each of its entries, whatever lies under them.
pub fn list(view: &Connection, bucket: i64, options: &ListOptions, limit: usize) -> rusqlite::Result<ListPage> {
    let sql = format!(
        "SELECT {VERSION} FROM version WHERE bucket = ?1 AND latest = 1 AND marker = 0 AND key >= ?2 AND key < ?3
         ORDER BY key LIMIT ?4"
    );
    let mut statement = view.prepare_cached(&sql)?;
    let (prefix, delimiter) = (options.prefix.as_str(), options.delimiter.as_deref());
    let end = end_of(prefix);
    let mut from = start(prefix, delimiter, options.after.as_deref());
    let mut page = ListPage::default();
    let mut last: Option<String> = None;
    'seek: loop {
        let rows = (limit - page.blobs.len() - page.prefixes.len() + 1).min(ROWS);
        let mut found = statement.query(params![bucket, from, end, rows as i64])?;
        let mut count = 0;
        while let Some(row) = found.next()? {
            let info = read_version(row)?;
            count += 1;
            if page.blobs.len() + page.prefixes.len() == limit {
                page.next = last;
                return Ok(page);
            }
            if let Some(group) = group_of(&info.key, prefix, delimiter) {
                from = end_of(group);
                last = Some(group.to_owned());
                page.prefixes.push(group.to_owned());
                continue 'seek;
            }
            from = behind(&info.key);
            last = Some(info.key.clone());
            page.blobs.push(info);
        }
        if count < rows {
            return Ok(page);
        }
    }
}

/// The first key of a list: behind `after`, which may stand for a whole common prefix.
fn start(prefix: &str, delimiter: Option<&str>, after: Option<&str>) -> Vec<u8> {
    let from = match after {
        Some(after) if group_of(after, prefix, delimiter) == Some(after) => end_of(after),
        Some(after) => behind(after),
        None => Vec::new(),
    };
    from.max(prefix.as_bytes().to_vec())
}

/// The first byte string after a key.
fn behind(key: &str) -> Vec<u8> {
    [key.as_bytes(), &[0]].concat()
}

/// One page of all versions.
pub fn versions(
    view: &Connection,
    bucket: i64,
    options: &VersionsOptions,
    limit: usize,
) -> rusqlite::Result<VersionsPage> {
    let sql = format!(
        "SELECT {VERSION} FROM version
         WHERE bucket = ?1 AND key >= ?2 AND key < ?3 AND (key > ?4 OR number < ?5)
         ORDER BY key, number DESC LIMIT ?6"
    );
    let mut statement = view.prepare_cached(&sql)?;
    let (prefix, delimiter) = (options.prefix.as_str(), options.delimiter.as_deref());
    let end = end_of(prefix);
    // From this key on, but of this key itself only what is older than this.
    let (mut from, mut older) = match &options.after {
        Some(Place { key, version: Some(number) }) => (key.as_bytes().to_vec(), *number as i64),
        Some(Place { key, version: None }) => (start(prefix, delimiter, Some(key)), i64::MAX),
        None => (prefix.as_bytes().to_vec(), i64::MAX),
    };
    let mut page = VersionsPage::default();
    let mut last = None;
    'seek: loop {
        let rows = (limit - page.versions.len() - page.prefixes.len() + 1).min(ROWS);
        let mut found = statement.query(params![bucket, from, end, from, older, rows as i64])?;
        let mut count = 0;
        while let Some(row) = found.next()? {
            let info: BlobInfo = read_version(row)?;
            count += 1;
            if page.versions.len() + page.prefixes.len() == limit {
                page.next = last;
                return Ok(page);
            }
            if let Some(group) = group_of(&info.key, prefix, delimiter) {
                (from, older) = (end_of(group), i64::MAX);
                last = Some(Place { key: group.to_owned(), version: None });
                page.prefixes.push(group.to_owned());
                continue 'seek;
            }
            (from, older) = (info.key.as_bytes().to_vec(), info.version.number as i64);
            last = Some(Place { key: info.key.clone(), version: Some(info.version.number) });
            page.versions.push(info);
        }
        if count < rows {
            return Ok(page);
        }
    }
}

const UPLOADS: &str = "
    SELECT name, key, started_ms, options FROM upload WHERE bucket = ?1 AND key >= ?2 AND key < ?3
    ORDER BY key, started_ms, name";

/// One page of uploads. All uploads of a key are in one page, so that the key alone is a place.
pub fn uploads(view: &Connection, bucket: i64, options: &ListOptions, limit: usize) -> rusqlite::Result<UploadsPage> {
    let mut statement = view.prepare_cached(UPLOADS)?;
    let (prefix, delimiter) = (options.prefix.as_str(), options.delimiter.as_deref());
    let from = start(prefix, delimiter, options.after.as_deref());
    let mut found = statement.query(params![bucket, from, end_of(prefix)])?;
    let mut page = UploadsPage::default();
    let mut last: Option<String> = None;
    while let Some(row) = found.next()? {
        let key = String::from_utf8_lossy(row.get_ref(1)?.as_blob()?).into_owned();
        let group = group_of(&key, prefix, delimiter).map(str::to_owned);
        let name = group.as_deref().unwrap_or(&key);
        let same = last.as_deref() == Some(name);
        if same && group.is_some() {
            continue;
        }
        if !same && page.uploads.len() + page.prefixes.len() >= limit {
            page.next = last;
            return Ok(page);
        }
        last = Some(name.to_owned());
        match group {
            Some(group) => page.prefixes.push(group),
            None => page.uploads.push(UploadInfo {
                id: UploadId::from_text(row.get::<_, String>(0)?),
                started_ms: row.get::<_, i64>(2)? as u64,
                options: json(row, 3)?,
                key,
            }),
        }
    }
    Ok(page)
}
