//! How the guest reaches its instances: calls into them, and out of them.
//!
//! A call runs on a stack of its own, so that a tick can pause it like any other guest code, and so
//! that a trap in it ends here. It ends the whole sandbox only if QuickJS was on that stack: the
//! guest says when an instance has called back, and when that is over.

use std::sync::Arc;

use base::code;
use wasmtime::{AsContextMut as _, Caller, Engine, FuncType, Linker, StoreContextMut, Trap, Val, ValType};

use super::asks;
use super::stacks::Stacks;
use super::state::{self, Interrupted, Wasm, Window};
use crate::cache::Cache;
use crate::script::codec::Encoder;
use crate::script::guest::Guest;
use crate::script::host::{Refusal, put_answer};

/// Results of `wasm_call` besides 0 and the negated length of an error; `shim/wasm.c` has the same.
const THREW: i32 = 2;
const INTERRUPTED: i32 = 3;

/// The guest may have no more memories.
const REFUSED: i32 = 1;

/// How the guest leaves a callback.
const LEAVE_OK: i32 = 0;
const LEAVE_TABLE_BOUNDS: i32 = 2;

/// An imported function threw; its exception is pending in QuickJS.
#[derive(Debug, thiserror::Error)]
#[error("an imported function threw an exception")]
struct Threw;

/// What the sandboxes of a node share.
pub struct Shared {
    pub engine: Engine,
    pub cache: Arc<Cache>,
    stacks: Arc<Stacks>,
}

impl Shared {
    pub fn new(engine: Engine, cache: Arc<Cache>) -> Self {
        Self { engine, cache, stacks: Arc::default() }
    }
}

/// Defines the imports of `shim/wasm.c`.
pub fn define(linker: &mut Linker<Guest>, shared: &Arc<Shared>) -> wasmtime::Result<()> {
    let with = shared.clone();
    linker.func_wrap_async("sv", "wasm", move |caller: Caller<'_, Guest>, (code, at, len): (i32, u32, u32)| {
        Box::new(asks::asked(caller, with.clone(), code, at, len))
    })?;
    let with = shared.clone();
    linker.func_wrap_async("sv", "wasm_call", move |caller: Caller<'_, Guest>, place: (u32, u32, u32)| {
        Box::new(called(caller, with.clone(), place))
    })?;
    linker.func_wrap("sv", "wasm_enter", |mut caller: Caller<'_, Guest>| {
        if let Some(wasm) = &mut caller.data_mut().wasm {
            wasm.returned += 1;
        }
    })?;
    linker.func_wrap("sv", "wasm_leave", |mut caller: Caller<'_, Guest>, how: i32| -> wasmtime::Result<()> {
        if let Some(wasm) = &mut caller.data_mut().wasm {
            wasm.returned = wasm.returned.saturating_sub(1);
        }
        match how {
            LEAVE_OK => Ok(()),
            LEAVE_TABLE_BOUNDS => Err(Trap::TableOutOfBounds.into()),
            _ => Err(Threw.into()),
        }
    })?;
    linker.func_wrap("sv", "wasm_moved", |mut caller: Caller<'_, Guest>, memory: u32, base: u32, bytes: u32| {
        let mut store = caller.as_context_mut();
        let max = store.data().limits.wasm_memories as usize;
        let windows = &mut Wasm::of(&mut store).windows;
        let (count, memory_at) = (windows.len(), memory as usize);
        match windows.get_mut(memory_at) {
            Some(window) => *window = Window { base, bytes },
            None if count == memory_at && count < max => windows.push(Window { base, bytes }),
            None => return Ok(REFUSED),
        }
        state::place_window(&mut store, memory).map(|()| 0)
    })?;
    Ok(())
}

/// Makes anew what the image was taken with, before anything is done with it.
pub async fn ready(caller: &mut Caller<'_, Guest>) -> wasmtime::Result<()> {
    let waiting = caller.data_mut().wasm.as_mut().and_then(|wasm| wasm.waiting.take());
    let Some(snapshot) = waiting else { return Ok(()) };
    let code = state::guest_functions(caller)?;
    state::restore(caller.as_context_mut(), &code, &snapshot).await
}

/// Calls a function of an instance; arguments and results lie `at` this place.
async fn called(
    mut caller: Caller<'_, Guest>,
    shared: Arc<Shared>,
    (instance, index, at): (u32, u32, u32),
) -> wasmtime::Result<i32> {
    ready(&mut caller).await?;
    let mut store = caller.as_context_mut();
    let depth_max = store.data().limits.wasm_depth;
    let wasm = Wasm::of(&mut store);
    if u64::from(wasm.calls) >= depth_max {
        let message = format!(
            "Maximum call stack size exceeded: {depth_max} calls from JavaScript into WebAssembly are nested (limits.wasm_depth)"
        );
        return refuse(&mut caller, Refusal { name: "RangeError", message: message.into(), code: "" });
    }
    let (calls, returned) = (wasm.calls, wasm.returned);
    // The outermost call of each sandbox has its own.
    let nested = if calls == 0 { None } else { shared.stacks.take(&app_of(&store)) };
    if calls > 0 && nested.is_none() {
        return refuse(&mut caller, no_stack());
    }
    let Some((function, ty)) = Wasm::function(&mut store, instance, index) else {
        return refuse(&mut caller, Refusal::type_error("there is no such function in this instance"));
    };
    let Some(arguments) = read_slots(&mut store, &ty, at)? else {
        return refuse(&mut caller, Refusal::type_error("a function with such a type can't be called from JavaScript"));
    };
    let mut results = vec![Val::I32(0); ty.results().len()];
    Wasm::of(&mut store).calls += 1;
    let outcome = function.call_async(&mut store, &arguments, &mut results).await;
    let wasm = Wasm::of(&mut store);
    wasm.calls = calls;
    let Err(error) = outcome else {
        write_slots(&mut store, &results, at)?;
        return Ok(0);
    };
    // QuickJS was on the stack, and is in no state to go on.
    if wasm.returned != returned {
        return Err(error);
    }
    if error.is::<Threw>() {
        return Ok(THREW);
    }
    if error.is::<Interrupted>() {
        return Ok(INTERRUPTED);
    }
    match failed(&mut store, &error) {
        Some(refusal) => refuse(&mut caller, refusal),
        None => Err(error),
    }
}

/// Whose guest it is; nobody's while modules are evaluated.
fn app_of(store: &StoreContextMut<'_, Guest>) -> Arc<str> {
    store.data().env.as_ref().map_or_else(|| "".into(), |env| env.app.clone())
}

/// What a script hears of a trap; `None` if it was no trap.
pub fn failed(store: &mut StoreContextMut<'_, Guest>, error: &wasmtime::Error) -> Option<Refusal> {
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return Some(no_stack());
    }
    let message = match *error.downcast_ref::<Trap>()? {
        Trap::StackOverflow => {
            let message = "Maximum call stack size exceeded".into();
            return Some(Refusal { name: "RangeError", message, code: "" });
        }
        // A load or a store outside of its memory ends in such an instruction, too.
        Trap::UnreachableCodeReached if !reached(store) => "memory access out of bounds",
        Trap::UnreachableCodeReached => "unreachable",
        Trap::MemoryOutOfBounds => "memory access out of bounds",
        Trap::TableOutOfBounds => "table index is out of bounds",
        Trap::IndirectCallToNull => "a null function was called",
        Trap::BadSignature => "a function was called with another signature than its own",
        Trap::IntegerOverflow => "integer overflow",
        Trap::IntegerDivisionByZero => "divide by zero",
        Trap::BadConversionToInteger => "a float can't be represented as an integer",
        _ => return Some(Refusal { name: "RuntimeError", message: error.to_string().into(), code: "" }),
    };
    Some(Refusal { name: "RuntimeError", message: message.into(), code: "" })
}

fn no_stack() -> Refusal {
    let message = "Maximum call stack size exceeded: the node has no stack left for nested calls into WebAssembly";
    Refusal { name: "RangeError", message: message.into(), code: code::NODE_OVERLOADED.name }
}

/// Whether an `unreachable` of a module's own was reached.
fn reached(store: &mut StoreContextMut<'_, Guest>) -> bool {
    let instances: Vec<_> = Wasm::of(store).slots.iter().map(|slot| slot.instance).collect();
    instances.into_iter().any(|instance| {
        let flag = instance.get_global(&mut *store, "reached");
        flag.is_some_and(|flag| flag.get(&mut *store).i32() == Some(1) && flag.set(&mut *store, Val::I32(0)).is_ok())
    })
}

fn refuse(caller: &mut Caller<'_, Guest>, refusal: Refusal) -> wasmtime::Result<i32> {
    put_answer(caller, Err(refusal), Encoder::default())
}

/// Arguments as the guest wrote them; `None` if JavaScript can't give a value of such a type.
fn read_slots(store: &mut StoreContextMut<'_, Guest>, ty: &FuncType, at: u32) -> wasmtime::Result<Option<Vec<Val>>> {
    let known = |ty: &ValType| matches!(ty, ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64);
    if !ty.params().all(|ty| known(&ty)) || !ty.results().all(|ty| known(&ty)) {
        return Ok(None);
    }
    let memory = store.data().memory.ok_or_else(|| wasmtime::Error::msg("the guest has no memory"))?;
    let data = memory.data(&*store);
    let mut values = Vec::with_capacity(ty.params().len());
    for (slot, ty) in ty.params().enumerate() {
        let from = at as usize + slot * 8;
        let bytes = data.get(from..from + 8).and_then(|bytes| bytes.try_into().ok());
        let bits = u64::from_le_bytes(bytes.ok_or_else(|| wasmtime::Error::msg("arguments outside the memory"))?);
        values.push(match ty {
            ValType::I64 => Val::I64(bits as i64),
            ValType::F32 => Val::F32(bits as u32),
            ValType::F64 => Val::F64(bits),
            _ => Val::I32(bits as i32),
        });
    }
    Ok(Some(values))
}

fn write_slots(store: &mut StoreContextMut<'_, Guest>, values: &[Val], at: u32) -> wasmtime::Result<()> {
    let memory = store.data().memory.ok_or_else(|| wasmtime::Error::msg("the guest has no memory"))?;
    for (slot, value) in values.iter().enumerate() {
        let bits = state::bits(value).map_or(0, |(_, bits)| bits as u64);
        memory.write(&mut *store, at as usize + slot * 8, &bits.to_le_bytes())?;
    }
    Ok(())
}
