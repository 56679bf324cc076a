//! The admin listener of a running node, and the way of the command line to it.
//!
//! A node writes two files that only its owner can read: `admin.token`, and `admin.json` with the
//! address. A command that finds the data directory locked reads them and talks to the node.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use base::{Body, NodeLimits, Rng as _, Secret, SystemRng};
use control::{Admin, AdminParts, Control, ControlParts, PrepareError, Traced};
use control_api::{Api, Client, ClientOptions, UpstreamEntry};
use net::{ConnectionCounts, ListenOptions, Listener, Request, Server, ServerLimits, Sockets};
use script::SourceMaps;
use services::ResponseCare;
use telemetry::{Level, Metrics};

use crate::acme::Desk;
use crate::config::last;
use crate::reload::{self, Bell};
use crate::site::tenant;
use crate::wire::{self, Locked, Storage, Stores};

const TOKEN_FILE: &str = "admin.token";
const ADDRESS_FILE: &str = "admin.json";

/// The admin address, taken before anything else starts, so that a port in use is found at once.
pub fn bind(address: SocketAddr, sockets: &Arc<Sockets>) -> Result<(Listener, SocketAddr)> {
    let options = ListenOptions { role: "admin", sockets: sockets.clone(), ..ListenOptions::default() };
    let mut listeners = Listener::bind(address, &options)
        .map_err(|error| anyhow::anyhow!("{}", error.to_string().replace("--listen", "--admin")))?;
    let listener = listeners.pop().context("no admin listener")?;
    let address = listener.address().tcp().unwrap_or(address);
    Ok((listener, address))
}

/// Leaves the address and a fresh token for the command line.
pub fn announce(data: &Path, address: SocketAddr) -> Result<Secret<String>> {
    let mut bytes = [0; 32];
    SystemRng.fill(&mut bytes);
    let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    write_private(&data.join(TOKEN_FILE), token.as_bytes())?;
    let document = serde_json::json!({ "address": address, "pid": std::process::id() });
    write_private(&data.join(ADDRESS_FILE), document.to_string().as_bytes())?;
    Ok(Secret::new(token))
}

/// Writes a file that only its owner can read, whole or not at all.
pub fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let temporary = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        fs::rename(&temporary, path)
    };
    write().with_context(|| format!("can't write {}", path.display()))
}

/// Serves the admin API until `stop` resolves. Must run inside a `LocalSet`.
pub async fn serve(listener: Listener, parts: AdminParts, stop: impl Future<Output = ()>) -> Result<()> {
    // A deployment may be large, and a page of metrics is asked for every few seconds.
    let limits = NodeLimits { connections: 1_000, ..parts.limits.clone() };
    let admin = std::rc::Rc::new(Admin::new(parts));
    let server = Server::new(ServerLimits::from(&limits), ConnectionCounts::new(&limits), Box::new(|_, _, _| {}));
    let service = move |request: Request| {
        let admin = admin.clone();
        async move { admin.respond(into_http(request)).await }
    };
    server.run(vec![listener], service, stop).await?;
    Ok(())
}

fn into_http(request: Request) -> http::Request<Body> {
    let mut converted = http::Request::new(request.body);
    *converted.method_mut() = request.method;
    *converted.uri_mut() = http::Uri::from(request.path_and_query);
    *converted.headers_mut() = request.headers;
    converted
}

/// What a node that runs in this process has to tell.
pub struct Running {
    pub responses: Arc<dyn ResponseCare>,
    pub metrics: Arc<Metrics>,
    pub traced: Traced,
}

/// The control plane over these stores, in this process.
pub fn control(
    stores: &Stores,
    engine: Option<Arc<dyn worker::Engine>>,
    node: Option<Running>,
    limits: NodeLimits,
    on_release: Arc<dyn Fn() + Send + Sync>,
    upstreams: Arc<dyn Fn() -> Vec<UpstreamEntry> + Send + Sync>,
    bells: Option<(Bell, Desk)>,
) -> Arc<dyn Api> {
    let reload = match (&bells, &node) {
        (Some((bell, _)), _) => {
            let bell = bell.clone();
            Some(Arc::new(move || bell.ask()) as control::Reload)
        }
        // A node without a configuration.
        (None, Some(_)) => Some(Arc::new(reload::nothing) as control::Reload),
        (None, None) => None,
    };
    let (responses, metrics, traced) = match node {
        Some(Running { responses, metrics, traced }) => (Some(responses), Some(metrics), Some(traced)),
        None => (None, None, None),
    };
    let prepare = move |artifact: &base::Artifact, limits: &base::WorkerLimits| {
        let Some(engine) = &engine else { return Ok(Vec::new()) };
        let prepared = engine.prepare(artifact, limits);
        let maps = match (&prepared, artifact) {
            (Ok(report), _) if report.console.is_empty() => None,
            (_, base::Artifact::Script(script)) => Some(SourceMaps::new(script)),
            _ => None,
        };
        let mapped = |text: String| maps.as_ref().map_or(text.clone(), |maps| maps.map_stack(&text));
        match prepared {
            Ok(report) => {
                let line = |(level, line): (Level, String)| format!("{}: {}", level.as_str(), mapped(line));
                Ok(report.console.into_iter().map(line).collect())
            }
            Err(failure) => {
                Err(PrepareError { code: failure.code, detail: failure.detail, stack: failure.stack.map(mapped) })
            }
        }
    };
    let quotas = stores.quotas.clone();
    Arc::new(Control::new(ControlParts {
        tenant: tenant(),
        artifacts: stores.artifacts.clone(),
        releases: stores.releases.clone(),
        secrets: stores.secrets.clone(),
        kv: stores.kv.clone(),
        blobs: stores.blobs.clone(),
        access_keys: stores.access_keys.clone(),
        sql: stores.sql.clone(),
        objects: stores.objects.clone(),
        leases: stores.leases.clone(),
        care: stores.care.clone(),
        responses,
        metrics,
        traced,
        clock: wire::clock(),
        limits,
        limits_of: Arc::new(move |app| quotas.of(app)),
        prepare: Arc::new(prepare),
        on_release,
        upstreams,
        certificates: bells.map(|(_, desk)| Arc::new(move |renew| desk.ask(renew)) as control::Certificates),
        reload,
        version: env!("CARGO_PKG_VERSION"),
    }))
}

/// Whether a command that needs no engine should start one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prepare {
    Yes,
    No,
}

/// The control plane of a data directory: that of the node that holds it, or one in this process. The
/// directory must be there: to look into one that is made on the spot would tell of success where a name
/// was mistyped.
pub fn reach(data: &Path, prepare: Prepare) -> Result<Arc<dyn Api>> {
    reach_by(data, prepare, wire::find_stores)
}

/// The same for a command that a data directory may begin with: it is made if it is missing.
pub fn reach_or_make(data: &Path, prepare: Prepare) -> Result<Arc<dyn Api>> {
    reach_by(data, prepare, wire::open_stores)
}

fn reach_by(
    data: &Path,
    prepare: Prepare,
    open: impl FnOnce(&Path, &Storage) -> Result<Stores>,
) -> Result<Arc<dyn Api>> {
    let storage = last::read(data)?;
    match open(data, &storage) {
        Ok(stores) => {
            let engine = match prepare {
                Prepare::Yes => Some(wire::open_engine(&stores, &storage.limits)?),
                Prepare::No => None,
            };
            Ok(control(&stores, engine, None, storage.limits, Arc::new(|| {}), Arc::new(Vec::new), None))
        }
        Err(error) if error.is::<Locked>() => match client(data) {
            Ok(client) => Ok(Arc::new(client)),
            Err(why) => Err(error.context(format!("and the process that holds it can't be asked: {why:#}"))),
        },
        Err(error) => Err(error),
    }
}

fn client(data: &Path) -> Result<Client> {
    let read = |name: &str| {
        let path = data.join(name);
        fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))
    };
    let document: serde_json::Value = serde_json::from_str(&read(ADDRESS_FILE)?)?;
    let address = document.get("address").and_then(|a| a.as_str()).context("admin.json names no address")?;
    let token = read(TOKEN_FILE)?;
    Ok(Client::new(ClientOptions::new(address.parse()?, Secret::new(token))))
}
