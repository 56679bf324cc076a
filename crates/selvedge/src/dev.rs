//! `selvedge dev`: builds and serves a project, and builds it again at every change.
//!
//! A build that fails takes nothing down: what the browser gets meanwhile is the failure, with the
//! line it is about, and the next good build takes over without losing a request.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use base::{NodeLimits, code};
use control::{AdminParts, BuildFault, BuildOptions, Bundle, build_app};
use dispatch::Deployment;
use edge::{AssetIndex, AssetMemory, HostMap, Site, SiteParts};
use futures_util::FutureExt as _;
use manifest::Plan;
use worker::{Failure, Frame, Invoker};

use crate::admin;
use crate::cli;
use crate::config;
use crate::listeners::ListenerOptions;
use crate::node::{Node, NodeOptions};
use crate::prepare;
use crate::s3;
use crate::site::{Blueprint, Refusing};
use crate::terminal;
use crate::upstreams;
use crate::watch::Watch;
use crate::wire;
use net::DnsOptions;

mod authority;

/// Bytes of small files that are kept in memory.
const ASSET_MEMORY_BYTES: u64 = 64 << 20;

fn open_stores(data: &Path, limits: &NodeLimits) -> Result<wire::Stores> {
    let storage = wire::Storage { limits: limits.clone(), ..Default::default() };
    let stores = wire::open_stores(data, &storage)?;
    config::last::leave(&stores.data, &storage);
    Ok(stores)
}

pub async fn run(args: cli::Dev) -> Result<()> {
    let limits = NodeLimits::default();
    let dir =
        args.project.dir.canonicalize().with_context(|| format!("{} is not there", args.project.dir.display()))?;
    let data = args.data.unwrap_or_else(|| dir.join(".selvedge").join("data"));
    let stores = open_stores(&data, &limits)?;
    let sockets = Arc::default();
    let (admin, admin_address) = admin::bind(args.listening.admin, &sockets)?;
    let listen = args.listening.listen.unwrap_or(config::LISTEN);
    let mut listener = ListenerOptions::plain(listen);
    let authority = args.tls.then(|| authority::open(listen.ip(), &limits, &wire::clock())).transpose()?;
    listener.reception.tls = authority.as_ref().map(|authority| authority.tls.clone());
    let node = Node::start(
        NodeOptions {
            listeners: vec![listener],
            admin: admin_address,
            cores: terminal::cores(args.listening.cores),
            limits: limits.clone(),
            log: terminal::log_format(),
            quiet: args.listening.quiet,
            countries: None,
            dns: DnsOptions::system(),
            sockets: sockets.clone(),
        },
        stores.clone(),
    )?;
    let s3 = s3::start(args.listening.s3, &[], &stores, &limits, &sockets, node.sink.clone())?;
    let counted = Some(node.running());
    let (metrics, engine, seen) = (node.metrics.clone(), node.engine.clone(), upstreams::seen_of(&node.hosts));
    let parts = AdminParts {
        api: admin::control(&stores, Some(engine), counted, limits.clone(), Arc::new(|| {}), seen, None),
        token: admin::announce(&stores.data, admin_address)?,
        address: admin_address,
        hosts: vec!["localhost".into()],
        limits,
        ready: Arc::new(|| Ok(())),
        metrics: Arc::new(move || metrics.render()),
    };
    let stop = terminal::stop_signal()?.shared();
    let serving_admin = tokio::task::spawn_local(admin::serve(admin, parts, stop.clone()));
    let mut studio = Studio {
        options: BuildOptions { env: args.project.env, dev: true, ..BuildOptions::default() },
        memory: AssetMemory::new(ASSET_MEMORY_BYTES),
        current: None,
        watch: Watch::new()?,
        dir,
        node,
    };
    studio.rebuild(&[]).await;
    studio.node.accept()?;
    terminal::say(&format!(
        "\n{}\n{}  admin on http://{admin_address} (token in {}){}\n",
        studio.addresses(),
        authority.map(|authority| authority.advice()).unwrap_or_default(),
        stores.data.join("admin.token").display(),
        s3::told(s3.as_ref(), "\n  S3 on "),
    ));
    loop {
        tokio::select! {
            () = stop.clone() => break,
            changed = studio.watch.changed() => studio.rebuild(&changed).await,
        }
    }
    terminal::say("stopping: finishing what is in progress");
    drop(s3);
    studio.node.stop();
    serving_admin.abort();
    Ok(())
}

/// A project that is being worked on.
struct Studio {
    dir: PathBuf,
    options: BuildOptions,
    node: Node,
    memory: Arc<AssetMemory>,
    current: Option<(Arc<Site>, Arc<Deployment>)>,
    watch: Watch,
}

impl Studio {
    /// Where to look. A project that was never valid has no name, and so no host of its own yet.
    fn addresses(&self) -> String {
        let Some(served) = self.node.addresses.first() else { return String::new() };
        match &self.current {
            Some((site, _)) => {
                let app = site.app();
                format!("  {app} is served on\n    {served}\n    {}", served.url(&format!("{app}.localhost")))
            }
            None => format!("  the project is served on\n    {served}"),
        }
    }

    async fn rebuild(&mut self, changed: &[PathBuf]) {
        let begun = Instant::now();
        let (dir, options) = (self.dir.clone(), self.options.clone());
        let built = tokio::task::spawn_blocking(move || build_app(&dir, &options)).await;
        let Ok(built) = built else {
            return terminal::say("the build panicked; please report this");
        };
        match built {
            Ok(bundle) => {
                self.watch.follow(&bundle.inputs);
                for warning in &bundle.warnings {
                    terminal::say(&format!("warning: {warning}"));
                }
                match self.publish(bundle).await {
                    Ok(()) => self.tell(changed, begun),
                    Err(failure) => self.show(failure),
                }
            }
            Err(failure) => {
                self.watch.follow(&failure.inputs);
                eprint!("{}", failure.render(terminal::stderr_color()));
                let view = failure.views().into_iter().next();
                let code = match failure.faults.first() {
                    Some(BuildFault::Script { .. }) => &code::BAD_SCRIPT,
                    Some(BuildFault::File(fault)) if fault.code == code::BAD_COMPONENT.name => &code::BAD_COMPONENT,
                    _ => &code::INVALID_MANIFEST,
                };
                let detail = view.as_ref().map_or_else(|| "the build failed".to_owned(), |view| view.message.clone());
                let frame =
                    view.and_then(|view| Some(Frame { file: view.file?, line: view.line?, column: view.column? }));
                self.publish_failure(Failure { frame, ..Failure::new(code, detail).with_stack(failure.render(false)) });
            }
        }
    }

    fn tell(&self, changed: &[PathBuf], begun: Instant) {
        let ms = begun.elapsed().as_secs_f64() * 1000.0;
        let names: Vec<String> =
            changed.iter().map(|path| path.strip_prefix(&self.dir).unwrap_or(path).display().to_string()).collect();
        match names.as_slice() {
            [] => terminal::say(&format!("built in {ms:.0} ms")),
            names => terminal::say(&format!("{} changed: live after {ms:.0} ms", names.join(", "))),
        }
    }

    /// A start that failed, in the terminal and in the browser.
    fn show(&self, failure: Failure) {
        terminal::say(&format!("error: {}: {}", failure.code.title, failure.detail));
        if let Some(stack) = &failure.stack {
            eprintln!("{}", stack.trim_end());
        }
        self.publish_failure(failure);
    }

    /// Prepares every worker, then lets the new site take over.
    async fn publish(&mut self, bundle: Bundle) -> Result<(), Failure> {
        let workers = prepare::workers(&self.node.engine, &bundle.plan, bundle.workers).await?;
        let failed = |error: &dyn std::fmt::Display| Failure::new(&code::START_FAILED, format!("{error:#}"));
        let mut assets = Vec::new();
        for index in &bundle.plan.assets {
            let scanned = AssetIndex::scan(&self.dir.join(&index.directory), &self.memory, index.html);
            assets.push(scanned.map_err(|error| failed(&error))?);
        }
        let blueprint = Blueprint {
            plan: Arc::new(bundle.plan),
            deployment: "dev".into(),
            workers,
            assets,
            migrations: bundle.migrations,
            dev: Some(self.dir.clone()),
        };
        let made = self.node.workshop.site(blueprint).await.map_err(|error| failed(&error))?;
        self.node.hosts.publish(HostMap::single(made.0.clone()));
        made.1.take_over();
        self.current = Some(made);
        Ok(())
    }

    /// Until the next good build, every route of the app answers with the failure.
    fn publish_failure(&self, failure: Failure) {
        let plan = match &self.current {
            Some((site, _)) => site.plan().clone(),
            None => Arc::new(placeholder()),
        };
        let failing: Arc<dyn Invoker> = Arc::new(Refusing(failure));
        let site = Site::new(SiteParts {
            deployment: "dev".into(),
            workers: plan.workers.iter().map(|_| failing.clone()).collect(),
            assets: plan.assets.iter().map(|_| AssetIndex::new([], &self.memory, Default::default())).collect(),
            buckets: self.node.workshop.buckets(&plan),
            upstreams: self.current.as_ref().map_or_else(Vec::new, |(site, _)| site.upstreams().to_vec()),
            plan,
            dev: Some(self.dir.clone()),
        });
        self.node.hosts.publish(HostMap::single(site));
    }
}

/// A plan for a project whose manifest was never valid: one worker, every path.
fn placeholder() -> Plan {
    let text = "name = \"app\"\n[workers.web]\nentry = \"index.js\"\n";
    let source = manifest::Source { path: "selvedge.toml", text };
    manifest::read_selvedge(source, &manifest::Options::default()).expect("the placeholder is valid")
}
