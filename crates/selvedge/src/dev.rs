//! `selvedge dev`: builds and serves a project, and builds it again at every change.
//!
//! A build that fails takes nothing down: what the browser gets meanwhile is the failure, with the
//! line it is about, and the next good build takes over without losing a request.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use base::{Artifact, NodeLimits, code};
use control::{AdminParts, BuildFault, BuildOptions, Bundle, build_app};
use dispatch::Deployment;
use edge::{AssetIndex, AssetMemory, HostMap, Site, SiteParts};
use futures_util::FutureExt as _;
use manifest::Plan;
use notify::Watcher as _;
use script::SourceMaps;
use tokio::sync::mpsc;
use worker::{Failure, Frame, Invoker};

use crate::admin;
use crate::cli;
use crate::node::{Node, NodeOptions};
use crate::site::{Blueprint, Code, Refusing};
use crate::source_map::Loaded;
use crate::terminal;
use crate::wire;

/// Editors write a file in several steps; a build waits until they are through.
const SETTLE: Duration = Duration::from_millis(15);

/// Bytes of small files that are kept in memory.
const ASSET_MEMORY_BYTES: u64 = 64 << 20;

pub async fn run(args: cli::Dev) -> Result<()> {
    let limits = NodeLimits::default();
    let dir =
        args.project.dir.canonicalize().with_context(|| format!("{} is not there", args.project.dir.display()))?;
    let data = args.data.unwrap_or_else(|| dir.join(".selvedge").join("data"));
    let stores = wire::open_stores(&data, &limits)?;
    let admin = admin::bind(args.listening.admin)?;
    let admin_address = admin.address();
    let node = Node::start(
        NodeOptions {
            listen: args.listening.listen,
            admin: admin_address,
            cores: terminal::cores(args.listening.cores),
            limits: limits.clone(),
            log: terminal::log_format(),
            quiet: args.listening.quiet,
        },
        stores.clone(),
    )?;
    let metrics = node.metrics.clone();
    let parts = AdminParts {
        api: admin::control(&stores, Some(node.engine.clone()), limits.clone(), Arc::new(|| {})),
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
        "\n{}\n  admin on http://{admin_address} (token in {})\n",
        studio.addresses(),
        stores.data.join("admin.token").display(),
    ));
    loop {
        tokio::select! {
            () = stop.clone() => break,
            changed = studio.watch.changed() => studio.rebuild(&changed).await,
        }
    }
    terminal::say("stopping: finishing what is in progress");
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
        let address = self.node.address;
        match &self.current {
            Some((site, _)) => {
                let app = site.app();
                format!("  {app} is served on\n    http://{address}\n    http://{app}.localhost:{}", address.port())
            }
            None => format!("  the project is served on\n    http://{address}"),
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
        let mut workers = Vec::new();
        for (plan, built) in bundle.plan.workers.iter().zip(bundle.workers) {
            let maps = match &built.artifact {
                Artifact::Script(script) => Some(Arc::new(Loaded(SourceMaps::new(script)))),
                Artifact::Component(_) => None,
            };
            let (engine, artifact, limits) = (self.node.engine.clone(), Arc::new(built.artifact), plan.limits.clone());
            let preparing = artifact.clone();
            let prepared = tokio::task::spawn_blocking(move || engine.prepare(&preparing, &limits)).await;
            let report = match prepared {
                Ok(Ok(report)) => report,
                Ok(Err(failure)) => return Err(located(failure, maps.as_deref())),
                Err(_) => return Err(Failure::new(&code::INTERNAL, "preparing the worker panicked")),
            };
            for (level, line) in report.console {
                let line = maps.as_ref().map_or(line.clone(), |maps| maps.0.map_stack(&line));
                terminal::say(&format!("{} (at start) {}: {line}", plan.name, level.as_str()));
            }
            let source: dispatch::ArtifactSource = Arc::new(move || {
                let artifact = artifact.clone();
                async move { Ok(Some(Artifact::clone(&artifact))) }.boxed()
            });
            let source_map = maps.map(|maps| maps as Arc<dyn worker::SourceMap>);
            workers.push(Code { digest: built.digest, source, source_map });
        }
        let failed = |error: &dyn std::fmt::Display| Failure::new(&code::START_FAILED, format!("{error:#}"));
        let mut assets = Vec::new();
        for index in &bundle.plan.assets {
            let scanned = AssetIndex::scan(&self.dir.join(&index.directory), &self.memory);
            assets.push(scanned.map_err(|error| failed(&error))?);
        }
        let blueprint = Blueprint {
            plan: Arc::new(bundle.plan),
            deployment: "dev".into(),
            workers,
            assets,
            dev: Some(self.dir.clone()),
        };
        let made = self.node.workshop.site(blueprint).await.map_err(|error| failed(&error))?;
        self.node.hosts.publish(HostMap::single(made.0.clone()));
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
            assets: plan.assets.iter().map(|_| AssetIndex::new([], &self.memory)).collect(),
            plan,
            dev: Some(self.dir.clone()),
        });
        self.node.hosts.publish(HostMap::single(site));
    }
}

fn located(failure: Failure, maps: Option<&Loaded>) -> Failure {
    let (Some(stack), Some(maps)) = (&failure.stack, maps) else { return failure };
    let stack = maps.0.map_stack(stack);
    let frame = Frame::first(&stack);
    Failure { stack: Some(stack), frame, ..failure }
}

/// A plan for a project whose manifest was never valid: one worker, every path.
fn placeholder() -> Plan {
    let text = "name = \"app\"\n[workers.web]\nentry = \"index.js\"\n";
    let source = manifest::Source { path: "selvedge.toml", text };
    manifest::read_selvedge(source, &manifest::Options::default()).expect("the placeholder is valid")
}

/// Watches the directories of the inputs: a file that an editor replaces is another file, in the
/// same directory.
struct Watch {
    watcher: notify::RecommendedWatcher,
    events: mpsc::UnboundedReceiver<Vec<PathBuf>>,
    inputs: HashSet<PathBuf>,
    directories: HashSet<PathBuf>,
}

impl Watch {
    fn new() -> Result<Self> {
        let (sender, events) = mpsc::unbounded_channel();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if let Ok(event) = event
                && !matches!(event.kind, notify::EventKind::Access(_))
            {
                // The receiver is gone only when the process ends.
                let _ = sender.send(event.paths);
            }
        })
        .context("changes of files can't be watched")?;
        Ok(Self { watcher, events, inputs: HashSet::new(), directories: HashSet::new() })
    }

    fn follow(&mut self, inputs: &[PathBuf]) {
        self.inputs = inputs.iter().cloned().collect();
        let parents =
            inputs.iter().filter_map(|input| if input.is_dir() { Some(input.as_path()) } else { input.parent() });
        let wanted: HashSet<PathBuf> = parents.filter(|dir| dir.is_dir()).map(Path::to_path_buf).collect();
        for gone in self.directories.difference(&wanted) {
            // It may have been deleted, which ends the watch as well.
            let _ = self.watcher.unwatch(gone);
        }
        for new in wanted.difference(&self.directories) {
            if let Err(error) = self.watcher.watch(new, notify::RecursiveMode::NonRecursive) {
                terminal::say(&format!("warning: changes in {} are not seen: {error}", new.display()));
            }
        }
        self.directories = wanted;
    }

    /// The inputs that changed, once the editor is through.
    async fn changed(&mut self) -> Vec<PathBuf> {
        let mut changed: Vec<PathBuf> = Vec::new();
        loop {
            let next = if changed.is_empty() {
                self.events.recv().await
            } else {
                tokio::time::timeout(SETTLE, self.events.recv()).await.unwrap_or_default()
            };
            let Some(paths) = next else {
                if changed.is_empty() {
                    // The watcher is gone; there will be no more changes.
                    std::future::pending::<()>().await;
                }
                changed.sort();
                changed.dedup();
                return changed;
            };
            let inputs = &self.inputs;
            changed.extend(
                paths.into_iter().filter(|path| {
                    inputs.contains(path) || path.parent().is_some_and(|parent| inputs.contains(parent))
                }),
            );
        }
    }
}
