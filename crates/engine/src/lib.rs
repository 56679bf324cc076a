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
use std::sync::Arc;

use base::{Artifact, Digest, WorkerLimits, code};
use worker::{Failure, Program, StartReport};

use crate::cache::Cache;
use crate::component::Components;
use crate::runtime::Runtime;
pub use crate::runtime::RuntimeOptions;
use crate::script::Scripts;

/// The engine of a node: both kinds of guest.
pub struct Engine {
    scripts: Scripts,
    components: Components,
    runtime: Arc<Runtime>,
}

impl Engine {
    /// Takes tens of milliseconds with a warm cache, and about a second without.
    pub fn open(cache: &Path, key_file: &Path, options: RuntimeOptions) -> Result<Self, Failure> {
        let internal =
            |what: &str, error: &dyn std::fmt::Display| Failure::new(&code::INTERNAL, format!("{what}: {error}"));
        let runtime = Arc::new(Runtime::new(options).map_err(|e| internal("the sandbox engine", &e))?);
        let cache = Cache::open(cache, key_file).map_err(|e| internal("the cache of compiled code", &e))?;
        let cache = Arc::new(cache);
        let components = Components::new(runtime.clone(), cache.clone());
        let scripts = Scripts::new(runtime.clone(), cache)?;
        Ok(Self { scripts, components, runtime })
    }

    /// False where the kernel makes fresh sandboxes dear.
    pub fn fresh_is_cheap(&self) -> bool {
        self.runtime.fresh_is_cheap
    }
}

impl worker::Engine for Engine {
    fn prepare(&self, artifact: &Artifact, limits: &WorkerLimits) -> Result<StartReport, Failure> {
        match artifact {
            Artifact::Script(script) => self.scripts.prepare(&artifact.digest(), script, limits),
            Artifact::Component(bytes) => self.components.prepare(&artifact.digest(), bytes),
        }
    }

    fn load(&self, artifact: &Digest, _: &WorkerLimits) -> Result<Option<Arc<dyn Program>>, Failure> {
        match self.scripts.load(artifact) {
            Some(program) => Ok(Some(program)),
            None => self.components.load(artifact),
        }
    }
}
