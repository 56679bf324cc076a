//! Scripts as the rest of the node sees them: preparing, loading, instantiating.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use base::artifact::{ModuleKind, Script};
use base::{Artifact, Clock, Digest, SystemClock, WorkerLimits, code};
use telemetry::Phases;
use wasmtime::Module;
use worker::object::Seat;
use worker::{Core, Env, Failure, Instance, StartReport};

use super::guest::Guest;
use super::image;
use super::instance::ScriptInstance;
use super::metering;
use super::objects::GuestObject;
use super::places::Places;
use super::prelude::Prelude;
use super::prepare;
use super::sandbox::Guestware;
use super::wasm::{self, Bundle, Compiled, Wasm};
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
    /// Its WebAssembly, if it has any.
    bundle: Option<Bundle>,
    clock: Arc<dyn Clock>,
    pub places: Places,
}

impl Scripts {
    /// Compiles the guest, or finds it compiled, and boots the base image.
    pub fn new(runtime: Arc<Runtime>, cache: Arc<Cache>) -> Result<Self, Failure> {
        let (guest, prelude) = (Digest::of(GUEST), Digest::of(PRELUDE));
        let generation = [guest.as_bytes().as_slice(), prelude.as_bytes(), &[wasm::VERSION]].concat();
        let generation = Digest::of(&generation);
        let parts = image::split(GUEST).map_err(|e| Failure::new(&code::INTERNAL, e.to_string()))?;
        let module = |kind, bytes: &dyn Fn() -> Result<Vec<u8>, Failure>| -> Result<Module, Failure> {
            if let Some(module) = cache.module(&runtime.scripts, kind, &generation) {
                return Ok(module);
            }
            let module = Module::new(&runtime.scripts, bytes()?).map_err(internal)?;
            cache.store(kind, &generation, &module.serialize().map_err(internal)?);
            Ok(module)
        };
        let compiled = module(Kind::Code, &|| {
            metering::meter(&parts.code).map_err(|e| Failure::new(&code::INTERNAL, e.to_string()))
        })?;
        let prelude = match Artifact::decode(PRELUDE) {
            Ok(Artifact::Script(prelude)) => Arc::new(Prelude::new(prelude)),
            _ => return Err(Failure::new(&code::INTERNAL, "the prelude is no script")),
        };
        let mut guestware = Guestware::new(runtime.clone(), compiled, prelude, cache.clone()).map_err(internal)?;
        let base = prepare::base_image(&mut guestware, &parts)?;
        let base = Module::new(&runtime.scripts, base).map_err(internal)?;
        Ok(Self { guestware: Arc::new(guestware), base, cache, clock: Arc::new(SystemClock::default()), generation })
    }

    /// The key of an image: the script, and what it was evaluated by.
    fn key(&self, artifact: &Digest) -> Digest {
        Digest::of(&[artifact.as_bytes().as_slice(), self.generation.as_bytes()].concat())
    }

    pub fn prepare(&self, artifact: &Digest, script: &Script, limits: &WorkerLimits) -> Result<StartReport, Failure> {
        let begun = Instant::now();
        let key = self.key(artifact);
        if self.cache.is_sound(Kind::Image, &key) && self.find(&key).is_some() {
            return Ok(StartReport { elapsed: begun.elapsed(), ..StartReport::default() });
        }
        let modules = self.compile(script, limits)?;
        let evaluated = prepare::script_image(&self.guestware, &self.base, script, &modules, limits)?;
        if let Some(bundle) = &evaluated.bundle {
            self.cache.store(Kind::Bundle, &key, bundle);
        }
        let module = Module::new(&self.guestware.runtime.scripts, &evaluated.image).map_err(internal)?;
        self.cache.store(Kind::Image, &key, &module.serialize().map_err(internal)?);
        Ok(StartReport {
            fresh: true,
            elapsed: begun.elapsed(),
            bytes: evaluated.image.len() as u64,
            console: evaluated.console,
        })
    }

    pub fn load(&self, artifact: &Digest) -> Option<Arc<Program>> {
        let (image, bundle) = self.find(&self.key(artifact))?;
        let (guestware, clock) = (self.guestware.clone(), self.clock.clone());
        Some(Arc::new(Program { guestware, image, bundle, clock, places: Places::default() }))
    }

    /// An image, and what it needs of WebAssembly; all of it, or nothing.
    fn find(&self, key: &Digest) -> Option<(Module, Option<Bundle>)> {
        let engine = &self.guestware.runtime.scripts;
        let image = self.cache.module(engine, Kind::Image, key)?;
        if !image::has_wasm(&image) {
            return Some((image, None));
        }
        let bundle = Bundle::load(engine, &self.cache, &self.cache.bytes(Kind::Bundle, key)?)?;
        Some((image, Some(bundle)))
    }

    /// Compiles the WebAssembly modules of a script, in their order.
    fn compile(&self, script: &Script, limits: &WorkerLimits) -> Result<Vec<Arc<Compiled>>, Failure> {
        let engine = &self.guestware.runtime.scripts;
        let modules = script.modules.iter().filter(|module| module.kind == ModuleKind::Wasm);
        modules.map(|m| wasm::bundle::compile(engine, &self.cache, &m.name, &m.source, limits.wasm_bytes)).collect()
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
        object: Option<Seat>,
        phases: &Cell<Phases>,
    ) -> Result<ScriptInstance, Failure> {
        let begun = Instant::now();
        let mut guest = Guest::serving(self.guestware.layout, env.clone(), core.clone(), self.clock.clone());
        guest.object = object.map(|seat| Box::new(GuestObject::new(seat)));
        if let Some(bundle) = &self.bundle {
            guest.wasm = Some(Box::new(Wasm::waiting(bundle.modules.clone(), bundle.snapshot.clone())));
        }
        let mut sandbox = self.guestware.instantiate(&self.image, guest).map_err(|error| {
            // The pool of slots is the only thing that can run out here.
            Failure::new(&code::NODE_OVERLOADED, format!("no sandbox is free (instances_total): {error:#}"))
        })?;
        // An object stays in its sandbox; whoever may get a fresh one for each request begins with these pages.
        if sandbox.store.data().object.is_none() {
            self.places.settle(&mut sandbox);
        }
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
        Ok(Rc::new(self.start(core, env, None, phases)?))
    }

    fn instantiate_object(
        self: Arc<Self>,
        core: &Core,
        env: &Arc<Env>,
        seat: Seat,
        phases: &Cell<Phases>,
    ) -> Result<Rc<dyn Instance>, Failure> {
        Ok(Rc::new(self.start(core, env, Some(seat), phases)?))
    }
}

fn internal(error: wasmtime::Error) -> Failure {
    Failure::new(&code::INTERNAL, format!("{error:#}"))
}
