//! On a disk that is full to its last byte, a node that runs lets through what makes room.

use std::path::Path;

use base::Body;
use services::blob::{Blobs as _, DeleteKey};
use services::{Condition, Kv as _, PutOptions, Sql as _, SqlError, SqlStatement};
use services_local::DataDir;

use crate::child::{fill, say, sql_database};
use crate::workload::namespace;

/// The reserve of a directory of an ordinary node is made where there is eight times as much.
pub async fn remove_on_a_full_disk(data: &DataDir, place: &Path) {
    let (kv, sql, blobs) = (data.kv(), data.sql(), data.blobs().expect("a node key"));
    let (ns, bucket, database) = (namespace(), crate::blobs::bucket(), sql_database(0));
    let run = async |text: &str| sql.batch(&database, vec![SqlStatement::bind(text.to_owned(), Vec::new())]).await;
    let put = async |key: &str| kv.put(&ns, key, Body::full(vec![7; 1_000]), PutOptions::default()).await;
    put("old").await.expect("there is room");
    for sql in ["CREATE TABLE t (x)", "INSERT INTO t VALUES (1), (2), (3)", "CREATE TABLE u (x)"] {
        run(sql).await.expect("there is room");
    }
    let content = Body::full(vec![1; 1 << 20]);
    blobs.put(&bucket, "large", content, services::blob::PutOptions::default()).await.expect("there is room");

    let (ballast, reserve) = (place.join("ballast"), place.join("data").join("reserve"));
    assert!(reserve.metadata().expect("a reserve").len() > 0);
    fill(&ballast);
    let mut n = 0;
    let error = loop {
        n += 1;
        match put(&format!("new {n}")).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.code().name, "store_full");
    // The store opens again after a pause.
    while kv.delete(&ns, "old", Condition::Always).await.is_err() {
        std::thread::yield_now();
    }
    assert_eq!(reserve.metadata().expect("what is left of it").len(), 0, "it was given up");
    assert_eq!(put("more").await.expect_err("it is refused").code().name, "store_full");
    assert!(kv.get(&ns, "old").await.expect("it is readable").is_none());

    let refused = |answer: Result<_, SqlError>| answer.map(|_| ()).expect_err("it is refused").code().name;
    assert_eq!(refused(run("INSERT INTO t VALUES (4)").await), "store_full");
    assert_eq!(run("DELETE FROM t WHERE x = 1").await.expect("it is removed").results[0].changes, 1);
    run("DROP TABLE u").await.expect("it is removed");
    sql.script(&database, "DELETE FROM t WHERE x = 2; DROP TABLE IF EXISTS u;".into()).await.expect("it is removed");
    assert_eq!(run("SELECT count(*) FROM t").await.expect("it is readable").results[0].rows.len(), 1);
    let deleted = blobs.delete(&bucket, vec![DeleteKey::new("large")]).await.expect("it is removed").remove(0);
    assert!(deleted.expect("it is removed").existed);

    std::fs::remove_file(&ballast).expect("the ballast goes");
    while put("more").await.is_err() {
        std::thread::yield_now();
    }
    run("INSERT INTO t VALUES (4)").await.expect("there is room");
    assert!(reserve.metadata().expect("a reserve again").len() > 0);
    say("recovered");
}
