//! Parts of what is too large to be stored whole: kept as they pass, and found again.
//!
//! A part lies under the key of its whole with its bytes behind it, so that whatever purges the one purges
//! the other. What is asked for as it was before is found at once; else a bounded number of parts is looked
//! through, and put together if they are of one whole. What is missing between them is asked of the origin
//! ([`gap`](super::gap)).

use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use base::Body;
use cache::{Key, Parts, Stored, Ticket};
use http::{HeaderMap, Response, header};
use http_body_util::BodyExt as _;

use super::alone::Whom;
use super::cached::{Caching, ProxyCache};
use super::fetch::FillingShare;
use super::filling::{Filling, Head};

/// Parts of one URL that are looked through for what is asked for.
const LOOKED_THROUGH_MAX: usize = 32;

/// URLs that parts are remembered of; they are all forgotten when there are more.
const PARTED_MAX: usize = 10_000;

/// URLs whose parts somebody was seen to ask for: only with these is a request for the whole looked for
/// among parts.
#[derive(Default)]
pub(super) struct Parted(Mutex<HashSet<Key>>);

impl Parted {
    fn urls(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, whole: &Key) -> bool {
        self.urls().contains(whole)
    }

    fn remember(&self, whole: &Key) {
        let mut urls = self.urls();
        if urls.len() >= PARTED_MAX {
            urls.clear();
        }
        urls.insert(whole.clone());
    }
}

/// What stands in the key of a part behind the key of its whole.
const MARK: &str = " part=";

fn key_of(whole: &Key, first: &str, last: &str) -> Key {
    Key { url: format!("{}{MARK}{first}-{last}", whole.url).into(), ..whole.clone() }
}

/// The first and the last byte that a range names.
fn named(range: &str) -> Option<(&str, &str)> {
    range.strip_prefix("bytes=")?.split_once('-')
}

/// Whether a part may have a byte of a range; that it is of no use is found out later.
fn may_overlap(part: &str, range: Option<&str>) -> bool {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let Some((first, last)) = range.and_then(named) else { return true };
    let Some((Some(from), Some(to))) = part.split_once('-').map(|(from, to)| (number(from), number(to))) else {
        return false;
    };
    // A range without a beginning counts from an end that is not known here.
    number(first).is_none_or(|first| first <= to && number(last).is_none_or(|last| from <= last))
}

impl ProxyCache {
    /// What stored parts come to for a request: for one, or for the whole.
    pub(super) async fn parts(&self, whole: &Key, request: &HeaderMap, now_ms: u64) -> Option<Parts> {
        let range = match request.get(header::RANGE) {
            Some(range) => Some(range.to_str().ok()?),
            None if self.parted.has(whole) => None,
            None => return None,
        };
        if let Some((first, last)) = range.and_then(named) {
            let found = self.responses.get(&key_of(whole, first, last)).await.ok()?;
            if let Some(parts) = cache::answer_parts(&found, request, now_ms) {
                return Some(parts);
            }
        }
        let beginning = format!("{}{MARK}", whole.url);
        let keys = self.responses.keys(whole).await.ok()?;
        let overlaps = |key: &&Key| key.url.strip_prefix(&*beginning).is_some_and(|part| may_overlap(part, range));
        let mut found = Vec::new();
        for key in keys.iter().filter(overlaps).take(LOOKED_THROUGH_MAX) {
            found.extend(self.responses.get(key).await.ok()?.iter().cloned());
        }
        if !found.is_empty() {
            self.parted.remember(whole);
        }
        cache::answer_parts(&found, request, now_ms)
    }
}

/// Keeps a part that passes, if it may be kept. The response that goes on, and whether it is kept.
pub(super) fn keep(
    caching: &Caching<'_>,
    whole: &Key,
    client: &HeaderMap,
    ticket: Ticket,
    response: Response<Body>,
) -> (Response<Body>, bool) {
    let now_ms = caching.clock.unix_ms();
    let headers = response.headers().clone();
    let Ok((stored, span)) = cache::admit_part(client, headers, caching.rule.heuristic, now_ms) else {
        return (response, false);
    };
    let told = response.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    let fits = span.bytes() <= caching.cache.responses.body_bytes_max() as u64 && told == Some(span.bytes());
    let Some(share) = fits.then(|| FillingShare::take(caching.cache.clone(), span.bytes())).flatten() else {
        return (response, false);
    };
    caching.cache.parted.remember(whole);
    let key = key_of(whole, &span.part.start.to_string(), &(span.part.end - 1).to_string());
    let filling = Arc::<Filling>::default();
    filling.tell(Head::Alone(Whom::All));
    let Some(passed_on) = filling.body(told, None) else { return (response, false) };
    let (head, body) = response.into_parts();
    let cache = caching.cache.clone();
    tokio::task::spawn_local(async move {
        let _share = share;
        if pour(body, &filling).await {
            let stored = Stored { body: filling.whole().into(), ..stored };
            let mut put = pin!(cache.responses.put(key, stored, &ticket));
            // Who reads it does not wait for a disk.
            let early = std::future::poll_fn(|cx| Poll::Ready(put.as_mut().poll(cx))).await;
            filling.end(Ok(()));
            let outcome = match early {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => put.await,
            };
            if let Err(error) = outcome {
                tracing::debug!(%error, "a part was not stored");
            }
        }
    });
    (Response::from_parts(head, passed_on), true)
}

/// True if the body came to its end, which is still to be told.
async fn pour(mut body: Body, filling: &Filling) -> bool {
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                if let Ok(piece) = frame.into_data() {
                    filling.push(piece);
                }
            }
            Err(error) => {
                filling.end(Err(error));
                return false;
            }
        }
    }
    true
}
