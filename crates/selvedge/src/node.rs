//! A running node: a thread for each core, and what they share.

use std::fmt;
use std::future::Future;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base::{Clock, NodeLimits, SystemRng};
use control::Traced;
use dispatch::{Dispatcher, ObjectParts};
use edge::{CacheCare, CoreConfig, Countries, Door, Doors, Drain, Follower, HostMap, Hosts, ProxyCache, Totals};
use net::{
    Address, ConnectionCounts, Connector, ConnectorOptions, DnsOptions, Intake, ListenOptions, Listener, Quic,
    Reception, Resolver, ServerLimits, Sockets, Tls,
};
use services::ResponseCare;
use services::care::Care;
use services_cluster::PostgresUsage;
use telemetry::{AccessLog, AccessLogOptions, Fanout, Format, Metrics, Recent, Sink};
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::oneshot;

use crate::admin::Running;
use crate::listeners::ListenerOptions;
use crate::live::Live;
use crate::outbound::NetFetcher;
use crate::site::Workshop;
use crate::traced;
use crate::upstreams::{self, Upstreams};
use crate::wire::{self, Stores};

pub struct NodeOptions {
    pub listeners: Vec<ListenerOptions>,
    /// Where the admin listener is, which no worker may reach.
    pub admin: SocketAddr,
    pub cores: usize,
    pub limits: NodeLimits,
    pub log: Format,
    /// No access log at all.
    pub quiet: bool,
    /// The countries of addresses, where a database is configured.
    pub countries: Option<Countries>,
    /// Who knows the names of upstreams.
    pub dns: DnsOptions,
    /// Where listeners come from and are kept for a successor.
    pub sockets: Arc<Sockets>,
}

pub struct Node {
    /// Where it serves, in the order of the listeners.
    pub addresses: Vec<Served>,
    pub hosts: Arc<Hosts>,
    pub workshop: Arc<Workshop>,
    pub engine: Arc<dyn worker::Engine>,
    pub metrics: Arc<Metrics>,
    /// Where records go.
    pub sink: Arc<dyn Sink>,
    /// What it tells of its requests.
    traced: Traced,
    /// The cache, from its operator's side.
    pub responses: Arc<dyn ResponseCare>,
    connector: Arc<Connector>,
    drain: Drain,
    log: Option<Arc<AccessLog>>,
    /// What changes while it runs; taken by whoever changes it.
    pub live: Option<Live>,
    waiting: Vec<CoreConfig>,
    quic: Vec<Quic>,
    cores: Vec<CoreThread>,
}

struct CoreThread {
    thread: JoinHandle<()>,
    /// Told when it has given up its apps and stores: how many connections go on without.
    given_up: Receiver<usize>,
    ended: oneshot::Receiver<()>,
}

/// What a node leaves when it was handed over: answers that need nothing of it any more.
pub struct GoingOn {
    /// Connections.
    pub count: usize,
    ended: Vec<oneshot::Receiver<()>>,
    log: Option<Arc<AccessLog>>,
}

impl GoingOn {
    /// Waits for their ends, for `drain_ms` at most, or until this.
    pub async fn finish(self, until: impl Future<Output = ()>) {
        // A core that panicked has nothing left to finish.
        let ends = futures_util::future::join_all(self.ended);
        let mut until = std::pin::pin!(until);
        tokio::select! {
            _ = ends => {}
            () = &mut until => {}
        }
        if let Some(log) = self.log {
            log.flush();
        }
    }
}

impl Node {
    /// Takes the port and starts the engine. Clients that connect from now on wait until
    /// [`Node::accept`], so that nobody meets a node that does not know its apps yet.
    pub fn start(options: NodeOptions, stores: Stores) -> Result<Self> {
        let clock = wire::clock();
        // The port is taken first: to find it in use should not cost the start of an engine.
        let Bound { addresses, by_core, doors, quic, running } =
            bind(options.listeners, options.cores, &options.sockets)?;
        let (engine, metrics) = (wire::open_engine(&stores, &options.limits)?, Metrics::new());
        let recent = recent(&options.limits);
        let (log, sink) = open_log((options.log, options.quiet), &metrics, &recent)?;
        let parts = ObjectParts { store: stores.objects.clone(), leases: stores.leases.clone(), sink: sink.clone() };
        let dispatcher = Dispatcher::with_objects(engine.clone(), clock.clone(), options.limits.clone(), parts);
        let (hosts, drain) = (Hosts::new(HostMap::default()), Drain::new());
        let counts = ConnectionCounts::new(&options.limits);
        let connector = connector(&options.limits, &options.dns);
        let fetcher = Arc::new(NetFetcher(connector.clone()));
        let postgres = wire::open_postgres(fetcher.clone());
        observe(&metrics, &dispatcher, &counts, log.as_ref(), &stores.care);
        observe_postgres(&metrics, &postgres.usage());
        upstreams::observe(&metrics, &hosts);

        let (quic, intakes) = start_quic(quic, &options.limits, &clock, options.cores)?;
        let (senders, changes): (Vec<_>, Vec<_>) = (0..options.cores).map(|_| unbounded_channel()).unzip();
        let live = Live::new(senders, doors.clone(), counts.clone(), options.sockets.clone(), options.limits.clone());
        let live = with_listeners(live, running);
        let cache = ProxyCache::new(stores.responses.responses(), &options.limits, &*clock);
        let responses = CacheCare::new(cache.clone(), hosts.clone(), clock.clone());
        observe_cache(&metrics, &cache);
        let (follower, mut following) = Follower::new();
        let traced = Traced { recent, way: traced::way(hosts.clone(), options.countries.clone(), follower) };
        let waiting = by_core
            .into_iter()
            .zip(intakes)
            .zip(changes)
            .map(|((listeners, intakes), changes)| CoreConfig {
                listeners,
                intakes,
                changes: Some(changes),
                doors: doors.clone(),
                hosts: hosts.clone(),
                limits: options.limits.clone(),
                counts: counts.clone(),
                clock: clock.clone(),
                rng: Arc::new(SystemRng),
                sink: sink.clone(),
                drain: drain.clone(),
                cache: cache.clone(),
                countries: options.countries.clone(),
                followed: following.take(),
            })
            .collect();
        let own = vec![options.admin];
        let upstreams = Upstreams::new(connector.clone(), &stores.data, clock);
        let workshop = Arc::new(Workshop { stores, dispatcher, fetcher, postgres, upstreams, own, testing: None });
        Ok(Self {
            addresses,
            hosts,
            workshop,
            engine,
            metrics,
            sink,
            traced,
            responses,
            connector,
            drain,
            log,
            live: Some(live),
            waiting,
            quic,
            cores: Vec::new(),
        })
    }

    /// Starts the cores.
    pub fn accept(&mut self) -> Result<()> {
        for (index, config) in std::mem::take(&mut self.waiting).into_iter().enumerate() {
            let dispatcher = self.workshop.dispatcher.clone();
            let (thread, (given_up, heard), (end, ended)) =
                (std::thread::Builder::new().name(format!("core-{index}")), channel(), oneshot::channel());
            let run = move || {
                run_core(index, dispatcher, config, &given_up);
                let _ = end.send(());
            };
            let thread = thread.spawn(run).context("a core did not start")?;
            self.cores.push(CoreThread { thread, given_up: heard, ended });
        }
        Ok(())
    }

    /// What it has to tell of itself.
    pub fn running(&self) -> Running {
        let traced = self.traced.clone();
        Running { responses: self.responses.clone(), metrics: self.metrics.clone(), traced }
    }

    /// Stops accepting and finishes what is in progress for a successor, which waits: within this, or `drain_ms`
    /// if that is shorter. Then lets go of apps and stores; the cores go on with what needs neither.
    pub fn hand_over(self, within: Duration) -> GoingOn {
        self.quic.iter().for_each(Quic::refuse);
        self.drain.hand_over(within);
        self.connector.drain();
        let left = self.cores.iter().map(|core| core.given_up.recv().unwrap_or(0));
        let count = left.sum();
        // Records still go there, and what is read off the dispatcher and the cache holds stores.
        self.metrics.forget_observed();
        self.hosts.publish(HostMap::default());
        GoingOn { count, ended: self.cores.into_iter().map(|core| core.ended).collect(), log: self.log }
    }

    /// Stops accepting, finishes what is in progress within `drain_ms`, and ends the cores.
    pub fn stop(self) {
        self.quic.iter().for_each(Quic::refuse);
        self.drain.begin();
        self.connector.drain();
        for core in self.cores {
            // A core that panicked has nothing left to finish.
            let _ = core.thread.join();
        }
        // They carried the last words of the cores.
        drop(self.quic);
        if let Some(log) = self.log {
            log.flush();
        }
    }
}

/// One listener of a node that runs.
#[derive(Debug, Clone)]
pub struct Served {
    pub address: Address,
    pub secured: bool,
}

impl Served {
    /// The URL of a host on this listener; its address, if it has no port.
    pub fn url(&self, host: &str) -> String {
        let scheme = if self.secured { "https" } else { "http" };
        match self.address.tcp() {
            Some(address) => format!("{scheme}://{host}:{}", address.port()),
            None => self.to_string(),
        }
    }
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.address, self.secured) {
            (Address::Tcp(address), true) => write!(f, "https://{address}"),
            (Address::Tcp(address), false) => write!(f, "http://{address}"),
            (unix, _) => unix.fmt(f),
        }
    }
}

struct Bound {
    addresses: Vec<Served>,
    by_core: Vec<Vec<Listener>>,
    doors: Arc<Doors>,
    /// What is known of each, for changes.
    running: Vec<Known>,
    quic: Vec<(UdpSocket, Arc<Reception>)>,
}

/// What is known of a listener: its address and mode, whether it has HTTP/3, its TLS, its rules.
type Known = (Address, u32, bool, Option<Arc<Tls>>, Door);

/// The listeners that the node begins with are those that a reload finds.
fn with_listeners(mut live: Live, running: Vec<Known>) -> Live {
    for (address, mode, http3, tls, door) in running {
        live.note(address, mode, http3, tls, door);
    }
    live
}

fn recent(limits: &NodeLimits) -> Arc<Recent> {
    Recent::new(usize::try_from(limits.trace_records).unwrap_or(usize::MAX))
}

/// The access log, unless the node is to be quiet, and all that records go to. Where there is a log, its writer
/// keeps the last records, off the way of requests.
fn open_log(
    (format, quiet): (Format, bool),
    metrics: &Arc<Metrics>,
    recent: &Arc<Recent>,
) -> Result<(Option<Arc<AccessLog>>, Arc<dyn Sink>)> {
    let settings = AccessLogOptions { format, recent: Some(recent.clone()), ..AccessLogOptions::default() };
    let start = || AccessLog::start(std::io::stdout(), &settings).context("the access log did not start");
    let log = (!quiet).then(start).transpose()?;
    let last = log.clone().map_or_else(|| recent.clone() as Arc<dyn Sink>, |log| log as _);
    Ok((log, Arc::new(Fanout::new(vec![metrics.clone(), last]))))
}

/// Takes every port, for every core.
fn bind(listeners: Vec<ListenerOptions>, cores: usize, sockets: &Arc<Sockets>) -> Result<Bound> {
    let mut by_core: Vec<Vec<Listener>> = (0..cores).map(|_| Vec::new()).collect();
    let (mut addresses, mut running, mut quic) = (Vec::new(), Vec::new(), Vec::new());
    for (number, ListenerOptions { address, mode, reception, mut door, http3 }) in listeners.into_iter().enumerate() {
        let reception = Arc::new(Reception { listener: number, ..reception });
        let options = ListenOptions { cores, mode, sockets: sockets.clone(), ..ListenOptions::default() };
        let bound = Listener::bind(address.clone(), &options)?;
        let served = bound.first().map(|one| one.address().clone()).context("a listener has a core")?;
        door.port = served.tcp().map(|address| address.port());
        if let Some(address) = served.tcp().filter(|_| http3) {
            quic.push((net::quic::bind(address, sockets)?, reception.clone()));
            door.alt_svc = edge::alt_svc(address.port());
        }
        addresses.push(Served { address: served, secured: reception.tls.is_some() });
        running.push((address, mode, http3, reception.tls.clone(), door));
        // There may be more than cores, if another process had more.
        for (number, listener) in bound.into_iter().enumerate() {
            by_core[number % cores].push(listener.with(&reception));
        }
    }
    let doors = Doors::new(running.iter().map(|(.., door)| door.clone()).collect());
    Ok(Bound { addresses, by_core, doors, running, quic })
}

fn connector(limits: &NodeLimits, dns: &DnsOptions) -> Arc<Connector> {
    let resolver = Some(Resolver::new(dns.clone(), Arc::new(SystemRng)));
    Connector::new(ConnectorOptions { resolver, ..ConnectorOptions::from(limits) })
}

/// Starts the endpoints of HTTP/3, and gives each core what they hand it.
fn start_quic(
    sockets: Vec<(UdpSocket, Arc<Reception>)>,
    limits: &NodeLimits,
    clock: &Arc<dyn Clock>,
    cores: usize,
) -> Result<(Vec<Quic>, Vec<Vec<Intake>>)> {
    let limits = ServerLimits::from(limits);
    let mut by_core: Vec<Vec<Intake>> = (0..cores).map(|_| Vec::new()).collect();
    let mut running = Vec::new();
    for (socket, reception) in sockets {
        let (quic, intakes) = Quic::start(socket, &reception, &limits, clock.clone(), cores)?;
        running.push(quic);
        for (core, intake) in by_core.iter_mut().zip(intakes) {
            core.push(intake);
        }
    }
    Ok((running, by_core))
}

fn run_core(index: usize, dispatcher: Arc<Dispatcher>, config: CoreConfig, given_up: &Sender<usize>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "core {index} has no runtime"),
    };
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let core = dispatcher.install_core(worker::Core::new(index));
        let left = match edge::run_core(config).await {
            Ok(left) => left,
            Err(error) => return tracing::error!(%error, "core {index} stopped"),
        };
        if left.cut > 0 {
            tracing::warn!("core {index}: {} connections were cut at the end of the drain", left.cut);
        }
        drop((core, dispatcher));
        // Nobody listens where the node stops as a whole.
        let _ = given_up.send(left.going_on());
        let cut = left.finish().await;
        if cut > 0 {
            tracing::warn!("core {index}: {cut} connections that went on were cut at the end of drain_ms");
        }
    });
}

fn observe_cache(metrics: &Metrics, cache: &Arc<ProxyCache>) {
    use telemetry::metrics::Kind::Counter;
    type Read = fn(Totals) -> u64;
    let values: [(&str, &str, Read); 8] = [
        ("selvedge_cache_hits_total", "Requests answered with what is stored and fresh.", |totals| totals.hits),
        ("selvedge_cache_stale_total", "Requests answered with what is stale.", |totals| totals.stale),
        ("selvedge_cache_misses_total", "Requests fetched from an origin for the cache.", |totals| totals.misses),
        ("selvedge_cache_collapsed_total", "Requests that joined another's fetch.", |totals| totals.collapsed),
        ("selvedge_cache_bypassed_total", "Requests that went past the cache.", |totals| totals.bypassed),
        ("selvedge_cache_hit_bytes_total", "Bytes of bodies out of the cache.", |totals| totals.hit_bytes),
        ("selvedge_cache_stored_total", "Responses stored.", |totals| totals.stored),
        ("selvedge_cache_purged_total", "Responses purged.", |totals| totals.purged),
    ];
    for (name, help, read) in values {
        let cache = cache.clone();
        metrics.observe_value(name, help, Counter, move || read(cache.totals()));
    }
}

fn observe_postgres(metrics: &Metrics, usage: &Arc<PostgresUsage>) {
    use telemetry::metrics::Kind::{Counter, Gauge};
    type Read = fn(&PostgresUsage) -> &AtomicU64;
    let values: [(&str, &str, telemetry::metrics::Kind, Read); 5] = [
        ("selvedge_postgres_connections", "Connections to PostgreSQL.", Gauge, |usage| &usage.connections),
        ("selvedge_postgres_statements_total", "Statements run.", Counter, |usage| &usage.statements),
        ("selvedge_postgres_failures_total", "Statements that failed.", Counter, |usage| &usage.failures),
        ("selvedge_postgres_slow_total", "Statements that took longer than slow_ms.", Counter, |usage| &usage.slow),
        ("selvedge_postgres_busy_total", "Statements that found no connection.", Counter, |usage| &usage.busy),
    ];
    for (name, help, kind, read) in values {
        let usage = usage.clone();
        metrics.observe_value(name, help, kind, move || read(&usage).load(Ordering::Relaxed));
    }
}

/// How the copy of the archive is doing, where there is to be one.
fn observe_archive(metrics: &Metrics, care: &Arc<dyn Care>) {
    use telemetry::metrics::Kind::{Counter, Gauge};
    if care.archive_copy().is_none() {
        return;
    }
    // Metrics outlive the stores where a node is handed over, and must not keep them.
    let (behind, failures) = (Arc::downgrade(care), Arc::downgrade(care));
    let help = "Age of the oldest commit that the copy of the archive may lack.";
    metrics.observe_value("selvedge_archive_copy_behind_seconds", help, Gauge, move || {
        behind.upgrade().and_then(|care| care.archive_copy()).map_or(0, |copy| copy.behind_ms.div_ceil(1_000))
    });
    let help = "Times that the copy of the archive could not be brought up to date.";
    metrics.observe_value("selvedge_archive_copy_failures_total", help, Counter, move || {
        failures.upgrade().and_then(|care| care.archive_copy()).map_or(0, |copy| copy.failures)
    });
}

/// Values that others keep, for the metrics.
fn observe(
    metrics: &Metrics,
    dispatcher: &Arc<Dispatcher>,
    counts: &Arc<ConnectionCounts>,
    log: Option<&Arc<AccessLog>>,
    care: &Arc<dyn Care>,
) {
    use telemetry::metrics::Kind::{Counter, Gauge};
    observe_archive(metrics, care);
    let open = counts.clone();
    metrics.observe_value("selvedge_connections_open", "Connections of clients.", Gauge, move || open.open());
    let resting = counts.clone();
    let help = "Connections that wait for a request and hold no buffers.";
    metrics.observe_value("selvedge_connections_resting", help, Gauge, move || resting.resting());
    let refused = counts.clone();
    let help = "Connections refused for a limit.";
    metrics.observe_value("selvedge_connections_refused_total", help, Counter, move || refused.refused());
    let dispatch = dispatcher.clone();
    let help = "Sandboxes alive.";
    metrics.observe_value("selvedge_instances", help, Gauge, move || dispatch.snapshot().instances);
    let dispatch = dispatcher.clone();
    let help = "Programs mapped.";
    metrics.observe_value("selvedge_programs_loaded", help, Gauge, move || dispatch.snapshot().programs_loaded);
    let dispatch = dispatcher.clone();
    let help = "Instances that trapped or were ended for a limit.";
    metrics.observe_value("selvedge_instances_lost_total", help, Counter, move || {
        dispatch.snapshot().totals.instances_lost
    });
    let dispatch = dispatcher.clone();
    let help = "Requests run again because another one ended the instance that they shared.";
    metrics.observe_value("selvedge_requests_run_again_total", help, Counter, move || {
        dispatch.snapshot().totals.events_again
    });
    if let Some(log) = log.cloned() {
        let help = "Log lines dropped because the writer fell behind.";
        metrics.observe_value("selvedge_log_dropped_total", help, Counter, move || log.dropped());
    }
}
