//! How the guest reaches its instances: calls into them, and what makes and asks for things.
//!
//! A call runs on a stack of its own, so that a tick can pause it like any other guest code, and so
//! that a trap in it ends here. It ends the whole sandbox only if QuickJS was on that stack: the
//! guest says when an instance has called back, and when that is over.

use base::{WorkerLimits, code};
use wasmtime::{AsContextMut as _, Caller, FuncType, Linker, Ref, StoreContextMut, Trap, Val, ValType};

use super::bundle::Compiled;
use super::rewrite;
use super::snapshot::{decode_value, encode_value};
use super::state::{self, Interrupted, Recipe, Wasm, Window};
use crate::script::codec::{Decoder, Encoder, Malformed};
use crate::script::guest::Guest;
use crate::script::host::{Refusal, memory, put_answer};

/// What the guest asks for, by number; the prelude's `features/webassembly.ts` has the same.
mod ask {
    pub const VALIDATE: i32 = 1;
    pub const COMPILE: i32 = 2;
    pub const DESCRIBE: i32 = 3;
    pub const INSTANTIATE: i32 = 4;
    pub const GLOBAL_NEW: i32 = 5;
    pub const GLOBAL_GET: i32 = 6;
    pub const GLOBAL_SET: i32 = 7;
    pub const TABLE_NEW: i32 = 8;
    pub const TABLE_GET: i32 = 9;
    pub const TABLE_SET: i32 = 10;
    pub const TABLE_GROW: i32 = 11;
    pub const TABLE_SIZE: i32 = 12;
}

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

/// Why a request of the guest came to nothing: it is told, or the sandbox ends.
enum Stop {
    Refused(Refusal),
    Ended(wasmtime::Error),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Stop::Refused(refusal)
    }
}

impl From<Malformed> for Stop {
    fn from(malformed: Malformed) -> Self {
        Stop::Refused(malformed.into())
    }
}

impl From<wasmtime::Error> for Stop {
    fn from(error: wasmtime::Error) -> Self {
        Stop::Ended(error)
    }
}

/// Defines the imports of `shim/wasm.c`.
pub fn define(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap_async("sv", "wasm", |caller: Caller<'_, Guest>, (code, at, len): (i32, u32, u32)| {
        Box::new(asked(caller, code, at, len))
    })?;
    linker.func_wrap_async(
        "sv",
        "wasm_call",
        |caller: Caller<'_, Guest>, (instance, index, at): (u32, u32, u32)| {
            Box::new(called(caller, instance, index, at))
        },
    )?;
    linker.func_wrap("sv", "wasm_enter", |mut caller: Caller<'_, Guest>| {
        if let Some(wasm) = &mut caller.data_mut().wasm {
            wasm.returned += 1;
        }
    })?;
    linker.func_wrap("sv", "wasm_leave", |mut caller: Caller<'_, Guest>, how: i32| -> wasmtime::Result<()> {
        if let Some(wasm) = &mut caller.data_mut().wasm {
            wasm.returned -= 1;
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
async fn ready(caller: &mut Caller<'_, Guest>) -> wasmtime::Result<()> {
    let waiting = caller.data_mut().wasm.as_mut().and_then(|wasm| wasm.waiting.take());
    let Some(snapshot) = waiting else { return Ok(()) };
    let code = state::guest_functions(caller)?;
    state::restore(caller.as_context_mut(), &code, &snapshot).await
}

async fn called(mut caller: Caller<'_, Guest>, instance: u32, index: u32, at: u32) -> wasmtime::Result<i32> {
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

/// What a script hears of a trap; `None` if it was no trap.
fn failed(store: &mut StoreContextMut<'_, Guest>, error: &wasmtime::Error) -> Option<Refusal> {
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        let message = "the node has no stack left for a nested call into WebAssembly".into();
        return Some(Refusal { name: "RangeError", message, code: code::NODE_OVERLOADED.name });
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

async fn asked(mut caller: Caller<'_, Guest>, code: i32, at: u32, len: u32) -> wasmtime::Result<i32> {
    ready(&mut caller).await?;
    let memory = memory(&caller)?;
    let arguments = memory.data(&caller).get(at as usize..(at as usize).saturating_add(len as usize));
    let arguments = arguments.ok_or_else(|| wasmtime::Error::msg("arguments outside the memory"))?.to_vec();
    let mut out = Encoder::default();
    let result = if code == ask::INSTANTIATE {
        instantiate(&mut caller, &arguments, &mut out).await
    } else {
        answer(&mut caller.as_context_mut(), code, &arguments, &mut out)
    };
    match result {
        Ok(()) => put_answer(&mut caller, Ok(0), out),
        Err(Stop::Refused(refusal)) => put_answer(&mut caller, Err(refusal), out),
        Err(Stop::Ended(error)) => Err(error),
    }
}

fn answer(store: &mut StoreContextMut<'_, Guest>, code: i32, arguments: &[u8], out: &mut Encoder) -> Result<(), Stop> {
    let mut args = Decoder::new(arguments);
    match code {
        ask::VALIDATE => {
            let wasm = args.next()?;
            let wasm = wasm.as_content()?;
            let fits = wasm.len() as u64 <= store.data().limits.wasm_bytes;
            out.bool(fits && rewrite::rewrite(wasm).is_ok());
        }
        ask::COMPILE => return Err(not_compiled(args.next()?.as_content()?).into()),
        ask::DESCRIBE => {
            let module = args.next()?.as_u32()?;
            let compiled = Wasm::of(store).modules.get(module as usize).cloned();
            compiled.ok_or_else(|| gone("module"))?.shape.encode(out);
        }
        ask::GLOBAL_NEW..=ask::GLOBAL_SET => global(store, code, &mut args, out)?,
        ask::TABLE_NEW..=ask::TABLE_SIZE => table(store, code, &mut args, out)?,
        _ => return Err(Refusal::type_error("there is no such call").into()),
    }
    Ok(())
}

/// Code that comes into being at run time is not compiled; bytes that are no module are told apart.
fn not_compiled(wasm: &[u8]) -> Refusal {
    match rewrite::rewrite(wasm) {
        Err(error) => Refusal { name: "CompileError", message: error.to_string().into(), code: "" },
        Ok(_) => Refusal {
            name: "CompileError",
            message: "WebAssembly can't be compiled while the worker runs: import the module instead (import module from \"./x.wasm\"), so that it is compiled when the worker is deployed".into(),
            code: code::WASM_NOT_IMPORTED.name,
        },
    }
}

fn gone(what: &str) -> Refusal {
    Refusal::type_error(format!("there is no such {what}"))
}

fn range(message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal { name: "RangeError", message: message.into(), code: "" }
}

/// INSTANTIATE(module, memories, tables, globals, refs) → [instance, tables, globals]
async fn instantiate(caller: &mut Caller<'_, Guest>, arguments: &[u8], out: &mut Encoder) -> Result<(), Stop> {
    let mut args = Decoder::new(arguments);
    let recipe = Recipe::decode(vec![args.next()?, args.next()?, args.next()?, args.next()?, args.next()?])?;
    let guest_functions = state::guest_functions(caller)?;
    let mut store = caller.as_context_mut();
    let limits = store.data().limits.clone();
    let wasm = Wasm::of(&mut store);
    let compiled = wasm.modules.get(recipe.module as usize).cloned().ok_or_else(|| gone("module"))?;
    check_room(wasm, &compiled, &limits)?;
    let number = match state::instantiate(store.as_context_mut(), &guest_functions, recipe).await {
        Ok(number) => number,
        Err(error) if error.is::<wasmtime::PoolConcurrencyLimitError>() => {
            let message = format!("the node has no room for another instance: {error}");
            return Err(
                Refusal { name: "RangeError", message: message.into(), code: code::NODE_OVERLOADED.name }.into()
            );
        }
        Err(error) => {
            if let Some(refusal) = failed(&mut store, &error) {
                return Err(refusal.into());
            }
            return Err(Refusal { name: "LinkError", message: error.to_string().into(), code: "" }.into());
        }
    };
    let slot = &Wasm::of(&mut store).slots[number as usize];
    out.array(3).integer(u64::from(number));
    for ids in [&slot.tables, &slot.globals] {
        out.array(ids.len() as u32);
        ids.iter().for_each(|&id| super::shape::optional(out, id));
    }
    Ok(())
}

/// What a store has of these it has to its end.
fn check_room(wasm: &Wasm, compiled: &Compiled, limits: &WorkerLimits) -> Result<(), Refusal> {
    let max = limits.wasm_instances;
    if wasm.slots.len() as u64 >= max {
        return Err(Refusal {
            name: "RangeError",
            message: format!("this worker's instance has made {max} instances of WebAssembly modules (limits.wasm_instances): make one at the top of a module, and use it again").into(),
            code: code::TOO_MANY_WASM_INSTANCES.name,
        });
    }
    if (wasm.globals.len() + compiled.shape.globals.len()) as u64 > limits.wasm_globals {
        return Err(too_many_globals(limits));
    }
    let own = compiled.shape.tables.len() - compiled.shape.imported().0;
    check_tables(wasm, own as u64, limits)
}

fn too_many_globals(limits: &WorkerLimits) -> Refusal {
    let max = limits.wasm_globals;
    range(format!("this worker's instance can't have more than {max} WebAssembly globals (limits.wasm_globals)"))
}

fn check_tables(wasm: &Wasm, more: u64, limits: &WorkerLimits) -> Result<(), Refusal> {
    let max = limits.wasm_tables;
    if wasm.tables.len() as u64 + more <= max {
        return Ok(());
    }
    let message = format!("this worker's instance has {max} WebAssembly tables (limits.wasm_tables)");
    Err(Refusal { name: "RangeError", message: message.into(), code: code::TOO_MANY_WASM_INSTANCES.name })
}

/// GLOBAL_NEW(letter, mutable, value) → id, GLOBAL_GET(id) → value, GLOBAL_SET(id, value)
fn global(
    store: &mut StoreContextMut<'_, Guest>,
    code: i32,
    args: &mut Decoder<'_>,
    out: &mut Encoder,
) -> Result<(), Stop> {
    if code == ask::GLOBAL_NEW {
        let (letter, mutable, value) = (args.next()?, args.next()?.as_bool()?, args.next()?);
        let letter = letter.as_str()?.chars().next().ok_or(Malformed)?;
        let bits = decode_value(letter, &value)?;
        let limits = store.data().limits.clone();
        if Wasm::of(store).globals.len() as u64 >= limits.wasm_globals {
            return Err(too_many_globals(&limits).into());
        }
        out.integer(u64::from(state::new_global(store, letter, mutable, bits)?));
        return Ok(());
    }
    let id = args.next()?.as_u32()?;
    let global = *Wasm::of(store).globals.get(id as usize).ok_or_else(|| gone("global"))?;
    let now = global.get(&mut *store);
    if code == ask::GLOBAL_GET {
        encode_value(&now, out);
        return Ok(());
    }
    let letter = state::bits(&now).map_or(' ', |(letter, _)| letter);
    let bits = decode_value(letter, &args.next()?)?;
    let value = state::value(letter, bits).ok_or(Malformed)?;
    Ok(global.set(&mut *store, value)?)
}

/// TABLE_NEW(min, max or null) → id, TABLE_GET(id, place) → null, false outside of it, or
/// [instance, function, params, results], TABLE_SET(id, place, instance or null, function) → whether
/// there is such a place, TABLE_GROW(id, delta) → old length or null, TABLE_SIZE(id)
fn table(
    store: &mut StoreContextMut<'_, Guest>,
    code: i32,
    args: &mut Decoder<'_>,
    out: &mut Encoder,
) -> Result<(), Stop> {
    let first = args.next()?.as_u32()?;
    if code == ask::TABLE_NEW {
        let max = super::shape::optional_u32(&args.next()?)?;
        let limits = store.data().limits.clone();
        check_tables(Wasm::of(store), 1, &limits)?;
        let table = state::new_table(store, first, max);
        out.integer(u64::from(table.map_err(|error| range(error.to_string()))?));
        return Ok(());
    }
    let table = *Wasm::of(store).tables.get(first as usize).ok_or_else(|| gone("table"))?;
    match code {
        ask::TABLE_GET => {
            let at = args.next()?.as_u32()?;
            match table.get(&mut *store, u64::from(at)) {
                None => drop(out.bool(false)),
                Some(Ref::Func(Some(function))) => describe(store, function, out)?,
                Some(_) => drop(out.null()),
            }
        }
        ask::TABLE_SET => {
            let at = args.next()?.as_u32()?;
            let instance = super::shape::optional_u32(&args.next()?)?;
            let function = match instance {
                Some(instance) => {
                    let found = Wasm::function(store, instance, args.next()?.as_u32()?);
                    Some(found.ok_or_else(|| gone("function"))?.0)
                }
                None => None,
            };
            out.bool(table.set(&mut *store, u64::from(at), Ref::Func(function)).is_ok());
        }
        ask::TABLE_GROW => match table.grow(&mut *store, u64::from(args.next()?.as_u32()?), Ref::Func(None)) {
            Ok(old) => drop(out.integer(old)),
            Err(_) => drop(out.null()),
        },
        _ => drop(out.integer(table.size(&*store))),
    }
    Ok(())
}

/// [instance, function, params, results]
fn describe(store: &mut StoreContextMut<'_, Guest>, function: wasmtime::Func, out: &mut Encoder) -> Result<(), Stop> {
    let (instance, index) = state::identify(store, function).ok_or_else(|| gone("function"))?;
    let slot = &Wasm::of(store).slots[instance as usize];
    let signature = slot.compiled.shape.functions.get(&index).ok_or_else(|| gone("function"))?;
    out.array(4).integer(u64::from(instance)).integer(u64::from(index));
    out.string(&signature.params).string(&signature.results);
    Ok(())
}
