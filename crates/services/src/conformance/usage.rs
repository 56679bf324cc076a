//! What an app stores is counted, and is no other's.

use base::Body;

use super::blob::bucket;
use super::object::{commit, key, opened};
use super::sql::{database, make};
use crate::blob::{Blobs, DeleteKey, PutOptions};
use crate::object::ObjectStore;
use crate::{AppId, Sql};

/// Another app of the same tenant.
fn other(app: &AppId) -> AppId {
    AppId::new(app.tenant.clone(), base::AppName::parse("another").expect("a name"))
}

pub(super) async fn databases_are_counted(sql: &impl Sql) {
    let db = database("counted");
    let app = db.app_id();
    assert_eq!(sql.used(&app).await, Ok(0), "nothing yet");
    make(sql, &db, "CREATE TABLE t (v); INSERT INTO t VALUES (zeroblob(100000))").await;
    let one = sql.used(&app).await.expect("a sum");
    assert!((100_000..1_000_000).contains(&one), "{one}");
    make(sql, &database("second"), "CREATE TABLE t (v); INSERT INTO t VALUES (zeroblob(100000))").await;
    assert!(sql.used(&app).await.expect("a sum") >= one + 100_000);
    assert_eq!(sql.used(&other(&app)).await, Ok(0));
}

pub(super) async fn blobs_are_counted(blobs: &impl Blobs) {
    let (files, more) = (bucket("shop", "files"), bucket("shop", "more"));
    let app = files.app_id();
    assert_eq!(blobs.used(&app).await.expect("a sum"), 0, "nothing yet");
    for (bucket, key, size) in [(&files, "a", 10), (&files, "b", 200_000), (&more, "a", 5), (&files, "a", 7)] {
        blobs.put(bucket, key, Body::full(vec![1; size]), PutOptions::default()).await.expect("put");
    }
    assert_eq!(blobs.used(&app).await.expect("a sum"), 200_012);
    blobs.delete(&files, vec![DeleteKey::new("b")]).await.expect("delete");
    assert_eq!(blobs.used(&app).await.expect("a sum"), 12);
    assert_eq!(blobs.used(&other(&app)).await.expect("a sum"), 0);
}

pub(super) async fn objects_are_counted(store: &impl ObjectStore) {
    let key = key("counted");
    let app = &key.class.app;
    assert_eq!(store.used(app).await.expect("a sum"), 0, "nothing yet");
    let mut storage = opened(store, &key, 1).await;
    storage.put("a", &[b'x'; 50_000]).expect("put");
    commit(&mut *storage).await;
    let used = store.used(app).await.expect("a sum");
    assert!((50_000..500_000).contains(&used), "{used}");
    assert_eq!(store.used(&other(app)).await.expect("a sum"), 0);
    storage.delete_all().expect("delete");
    commit(&mut *storage).await;
    drop(storage);
    // To close it may take a while; then its file goes.
    while store.used(app).await.expect("a sum") != 0 {
        std::thread::yield_now();
    }
}
