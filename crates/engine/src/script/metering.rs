//! How the code of scripts is made to ask for the tick.
//!
//! The engine of scripts has no epochs ([`crate::runtime`] says why), so code that could run on is
//! given a counter: each turn of a loop takes one from a global, and at none left it is filled and
//! the host is called, which looks whether a tick has passed ([`super::guest::on_tick`]). 20,000
//! turns are some tens of microseconds, or a few milliseconds of loops whose turns are long.
//!
//! The guest's own code is trusted: calls without a loop come to an end there, and a function that is
//! exported as `polls:…` looks for itself, which is QuickJS's interpreter: it counts calls and jumps
//! backwards, as it always did, and asks the host when it asks for an interrupt. The modules that a
//! script brings are trusted in nothing; they are metered as they are rewritten, at the beginning of
//! each function, too ([`super::wasm`]).

use std::collections::BTreeSet;

use wasm_encoder::{BlockType, CodeSection, InstructionSink, Module, RawSection};
use wasmparser::{BinaryReaderError, ExternalKind, FunctionBody, Operator, Parser, Payload, TypeRef};

/// Turns between two questions.
const TURNS: i32 = 20_000;

/// The import that asks, and what the exports begin with that need no counter.
const TICK: (&str, &str) = ("sv", "tick");
const POLLS: &str = "polls:";

#[derive(Debug, thiserror::Error)]
pub enum MeterError {
    #[error("the engine guest is no valid module: {0}")]
    Invalid(#[from] BinaryReaderError),
    #[error("the engine guest does not import sv.tick")]
    NoTick,
}

/// Writes a turn: `global` counts, `tick` is the function to call.
pub fn turn(emit: &mut InstructionSink<'_>, global: u32, tick: u32) {
    emit.global_get(global).i32_const(1).i32_sub().global_set(global);
    emit.global_get(global).i32_const(0).i32_lt_s().if_(BlockType::Empty);
    emit.i32_const(TURNS).global_set(global).call(tick).end();
}

/// The code of the guest with a turn in each loop.
pub fn meter(wasm: &[u8]) -> Result<Vec<u8>, MeterError> {
    let mut module = Module::new();
    let (mut functions, mut globals, mut tick) = (0, 0, None);
    let mut polls = BTreeSet::new();
    let (mut code, mut bodies) = (CodeSection::new(), 0);
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        match &payload {
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    let import = import?;
                    match import.ty {
                        TypeRef::Func(_) if (import.module, import.name) == TICK => tick = Some(functions),
                        TypeRef::Global(_) => globals += 1,
                        _ => {}
                    }
                    functions += u32::from(matches!(import.ty, TypeRef::Func(_)));
                }
            }
            Payload::GlobalSection(section) => {
                globals += section.count();
                module.section(&RawSection { id: 6, data: &with_counter(wasm, section)? });
                continue;
            }
            Payload::ExportSection(exports) => {
                for export in exports.clone() {
                    let export = export?;
                    if export.kind == ExternalKind::Func && export.name.starts_with(POLLS) {
                        polls.insert(export.index);
                    }
                }
            }
            Payload::CodeSectionStart { count, .. } => {
                bodies = *count;
                continue;
            }
            Payload::CodeSectionEntry(body) => {
                let tick = tick.ok_or(MeterError::NoTick)?;
                if polls.contains(&functions) {
                    code.raw(&wasm[body.range()]);
                } else {
                    code.raw(&metered(wasm, body, globals, tick)?);
                }
                functions += 1;
                bodies -= 1;
                if bodies == 0 {
                    module.section(&code);
                }
                continue;
            }
            _ => {}
        }
        if let Some((id, range)) = payload.as_section() {
            module.section(&RawSection { id, data: &wasm[range] });
        }
    }
    Ok(module.finish())
}

/// The section of globals with one more.
fn with_counter(wasm: &[u8], section: &wasmparser::GlobalSectionReader<'_>) -> Result<Vec<u8>, MeterError> {
    let mut reader = wasmparser::BinaryReader::new(&wasm[section.range()], 0);
    let count = reader.read_var_u32()?;
    let mut data = Vec::new();
    wasm_encoder::Encode::encode(&(count + 1), &mut data);
    data.extend_from_slice(reader.read_bytes(reader.bytes_remaining())?);
    // A mutable i32 that begins as 0.
    data.extend_from_slice(&[0x7f, 1, 0x41, 0, 0x0b]);
    Ok(data)
}

/// A body with a turn at the head of each loop.
fn metered(wasm: &[u8], body: &FunctionBody<'_>, global: u32, tick: u32) -> Result<Vec<u8>, MeterError> {
    let mut operators = body.get_operators_reader()?;
    let mut out = Vec::with_capacity(body.range().len() * 2);
    out.extend_from_slice(&wasm[body.range().start..operators.original_position()]);
    while !operators.eof() {
        let (operator, at) = operators.read_with_offset()?;
        out.extend_from_slice(&wasm[at..operators.original_position()]);
        if let Operator::Loop { .. } = operator {
            turn(&mut InstructionSink::new(&mut out), global, tick);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
