//! Connections that may be used again.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::thread::ThreadId;
use std::time::Duration;

use base::{Body, BodyError, code};
use bytes::Bytes;
use http::{Version, header};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use tokio::time::Instant;

use super::bare::Exchange;
use super::inline::{self, Answer, Inline, Unanswered};
use super::{Target, dial, framing};

/// A connection.
pub(super) struct Link {
    pub sender: Sender,
    pub address: IpAddr,
    pub wear: Arc<Wear>,
}

/// What a connection has behind it.
pub(super) struct Wear {
    opened: Instant,
    requests: AtomicU64,
}

/// How long, and how often, connections are used again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reuse {
    pub idle: Duration,
    /// Unused ones kept for one target, on one core, beside those that were used just now.
    pub per_target: usize,
    pub age: Option<Duration>,
    pub requests: Option<u64>,
}

impl Wear {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { opened: Instant::now(), requests: AtomicU64::new(0) })
    }

    /// One more request.
    pub fn count(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }
}

pub(super) enum Sender {
    H1(http1::SendRequest<Body>),
    H2(http2::SendRequest<Body>),
    /// HTTP/1.1 without a task of its own, for requests that are at hand. Boxed, since connections are moved about
    /// for every request.
    Inline(Box<Inline>),
}

/// Unused for no longer, a connection was one of those that the load of the moment takes, and stays whatever
/// their number is: to close it would mean to open another one for the next request.
const JUST_NOW: Duration = Duration::from_secs(1);

/// The threads of the node share one pool, and each finds in it only what it put there.
pub(super) struct Pool {
    reuse: Reuse,
    keys: RandomState,
    shelves: Mutex<HashMap<Place, Shelf, BuildHasherDefault<Mix>>>,
}

/// A target, and what a pool finds it by: whoever knows it beforehand has that computed once.
#[derive(Clone)]
pub(super) struct Spot {
    target: Arc<Target>,
    key: u64,
}

/// A spot on one thread.
type Place = (ThreadId, u64);

impl Spot {
    fn here(&self) -> Place {
        thread_local! {
            static HERE: ThreadId = std::thread::current().id();
        }
        (HERE.with(|here| *here), self.key)
    }
}

/// For keys that are random already: nobody else knows what they come of.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(23) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Connections to one target, and since when each is unused: the one used last is last, and is used next.
struct Shelf {
    /// Another one may have the same key.
    target: Arc<Target>,
    links: VecDeque<(Link, Instant)>,
    /// Somebody looks after what nobody takes.
    kept: bool,
}

impl Pool {
    pub fn new(reuse: Reuse) -> Arc<Self> {
        Arc::new(Self { reuse, keys: RandomState::new(), shelves: Mutex::default() })
    }

    pub fn spot(&self, target: Arc<Target>) -> Spot {
        let key = self.keys.hash_one(&*target);
        Spot { target, key }
    }

    /// Whether an unused connection is still good for a request.
    fn is_good(&self, link: &Link, since: Instant, now: Instant) -> bool {
        !link.is_closed() && now - since < self.reuse.idle && !self.is_worn(link, now)
    }

    fn is_worn(&self, link: &Link, now: Instant) -> bool {
        let wear = &link.wear;
        self.reuse.age.is_some_and(|age| now - wear.opened >= age)
            || self.reuse.requests.is_some_and(|requests| wear.requests.load(Ordering::Relaxed) >= requests)
    }

    fn shelves(&self) -> MutexGuard<'_, HashMap<Place, Shelf, BuildHasherDefault<Mix>>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that is ready and whose address the caller approves of. One that it does not
    /// approve of stays for others.
    /// One that who asks has to drive, only for a request that is at hand: `listener` is the context of who that is.
    pub fn take(
        &self,
        spot: &Spot,
        check: &(dyn Fn(IpAddr) -> Result<(), String> + Send + Sync),
        mut listener: Option<&mut Context<'_>>,
        now: Instant,
    ) -> Option<Link> {
        let mut shelves = self.shelves();
        let links = &mut shelves.get_mut(&spot.here()).filter(|shelf| shelf.target == spot.target)?.links;
        let mut at = links.len();
        loop {
            at = at.checked_sub(1)?;
            let (link, since) = &links[at];
            if !self.is_good(link, *since, now) {
                links.remove(at);
                continue;
            }
            let fits = listener.is_some() || !matches!(link.sender, Sender::Inline(_));
            if !(fits && link.is_ready() && check(link.address).is_ok()) {
                continue;
            }
            if let Sender::H2(sender) = &link.sender {
                // Many requests share an HTTP/2 connection, so it stays.
                return Some(link.shared(sender));
            }
            let (mut link, _) = links.remove(at)?;
            let is_open = match (&mut link.sender, &mut listener) {
                // Nobody has looked since it was put here.
                (Sender::Inline(inline), Some(cx)) => inline.is_open(cx),
                _ => true,
            };
            if is_open {
                return Some(link);
            }
        }
    }

    pub fn put(self: &Arc<Self>, spot: &Spot, link: Link) {
        let now = Instant::now();
        if link.is_closed() || self.is_worn(&link, now) || self.reuse.per_target == 0 {
            return;
        }
        let place = spot.here();
        let mut shelves = self.shelves();
        let shelf = shelves.entry(place).or_insert_with(|| Shelf {
            target: spot.target.clone(),
            links: VecDeque::new(),
            kept: false,
        });
        if shelf.target != spot.target {
            return;
        }
        if matches!(link.sender, Sender::H2(_)) {
            // One for each address; the newest use keeps it alive.
            shelf.links.retain(|(other, _)| other.address != link.address || !matches!(other.sender, Sender::H2(_)));
        }
        shelf.links.push_back((link, now));
        self.thin(shelf, now);
        // A body can end where no task can begin, as it does when the node stops.
        if !shelf.kept
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            shelf.kept = true;
            runtime.spawn(keep(Arc::downgrade(self), place, now + self.reuse.idle));
        }
    }

    /// Goes on with an exchange that is for hyper, over a connection that was taken for it.
    pub async fn go_on(self: &Arc<Self>, spot: &Spot, mut link: Link, exchange: Exchange, late_at: Instant) -> Sent {
        let Sender::Inline(inline) = &mut link.sender else { return Err(Unsent::Late) };
        match inline.go_on(exchange, late_at).await {
            Ok(response) => Lease::new(self.clone(), spot.clone(), link).begun(response),
            Err(Unanswered::Late) => Err(Unsent::Late),
            Err(Unanswered::Failed(error, unsent)) => Err(Unsent::Failed(error, unsent)),
        }
    }

    /// Closes what is good for nothing any more, and what is too much. The oldest are in front.
    fn thin(&self, shelf: &mut Shelf, now: Instant) {
        while let Some((link, since)) = shelf.links.front() {
            let spare = shelf.links.len() > self.reuse.per_target && now - *since >= JUST_NOW;
            if !spare && self.is_good(link, *since, now) {
                return;
            }
            shelf.links.pop_front();
        }
    }

    /// Looks after connections that nobody asks for any more. When to look again; `None` if there are none.
    fn tidy(&self, place: &Place) -> Option<Instant> {
        let now = Instant::now();
        let mut shelves = self.shelves();
        let shelf = shelves.get_mut(place)?;
        self.thin(shelf, now);
        match shelf.links.front() {
            Some((_, since)) => Some(*since + self.reuse.idle),
            None => {
                shelves.remove(place);
                None
            }
        }
    }
}

/// Closes the connections to a target when their time is over, for as long as there are some.
async fn keep(pool: Weak<Pool>, place: Place, mut next: Instant) {
    loop {
        tokio::time::sleep_until(next).await;
        match pool.upgrade().and_then(|pool| pool.tidy(&place)) {
            Some(later) => next = later,
            None => return,
        }
    }
}

impl Link {
    /// The same connection of HTTP/2 once more.
    fn shared(&self, sender: &http2::SendRequest<Body>) -> Self {
        Self { sender: Sender::H2(sender.clone()), address: self.address, wear: self.wear.clone() }
    }

    pub fn is_h2(&self) -> bool {
        matches!(self.sender, Sender::H2(_))
    }

    fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::H1(sender) => sender.is_closed(),
            Sender::H2(sender) => sender.is_closed(),
            Sender::Inline(inline) => inline.is_closed(),
        }
    }

    fn is_ready(&self) -> bool {
        match &self.sender {
            Sender::H1(sender) => sender.is_ready(),
            Sender::H2(sender) => sender.is_ready(),
            // Found out when it is taken.
            Sender::Inline(_) => true,
        }
    }
}

/// A connection while an exchange uses it. It returns to the pool when the response has ended.
pub(super) struct Lease {
    pool: Arc<Pool>,
    spot: Spot,
    pub(super) link: Link,
}

impl Lease {
    pub fn new(pool: Arc<Pool>, spot: Spot, link: Link) -> Self {
        Self { pool, spot, link }
    }

    pub fn is_driven_by_asker(&self) -> bool {
        matches!(self.link.sender, Sender::Inline(_))
    }

    /// Sends a request and waits for the head of the response. Where the request is at hand, who asks drives the
    /// connection and looks at the time as well: no more than this.
    pub async fn send(mut self, mut request: http::Request<Body>, limit: Option<Duration>) -> Sent {
        self.link.wear.count();
        let sent = match &mut self.link.sender {
            Sender::H1(sender) => {
                let absolute = to_origin_form(&mut request);
                sender.try_send_request(request).await.map_err(|mut error| {
                    let unsent = error.take_message();
                    as_it_was(error.into_error(), unsent, absolute)
                })
            }
            Sender::Inline(inline) => {
                let absolute = to_origin_form(&mut request);
                match inline.ask(request, limit).await {
                    Ok(Answer::Whole(answer)) => {
                        self.release();
                        return Ok(answer.into_response());
                    }
                    Ok(Answer::Begun(response)) => Ok(response),
                    Err(Unanswered::Late) => Err(Unsent::Late),
                    Err(Unanswered::Failed(error, unsent)) => Err(as_it_was(error, unsent, absolute)),
                }
            }
            Sender::H2(sender) => {
                if let Err(error) = sender.ready().await {
                    return Err(Unsent::Failed(error, Some(request)));
                }
                // The host is in `:authority`.
                let host = request.headers_mut().remove(header::HOST);
                *request.version_mut() = Version::HTTP_2;
                sender.try_send_request(request).await.map_err(|mut error| {
                    let mut unsent = error.take_message();
                    if let (Some(request), Some(host)) = (&mut unsent, host) {
                        request.headers_mut().insert(header::HOST, host);
                        *request.version_mut() = Version::HTTP_11;
                    }
                    Unsent::Failed(error.into_error(), unsent)
                })
            }
        };
        self.begun(sent?)
    }

    /// A response whose body is still to be read.
    fn begun(self, response: http::Response<Incoming>) -> Sent {
        let (parts, incoming) = response.into_parts();
        if let Some(fault) = framing::fault(&parts.headers) {
            // The connection goes with it.
            return Err(Unsent::Unclear(fault));
        }
        if let Sender::H2(sender) = &self.link.sender {
            self.pool.put(&self.spot, self.link.shared(sender));
        }
        if let Sender::Inline(_) = &self.link.sender {
            let body = inline::body(incoming, self).map_err(|error| Unsent::Failed(error, None))?;
            return Ok(http::Response::from_parts(parts, body));
        }
        let ended = http_body::Body::is_end_stream(&incoming);
        let mut body = LeasedBody { incoming, lease: Some(self) };
        if ended {
            body.release();
            return Ok(http::Response::from_parts(parts, Body::empty()));
        }
        Ok(http::Response::from_parts(parts, Body::stream(body)))
    }

    /// Back to the pool.
    pub(super) fn release(self) {
        let Self { pool, spot, link } = self;
        pool.put(&spot, link);
    }
}

pub(super) type Sent = Result<http::Response<Body>, Unsent>;

/// Why there is no response, and the request if nothing of it was sent.
pub(super) enum Unsent {
    Late,
    /// There is one, but where it ends has more than one reading.
    Unclear(&'static str),
    Failed(hyper::Error, Option<http::Request<Body>>),
}

/// Leaves the path and the query; the host is in its field. What the target was.
fn to_origin_form(request: &mut http::Request<Body>) -> http::Uri {
    if request.uri().scheme().is_none() {
        return request.uri().clone();
    }
    let path = request.uri().path_and_query().cloned();
    std::mem::replace(request.uri_mut(), path.map_or_else(Default::default, Into::into))
}

/// An error, and the request as it was if nothing of it was sent.
fn as_it_was(error: hyper::Error, mut unsent: Option<http::Request<Body>>, absolute: http::Uri) -> Unsent {
    if let Some(request) = &mut unsent {
        *request.uri_mut() = absolute;
    }
    Unsent::Failed(error, unsent)
}

/// A response whose rest will not come.
pub(super) fn broke_off(error: &hyper::Error) -> BodyError {
    BodyError::new(&code::UPSTREAM_PROTOCOL, format!("the response broke off: {}", dial::chain(error)))
}

/// A response body that holds its connection until it ends.
struct LeasedBody {
    incoming: Incoming,
    lease: Option<Lease>,
}

impl LeasedBody {
    fn release(&mut self) {
        if let Some(Lease { pool, spot, link }) = self.lease.take()
            && matches!(link.sender, Sender::H1(_))
        {
            pool.put(&spot, link);
        }
    }
}

impl http_body::Body for LeasedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = std::task::ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        if frame.is_none() || http_body::Body::is_end_stream(&self.incoming) {
            self.release();
        }
        Poll::Ready(frame.map(|frame| {
            frame.map_err(|error| {
                self.lease = None;
                broke_off(&error)
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        http_body::Body::is_end_stream(&self.incoming)
    }

    fn size_hint(&self) -> SizeHint {
        http_body::Body::size_hint(&self.incoming)
    }
}

#[cfg(test)]
mod tests;
