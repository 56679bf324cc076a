//! Scripts as the rest of the node sees them: preparing, loading, instantiating.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use base::artifact::Script;
use base::{Artifact, Clock, Digest, SystemClock, WorkerLimits, code};
use telemetry::Phases;
use wasmtime::Module;
use worker::{Core, Env, Failure, Instance, StartReport};

use super::guest::Guest;
use super::image;
use super::instance::ScriptInstance;
use super::prelude::Prelude;
use super::prepare;
use super::sandbox::Guestware;
use crate::cache::{Cache, Kind};
use crate::runtime::Runtime;

/// The guest as it is committed, and the prelude as an artifact.
static GUEST: &[u8] = include_bytes!("../../../../engine-guest/dist/quickjs.wasm");
static PRELUDE: &[u8] = include_bytes!("../../../../engine-guest/dist/prelude.artifact");

/// The script engine of a node.
pub struct Scripts {
    guestware: Arc<Guestware>,
    base: Module,
    cache: Arc<Cache>,
    clock: Arc<dyn Clock>,
    /// What images depend on besides the script: another guest or prelude makes other images.
    generation: Digest,
}

/// A loaded image.
pub struct Program {
    pub guestware: Arc<Guestware>,
    image: Module,
    clock: Arc<dyn Clock>,
}

impl Scripts {
    /// Compiles the guest, or finds it compiled, and boots the base image.
    pub fn new(runtime: Arc<Runtime>, cache: Arc<Cache>) -> Result<Self, Failure> {
        let generation =
            Digest::of(&[Digest::of(GUEST).as_bytes().as_slice(), Digest::of(PRELUDE).as_bytes()].concat());
        let parts = image::split(GUEST).map_err(|e| Failure::new(&code::INTERNAL, e.to_string()))?;
        let module = |kind, bytes: &dyn Fn() -> Result<Vec<u8>, Failure>| -> Result<Module, Failure> {
            if let Some(module) = cache.module(&runtime.wasmtime, kind, &generation) {
                return Ok(module);
            }
            let module = Module::new(&runtime.wasmtime, bytes()?).map_err(internal)?;
            cache.store(kind, &generation, &module.serialize().map_err(internal)?);
            Ok(module)
        };
        let compiled = module(Kind::Code, &|| Ok(parts.code.clone()))?;
        let prelude = match Artifact::decode(PRELUDE) {
            Ok(Artifact::Script(prelude)) => Arc::new(Prelude::new(prelude)),
            _ => return Err(Failure::new(&code::INTERNAL, "the prelude is no script")),
        };
        let mut guestware = Guestware::new(runtime.clone(), compiled, prelude).map_err(internal)?;
        let base = prepare::base_image(&mut guestware, &parts)?;
        let base = Module::new(&runtime.wasmtime, base).map_err(internal)?;
        Ok(Self { guestware: Arc::new(guestware), base, cache, clock: Arc::new(SystemClock::default()), generation })
    }

    /// The key of an image: the script, and what it was evaluated by.
    fn key(&self, artifact: &Digest) -> Digest {
        Digest::of(&[artifact.as_bytes().as_slice(), self.generation.as_bytes()].concat())
    }

    pub fn prepare(&self, artifact: &Digest, script: &Script, limits: &WorkerLimits) -> Result<StartReport, Failure> {
        let begun = Instant::now();
        let key = self.key(artifact);
        if self.cache.is_sound(Kind::Image, &key) {
            return Ok(StartReport { elapsed: begun.elapsed(), ..StartReport::default() });
        }
        let evaluated = prepare::script_image(&self.guestware, &self.base, script, limits)?;
        let module = Module::new(&self.guestware.runtime.wasmtime, &evaluated.image).map_err(internal)?;
        self.cache.store(Kind::Image, &key, &module.serialize().map_err(internal)?);
        Ok(StartReport {
            fresh: true,
            elapsed: begun.elapsed(),
            bytes: evaluated.image.len() as u64,
            console: evaluated.console,
        })
    }

    pub fn load(&self, artifact: &Digest) -> Option<Arc<Program>> {
        let image = self.cache.module(&self.guestware.runtime.wasmtime, Kind::Image, &self.key(artifact))?;
        Some(Arc::new(Program { guestware: self.guestware.clone(), image, clock: self.clock.clone() }))
    }
}

impl Program {
    /// The clock that guests see: whole milliseconds, so that it tells nothing of the host's work.
    pub fn clock_us(&self) -> i64 {
        (self.clock.unix_ms() * 1000) as i64
    }

    pub fn start(
        self: Arc<Self>,
        core: &Core,
        env: &Arc<Env>,
        phases: &Cell<Phases>,
    ) -> Result<ScriptInstance, Failure> {
        let begun = Instant::now();
        let guest = Guest::serving(self.guestware.layout, env.clone(), core.clone());
        let sandbox = self.guestware.instantiate(&self.image, guest).map_err(|error| {
            // The pool of slots is the only thing that can run out here.
            Failure::new(&code::NODE_OVERLOADED, format!("no sandbox is free (instances_total): {error:#}"))
        })?;
        let now = Phases { instantiate: begun.elapsed(), ..phases.get() };
        phases.set(now);
        let id = self.guestware.runtime.next_instance();
        let from = begun.checked_sub(now.load).unwrap_or(begun);
        Ok(ScriptInstance::new(id, self, env.clone(), core.clone(), sandbox, (from, now)))
    }
}

impl worker::Program for Program {
    fn instantiate(
        self: Arc<Self>,
        core: &Core,
        env: &Arc<Env>,
        phases: &Cell<Phases>,
    ) -> Result<Rc<dyn Instance>, Failure> {
        Ok(Rc::new(self.start(core, env, phases)?))
    }
}

fn internal(error: wasmtime::Error) -> Failure {
    Failure::new(&code::INTERNAL, format!("{error:#}"))
}
