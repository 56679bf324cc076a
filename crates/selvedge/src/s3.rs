//! The listener of the S3 protocol: a thread of its own, since what it serves waits for disks and not
//! for cores.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use ::s3::{Parts, S3};
use anyhow::{Context as _, Result};
use base::{NodeLimits, SystemRng};
use net::{ConnectionCounts, ListenOptions, Listener, Request, Server, ServerLimits, Sockets};
use telemetry::Sink;
use tokio::sync::Notify;

use crate::wire::{self, Stores};

mod books;

use books::Books;

/// Names that mean this machine: `BUCKET.localhost` is the bucket.
const HOSTS: [&str; 2] = ["s3.localhost", "localhost"];

/// Where it listens if nobody says otherwise and the port is free.
const DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8789);

/// Starts the listener where it was asked for, or at the default address; a default that is taken by
/// another node is no reason not to start.
pub fn start(
    listen: Option<SocketAddr>,
    hosts: &[String],
    stores: &Stores,
    limits: &NodeLimits,
    sockets: &Arc<Sockets>,
    sink: Arc<dyn Sink>,
) -> Result<Option<S3Listener>> {
    match (S3Listener::start(listen.unwrap_or(DEFAULT), hosts, stores, limits, sockets, sink), listen) {
        (Ok(listener), _) => Ok(Some(listener)),
        (Err(error), Some(_)) => Err(error),
        (Err(error), None) => {
            tracing::warn!("the S3 protocol is not served: {error:#}");
            Ok(None)
        }
    }
}

/// Its address, for the start-up message.
pub fn told(listener: Option<&S3Listener>, lead: &str) -> String {
    listener.map_or(String::new(), |listener| format!("{lead}http://{}", listener.address))
}

/// The running listener. Dropped, it finishes what is in progress and ends.
pub struct S3Listener {
    pub address: SocketAddr,
    stop: Arc<Notify>,
    within: Arc<OnceLock<Duration>>,
    thread: Option<JoinHandle<()>>,
}

impl S3Listener {
    /// Takes the port and starts to serve. `hosts` are names of the endpoint besides those of this
    /// machine.
    fn start(
        listen: SocketAddr,
        hosts: &[String],
        stores: &Stores,
        limits: &NodeLimits,
        sockets: &Arc<Sockets>,
        sink: Arc<dyn Sink>,
    ) -> Result<Self> {
        let options = ListenOptions { role: "s3", sockets: sockets.clone(), ..ListenOptions::default() };
        let mut listeners = Listener::bind(listen, &options)
            .map_err(|error| anyhow::anyhow!("{}", error.to_string().replace("--listen", "--s3")))?;
        let listener = listeners.pop().context("no S3 listener")?;
        let address = listener.address().tcp().unwrap_or(listen);
        let service = Arc::new(S3::new(Parts {
            blobs: stores.blobs.clone(),
            keys: stores.access_keys.clone(),
            clock: wire::clock(),
            rng: Arc::new(SystemRng),
            limits: limits.clone(),
            hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).chain(HOSTS.map(str::to_owned)).collect(),
        }));
        let (stop, within, limits) = (Arc::new(Notify::new()), Arc::new(OnceLock::new()), limits.clone());
        let (stopping, stops_within) = (stop.clone(), within.clone());
        let books = Arc::new(Books { clock: wire::clock(), sink });
        let run = move || serve(listener, service, books, &limits, (&stopping, &stops_within));
        let thread =
            std::thread::Builder::new().name("s3".into()).spawn(run).context("the S3 listener did not start")?;
        Ok(Self { address, stop, within, thread: Some(thread) })
    }

    /// Begins to stop, for a process that waits for the stores: what is in progress has so long.
    pub fn stop_within(&self, within: Duration) {
        let _ = self.within.set(within);
        self.stop.notify_one();
    }
}

impl Drop for S3Listener {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(
    listener: Listener,
    service: Arc<S3>,
    books: Arc<Books>,
    limits: &NodeLimits,
    (stop, within): (&Notify, &OnceLock<Duration>),
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "the S3 listener has no runtime"),
    };
    let server = Server::new(ServerLimits::from(limits), ConnectionCounts::new(limits), Box::new(|_, _, _| {}));
    server.take_paths_as(net::Paths::Names);
    let respond = move |request: Request| {
        let (service, books) = (service.clone(), books.clone());
        async move { books.respond(&service, request).await }
    };
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let stopped = async {
            stop.notified().await;
            if let Some(within) = within.get() {
                server.drain_within(*within);
            }
        };
        if let Err(error) = server.clone().run(vec![listener], respond, stopped).await {
            tracing::error!(%error, "the S3 listener stopped");
        }
    });
}
