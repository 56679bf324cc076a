//! `wasi:blobstore` over the blob bindings of a worker: a container is the bucket that the binding of
//! its name opens.
//!
//! What is read streams: a piece waits until the guest takes it. What is written is held until it is
//! finished, and may be as large as the worker's memory (`memory_mib`): the interface names the object
//! before, between or after the bytes. Containers are bindings, so none is made or removed here, but for
//! what is in it; to ask for one that is there is no error.

mod bindings;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::Body;
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use services::blob::{
    BlobError, BlobInfo, Blobs, Bucket, Conditions, Content, CopyOptions, DeleteKey, GetOptions, ListOptions,
    PutOptions, RangeSpec, Source,
};
use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, InputStream, Pollable, StreamError, StreamResult};
use worker::Handle;

use self::bindings::wasi::blobstore::types::{ContainerMetadata, ObjectId, ObjectMetadata};
use self::bindings::wasi::blobstore::{blobstore, container, types};
use super::host::Host;

/// The draft that is served.
pub const VERSION: &str = "0.2.0-draft";

/// Names that one look at a container brings.
const PAGE_KEYS: usize = 1_000;

/// An opened bucket, by the name of its binding.
#[derive(Clone)]
pub struct Container {
    name: String,
    provider: Arc<dyn Blobs>,
    bucket: Bucket,
}

/// A list that is being read.
pub struct Names {
    container: Container,
    /// What was listed and not yet read.
    ahead: std::vec::IntoIter<String>,
    /// Where the next page begins; `None` at the end.
    next: Option<ListOptions>,
}

pub struct IncomingValue {
    body: Body,
    size: u64,
}

/// Bytes that are to become an object.
pub struct OutgoingValue {
    bytes: MemoryOutputPipe,
    taken: bool,
    /// Under which names.
    targets: Vec<(Container, String)>,
}

type Error = String;
/// Trapped, or answered.
type Answer<T> = wasmtime::Result<Result<T, Error>>;

pub fn define(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    types::add_to_linker::<_, HasSelf<Host>>(linker, |host| host)?;
    container::add_to_linker::<_, HasSelf<Host>>(linker, |host| host)?;
    blobstore::add_to_linker::<_, HasSelf<Host>>(linker, |host| host)
}

fn failed(error: &BlobError) -> Error {
    format!("{}: {error}", error.code().name)
}

fn missing(name: &str) -> Error {
    format!("{}: there is no object {name:?}", base::code::KEY_MISSING.name)
}

impl Host {
    fn blob_call(&self, reads: u64, writes: u64) -> Result<(), Error> {
        let invocation = self.invocation();
        let refused = |failure: worker::Failure| format!("{}: {}", failure.code.name, failure.detail);
        invocation.meter.subrequest(&invocation.env.limits).map_err(refused)?;
        invocation.meter.blob_reads.fetch_add(reads, Ordering::Relaxed);
        invocation.meter.blob_writes.fetch_add(writes, Ordering::Relaxed);
        Ok(())
    }

    fn named(&self, name: &str) -> Result<Container, Error> {
        match self.env().bindings.iter().find(|(binding, _)| binding.as_str() == name) {
            Some((_, Handle::Blob { provider, bucket })) => {
                Ok(Container { name: name.into(), provider: provider.clone(), bucket: bucket.clone() })
            }
            _ => Err(format!("{}: no binding {name:?} of the worker is a bucket", base::code::NOT_FOUND.name)),
        }
    }

    fn value_bytes_max(&self) -> usize {
        (self.env().limits.memory_mib as usize) << 20
    }

    /// Both ends of a copy, which is counted.
    fn ends(&self, from: &ObjectId, to: &ObjectId) -> Result<[Container; 2], Error> {
        let ends = [self.named(&from.container)?, self.named(&to.container)?];
        self.blob_call(1, 1)?;
        Ok(ends)
    }
}

impl Container {
    async fn head(&self, key: &str) -> Result<Option<BlobInfo>, Error> {
        self.provider.head(&self.bucket, key, None).await.map_err(|error| failed(&error))
    }

    async fn get(&self, key: &str, start: u64, end: u64) -> Result<IncomingValue, Error> {
        let range = RangeSpec::From { offset: start, length: Some(end.saturating_sub(start).saturating_add(1)) };
        let mut options = GetOptions { range: Some(range), ..GetOptions::default() };
        if start == 0 && end == u64::MAX {
            options.range = None;
        }
        let found = self.provider.get(&self.bucket, key, options).await.map_err(|error| failed(&error))?;
        match found.map(|blob| blob.content) {
            Some(Content::Bytes { body, range }) => Ok(IncomingValue { body, size: range.length }),
            Some(Content::NotModified | Content::Refused) | None => Err(missing(key)),
        }
    }

    async fn delete(&self, keys: Vec<String>) -> Result<(), Error> {
        let keys = keys.into_iter().map(DeleteKey::new).collect();
        let deleted = self.provider.delete(&self.bucket, keys).await.map_err(|error| failed(&error))?;
        deleted.into_iter().try_for_each(|one| one.map(drop)).map_err(|error| failed(&error))
    }

    async fn copy(&self, key: &str, to: &Container, name: &str) -> Result<(), Error> {
        let from = Source { bucket: &self.bucket, key, version: None, conditions: Conditions::default() };
        let copied = to.provider.copy(from, &to.bucket, name, CopyOptions::default()).await;
        copied.map_err(|error| failed(&error))?.map(drop).ok_or_else(|| missing(key))
    }

    fn names(&self) -> Names {
        let next = Some(ListOptions { limit: Some(PAGE_KEYS), ..ListOptions::default() });
        Names { container: self.clone(), ahead: Vec::new().into_iter(), next }
    }
}

impl Names {
    /// The next names, at most so many, and whether they were the last.
    async fn read(&mut self, most: usize) -> Result<(Vec<String>, bool), Error> {
        let mut names = Vec::new();
        loop {
            names.extend(self.ahead.by_ref().take(most - names.len()));
            let Some(options) = self.next.take_if(|_| self.ahead.len() == 0) else { break };
            if names.len() == most {
                self.next = Some(options);
                break;
            }
            let Container { provider, bucket, .. } = &self.container;
            let page = provider.list(bucket, options.clone()).await.map_err(|error| failed(&error))?;
            self.next = page.next.map(|last| ListOptions { after: Some(last), ..options });
            self.ahead = page.blobs.into_iter().map(|blob| blob.key).collect::<Vec<_>>().into_iter();
        }
        Ok((names, self.ahead.len() == 0 && self.next.is_none()))
    }
}

impl types::Host for Host {}

impl types::HostOutgoingValue for Host {
    async fn new_outgoing_value(&mut self) -> wasmtime::Result<Resource<OutgoingValue>> {
        let bytes = MemoryOutputPipe::new(self.value_bytes_max());
        Ok(self.table().push(OutgoingValue { bytes, taken: false, targets: Vec::new() })?)
    }

    async fn outgoing_value_write_body(
        &mut self,
        value: Resource<OutgoingValue>,
    ) -> wasmtime::Result<Result<Resource<DynOutputStream>, ()>> {
        let value = self.table().get_mut(&value)?;
        if std::mem::replace(&mut value.taken, true) {
            return Ok(Err(()));
        }
        let stream: DynOutputStream = Box::new(value.bytes.clone());
        Ok(Ok(self.table().push(stream)?))
    }

    async fn finish(&mut self, value: Resource<OutgoingValue>) -> Answer<()> {
        let OutgoingValue { bytes, targets, .. } = self.table().delete(value)?;
        let bytes = bytes.contents();
        if bytes.len() >= self.value_bytes_max() {
            let max = self.env().limits.memory_mib;
            return Ok(Err(format!("{}: the value has {max} MiB (memory_mib)", base::code::BODY_TOO_LARGE.name)));
        }
        for (container, key) in targets {
            if let Err(refused) = self.blob_call(0, 1) {
                return Ok(Err(refused));
            }
            let body = Body::full(bytes.clone());
            let put = container.provider.put(&container.bucket, &key, body, PutOptions::default()).await;
            if let Err(error) = put {
                return Ok(Err(failed(&error)));
            }
        }
        Ok(Ok(()))
    }

    async fn drop(&mut self, value: Resource<OutgoingValue>) -> wasmtime::Result<()> {
        self.table().delete(value)?;
        Ok(())
    }
}

impl types::HostIncomingValue for Host {
    async fn incoming_value_consume_sync(&mut self, value: Resource<IncomingValue>) -> Answer<Vec<u8>> {
        let IncomingValue { body, .. } = self.table().delete(value)?;
        let bytes = body.collect(self.value_bytes_max()).await;
        Ok(bytes.map(|bytes| bytes.to_vec()).map_err(|error| format!("{}: {error}", error.code.name)))
    }

    async fn incoming_value_consume_async(
        &mut self,
        value: Resource<IncomingValue>,
    ) -> Answer<Resource<DynInputStream>> {
        let IncomingValue { body, .. } = self.table().delete(value)?;
        let stream: DynInputStream = Box::new(BodyStream { body, ready: None, over: false });
        Ok(Ok(self.table().push(stream)?))
    }

    async fn size(&mut self, value: Resource<IncomingValue>) -> wasmtime::Result<u64> {
        Ok(self.table().get(&value)?.size)
    }

    async fn drop(&mut self, value: Resource<IncomingValue>) -> wasmtime::Result<()> {
        self.table().delete(value)?;
        Ok(())
    }
}

impl container::Host for Host {}

impl container::HostContainer for Host {
    async fn name(&mut self, container: Resource<Container>) -> Answer<String> {
        Ok(Ok(self.table().get(&container)?.name.clone()))
    }

    async fn info(&mut self, container: Resource<Container>) -> Answer<ContainerMetadata> {
        let Container { name, provider, bucket } = self.table().get(&container)?.clone();
        if let Err(refused) = self.blob_call(1, 0) {
            return Ok(Err(refused));
        }
        let info = provider.bucket(&bucket).await;
        // One that nothing was written to is not made yet.
        let created = |info: Option<services::blob::BucketInfo>| info.map_or(0, |info| info.created_ms / 1_000);
        Ok(info.map(|info| ContainerMetadata { name, created_at: created(info) }).map_err(|error| failed(&error)))
    }

    async fn get_data(
        &mut self,
        container: Resource<Container>,
        name: String,
        start: u64,
        end: u64,
    ) -> Answer<Resource<IncomingValue>> {
        let container = self.table().get(&container)?.clone();
        if let Err(refused) = self.blob_call(1, 0) {
            return Ok(Err(refused));
        }
        match container.get(&name, start, end).await {
            Ok(value) => Ok(Ok(self.table().push(value)?)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn write_data(
        &mut self,
        container: Resource<Container>,
        name: String,
        value: Resource<OutgoingValue>,
    ) -> Answer<()> {
        let container = self.table().get(&container)?.clone();
        self.table().get_mut(&value)?.targets.push((container, name));
        Ok(Ok(()))
    }

    async fn list_objects(&mut self, container: Resource<Container>) -> Answer<Resource<Names>> {
        let names = self.table().get(&container)?.names();
        Ok(Ok(self.table().push(names)?))
    }

    async fn delete_object(&mut self, container: Resource<Container>, name: String) -> Answer<()> {
        container::HostContainer::delete_objects(self, container, vec![name]).await
    }

    async fn delete_objects(&mut self, container: Resource<Container>, names: Vec<String>) -> Answer<()> {
        let container = self.table().get(&container)?.clone();
        if let Err(refused) = self.blob_call(0, names.len() as u64) {
            return Ok(Err(refused));
        }
        Ok(container.delete(names).await)
    }

    async fn has_object(&mut self, container: Resource<Container>, name: String) -> Answer<bool> {
        let container = self.table().get(&container)?.clone();
        if let Err(refused) = self.blob_call(1, 0) {
            return Ok(Err(refused));
        }
        Ok(container.head(&name).await.map(|found| found.is_some()))
    }

    async fn object_info(&mut self, container: Resource<Container>, name: String) -> Answer<ObjectMetadata> {
        let container = self.table().get(&container)?.clone();
        if let Err(refused) = self.blob_call(1, 0) {
            return Ok(Err(refused));
        }
        let found = container.head(&name).await.and_then(|found| found.ok_or_else(|| missing(&name)));
        Ok(found.map(|info| ObjectMetadata {
            name,
            container: container.name,
            created_at: info.uploaded_ms / 1_000,
            size: info.size,
        }))
    }

    async fn clear(&mut self, container: Resource<Container>) -> Answer<()> {
        let container = self.table().get(&container)?.clone();
        let mut names = container.names();
        loop {
            let (page, last) = match names.read(PAGE_KEYS).await {
                Ok(read) => read,
                Err(error) => return Ok(Err(error)),
            };
            if let Err(refused) = self.blob_call(1, page.len() as u64) {
                return Ok(Err(refused));
            }
            if let Err(error) = container.delete(page).await {
                return Ok(Err(error));
            }
            if last {
                return Ok(Ok(()));
            }
        }
    }

    async fn drop(&mut self, container: Resource<Container>) -> wasmtime::Result<()> {
        self.table().delete(container)?;
        Ok(())
    }
}

impl container::HostStreamObjectNames for Host {
    async fn read_stream_object_names(&mut self, names: Resource<Names>, len: u64) -> Answer<(Vec<String>, bool)> {
        if let Err(refused) = self.blob_call(1, 0) {
            return Ok(Err(refused));
        }
        let most = usize::try_from(len).unwrap_or(usize::MAX).min(PAGE_KEYS);
        Ok(self.table().get_mut(&names)?.read(most).await)
    }

    async fn skip_stream_object_names(&mut self, names: Resource<Names>, num: u64) -> Answer<(u64, bool)> {
        if let Err(refused) = self.blob_call(1, 0) {
            return Ok(Err(refused));
        }
        let (mut skipped, names) = (0, self.table().get_mut(&names)?);
        loop {
            let most = usize::try_from(num - skipped).unwrap_or(usize::MAX).min(PAGE_KEYS);
            let (read, last) = match names.read(most).await {
                Ok(read) => read,
                Err(error) => return Ok(Err(error)),
            };
            skipped += read.len() as u64;
            if last || skipped == num {
                return Ok(Ok((skipped, last)));
            }
        }
    }

    async fn drop(&mut self, names: Resource<Names>) -> wasmtime::Result<()> {
        self.table().delete(names)?;
        Ok(())
    }
}

impl blobstore::Host for Host {
    async fn create_container(&mut self, name: String) -> Answer<Resource<Container>> {
        self.get_container(name).await
    }

    async fn get_container(&mut self, name: String) -> Answer<Resource<Container>> {
        match self.named(&name) {
            Ok(container) => Ok(Ok(self.table().push(container)?)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn delete_container(&mut self, name: String) -> Answer<()> {
        let refused = "a container is a binding of the worker; clear() it, or remove the bucket with an S3 client";
        Ok(Err(match self.named(&name) {
            Ok(_) => format!("{}: {refused}", base::code::BAD_REQUEST.name),
            Err(error) => error,
        }))
    }

    async fn container_exists(&mut self, name: String) -> Answer<bool> {
        Ok(Ok(self.named(&name).is_ok()))
    }

    async fn copy_object(&mut self, from: ObjectId, to: ObjectId) -> Answer<()> {
        match self.ends(&from, &to) {
            Ok([source, target]) => Ok(source.copy(&from.object, &target, &to.object).await),
            Err(refused) => Ok(Err(refused)),
        }
    }

    async fn move_object(&mut self, from: ObjectId, to: ObjectId) -> Answer<()> {
        let [source, target] = match self.ends(&from, &to) {
            Ok(ends) => ends,
            Err(refused) => return Ok(Err(refused)),
        };
        let copied = source.copy(&from.object, &target, &to.object).await;
        let same = source.bucket == target.bucket && from.object == to.object;
        Ok(match copied {
            Ok(()) if !same => source.delete(vec![from.object]).await,
            other => other,
        })
    }
}

/// A blob's bytes on their way to the guest, a frame at a time.
struct BodyStream {
    body: Body,
    ready: Option<Result<Bytes, Error>>,
    over: bool,
}

#[async_trait]
impl Pollable for BodyStream {
    async fn ready(&mut self) {
        while self.ready.is_none() && !self.over {
            match self.body.frame().await {
                None => self.over = true,
                Some(Err(error)) => self.ready = Some(Err(format!("{}: {error}", error.code.name))),
                Some(Ok(frame)) => self.ready = frame.into_data().ok().filter(|data| !data.is_empty()).map(Ok),
            }
        }
    }
}

#[async_trait]
impl InputStream for BodyStream {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        match self.ready.take() {
            None if self.over || self.body.is_end_stream() => Err(StreamError::Closed),
            None => Ok(Bytes::new()),
            Some(Ok(mut data)) => {
                let taken = data.split_to(size.min(data.len()));
                self.ready =
                    Some(Ok(data)).filter(|rest: &Result<Bytes, Error>| rest.as_ref().is_ok_and(|d| !d.is_empty()));
                Ok(taken)
            }
            Some(Err(error)) => {
                self.over = true;
                Err(StreamError::LastOperationFailed(wasmtime::Error::msg(error)))
            }
        }
    }
}
