//! The promise of order, for providers that keep what was read: a read that starts after a receipt
//! sees that write or a later one, and no read goes behind another.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use base::Body;
use bytes::Bytes;

use super::blob::{bucket, read};
use super::{Subject, block_on};
use crate::blob::{
    Blobs, Bucket, Conditions, CopyOptions, DeleteKey, Etags, Expected, GetOptions, Map, PartWanted, PutOptions,
    Source, UploadOptions,
};

const KEY: &str = "key";
/// Writes that others read beside.
const WRITES: u64 = 200;

/// Twice, so that the second read may come from what the first left.
async fn read_twice<P: Blobs>(blobs: &P, files: &Bucket) -> (Option<Bytes>, Map) {
    let first = read(blobs, files, KEY, GetOptions::default()).await;
    let again = blobs.get(files, KEY, GetOptions::default()).await.expect("get");
    let tags = again.map(|blob| blob.info.tags).unwrap_or_default();
    assert_eq!(read(blobs, files, KEY, GetOptions::default()).await, first);
    (first, tags)
}

async fn put<P: Blobs>(blobs: &P, files: &Bucket, key: &str, text: &str) {
    blobs.put(files, key, Body::full(text.to_owned()), PutOptions::default()).await.expect("put");
}

pub(super) async fn what_was_read_before_is_read_anew<P: Blobs>(subject: &Subject<P>) {
    let (blobs, files) = (&*subject.provider, bucket("shop", "files"));
    let text = |text: &str| (Some(Bytes::from(text.to_owned())), Map::new());
    assert_eq!(read_twice(blobs, &files).await, (None, Map::new()));
    put(blobs, &files, KEY, "one").await;
    assert_eq!(read_twice(blobs, &files).await, text("one"));
    put(blobs, &files, KEY, "two").await;
    assert_eq!(read_twice(blobs, &files).await, text("two"));
    let tags = Map::from([("tag".to_owned(), "1".to_owned())]);
    assert!(blobs.tag(&files, KEY, None, tags.clone()).await.expect("tag"));
    assert_eq!(read_twice(blobs, &files).await, (text("two").0, tags));
    put(blobs, &files, "other", "three").await;
    let source = Source { bucket: &files, key: "other", version: None, conditions: Conditions::default() };
    assert!(blobs.copy(source, &files, KEY, CopyOptions::default()).await.expect("copy").is_some());
    assert_eq!(read_twice(blobs, &files).await, text("three"));
    let id = blobs.create_upload(&files, KEY, UploadOptions::default()).await.expect("create");
    let part = blobs.put_part(&files, KEY, &id, 1, Body::full("four"), Expected::default()).await.expect("part");
    assert_eq!(read_twice(blobs, &files).await, text("three"));
    let parts = vec![PartWanted { number: 1, etag: part.etag, checksum: None }];
    blobs.complete_upload(&files, KEY, &id, parts, Conditions::default()).await.expect("complete");
    assert_eq!(read_twice(blobs, &files).await, text("four"));
    blobs.delete(&files, vec![DeleteKey::new(KEY)]).await.expect("delete").remove(0).expect("it goes");
    assert_eq!(read_twice(blobs, &files).await, (None, Map::new()));
    put(blobs, &files, KEY, "five").await;
    assert_eq!(read_twice(blobs, &files).await, text("five"));
    // A write that is refused changes nothing of what is read.
    let absent = Conditions { if_none_match: Some(Etags::Any), ..Conditions::default() };
    let refused = PutOptions { conditions: absent, ..PutOptions::default() };
    blobs.put(&files, KEY, Body::full("six"), refused).await.expect_err("it is there");
    assert_eq!(read_twice(blobs, &files).await, text("five"));
}

/// A writer counts up; whoever reads sees at least what was acknowledged, and what anybody saw.
pub(super) fn who_reads_beside_a_writer_never_goes_back<P: Blobs>(subject: &Subject<P>) {
    let (blobs, files) = (&*subject.provider, bucket("shop", "files"));
    let (seen, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let check = |number: u64, before: u64| {
        assert!(number >= before, "{number} was read after {before}");
        seen.fetch_max(number, Ordering::SeqCst);
    };
    std::thread::scope(|threads| {
        for reader in 0..2 {
            let (seen, over, check, files) = (&seen, &over, &check, &files);
            threads.spawn(move || {
                block_on(async {
                    while !over.load(Ordering::SeqCst) {
                        let before = seen.load(Ordering::SeqCst);
                        let number = match reader {
                            0 => {
                                let text = read(blobs, files, KEY, GetOptions::default()).await;
                                text.map_or(0, |text| String::from_utf8_lossy(&text).parse().expect("a number"))
                            }
                            _ => blobs.head(files, KEY, None).await.expect("head").map_or(0, |info| info.size),
                        };
                        check(number, before);
                    }
                });
            });
        }
        let _over = Over(&over);
        block_on(async {
            for number in 1..=WRITES {
                // Its length says the same, for those who read no content.
                let content = format!("{number:0width$}", width = number as usize);
                put(blobs, &files, KEY, &content).await;
                check(number, number);
            }
        });
    });
}

/// Says so to those who read, also when a check fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
