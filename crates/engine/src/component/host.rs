//! What the host keeps beside one instance: the content of its wasmtime store.

use std::sync::Arc;
use std::time::Duration;

use base::Clock;
use telemetry::Level;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime::{Engine, ResourceLimiter, Store, StoreContextMut, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};
use worker::{Core, Env};

use super::blobstore;
use super::clocks::Ticking;
use super::config;
use super::console::Console;
use super::egress::Egress;
use super::invocation::Invocation;
use super::keyvalue;
use super::share::{Share, Verdict};
use super::sql;

/// Resources of the host (streams, fields, bodies, pollables) that one instance may hold: what it
/// can make the host remember is bounded, as its own memory is.
const RESOURCES_MAX: usize = 4096;

/// Roughly, the bytes of one set of header fields.
const FIELDS_BYTES_MAX: usize = 128 << 10;

/// Random bytes that one call may ask for.
const RANDOM_BYTES_MAX: u64 = 4 << 20;

/// Elements of one table; the pool has no larger ones.
const TABLE_ELEMENTS_MAX: usize = 20_000;

pub struct Host {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    egress: Egress,
    pub console: [Console; 2],
    pub memory: MemoryUse,
    core: Core,
    share: Share,
}

/// The component used up its CPU time.
#[derive(Debug, thiserror::Error)]
#[error("the CPU time is used up")]
pub struct CpuExhausted;

/// Linear memory of the whole instance, which may have several.
pub struct MemoryUse {
    max: usize,
    bytes: usize,
    invocation: Arc<Invocation>,
    /// The guest asked for more than it may have.
    pub denied: bool,
}

/// Everything a component may import.
pub fn linker(engine: &Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    config::define(&mut linker)?;
    keyvalue::define(&mut linker)?;
    blobstore::define(&mut linker)?;
    sql::define(&mut linker)?;
    Ok(linker)
}

impl Host {
    pub fn store(
        engine: &Engine,
        clock: &Arc<dyn Clock>,
        core: Core,
        share: Share,
        invocation: &Arc<Invocation>,
    ) -> Store<Self> {
        let console = [Level::Info, Level::Error].map(|level| Console::new(level, invocation.clone()));
        let wasi = WasiCtx::builder()
            .envs(&config::variables(&invocation.env))
            .stdout(console[0].clone())
            .stderr(console[1].clone())
            .wall_clock(Ticking(clock.clone()))
            .monotonic_clock(Ticking(clock.clone()))
            .max_random_size(RANDOM_BYTES_MAX)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .build();
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(FIELDS_BYTES_MAX);
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES_MAX);
        let max = (invocation.env.limits.memory_mib as usize) << 20;
        let egress = Egress { invocation: invocation.clone() };
        let memory = MemoryUse { max, bytes: 0, invocation: invocation.clone(), denied: false };
        let mut store = Store::new(engine, Self { wasi, http, table, egress, console, memory, core, share });
        store.limiter(|host| &mut host.memory);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(on_tick);
        store
    }

    pub fn env(&self) -> &Arc<Env> {
        &self.egress.invocation.env
    }

    pub fn invocation(&self) -> &Arc<Invocation> {
        &self.egress.invocation
    }

    pub fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

/// Decides about a running component at each tick.
fn on_tick(cx: StoreContextMut<'_, Host>) -> wasmtime::Result<UpdateDeadline> {
    let host = cx.data();
    let cpu_max = Duration::from_millis(host.env().limits.cpu_ms);
    match host.share.verdict(cpu_max) {
        Verdict::GoOn => Ok(UpdateDeadline::Continue(1)),
        Verdict::TakeTurns => {
            let turn = host.share.take_turns(host.core.clone(), host.env().app.clone());
            Ok(UpdateDeadline::YieldCustom(1, turn))
        }
        Verdict::End => Err(wasmtime::Error::new(CpuExhausted)),
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.egress }
    }
}

impl ResourceLimiter for MemoryUse {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.bytes.saturating_add(desired.saturating_sub(current));
        let granted = total <= self.max;
        self.denied |= !granted;
        if granted {
            self.bytes = total;
            self.invocation.record_memory(total);
        }
        Ok(granted)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }
}
