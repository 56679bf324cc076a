//! A running node: a thread for each core, and what they share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use base::{NodeLimits, SystemRng};
use dispatch::{Dispatcher, ObjectParts};
use edge::{CoreConfig, Drain, HostMap, Hosts, ProxyCache};
use net::{ConnectionCounts, Connector, ConnectorOptions, ListenOptions, Listener};
use telemetry::{AccessLog, AccessLogOptions, Fanout, Format, Metrics, Sink};

use crate::outbound::NetFetcher;
use crate::site::Workshop;
use crate::wire::{self, Stores};

pub struct NodeOptions {
    pub listen: SocketAddr,
    /// Where the admin listener is, which no worker may reach.
    pub admin: SocketAddr,
    pub cores: usize,
    pub limits: NodeLimits,
    pub log: Format,
    /// No access log at all.
    pub quiet: bool,
}

pub struct Node {
    pub address: SocketAddr,
    pub hosts: Arc<Hosts>,
    pub workshop: Arc<Workshop>,
    pub engine: Arc<dyn worker::Engine>,
    pub metrics: Arc<Metrics>,
    connector: Arc<Connector>,
    drain: Drain,
    log: Option<Arc<AccessLog>>,
    waiting: Vec<CoreConfig>,
    cores: Vec<JoinHandle<()>>,
}

impl Node {
    /// Takes the port and starts the engine. Clients that connect from now on wait until
    /// [`Node::accept`], so that nobody meets a node that does not know its apps yet.
    pub fn start(options: NodeOptions, stores: Stores) -> Result<Self> {
        let clock = wire::clock();
        // The port is taken first: to find it in use should not cost the start of an engine.
        let listeners =
            Listener::bind(options.listen, &ListenOptions { cores: options.cores, ..ListenOptions::default() })?;
        let address = listeners.first().map_or(options.listen, Listener::address);
        let engine = wire::open_engine(&stores, &options.limits)?;
        let metrics = Metrics::new();
        let log = match options.quiet {
            true => None,
            false => {
                let log_options = AccessLogOptions { format: options.log, ..AccessLogOptions::default() };
                Some(AccessLog::start(std::io::stdout(), &log_options).context("the access log did not start")?)
            }
        };
        let mut sinks: Vec<Arc<dyn Sink>> = vec![metrics.clone()];
        sinks.extend(log.clone().map(|log| log as Arc<dyn Sink>));
        let sink: Arc<dyn Sink> = Arc::new(Fanout::new(sinks));
        let parts = ObjectParts { store: stores.objects.clone(), leases: stores.leases.clone(), sink: sink.clone() };
        let dispatcher = Dispatcher::with_objects(engine.clone(), clock.clone(), options.limits.clone(), parts);
        let hosts = Hosts::new(HostMap::default());
        let drain = Drain::new();
        let counts = ConnectionCounts::new(&options.limits);
        let connector = Connector::new(ConnectorOptions::from(&options.limits));
        let fetcher = Arc::new(NetFetcher(connector.clone()));
        observe(&metrics, &dispatcher, &counts, log.as_ref());

        let cache = ProxyCache::new(stores.responses.store(), options.limits.cache_key_bytes);
        let waiting = listeners
            .into_iter()
            .map(|listener| CoreConfig {
                listener,
                hosts: hosts.clone(),
                limits: options.limits.clone(),
                counts: counts.clone(),
                clock: clock.clone(),
                rng: Arc::new(SystemRng),
                sink: sink.clone(),
                drain: drain.clone(),
                cache: cache.clone(),
            })
            .collect();
        let own = vec![options.admin];
        let workshop = Arc::new(Workshop { stores, dispatcher, fetcher, own, testing: None });
        Ok(Self { address, hosts, workshop, engine, metrics, connector, drain, log, waiting, cores: Vec::new() })
    }

    /// Starts the cores.
    pub fn accept(&mut self) -> Result<()> {
        for (index, config) in std::mem::take(&mut self.waiting).into_iter().enumerate() {
            let dispatcher = self.workshop.dispatcher.clone();
            let thread = std::thread::Builder::new().name(format!("core-{index}"));
            self.cores
                .push(thread.spawn(move || run_core(index, &dispatcher, config)).context("a core did not start")?);
        }
        Ok(())
    }

    /// Stops accepting, finishes what is in progress within `drain_ms`, and ends the cores.
    pub fn stop(self) {
        self.drain.begin();
        self.connector.drain();
        for core in self.cores {
            // A core that panicked has nothing left to finish.
            let _ = core.join();
        }
        if let Some(log) = self.log {
            log.flush();
        }
    }
}

fn run_core(index: usize, dispatcher: &Dispatcher, config: CoreConfig) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "core {index} has no runtime"),
    };
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let core = dispatcher.install_core(worker::Core::new(index));
        match edge::run_core(config).await {
            Ok(0) => {}
            Ok(cut) => tracing::warn!("core {index}: {cut} connections were cut at the end of drain_ms"),
            Err(error) => tracing::error!(%error, "core {index} stopped"),
        }
        drop(core);
    });
}

/// Values that others keep, for the metrics.
fn observe(
    metrics: &Metrics,
    dispatcher: &Arc<Dispatcher>,
    counts: &Arc<ConnectionCounts>,
    log: Option<&Arc<AccessLog>>,
) {
    use telemetry::metrics::Kind::{Counter, Gauge};
    let open = counts.clone();
    metrics.observe_value("selvedge_connections_open", "Connections of clients.", Gauge, move || open.open());
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
