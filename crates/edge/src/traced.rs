//! Requests that the node sends itself, each step of which is told: what `selvedge trace --send` asks for.
//!
//! Such a request came by no connection. From there on it is one as any other: the same function answers it,
//! on one of the cores, and it stands in the log and in the counts. What it does not show is what happens
//! before, between the client and the listener, and the short ways that plain requests may take
//! ([`at_once`](crate::pipeline::at_once), [`later`](crate::pipeline::later)), which decide nothing differently.

use std::cell::OnceCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use base::Body;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::{HeaderMap, Method, StatusCode, Uri};
use http_body_util::BodyExt as _;
use net::{Request, Secured};
use telemetry::{Record, RecordHandle, Step, Steps};
use tokio::sync::{mpsc, oneshot};

use crate::core::{Core, Slot};
use crate::door::Door;
use crate::pipeline;

/// Requests that wait for the core.
const WAITING_MAX: usize = 16;
/// So much of the body of an answer is shown.
const BODY_BYTES_SHOWN: usize = 64 << 10;
/// So much of it is read.
const BODY_BYTES_MAX: u64 = 64 << 20;
/// How long one may take in all.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is to be sent.
#[derive(Debug, Clone)]
pub struct TracedRequest {
    pub method: Method,
    /// Absolute, `http` or `https`.
    pub url: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Who is said to send it.
    pub client: IpAddr,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Followed {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The beginning of the body.
    pub body: Vec<u8>,
    pub body_bytes: u64,
    /// Why there is no more of the body, if it broke off or was read no further.
    pub cut: Option<String>,
    pub record: Record,
    pub steps: Vec<Step>,
}

/// Why nothing came of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfollowed {
    #[error("{0}")]
    Malformed(String),
    #[error("no answer began within {} s", PATIENCE.as_secs())]
    Late,
    #[error("the node has too many of these requests under way, or stops")]
    Busy,
}

struct Job {
    request: TracedRequest,
    answer: oneshot::Sender<Result<Followed, Unfollowed>>,
}

/// Sends requests that are followed.
#[derive(Clone)]
pub struct Follower(mpsc::Sender<Job>);

/// What a core serves of them.
pub struct Following(mpsc::Receiver<Job>);

impl Follower {
    /// The other end is for one core, whichever takes it.
    pub fn new() -> (Self, Option<Following>) {
        let (jobs, serving) = mpsc::channel(WAITING_MAX);
        (Self(jobs), Some(Following(serving)))
    }

    /// Sends one and waits for the end of its answer.
    pub async fn send(&self, request: TracedRequest) -> Result<Followed, Unfollowed> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(Job { request, answer }).map_err(|_| Unfollowed::Busy)?;
        answered.await.map_err(|_| Unfollowed::Busy)?
    }
}

/// What the pipeline is given with a request that is followed.
pub(crate) struct Watch {
    pub steps: Arc<Steps>,
    record: OnceCell<RecordHandle>,
}

impl Watch {
    fn new(core: &Core) -> Self {
        Self { steps: Steps::begin(core.clock.clone()), record: OnceCell::new() }
    }

    /// The record of the request is open.
    pub fn follow(&self, record: &RecordHandle) {
        // There is one.
        let _ = self.record.set(record.clone());
    }

    fn record(&self) -> Record {
        self.record.get().map(|record| record.edit().clone()).unwrap_or_default()
    }
}

/// Serves them until nobody can ask any more. Whoever drops it drops what is under way, with all that holds.
pub(crate) async fn serve(mut following: Following, slot: Slot) {
    let mut under_way = FuturesUnordered::new();
    loop {
        tokio::select! {
            job = following.0.recv() => {
                let (Some(job), Some(core)) = (job, slot.borrow().clone()) else { return };
                under_way.push(answer(core, job));
            }
            Some(()) = under_way.next() => {}
        }
    }
}

async fn answer(core: Rc<Core>, Job { request, mut answer }: Job) {
    let followed = tokio::time::timeout(PATIENCE, follow(&core, request));
    tokio::select! {
        followed = followed => drop(answer.send(followed.unwrap_or(Err(Unfollowed::Late)))),
        // Nobody waits for it any more, as if its client had left.
        () = answer.closed() => {}
    }
}

async fn follow(core: &Rc<Core>, traced: TracedRequest) -> Result<Followed, Unfollowed> {
    let watch = Watch::new(core);
    let request = request(core, traced)?;
    let response = Box::pin(pipeline::answer(core, request, Some(&watch))).await;
    let (head, mut body) = response.into_parts();
    let mut followed = Followed {
        status: head.status,
        headers: head.headers,
        body: Vec::new(),
        body_bytes: 0,
        cut: None,
        record: Record::default(),
        steps: Vec::new(),
    };
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        followed.cut = Some("it opens a WebSocket, which is closed again".to_owned());
    } else {
        read(&mut body, &mut followed).await;
    }
    drop(body);
    watch.steps.note("end", format!("{} bytes of body", followed.body_bytes));
    (followed.record, followed.steps) = (watch.record(), watch.steps.so_far());
    Ok(followed)
}

async fn read(body: &mut Body, followed: &mut Followed) {
    while let Some(frame) = body.frame().await {
        let piece = match frame {
            Ok(frame) => frame.into_data().unwrap_or_default(),
            Err(error) => {
                followed.cut = Some(format!("{}: {}", error.code.name, error.detail));
                return;
            }
        };
        followed.body_bytes += piece.len() as u64;
        let room = BODY_BYTES_SHOWN.saturating_sub(followed.body.len());
        followed.body.extend_from_slice(&piece[..piece.len().min(room)]);
        if followed.body_bytes > BODY_BYTES_MAX {
            followed.cut = Some(format!("it is longer than the {BODY_BYTES_MAX} bytes that are read of one"));
            return;
        }
    }
}

/// The request as it would come by the listener of its scheme and port, or the first one of its scheme.
fn request(core: &Core, traced: TracedRequest) -> Result<Request, Unfollowed> {
    let TracedRequest { method, url, headers, body, client } = traced;
    let secured = match url.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(Unfollowed::Malformed("the URL begins with neither http:// nor https://".to_owned())),
    };
    let body = if body.is_empty() { Body::empty() } else { Body::full(body) };
    let peer = SocketAddr::new(client, 0);
    let made = Request::made((method, &url), headers, body, peer);
    let request = made.map_err(|refusal| Unfollowed::Malformed(refusal.detail))?;
    let doors = core.doors.current();
    let port = url.port_u16().unwrap_or(if secured { 443 } else { 80 });
    let speaks = |door: &Door| door.secured == secured;
    let own = doors.iter().position(|door| speaks(door) && door.port == Some(port));
    let listener = own.or_else(|| doors.iter().position(speaks)).unwrap_or(usize::MAX);
    let tls = || Secured {
        version: "TLSv1.3",
        cipher: "TLS13_AES_128_GCM_SHA256".to_owned(),
        server_name: url.host().map(str::to_owned),
        resumed: false,
        client: None,
    };
    let mut request = Request { listener, secured: secured.then(|| Arc::new(tls())), ..request };
    request.believed = doors.get(listener).and_then(|door| crate::sender::of_request(door, &request));
    Ok(request)
}
