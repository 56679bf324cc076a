//! `selvedge serve`: runs what is released, and follows changes of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base::{AppName, Artifact, Digest, NodeLimits};
use control::{AdminParts, Document};
use dispatch::Deployment;
use edge::{AssetEntry, AssetIndex, AssetMemory, HostMap, Site};
use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, Shared};
use net::handover::Successor;
use net::tls::Challenges;
use services::release::ReleasedApp;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinHandle};
use worker::Failure;

use crate::acme::{self, Desk, Keeper, Wanted};
use crate::admin;
use crate::bucket;
use crate::cli;
use crate::config::{self, AcmeConfig, ArchiveConfig, last};
use crate::geo;
use crate::listeners::{self, ListenerOptions, Opened};
use crate::node::{Node, NodeOptions};
use crate::reload::{self, Bell, Fixed, Follower};
use crate::s3::{self, S3Listener};
use crate::site::{Blueprint, Code, Workshop, tenant};
use crate::source_map::InFile;
use crate::start_code;
use crate::takeover::{self, Offered, Succession};
use crate::terminal;
use crate::upstreams;
use crate::wire::{self, Stores};

/// Bytes of small files that all apps may keep in memory together.
const ASSET_MEMORY_BYTES: u64 = 128 << 20;

/// One released app, as it is served.
struct Served {
    deployment: Digest,
    site: Arc<Site>,
    deployed: Arc<Deployment>,
}

/// Everything that is released.
struct Fleet {
    node: Node,
    memory: Arc<AssetMemory>,
    served: BTreeMap<AppName, Served>,
    secrets: u64,
}

/// Runs until the node is stopped, or another process has taken its place.
pub async fn run(args: cli::Serve) -> Result<Option<Succession>> {
    let config = config::read(args.config.as_deref())?;
    let (clock, fixed, storage) = (wire::clock(), Fixed::of(&config), config.storage());
    if let Some(ArchiveConfig::Bucket(bucket)) = &config.archive {
        bucket::check_credentials(bucket)?;
    }
    let opened = listeners::open(config.listeners, config.file.as_ref(), &config.limits, &*clock, &[])?;
    let Opened { listeners: configured, secure, wanted, challenges } = opened;
    let countries = config.countries.map(|file| geo::open(file, config.file.as_ref())).transpose()?;
    let listen = args.listening.listen.or(configured.is_empty().then_some(config::LISTEN));
    // The one of the command line comes first, whatever the file has.
    let listeners = listen.map(ListenerOptions::plain).into_iter().chain(configured).collect();
    let sockets = if args.takeover { takeover::begin(&args.data)? } else { Arc::default() };
    let mut stores = takeover::open_stores(&args.data, &storage, args.takeover).await?;
    last::leave(&stores.data, &storage);
    if let Some(disk) = &config.cache_disk {
        wire::open_disk_responses(&mut stores, disk, &config.limits)?;
    }
    let (admin, admin_address) = admin::bind(args.listening.admin, &sockets)?;
    let mut node = Node::start(
        NodeOptions {
            listeners,
            admin: admin_address,
            cores: terminal::cores(args.listening.cores),
            limits: config.limits.clone(),
            log: terminal::log_format(),
            quiet: args.listening.quiet,
            countries,
            dns: config.dns,
            sockets: sockets.clone(),
        },
        stores.clone(),
    )?;
    let (s3, sink) = (args.listening.s3.or(config.s3.listen), node.sink.clone());
    let s3 = s3::start(s3, &config.s3.hosts, &stores, &config.limits, &sockets, sink)?;
    let changed = Arc::new(Notify::new());
    let ((bell, heard), (desk, asked)) = (reload::bell(), acme::desk());
    let parts = admin_parts(&node, &stores, admin_address, &config.limits, &changed, (bell, desk))?;
    let offered = takeover::offer(&stores.data, &sockets)?;
    let stop = ending(&offered)?;
    let serving_admin = tokio::task::spawn_local(admin::serve(admin, parts, stop.clone().map(drop)));
    listeners::observe(&node.metrics, &secure);
    let keeping = keep(config.acme.as_ref(), (wanted, challenges), &stores, &config.limits, asked).await?;
    let live = node.live.take().context("a node that starts can be changed")?;
    let (data, quotas) = (stores.data.clone(), stores.quotas.clone());
    let follower = Follower { live, secure, config: args.config, listen, fixed, storage, data, quotas, clock };
    let following = tokio::task::spawn_local(follower.run(heard));
    let addresses = node.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut fleet = Fleet { node, memory: AssetMemory::new(ASSET_MEMORY_BYTES), served: BTreeMap::new(), secrets: 0 };
    let generation = fleet.refresh().await?;
    fleet.node.accept()?;
    terminal::say(&format!(
        "serving {} apps on {addresses}, admin on http://{admin_address}{}",
        fleet.served.len(),
        s3::told(s3.as_ref(), ", S3 on ")
    ));
    tokio::task::spawn_local(start_code::give_back());
    fleet.follow(generation, &changed, stop.clone()).await;
    let successor = stop.await.then(|| offered.successor()).flatten();
    let succession = end(successor, fleet.node, s3, stores, Duration::from_millis(config.limits.handover_ms));
    [serving_admin.abort_handle(), following.abort_handle(), keeping.abort_handle()]
        .iter()
        .for_each(AbortHandle::abort);
    Ok(succession)
}

/// Ends the node, for good or for a successor, which waits `within`.
fn end(
    successor: Option<Successor>,
    node: Node,
    s3: Option<S3Listener>,
    stores: Stores,
    within: Duration,
) -> Option<Succession> {
    let Some(successor) = successor else {
        terminal::say("stopping: finishing what is in progress");
        drop(s3);
        node.stop();
        return None;
    };
    terminal::say("another process takes over: finishing what is in progress");
    s3.iter().for_each(|s3| s3.stop_within(within));
    let going_on = node.hand_over(within);
    Some(Succession { successor, locks: stores.locks, going_on })
}

fn admin_parts(
    node: &Node,
    stores: &Stores,
    address: SocketAddr,
    limits: &NodeLimits,
    changed: &Arc<Notify>,
    bells: (Bell, Desk),
) -> Result<AdminParts> {
    let changed = changed.clone();
    let on_release = Arc::new(move || changed.notify_one());
    let metrics = node.metrics.clone();
    Ok(AdminParts {
        api: admin::control(
            stores,
            Some(node.engine.clone()),
            Some(node.running()),
            limits.clone(),
            on_release,
            upstreams::seen_of(&node.hosts),
            Some(bells),
        ),
        token: admin::announce(&stores.data, address)?,
        address,
        hosts: vec!["localhost".into()],
        limits: limits.clone(),
        ready: Arc::new(|| Ok(())),
        metrics: Arc::new(move || metrics.render()),
    })
}

/// What ends a node: `true` if another process has taken its place.
fn ending(offered: &Offered) -> Result<Shared<LocalBoxFuture<'static, bool>>> {
    let taken = offered.clone().taken();
    let stopped = terminal::stop_signal()?;
    let ended = async move {
        tokio::select! {
            () = stopped => false,
            () = taken => true,
        }
    };
    Ok(ended.boxed_local().shared())
}

/// Keeps the certificates that are asked of an authority.
async fn keep(
    acme: Option<&AcmeConfig>,
    (wanted, challenges): (Vec<Wanted>, Arc<Challenges>),
    stores: &Stores,
    limits: &NodeLimits,
    asked: acme::Heard,
) -> Result<JoinHandle<()>> {
    let Some(acme) = acme else { return Ok(tokio::task::spawn_local(std::future::ready(()))) };
    let mut keeper = Keeper::new(acme, wanted, challenges, stores.secrets.clone(), wire::clock(), limits)?;
    keeper.load().await;
    Ok(tokio::task::spawn_local(keeper.run(asked)))
}

impl Fleet {
    async fn follow(&mut self, mut generation: u64, changed: &Notify, stop: impl Future<Output = bool> + Clone) {
        let stores = self.node.workshop.stores.clone();
        let releases = stores.releases.clone();
        loop {
            tokio::select! {
                _ = stop.clone() => return,
                () = changed.notified() => {}
                _ = releases.changed(generation) => {}
                // A previous version of a secret is good no longer: the workers that hold it are
                // made again without.
                () = overlap_over(&stores) => self.secrets = u64::MAX,
            }
            match self.refresh().await {
                Ok(now) => generation = now,
                // What was served before goes on being served.
                Err(error) => tracing::error!("the released apps can't be read: {error:#}"),
            }
        }
    }

    /// Makes sites of what was released since the last look, and publishes the hosts.
    async fn refresh(&mut self) -> Result<u64> {
        let workshop = self.node.workshop.clone();
        let current = workshop.stores.releases.current().await?;
        let secrets = workshop.stores.secrets.generation();
        let rotated = std::mem::replace(&mut self.secrets, secrets) != secrets;
        let mut next = BTreeMap::new();
        for released in current.apps {
            let app = released.app.app.clone();
            let before = self.served.remove(&app);
            let same = |served: &Served| {
                let uses_values = served.site.plan().has_values();
                served.deployment == released.record.id && !(rotated && uses_values)
            };
            let served = match before {
                Some(served) if same(&served) => served,
                before => match make(&workshop, &released, &self.memory).await {
                    Ok(served) => served,
                    Err(error) => {
                        tracing::error!("{app} can't be served: {error:#}");
                        match before {
                            Some(last_known_good) => last_known_good,
                            None => continue,
                        }
                    }
                },
            };
            next.insert(app, served);
        }
        let map = HostMap::new(next.values().map(|served| served.site.clone()))?;
        self.node.hosts.publish(map);
        next.values().for_each(|served| served.deployed.take_over());
        self.served = next;
        Ok(current.generation)
    }
}

/// Ends when the overlap of a rotated secret does.
async fn overlap_over(stores: &Stores) {
    match stores.secrets.overlap_end().await {
        Ok(Some(end_ms)) => {
            let left_ms = end_ms.saturating_sub(wire::clock().unix_ms());
            tokio::time::sleep(Duration::from_millis(left_ms)).await;
        }
        Ok(None) => std::future::pending().await,
        Err(error) => {
            // It is looked at again after the next change.
            tracing::error!(%error, "when overlaps of secrets end can't be read");
            std::future::pending().await
        }
    }
}

async fn make(workshop: &Arc<Workshop>, released: &ReleasedApp, memory: &Arc<AssetMemory>) -> Result<Served> {
    let document = Document::read(&released.record.document, &released.record.id)?;
    let artifacts = workshop.stores.artifacts.clone();
    let workers = document
        .workers()
        .iter()
        .map(|&digest| {
            let store = artifacts.clone();
            let source: dispatch::ArtifactSource = Arc::new(move || {
                let store = store.clone();
                async move {
                    let failed =
                        |error: &dyn std::fmt::Display| Failure::new(&base::code::STORE_FAILED, error.to_string());
                    let bytes = store.get(&tenant(), &digest).await.map_err(|error| failed(&error))?;
                    let decoded = bytes.map(|bytes| Artifact::decode(&bytes)).transpose();
                    decoded.map_err(|error| failed(&error))
                }
                .boxed()
            });
            let file = artifacts.local_file(&tenant(), &digest);
            let source_map = file.map(|file| Arc::new(InFile::new(file)) as Arc<dyn worker::SourceMap>);
            Code { digest, source, source_map }
        })
        .collect();
    let mut assets = Vec::new();
    for (files, planned) in document.assets().iter().zip(&document.plan().assets) {
        let mut entries = Vec::with_capacity(files.len());
        for (path, entry) in files {
            let file = artifacts.local_file(&tenant(), &entry.digest);
            let file = file.with_context(|| format!("the file {path} is missing from the store"))?;
            let path = path.trim_start_matches('/').to_owned();
            entries.push(AssetEntry { path, digest: entry.digest, size: entry.bytes, file });
        }
        assets.push(AssetIndex::new(entries, memory, planned.html));
    }
    let blueprint = Blueprint {
        migrations: document.migrations().clone(),
        deployment: released.record.id.short().into(),
        plan: Arc::new(document.into_plan()),
        workers,
        assets,
        dev: None,
    };
    let (site, deployed) = workshop.site(blueprint).await?;
    Ok(Served { deployment: released.record.id, site, deployed })
}
