//! Makes of a script's module one that runs on the guest's own memory.
//!
//! The rewritten module has no memory. It imports the guest's, in which each of its memories is a
//! window: base and size are globals, which the host sets when the guest moves a window. Every load
//! and store is checked against the size and moved by the base. So the buffer of a memory is an
//! ArrayBuffer like any other, an image holds it, and `memory_mib` counts it. A mistake here would
//! let a module write over the heap of its own script, and no further.
//!
//! Functions that a module imports become functions of its own that pass their arguments through
//! memory, so that each instance imports the same few things. Values of JavaScript (`externref`) are
//! numbers, and the tables of them lie with the guest. Data is copied and the start function called
//! by whoever makes the first instance, not by the instantiation: an instance that is made anew
//! from an image finds its data in place.
//!
//! Functions and the turns of their loops are counted, so that a module can be paused and ended
//! ([`crate::script`]'s `metering`).

use std::collections::BTreeSet;

use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ElementMode, ElementSection, ElementSegment, Elements,
    EntityType, ExportKind, ExportSection, FunctionSection, GlobalSection, GlobalType, ImportSection, MemoryType,
    Module, RefType, TableSection, TableType, TypeSection, ValType,
};
use wasmparser::{
    DataKind, ElementItems, ElementKind, ExternalKind, FuncType, FuncValidatorAllocations, Operator, Parser, Payload,
    TableInit, TypeRef, ValidPayload, Validator, WasmFeatures,
};

use super::body::{self, Active};
use super::layout::{HOST, Layout, Place, SHIFT};
use super::shape::{Export, Extern, Global, Import, Memory, Shape, Signature, Table};

/// Raised when the same module is to be rewritten in another way.
pub const VERSION: u8 = 2;

/// Why a module can't be taken.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    #[error("{0}")]
    Bytes(#[from] wasmparser::Error),
    #[error("the module uses {0}, which is not supported here")]
    Unsupported(&'static str),
}

pub struct Rewritten {
    pub module: Vec<u8>,
    pub shape: Shape,
}

/// What of WebAssembly a script's module may use: version 2.0, and of what came after it tail calls,
/// several memories, extended constant expressions and relaxed vectors.
pub fn features() -> WasmFeatures {
    WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::GC_TYPES
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::SIMD
        | WasmFeatures::RELAXED_SIMD
        | WasmFeatures::FLOATS
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::MULTI_MEMORY
        | WasmFeatures::EXTENDED_CONST
}

/// The letter of a type, as the guest and the prelude know it.
pub fn letter(ty: wasmparser::ValType) -> char {
    match ty {
        wasmparser::ValType::I32 => 'i',
        wasmparser::ValType::I64 => 'I',
        wasmparser::ValType::F32 => 'f',
        wasmparser::ValType::F64 => 'd',
        wasmparser::ValType::V128 => 'v',
        wasmparser::ValType::Ref(ty) if ty.is_extern_ref() => 'e',
        wasmparser::ValType::Ref(_) => 'r',
    }
}

/// A type as it is in the rewritten module.
pub fn value_type(ty: wasmparser::ValType) -> Result<ValType, Invalid> {
    Ok(match ty {
        wasmparser::ValType::I32 => ValType::I32,
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        wasmparser::ValType::V128 => ValType::V128,
        wasmparser::ValType::EXTERNREF => ValType::I32,
        wasmparser::ValType::FUNCREF => ValType::FUNCREF,
        wasmparser::ValType::Ref(_) => return Err(Invalid::Unsupported("typed references")),
    })
}

fn value_types(types: &[wasmparser::ValType]) -> Result<Vec<ValType>, Invalid> {
    types.iter().map(|&ty| value_type(ty)).collect()
}

/// Validates a module and rewrites it.
pub fn rewrite(wasm: &[u8]) -> Result<Rewritten, Invalid> {
    let mut validator = Validator::new_with_features(features());
    let mut rewriter = Rewriter::default();
    let mut allocations = FuncValidatorAllocations::default();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        if let ValidPayload::Func(to_validate, body) = validator.payload(&payload)? {
            rewriter.lay_out()?;
            let validator = to_validate.into_validator(std::mem::take(&mut allocations));
            rewriter.code.push(body::rewrite(wasm, &rewriter.layout, validator, &body)?);
            continue;
        }
        rewriter.payload(payload)?;
    }
    rewriter.finish()
}

#[derive(Default)]
struct Rewriter<'a> {
    shape: Shape,
    types: Vec<FuncType>,
    /// Types of all functions, imported ones first.
    functions: Vec<u32>,
    imported_functions: usize,
    tables: TableSection,
    globals: Vec<(GlobalType, wasmparser::ConstExpr<'a>)>,
    elements: Vec<wasmparser::Element<'a>>,
    data: Vec<wasmparser::Data<'a>>,
    code: Vec<wasm_encoder::Function>,
    layout: Layout,
    laid_out: bool,
    native_tables: u32,
    native_globals: u32,
    /// Functions that scripts may get hold of.
    reachable: BTreeSet<u32>,
}

impl<'a> Rewriter<'a> {
    fn payload(&mut self, payload: Payload<'a>) -> Result<(), Invalid> {
        match payload {
            Payload::TypeSection(types) => {
                for ty in types.into_iter_err_on_gc_types() {
                    self.types.push(ty?);
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    self.import(import?)?;
                }
                self.imported_functions = self.functions.len();
            }
            Payload::FunctionSection(functions) => {
                for ty in functions {
                    self.functions.push(ty?);
                }
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    self.own_table(table?)?;
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    self.memory(memory?);
                }
            }
            Payload::GlobalSection(globals) => {
                for global in globals {
                    self.own_global(global?)?;
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    self.export(export?)?;
                }
            }
            Payload::StartSection { func, .. } => {
                self.shape.start = Some(func);
                self.reachable.insert(func);
            }
            Payload::ElementSection(elements) => {
                for element in elements {
                    self.elements.push(element?);
                }
            }
            Payload::DataSection(data) => {
                for segment in data {
                    self.data.push(segment?);
                }
            }
            Payload::CustomSection(section) => {
                // Names and debug information are large, and nobody asks a module for them.
                let name = section.name();
                if name != "name" && !name.starts_with(".debug_") {
                    self.shape.sections.push((name.to_owned(), section.data().to_vec()));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn signature(&self, ty: u32) -> Signature {
        let ty = &self.types[ty as usize];
        let letters = |types: &[wasmparser::ValType]| types.iter().map(|&ty| letter(ty)).collect();
        Signature { params: letters(ty.params()), results: letters(ty.results()) }
    }

    fn import(&mut self, import: wasmparser::Import<'a>) -> Result<(), Invalid> {
        let ty = match import.ty {
            TypeRef::Func(ty) => {
                self.functions.push(ty);
                Extern::Function(self.signature(ty))
            }
            TypeRef::Table(ty) => {
                self.table(ty)?;
                Extern::Table(self.shape.tables[self.shape.tables.len() - 1].clone())
            }
            TypeRef::Memory(ty) => Extern::Memory(self.memory(ty)),
            TypeRef::Global(ty) => {
                self.global(ty)?;
                Extern::Global(self.shape.globals[self.shape.globals.len() - 1].clone())
            }
            TypeRef::Tag(_) | TypeRef::FuncExact(_) => return Err(Invalid::Unsupported("exceptions")),
        };
        self.shape.imports.push(Import { module: import.module.to_owned(), name: import.name.to_owned(), ty });
        Ok(())
    }

    fn own_table(&mut self, table: wasmparser::Table<'a>) -> Result<(), Invalid> {
        if let TableInit::Expr(_) = table.init {
            return Err(Invalid::Unsupported("a table with an initial value"));
        }
        if let Some(ty) = self.table(table.ty)? {
            self.tables.table(ty);
        }
        Ok(())
    }

    fn own_global(&mut self, global: wasmparser::Global<'a>) -> Result<(), Invalid> {
        match self.global(global.ty)? {
            Some(ty) => self.globals.push((ty, global.init_expr)),
            None if is_null(&global.init_expr)? => {}
            None => return Err(Invalid::Unsupported("a global of externref that begins with a value")),
        }
        Ok(())
    }

    /// Enters a table; its type in the rewritten module, if it has it.
    fn table(&mut self, ty: wasmparser::TableType) -> Result<Option<TableType>, Invalid> {
        let refs = ty.element_type.is_extern_ref();
        let (min, max) = (ty.initial as u32, ty.maximum.map(|max| max as u32));
        self.shape.tables.push(Table { refs, min, max });
        if refs {
            self.layout.tables.push(Place::Refs(0));
            return Ok(None);
        }
        self.layout.tables.push(Place::Native(self.native_tables));
        self.native_tables += 1;
        let (minimum, maximum) = (ty.initial, ty.maximum);
        Ok(Some(TableType { element_type: RefType::FUNCREF, table64: false, minimum, maximum, shared: false }))
    }

    fn memory(&mut self, ty: wasmparser::MemoryType) -> Memory {
        let memory = Memory { min: ty.initial as u32, max: ty.maximum.map(|max| max as u32) };
        self.shape.memories.push(memory.clone());
        memory
    }

    fn global(&mut self, ty: wasmparser::GlobalType) -> Result<Option<GlobalType>, Invalid> {
        let letter = letter(ty.content_type);
        self.shape.globals.push(Global { letter, mutable: ty.mutable });
        if letter == 'e' {
            self.layout.globals.push(Place::Refs(0));
            return Ok(None);
        }
        self.layout.globals.push(Place::Native(self.native_globals));
        self.native_globals += 1;
        Ok(Some(GlobalType { val_type: value_type(ty.content_type)?, mutable: ty.mutable, shared: false }))
    }

    fn export(&mut self, export: wasmparser::Export<'a>) -> Result<(), Invalid> {
        let index = export.index;
        let ty = match export.kind {
            ExternalKind::Func => {
                self.reachable.insert(index);
                Extern::Function(self.signature(self.functions[index as usize]))
            }
            ExternalKind::Table => Extern::Table(self.shape.tables[index as usize].clone()),
            ExternalKind::Memory => Extern::Memory(self.shape.memories[index as usize].clone()),
            ExternalKind::Global => Extern::Global(self.shape.globals[index as usize].clone()),
            _ => return Err(Invalid::Unsupported("exceptions")),
        };
        self.shape.exports.push(Export { name: export.name.to_owned(), ty, index });
        Ok(())
    }

    /// Decides where everything stands; all that counts is known before the first body.
    fn lay_out(&mut self) -> Result<(), Invalid> {
        if !std::mem::replace(&mut self.laid_out, true) {
            self.layout.add_globals(self.native_globals, self.shape.memories.len());
        }
        Ok(())
    }

    /// A constant expression, without its end.
    fn constant(&mut self, expression: &wasmparser::ConstExpr<'a>) -> Result<Vec<u8>, Invalid> {
        let mut bytes = Vec::new();
        let mut operators = expression.get_operators_reader();
        let mut whole = expression.get_binary_reader();
        let origin = whole.original_position();
        let content = whole.read_bytes(whole.bytes_remaining())?;
        while !operators.eof() {
            let (operator, at) = operators.read_with_offset()?;
            let mut emit = wasm_encoder::InstructionSink::new(&mut bytes);
            match operator {
                Operator::End => {}
                Operator::RefFunc { function_index } => {
                    emit.ref_func(function_index + SHIFT);
                    self.reachable.insert(function_index);
                }
                Operator::GlobalGet { global_index } => {
                    emit.global_get(self.layout.native_global(global_index)?);
                }
                _ => bytes.extend_from_slice(&content[at - origin..operators.original_position() - origin]),
            }
        }
        Ok(bytes)
    }

    fn finish(mut self) -> Result<Rewritten, Invalid> {
        self.lay_out()?;
        let globals = self.global_section()?;
        let elements = self.element_section()?;
        let (data, segments) = self.data_section()?;
        self.shape.has_init = !segments.is_empty();
        for &index in &self.reachable {
            self.shape.functions.insert(index, self.signature(self.functions[index as usize]));
        }
        let adapters: Vec<u32> = self.functions[..self.imported_functions].to_vec();
        let host_types = self.types.len() as u32;

        let mut functions = FunctionSection::new();
        self.functions.iter().for_each(|&ty| {
            functions.function(ty);
        });
        functions.function(host_types + 5);

        let mut code = CodeSection::new();
        for (index, &ty) in adapters.iter().enumerate() {
            let ty = &self.types[ty as usize];
            let (params, results) = (value_types(ty.params())?, value_types(ty.results())?);
            code.function(&body::adapter(&self.layout, index as u32, &params, &results));
        }
        self.code.iter().for_each(|function| {
            code.function(function);
        });
        code.function(&body::init(&self.layout, &segments));

        let mut module = Module::new();
        module.section(&self.type_section()?).section(&self.import_section(host_types));
        module.section(&functions).section(&self.tables).section(&globals).section(&self.export_section());
        module.section(&elements);
        if !self.data.is_empty() {
            module.section(&DataCountSection { count: self.data.len() as u32 });
        }
        module.section(&code).section(&data);
        Ok(Rewritten { module: module.finish(), shape: self.shape })
    }

    fn type_section(&self) -> Result<TypeSection, Invalid> {
        let mut section = TypeSection::new();
        for ty in &self.types {
            section.ty().function(value_types(ty.params())?, value_types(ty.results())?);
        }
        let i32s = |count: usize| vec![ValType::I32; count];
        for (params, results) in [(2, 0), (2, 1), (4, 0), (3, 1), (1, 1), (0, 0)] {
            section.ty().function(i32s(params), i32s(results));
        }
        Ok(section)
    }

    /// The functions of [`HOST`] have the types that [`Self::type_section`] adds.
    fn import_section(&self, host_types: u32) -> ImportSection {
        let mut section = ImportSection::new();
        for (name, ty) in HOST.iter().zip([0, 1, 1, 2, 3, 4, 5]) {
            section.import("sv", name, EntityType::Function(host_types + ty));
        }
        let memory = MemoryType { minimum: 0, maximum: None, memory64: false, shared: false, page_size_log2: None };
        section.import("sv", "memory", EntityType::Memory(memory));
        for import in &self.shape.imports {
            if let Some(ty) = native(&import.ty) {
                section.import("own", "", ty);
            }
        }
        section
    }

    fn global_section(&mut self) -> Result<GlobalSection, Invalid> {
        let mut section = GlobalSection::new();
        for (ty, init) in std::mem::take(&mut self.globals) {
            let init = self.constant(&init)?;
            section.global(ty, &ConstExpr::raw(init));
        }
        for (ty, _) in &self.layout.added {
            let zero = if *ty == ValType::I64 { ConstExpr::i64_const(0) } else { ConstExpr::i32_const(0) };
            section.global(GlobalType { val_type: *ty, mutable: true, shared: false }, &zero);
        }
        Ok(section)
    }

    fn element_section(&mut self) -> Result<ElementSection, Invalid> {
        let mut section = ElementSection::new();
        for element in std::mem::take(&mut self.elements) {
            let elements = match element.items {
                ElementItems::Functions(functions) => {
                    let indices: Vec<u32> = functions.into_iter().collect::<Result<_, _>>()?;
                    self.reachable.extend(&indices);
                    Elements::Functions(indices.iter().map(|index| index + SHIFT).collect())
                }
                ElementItems::Expressions(ty, _) if ty.is_extern_ref() => {
                    return Err(Invalid::Unsupported("element segments of externref"));
                }
                ElementItems::Expressions(_, items) => {
                    let mut expressions = Vec::new();
                    for item in items {
                        expressions.push(ConstExpr::raw(self.constant(&item?)?));
                    }
                    Elements::Expressions(RefType::FUNCREF, expressions.into())
                }
            };
            let offset;
            let mode = match element.kind {
                ElementKind::Passive => ElementMode::Passive,
                ElementKind::Declared => ElementMode::Declared,
                ElementKind::Active { table_index, offset_expr } => {
                    offset = ConstExpr::raw(self.constant(&offset_expr)?);
                    let table = self.layout.native_table(table_index.unwrap_or(0))?;
                    ElementMode::Active { table: Some(table).filter(|&table| table != 0), offset: &offset }
                }
            };
            section.segment(ElementSegment { mode, elements });
        }
        Ok(section)
    }

    fn data_section(&mut self) -> Result<(DataSection, Vec<Active>), Invalid> {
        let mut section = DataSection::new();
        let mut active = Vec::new();
        let data = std::mem::take(&mut self.data);
        for (index, segment) in data.iter().enumerate() {
            section.passive(segment.data.iter().copied());
            if let DataKind::Active { memory_index, offset_expr } = &segment.kind {
                let offset = self.constant(offset_expr)?;
                let bytes = segment.data.len() as u32;
                active.push(Active { segment: index as u32, memory: *memory_index, offset, bytes });
            }
        }
        self.data = data;
        Ok((section, active))
    }

    fn export_section(&self) -> ExportSection {
        let mut section = ExportSection::new();
        for index in &self.reachable {
            section.export(&format!("f{index}"), ExportKind::Func, index + SHIFT);
        }
        for (index, place) in self.layout.tables.iter().enumerate() {
            if let Place::Native(table) = place {
                section.export(&format!("t{index}"), ExportKind::Table, *table);
            }
        }
        for (index, place) in self.layout.globals.iter().enumerate() {
            if let Place::Native(global) = place {
                section.export(&format!("g{index}"), ExportKind::Global, *global);
            }
        }
        for (at, (_, name)) in self.layout.added.iter().enumerate() {
            section.export(name, ExportKind::Global, self.native_globals + at as u32);
        }
        section.export("init", ExportKind::Func, self.functions.len() as u32 + SHIFT);
        section
    }
}

/// The type of a table of functions or a numeric global, which the rewritten module imports, too.
fn native(ty: &Extern) -> Option<EntityType> {
    match ty {
        Extern::Table(Table { refs: false, min, max }) => Some(EntityType::Table(TableType {
            element_type: RefType::FUNCREF,
            table64: false,
            minimum: u64::from(*min),
            maximum: max.map(u64::from),
            shared: false,
        })),
        Extern::Global(Global { letter, mutable }) if *letter != 'e' => {
            Some(EntityType::Global(GlobalType { val_type: numeric(*letter), mutable: *mutable, shared: false }))
        }
        _ => None,
    }
}

fn numeric(letter: char) -> ValType {
    match letter {
        'I' => ValType::I64,
        'f' => ValType::F32,
        'd' => ValType::F64,
        'v' => ValType::V128,
        'r' => ValType::FUNCREF,
        _ => ValType::I32,
    }
}

fn is_null(expression: &wasmparser::ConstExpr<'_>) -> Result<bool, Invalid> {
    Ok(matches!(expression.get_operators_reader().read()?, Operator::RefNull { .. }))
}

#[cfg(test)]
mod tests;
