//! Runs guest code: scripts and components, in wasmtime's sandbox. wasmtime lives here only.
//!
//! It implements [`worker::Engine`] and knows nothing of manifests, routes, tenants or pools: it
//! is given artifacts, environments and events. On the path of a request it is step 7,
//! `Engine::run(event, env)`.
//!
//! The concurrency of the guest host is decided and measured in `docs/decisions/0001`.

mod cache;
mod component;
mod cpu;
mod lines;
mod runtime;
mod script;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use base::{Artifact, Digest, WorkerLimits, code};
use worker::{Failure, Program, StartReport};

use crate::cache::Cache;
use crate::component::Components;
use crate::runtime::Runtime;
pub use crate::runtime::RuntimeOptions;
use crate::script::Scripts;

/// The engine of a node: both kinds of guest.
pub struct Engine {
    cache: Arc<Cache>,
    options: RuntimeOptions,
    guests: OnceLock<Result<Guests, Failure>>,
}

/// What all guests share. It takes some 15 MiB, so a node that serves no worker does not make it.
struct Guests {
    scripts: Scripts,
    components: Components,
}

impl Engine {
    /// Opens the cache of compiled code. What guests share is made when it is asked for.
    pub fn open(cache: &Path, key_file: &Path, options: RuntimeOptions) -> Result<Self, Failure> {
        let cache = Cache::open(cache, key_file).map_err(|e| internal("the cache of compiled code", &e))?;
        Ok(Self { cache: Arc::new(cache), options, guests: OnceLock::new() })
    }

    /// False where the kernel makes fresh sandboxes dear.
    pub fn fresh_is_cheap(&self) -> bool {
        runtime::fresh_is_cheap()
    }

    /// Takes tens of milliseconds the first time with a warm cache, and about a second without.
    fn guests(&self) -> Result<&Guests, Failure> {
        self.guests.get_or_init(|| Guests::new(self.cache.clone(), self.options)).as_ref().map_err(Failure::clone)
    }
}

impl Guests {
    fn new(cache: Arc<Cache>, options: RuntimeOptions) -> Result<Self, Failure> {
        let runtime = Arc::new(Runtime::new(options).map_err(|e| internal("the sandbox engine", &e))?);
        let components = Components::new(runtime.clone(), cache.clone());
        Ok(Self { scripts: Scripts::new(runtime, cache)?, components })
    }
}

fn internal(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(&code::INTERNAL, format!("{what}: {error}"))
}

impl worker::Engine for Engine {
    fn ready(&self) -> Result<(), Failure> {
        self.guests().map(drop)
    }

    fn prepare(&self, artifact: &Artifact, limits: &WorkerLimits) -> Result<StartReport, Failure> {
        let guests = self.guests()?;
        match artifact {
            Artifact::Script(script) => guests.scripts.prepare(&artifact.digest(), script, limits),
            Artifact::Component(bytes) => guests.components.prepare(&artifact.digest(), bytes),
        }
    }

    fn load(&self, artifact: &Digest, _: &WorkerLimits) -> Result<Option<Arc<dyn Program>>, Failure> {
        let guests = self.guests()?;
        match guests.scripts.load(artifact) {
            Some(program) => Ok(Some(program)),
            None => guests.components.load(artifact),
        }
    }
}
