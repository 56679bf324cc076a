//! Runs guest code: scripts and components, in wasmtime's sandbox. wasmtime lives here only.
//!
//! It implements [`worker::Engine`] and knows nothing of manifests, routes, tenants or pools: it
//! is given artifacts, environments and events. On the path of a request it is step 7,
//! `Engine::run(event, env)`.
//!
//! The concurrency of the guest host is decided and measured in `docs/decisions/0001`.

mod cache;
mod cpu;
mod runtime;
mod script;

use std::path::Path;
use std::sync::Arc;

use base::{Artifact, Digest, WorkerLimits, code};
use worker::{Failure, Program, StartReport};

use crate::cache::Cache;
use crate::runtime::Runtime;
pub use crate::runtime::RuntimeOptions;
use crate::script::Scripts;

/// The engine of a node: both kinds of guest.
pub struct Engine {
    scripts: Scripts,
    runtime: Arc<Runtime>,
}

impl Engine {
    /// Takes tens of milliseconds with a warm cache, and about a second without.
    pub fn open(cache: &Path, key_file: &Path, options: RuntimeOptions) -> Result<Self, Failure> {
        let internal = |what: &str, error: &dyn std::fmt::Display| Failure::new(&code::INTERNAL, format!("{what}: {error}"));
        let runtime = Arc::new(Runtime::new(options).map_err(|e| internal("the sandbox engine", &e))?);
        let cache = Cache::open(cache, key_file).map_err(|e| internal("the cache of compiled code", &e))?;
        let scripts = Scripts::new(runtime.clone(), Arc::new(cache))?;
        Ok(Self { scripts, runtime })
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
            Artifact::Component(_) => Err(Failure::new(&code::BAD_COMPONENT, "components are not built into this engine")),
        }
    }

    fn load(&self, artifact: &Digest, _: &WorkerLimits) -> Result<Option<Arc<dyn Program>>, Failure> {
        Ok(self.scripts.load(artifact))
    }
}
