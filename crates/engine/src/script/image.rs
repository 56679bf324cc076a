//! Images: the memory of an evaluated script as a WebAssembly module without code.
//!
//! The guest that is built (`engine-guest/dist/quickjs.wasm`) imports its memory and brings data
//! segments. [`split`] takes these apart, once per node: a code module that all scripts share, and
//! the initial content of the memory. An image module is a memory, its export, and one data
//! segment; instantiating it maps the segment copy-on-write.

use wasm_encoder::{
    ConstExpr, DataSection, ExportKind, ExportSection, GlobalSection, GlobalType, MemorySection, MemoryType, Module,
    RawSection, ValType,
};
use wasmparser::{DataKind, Operator, Parser, Payload};

/// Bytes of a WebAssembly page.
pub const PAGE: usize = 64 << 10;

/// The name of the memory that an image exports and the code imports.
pub const MEMORY: &str = "memory";

/// The guest, taken apart.
pub struct Parts {
    /// The module without its data.
    pub code: Vec<u8>,
    /// The memory's content at the start.
    pub memory: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    #[error("the engine guest is no valid module: {0}")]
    Invalid(#[from] wasmparser::BinaryReaderError),
    #[error("the engine guest has {0}, which the split does not know")]
    Unexpected(&'static str),
}

/// Separates code and data of the guest as it was linked.
pub fn split(wasm: &[u8]) -> Result<Parts, SplitError> {
    let mut code = Module::new();
    let mut memory = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        match &payload {
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    if let wasmparser::TypeRef::Memory(ty) = import?.ty {
                        memory.resize(ty.initial as usize * PAGE, 0);
                    }
                }
            }
            Payload::DataSection(segments) => {
                for segment in segments.clone() {
                    place(&segment?, &mut memory)?;
                }
                continue;
            }
            // It would run at each start of an image, whose memory is as it shall be.
            Payload::StartSection { .. } => return Err(SplitError::Unexpected("a start function")),
            Payload::DataCountSection { .. } | Payload::CustomSection(_) => continue,
            _ => {}
        }
        if let Some((id, range)) = payload.as_section() {
            code.section(&RawSection { id, data: &wasm[range] });
        }
    }
    Ok(Parts { code: code.finish(), memory })
}

fn place(segment: &wasmparser::Data<'_>, memory: &mut [u8]) -> Result<(), SplitError> {
    let DataKind::Active { memory_index: 0, offset_expr } = &segment.kind else {
        return Err(SplitError::Unexpected("a passive data segment"));
    };
    let Operator::I32Const { value } = offset_expr.get_operators_reader().read()? else {
        return Err(SplitError::Unexpected("a data segment at a computed offset"));
    };
    let at = value as u32 as usize;
    let target = memory.get_mut(at..at + segment.data.len());
    target.ok_or(SplitError::Unexpected("a data segment outside its memory"))?.copy_from_slice(segment.data);
    Ok(())
}

/// The name of a global that an image exports if instances of WebAssembly belong to it.
const WASM: &str = "wasm";

/// Whether an image is not whole without the instances that it was taken with.
pub fn has_wasm(image: &wasmtime::Module) -> bool {
    image.get_export(WASM).is_some()
}

/// Encodes a memory's content as an image module. Everything below `stack_pointer` is the stack
/// at rest: dead, so it is left out.
pub fn encode(memory: &[u8], stack_pointer: usize, has_wasm: bool) -> Vec<u8> {
    let live = &memory[stack_pointer..];
    let first = live.iter().position(|&b| b != 0).unwrap_or(0) + stack_pointer;
    let last = live.iter().rposition(|&b| b != 0).map_or(first, |i| i + stack_pointer + 1);
    let pages = (memory.len() / PAGE) as u64;

    let mut memories = MemorySection::new();
    memories.memory(MemoryType { minimum: pages, maximum: None, memory64: false, shared: false, page_size_log2: None });
    let mut exports = ExportSection::new();
    exports.export(MEMORY, ExportKind::Memory, 0);
    let mut globals = GlobalSection::new();
    if has_wasm {
        let ty = GlobalType { val_type: ValType::I32, mutable: false, shared: false };
        globals.global(ty, &ConstExpr::i32_const(1));
        exports.export(WASM, ExportKind::Global, 0);
    }
    let mut data = DataSection::new();
    data.active(0, &ConstExpr::i32_const(first as i32), memory[first..last].iter().copied());

    let mut module = Module::new();
    module.section(&memories).section(&globals).section(&exports).section(&data);
    module.finish()
}
