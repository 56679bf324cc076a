//! Random sequences of operations on blobs, compared with the memory model.

use base::Body;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::blob::{bucket, content, read};
use super::{Subject, block_on, random};
use crate::blob::{
    BlobInfo, BlobLimits, Blobs, Bucket, BucketChange, Conditions, CopyOptions, DeleteKey, Etags, Expected, GetOptions,
    ListOptions, PartWanted, PutOptions, RangeSpec, Source, UploadId, UploadOptions, Version, Versioning,
    VersionsOptions,
};
use crate::memory::MemoryBlobs;

#[derive(Clone, Debug)]
enum Op {
    Put { at: At, size: usize, when: When },
    Get { at: At, range: Option<(u64, u64)> },
    GetVersion { at: At, back: usize },
    Delete { at: At, when: When },
    DeleteVersion { at: At, back: usize },
    Copy { from: At, to: At },
    Tag { at: At, value: u8 },
    List { bucket: usize, prefix: usize, delimiter: bool, limit: usize },
    Versions { bucket: usize, prefix: usize, delimiter: bool, limit: usize },
    Versioning { bucket: usize, enabled: bool },
    Begin { at: At },
    Part { upload: usize, number: u32, size: usize },
    Complete { upload: usize },
    Abort { upload: usize },
    Uploads { bucket: usize },
    Advance(u64),
}

/// A key in a bucket.
#[derive(Clone, Copy, Debug)]
struct At {
    bucket: usize,
    key: usize,
}

#[derive(Clone, Copy, Debug)]
enum When {
    Always,
    Absent,
    Present,
    /// It has the tag of content of this size.
    Size(usize),
}

const KEYS: [&str; 6] = ["a", "a/1", "a/2", "a/b/c", "ä", "b/\u{10000}"];
const PREFIXES: [&str; 4] = ["", "a", "a/", "x"];
const SIZES: [usize; 6] = [0, 1, 100, 32_769, 65_536, 150_000];

pub fn compare<P: Blobs>(open: impl Fn() -> Subject<P>) {
    random("blobs", op(), |ops| block_on(run(&open(), ops)));
}

fn op() -> impl Strategy<Value = Op> {
    let at = || (0..2usize, 0..KEYS.len()).prop_map(|(bucket, key)| At { bucket, key });
    let size = || (0..SIZES.len()).prop_map(|n| SIZES[n]);
    let when = || {
        prop_oneof![
            5 => Just(When::Always),
            1 => Just(When::Absent),
            1 => Just(When::Present),
            2 => (0..SIZES.len()).prop_map(|n| When::Size(SIZES[n]))
        ]
    };
    let page = || (0..2usize, 0..PREFIXES.len(), any::<bool>(), 1..5usize);
    let range = proptest::option::weighted(0.5, (0..160_000u64, 1..100_000u64));
    prop_oneof![
        6 => (at(), size(), when()).prop_map(|(at, size, when)| Op::Put { at, size, when }),
        2 => (at(), range).prop_map(|(at, range)| Op::Get { at, range }),
        1 => (at(), 0..4usize).prop_map(|(at, back)| Op::GetVersion { at, back }),
        2 => (at(), when()).prop_map(|(at, when)| Op::Delete { at, when }),
        1 => (at(), 0..4usize).prop_map(|(at, back)| Op::DeleteVersion { at, back }),
        1 => (at(), at()).prop_map(|(from, to)| Op::Copy { from, to }),
        1 => (at(), any::<u8>()).prop_map(|(at, value)| Op::Tag { at, value }),
        2 => page().prop_map(|(bucket, prefix, delimiter, limit)| Op::List { bucket, prefix, delimiter, limit }),
        2 => page().prop_map(|(bucket, prefix, delimiter, limit)| Op::Versions { bucket, prefix, delimiter, limit }),
        1 => (0..2usize, any::<bool>()).prop_map(|(bucket, enabled)| Op::Versioning { bucket, enabled }),
        1 => at().prop_map(|at| Op::Begin { at }),
        2 => (0..3usize, 1..4u32, size()).prop_map(|(upload, number, size)| Op::Part { upload, number, size }),
        1 => (0..3usize).prop_map(|upload| Op::Complete { upload }),
        1 => (0..3usize).prop_map(|upload| Op::Abort { upload }),
        1 => (0..2usize).prop_map(|bucket| Op::Uploads { bucket }),
        1 => (1..5_000u64).prop_map(Op::Advance),
    ]
}

/// One side of the comparison, with what it named so far: versions in the order they were made,
/// and uploads.
struct Side<'a, B> {
    blobs: &'a B,
    versions: Vec<(usize, String, Version)>,
    uploads: Vec<(At, UploadId)>,
}

fn buckets() -> [Bucket; 2] {
    [bucket("shop", "files"), bucket("shop", "images")]
}

fn conditions(when: When, seed: u8) -> Conditions {
    let none = Conditions::default();
    match when {
        When::Always => none,
        When::Absent => Conditions { if_none_match: Some(Etags::Any), ..none },
        When::Present => Conditions { if_match: Some(Etags::Any), ..none },
        When::Size(size) => {
            let mut running = crate::blob::Running::new(Expected::default());
            running.update(&content(size, seed));
            let etag = running.finish().expect("nothing is expected").etag();
            Conditions { if_match: Some(Etags::Listed(vec![etag])), ..none }
        }
    }
}

/// What an operation showed, in words: numbers of versions and ids differ between the sides.
type Seen = Vec<String>;

impl<B: Blobs> Side<'_, B> {
    fn named(&self, at: At, back: usize) -> Option<Version> {
        let of_key = self.versions.iter().rev().filter(|(b, key, _)| (*b, key.as_str()) == (at.bucket, KEYS[at.key]));
        of_key.map(|(_, _, version)| *version).nth(back)
    }

    fn note(&mut self, bucket: usize, key: &str, version: Version) {
        self.versions.push((bucket, key.to_owned(), version));
    }

    fn words(&self, bucket: usize, info: &BlobInfo) -> String {
        let made = self.versions.iter().position(|(b, key, v)| *b == bucket && *key == info.key && *v == info.version);
        format!(
            "{:?} {made:?} null {} latest {} marker {} {} bytes {} at {} {:?} {:?} {:?}",
            info.key,
            info.version.null,
            info.latest,
            info.marker,
            info.size,
            info.etag,
            info.uploaded_ms,
            info.tags,
            info.checksum,
            info.parts
        )
    }

    async fn run(&mut self, op: &Op) -> Seen {
        match self.try_run(op).await {
            Ok(seen) => seen,
            Err(error) => vec![format!("{}: {error}", error.code().name)],
        }
    }

    async fn try_run(&mut self, op: &Op) -> Result<Seen, crate::blob::BlobError> {
        let all = buckets();
        match op.clone() {
            Op::Put { at, size, when } => {
                let options = PutOptions { conditions: conditions(when, at.key as u8), ..PutOptions::default() };
                let body = Body::full(content(size, at.key as u8));
                let info = self.blobs.put(&all[at.bucket], KEYS[at.key], body, options).await?.info;
                self.note(at.bucket, KEYS[at.key], info.version);
                Ok(vec![self.words(at.bucket, &info)])
            }
            Op::Get { at, range } => {
                let range = range.map(|(offset, length)| RangeSpec::From { offset, length: Some(length) });
                let options = GetOptions { range, ..GetOptions::default() };
                self.blobs.get(&all[at.bucket], KEYS[at.key], options.clone()).await?;
                let found = read(self.blobs, &all[at.bucket], KEYS[at.key], options).await;
                let head = self.blobs.head(&all[at.bucket], KEYS[at.key], None).await?;
                Ok(vec![format!("{:?}", found.map(|b| base::Digest::of(&b))), format!("{:?}", head.map(|i| i.etag))])
            }
            Op::GetVersion { at, back } => {
                let Some(version) = self.named(at, back) else { return Ok(Vec::new()) };
                let head = self.blobs.head(&all[at.bucket], KEYS[at.key], Some(version.id())).await?;
                Ok(head.iter().map(|info| self.words(at.bucket, info)).collect())
            }
            Op::Delete { at, when } => {
                let if_match = conditions(when, at.key as u8).if_match;
                self.delete(at, DeleteKey { if_match, ..DeleteKey::new(KEYS[at.key]) }).await
            }
            Op::DeleteVersion { at, back } => {
                let Some(version) = self.named(at, back) else { return Ok(Vec::new()) };
                self.delete(at, DeleteKey { version: Some(version.id()), ..DeleteKey::new(KEYS[at.key]) }).await
            }
            Op::Copy { from, to } => {
                let (bucket, key) = (&all[from.bucket], KEYS[from.key]);
                let source = Source { bucket, key, version: None, conditions: Conditions::default() };
                let copied = self.blobs.copy(source, &all[to.bucket], KEYS[to.key], CopyOptions::default()).await?;
                let Some(receipt) = copied else { return Ok(Vec::new()) };
                self.note(to.bucket, KEYS[to.key], receipt.info.version);
                Ok(vec![self.words(to.bucket, &receipt.info)])
            }
            Op::Tag { at, value } => {
                let tags = [("t".to_owned(), value.to_string())].into();
                Ok(vec![self.blobs.tag(&all[at.bucket], KEYS[at.key], None, tags).await?.to_string()])
            }
            Op::Versioning { bucket, enabled } => {
                let versioning = if enabled { Versioning::Enabled } else { Versioning::Suspended };
                self.blobs.change_bucket(&all[bucket], BucketChange::Versioning(versioning)).await?;
                Ok(Vec::new())
            }
            Op::List { .. } | Op::Versions { .. } => self.walk(op).await,
            Op::Begin { .. } | Op::Part { .. } | Op::Complete { .. } | Op::Abort { .. } | Op::Uploads { .. } => {
                self.upload(op).await
            }
            Op::Advance(_) => Ok(Vec::new()),
        }
    }

    async fn delete(&mut self, at: At, key: DeleteKey) -> Result<Seen, crate::blob::BlobError> {
        let deleted = self.blobs.delete(&buckets()[at.bucket], vec![key]).await?.remove(0)?;
        if let Some(marker) = deleted.marker {
            self.note(at.bucket, KEYS[at.key], marker);
        }
        Ok(vec![format!("{} {} {}", deleted.existed, deleted.was_marker, deleted.marker.is_some())])
    }

    async fn walk(&mut self, op: &Op) -> Result<Seen, crate::blob::BlobError> {
        let all = buckets();
        let mut seen = Vec::new();
        let slash = |delimiter: bool| delimiter.then(|| "/".to_owned());
        match *op {
            Op::List { bucket, prefix, delimiter, limit } => {
                let (prefix, delimiter) = (PREFIXES[prefix].to_owned(), slash(delimiter));
                let mut options = ListOptions { prefix, delimiter, after: None, limit: Some(limit) };
                loop {
                    let page = self.blobs.list(&all[bucket], options.clone()).await?;
                    seen.extend(page.blobs.iter().map(|info| self.words(bucket, info)));
                    seen.extend(page.prefixes);
                    let Some(next) = page.next else { return Ok(seen) };
                    options.after = Some(next);
                }
            }
            Op::Versions { bucket, prefix, delimiter, limit } => {
                let (prefix, delimiter) = (PREFIXES[prefix].to_owned(), slash(delimiter));
                let mut options = VersionsOptions { prefix, delimiter, after: None, limit: Some(limit) };
                loop {
                    let page = self.blobs.list_versions(&all[bucket], options.clone()).await?;
                    seen.extend(page.versions.iter().map(|info| self.words(bucket, info)));
                    seen.extend(page.prefixes);
                    let Some(next) = page.next else { return Ok(seen) };
                    options.after = Some(next);
                }
            }
            _ => Ok(seen),
        }
    }

    async fn upload(&mut self, op: &Op) -> Result<Seen, crate::blob::BlobError> {
        let all = buckets();
        let found = |n: usize| self.uploads.get(self.uploads.len().checked_sub(n + 1)?).cloned();
        match *op {
            Op::Begin { at } => {
                let id = self.blobs.create_upload(&all[at.bucket], KEYS[at.key], UploadOptions::default()).await?;
                self.uploads.push((at, id));
                Ok(Vec::new())
            }
            Op::Part { upload, number, size } => {
                let Some((at, id)) = found(upload) else { return Ok(Vec::new()) };
                let body = Body::full(content(size, number as u8));
                let (bucket, key) = (&all[at.bucket], KEYS[at.key]);
                let part = self.blobs.put_part(bucket, key, &id, number, body, Expected::default()).await?;
                Ok(vec![format!("{part:?}")])
            }
            Op::Complete { upload } => {
                let Some((at, id)) = found(upload) else { return Ok(Vec::new()) };
                let (bucket, key) = (&all[at.bucket], KEYS[at.key]);
                let (_, parts) = self.blobs.parts(bucket, key, &id, 0, 10).await?;
                let wanted = |part: &crate::blob::PartInfo| PartWanted {
                    number: part.number,
                    etag: part.etag.clone(),
                    checksum: None,
                };
                let parts = parts.iter().map(wanted).collect();
                let receipt = self.blobs.complete_upload(bucket, key, &id, parts, Conditions::default()).await?;
                self.note(at.bucket, key, receipt.info.version);
                Ok(vec![self.words(at.bucket, &receipt.info)])
            }
            Op::Abort { upload } => {
                let Some((at, id)) = found(upload) else { return Ok(Vec::new()) };
                Ok(vec![self.blobs.abort_upload(&all[at.bucket], KEYS[at.key], &id).await?.to_string()])
            }
            Op::Uploads { bucket } => {
                let page = self.blobs.uploads(&all[bucket], ListOptions::default()).await?;
                let mut seen: Seen = page.uploads.iter().map(|u| format!("{} {}", u.key, u.started_ms)).collect();
                seen.sort();
                Ok(seen)
            }
            _ => Ok(Vec::new()),
        }
    }
}

async fn run<P: Blobs>(subject: &Subject<P>, ops: Vec<Op>) -> Result<(), TestCaseError> {
    let model = MemoryBlobs::new(subject.clock.clone(), BlobLimits::default());
    let mut expected = Side { blobs: &model, versions: Vec::new(), uploads: Vec::new() };
    let mut found = Side { blobs: &*subject.provider, versions: Vec::new(), uploads: Vec::new() };
    for (n, op) in ops.iter().enumerate() {
        if let Op::Advance(ms) = op {
            (subject.advance)(*ms);
        }
        let (expected, found) = (expected.run(op).await, found.run(op).await);
        prop_assert_eq!(found, expected, "operation {}: {:?}", n, op);
    }
    Ok(())
}
