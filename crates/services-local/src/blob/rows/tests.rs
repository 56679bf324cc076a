use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::hooks::{AuthContext, Authorization};

use super::*;

fn tables() -> Connection {
    let connection = Connection::open_in_memory().expect("in memory");
    KIND.migrations.iter().for_each(|step| connection.execute_batch(step).expect("the tables"));
    connection
}

/// Everything that is asked of the rows of one key, with values of its own: a put over a version,
/// one beside it, and a removal.
fn round(tx: &Tx<'_>, number: u64) -> rusqlite::Result<()> {
    let (connection, key) = (tx.connection(), format!("key-{}", number % 2));
    let bucket = match bucket(connection, "files")? {
        Some(row) => row,
        None => insert_bucket(tx, "files", 0)?,
    };
    for version in [None, Some(VersionId::Null), Some(VersionId::Number(number))] {
        find(connection, bucket.id, &key, version)?;
        find_named(connection, "files", &key, version)?;
        read(connection, "files", &key, version)?;
    }
    let removed = null_version(connection, bucket.id, &key)?.map(|old| remove_version(tx, old)).transpose()?;
    replace_latest(tx, bucket.id, &key, number)?;
    let mut name = [0; 16];
    name[..8].copy_from_slice(&number.to_be_bytes());
    let place = NewPlace::Inline(vec![0; 100]);
    let piece = insert_piece(tx, &NewPiece { name: ContentId(name), size: 84, place })?;
    hold_pieces(tx, &[piece])?;
    release_pieces(tx, &[piece])?;
    let info = BlobInfo {
        key: key.clone(),
        version: Version { number, null: true },
        latest: true,
        marker: false,
        size: 84,
        etag: String::new(),
        uploaded_ms: number,
        http: HttpMetadata::default(),
        custom: Map::new(),
        tags: Map::new(),
        checksum: None,
        parts: None,
    };
    insert_version(tx, bucket.id, &info, &[piece])?;
    settle(tx, bucket.id, &key)?;
    use_bytes(tx, 84)?;
    release_pieces(tx, &removed.unwrap_or_default().1)?;
    assert!(exists(connection, number)? && !is_empty(connection, bucket.id)? && used_bytes(connection)? > 0);
    assert_eq!(pieces(connection, number)?.len(), 1);
    Ok(())
}

#[test]
fn every_statement_is_compiled_once() {
    let mut connection = tables();
    connection.set_prepared_statement_cache_capacity(100);
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    // It is asked whenever a statement is compiled.
    let count = move |_: AuthContext<'_>| {
        counted.fetch_add(1, Ordering::SeqCst);
        Authorization::Allow
    };
    connection.authorizer(Some(count)).expect("a hook");
    let tx = Tx::over(&connection);
    (1..5).try_for_each(|number| round(&tx, number)).expect("rows");
    let before = asked.load(Ordering::SeqCst);
    (5..20).try_for_each(|number| round(&tx, number)).expect("rows");
    assert!(before > 0);
    assert_eq!(asked.load(Ordering::SeqCst), before);
}

#[test]
fn a_blob_is_read_by_its_keys_without_a_sort() {
    let connection = tables();
    let plan = format!("EXPLAIN QUERY PLAN {}", read_sql(which(None).0));
    let mut statement = connection.prepare(&plan).expect("a plan");
    let steps = statement.query_map(params!["files", b"key", 0], |row| row.get::<_, String>(3)).expect("steps");
    let steps: Vec<String> = steps.collect::<rusqlite::Result<_>>().expect("steps");
    assert!(steps.iter().all(|step| step.starts_with("SEARCH")), "{steps:?}");
}
