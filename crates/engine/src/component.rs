//! Components: anything that exports `wasi:http/incoming-handler@0.2`, in whatever language.
//!
//! A component is compiled and linked when it is prepared, and kept compiled in the authenticated
//! cache; loading it maps machine code, and an instance lives for one request. What it may import:
//!
//! - `wasi:http/types` and `outgoing-handler`: requests go through [`worker::Fetcher`], under the
//!   egress policy and the sub-request limit. No redirect is followed.
//! - `wasi:config/store` (0.2.0-rc.1): the variables and secrets of the environment.
//! - `wasi:keyvalue` (0.2.0-draft2): the KV bindings, as buckets of their names.
//! - `wasi:blobstore` (0.2.0-draft): the blob bindings, as containers of their names.
//! - `selvedge:sql` (0.1.0): the SQL bindings.
//! - `wasi:cli`: the environment holds the variables, not the secrets; there are no arguments;
//!   standard output and error are lines of the log.
//! - `wasi:clocks`: both clocks tick in milliseconds. `wasi:random` is the machine's.
//! - `wasi:filesystem` and `wasi:sockets` link, because standard libraries import them, and find
//!   nothing: no directory is open, no address may be used, no name is looked up.
//!
//! The handler is a task of its own: it may work on after it has set its response, until
//! `wait_until_ms` after the end of the body. A client that leaves before the head ends it.

mod blobstore;
mod body;
mod check;
mod clocks;
mod config;
mod console;
mod egress;
mod host;
mod instance;
mod invocation;
mod keyvalue;
mod share;
mod sql;

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use base::{Clock, Digest, SystemClock, code};
use wasmtime::component::{Component, Linker};
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use worker::{Failure, StartReport};

use crate::cache::{Cache, Kind};
use crate::runtime::Runtime;
use host::Host;
use instance::Program;

/// The component engine of a node.
pub struct Components {
    runtime: Arc<Runtime>,
    cache: Arc<Cache>,
    clock: Arc<dyn Clock>,
    /// Made when it is first needed: a node without components does without.
    linker: OnceLock<Linker<Host>>,
}

impl Components {
    pub fn new(runtime: Arc<Runtime>, cache: Arc<Cache>) -> Self {
        Self { runtime, cache, clock: Arc::new(SystemClock::default()), linker: OnceLock::new() }
    }

    fn engine(&self) -> Result<&wasmtime::Engine, Failure> {
        self.runtime.components().map_err(|e| Failure::new(&code::INTERNAL, format!("the sandbox engine: {e:#}")))
    }

    /// Checks and compiles a component, which takes a second for each few megabytes, unless an
    /// earlier preparation is found intact.
    pub fn prepare(&self, artifact: &Digest, bytes: &[u8]) -> Result<StartReport, Failure> {
        let begun = Instant::now();
        let engine = self.engine()?;
        if self.cache.component(engine, artifact).is_some() {
            return Ok(StartReport { elapsed: begun.elapsed(), ..StartReport::default() });
        }
        check::shape(bytes)?;
        let component = Component::new(engine, bytes).map_err(|error| check::invalid(&error))?;
        check::world(&component)?;
        self.link(&component)?;
        let serialised = component.serialize().map_err(|e| Failure::new(&code::INTERNAL, format!("{e:#}")))?;
        self.cache.store(Kind::Component, artifact, &serialised);
        let bytes = serialised.len() as u64;
        Ok(StartReport { fresh: true, elapsed: begun.elapsed(), bytes, console: Vec::new() })
    }

    pub fn load(&self, artifact: &Digest) -> Result<Option<Arc<dyn worker::Program>>, Failure> {
        let Some(component) = self.cache.component(self.engine()?, artifact) else { return Ok(None) };
        let proxy = self.link(&component)?;
        Ok(Some(Arc::new(Program { runtime: self.runtime.clone(), clock: self.clock.clone(), proxy })))
    }

    /// Resolves imports and exports, so that an instance only has to be allocated.
    fn link(&self, component: &Component) -> Result<ProxyPre<Host>, Failure> {
        let engine = self.engine()?;
        let linker =
            self.linker.get_or_init(|| host::linker(engine).expect("no two host functions have the same name"));
        let linked = linker.instantiate_pre(component).and_then(ProxyPre::new);
        linked.map_err(|error| {
            let remedy = "build it for the wasi:http/proxy world, version 0.2";
            Failure::new(&code::BAD_COMPONENT, format!("the component does not fit its host: {error:#}; {remedy}"))
        })
    }
}
