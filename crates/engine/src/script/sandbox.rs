//! One instantiated guest: a store, and the exports through which the host enters.

use std::sync::Arc;

use futures_util::FutureExt as _;
use wasmtime::{Extern, Instance, Linker, Memory, Module, ModuleExport, Store, TypedFunc};

use super::abi::control;
use super::guest::{Guest, Layout};
use super::image::MEMORY;
use super::prelude::Prelude;
use super::wasm::Shared;
use crate::cache::Cache;
use crate::runtime::Runtime;

/// The code that all scripts share, with everything that can be resolved once.
pub struct Guestware {
    pub runtime: Arc<Runtime>,
    pub prelude: Arc<Prelude>,
    code: Module,
    linker: Linker<Guest>,
    exports: Exports,
    pub layout: Layout,
    pub stack_pointer: usize,
}

struct Exports {
    enter: ModuleExport,
    alloc: ModuleExport,
}

/// A guest export, resolved.
pub type Enter = TypedFunc<(i32, u32, u32, u32, u32), i32>;

pub struct Sandbox {
    pub store: Store<Guest>,
    pub instance: Instance,
    pub memory: Memory,
    enter: Enter,
    alloc: TypedFunc<u32, u32>,
}

impl Guestware {
    pub fn new(
        runtime: Arc<Runtime>,
        code: Module,
        prelude: Arc<Prelude>,
        cache: Arc<Cache>,
    ) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(&runtime.scripts);
        super::host::define(&mut linker, Arc::new(Shared::new(runtime.scripts.clone(), cache)))?;
        let export = |name: &str| {
            code.get_export_index(name).ok_or_else(|| wasmtime::Error::msg(format!("the guest lacks {name}")))
        };
        let exports = Exports { enter: export("sv_enter")?, alloc: export("sv_alloc")? };
        Ok(Self { runtime, prelude, code, linker, exports, layout: Layout::default(), stack_pointer: 0 })
    }

    /// Links the code to the memory of an image. Takes microseconds: every slot comes from the
    /// pool, the memory is mapped copy-on-write, and nothing is compiled.
    pub fn instantiate(&self, image: &Module, guest: Guest) -> wasmtime::Result<Sandbox> {
        let mut store = Store::new(&self.runtime.scripts, guest);
        store.limiter(|guest| guest);
        let image = at_once(Instance::new_async(&mut store, image, &[]))?;
        let memory =
            image.get_memory(&mut store, MEMORY).ok_or_else(|| wasmtime::Error::msg("the image has no memory"))?;
        store.data_mut().memory = Some(memory);
        store.data_mut().prelude = Some(self.prelude.clone());
        let mut imports = Vec::with_capacity(16);
        for import in self.code.imports() {
            imports.push(if import.name() == MEMORY {
                Extern::Memory(memory)
            } else {
                let found = self.linker.get_by_import(&mut store, &import);
                found.ok_or_else(|| wasmtime::Error::msg(format!("the guest wants {}", import.name())))?
            });
        }
        let instance = at_once(Instance::new_async(&mut store, &self.code, &imports))?;
        let function = |store: &mut Store<Guest>, export: &ModuleExport| {
            let found = instance.get_module_export(&mut *store, export).and_then(Extern::into_func);
            found.ok_or_else(|| wasmtime::Error::msg("a guest export is no function"))
        };
        let enter = function(&mut store, &self.exports.enter)?.typed(&store)?;
        let alloc = function(&mut store, &self.exports.alloc)?.typed(&store)?;
        Ok(Sandbox { store, instance, memory, enter, alloc })
    }
}

/// Neither module has a start function: there is nothing to wait for.
fn at_once(instance: impl Future<Output = wasmtime::Result<Instance>>) -> wasmtime::Result<Instance> {
    instance.now_or_never().unwrap_or_else(|| Err(wasmtime::Error::msg("an instantiation was suspended")))
}

impl Sandbox {
    /// Enters the guest with one event. Returns after all jobs that follow from it, or with the
    /// trap that ended the instance. May be suspended at any tick.
    pub async fn enter(&mut self, kind: i32, id: u32, request: u32, arguments: &[u8]) -> wasmtime::Result<i32> {
        let layout = self.store.data().layout;
        let at = if arguments.len() <= layout.inbox_bytes {
            layout.inbox as u32
        } else {
            // The guest frees it once it has decoded it. If it has no room, that is no fault of
            // whoever ran before.
            self.store.data_mut().begin(0);
            self.store.data_mut().hurry();
            self.alloc.call_async(&mut self.store, arguments.len() as u32).await?
        };
        if at == 0 {
            return Err(wasmtime::Error::msg("the guest has no memory left for the event"));
        }
        self.memory.write(&mut self.store, at as usize, arguments)?;
        self.store.data_mut().begin(request);
        let call = (kind, id, request, at, arguments.len() as u32);
        let outcome = self.enter.call_async(&mut self.store, call).await;
        self.store.data_mut().end();
        outcome
    }

    /// What the last entry reported: the encoding of [name, message, stack, code].
    pub fn report(&self) -> Vec<u8> {
        let data = self.memory.data(&self.store);
        let control = self.store.data().layout.control;
        let word = |offset: usize| {
            let at = control + offset;
            let bytes = data.get(at..at + 4).and_then(|b| b.try_into().ok());
            u32::from_le_bytes(bytes.unwrap_or_default()) as usize
        };
        let (at, len) = (word(control::OUT), word(control::OUT_BYTES));
        data.get(at..at.saturating_add(len)).map(<[u8]>::to_vec).unwrap_or_default()
    }

    /// Takes back an interrupt, once the request it was meant for has ended.
    pub fn clear_interrupt(&mut self) -> wasmtime::Result<()> {
        let at = self.store.data().layout.control + control::INTERRUPT;
        Ok(self.memory.write(&mut self.store, at, &[0; 4])?)
    }

    pub fn memory_bytes(&self) -> u64 {
        self.memory.data_size(&self.store) as u64
    }
}
