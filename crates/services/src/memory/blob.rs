use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::{Body, Clock, code};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::blob::{
    Blob, BlobError, BlobInfo, BlobLimits, Blobs, Bucket, BucketChange, BucketInfo, Conditions, Content, CopyOptions,
    DeleteKey, Deleted, Expected, GetOptions, HttpMetadata, ListOptions, ListPage, Map, PartInfo, PartWanted, Place,
    PutOptions, PutReceipt, Range, Running, ScrubReport, Settings, Source, UploadId, UploadInfo, UploadOptions,
    UploadsPage, Verdict, Version, VersionId, Versioning, VersionsOptions, VersionsPage, assemble, group_of,
};
use crate::{AppId, Durability};

/// [`Blobs`] on maps.
pub struct MemoryBlobs {
    clock: Arc<dyn Clock>,
    limits: BlobLimits,
    state: Mutex<State>,
}

/// Everything that a [`MemoryBlobs`] held at a moment.
#[derive(Clone, Default)]
pub struct BlobSnapshot(BTreeMap<Bucket, Held>);

#[derive(Default)]
struct State {
    buckets: BTreeMap<Bucket, Held>,
    /// One sequence for everything, so that it rises whatever is deleted.
    sequence: u64,
}

#[derive(Clone, Default)]
struct Held {
    created_ms: u64,
    settings: Settings,
    /// Of each key the versions, oldest first.
    keys: BTreeMap<String, Vec<Stored>>,
    uploads: BTreeMap<UploadId, Upload>,
}

#[derive(Clone)]
struct Stored {
    info: BlobInfo,
    content: Bytes,
}

#[derive(Clone)]
struct Upload {
    info: UploadInfo,
    parts: BTreeMap<u32, (PartInfo, Bytes)>,
}

/// What a new version is made of.
struct New {
    content: Bytes,
    etag: String,
    http: HttpMetadata,
    custom: Map,
    tags: Map,
    checksum: Option<crate::blob::Checksum>,
    parts: Option<u32>,
}

impl MemoryBlobs {
    pub fn new(clock: Arc<dyn Clock>, limits: BlobLimits) -> Self {
        Self { clock, limits, state: Mutex::default() }
    }

    pub fn snapshot(&self) -> BlobSnapshot {
        BlobSnapshot(self.state().buckets.clone())
    }

    /// Puts back what was there. Versions go on from where they are.
    pub fn restore(&self, snapshot: &BlobSnapshot) {
        self.state().buckets.clone_from(&snapshot.0);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn create<'a>(&self, state: &'a mut State, bucket: &Bucket) -> Result<(&'a mut Held, &'a mut u64), BlobError> {
        let of_app = state.buckets.keys().filter(|other| other.tenant == bucket.tenant && other.app == bucket.app);
        let buckets_max = self.limits.blob_buckets;
        if !state.buckets.contains_key(bucket) && of_app.count() >= buckets_max {
            return Err(BlobError::TooManyBuckets { buckets_max });
        }
        let created_ms = self.clock.unix_ms();
        let new = || Held { created_ms, ..Held::default() };
        Ok((state.buckets.entry(bucket.clone()).or_insert_with(new), &mut state.sequence))
    }

    fn find(&self, bucket: &Bucket, key: &str, version: Option<VersionId>) -> Option<Stored> {
        find(self.state().buckets.get(bucket)?, key, version)
    }

    async fn receive(&self, body: Body, expect: Expected) -> Result<(Bytes, crate::blob::Digests), BlobError> {
        let bytes_max = self.limits.blob_put_bytes;
        let content =
            body.collect(usize::try_from(bytes_max).unwrap_or(usize::MAX)).await.map_err(|error| {
                match error.code.name == code::BODY_TOO_LARGE.name {
                    true => BlobError::TooLarge { limit: "blob_put_bytes", bytes_max },
                    false => BlobError::Body(error),
                }
            })?;
        let mut running = Running::new(expect);
        running.update(&content);
        Ok((content, running.finish()?))
    }

    fn store(
        &self,
        state: &mut State,
        bucket: &Bucket,
        key: &str,
        conditions: &Conditions,
        new: New,
    ) -> Result<PutReceipt, BlobError> {
        let now_ms = self.clock.unix_ms();
        let app: u64 =
            state.buckets.iter().filter(|(b, _)| b.app_id() == bucket.app_id()).map(|(_, h)| h.bytes()).sum();
        let (bytes, bytes_max) = (app + new.content.len() as u64, self.limits.blob_app_bytes);
        if bytes > bytes_max {
            return Err(BlobError::Quota { bytes, bytes_max });
        }
        let new_bucket = !state.buckets.contains_key(bucket);
        let (held, sequence) = self.create(state, bucket)?;
        let versions = held.keys.entry(key.to_owned()).or_default();
        let checked = conditions.check(versions.last().map(|stored| &stored.info));
        if let Err(error) = checked {
            held.keys.retain(|_, versions| !versions.is_empty());
            if new_bucket {
                state.buckets.remove(bucket);
            }
            return Err(error);
        }
        *sequence += 1;
        let version = Version { number: *sequence, null: held.settings.versioning != Versioning::Enabled };
        if version.null {
            versions.retain(|stored| !stored.info.version.null);
        }
        let info = BlobInfo {
            key: key.into(),
            version,
            latest: true,
            marker: false,
            size: new.content.len() as u64,
            etag: new.etag,
            uploaded_ms: now_ms,
            http: new.http,
            custom: new.custom,
            tags: new.tags,
            checksum: new.checksum,
            parts: new.parts,
        };
        versions.push(Stored { info: info.clone(), content: new.content });
        settle(versions);
        Ok(PutReceipt { info, durability: Durability::Memory })
    }

    async fn put_one(
        &self,
        bucket: &Bucket,
        key: &str,
        body: Body,
        options: PutOptions,
    ) -> Result<PutReceipt, BlobError> {
        self.limits.check_put(key, &options)?;
        let (content, digests) = self.receive(body, options.expect).await?;
        let new = New {
            content,
            etag: digests.etag(),
            http: options.http,
            custom: options.custom,
            tags: options.tags,
            checksum: Some(digests.checksum),
            parts: None,
        };
        self.store(&mut self.state(), bucket, key, &options.conditions, new)
    }

    fn get_one(&self, bucket: &Bucket, key: &str, options: &GetOptions) -> Result<Option<Blob>, BlobError> {
        self.limits.check_key(key)?;
        let Some(Stored { info, content }) = self.find(bucket, key, options.version) else { return Ok(None) };
        let content = match options.conditions.judge(&info) {
            Verdict::NotModified => Content::NotModified,
            Verdict::Refused => Content::Refused,
            Verdict::Holds => {
                let range = options.range.map(|spec| spec.resolve(info.size)).transpose()?;
                let range = range.unwrap_or(Range::whole(info.size));
                let bytes = content.slice(range.offset as usize..range.end() as usize);
                Content::Bytes { body: Body::full(bytes), range }
            }
        };
        Ok(Some(Blob { info, content }))
    }

    fn delete_one(&self, state: &mut State, bucket: &Bucket, wanted: DeleteKey) -> Result<Deleted, BlobError> {
        self.limits.check_key(&wanted.key)?;
        let durability = Durability::Memory;
        let nothing = Deleted { existed: false, version: None, was_marker: false, marker: None, durability };
        let now_ms = self.clock.unix_ms();
        let Some(held) = state.buckets.get_mut(bucket) else {
            return if wanted.if_match.is_some() { Err(BlobError::Precondition { etag: None }) } else { Ok(nothing) };
        };
        let found = match wanted.version {
            None => held.keys.get(&wanted.key).and_then(|versions| versions.last()).cloned(),
            version => find(held, &wanted.key, version),
        };
        let conditions = Conditions { if_match: wanted.if_match, ..Conditions::default() };
        conditions.check(found.as_ref().map(|stored| &stored.info))?;
        let versioning = held.settings.versioning;
        let versions = held.keys.entry(wanted.key.clone()).or_default();
        let mut deleted = nothing;
        if let Some(id) = wanted.version {
            versions.retain(|stored| !id.is(stored.info.version));
            if let Some(stored) = found {
                deleted.existed = true;
                deleted.was_marker = stored.info.marker;
                deleted.version = Some(stored.info.version);
            }
        } else {
            deleted.existed = found.is_some_and(|stored| !stored.info.marker);
            if versioning != Versioning::Enabled {
                versions.retain(|stored| !stored.info.version.null);
            }
            if versioning != Versioning::Off {
                state.sequence += 1;
                let version = Version { number: state.sequence, null: versioning == Versioning::Suspended };
                versions.push(marker(&wanted.key, version, now_ms));
                deleted.marker = Some(version);
            }
        }
        settle(versions);
        held.keys.retain(|_, versions| !versions.is_empty());
        Ok(deleted)
    }

    fn list_page(&self, bucket: &Bucket, options: &ListOptions) -> Result<ListPage, BlobError> {
        let limit = self.limits.page(options.limit);
        let mut page = ListPage::default();
        let state = self.state();
        let Some(held) = state.buckets.get(bucket) else { return Ok(page) };
        let mut last = None;
        for (key, versions) in &held.keys {
            let Some(stored) = versions.last().filter(|stored| !stored.info.marker) else { continue };
            let Some(group) = next_entry(key, options, last.as_deref()) else { continue };
            if page.blobs.len() + page.prefixes.len() == limit {
                page.next = last;
                return Ok(page);
            }
            last = Some(group.unwrap_or(key).to_owned());
            match group {
                Some(group) => page.prefixes.push(group.to_owned()),
                None => page.blobs.push(stored.info.clone()),
            }
        }
        Ok(page)
    }

    fn versions_page(&self, bucket: &Bucket, options: &VersionsOptions) -> Result<VersionsPage, BlobError> {
        let limit = self.limits.page(options.limit);
        let mut page = VersionsPage::default();
        let state = self.state();
        let Some(held) = state.buckets.get(bucket) else { return Ok(page) };
        let mut last: Option<Place> = None;
        let after = options.after.as_ref();
        for (key, versions) in &held.keys {
            if !key.starts_with(&options.prefix) {
                continue;
            }
            let group = group_of(key, &options.prefix, options.delimiter.as_deref());
            for stored in versions.iter().rev() {
                let number = stored.info.version.number;
                let name = group.unwrap_or(key);
                let before = |place: &Place| match (group, place.version) {
                    (None, Some(version)) => key < &place.key || (key == &place.key && number >= version),
                    _ => key <= &place.key || name == place.key,
                };
                if after.is_some_and(before) || (group.is_some() && last.as_ref().is_some_and(before)) {
                    continue;
                }
                if page.versions.len() + page.prefixes.len() == limit {
                    page.next = last;
                    return Ok(page);
                }
                last = Some(Place { key: name.into(), version: group.is_none().then_some(number) });
                match group {
                    Some(group) => page.prefixes.push(group.into()),
                    None => page.versions.push(stored.info.clone()),
                }
            }
        }
        Ok(page)
    }

    fn uploads_page(&self, bucket: &Bucket, options: &ListOptions) -> UploadsPage {
        let limit = self.limits.page(options.limit);
        let mut page = UploadsPage::default();
        let state = self.state();
        let Some(held) = state.buckets.get(bucket) else { return page };
        let mut uploads: Vec<&UploadInfo> = held.uploads.values().map(|upload| &upload.info).collect();
        uploads.sort_by(|a, b| (&a.key, a.started_ms, &a.id).cmp(&(&b.key, b.started_ms, &b.id)));
        let mut last: Option<String> = None;
        for upload in uploads {
            let same_key = last.as_deref() == Some(&*upload.key);
            let Some(group) = next_entry(&upload.key, options, last.as_deref().filter(|_| !same_key)) else { continue };
            // All uploads of a key are in one page, so that the key alone is a place.
            if !same_key && page.uploads.len() + page.prefixes.len() >= limit {
                page.next = last;
                return page;
            }
            last = Some(group.unwrap_or(&upload.key).to_owned());
            match group {
                Some(group) => page.prefixes.push(group.to_owned()),
                None => page.uploads.push(upload.clone()),
            }
        }
        page
    }

    fn upload<'a>(
        state: &'a mut State,
        bucket: &Bucket,
        key: &str,
        id: &UploadId,
    ) -> Result<&'a mut Upload, BlobError> {
        let held = state.buckets.get_mut(bucket).ok_or(BlobError::NoUpload)?;
        held.uploads.get_mut(id).filter(|upload| upload.info.key == key).ok_or(BlobError::NoUpload)
    }

    async fn put_part_one(
        &self,
        bucket: &Bucket,
        key: &str,
        id: &UploadId,
        number: u32,
        body: Body,
        mut expect: Expected,
    ) -> Result<PartInfo, BlobError> {
        self.limits.check_part(number)?;
        expect.algorithm =
            expect.algorithm.or(Self::upload(&mut self.state(), bucket, key, id)?.info.options.algorithm);
        let (content, digests) = self.receive(body, expect).await?;
        let mut state = self.state();
        let upload = Self::upload(&mut state, bucket, key, id)?;
        let part = PartInfo {
            number,
            size: digests.size,
            etag: digests.etag(),
            checksum: digests.checksum,
            uploaded_ms: self.clock.unix_ms(),
        };
        upload.parts.insert(number, (part.clone(), content));
        Ok(part)
    }

    fn complete(
        &self,
        bucket: &Bucket,
        key: &str,
        id: &UploadId,
        wanted: &[PartWanted],
        conditions: &Conditions,
    ) -> Result<PutReceipt, BlobError> {
        let mut state = self.state();
        let upload = Self::upload(&mut state, bucket, key, id)?;
        let found = |number| upload.parts.get(&number).map(|(part, _)| part.clone());
        let (assembled, parts) = assemble(wanted, found, &upload.info.options, &self.limits)?;
        let content: Vec<u8> = parts.iter().flat_map(|part| upload.parts[&part.number].1.to_vec()).collect();
        let options = upload.info.options.clone();
        let new = New {
            content: content.into(),
            etag: assembled.etag,
            http: options.http,
            custom: options.custom,
            tags: options.tags,
            checksum: assembled.checksum,
            parts: Some(parts.len() as u32),
        };
        let receipt = self.store(&mut state, bucket, key, conditions, new)?;
        if let Some(held) = state.buckets.get_mut(bucket) {
            held.uploads.remove(id);
        }
        Ok(receipt)
    }

    fn copy_one(
        &self,
        from: &Source<'_>,
        bucket: &Bucket,
        key: &str,
        options: CopyOptions,
    ) -> Result<Option<PutReceipt>, BlobError> {
        self.limits.check_key(from.key)?;
        self.limits.check_key(key)?;
        if let Some((http, custom)) = &options.metadata {
            self.limits.check_metadata(http, custom)?;
        }
        if let Some(tags) = &options.tags {
            self.limits.check_tags(tags)?;
        }
        let mut state = self.state();
        let found = state.buckets.get(from.bucket).and_then(|held| find(held, from.key, from.version));
        let Some(Stored { info, content }) = found.filter(|stored| !stored.info.marker) else { return Ok(None) };
        if from.conditions.judge(&info) != Verdict::Holds {
            return Err(BlobError::Precondition { etag: Some(info.etag) });
        }
        let (http, custom) = options.metadata.unwrap_or((info.http, info.custom));
        let new = New {
            content,
            etag: info.etag,
            http,
            custom,
            tags: options.tags.unwrap_or(info.tags),
            checksum: info.checksum,
            parts: info.parts,
        };
        self.store(&mut state, bucket, key, &options.conditions, new).map(Some)
    }
}

impl Held {
    fn bytes(&self) -> u64 {
        let blobs = self.keys.values().flatten().map(|stored| stored.content.len());
        let parts = self.uploads.values().flat_map(|upload| upload.parts.values()).map(|(_, bytes)| bytes.len());
        blobs.chain(parts).sum::<usize>() as u64
    }
}

fn find(held: &Held, key: &str, version: Option<VersionId>) -> Option<Stored> {
    let versions = held.keys.get(key)?;
    match version {
        None => versions.last().filter(|stored| !stored.info.marker).cloned(),
        Some(id) => versions.iter().find(|stored| id.is(stored.info.version)).cloned(),
    }
}

/// Puts right which version is the latest.
fn settle(versions: &mut [Stored]) {
    let count = versions.len();
    versions.iter_mut().enumerate().for_each(|(n, stored)| stored.info.latest = n + 1 == count);
}

fn marker(key: &str, version: Version, now_ms: u64) -> Stored {
    let info = BlobInfo {
        key: key.into(),
        version,
        latest: true,
        marker: true,
        size: 0,
        etag: String::new(),
        uploaded_ms: now_ms,
        http: HttpMetadata::default(),
        custom: Map::new(),
        tags: Map::new(),
        checksum: None,
        parts: None,
    };
    Stored { info, content: Bytes::new() }
}

/// Whether a key makes an entry of a list, and if so, as which group. `last` is the entry before.
fn next_entry<'a>(key: &'a str, options: &ListOptions, last: Option<&str>) -> Option<Option<&'a str>> {
    let group = group_of(key, &options.prefix, options.delimiter.as_deref());
    let name = group.unwrap_or(key);
    let behind = |after: &str| key > after && name != after;
    let wanted = key.starts_with(&options.prefix) && options.after.as_deref().is_none_or(behind);
    (wanted && last != Some(name)).then_some(group)
}

impl Blobs for MemoryBlobs {
    fn create_bucket<'a>(&'a self, bucket: &'a Bucket) -> BoxFuture<'a, Result<bool, BlobError>> {
        async move {
            let mut state = self.state();
            let new = !state.buckets.contains_key(bucket);
            self.create(&mut state, bucket).map(|_| new)
        }
        .boxed()
    }

    fn delete_bucket<'a>(&'a self, bucket: &'a Bucket) -> BoxFuture<'a, Result<bool, BlobError>> {
        async move {
            let mut state = self.state();
            let Some(held) = state.buckets.get(bucket) else { return Ok(false) };
            if !held.keys.is_empty() || !held.uploads.is_empty() {
                return Err(BlobError::BucketNotEmpty);
            }
            Ok(state.buckets.remove(bucket).is_some())
        }
        .boxed()
    }

    fn buckets<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<Vec<BucketInfo>, BlobError>> {
        async move {
            let state = self.state();
            let of_app = state.buckets.iter().filter(|(bucket, _)| bucket.app_id() == *app);
            Ok(of_app.map(|(bucket, held)| held.info(bucket)).collect())
        }
        .boxed()
    }

    fn used<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<u64, BlobError>> {
        let state = self.state();
        let of_app = state.buckets.iter().filter(|(bucket, _)| bucket.app_id() == *app);
        std::future::ready(Ok(of_app.map(|(_, held)| held.bytes()).sum())).boxed()
    }

    fn bucket<'a>(&'a self, bucket: &'a Bucket) -> BoxFuture<'a, Result<Option<BucketInfo>, BlobError>> {
        async move { Ok(self.state().buckets.get(bucket).map(|held| held.info(bucket))) }.boxed()
    }

    fn change_bucket<'a>(&'a self, bucket: &'a Bucket, change: BucketChange) -> BoxFuture<'a, Result<(), BlobError>> {
        async move {
            let mut state = self.state();
            let held = state.buckets.get_mut(bucket).ok_or_else(|| BlobError::NoBucket(bucket.name.to_string()))?;
            let mut settings = held.settings.clone();
            settings.apply(change);
            self.limits.check_settings(&settings)?;
            held.settings = settings;
            Ok(())
        }
        .boxed()
    }

    fn head<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        version: Option<VersionId>,
    ) -> BoxFuture<'a, Result<Option<BlobInfo>, BlobError>> {
        async move {
            self.limits.check_key(key)?;
            Ok(self.find(bucket, key, version).map(|stored| stored.info))
        }
        .boxed()
    }

    fn get<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        options: GetOptions,
    ) -> BoxFuture<'a, Result<Option<Blob>, BlobError>> {
        async move { self.get_one(bucket, key, &options) }.boxed()
    }

    fn put<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutReceipt, BlobError>> {
        self.put_one(bucket, key, body, options).boxed()
    }

    fn copy<'a>(
        &'a self,
        from: Source<'a>,
        bucket: &'a Bucket,
        key: &'a str,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<Option<PutReceipt>, BlobError>> {
        async move { self.copy_one(&from, bucket, key, options) }.boxed()
    }

    fn delete<'a>(
        &'a self,
        bucket: &'a Bucket,
        keys: Vec<DeleteKey>,
    ) -> BoxFuture<'a, Result<Vec<Result<Deleted, BlobError>>, BlobError>> {
        async move {
            self.limits.check_delete(&keys)?;
            let mut state = self.state();
            Ok(keys.into_iter().map(|key| self.delete_one(&mut state, bucket, key)).collect())
        }
        .boxed()
    }

    fn tag<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        version: Option<VersionId>,
        tags: Map,
    ) -> BoxFuture<'a, Result<bool, BlobError>> {
        async move {
            self.limits.check_key(key)?;
            self.limits.check_tags(&tags)?;
            let Some(found) = self.find(bucket, key, version).filter(|stored| !stored.info.marker) else {
                return Ok(false);
            };
            let mut state = self.state();
            let versions = state.buckets.get_mut(bucket).and_then(|held| held.keys.get_mut(key));
            for stored in versions.into_iter().flatten().filter(|s| s.info.version == found.info.version) {
                stored.info.tags.clone_from(&tags);
            }
            Ok(true)
        }
        .boxed()
    }

    fn list<'a>(&'a self, bucket: &'a Bucket, options: ListOptions) -> BoxFuture<'a, Result<ListPage, BlobError>> {
        async move { self.list_page(bucket, &options) }.boxed()
    }

    fn list_versions<'a>(
        &'a self,
        bucket: &'a Bucket,
        options: VersionsOptions,
    ) -> BoxFuture<'a, Result<VersionsPage, BlobError>> {
        async move { self.versions_page(bucket, &options) }.boxed()
    }

    fn create_upload<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        options: UploadOptions,
    ) -> BoxFuture<'a, Result<UploadId, BlobError>> {
        async move {
            self.limits.check_key(key)?;
            self.limits.check_metadata(&options.http, &options.custom)?;
            self.limits.check_tags(&options.tags)?;
            let mut state = self.state();
            let (held, sequence) = self.create(&mut state, bucket)?;
            let uploads_max = self.limits.blob_uploads;
            if held.uploads.len() >= uploads_max {
                return Err(BlobError::TooManyUploads { uploads_max });
            }
            *sequence += 1;
            let id = UploadId::new(u128::from(*sequence).to_be_bytes());
            let info = UploadInfo { id: id.clone(), key: key.into(), started_ms: self.clock.unix_ms(), options };
            held.uploads.insert(id.clone(), Upload { info, parts: BTreeMap::new() });
            Ok(id)
        }
        .boxed()
    }

    fn put_part<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        upload: &'a UploadId,
        number: u32,
        body: Body,
        expect: Expected,
    ) -> BoxFuture<'a, Result<PartInfo, BlobError>> {
        self.put_part_one(bucket, key, upload, number, body, expect).boxed()
    }

    fn parts<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        upload: &'a UploadId,
        after: u32,
        limit: usize,
    ) -> BoxFuture<'a, Result<(UploadInfo, Vec<PartInfo>), BlobError>> {
        async move {
            let mut state = self.state();
            let upload = Self::upload(&mut state, bucket, key, upload)?;
            let parts = upload.parts.range(after.saturating_add(1)..).take(limit).map(|(_, (part, _))| part.clone());
            Ok((upload.info.clone(), parts.collect()))
        }
        .boxed()
    }

    fn uploads<'a>(
        &'a self,
        bucket: &'a Bucket,
        options: ListOptions,
    ) -> BoxFuture<'a, Result<UploadsPage, BlobError>> {
        async move { Ok(self.uploads_page(bucket, &options)) }.boxed()
    }

    fn complete_upload<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        upload: &'a UploadId,
        parts: Vec<PartWanted>,
        conditions: Conditions,
    ) -> BoxFuture<'a, Result<PutReceipt, BlobError>> {
        async move { self.complete(bucket, key, upload, &parts, &conditions) }.boxed()
    }

    fn abort_upload<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        upload: &'a UploadId,
    ) -> BoxFuture<'a, Result<bool, BlobError>> {
        async move {
            let mut state = self.state();
            if Self::upload(&mut state, bucket, key, upload).is_err() {
                return Ok(false);
            }
            Ok(state.buckets.get_mut(bucket).is_some_and(|held| held.uploads.remove(upload).is_some()))
        }
        .boxed()
    }

    fn scrub<'a>(&'a self, bucket: &'a Bucket) -> BoxFuture<'a, Result<ScrubReport, BlobError>> {
        async move {
            let state = self.state();
            let mut report = ScrubReport::default();
            for stored in state.buckets.get(bucket).into_iter().flat_map(|held| held.keys.values().flatten()) {
                if !stored.info.marker {
                    report.blobs += 1;
                    report.bytes += stored.info.size;
                }
            }
            Ok(report)
        }
        .boxed()
    }
}

impl Held {
    fn info(&self, bucket: &Bucket) -> BucketInfo {
        BucketInfo { name: bucket.name.clone(), created_ms: self.created_ms, settings: self.settings.clone() }
    }
}
