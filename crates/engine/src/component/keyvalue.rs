//! `wasi:keyvalue` (store, atomics, batch) over the KV bindings of a worker: a bucket is the
//! namespace that the binding of its name opens.
//!
//! What the host keeps for a guest is small: a bucket is the place of a binding, a compare-and-swap
//! handle a key and a revision. Several keys are set or deleted in one transaction, all or none,
//! which is more than the interface asks for.

mod bindings;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::Body;
use bytes::Bytes;
use services::kv::{Action, Condition, Kv, KvError, KvNamespace, ListOptions, PutOptions, Transaction, Write};
use wasmtime::component::{HasSelf, Linker, Resource};
use worker::{Handle, Meter};

use self::bindings::wasi::keyvalue::atomics::{self, CasError};
use self::bindings::wasi::keyvalue::batch;
use self::bindings::wasi::keyvalue::store::{self, Error, KeyResponse};
use super::host::Host;

/// The draft that is served.
pub const VERSION: &str = "0.2.0-draft2";

/// An opened namespace.
#[derive(Clone)]
pub struct Bucket {
    provider: Arc<dyn Kv>,
    namespace: KvNamespace,
}

/// A key as it was seen.
pub struct Cas {
    bucket: Bucket,
    key: String,
    revision: Option<u64>,
}

/// Trapped, or answered.
type Answer<T, E = Error> = wasmtime::Result<Result<T, E>>;

pub fn define(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    store::add_to_linker::<_, HasSelf<Host>>(linker, |host| host)?;
    atomics::add_to_linker::<_, HasSelf<Host>>(linker, |host| host)?;
    batch::add_to_linker::<_, HasSelf<Host>>(linker, |host| host)
}

fn failed(error: &KvError) -> Error {
    Error::Other(format!("{}: {error}", error.code().name))
}

impl Host {
    /// Counts a call, which reads or writes so many keys.
    fn count(&self, reads: usize, writes: usize) -> Result<(), Error> {
        let invocation = self.invocation();
        let meter: &Meter = &invocation.meter;
        let refused = |failure: worker::Failure| Error::Other(format!("{}: {}", failure.code.name, failure.detail));
        meter.subrequest(&invocation.env.limits).map_err(refused)?;
        meter.kv_reads.fetch_add(reads as u64, Ordering::Relaxed);
        meter.kv_writes.fetch_add(writes as u64, Ordering::Relaxed);
        Ok(())
    }

    fn bucket(&mut self, bucket: &Resource<Bucket>) -> wasmtime::Result<Bucket> {
        Ok(self.table().get(bucket)?.clone())
    }

    async fn commit(&mut self, bucket: Bucket, writes: Vec<Write>) -> Result<Vec<i64>, Error> {
        self.count(0, writes.len())?;
        let transaction = Transaction { checks: Vec::new(), writes };
        let receipt = bucket.provider.commit(&bucket.namespace, transaction).await;
        receipt.map(|receipt| receipt.sums).map_err(|error| failed(&error))
    }
}

impl Bucket {
    /// The value and its revision.
    async fn read(&self, key: &str) -> Result<Option<(Vec<u8>, u64)>, Error> {
        let entry = self.provider.get(&self.namespace, key).await.map_err(|error| failed(&error))?;
        let Some(entry) = entry else { return Ok(None) };
        let revision = entry.revision;
        let value = entry.bytes().await.map_err(|error| failed(&error))?;
        Ok(Some((value.to_vec(), revision)))
    }
}

impl store::Host for Host {
    async fn open(&mut self, identifier: String) -> Answer<Resource<Bucket>> {
        let found = self.env().bindings.iter().find(|(name, _)| name.as_str() == identifier);
        let Some((_, Handle::Kv { provider, namespace })) = found else { return Ok(Err(Error::NoSuchStore)) };
        let bucket = Bucket { provider: provider.clone(), namespace: namespace.clone() };
        Ok(Ok(self.table().push(bucket)?))
    }
}

impl store::HostBucket for Host {
    async fn get(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<Option<Vec<u8>>> {
        let bucket = self.bucket(&bucket)?;
        if let Err(refused) = self.count(1, 0) {
            return Ok(Err(refused));
        }
        Ok(bucket.read(&key).await.map(|found| found.map(|(value, _)| value)))
    }

    async fn set(&mut self, bucket: Resource<Bucket>, key: String, value: Vec<u8>) -> Answer<()> {
        let bucket = self.bucket(&bucket)?;
        if let Err(refused) = self.count(0, 1) {
            return Ok(Err(refused));
        }
        let put = bucket.provider.put(&bucket.namespace, &key, Body::full(value), PutOptions::default()).await;
        Ok(put.map(drop).map_err(|error| failed(&error)))
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<()> {
        let bucket = self.bucket(&bucket)?;
        if let Err(refused) = self.count(0, 1) {
            return Ok(Err(refused));
        }
        let deleted = bucket.provider.delete(&bucket.namespace, &key, Condition::Always).await;
        Ok(deleted.map(drop).map_err(|error| failed(&error)))
    }

    async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<bool> {
        let bucket = self.bucket(&bucket)?;
        if let Err(refused) = self.count(1, 0) {
            return Ok(Err(refused));
        }
        let entry = bucket.provider.get(&bucket.namespace, &key).await;
        Ok(entry.map(|entry| entry.is_some()).map_err(|error| failed(&error)))
    }

    async fn list_keys(&mut self, bucket: Resource<Bucket>, cursor: Option<String>) -> Answer<KeyResponse> {
        let bucket = self.bucket(&bucket)?;
        if let Err(refused) = self.count(1, 0) {
            return Ok(Err(refused));
        }
        let options = ListOptions { cursor, ..ListOptions::default() };
        let page = bucket.provider.list(&bucket.namespace, options).await;
        let response = page
            .map(|page| KeyResponse { keys: page.keys.into_iter().map(|key| key.name).collect(), cursor: page.cursor });
        Ok(response.map_err(|error| failed(&error)))
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table().delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for Host {
    async fn increment(&mut self, bucket: Resource<Bucket>, key: String, delta: i64) -> Answer<i64> {
        let bucket = self.bucket(&bucket)?;
        let sums = self.commit(bucket, vec![Write { key, action: Action::Add(delta) }]).await;
        Ok(sums.map(|sums| sums.first().copied().unwrap_or_default()))
    }

    async fn swap(&mut self, cas: Resource<Cas>, value: Vec<u8>) -> Answer<(), CasError> {
        let Cas { bucket, key, revision } = self.table().delete(cas)?;
        if let Err(refused) = self.count(0, 1) {
            return Ok(Err(CasError::StoreError(refused)));
        }
        let condition = revision.map_or(Condition::Absent, Condition::Revision);
        let options = PutOptions { condition, ..PutOptions::default() };
        match bucket.provider.put(&bucket.namespace, &key, Body::full(Bytes::from(value)), options).await {
            Ok(_) => Ok(Ok(())),
            Err(KvError::Conflict { current }) => {
                let again = Cas { bucket, key, revision: current };
                Ok(Err(CasError::CasFailed(self.table().push(again)?)))
            }
            Err(error) => Ok(Err(CasError::StoreError(failed(&error)))),
        }
    }
}

impl atomics::HostCas for Host {
    async fn new(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<Resource<Cas>> {
        let bucket = self.bucket(&bucket)?;
        if let Err(refused) = self.count(1, 0) {
            return Ok(Err(refused));
        }
        let entry = match bucket.provider.get(&bucket.namespace, &key).await {
            Ok(entry) => entry,
            Err(error) => return Ok(Err(failed(&error))),
        };
        let cas = Cas { bucket, key, revision: entry.map(|entry| entry.revision) };
        Ok(Ok(self.table().push(cas)?))
    }

    async fn current(&mut self, cas: Resource<Cas>) -> Answer<Option<Vec<u8>>> {
        let Cas { bucket, key, .. } = self.table().get(&cas)?;
        let (bucket, key) = (bucket.clone(), key.clone());
        if let Err(refused) = self.count(1, 0) {
            return Ok(Err(refused));
        }
        let found = match bucket.read(&key).await {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        // What the guest sees is what a swap then compares with.
        self.table().get_mut(&cas)?.revision = found.as_ref().map(|&(_, revision)| revision);
        Ok(Ok(found.map(|(value, _)| value)))
    }

    async fn drop(&mut self, cas: Resource<Cas>) -> wasmtime::Result<()> {
        self.table().delete(cas)?;
        Ok(())
    }
}

impl batch::Host for Host {
    async fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Answer<Vec<(String, Option<Vec<u8>>)>> {
        let bucket = self.bucket(&bucket)?;
        if let Err(refused) = self.count(keys.len(), 0) {
            return Ok(Err(refused));
        }
        let entries = match bucket.provider.get_many(&bucket.namespace, &keys).await {
            Ok(entries) => entries,
            Err(error) => return Ok(Err(failed(&error))),
        };
        let mut found = Vec::with_capacity(keys.len());
        for (key, entry) in keys.into_iter().zip(entries) {
            let value = match entry {
                Some(entry) => match entry.bytes().await {
                    Ok(value) => Some(value.to_vec()),
                    Err(error) => return Ok(Err(failed(&error))),
                },
                None => None,
            };
            found.push((key, value));
        }
        Ok(Ok(found))
    }

    async fn set_many(&mut self, bucket: Resource<Bucket>, pairs: Vec<(String, Vec<u8>)>) -> Answer<()> {
        let bucket = self.bucket(&bucket)?;
        let put = |(key, value): (String, Vec<u8>)| Write {
            key,
            action: Action::Put { value: value.into(), metadata: None, expires_at_ms: None },
        };
        Ok(self.commit(bucket, pairs.into_iter().map(put).collect()).await.map(drop))
    }

    async fn delete_many(&mut self, bucket: Resource<Bucket>, keys: Vec<String>) -> Answer<()> {
        let bucket = self.bucket(&bucket)?;
        let delete = |key| Write { key, action: Action::Delete };
        Ok(self.commit(bucket, keys.into_iter().map(delete).collect()).await.map(drop))
    }
}
