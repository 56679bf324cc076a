//! Parts of what is too large to be stored whole: kept as they pass, and found again.
//!
//! A part lies under the key of its whole with its bytes behind it, so that whatever purges the one purges
//! the other. What is asked for as it was before is found at once; else a bounded number of parts is looked
//! through.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use base::Body;
use cache::{Answer, Key, Stored, Ticket};
use http::{HeaderMap, Response, header};
use http_body_util::BodyExt as _;

use super::cached::{Caching, FillingShare, ProxyCache};
use super::filling::{Filling, Head};

/// Parts of one URL that are looked through for one that has what is asked for.
const LOOKED_THROUGH_MAX: usize = 16;

fn key_of(whole: &Key, first: &str, last: &str) -> Key {
    Key { url: format!("{} part={first}-{last}", whole.url).into(), ..whole.clone() }
}

impl ProxyCache {
    /// The answer that a stored part has to a request for one.
    pub(super) async fn part(&self, whole: &Key, request: &HeaderMap, now_ms: u64) -> Option<Answer> {
        let range = request.get(header::RANGE)?.to_str().ok()?;
        if let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) {
            let found = self.responses.get(&key_of(whole, first, last)).await.ok()?;
            if let Some(answer) = answer_of(&found, request, now_ms) {
                return Some(answer);
            }
        }
        let beginning = format!("{} part=", whole.url);
        let keys = self.responses.keys(whole).await.ok()?;
        for key in keys.iter().filter(|key| key.url.starts_with(&beginning)).take(LOOKED_THROUGH_MAX) {
            let found = self.responses.get(key).await.ok()?;
            if let Some(answer) = answer_of(&found, request, now_ms) {
                return Some(answer);
            }
        }
        None
    }
}

fn answer_of(found: &[Arc<Stored>], request: &HeaderMap, now_ms: u64) -> Option<Answer> {
    found.iter().find_map(|stored| cache::answer_part(stored, request, now_ms))
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
    let key = key_of(whole, &span.part.start.to_string(), &(span.part.end - 1).to_string());
    let filling = Arc::<Filling>::default();
    filling.tell(Head::Alone);
    let Some(passed_on) = filling.body(told) else { return (response, false) };
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
