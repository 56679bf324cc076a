//! What the guest asks of the host for its WebAssembly, besides calls: to make things, and to look
//! at them.

use std::sync::Arc;
use std::time::Instant;

use base::{WorkerLimits, code};
use wasmtime::{AsContextMut as _, Caller, Ref, StoreContextMut};

use super::bundle::{self, Compiled};
use super::calls::{Shared, failed, ready};
use super::rewrite;
use super::shape::{optional, optional_u32};
use super::snapshot::{decode_value, encode_value};
use super::state::{self, Recipe, Wasm};
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

/// Up to so many bytes are validated at once: it takes less than a millisecond.
const INLINE_BYTES: usize = 64 << 10;

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

/// Answers one question of the guest, whose arguments lie in its memory.
pub async fn asked(
    mut caller: Caller<'_, Guest>,
    shared: Arc<Shared>,
    code: i32,
    at: u32,
    len: u32,
) -> wasmtime::Result<i32> {
    ready(&mut caller).await?;
    let memory = memory(&caller)?;
    let arguments = memory.data(&caller).get(at as usize..(at as usize).saturating_add(len as usize));
    let arguments = arguments.ok_or_else(|| wasmtime::Error::msg("arguments outside the memory"))?.to_vec();
    let mut out = Encoder::default();
    let result = match code {
        ask::INSTANTIATE => instantiate(&mut caller, &arguments, &mut out).await,
        ask::VALIDATE => validate(&mut caller, &arguments, &mut out).await,
        ask::COMPILE => compile(&mut caller, &shared, &arguments, &mut out).await,
        _ => answer(&mut caller.as_context_mut(), code, &arguments, &mut out),
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

/// COMPILE(bytes) → the module's number. While modules are evaluated, which is at deploy, as if it
/// were imported; later only as far as the worker's limits allow, and on another thread.
async fn compile(
    caller: &mut Caller<'_, Guest>,
    shared: &Arc<Shared>,
    arguments: &[u8],
    out: &mut Encoder,
) -> Result<(), Stop> {
    let wasm = Decoder::new(arguments).next()?.as_content()?.to_vec();
    let mut store = caller.as_context_mut();
    let evaluating = store.data().is_evaluating();
    admit(&mut store, wasm.len() as u64, evaluating)?;
    let engine = shared.engine.clone();
    let built = if evaluating {
        bundle::build(&engine, Some(&shared.cache), &wasm)
    } else {
        elsewhere(&mut store, move || bundle::build(&engine, None, &wasm)).await?
    };
    let compiled = built.map_err(|why| Refusal { name: "CompileError", message: why.into(), code: "" })?;
    let modules = &mut Wasm::of(&mut store).modules;
    modules.push(compiled);
    out.integer(modules.len() as u64 - 1);
    Ok(())
}

/// VALIDATE(bytes) → whether they are a module that can be imported
async fn validate(caller: &mut Caller<'_, Guest>, arguments: &[u8], out: &mut Encoder) -> Result<(), Stop> {
    let wasm = Decoder::new(arguments).next()?.as_content()?.to_vec();
    let mut store = caller.as_context_mut();
    let valid = if wasm.len() as u64 > store.data().limits.wasm_bytes {
        false
    } else if store.data().is_evaluating() || wasm.len() <= INLINE_BYTES {
        rewrite::rewrite(&wasm).is_ok()
    } else {
        elsewhere(&mut store, move || rewrite::rewrite(&wasm).is_ok()).await?
    };
    out.bool(valid);
    Ok(())
}

/// Computes on another thread, when it is the app's turn, and on the request's account.
async fn elsewhere<T: Send + 'static>(
    store: &mut StoreContextMut<'_, Guest>,
    work: impl FnOnce() -> T + Send + 'static,
) -> wasmtime::Result<T> {
    store.data_mut().charge();
    let turn = match store.data().place() {
        Some((core, app)) => Some(core.long_turn(&app).await),
        None => None,
    };
    let task = tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        let result = work();
        // The place is held until the work is done, also when nobody waits for it any more.
        drop(turn);
        (result, begun.elapsed())
    });
    let (result, used) = task.await.map_err(|_| wasmtime::Error::msg("a computation failed"))?;
    store.data_mut().charge_elsewhere(used);
    Ok(result)
}

/// Whether the worker may compile so many bytes more.
fn admit(store: &mut StoreContextMut<'_, Guest>, bytes: u64, evaluating: bool) -> Result<(), Refusal> {
    let limits = &store.data().limits;
    let (max, name) = match evaluating {
        true => (limits.wasm_bytes, "wasm_bytes"),
        false => (limits.wasm_compile_bytes, "wasm_compile_bytes"),
    };
    let wasm = Wasm::of(store);
    if wasm.compiled_bytes + bytes <= max {
        wasm.compiled_bytes += bytes;
        return Ok(());
    }
    let message = match max {
        0 => "WebAssembly is not compiled while the worker handles requests: import the module (import module from \"./x.wasm\"), compile it at the top of a module, or set limits.wasm_compile_bytes".to_owned(),
        _ => format!("more than {max} bytes of WebAssembly were to be compiled (limits.{name})"),
    };
    Err(Refusal { name: "CompileError", message: message.into(), code: code::WASM_NOT_IMPORTED.name })
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
    wasm.attempts += 1;
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
        ids.iter().for_each(|&id| optional(out, id));
    }
    Ok(())
}

/// What a store has of these it has to its end.
fn check_room(wasm: &Wasm, compiled: &Compiled, limits: &WorkerLimits) -> Result<(), Refusal> {
    let max = limits.wasm_instances;
    if wasm.used() >= max {
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
        let max = optional_u32(&args.next()?)?;
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
            let instance = optional_u32(&args.next()?)?;
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
