use base::{AppName, Body, BodyError, ResourceName, TenantName, code};
use bytes::Bytes;
use futures_util::future::join_all;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};

use super::{Subject, blob_model, blob_reads, block_on, usage};
use crate::blob::{
    Algorithm, BlobError, BlobLimits, Blobs, Bucket, BucketChange, Checksum, Conditions, Content, CopyOptions,
    DeleteKey, Etags, Expected, GetOptions, HttpMetadata, ListOptions, Map, PartWanted, PutOptions, PutReceipt,
    RangeSpec, Source, UploadOptions, VersionId, Versioning, VersionsOptions,
};

/// The suite of [`Blobs`]. `open` gives a fresh provider with the default limits.
pub fn blobs<P: Blobs>(open: impl Fn() -> Subject<P>) {
    block_on(async {
        blobs_come_back_as_they_were_put(&open()).await;
        ranges_are_what_was_asked_for(&open()).await;
        conditions_hold_at_the_moment_of_the_write(&open()).await;
        of_writers_that_race_one_wins(&open()).await;
        a_failed_put_changes_nothing(&open()).await;
        a_body_is_one_version(&open()).await;
        lists_are_ordered_paged_and_complete(&open()).await;
        versions_stay_until_they_are_deleted(&open()).await;
        uploads_are_whole_or_nothing(&open()).await;
        copies_and_tags_stand_alone(&open()).await;
        blob_reads::what_was_read_before_is_read_anew(&open()).await;
        buckets_share_nothing(&open()).await;
        bad_input_is_refused(&open()).await;
        usage::blobs_are_counted(&*open().provider).await;
    });
    blob_reads::who_reads_beside_a_writer_never_goes_back(&open());
    blob_model::compare(open);
}

pub(super) fn bucket(app: &str, name: &str) -> Bucket {
    Bucket::new(
        TenantName::parse("acme").expect("a name"),
        AppName::parse(app).expect("a name"),
        ResourceName::parse(name).expect("a name"),
    )
}

pub(super) fn content(size: usize, seed: u8) -> Bytes {
    (0..size as u32).map(|i| (i % 251) as u8 ^ (i >> 11) as u8 ^ seed).collect::<Vec<u8>>().into()
}

/// A body in pieces, which can't be taken whole.
fn pieces(bytes: &Bytes) -> Body {
    let frames: Vec<_> = bytes.chunks(10_000).map(|c| Ok(Frame::data(Bytes::copy_from_slice(c)))).collect();
    Body::stream(StreamBody::new(futures_util::stream::iter(frames)))
}

async fn put(blobs: &impl Blobs, bucket: &Bucket, key: &str, bytes: impl Into<Bytes>) -> PutReceipt {
    blobs.put(bucket, key, Body::full(bytes), PutOptions::default()).await.expect("put")
}

pub(super) async fn read(blobs: &impl Blobs, bucket: &Bucket, key: &str, options: GetOptions) -> Option<Bytes> {
    let blob = blobs.get(bucket, key, options).await.expect("get")?;
    match blob.content {
        Content::Bytes { body, .. } => Some(body.collect(usize::MAX).await.expect("the content")),
        other => panic!("no content: {other:?}"),
    }
}

fn map(pairs: &[(&str, &str)]) -> Map {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

async fn blobs_come_back_as_they_were_put<P: Blobs>(subject: &Subject<P>) {
    let (blobs, files) = (&*subject.provider, bucket("shop", "files"));
    assert!(blobs.head(&files, "a", None).await.expect("head").is_none());
    assert!(blobs.get(&files, "a", GetOptions::default()).await.expect("get").is_none());
    for key in ["a", "A", "ä/é", "a\0b", "../../etc/passwd", ".", "/", "a b+c%20", &"k".repeat(1_024)] {
        put(blobs, &files, key, format!("content of {key}")).await;
        let found = read(blobs, &files, key, GetOptions::default()).await.expect("it is there");
        assert_eq!(found, format!("content of {key}"), "{key:?}");
    }
    for size in [0, 1, 32 << 10, 65_535, 65_536, 65_537, 131_072, 1_000_000] {
        for (seed, body) in [(1, content(size, 1)), (2, content(size, 2))] {
            let body = if seed == 1 { Body::full(body) } else { pieces(&body) };
            let options = PutOptions {
                http: HttpMetadata { content_type: Some("text/x".into()), ..HttpMetadata::default() },
                custom: map(&[("n", "ü"), ("m", "")]),
                tags: map(&[("t", "1")]),
                ..PutOptions::default()
            };
            let receipt = blobs.put(&files, "v", body, options.clone()).await.expect("put");
            let blob = blobs.get(&files, "v", GetOptions::default()).await.expect("get").expect("it is there");
            assert_eq!(blob.info, receipt.info);
            assert_eq!((blob.info.size, &blob.info.http), (size as u64, &options.http));
            assert_eq!((&blob.info.custom, &blob.info.tags), (&options.custom, &options.tags));
            assert_eq!(blob.info.checksum, Some(Algorithm::Crc64Nvme.of(&content(size, seed))));
            assert_eq!(blob.info.uploaded_ms, subject.clock.unix_ms());
            assert_eq!(blobs.head(&files, "v", None).await.expect("head"), Some(blob.info));
            assert_eq!(read(blobs, &files, "v", GetOptions::default()).await.expect("there"), content(size, seed));
        }
    }
    let known = put(blobs, &files, "etag", "hello").await.info;
    assert_eq!(known.etag, "5d41402abc4b2a76b9719d911017c592");
    let report = blobs.scrub(&files).await.expect("scrub");
    assert_eq!((report.blobs, report.damaged.len()), (11, 0));
}

async fn ranges_are_what_was_asked_for<P: Blobs>(subject: &Subject<P>) {
    let (blobs, files) = (&*subject.provider, bucket("shop", "files"));
    let whole = content(300_000, 3);
    put(blobs, &files, "f", whole.clone()).await;
    put(blobs, &files, "empty", "").await;
    let spec = |offset, length| RangeSpec::From { offset, length };
    for (spec, expect) in [
        (spec(0, Some(1)), 0..1),
        (spec(65_535, Some(2)), 65_535..65_537),
        (spec(65_536, Some(65_536)), 65_536..131_072),
        (spec(100, None), 100..300_000),
        (spec(299_999, Some(50)), 299_999..300_000),
        (RangeSpec::Last(70_000), 230_000..300_000),
        (RangeSpec::Last(1_000_000), 0..300_000),
    ] {
        let options = GetOptions { range: Some(spec), ..GetOptions::default() };
        assert_eq!(read(blobs, &files, "f", options).await.expect("there"), whole.slice(expect), "{spec:?}");
    }
    for (key, spec) in [("f", spec(300_000, None)), ("f", RangeSpec::Last(0)), ("empty", spec(0, None))] {
        let options = GetOptions { range: Some(spec), ..GetOptions::default() };
        let error = blobs.get(&files, key, options).await.expect_err("no such range");
        assert_eq!(error.code().name, code::BLOB_RANGE.name);
    }
}

fn put_if(conditions: Conditions) -> PutOptions {
    PutOptions { conditions, ..PutOptions::default() }
}

fn absent() -> Conditions {
    Conditions { if_none_match: Some(Etags::Any), ..Conditions::default() }
}

fn matching(etag: &str) -> Conditions {
    Conditions { if_match: Some(Etags::parse(etag)), ..Conditions::default() }
}

async fn conditions_hold_at_the_moment_of_the_write<P: Blobs>(subject: &Subject<P>) {
    let (blobs, files) = (&*subject.provider, bucket("shop", "files"));
    let write = |text: &'static str, conditions| blobs.put(&files, "k", Body::full(text), put_if(conditions));
    let refused = |error: BlobError| match error {
        BlobError::Precondition { etag } => etag,
        other => panic!("expected a condition, found {other}"),
    };
    assert_eq!(refused(write("x", matching("*")).await.expect_err("absent")), None);
    let first = write("one", absent()).await.expect("absent").info.etag;
    assert_eq!(refused(write("x", absent()).await.expect_err("present")), Some(first.clone()));
    let second = write("two", matching(&first)).await.expect("unchanged").info.etag;
    refused(write("x", matching(&first)).await.expect_err("changed"));
    let get = |conditions| blobs.get(&files, "k", GetOptions { conditions, ..GetOptions::default() });
    let found = get(matching(&first)).await.expect("get").expect("there");
    assert!(matches!(found.content, Content::Refused));
    let fresh = Conditions { if_none_match: Some(Etags::parse(&second)), ..Conditions::default() };
    let found = get(fresh).await.expect("get").expect("there");
    assert!(matches!(found.content, Content::NotModified) && found.info.etag == second);
    let delete = |tag: &str| vec![DeleteKey { if_match: Some(Etags::parse(tag)), ..DeleteKey::new("k") }];
    let outcome = blobs.delete(&files, delete(&first)).await.expect("delete");
    assert_eq!(refused(outcome[0].clone().expect_err("changed")), Some(second.clone()));
    assert!(blobs.delete(&files, delete(&second)).await.expect("delete")[0].clone().expect("unchanged").existed);
    write("again", absent()).await.expect("absent again");
}

async fn of_writers_that_race_one_wins<P: Blobs>(subject: &Subject<P>) {
    let (blobs, files) = (&*subject.provider, bucket("shop", "files"));
    let racers = (0..32).map(|n| blobs.put(&files, "lock", Body::full(format!("{n}")), put_if(absent())));
    let outcomes = join_all(racers).await;
    let winners: Vec<usize> = (0..32).filter(|&n| outcomes[n].is_ok()).collect();
    assert_eq!(winners.len(), 1);
    let found = read(blobs, &files, "lock", GetOptions::default()).await.expect("the winner's");
    assert_eq!(found, winners[0].to_string());
}

async fn a_failed_put_changes_nothing<P: Blobs>(subject: &Subject<P>) {
    let (blobs, files) = (&*subject.provider, bucket("shop", "files"));
    put(blobs, &files, "f", "old").await;
    for size in [10, 300_000] {
        let frames = [Ok(Frame::data(content(size, 1))), Err(BodyError::gone())];
        let torn = Body::stream(StreamBody::new(futures_util::stream::iter(frames)));
        let error = blobs.put(&files, "f", torn, PutOptions::default()).await.expect_err("a torn body");
        assert_eq!(error.code().name, code::CLIENT_GONE.name);
        let wrong = |algorithm: Algorithm| Checksum { value: vec![0; algorithm.bytes()], ..algorithm.of(b"") };
        let mut expectations: Vec<Expected> =
            Algorithm::ALL.map(|algorithm| Expected { checksum: Some(wrong(algorithm)), ..Expected::default() }).into();
        expectations.push(Expected { md5: Some([0; 16]), ..Expected::default() });
        expectations.push(Expected { sha256: Some([0; 32]), ..Expected::default() });
        expectations.push(Expected { trailer: Some(Default::default()), ..Expected::default() });
        for expect in expectations {
            let options = PutOptions { expect, ..PutOptions::default() };
            let error = blobs.put(&files, "f", Body::full(content(size, 2)), options).await.expect_err("wrong");
            assert_eq!(error.code().name, code::BLOB_DIGEST.name);
        }
        let options = PutOptions { expect: Expected { size: Some(9), ..Expected::default() }, ..PutOptions::default() };
        let error = blobs.put(&files, "f", pieces(&content(size, 2)), options).await.expect_err("another size");
        assert_eq!(error.code().name, code::BLOB_LENGTH.name);
        assert_eq!(read(blobs, &files, "f", GetOptions::default()).await.expect("there"), "old");
    }
    for algorithm in Algorithm::ALL {
        let bytes = content(100_000, 5);
        let checksum = algorithm.of(&bytes);
        let options = PutOptions {
            expect: Expected { checksum: Some(checksum.clone()), ..Expected::default() },
            ..PutOptions::default()
        };
        let receipt = blobs.put(&files, "f", pieces(&bytes), options).await.expect("the right checksum");
        assert_eq!(receipt.info.checksum, Some(checksum));
    }
}

async fn a_body_is_one_version<P: Blobs>(subject: &Subject<P>) {
    let (blobs, files) = (&*subject.provider, bucket("shop", "files"));
    let body = async |key: &str| match blobs.get(&files, key, GetOptions::default()).await.expect("get") {
        Some(crate::blob::Blob { content: Content::Bytes { body, .. }, .. }) => body,
        other => panic!("no content: {other:?}"),
    };
    put(blobs, &files, "f", content(400_000, 1)).await;
    let slow = body("f").await;
    put(blobs, &files, "f", content(400_000, 2)).await;
    let mut halfway = body("f").await;
    let first = halfway.frame().await.expect("a frame").expect("data").into_data().expect("data");
    blobs.delete(&files, vec![DeleteKey::new("f")]).await.expect("delete");
    assert_eq!(slow.collect(1 << 20).await.expect("the first version"), content(400_000, 1));
    let rest = halfway.collect(1 << 20).await.expect("the second version");
    assert_eq!([first, rest].concat(), content(400_000, 2));
}

async fn lists_are_ordered_paged_and_complete<P: Blobs>(subject: &Subject<P>) {
    let (blobs, files) = (&*subject.provider, bucket("shop", "files"));
    // In the order of their bytes, which is neither that of any locale nor that of UTF-16.
    let names = ["A", "a", "a\u{0}", "a/", "a/1", "a/10", "a/2/x", "a/2/y", "a/\u{ffff}", "a/\u{10000}", "a0", "b/c"];
    for name in names.iter().rev() {
        put(blobs, &files, name, "x").await;
    }
    for (prefix, delimiter, limit) in [
        ("", None, 1),
        ("", None, 5),
        ("a/", None, 3),
        ("", Some("/"), 1),
        ("", Some("/"), 100),
        ("a/", Some("/"), 2),
        ("", Some("2/"), 3),
        ("a/2", Some("/"), 1),
        ("zz", Some("/"), 1),
        ("", Some("a"), 1),
    ] {
        let mut expected: Vec<String> = Vec::new();
        for name in names.into_iter().filter(|name| name.starts_with(prefix)) {
            let entry = crate::blob::group_of(name, prefix, delimiter).unwrap_or(name);
            if expected.last().map(String::as_str) != Some(entry) {
                expected.push(entry.to_owned());
            }
        }
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let delimiter = delimiter.map(str::to_owned);
            let options = ListOptions { prefix: prefix.into(), delimiter, after: after.take(), limit: Some(limit) };
            let page = blobs.list(&files, options).await.expect("list");
            let mut entries: Vec<String> = page.blobs.into_iter().map(|info| info.key).chain(page.prefixes).collect();
            assert!(entries.len() <= limit);
            entries.sort();
            found.extend(entries);
            after = page.next;
            if after.is_none() {
                break;
            }
            assert_eq!(after, found.last().cloned());
        }
        assert_eq!(found, expected, "{prefix:?} {delimiter:?}, {limit} a page");
    }
    let after = |after: &str, delimiter: Option<&str>| ListOptions {
        after: Some(after.into()),
        delimiter: delimiter.map(str::to_owned),
        ..ListOptions::default()
    };
    let page = blobs.list(&files, after("a/1", Some("/"))).await.expect("list");
    assert_eq!(page.prefixes, ["a/", "b/"], "keys behind the place make their prefix visible");
    let page = blobs.list(&files, after("a/", Some("/"))).await.expect("list");
    assert_eq!(page.prefixes, ["b/"], "a prefix that is the place itself is behind it as a whole");
    let page = blobs.list(&files, ListOptions { limit: Some(0), ..ListOptions::default() }).await.expect("list");
    assert!(page.blobs.is_empty());
}

async fn versions_stay_until_they_are_deleted<P: Blobs>(subject: &Subject<P>) {
    let (blobs, files) = (&*subject.provider, bucket("shop", "files"));
    let whole = |version: VersionId| GetOptions { version: Some(version), ..GetOptions::default() };
    let null = put(blobs, &files, "k", "null").await.info.version;
    assert_eq!(null.id(), VersionId::Null);
    blobs.change_bucket(&files, BucketChange::Versioning(Versioning::Enabled)).await.expect("enable");
    let one = put(blobs, &files, "k", "one").await.info.version;
    let two = put(blobs, &files, "k", content(100_000, 2)).await.info.version;
    assert!(null < one && one < two && !two.null);
    assert_eq!(read(blobs, &files, "k", whole(VersionId::Null)).await.expect("kept"), "null");
    assert_eq!(read(blobs, &files, "k", whole(one.id())).await.expect("kept"), "one");
    let deleted = blobs.delete(&files, vec![DeleteKey::new("k")]).await.expect("delete")[0].clone().expect("deleted");
    let marker = deleted.marker.expect("a marker");
    assert!(blobs.head(&files, "k", None).await.expect("head").is_none());
    assert!(blobs.head(&files, "k", Some(marker.id())).await.expect("head").expect("the marker").marker);
    assert!(blobs.list(&files, ListOptions::default()).await.expect("list").blobs.is_empty());
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let options = VersionsOptions { after: after.take(), limit: Some(1), ..VersionsOptions::default() };
        let page = blobs.list_versions(&files, options).await.expect("list");
        seen.extend(page.versions.into_iter().map(|info| (info.version, info.latest)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, [(marker, true), (two, false), (one, false), (null, false)]);
    assert!(matches!(blobs.delete_bucket(&files).await, Err(BlobError::BucketNotEmpty)));
    let remove = |version: VersionId| vec![DeleteKey { version: Some(version), ..DeleteKey::new("k") }];
    let gone = blobs.delete(&files, remove(marker.id())).await.expect("delete")[0].clone().expect("deleted");
    assert!(gone.existed && gone.was_marker && gone.version == Some(marker));
    assert_eq!(read(blobs, &files, "k", GetOptions::default()).await.expect("back"), content(100_000, 2));
    blobs.delete(&files, remove(two.id())).await.expect("delete");
    assert_eq!(read(blobs, &files, "k", GetOptions::default()).await.expect("the one before"), "one");
    blobs.change_bucket(&files, BucketChange::Versioning(Versioning::Suspended)).await.expect("suspend");
    let replaced = put(blobs, &files, "k", "new null").await.info.version;
    assert!(replaced.null && blobs.head(&files, "k", Some(one.id())).await.expect("head").is_some());
    let marker = blobs.delete(&files, vec![DeleteKey::new("k")]).await.expect("delete")[0].clone().expect("deleted");
    assert!(marker.marker.expect("a marker").null);
    for version in [VersionId::Null, one.id()] {
        blobs.delete(&files, remove(version)).await.expect("delete");
    }
    assert!(blobs.delete_bucket(&files).await.expect("it is empty"));
}

async fn uploads_are_whole_or_nothing<P: Blobs>(subject: &Subject<P>) {
    let (blobs, files) = (&*subject.provider, bucket("shop", "files"));
    let options = UploadOptions { custom: map(&[("a", "b")]), ..UploadOptions::default() };
    let id = blobs.create_upload(&files, "big", options.clone()).await.expect("create");
    let part = |number, body: Bytes| blobs.put_part(&files, "big", &id, number, pieces(&body), Expected::default());
    let (large, last) = (content(5 << 20, 1), content(70_000, 2));
    let second = part(7, last.clone()).await.expect("part");
    part(2, content(9, 9)).await.expect("part");
    let first = part(2, large.clone()).await.expect("the same part again");
    part(9, content(100, 3)).await.expect("a part that is left out");
    assert!(blobs.head(&files, "big", None).await.expect("head").is_none());
    let (info, parts) = blobs.parts(&files, "big", &id, 2, 10).await.expect("parts");
    assert_eq!((info.key.as_str(), &info.options), ("big", &options));
    assert_eq!(parts.iter().map(|part| part.number).collect::<Vec<_>>(), [7, 9]);
    assert_eq!(blobs.uploads(&files, ListOptions::default()).await.expect("uploads").uploads, [info]);
    let want =
        |part: &crate::blob::PartInfo| PartWanted { number: part.number, etag: part.etag.clone(), checksum: None };
    let complete = |parts, conditions| blobs.complete_upload(&files, "big", &id, parts, conditions);
    let fails = |parts, code: base::Code| async move {
        let error = complete(parts, Conditions::default()).await.expect_err(code.name);
        assert_eq!(error.code().name, code.name);
    };
    fails(vec![want(&second), want(&first)], &code::PART_ORDER).await;
    fails(vec![PartWanted { number: 3, ..want(&first) }], &code::BAD_PART).await;
    fails(vec![PartWanted { etag: "x".into(), ..want(&first) }], &code::BAD_PART).await;
    fails(vec![PartWanted { checksum: Some(vec![1]), ..want(&first) }], &code::BAD_PART).await;
    fails(vec![], &code::BAD_PART).await;
    fails(
        vec![want(&second), PartWanted { number: 9, etag: parts[1].etag.clone(), checksum: None }],
        &code::PART_TOO_SMALL,
    )
    .await;
    complete(vec![want(&first)], matching("*")).await.expect_err("nothing is there yet");
    let receipt = complete(vec![want(&first), want(&second)], absent()).await.expect("complete");
    assert_eq!((receipt.info.parts, receipt.info.size), (Some(2), (5 << 20) + 70_000));
    assert!(receipt.info.etag.ends_with("-2"));
    let whole = Bytes::from([large, last].concat());
    assert_eq!(receipt.info.checksum, Some(Algorithm::Crc64Nvme.of(&whole)));
    assert_eq!(read(blobs, &files, "big", GetOptions::default()).await.expect("there"), whole);
    let across = RangeSpec::From { offset: (5 << 20) - 10, length: Some(20) };
    let options = GetOptions { range: Some(across), ..GetOptions::default() };
    assert_eq!(read(blobs, &files, "big", options).await.expect("there"), whole.slice((5 << 20) - 10..(5 << 20) + 10));
    let again = complete(vec![want(&first)], Conditions::default()).await.expect_err("it was completed");
    assert_eq!(again.code().name, code::NO_UPLOAD.name);
    let other = blobs.create_upload(&files, "other", UploadOptions::default()).await.expect("create");
    blobs.put_part(&files, "other", &other, 1, Body::full("x"), Expected::default()).await.expect("part");
    assert!(blobs.abort_upload(&files, "other", &other).await.expect("abort"));
    assert!(!blobs.abort_upload(&files, "other", &other).await.expect("abort again"));
    let late = blobs.put_part(&files, "other", &other, 2, Body::full("x"), Expected::default()).await;
    assert_eq!(late.expect_err("aborted").code().name, code::NO_UPLOAD.name);
    assert!(blobs.uploads(&files, ListOptions::default()).await.expect("uploads").uploads.is_empty());
}

async fn copies_and_tags_stand_alone<P: Blobs>(subject: &Subject<P>) {
    let (blobs, files, other) = (&*subject.provider, bucket("shop", "files"), bucket("shop", "other"));
    let options = PutOptions { custom: map(&[("a", "b")]), tags: map(&[("t", "1")]), ..PutOptions::default() };
    for size in [100, 200_000] {
        let bytes = content(size, 4);
        blobs.put(&files, "from", Body::full(bytes.clone()), options.clone()).await.expect("put");
        let source = |conditions| Source { bucket: &files, key: "from", version: None, conditions };
        let plain = CopyOptions::default();
        let receipt = blobs.copy(source(Conditions::default()), &other, "to", plain).await.expect("copy");
        let receipt = receipt.expect("the source is there");
        assert_eq!((&receipt.info.custom, &receipt.info.tags), (&options.custom, &options.tags));
        let replaced = CopyOptions {
            metadata: Some((HttpMetadata::default(), map(&[("c", "d")]))),
            tags: Some(Map::new()),
            ..CopyOptions::default()
        };
        // Onto itself, as clients change metadata.
        let receipt = blobs.copy(source(Conditions::default()), &files, "from", replaced).await.expect("copy");
        assert_eq!(receipt.expect("it is there").info.custom, map(&[("c", "d")]));
        let refused = blobs.copy(source(matching("x")), &other, "to", CopyOptions::default()).await;
        assert_eq!(refused.expect_err("another tag").code().name, code::BLOB_PRECONDITION.name);
        blobs.delete(&files, vec![DeleteKey::new("from")]).await.expect("delete");
        assert_eq!(read(blobs, &other, "to", GetOptions::default()).await.expect("the copy stays"), bytes);
        let gone = blobs.copy(source(Conditions::default()), &other, "to", CopyOptions::default()).await;
        assert!(gone.expect("copy").is_none());
    }
    assert!(blobs.tag(&other, "to", None, map(&[("x", "y")])).await.expect("tag"));
    assert_eq!(blobs.head(&other, "to", None).await.expect("head").expect("there").tags, map(&[("x", "y")]));
    assert!(!blobs.tag(&other, "none", None, Map::new()).await.expect("tag"));
}

async fn buckets_share_nothing<P: Blobs>(subject: &Subject<P>) {
    let blobs = &*subject.provider;
    let (one, two, three) = (bucket("shop", "files"), bucket("shop", "images"), bucket("blog", "files"));
    assert!(blobs.bucket(&one).await.expect("bucket").is_none());
    assert!(blobs.create_bucket(&one).await.expect("create") && !blobs.create_bucket(&one).await.expect("again"));
    put(blobs, &one, "k", "one").await;
    put(blobs, &two, "k", "two").await;
    assert!(read(blobs, &three, "k", GetOptions::default()).await.is_none());
    let names = |infos: Vec<crate::blob::BucketInfo>| infos.into_iter().map(|info| info.name.to_string());
    assert!(names(blobs.buckets(&one.app_id()).await.expect("buckets")).eq(["files", "images"]));
    assert!(blobs.buckets(&three.app_id()).await.expect("buckets").is_empty());
    blobs.delete(&one, vec![DeleteKey::new("k"), DeleteKey::new("none")]).await.expect("delete");
    assert!(blobs.delete_bucket(&one).await.expect("delete") && !blobs.delete_bucket(&one).await.expect("again"));
    assert_eq!(read(blobs, &two, "k", GetOptions::default()).await.expect("untouched"), "two");
    let missing = blobs.change_bucket(&one, BucketChange::Versioning(Versioning::Enabled)).await;
    assert_eq!(missing.expect_err("it is gone").code().name, code::NO_BUCKET.name);
}

async fn bad_input_is_refused<P: Blobs>(subject: &Subject<P>) {
    let (blobs, files, limits) = (&*subject.provider, bucket("shop", "files"), BlobLimits::default());
    let long = "k".repeat(limits.blob_key_bytes + 1);
    for (key, expected) in [("", &code::KEY_EMPTY), (&long, &code::BLOB_KEY_TOO_LONG)] {
        let errors = [
            blobs.head(&files, key, None).await.map(drop).expect_err("head"),
            blobs.get(&files, key, GetOptions::default()).await.map(drop).expect_err("get"),
            blobs.put(&files, key, Body::empty(), PutOptions::default()).await.map(drop).expect_err("put"),
            blobs.create_upload(&files, key, UploadOptions::default()).await.map(drop).expect_err("upload"),
            blobs.delete(&files, vec![DeleteKey::new(key)]).await.expect("delete").remove(0).expect_err("delete"),
        ];
        errors.iter().for_each(|error| assert_eq!(error.code().name, expected.name, "{key:?}: {error}"));
    }
    let many = (0..=limits.blob_delete_keys).map(|n| DeleteKey::new(n.to_string())).collect();
    assert_eq!(blobs.delete(&files, many).await.expect_err("many").code().name, code::BLOB_TOO_MANY_KEYS.name);
    let customs = [
        (map(&[("a", &"m".repeat(limits.blob_metadata_bytes))]), &code::BLOB_METADATA_TOO_LARGE),
        (map(&[("a b", "x")]), &code::BLOB_BAD_METADATA),
        (map(&[("a", "x\r\ny")]), &code::BLOB_BAD_METADATA),
    ];
    for (custom, expected) in customs {
        let options = PutOptions { custom, ..PutOptions::default() };
        let error = blobs.put(&files, "k", Body::empty(), options).await.expect_err("bad metadata");
        assert_eq!(error.code().name, expected.name);
    }
    let tags: Map = (0..=limits.blob_tags).map(|n| (n.to_string(), String::new())).collect();
    for tags in [tags, map(&[("", "x")]), map(&[("x", &"v".repeat(257))])] {
        let options = PutOptions { tags, ..PutOptions::default() };
        let error = blobs.put(&files, "k", Body::empty(), options).await.expect_err("bad tags");
        assert_eq!(error.code().name, code::BLOB_BAD_TAGS.name);
    }
    let id = blobs.create_upload(&files, "k", UploadOptions::default()).await.expect("create");
    for number in [0, limits.blob_parts + 1] {
        let part = blobs.put_part(&files, "k", &id, number, Body::full("x"), Expected::default()).await;
        assert_eq!(part.expect_err("no such number").code().name, code::BAD_PART.name);
    }
    assert!(blobs.head(&files, "k", None).await.expect("head").is_none());
}
