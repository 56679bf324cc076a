//! What is kept of a script's modules: each compiled, under what it was made from, and for the
//! script a list of them with the state of its image.

use std::sync::Arc;

use base::{Digest, code};
use wasmtime::{Engine, Module};
use worker::Failure;

use super::rewrite::{self, Rewritten};
use super::shape::{Shape, list};
use super::snapshot::Snapshot;
use crate::cache::{Cache, Kind};
use crate::script::codec::{Decoder, Encoder, Malformed, Value};

/// A module that can be instantiated.
pub struct Compiled {
    pub key: Digest,
    pub module: Module,
    pub shape: Shape,
}

/// The modules of a script, and what its image was taken with.
pub struct Bundle {
    pub modules: Vec<Arc<Compiled>>,
    pub snapshot: Arc<Snapshot>,
}

/// Component binaries begin like modules, and name another layer.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// Compiles a module of a script, or finds it compiled.
pub fn compile(
    engine: &Engine,
    cache: &Cache,
    name: &str,
    wasm: &[u8],
    bytes_max: u64,
) -> Result<Arc<Compiled>, Failure> {
    let bad = |why: String| Failure::new(&code::BAD_SCRIPT, format!("{name}: {why}"));
    if wasm.len() as u64 > bytes_max {
        let bytes = wasm.len();
        return Err(bad(format!("the module has {bytes} bytes, more than {bytes_max} (limits.wasm_bytes)")));
    }
    build(engine, Some(cache), wasm).map_err(bad)
}

/// Compiles a module, and keeps it if there is a cache; or says why not.
pub fn build(engine: &Engine, cache: Option<&Cache>, wasm: &[u8]) -> Result<Arc<Compiled>, String> {
    if wasm.starts_with(COMPONENT) {
        return Err("this is a component, which a script can't import; make it a worker of its own".into());
    }
    if !wasm.starts_with(b"\0asm") {
        return Err("this is no WebAssembly module: it does not begin with \\0asm".into());
    }
    let rewritten = rewrite::rewrite(wasm).map_err(|error| format!("the module is not valid: {error}"))?;
    let Rewritten { module, shape } = rewritten;
    let key = Digest::of(&[Digest::of(wasm).as_bytes().as_slice(), &[rewrite::VERSION]].concat());
    if let Some(module) = cache.and_then(|cache| cache.module(engine, Kind::Wasm, &key)) {
        return Ok(Arc::new(Compiled { key, module, shape }));
    }
    let module = Module::new(engine, module).map_err(|error| format!("the module can't be compiled: {error:#}"))?;
    if let Some(cache) = cache
        && let Ok(serialised) = module.serialize()
    {
        cache.store(Kind::Wasm, &key, &serialised);
    }
    Ok(Arc::new(Compiled { key, module, shape }))
}

impl Bundle {
    /// [[key, shape, …], snapshot]
    pub fn encode(modules: &[Arc<Compiled>], snapshot: &Snapshot) -> Vec<u8> {
        let mut out = Encoder::default();
        out.array(2).array(modules.len() as u32 * 2);
        for compiled in modules {
            let mut shape = Encoder::default();
            compiled.shape.encode(&mut shape);
            out.bytes(compiled.key.as_bytes()).bytes(&shape.0);
        }
        let mut taken = Encoder::default();
        snapshot.encode(&mut taken);
        out.bytes(&taken.0);
        out.0
    }

    /// `None` if something is not as it was, and has to be made anew.
    pub fn load(engine: &Engine, cache: &Cache, bytes: &[u8]) -> Option<Self> {
        let (parts, snapshot) = Self::decode(bytes).ok()?;
        let mut modules = Vec::with_capacity(parts.len());
        for (key, shape) in parts {
            let module = cache.module(engine, Kind::Wasm, &key)?;
            modules.push(Arc::new(Compiled { key, module, shape }));
        }
        Some(Self { modules, snapshot: Arc::new(snapshot) })
    }

    fn decode(bytes: &[u8]) -> Result<(Vec<(Digest, Shape)>, Snapshot), Malformed> {
        let [modules, snapshot] =
            <[Value<'_>; 2]>::try_from(list(Decoder::new(bytes).next()?)?).map_err(|_| Malformed)?;
        let mut parts = Vec::new();
        for pair in list(modules)?.chunks_exact(2) {
            let key: [u8; 32] = pair[0].as_content()?.try_into().map_err(|_| Malformed)?;
            let shape = Shape::decode(&mut Decoder::new(pair[1].as_content()?))?;
            parts.push((Digest::from_bytes(key), shape));
        }
        Ok((parts, Snapshot::decode(&mut Decoder::new(snapshot.as_content()?))?))
    }
}
