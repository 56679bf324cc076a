//! Compressed bodies beside those that they were made of.
//!
//! What is stored is stored as the origin sent it. Who accepts a compressed body gets one that was made
//! of it once, and lies in the store under a key of its own. It holds the body alone: what is said of it
//! is made of the header of the response each time, so that what renews the one renews the other. A small
//! body is compressed while its first client waits; a larger one meanwhile goes out as it is.

use std::collections::HashSet;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cache::{Coding, Key, Responses, Stored};
use http::HeaderMap;

use super::ProxyCache;

/// A client waits while as much is compressed, for a few milliseconds.
const WAIT_BYTES_MAX: u64 = 128 << 10;
/// Bodies that are compressed at the same time; beyond, they go out as they are.
const AT_ONCE_MAX: usize = 4;
const BROTLI_QUALITY: i32 = 5;
const BROTLI_WINDOW: i32 = 22;
const ZSTD_LEVEL: i32 = 9;
const GZIP_LEVEL: u32 = 6;

/// What is being compressed.
#[derive(Default)]
pub(super) struct Press {
    under_way: Mutex<HashSet<Key>>,
}

impl Press {
    fn under_way(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if nobody compresses it yet, and there is room.
    fn begin(&self, key: &Key) -> bool {
        let mut under_way = self.under_way();
        under_way.len() < AT_ONCE_MAX && under_way.insert(key.clone())
    }

    fn end(&self, key: &Key) {
        self.under_way().remove(key);
    }
}

impl ProxyCache {
    /// The response as this client likes it best: compressed, if that is at hand or quickly made.
    pub(super) async fn pressed(self: &Arc<Self>, key: &Key, stored: &Arc<Stored>, request: &HeaderMap) -> Arc<Stored> {
        if stored.body_id == 0 || !cache::compressible(stored) {
            return stored.clone();
        }
        let body = match cache::negotiate(request) {
            Some(coding) => self.pressed_body(key, stored, coding).await.map(|body| (coding, body)),
            None => None,
        };
        let mut told = Stored::clone(stored);
        cache::vary_by_encoding(&mut told.headers);
        if let Some((coding, body)) = body {
            cache::encode_header(&mut told.headers, coding, body.len() as u64);
            told.body = body.into();
        }
        Arc::new(told)
    }

    async fn pressed_body(self: &Arc<Self>, key: &Key, stored: &Arc<Stored>, coding: Coding) -> Option<Bytes> {
        let key = Key { url: format!("{} encoding={}", key.url, coding.token()).into(), ..key.clone() };
        let found = self.responses.get(&key).await.ok()?;
        if let Some(made) = found.iter().find(|made| made.body_id == stored.body_id) {
            return made.body.read().await.ok().filter(|body| !body.is_empty());
        }
        if !self.press.begin(&key) {
            return None;
        }
        let (cache, waits) = (self.clone(), stored.body.len() <= WAIT_BYTES_MAX);
        let stored = stored.clone();
        let task = tokio::task::spawn_local(async move {
            let made = make(&cache.responses, &key, &stored, coding).await;
            cache.press.end(&key);
            made
        });
        if waits { task.await.ok().flatten() } else { None }
    }
}

/// Compresses a body and stores it. One that gains nothing is stored empty, so that it is not tried again.
async fn make(responses: &Arc<Responses>, key: &Key, stored: &Stored, coding: Coding) -> Option<Bytes> {
    let ticket = responses.ticket();
    let body = stored.body.read().await.ok()?;
    let bytes = body.len();
    let made = tokio::task::spawn_blocking(move || press(&body, coding)).await.ok()?;
    let made = made.inspect_err(|error| tracing::warn!(%error, "a body was not compressed")).ok()?;
    let made = if made.len() < bytes { made } else { Bytes::new() };
    let packed = Stored { headers: HeaderMap::new(), body: made.clone().into(), ..stored.clone() };
    if let Err(error) = responses.put(key.clone(), packed, &ticket).await {
        tracing::debug!(%error, url = %key.url, "a compressed body was not stored");
    }
    Some(made).filter(|made| !made.is_empty())
}

fn press(body: &[u8], coding: Coding) -> io::Result<Bytes> {
    let made = match coding {
        Coding::Brotli => {
            let mut made = Vec::new();
            let params = brotli::enc::BrotliEncoderParams {
                quality: BROTLI_QUALITY,
                lgwin: BROTLI_WINDOW,
                size_hint: body.len(),
                ..Default::default()
            };
            brotli::BrotliCompress(&mut &*body, &mut made, &params)?;
            made
        }
        Coding::Zstd => zstd::bulk::compress(body, ZSTD_LEVEL)?,
        Coding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL));
            encoder.write_all(body)?;
            encoder.finish()?
        }
    };
    Ok(made.into())
}
