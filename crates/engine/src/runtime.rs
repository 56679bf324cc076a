//! The wasmtime engines of a node and their configuration. The host decides about a running guest at
//! each tick, which is a millisecond.
//!
//! There are two, because guests are interrupted in two ways. Components are looked after by
//! wasmtime: it compiles a look at the epoch, which a thread advances, and a call, into every loop and
//! function. That call is dear even where it is never made: what lives across it can't stay in the
//! registers that a call may change, and the loop of an interpreter is nothing but what lives across
//! it. So scripts count for themselves, where it matters ([`crate::script`]'s `metering`), and ask the
//! host, which looks at the clock: a node that has no component has no such thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

/// How long a guest runs before the host looks at it.
pub const TICK: Duration = Duration::from_millis(1);

/// Stacks beyond two for each sandbox. A call from a script into its WebAssembly has its own; those
/// that nest in it share these.
pub const DEEPER_STACKS: u32 = 512;

/// Ticks without any guest entry after which the ticker goes to sleep.
const IDLE_TICKS: u32 = 50;

/// What runs every guest of the node.
pub struct Runtime {
    pub scripts: wasmtime::Engine,
    options: RuntimeOptions,
    /// Set when they are first needed: a node without any component does without.
    components: OnceLock<Components>,
    instances: AtomicU64,
}

/// Sizes that an operator may change.
#[derive(Debug, Clone, Copy)]
pub struct RuntimeOptions {
    /// Sandboxes alive at once (`instances_total`).
    pub instances_max: u32,
}

impl Runtime {
    pub fn new(options: RuntimeOptions) -> wasmtime::Result<Self> {
        let scripts = wasmtime::Engine::new(&config(options, fresh_is_cheap()))?;
        Ok(Self { scripts, options, components: OnceLock::new(), instances: AtomicU64::new(0) })
    }

    /// The engine of components.
    pub fn components(&self) -> wasmtime::Result<&wasmtime::Engine> {
        if let Some(components) = self.components.get() {
            return Ok(&components.engine);
        }
        let mut config = config(self.options, fresh_is_cheap());
        let engine = wasmtime::Engine::new(config.epoch_interruption(true))?;
        let begun = || Components { ticker: Ticker::start(engine.clone()), engine };
        Ok(&self.components.get_or_init(begun).engine)
    }

    /// The number of a new instance, unique within the life of the node.
    pub fn next_instance(&self) -> u64 {
        self.instances.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Tells the ticker that a component is about to run. Call it before every entry.
    pub fn entering(&self) {
        let Some(Components { ticker, .. }) = self.components.get() else { return };
        ticker.entries.fetch_add(1, Ordering::Relaxed);
        if ticker.asleep.load(Ordering::Acquire) {
            ticker.wake();
        }
    }
}

struct Components {
    engine: wasmtime::Engine,
    ticker: Arc<Ticker>,
}

impl Drop for Components {
    fn drop(&mut self) {
        self.ticker.stop.store(true, Ordering::Release);
        self.ticker.wake();
    }
}

/// False where the kernel can't tell which pages a guest dirtied (Linux before 6.7): a fresh
/// sandbox then costs several times more.
pub fn fresh_is_cheap() -> bool {
    PoolingAllocationConfig::is_pagemap_scan_available()
}

fn config(options: RuntimeOptions, pagemap_scan: bool) -> Config {
    let instances = options.instances_max;
    let mut pool = PoolingAllocationConfig::default();
    // A script is two core instances: the shared code, and its image. A component has one for its
    // code, and a few more that its toolchain glues it with; a count costs nothing.
    // The modules that a script imports bring instances and tables of their own.
    let own = base::limits::WASM_PARTS_MAX as u32;
    pool.total_core_instances(instances * (8 + own))
        .total_component_instances(instances)
        .total_memories(instances)
        .total_tables(instances * (2 + own))
        .total_stacks(instances * 2 + DEEPER_STACKS)
        .max_core_instance_size(1 << 20)
        .max_component_instance_size(1 << 20)
        .table_elements(20_000)
        .max_tables_per_module(4)
        .max_memory_size(2 << 30)
        .max_unused_warm_slots(64)
        .linear_memory_keep_resident(1 << 20)
        .table_keep_resident(64 << 10)
        .async_stack_keep_resident(64 << 10)
        .pagemap_scan(if pagemap_scan { Enabled::Yes } else { Enabled::No });
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .cranelift_opt_level(OptLevel::Speed)
        // QuickJS recurses in C: for calls, deep JSON, proxies, parser input. It measures its stack in
        // memory, which is 4 MiB; a frame takes about four times as much of this one, where the end is a
        // trap. Both are addresses until somebody recurses that far.
        .max_wasm_stack(22 << 20)
        .async_stack_size(23 << 20)
        .async_stack_zeroing(true)
        .memory_init_cow(true)
        .memory_guaranteed_dense_image_size(64 << 20)
        .wasm_component_model(true)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(16));
    config
}

/// A thread that advances the epoch while components run, and sleeps while none does.
struct Ticker {
    engine: wasmtime::Engine,
    entries: AtomicU64,
    asleep: AtomicBool,
    stop: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Ticker {
    fn start(engine: wasmtime::Engine) -> Arc<Self> {
        let ticker = Arc::new(Self {
            engine,
            entries: AtomicU64::new(0),
            asleep: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            thread: OnceLock::new(),
        });
        let inner = ticker.clone();
        let spawned = std::thread::Builder::new().name("ticker".into()).spawn(move || inner.tick());
        let handle = spawned.expect("the machine can start a thread");
        ticker.thread.get_or_init(|| handle.thread().clone());
        ticker
    }

    fn tick(&self) {
        let mut seen = 0;
        let mut idle = 0;
        while !self.stop.load(Ordering::Acquire) {
            std::thread::sleep(TICK);
            self.engine.increment_epoch();
            let entries = self.entries.load(Ordering::Relaxed);
            idle = if entries == seen { idle + 1 } else { 0 };
            seen = entries;
            if idle > IDLE_TICKS {
                self.asleep.store(true, Ordering::Release);
                // An entry between the load above and the store is seen here.
                if self.entries.load(Ordering::Acquire) == seen {
                    std::thread::park_timeout(Duration::from_millis(100));
                }
                self.asleep.store(false, Ordering::Release);
            }
        }
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}
