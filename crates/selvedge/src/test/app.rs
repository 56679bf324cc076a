//! The app under test: built and prepared once, deployed for each file of tests anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::{Context as _, Result, anyhow, bail};
use base::artifact::{ModuleKind, Script};
use base::{AppLimits, AppName, BindingName, NodeLimits, SystemClock, TestLimits, WorkerLimits, WorkerName};
use control::{BuildOptions, Bundle, DEV_VARS, Migrations, TEST_VARS, build_app};
use dispatch::{CoreGuard, Deployment};
use edge::{AssetIndex, AssetMemory};
use manifest::{BuildSettings, Grant, Isolation, Plan, WorkerIndex, WorkerKind, WorkerPlan};
use net::{Connector, ConnectorOptions};
use services::blob::Blobs;
use services::postgres::Postgres;
use worker::{Core, Engine, Failure, Fetcher, Invoker, ToldTime};

use super::control::{Control, ToldClock};
use super::data::Data;
use super::file::problems;
use super::objects::TestObjects;
use super::routed::Routed;
use super::snapshots::Update;
use super::sql::TestSql;
use super::throwaway::{Sweep, Throwaway};
use crate::command::Unbuilt;
use crate::outbound::NetFetcher;
use crate::prepare;
use crate::site::{Blueprint, Code, OnFailure, Overheard, TestBindings, Testing, Workshop, public_buckets};
use crate::terminal;
use crate::upstreams::Upstreams;
use crate::wire::{self, Stores};

/// The binding that calls the app. The runner takes it out of `env`.
const SELF_BINDING: &str = "__SELVEDGE_SELF";
/// The binding that calls the driver; the same.
const CONTROL_BINDING: &str = "__SELVEDGE_CONTROL";
/// The worker that a file of tests becomes.
pub const TESTS_WORKER: &str = "selvedge-tests";
/// What failures of alarms go by.
const ALARMS: &str = "alarm";

/// Memory of the sandbox of a file of tests, unless the worker under test may have more.
const MEMORY_MIB_MIN: u64 = 256;

/// What one step may write to its console, unless the worker under test may write more.
const LOG_BYTES_MIN: u64 = 1 << 20;

/// Requests of a file of tests that may be under way at once: a step, and a look at how it does.
const TESTS_REQUESTS: u64 = 8;

/// Bytes of small files that are kept in memory.
const ASSET_MEMORY_BYTES: u64 = 64 << 20;

pub struct SuiteOptions {
    pub dir: PathBuf,
    /// Where compiled code is kept between runs.
    pub compiled: PathBuf,
    /// Whether that is a place of our own, which may be emptied.
    pub own_cache: bool,
    pub env: Option<String>,
    /// The worker whose environment tests get.
    pub worker: Option<String>,
    pub globals: bool,
    /// Part of the full names of tests that run.
    pub name: Option<String>,
    /// Over the manifest's `test_ms`.
    pub timeout_ms: Option<u64>,
    /// Which snapshots are written into the files of tests.
    pub update: Update,
}

/// What all runs of one command share: the engine, and a place for data.
pub struct Suite {
    pub options: SuiteOptions,
    pub engine: Arc<dyn Engine>,
    stores: Stores,
    node: NodeLimits,
    fetcher: Arc<dyn Fetcher>,
    upstreams: Upstreams,
    postgres: Arc<dyn Postgres>,
    memory: Arc<AssetMemory>,
    /// What is cleared up at the end.
    left: Mutex<Option<(Sweep, Throwaway)>>,
}

impl Suite {
    pub fn open(options: SuiteOptions) -> Result<Arc<Self>> {
        let node = NodeLimits::default();
        let data = Throwaway::new()?;
        let cache = wire::cache_of(&options.compiled);
        if options.own_cache {
            Sweep::clear_if_grown(&cache);
        }
        let stores = wire::open_throwaway(&data.path().join("data"), &options.compiled, &node)?;
        let engine = wire::open_engine(&stores, &node)?;
        let connector = Connector::new(ConnectorOptions::from(&node));
        let fetcher = Arc::new(NetFetcher(connector.clone()));
        Ok(Arc::new(Self {
            engine,
            stores,
            postgres: wire::open_postgres(fetcher.clone()),
            fetcher,
            upstreams: Upstreams::new(connector, data.path(), wire::clock()),
            memory: AssetMemory::new(ASSET_MEMORY_BYTES),
            left: Mutex::new(Some((Sweep::begin(&cache), data))),
            node,
            options,
        }))
    }

    /// Removes what lies on the disk for this command alone. Happens by itself when it is over.
    pub fn clear_up(&self) {
        drop(self.left.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    pub fn dir(&self) -> &Path {
        &self.options.dir
    }

    pub fn name_filter(&self) -> Option<&str> {
        self.options.name.as_deref()
    }

    /// Builds and prepares the app.
    pub async fn load(self: &Arc<Self>) -> Result<App> {
        let (dir, options) = (self.options.dir.clone(), self.build_options());
        let bundle = tokio::task::spawn_blocking(move || build_app(&dir, &options)).await?.map_err(Unbuilt)?;
        let inputs = bundle.inputs.clone();
        self.prepare(bundle).await.map_err(|error| Unready { text: format!("{error:#}"), inputs }.into())
    }

    async fn prepare(self: &Arc<Self>, bundle: Bundle) -> Result<App> {
        for warning in &bundle.warnings {
            terminal::say(&format!("warning: {warning}"));
        }
        let (plan, migrations) = (bundle.plan, bundle.migrations);
        check_secrets(&plan)?;
        let named = named_worker(&plan, self.options.worker.as_deref())?;
        let limits = TestLimits {
            test_ms: self.options.timeout_ms.unwrap_or(plan.tests.limits.test_ms),
            ..plan.tests.limits.clone()
        };
        let workers =
            prepare::workers(&self.engine, &plan, bundle.workers).await.map_err(|failure| unstarted(&failure))?;
        let scan = |assets: &manifest::AssetsPlan| {
            AssetIndex::scan(&self.dir().join(&assets.directory), &self.memory, assets.html)
        };
        let assets = plan.assets.iter().map(scan).collect::<Result<_, _>>()?;
        let names = manifest::FILE_NAMES.iter().chain(&[TEST_VARS, DEV_VARS]);
        let settings = names.map(|name| self.dir().join(name)).collect();
        let main = named.unwrap_or_else(|| plan.main_worker());
        let globals = self.options.globals || plan.tests.globals;
        let (suite, inputs) = (self.clone(), bundle.inputs);
        Ok(App {
            suite,
            plan,
            main,
            named: named.is_some(),
            globals,
            limits,
            workers,
            assets,
            migrations,
            inputs,
            settings,
        })
    }

    fn build_options(&self) -> BuildOptions {
        let vars_files = &[TEST_VARS, DEV_VARS];
        BuildOptions { env: self.options.env.clone(), dev: true, vars_files, ..BuildOptions::default() }
    }
}

/// An app that was built, and can't be tested.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Unready {
    text: String,
    /// What to change, absolute.
    pub inputs: Vec<PathBuf>,
}

fn unstarted(failure: &Failure) -> anyhow::Error {
    let stack = failure.stack.as_ref().map_or(String::new(), |stack| format!("\n{}", stack.trim_end()));
    anyhow!("{}: {}{stack}", failure.code.title, failure.detail)
}

/// A secret of a test is a variable, from a file.
fn check_secrets(plan: &Plan) -> Result<()> {
    let bindings = plan.workers.iter().flat_map(|worker| &worker.bindings);
    let missing: BTreeSet<_> = bindings
        .filter(|binding| matches!(binding.grant, Grant::Secret { previous: false, .. }))
        .map(|b| b.name.as_str())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.into_iter().collect();
    bail!(
        "these secrets have no value in tests: {}; give each a line NAME=value in {TEST_VARS}, which may be kept with \
         the code, or in {DEV_VARS}",
        names.join(", ")
    )
}

/// The owner of the databases and objects of one run of a file of tests: each has its own, and they
/// are empty but for the migrations.
fn databases() -> Result<AppName> {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    Ok(AppName::parse(&format!("tests-{}", RUNS.fetch_add(1, Ordering::Relaxed)))?)
}

/// Room for the file of tests itself, so that the app has what its manifest says: tests are one more
/// caller, and one level deeper.
fn widen(limits: &mut AppLimits) {
    limits.nesting += 1;
    limits.concurrency += TESTS_REQUESTS;
    limits.instances += TESTS_REQUESTS;
}

/// The worker under test, if it is named: its environment is that of tests, and `SELF` calls it.
fn named_worker(plan: &Plan, wanted: Option<&str>) -> Result<Option<WorkerIndex>> {
    if let Some(name) = wanted {
        let names: Vec<_> = plan.workers.iter().map(|worker| worker.name.as_str()).collect();
        let found = plan.worker_named(name);
        return found
            .map(|(index, _)| Some(index))
            .with_context(|| format!("there is no worker {name}; there is {}", names.join(", ")));
    }
    Ok(plan.tests.worker)
}

/// An app that was built.
pub struct App {
    pub suite: Arc<Suite>,
    plan: Plan,
    main: WorkerIndex,
    /// Whether the main worker was named, and not found by the routes.
    named: bool,
    pub globals: bool,
    pub limits: TestLimits,
    workers: Vec<Code>,
    assets: Vec<Arc<AssetIndex>>,
    migrations: Migrations,
    /// Every file whose change means another build, absolute.
    pub inputs: Vec<PathBuf>,
    /// Of these, those that every test depends on.
    pub settings: Vec<PathBuf>,
}

/// Where one file of tests runs: a node's parts, for this thread.
pub struct Stage {
    /// Calls the worker that the file became.
    pub tests: Arc<dyn Invoker>,
    pub data: Arc<Data>,
    /// The time that the tests tell the app.
    pub told: ToldTime,
    // In this order: a core outlives what was deployed on it.
    _deployment: Arc<Deployment>,
    _core: CoreGuard,
}

impl App {
    pub fn name(&self) -> &str {
        self.plan.app.as_str()
    }

    /// Limits of the worker that a file of tests becomes: those of the worker under test where they
    /// say what code can do, and wide ones where they would only be in a test's way.
    pub fn worker_limits(&self) -> WorkerLimits {
        let under_test = &self.plan.worker(self.main).limits;
        WorkerLimits {
            cpu_ms: problems::cpu_ms(&self.limits),
            head_ms: 3_600_000,
            memory_mib: under_test.memory_mib.max(MEMORY_MIB_MIN),
            subrequests: 10_000,
            log_bytes: under_test.log_bytes.max(LOG_BYTES_MIN),
            start_cpu_ms: 60_000,
            ..under_test.clone()
        }
    }

    /// How scripts of the worker under test are built, and so those of tests.
    pub fn build_settings(&self) -> &BuildSettings {
        &self.plan.worker(self.main).build
    }

    /// Whether a script calls the app's workers, as far as its text tells.
    pub fn is_called_by(&self, script: &Script) -> bool {
        let bindings = self.plan.worker(self.main).bindings.iter();
        let services = bindings.filter(|binding| matches!(binding.grant, Grant::Worker { .. }));
        let names: Vec<_> = services.map(|binding| binding.name.as_str()).chain(["SELF"]).collect();
        script.modules.iter().filter(|module| matches!(module.kind, ModuleKind::Js | ModuleKind::Classic)).any(
            |module| {
                let text = String::from_utf8_lossy(&module.source);
                names.iter().any(|name| text.contains(name))
            },
        )
    }

    /// Deploys the app and a file of tests beside it, with data of their own. This thread becomes a
    /// core for as long as the stage stands. `on_failure` hears why a worker of the app failed.
    pub async fn stage(&self, core: usize, file: &str, tests: Code, on_failure: OnFailure) -> Result<Stage> {
        let node = &self.suite.node;
        let (owner, mut stores) = (databases()?, self.suite.stores.clone());
        let told = ToldTime::new(WorkerName::parse(TESTS_WORKER)?);
        let (own, leases) = (stores.objects.clone(), stores.leases.clone());
        let objects = Arc::new(TestObjects::new(own, leases, owner.clone(), told.clone()));
        let dispatcher = wire::test_dispatcher(self.suite.engine.clone(), node, objects.clone());
        let guard = dispatcher.install_core(Core::with_told_time(core, told.clone()));
        let clock = Arc::new(ToldClock { told: told.clone(), machine: SystemClock::default() });
        let kv = wire::memory_kv(clock.clone(), node);
        let blobs = wire::memory_blobs(clock, node);
        let sql = Arc::new(TestSql::new(stores.sql.clone()));
        stores.kv = kv.clone();
        stores.blobs = blobs.clone();
        stores.sql = sql.clone();
        stores.responses = wire::memory_responses(node);
        let first = OnceLock::new();
        let data = Arc::new(Data { kv, blobs, sql, objects, dispatcher: dispatcher.clone(), first });
        let (name, on_ring) = (WorkerName::parse(ALARMS)?, on_failure.clone());
        let control = Control { told: told.clone(), data: data.clone(), on_failure: on_ring, name };
        let workshop = Workshop {
            stores,
            dispatcher,
            fetcher: self.suite.fetcher.clone(),
            postgres: self.suite.postgres.clone(),
            upstreams: self.suite.upstreams.clone(),
            own: Vec::new(),
            testing: Some(Testing {
                worker: WorkerName::parse(TESTS_WORKER)?,
                data: owner,
                bindings: self.test_bindings(control, &on_failure)?,
                on_failure,
            }),
        };
        let mut plan = self.plan.clone();
        let index = WorkerIndex(plan.workers.len() as u16);
        plan.workers.push(self.tests_worker(file)?);
        widen(&mut plan.limits);
        let blueprint = Blueprint {
            plan: Arc::new(plan),
            deployment: "test".into(),
            workers: self.workers.iter().cloned().chain([tests]).collect(),
            assets: self.assets.clone(),
            migrations: self.migrations.clone(),
            dev: None,
        };
        let (_, deployment) = workshop.site(blueprint).await?;
        // Nobody else sets it.
        let _ = data.first.set(data.snapshot().await?);
        Ok(Stage { tests: deployment.invoker(index), data, told, _deployment: deployment, _core: guard })
    }

    /// `SELF`, and the way to the driver.
    fn test_bindings(&self, control: Control, on_failure: &OnFailure) -> Result<TestBindings> {
        let names = (BindingName::parse(SELF_BINDING)?, BindingName::parse(CONTROL_BINDING)?);
        let blobs: Arc<dyn Blobs> = control.data.blobs.clone();
        let (control, on_failure): (Arc<dyn Invoker>, _) = (Arc::new(control), on_failure.clone());
        let named = self.named.then_some(self.main);
        Ok(Arc::new(move |plan, reservation, assets| {
            let worker = |index: WorkerIndex| -> Arc<dyn Invoker> {
                let (name, on_failure) = (plan.worker(index).name.clone(), on_failure.clone());
                Arc::new(Overheard { name, invoker: reservation.invoker(index), on_failure })
            };
            let app: Arc<dyn Invoker> = match named {
                Some(index) => worker(index),
                None => Arc::new(Routed {
                    plan: Arc::new(plan.clone()),
                    workers: (0..plan.workers.len()).map(|index| worker(WorkerIndex(index as u16))).collect(),
                    assets: assets.to_vec(),
                    buckets: public_buckets(&blobs, plan),
                }),
            };
            vec![(names.0.clone(), app), (names.1.clone(), control.clone())]
        }))
    }

    /// The plan of the worker that a file of tests becomes.
    fn tests_worker(&self, file: &str) -> Result<WorkerPlan> {
        let under_test = self.plan.worker(self.main);
        Ok(WorkerPlan {
            name: WorkerName::parse(TESTS_WORKER)?,
            entry: file.to_owned(),
            kind: WorkerKind::Script,
            isolation: Isolation::Shared,
            warm: None,
            vars: under_test.vars.clone(),
            bindings: under_test.bindings.clone(),
            egress: under_test.egress.clone(),
            limits: self.worker_limits(),
            server_timing: false,
            build: under_test.build.clone(),
        })
    }
}
