//! One core of the edge.

use std::cell::RefCell;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::{Body, Clock, Code, NodeLimits, Rng};
use futures_util::future::Either;
use http::Response;
use net::{Changes, ConnectionCounts, Intake, Listener, Request, Server, ServerLimits};
use telemetry::{Record, Sink};

use crate::cf::Cf;
use crate::compress::{self, Kept};
use crate::dates::Dates;
use crate::door::{Doors, DoorsReader};
use crate::drain::{Counted, Drain};
use crate::pipeline;
use crate::pipeline::mirror::InFlight;
use crate::proxy::ProxyCache;
use crate::respond;
use crate::sender;
use crate::site::{Hosts, HostsReader};
use crate::traced::{self, Following};

/// What a core needs. All but the listeners, intakes and changes is shared with the other cores.
pub struct CoreConfig {
    pub listeners: Vec<Listener>,
    /// From the endpoints of HTTP/3.
    pub intakes: Vec<Intake>,
    /// What changes while it runs; another core has its own.
    pub changes: Option<Changes>,
    /// What each listener has to say, by its number.
    pub doors: Arc<Doors>,
    pub hosts: Arc<Hosts>,
    pub limits: NodeLimits,
    pub counts: Arc<ConnectionCounts>,
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
    pub sink: Arc<dyn Sink>,
    pub drain: Drain,
    /// In front of upstreams.
    pub cache: Arc<ProxyCache>,
    /// The country of an address, where the node has a database.
    pub countries: Option<Countries>,
    /// Requests of which each step is told; one core serves them.
    pub followed: Option<Following>,
}

/// Finds the country that an address belongs to: a code of ISO 3166-1 in capitals.
pub type Countries = Arc<dyn Fn(IpAddr) -> Option<String> + Send + Sync>;

/// What the pipeline needs on this core.
pub(crate) struct Core {
    pub hosts: HostsReader,
    pub clock: Arc<dyn Clock>,
    pub ids: Buffered,
    /// Counts what is open, then passes on.
    pub sink: Arc<dyn Sink>,
    pub drain: Drain,
    pub cache: Arc<ProxyCache>,
    pub cf: Cf,
    pub doors: DoorsReader,
    pub mirrors: InFlight,
    pub dates: Dates,
    /// Memory for answers, which the server gets back.
    pub scratch: Rc<RefCell<Vec<u8>>>,
    /// Memory for the texts of the next record that is told at once.
    spare: RefCell<Record>,
    /// Files that were compressed, and how many bytes of them are kept.
    kept: Kept,
    kept_bytes_max: usize,
    countries: Option<Countries>,
}

impl Core {
    /// Makes a record and completes it. A sink that only reads it leaves the memory of its texts, in which `write` puts
    /// those of the next one, and nothing else of it.
    pub fn tell(&self, write: impl FnOnce(&mut Record)) {
        let mut record = self.spare.borrow_mut();
        write(&mut record);
        self.sink.take(&mut record);
        let Record { request_id, method, host, path, .. } = &mut *record;
        let [request_id, method, host, path] = [request_id, method, host, path].map(|text| {
            text.clear();
            std::mem::take(text)
        });
        *record = Record { request_id, method, host, path, ..Record::default() };
    }

    pub fn country(&self, client: IpAddr) -> Option<String> {
        self.countries.as_ref()?(client.to_canonical())
    }

    /// Compresses an answer on its way out; a file for all who ask for it.
    pub fn press(&self, response: &mut Response<Body>, coding: Option<cache::Coding>, is_file: bool) {
        let kept = is_file.then_some((&self.kept, self.kept_bytes_max));
        compress::answer(response, coding, self.cache.streams(), kept);
    }
}

/// The core, until it is given up. Connections outlive it that need nothing of it any more.
pub(crate) type Slot = Rc<RefCell<Option<Rc<Core>>>>;

/// What a core leaves.
pub struct Left {
    /// Connections that had to be cut.
    pub cut: usize,
    server: Rc<Server>,
    limit: Duration,
}

impl Left {
    /// Connections whose answers go on without the core; none, unless the node was handed over.
    pub fn going_on(&self) -> usize {
        self.server.open()
    }

    /// Waits for their ends, for `drain_ms` at most. Returns how many were cut.
    pub async fn finish(self) -> usize {
        self.server.finish_rest(self.limit).await
    }
}

/// Serves on the calling thread until the drain has begun and everything in progress is done, or
/// `drain_ms` is over. Nothing of what the core was given is held any more then, but where records go.
///
/// Must run inside a `LocalSet` on a current-thread runtime with I/O and time.
pub async fn run_core(mut config: CoreConfig) -> std::io::Result<Left> {
    let (drain, limit) = (config.drain.clone(), Duration::from_millis(config.limits.drain_ms));
    let refused = refused(config.sink.clone(), config.clock.clone());
    let server = Server::new(ServerLimits::from(&config.limits), config.counts.clone(), Box::new(refused));
    let followed = config.followed.take();
    let (core, listeners, intakes, changes) = open(config, server.scratch());
    let swift = core.clone();
    server
        .answer_at_once(Box::new(move |glance, out| pipeline::at_once::answer(swift.borrow().as_ref()?, glance, out)));
    let swift = core.clone();
    server.answer_from_hand(Box::new(move |glance| pipeline::at_once::respond(swift.borrow().as_ref()?, glance)));
    let traced = followed.map(|asked| tokio::task::spawn_local(traced::serve(asked, core.clone())));
    let slot = core.clone();
    let service = move |request| {
        let core = slot.borrow().clone();
        async move {
            match core {
                Some(core) => serve(core, request).await,
                None => respond::given_up(),
            }
        }
    };
    for intake in intakes {
        server.serve_quic(intake, service.clone());
    }
    let stop = {
        let (server, drain) = (server.clone(), drain.clone());
        async move {
            drain.begun().await;
            if drain.is_handover() {
                server.hand_over(drain.limit(limit));
            }
        }
    };
    let cut = until_drained(server.clone().run_with(listeners, changes, service, stop), &drain, limit).await?;
    if let Some(traced) = traced {
        traced.abort();
        // It is over, however it ended.
        let _ = traced.await;
    }
    core.take();
    Ok(Left { cut, server, limit })
}

/// The core, with what it serves.
fn open(config: CoreConfig, scratch: Rc<RefCell<Vec<u8>>>) -> (Slot, Vec<Listener>, Vec<Intake>, Option<Changes>) {
    let core = Core {
        hosts: HostsReader::new(config.hosts),
        clock: config.clock,
        ids: Buffered::new(config.rng),
        sink: Arc::new(Counted { sink: config.sink, drain: config.drain.clone() }),
        drain: config.drain,
        cache: config.cache,
        cf: Cf::new(),
        doors: DoorsReader::new(config.doors),
        mirrors: InFlight::default(),
        dates: Dates::default(),
        scratch,
        spare: RefCell::default(),
        kept: Kept::default(),
        kept_bytes_max: usize::try_from(config.limits.compressed_files_bytes).unwrap_or(usize::MAX),
        countries: config.countries,
    };
    (Rc::new(RefCell::new(Some(Rc::new(core)))), config.listeners, config.intakes, config.changes)
}

/// Makes records of what was refused before it became a request.
fn refused(sink: Arc<dyn Sink>, clock: Arc<dyn Clock>) -> impl Fn(SocketAddr, Code, &str) {
    move |peer, code, detail| {
        sink.record(Record {
            started_unix_ms: clock.unix_ms(),
            client: Some(peer.ip()),
            status: code.status,
            code: Some(code),
            detail: Some(detail.to_owned()),
            ..Record::default()
        });
    }
}

/// Serves until the server has ended its connections, and then until the work that outlives them has ended or
/// the drain is over.
async fn until_drained(
    serving: impl Future<Output = std::io::Result<usize>>,
    drain: &Drain,
    limit: Duration,
) -> std::io::Result<usize> {
    let deadline = async {
        drain.begun().await;
        tokio::time::sleep(drain.limit(limit)).await;
    };
    let (mut deadline, mut serving) = (std::pin::pin!(deadline), std::pin::pin!(serving));
    // The server keeps to the limit itself; the deadline is for what outlives its connections.
    let mut late = false;
    let cut = loop {
        tokio::select! {
            cut = &mut serving => break cut?,
            () = &mut deadline, if !late => late = true,
        }
    };
    if !late {
        tokio::select! {
            () = drain.idle() => {}
            () = &mut deadline => {}
        }
    }
    Ok(cut)
}

async fn serve(core: Rc<Core>, mut request: Request) -> Response<Body> {
    let doors = core.doors.current();
    request.believed = doors.get(request.listener).and_then(|door| sender::of_request(door, &request));
    drop(doors);
    let response = match pipeline::later::take(&core, request) {
        Either::Left(taken) => taken.answer().await,
        Either::Right(request) => pipeline::answer(&core, request, None).await,
    };
    // Everything that is ready on this core is answered before anything is sent: under load the responses
    // then leave together, and their readers are woken once.
    tokio::task::yield_now().await;
    response
}

/// Randomness for ids, taken from the source in pages: one system call for a hundred requests.
pub(crate) struct Buffered {
    rng: Arc<dyn Rng>,
    page: Mutex<([u8; PAGE], usize)>,
}

const PAGE: usize = 4096;

impl Buffered {
    pub fn new(rng: Arc<dyn Rng>) -> Self {
        Self { rng, page: Mutex::new(([0; PAGE], PAGE)) }
    }
}

impl Rng for Buffered {
    fn fill(&self, buffer: &mut [u8]) {
        let mut page = self.page.lock().unwrap_or_else(PoisonError::into_inner);
        let (bytes, at) = &mut *page;
        if buffer.len() > PAGE - *at {
            if buffer.len() > PAGE {
                return self.rng.fill(buffer);
            }
            self.rng.fill(bytes);
            *at = 0;
        }
        buffer.copy_from_slice(&bytes[*at..*at + buffer.len()]);
        *at += buffer.len();
    }
}
