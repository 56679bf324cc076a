//! Rewrites the body of a function: what touches a memory is moved into the memory's window, and
//! what handles values of JavaScript handles their numbers.

use wasm_encoder::{BlockType, Function, HeapType, InstructionSink, ValType};
use wasmparser::{FuncValidator, FunctionBody, Operator, ValidatorResources};

use super::access::Access;
use super::layout::{GROW, Layout, Place, REF_FILL, REF_GET, REF_GROW, REF_SIZE, SHIFT, TICK};
use super::rewrite::{Invalid, value_type};
use crate::script::metering;

/// Locals that are added to every function, behind its own.
struct Temporaries {
    /// An address, or the first of three operands.
    a: u32,
    b: u32,
    c: u32,
    first_value: u32,
}

const VALUES: [ValType; 4] = [ValType::I64, ValType::F32, ValType::F64, ValType::V128];

impl Temporaries {
    fn of(&self, value: ValType) -> u32 {
        VALUES.iter().position(|&v| v == value).map_or(self.b, |at| self.first_value + at as u32)
    }
}

/// The body of a function, validated on the way.
pub fn rewrite(
    wasm: &[u8],
    layout: &Layout,
    mut validator: FuncValidator<ValidatorResources>,
    body: &FunctionBody<'_>,
) -> Result<Function, Invalid> {
    let mut reader = body.get_binary_reader();
    validator.read_locals(&mut reader)?;
    let mut locals = Vec::new();
    for local in body.get_locals_reader()? {
        let (count, ty) = local?;
        locals.push((count, value_type(ty)?));
    }
    let first = validator.len_locals();
    locals.push((3, ValType::I32));
    locals.extend(VALUES.map(|ty| (1, ty)));
    let temporaries = Temporaries { a: first, b: first + 1, c: first + 2, first_value: first + 3 };
    let mut function = Function::new(locals);
    let mut operators = body.get_operators_reader()?;
    let mut out = Vec::with_capacity(body.range().len() * 2);
    metering::turn(&mut InstructionSink::new(&mut out), layout.turns, TICK);
    while !operators.eof() {
        let (operator, at) = operators.read_with_offset()?;
        let raw = &wasm[at..operators.original_position()];
        let is_ref = matches!(operator, Operator::RefIsNull)
            && validator.get_operand_type(0).flatten() == Some(wasmparser::ValType::EXTERNREF);
        validator.op(at, &operator)?;
        let mut writer = Writer { layout, t: &temporaries, out: &mut out };
        match Access::parse(raw) {
            Some(access) => writer.access(&access),
            None => writer.operator(&operator, raw, is_ref)?,
        }
        if matches!(operator, Operator::Loop { .. }) {
            metering::turn(&mut InstructionSink::new(&mut out), layout.turns, TICK);
        }
    }
    operators.finish()?;
    function.raw(out);
    Ok(function)
}

/// Writes the instructions that stand for one.
pub struct Writer<'a> {
    layout: &'a Layout,
    t: &'a Temporaries,
    out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    fn emit(&mut self) -> InstructionSink<'_> {
        InstructionSink::new(self.out)
    }

    fn access(&mut self, access: &Access<'_>) {
        let memory = self.layout.memories[access.memory as usize];
        let (a, value) = (self.t.a, access.value.map(|value| self.t.of(value)));
        if let Some(value) = value {
            self.emit().local_set(value);
        }
        let end = access.offset.saturating_add(access.bytes) as i64;
        self.emit().local_tee(a).i64_extend_i32_u().i64_const(end).i64_add().global_get(memory.size).i64_gt_u();
        self.emit().if_(BlockType::Empty).unreachable().end();
        self.emit().global_get(memory.base).local_get(a).i32_add();
        if let Some(value) = value {
            self.emit().local_get(value);
        }
        access.encode(self.out);
    }

    /// Traps unless so many bytes from an address are within a memory; both are in locals.
    fn check(&mut self, memory: u32, address: u32, count: u32) {
        let size = self.layout.memories[memory as usize].size;
        self.emit().local_get(address).i64_extend_i32_u().local_get(count).i64_extend_i32_u().i64_add();
        self.emit().global_get(size).i64_gt_u().if_(BlockType::Empty).unreachable().end();
    }

    /// What a bulk operation does is many turns of a loop.
    fn count_bytes(&mut self, count: u32) {
        let turns = self.layout.turns;
        self.emit().global_get(turns).local_get(count).i32_const(6).i32_shr_u().i32_sub().global_set(turns);
        metering::turn(&mut self.emit(), turns, TICK);
    }

    /// So is what one does to a table, which has 20,000 elements at most.
    fn count_elements(&mut self) {
        let turns = self.layout.turns;
        self.emit().global_get(turns).i32_const(2_000).i32_sub().global_set(turns);
        metering::turn(&mut self.emit(), turns, TICK);
    }

    /// Pops three operands.
    fn take3(&mut self) -> (u32, u32, u32) {
        let (a, b, c) = (self.t.a, self.t.b, self.t.c);
        self.emit().local_set(c).local_set(b).local_set(a);
        (a, b, c)
    }

    /// An address within a memory's window.
    fn moved(&mut self, memory: u32, address: u32) {
        let base = self.layout.memories[memory as usize].base;
        self.emit().global_get(base).local_get(address).i32_add();
    }

    pub fn memory_init(&mut self, memory: u32, segment: u32) {
        let (to, from, count) = self.take3();
        self.check(memory, to, count);
        self.count_bytes(count);
        self.moved(memory, to);
        self.emit().local_get(from).local_get(count).memory_init(0, segment);
    }

    fn operator(&mut self, operator: &Operator<'_>, raw: &[u8], is_ref: bool) -> Result<(), Invalid> {
        match *operator {
            Operator::MemorySize { mem } => {
                let size = self.layout.memories[mem as usize].size;
                self.emit().global_get(size).i64_const(16).i64_shr_u().i32_wrap_i64();
            }
            Operator::MemoryGrow { mem } => {
                let (id, a) = (self.layout.memories[mem as usize].id, self.t.a);
                self.emit().local_set(a).global_get(id).local_get(a).call(GROW);
            }
            Operator::MemoryFill { mem } => {
                let (to, value, count) = self.take3();
                self.check(mem, to, count);
                self.count_bytes(count);
                self.moved(mem, to);
                self.emit().local_get(value).local_get(count).memory_fill(0);
            }
            Operator::MemoryCopy { dst_mem, src_mem } => {
                let (to, from, count) = self.take3();
                self.check(dst_mem, to, count);
                self.check(src_mem, from, count);
                self.count_bytes(count);
                self.moved(dst_mem, to);
                self.moved(src_mem, from);
                self.emit().local_get(count).memory_copy(0, 0);
            }
            Operator::MemoryInit { data_index, mem } => self.memory_init(mem, data_index),
            Operator::Unreachable => {
                let reached = self.layout.reached;
                self.emit().i32_const(1).global_set(reached).unreachable();
            }
            Operator::GlobalGet { global_index } => match self.layout.globals[global_index as usize] {
                Place::Native(global) => {
                    self.emit().global_get(global);
                }
                Place::Refs(refs) => {
                    self.emit().global_get(refs).i32_const(0).call(REF_GET);
                }
            },
            Operator::GlobalSet { global_index } => match self.layout.globals[global_index as usize] {
                Place::Native(global) => {
                    self.emit().global_set(global);
                }
                Place::Refs(refs) => {
                    let b = self.t.b;
                    self.emit().local_set(b).global_get(refs).i32_const(0).local_get(b).i32_const(1).call(REF_FILL);
                }
            },
            Operator::RefIsNull if is_ref => {
                self.emit().i32_eqz();
            }
            _ => return self.typed_operator(operator, raw),
        }
        Ok(())
    }

    /// Operators with the index of a function or with a type.
    fn typed_operator(&mut self, operator: &Operator<'_>, raw: &[u8]) -> Result<(), Invalid> {
        let layout = self.layout;
        let mut emit = self.emit();
        match *operator {
            Operator::Call { function_index } => emit.call(function_index + SHIFT),
            Operator::ReturnCall { function_index } => emit.return_call(function_index + SHIFT),
            Operator::RefFunc { function_index } => emit.ref_func(function_index + SHIFT),
            Operator::CallIndirect { type_index, table_index } => {
                emit.call_indirect(layout.native_table(table_index)?, type_index)
            }
            Operator::ReturnCallIndirect { type_index, table_index } => {
                emit.return_call_indirect(layout.native_table(table_index)?, type_index)
            }
            Operator::RefNull { hty: wasmparser::HeapType::EXTERN } => emit.i32_const(0),
            Operator::RefNull { .. } => emit.ref_null(HeapType::FUNC),
            Operator::TypedSelect { ty } => emit.typed_select(value_type(ty)?),
            Operator::Block { blockty: wasmparser::BlockType::Type(ty) } => {
                emit.block(BlockType::Result(value_type(ty)?))
            }
            Operator::Loop { blockty: wasmparser::BlockType::Type(ty) } => {
                emit.loop_(BlockType::Result(value_type(ty)?))
            }
            Operator::If { blockty: wasmparser::BlockType::Type(ty) } => emit.if_(BlockType::Result(value_type(ty)?)),
            _ => return self.table_operator(operator, raw),
        };
        Ok(())
    }

    fn table_operator(&mut self, operator: &Operator<'_>, raw: &[u8]) -> Result<(), Invalid> {
        let (layout, a, b) = (self.layout, self.t.a, self.t.b);
        let place = |table: u32| layout.tables[table as usize];
        match *operator {
            Operator::TableGet { table } => match place(table) {
                Place::Native(table) => {
                    self.emit().table_get(table);
                }
                Place::Refs(refs) => {
                    self.emit().local_set(a).global_get(refs).local_get(a).call(REF_GET);
                }
            },
            Operator::TableSet { table } => match place(table) {
                Place::Native(table) => {
                    self.emit().table_set(table);
                }
                Place::Refs(refs) => {
                    self.emit().local_set(b).local_set(a).global_get(refs).local_get(a).local_get(b);
                    self.emit().i32_const(1).call(REF_FILL);
                }
            },
            Operator::TableSize { table } => match place(table) {
                Place::Native(table) => {
                    self.emit().table_size(table);
                }
                Place::Refs(refs) => {
                    self.emit().global_get(refs).call(REF_SIZE);
                }
            },
            Operator::TableGrow { table } => match place(table) {
                Place::Native(table) => {
                    self.count_elements();
                    self.emit().table_grow(table);
                }
                Place::Refs(refs) => {
                    self.emit().local_set(b).local_set(a).global_get(refs);
                    self.emit().local_get(a).local_get(b).call(REF_GROW);
                }
            },
            Operator::TableFill { table } => match place(table) {
                Place::Native(table) => {
                    self.count_elements();
                    self.emit().table_fill(table);
                }
                Place::Refs(refs) => {
                    let (at, value, count) = self.take3();
                    self.emit().global_get(refs).local_get(at).local_get(value).local_get(count).call(REF_FILL);
                }
            },
            Operator::TableCopy { dst_table, src_table } => {
                let (to, from) = (layout.native_table(dst_table)?, layout.native_table(src_table)?);
                self.count_elements();
                self.emit().table_copy(to, from);
            }
            Operator::TableInit { elem_index, table } => {
                let table = layout.native_table(table)?;
                self.count_elements();
                self.emit().table_init(table, elem_index);
            }
            _ => self.out.extend_from_slice(raw),
        }
        Ok(())
    }
}

/// A function that stands for an imported one: it passes its arguments through memory.
pub fn adapter(layout: &Layout, index: u32, params: &[ValType], results: &[ValType]) -> Function {
    let mut function = Function::new([]);
    let mut emit = function.instructions();
    let arg = |slot: usize| wasm_encoder::MemArg { offset: slot as u64 * 8, align: 0, memory_index: 0 };
    for (slot, ty) in params.iter().enumerate() {
        emit.global_get(layout.scratch).local_get(slot as u32);
        match ty {
            ValType::I32 => emit.i32_store(arg(slot)),
            ValType::I64 => emit.i64_store(arg(slot)),
            ValType::F32 => emit.f32_store(arg(slot)),
            ValType::F64 => emit.f64_store(arg(slot)),
            // No value of JavaScript: the guest says so.
            _ => emit.drop().drop(),
        };
    }
    emit.global_get(layout.own).i32_const(index as i32).call(super::layout::IMPORT);
    for (slot, ty) in results.iter().enumerate() {
        match ty {
            ValType::I32 => emit.global_get(layout.scratch).i32_load(arg(slot)),
            ValType::I64 => emit.global_get(layout.scratch).i64_load(arg(slot)),
            ValType::F32 => emit.global_get(layout.scratch).f32_load(arg(slot)),
            ValType::F64 => emit.global_get(layout.scratch).f64_load(arg(slot)),
            ValType::V128 => emit.v128_const(0),
            _ => emit.ref_null(HeapType::FUNC),
        };
    }
    emit.end();
    function
}

/// An active data segment: what is to be copied when the first instance is made.
pub struct Active {
    pub segment: u32,
    pub memory: u32,
    /// A constant expression, without its end.
    pub offset: Vec<u8>,
    pub bytes: u32,
}

/// The function that applies active data segments.
pub fn init(layout: &Layout, segments: &[Active]) -> Function {
    let mut function = Function::new([(3, ValType::I32)]);
    let temporaries = Temporaries { a: 0, b: 1, c: 2, first_value: 3 };
    let mut out = Vec::new();
    for Active { segment, memory, offset, bytes } in segments {
        out.extend_from_slice(offset);
        InstructionSink::new(&mut out).i32_const(0).i32_const(*bytes as i32);
        Writer { layout, t: &temporaries, out: &mut out }.memory_init(*memory, *segment);
        InstructionSink::new(&mut out).data_drop(*segment);
    }
    InstructionSink::new(&mut out).end();
    function.raw(out);
    function
}
