//! From a plan to a site: opens what every worker was granted, deploys the workers, and puts the
//! routes in front of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use base::{AppName, BindingName, Digest, ResourceName, Secret, TenantName, WorkerName, code};
use control::Migrations;
use dispatch::{ArtifactSource, Deployment, DeploymentSpec, Dispatcher, Reservation, WorkerSpec};
use edge::{AssetIndex, AssetService, PublicBucket, Site, SiteParts, Upstream};
use futures_util::future::LocalBoxFuture;
use manifest::{Databases, Grant, Plan, PostgresTls, UpstreamIndex, Var, WorkerPlan};
use services::blob::{Blobs, Bucket};
use services::egress::EgressPolicy;
use services::kv::KvNamespace;
use services::object::ObjectClass;
use services::postgres::{Address, DatabaseOptions, Postgres, Tls};
use services::sql::{Migration, SqlDatabase, SqlFamily};
use services::{AppId, SecretEntry, SecretName, ValueKind};
use worker::{Call, Entry, Env, Event, Failure, Fetcher, Handle, Invoker, Response, SourceMap, SqlBinding, SqlTarget};

use crate::outbound::egress_rules;
use crate::upstreams::{Kin, Upstreams};
use crate::wire::Stores;

/// The tenant of a laptop, and of every node until there are more.
pub fn tenant() -> TenantName {
    TenantName::parse("local").expect("a valid name")
}

/// What sites are made with.
pub struct Workshop {
    pub stores: Stores,
    pub dispatcher: Arc<Dispatcher>,
    pub fetcher: Arc<dyn Fetcher>,
    pub postgres: Arc<dyn Postgres>,
    pub upstreams: Upstreams,
    /// Addresses of the node itself that no worker may reach.
    pub own: Vec<SocketAddr>,
    /// What is different where an app is tested.
    pub testing: Option<Testing>,
}

/// What an app that is tested has besides.
#[derive(Clone)]
pub struct Testing {
    /// The worker that tests it, and what that may call besides what its plan grants.
    pub worker: WorkerName,
    /// The owner of its databases.
    pub data: AppName,
    pub bindings: TestBindings,
    /// Hears of failures behind service bindings, of which the caller is told the message alone.
    pub on_failure: OnFailure,
}

/// Makes services of a deployment that is about to be.
pub type TestBindings =
    Arc<dyn Fn(&Plan, &Reservation, &[Arc<AssetIndex>]) -> Vec<(BindingName, Arc<dyn Invoker>)> + Send + Sync>;

/// Hears of a failure of a worker.
pub type OnFailure = Arc<dyn Fn(&WorkerName, &Failure) + Send + Sync>;

/// One worker's code.
#[derive(Clone)]
pub struct Code {
    pub digest: Digest,
    pub source: ArtifactSource,
    pub source_map: Option<Arc<dyn SourceMap>>,
}

/// What to make a site of.
pub struct Blueprint {
    pub plan: Arc<Plan>,
    pub deployment: Arc<str>,
    pub workers: Vec<Code>,
    pub assets: Vec<Arc<AssetIndex>>,
    pub migrations: Migrations,
    pub dev: Option<PathBuf>,
}

impl Workshop {
    pub async fn site(&self, blueprint: Blueprint) -> Result<(Arc<Site>, Arc<Deployment>)> {
        let Blueprint { plan, deployment, workers, assets, migrations, dev } = blueprint;
        if workers.len() != plan.workers.len() || assets.len() != plan.assets.len() {
            bail!("the deployment of {} is damaged: its parts don't match its plan", plan.app);
        }
        if !workers.is_empty() {
            self.dispatcher.ready().await.context("the engine did not start")?;
        }
        for public in self.buckets(&plan) {
            self.stores.blobs.create_bucket(&public.bucket).await?;
        }
        let migrations = self.migrate(&plan, &migrations).await?;
        let reservation = Reservation::default();
        let mut specs = Vec::with_capacity(workers.len());
        let mut refusals = Vec::with_capacity(workers.len());
        for (worker, code) in plan.workers.iter().zip(workers) {
            let (mut env, missing) = self.env(&plan, worker, &reservation, &assets, &migrations).await?;
            env.source_map = code.source_map;
            env.dev = dev.is_some();
            refusals.push(missing);
            specs.push(WorkerSpec { artifact: code.digest, source: code.source, env: Arc::new(env) });
        }
        let upstreams = self.upstreams(&plan).await?;
        let deployed = self.dispatcher.deploy(DeploymentSpec {
            app: plan.app.clone(),
            deployment: deployment.clone(),
            plan: plan.clone(),
            workers: specs,
            reservation,
        });
        let invokers = refusals
            .into_iter()
            .enumerate()
            .map(|(index, refusal)| match refusal {
                Some(failure) => Arc::new(Refusing(failure)) as Arc<dyn Invoker>,
                None => deployed.invoker(manifest::WorkerIndex(index as u16)),
            })
            .collect();
        let buckets = self.buckets(&plan);
        let site = Site::new(SiteParts { deployment, plan, workers: invokers, assets, buckets, upstreams, dev });
        Ok((site, deployed))
    }

    /// The buckets that the plan's routes make public.
    pub fn buckets(&self, plan: &Plan) -> Vec<PublicBucket> {
        public_buckets(&self.stores.blobs, plan)
    }

    /// The servers behind the plan's routes.
    async fn upstreams(&self, plan: &Plan) -> Result<Vec<Arc<Upstream>>> {
        let mut opened: Vec<Option<Arc<Upstream>>> = vec![None; plan.upstreams.len()];
        // Parents first; they have none.
        let mut order: Vec<usize> = (0..plan.upstreams.len()).collect();
        order.sort_by_key(|at| plan.upstreams[*at].parent.is_some());
        for at in order {
            let upstream = &plan.upstreams[at];
            let certificate = match upstream.tls.as_ref().and_then(|tls| tls.certificate.as_ref()) {
                Some(secret) => self.secret_text(plan, secret).await?.map(Some),
                None => Ok(None),
            };
            let parent = upstream.parent.and_then(|parent| opened[usize::from(parent.0)].clone());
            let kin = Kin { parent, is_parent: plan.is_parent(UpstreamIndex(at as u16)) };
            opened[at] = Some(self.upstreams.open(upstream, kin, &self.own, certificate)?);
        }
        Ok(opened.into_iter().flatten().collect())
    }

    /// The environment; with it the reason, if something that was granted is not there yet.
    async fn env(
        &self,
        plan: &Plan,
        worker: &WorkerPlan,
        reservation: &Reservation,
        assets: &[Arc<AssetIndex>],
        migrations: &BTreeMap<Databases, Arc<[Migration]>>,
    ) -> Result<(Env, Option<Failure>)> {
        let egress = Arc::new(EgressPolicy::new(egress_rules(&worker.egress), self.own.clone()));
        let mut missing = None;
        let mut bindings: Vec<(BindingName, Handle)> = Vec::new();
        for (name, var) in &worker.vars {
            let handle = match var {
                Var::Text(text) => Handle::Text(text.clone()),
                Var::Json(json) => Handle::Json(json.to_string()),
                Var::Dev(secret) => Handle::Text(secret.expose().clone()),
            };
            bindings.push((name.clone(), handle));
        }
        for binding in &worker.bindings {
            if let Grant::Sql { sql, .. } = &binding.grant {
                let migrations = migrations.get(sql).cloned().unwrap_or_default();
                let opened = SqlBinding::new(self.stores.sql.clone(), self.databases(plan, sql), migrations);
                bindings.push((binding.name.clone(), Handle::Sql(Arc::new(opened))));
                continue;
            }
            match self.open(plan, &binding.grant, reservation, assets, &egress).await? {
                Ok(Some(handle)) => bindings.push((binding.name.clone(), handle)),
                Ok(None) => {}
                Err(failure) => missing = Some(failure),
            }
        }
        if let Some(testing) = self.testing.as_ref().filter(|testing| testing.worker == worker.name) {
            let more = (testing.bindings)(plan, reservation, assets).into_iter();
            bindings.extend(more.map(|(name, invoker)| (name, Handle::Service(invoker))));
        }
        let env = Env {
            app: plan.app.as_str().into(),
            worker: worker.name.clone(),
            bindings,
            limits: worker.limits.clone(),
            egress,
            fetcher: self.fetcher.clone(),
            responses: self.stores.responses.clone(),
            source_map: None,
            dev: false,
        };
        Ok((env, missing))
    }

    /// Brings each database to the shape that the deployment knows, before it is served. Those of a
    /// family follow when they are used.
    async fn migrate(&self, plan: &Plan, texts: &Migrations) -> Result<BTreeMap<Databases, Arc<[Migration]>>> {
        let mut all = BTreeMap::new();
        for (databases, texts) in texts {
            let migrations: Arc<[Migration]> = texts.iter().map(Migration::from).collect();
            if let SqlTarget::One(database) = self.databases(plan, databases) {
                self.stores.sql.migrate(&database, migrations.clone()).await?;
            }
            all.insert(databases.clone(), migrations);
        }
        Ok(all)
    }

    fn databases(&self, plan: &Plan, databases: &Databases) -> SqlTarget {
        let app = self.testing.as_ref().map_or(&plan.app, |testing| &testing.data);
        let app = AppId::new(tenant(), app.clone());
        match databases {
            Databases::One(name) => SqlTarget::One(SqlDatabase::new(&app, name.into())),
            Databases::Family(name) => SqlTarget::Family(SqlFamily { app, prefix: format!("{name}-").into() }),
        }
    }

    /// Opens one binding: the station "wire" of the way that DESIGN gives every binding.
    async fn open(
        &self,
        plan: &Plan,
        grant: &Grant,
        reservation: &Reservation,
        assets: &[Arc<AssetIndex>],
        egress: &Arc<EgressPolicy>,
    ) -> Result<Result<Option<Handle>, Failure>> {
        Ok(Ok(Some(match grant {
            Grant::Kv { namespace } => Handle::Kv {
                provider: self.stores.kv.clone(),
                namespace: KvNamespace::new(tenant(), plan.app.clone(), namespace.clone()),
            },
            Grant::Blob { bucket } => {
                let bucket = Bucket::new(tenant(), plan.app.clone(), bucket.clone());
                // Clients of the S3 protocol find it from now on, whoever writes first.
                self.stores.blobs.create_bucket(&bucket).await?;
                Handle::Blob { provider: self.stores.blobs.clone(), bucket }
            }
            Grant::Sql { .. } => bail!("a database is opened with its migrations"),
            Grant::Worker { worker, entrypoint, props } => {
                let entry = Entry { name: entrypoint.clone(), props: props.as_ref().map(ToString::to_string) };
                let (name, invoker) = (plan.worker(*worker).name.clone(), At::new(reservation.invoker(*worker), entry));
                Handle::Service(match self.testing.as_ref().map(|testing| testing.on_failure.clone()) {
                    Some(on_failure) => Arc::new(Overheard { name, invoker, on_failure }),
                    None => invoker,
                })
            }
            Grant::Object { class, .. } => Handle::Objects {
                class: ObjectClass::new(AppId::new(tenant(), plan.app.clone()), class.clone()),
                objects: self.dispatcher.objects(),
            },
            Grant::Assets { assets: which } => {
                let index = assets[usize::from(which.0)].clone();
                Handle::Service(Arc::new(AssetService { index, not_found: plan.asset_dir(*which).not_found }))
            }
            Grant::Secret { secret, previous } => {
                let value = match self.value(plan, ValueKind::Secret, secret).await? {
                    Some(entry) if *previous => match entry.previous {
                        Some(previous) => previous.value,
                        // Most of the time there is none; the code finds the name unset.
                        None => return Ok(Ok(None)),
                    },
                    Some(entry) => entry.value,
                    None if *previous => return Ok(Ok(None)),
                    None => return Ok(Err(secret_missing(plan, secret))),
                };
                Handle::Secret(Secret::new(String::from_utf8_lossy(value.expose()).into_owned()))
            }
            Grant::Config { config, default } => match self.value(plan, ValueKind::Config, config).await? {
                Some(entry) => Handle::Text(String::from_utf8_lossy(entry.value.expose()).into_owned()),
                None => match default {
                    Some(default) => Handle::Text(default.clone()),
                    None => return Ok(Ok(None)),
                },
            },
            Grant::Postgres { database, dev_url } => {
                let described = &plan.postgres[database];
                let url = match dev_url {
                    Some(url) => Ok(url.clone()),
                    None => self.secret_text(plan, &described.url).await?,
                };
                match url.and_then(|url| database_options(plan, database, &url)) {
                    Ok(options) => Handle::Postgres(self.postgres.database(options, egress.clone())),
                    Err(failure) => return Ok(Err(failure)),
                }
            }
        })))
    }
}

impl Workshop {
    /// What a value is in the environment of the plan, or else in all of them.
    async fn value(&self, plan: &Plan, kind: ValueKind, name: &ResourceName) -> Result<Option<SecretEntry>> {
        let app = AppId::new(tenant(), plan.app.clone());
        let env = plan.env_name.as_deref().and_then(|env| ResourceName::parse(env).ok());
        if env.is_some() {
            let own = SecretName { kind, name: name.clone(), env };
            if let Some(entry) = self.stores.secrets.get(&app, &own).await? {
                return Ok(Some(entry));
            }
        }
        let everywhere = SecretName { kind, name: name.clone(), env: None };
        Ok(self.stores.secrets.get(&app, &everywhere).await?)
    }

    /// The value of a secret, or the failure of a worker that needs it.
    async fn secret_text(&self, plan: &Plan, secret: &ResourceName) -> Result<Result<Secret<String>, Failure>> {
        Ok(match self.value(plan, ValueKind::Secret, secret).await? {
            Some(entry) => Ok(Secret::new(String::from_utf8_lossy(entry.value.expose()).into_owned())),
            None => Err(secret_missing(plan, secret)),
        })
    }
}

/// What a plan and a secret say of a database.
fn database_options(plan: &Plan, name: &ResourceName, url: &Secret<String>) -> Result<DatabaseOptions, Failure> {
    let described = &plan.postgres[name];
    let tls = match described.tls {
        PostgresTls::Verify => Tls::Verify { ca: described.ca.clone() },
        PostgresTls::Off => Tls::Off,
    };
    let address = Address::parse(url.expose(), &tls).map_err(|error| {
        let app = &plan.app;
        tracing::warn!("{app}: the database {name}: {error}");
        Failure::new(&code::POSTGRES_ADDRESS, format!("the database {name}: {error}"))
    })?;
    let app = AppId::new(tenant(), plan.app.clone());
    Ok(DatabaseOptions { app, name: name.clone(), address, tls, limits: described.limits.clone() })
}

fn secret_missing(plan: &Plan, secret: &ResourceName) -> Failure {
    let app = &plan.app;
    let detail = format!("the secret {secret} has no value; set it with: selvedge secret put {app} {secret}");
    tracing::warn!("{app}: {detail}");
    Failure::new(&code::SECRET_MISSING, detail)
}

/// The buckets that a plan's routes make public.
pub fn public_buckets(blobs: &Arc<dyn Blobs>, plan: &Plan) -> Vec<PublicBucket> {
    let public = |name: &ResourceName| PublicBucket {
        provider: blobs.clone(),
        bucket: Bucket::new(tenant(), plan.app.clone(), name.clone()),
    };
    plan.buckets.iter().map(public).collect()
}

/// A worker whose failures somebody listens to.
pub struct Overheard {
    pub name: WorkerName,
    pub invoker: Arc<dyn Invoker>,
    pub on_failure: OnFailure,
}

impl Invoker for Overheard {
    fn invoke(&self, call: Call, event: Event) -> LocalBoxFuture<'static, Result<Response, Failure>> {
        let (running, name, on_failure) =
            (self.invoker.invoke(call, event), self.name.clone(), self.on_failure.clone());
        Box::pin(async move { running.await.inspect_err(|failure| on_failure(&name, failure)) })
    }
}

/// A worker as a binding sees it: at this entry point, with these props.
struct At {
    worker: Arc<dyn Invoker>,
    entry: Arc<Entry>,
}

impl At {
    fn new(worker: Arc<dyn Invoker>, entry: Entry) -> Arc<dyn Invoker> {
        if entry.name.is_none() && entry.props.is_none() {
            return worker;
        }
        Arc::new(Self { worker, entry: Arc::new(entry) })
    }
}

impl Invoker for At {
    fn invoke(&self, call: Call, mut event: Event) -> LocalBoxFuture<'static, Result<Response, Failure>> {
        match &mut event {
            Event::Fetch(fetch) => fetch.entry = Some(self.entry.clone()),
            Event::Rpc(rpc) => rpc.entry = Some(self.entry.clone()),
            // Other events have their own entry points.
            _ => {}
        }
        self.worker.invoke(call, event)
    }
}

/// Stands in for a worker that can't run, and says why.
pub struct Refusing(pub Failure);

impl Invoker for Refusing {
    fn invoke(&self, _: Call, _: Event) -> LocalBoxFuture<'static, Result<Response, Failure>> {
        Box::pin(std::future::ready(Err(self.0.clone())))
    }
}
