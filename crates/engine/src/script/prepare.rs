//! From artifact to image: the work of a deploy.
//!
//! The base image (QuickJS with the prelude evaluated) is made once per node. A deployment starts
//! from it: its modules are added, evaluated within `start_cpu_ms`, garbage is collected, and the
//! memory becomes an image. Nothing here waits for anything: there is no I/O while modules are
//! evaluated, so every call ends by itself or by its CPU limit.
//!
//! A script that names a warm-up request answers it between evaluation and image, under the same
//! rules. What routers, templates and caches make of their first request is then in the image. If
//! the answer does not come whole, the image is taken of an evaluation without it: a deploy does
//! not fail for it, and says why.

use std::sync::Arc;

use base::artifact::{ModuleKind, Script};
use base::{WorkerLimits, builtin, code};
use futures_util::FutureExt as _;
use telemetry::Level;
use wasmtime::{AsContextMut as _, Module, TypedFunc, WasmParams, WasmResults};
use worker::{Failure, Frame};

use super::abi;
use super::codec::Encoder;
use super::guest::{CpuExhausted, Effect, Guest, GuestError, Layout, Phase, Responded, ResponseBody};
use super::image::{self, Parts};
use super::prelude::{self, Prelude};
use super::sandbox::{Guestware, Sandbox};
use super::wasm::{Bundle, Compiled, Snapshot, Wasm};

/// The image of an evaluated script.
pub struct Evaluated {
    /// An image module, encoded.
    pub image: Vec<u8>,
    /// What it was taken with of WebAssembly, if the script has modules of that.
    pub bundle: Option<Vec<u8>>,
    pub console: Vec<(Level, String)>,
}

/// Boots QuickJS and evaluates the prelude: the image that every other descends from.
pub fn base_image(guestware: &mut Guestware, parts: &Parts) -> Result<Vec<u8>, Failure> {
    let prelude = guestware.prelude.clone();
    let bare = Module::new(&guestware.runtime.scripts, image::encode(&parts.memory, 0, false)).map_err(internal)?;
    let limits = WorkerLimits { start_cpu_ms: 10_000, ..WorkerLimits::default() };
    let guest = Guest::evaluating(Layout::default(), &limits);
    let mut sandbox = guestware.instantiate(&bare, guest).map_err(internal)?;
    let stack_pointer = sandbox.instance.get_global(&mut sandbox.store, "__stack_pointer");
    let stack_pointer = stack_pointer.and_then(|g| g.get(&mut sandbox.store).i32());
    guestware.stack_pointer = stack_pointer.unwrap_or(0) as u32 as usize;
    run::<(), ()>(&mut sandbox, "_initialize", ())?;
    let address: u32 = run(&mut sandbox, "sv_control", ())?;
    guestware.layout = read_layout(&sandbox, address as usize);
    sandbox.store.data_mut().layout = guestware.layout;
    let ready: i32 = run(&mut sandbox, "sv_init", ())?;
    if ready != 0 {
        return Err(Failure::new(&code::INTERNAL, "QuickJS did not start"));
    }
    for index in prelude.base() {
        add_module(&mut sandbox, prelude.module(index), &prelude.name(index), |target| prelude.name(target))?;
    }
    evaluate(&mut sandbox, &prelude.entry(), false)?;
    run::<(), ()>(&mut sandbox, "sv_collect", ())?;
    Ok(snapshot(&sandbox, guestware, false))
}

/// The warm-up request's id; those of an instance begin at 1.
const WARM_REQUEST: u32 = i32::MAX as u32;

/// Evaluates a script on top of the base image, and lets it answer its warm-up request.
pub fn script_image(
    guestware: &Guestware,
    base: &Module,
    script: &Script,
    modules: &[Arc<Compiled>],
    limits: &WorkerLimits,
) -> Result<Evaluated, Failure> {
    let mut sandbox = evaluated(guestware, base, script, modules, limits)?;
    let mut cold = None;
    if let Some(path) = &script.warm
        && let Err(reason) = warm_up(&mut sandbox, path)
    {
        // What it left half done must not be in the image.
        sandbox = evaluated(guestware, base, script, modules, limits)?;
        cold = Some((Level::Warn, format!("the warm-up request GET {path} {reason}; the image is taken without it")));
    }
    let mut console = match &mut sandbox.store.data_mut().phase {
        Phase::Evaluating { console, .. } => std::mem::take(console),
        Phase::Serving => Vec::new(),
    };
    console.extend(cold);
    run::<(), ()>(&mut sandbox, "sv_collect", ())?;
    run::<(), ()>(&mut sandbox, "sv_seal", ())?;
    let bundle = bundle(&mut sandbox)?;
    let image = snapshot(&sandbox, guestware, bundle.is_some());
    Ok(Evaluated { image, bundle, console })
}

/// Takes down what the script has of WebAssembly. One that made a table or a global without having a
/// module has something, too.
fn bundle(sandbox: &mut Sandbox) -> Result<Option<Vec<u8>>, Failure> {
    let mut store = sandbox.store.as_context_mut();
    let Some(modules) = store.data().wasm.as_ref().map(|wasm| wasm.modules.clone()) else { return Ok(None) };
    let taken = Snapshot::take(&mut store).map_err(|unkept| {
        start_failed(format!("an image can't hold {unkept}; make the instance inside of a handler instead"))
    })?;
    Ok(Some(Bundle::encode(&modules, &taken)))
}

fn evaluated(
    guestware: &Guestware,
    base: &Module,
    script: &Script,
    modules: &[Arc<Compiled>],
    limits: &WorkerLimits,
) -> Result<Sandbox, Failure> {
    let mut guest = Guest::evaluating(guestware.layout, limits);
    guest.wasm = (!modules.is_empty()).then(|| Box::new(Wasm::new(modules.to_vec())));
    let mut sandbox = guestware.instantiate(base, guest).map_err(internal)?;
    preload(&mut sandbox, &guestware.prelude, script)?;
    add_modules(&mut sandbox, script)?;
    evaluate(&mut sandbox, &module_name(script, script.entry), true)?;
    Ok(sandbox)
}

/// Has the script answer a request. The error completes a sentence that begins with the request.
fn warm_up(sandbox: &mut Sandbox, path: &str) -> Result<(), String> {
    let mut arguments = Encoder::default();
    arguments.string("GET").string(&format!("http://localhost{path}")).string("host\nlocalhost");
    arguments.null().integer(0).optional_string(None);
    let asked = put(sandbox, &arguments.0).and_then(|(at, len)| {
        // The guest frees the arguments.
        run::<_, i32>(sandbox, "sv_enter", (abi::event::FETCH, WARM_REQUEST, WARM_REQUEST, at, len))
    });
    match asked {
        Err(failure) => return Err(format!("failed ({failure})")),
        Ok(abi::OK) => {}
        Ok(_) => return Err(format!("failed ({})", reported(sandbox))),
    }
    // Only an answer that left nothing behind: ids of streams and operations begin anew in an instance.
    match std::mem::take(&mut sandbox.store.data_mut().effects).as_slice() {
        [Effect::Respond(Responded { status, body: ResponseBody::Whole(_), pending: false, .. })] => match status {
            500.. => Err(format!("was answered with status {status}")),
            _ => Ok(()),
        },
        [Effect::Fail { error, .. }] => Err(format!("failed ({}: {})", error.name, error.message)),
        [] => Err("was not answered without I/O".into()),
        _ => Err("was answered with a stream, or left work behind".into()),
    }
}

fn read_layout(sandbox: &Sandbox, control: usize) -> Layout {
    let data = sandbox.memory.data(&sandbox.store);
    let word = |offset: usize| {
        let bytes = data.get(control + offset..control + offset + 4).and_then(|b| b.try_into().ok());
        u32::from_le_bytes(bytes.unwrap_or_default()) as usize
    };
    Layout { control, inbox: word(abi::control::INBOX), inbox_bytes: word(abi::control::INBOX_BYTES) }
}

/// A module's name in the guest: a script's own goes by its file, the platform's by that of the prelude.
fn module_name(script: &Script, index: u32) -> String {
    let module = &script.modules[index as usize];
    match module.kind {
        ModuleKind::Builtin => prelude::builtin_name(&module.name),
        _ => module.name.clone(),
    }
}

fn add_modules(sandbox: &mut Sandbox, script: &Script) -> Result<(), Failure> {
    let mut wasm = 0;
    for (index, module) in script.modules.iter().enumerate() {
        let name = module_name(script, index as u32);
        match module.kind {
            ModuleKind::Builtin => {}
            ModuleKind::Wasm => {
                let stand_in = stand_in(module, wasm);
                add_module(sandbox, &stand_in, &name, |_| prelude::feature_name(prelude::WASM))?;
                wasm += 1;
            }
            _ => add_module(sandbox, module, &name, |target| module_name(script, target))?,
        }
    }
    Ok(())
}

/// The module that an import of a WebAssembly module finds: its default export is made by the prelude.
fn stand_in(module: &base::artifact::Module, number: u32) -> base::artifact::Module {
    const SPECIFIER: &str = "selvedge:wasm";
    base::artifact::Module {
        name: module.name.clone(),
        kind: ModuleKind::Js,
        source: format!("import {{ imported }} from {SPECIFIER:?};\nexport default imported({number});\n").into_bytes(),
        imports: vec![(SPECIFIER.into(), 0)],
        source_map: None,
    }
}

fn add_module(
    sandbox: &mut Sandbox,
    module: &base::artifact::Module,
    name: &str,
    name_of: impl Fn(u32) -> String,
) -> Result<(), Failure> {
    let (name_at, name_len) = put(sandbox, name.as_bytes())?;
    let (source_at, _) = put(sandbox, &module.source)?;
    let kind = module.kind as i32;
    let arguments = (name_at, name_len, source_at, module.source.len() as u32, kind);
    let added: i32 = run(sandbox, "sv_add_module", arguments)?;
    if added != 0 {
        return Err(out_of_memory());
    }
    run::<u32, ()>(sandbox, "sv_free", name_at)?;
    for (specifier, target) in &module.imports {
        let from = put(sandbox, name.as_bytes())?;
        let specifier = put(sandbox, specifier.as_bytes())?;
        let to = put(sandbox, name_of(*target).as_bytes())?;
        let arguments = (from.0, from.1, specifier.0, specifier.1, to.0, to.1);
        let added: i32 = run(sandbox, "sv_add_import", arguments)?;
        if added != 0 {
            return Err(out_of_memory());
        }
        for at in [from.0, specifier.0, to.0] {
            run::<u32, ()>(sandbox, "sv_free", at)?;
        }
    }
    Ok(())
}

/// Evaluates what of the platform a script wants and not every image has: the modules that it
/// imports, and the features that its source names.
fn preload(sandbox: &mut Sandbox, prelude: &Prelude, script: &Script) -> Result<(), Failure> {
    let mut wanted: Vec<String> = prelude::features_of(script).into_iter().map(prelude::feature_name).collect();
    for module in script.modules.iter().filter(|module| module.kind == ModuleKind::Builtin) {
        if prelude.needed_by(&builtin::module_file(&module.name)).is_none() {
            return Err(start_failed(format!("this version of the platform has no module {}", module.name)));
        }
        wanted.push(prelude::builtin_name(&module.name));
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let mut arguments = Encoder::default();
    arguments.array(wanted.len() as u32);
    for name in &wanted {
        arguments.string(name);
    }
    let (at, len) = put(sandbox, &arguments.0)?;
    // The guest frees the arguments.
    let outcome: i32 = run(sandbox, "sv_enter", (abi::event::PRELOAD, 0, 0, at, len))?;
    if outcome == abi::OK { Ok(()) } else { Err(reported(sandbox)) }
}

/// Copies bytes into the guest, with a NUL behind them as its parser wants it.
fn put(sandbox: &mut Sandbox, bytes: &[u8]) -> Result<(u32, u32), Failure> {
    let at: u32 = run(sandbox, "sv_alloc", bytes.len() as u32 + 1)?;
    if at == 0 {
        return Err(out_of_memory());
    }
    let to = at as usize;
    sandbox.memory.write(&mut sandbox.store, to, bytes).map_err(|e| internal(e.into()))?;
    sandbox.memory.write(&mut sandbox.store, to + bytes.len(), &[0]).map_err(|e| internal(e.into()))?;
    Ok((at, bytes.len() as u32))
}

fn evaluate(sandbox: &mut Sandbox, entry: &str, tell: bool) -> Result<(), Failure> {
    let (at, len) = put(sandbox, entry.as_bytes())?;
    let outcome: i32 = run(sandbox, "sv_evaluate", (at, len, i32::from(tell)))?;
    match outcome {
        abi::OK => Ok(()),
        abi::PENDING => {
            Err(start_failed("a top-level await never settles: there is no I/O while modules are evaluated"))
        }
        abi::INTERRUPTED => Err(start_failed("evaluation was interrupted")),
        _ => Err(reported(sandbox)),
    }
}

fn start_failed(detail: impl Into<String>) -> Failure {
    Failure::new(&code::START_FAILED, detail)
}

/// Makes a failure of what the guest reported.
fn reported(sandbox: &Sandbox) -> Failure {
    let error = GuestError::decode(&sandbox.report()).cut(sandbox.store.data().limits.log_bytes);
    let code = error.host_code().unwrap_or(&code::START_FAILED);
    let frame = Frame::first(&error.stack);
    let failure = Failure::new(code, format!("{}: {}", error.name, error.message)).with_stack(error.stack);
    Failure { frame, ..failure }
}

fn snapshot(sandbox: &Sandbox, guestware: &Guestware, has_wasm: bool) -> Vec<u8> {
    image::encode(sandbox.memory.data(&sandbox.store), guestware.stack_pointer, has_wasm)
}

/// Calls an export that never suspends: while modules are evaluated a tick goes on or ends it.
fn run<P: WasmParams + Sync, R: WasmResults + Sync>(
    sandbox: &mut Sandbox,
    name: &str,
    arguments: P,
) -> Result<R, Failure> {
    let function: TypedFunc<P, R> = sandbox.instance.get_typed_func(&mut sandbox.store, name).map_err(internal)?;
    sandbox.store.data_mut().begin(0);
    let result = function.call_async(&mut sandbox.store, arguments).now_or_never();
    match result {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) if error.is::<CpuExhausted>() => {
            let max = sandbox.store.data().limits.start_cpu_ms;
            Err(start_failed(format!(
                "evaluating the modules took more than {max} ms of CPU time (limits.start_cpu_ms); is there an endless loop at the top level?"
            )))
        }
        Some(Err(_)) if sandbox.store.data().memory_denied => Err(out_of_memory()),
        Some(Err(error)) => Err(start_failed(format!("the sandbox trapped: {error:#}"))),
        None => Err(Failure::new(&code::INTERNAL, "an evaluation suspended")),
    }
}

fn out_of_memory() -> Failure {
    Failure::new(&code::MEMORY_EXCEEDED, "the modules need more memory than limits.memory_mib")
}

fn internal(error: wasmtime::Error) -> Failure {
    Failure::new(&code::INTERNAL, format!("{error:#}"))
}
