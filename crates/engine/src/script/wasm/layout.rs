//! Where things of a module stand after it was rewritten.

use wasm_encoder::ValType;

use super::rewrite::Invalid;

/// The functions of the host and of the guest that every rewritten module imports, in this order,
/// from `sv`. Each is (instance or memory or table, …).
pub const HOST: [&str; 7] =
    ["sv_wasm_import", "sv_wasm_grow", "sv_ref_get", "sv_ref_fill", "sv_ref_grow", "sv_ref_size", "sv_tick"];

pub const IMPORT: u32 = 0;
pub const GROW: u32 = 1;
pub const REF_GET: u32 = 2;
pub const REF_FILL: u32 = 3;
pub const REF_GROW: u32 = 4;
pub const REF_SIZE: u32 = 5;
pub const TICK: u32 = 6;

/// Functions move by this many.
pub const SHIFT: u32 = HOST.len() as u32;

/// A table or a global of the original module.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Place {
    /// It is one of the rewritten module's own.
    Native(u32),
    /// It holds values of JavaScript, so it lies with the guest; this is the global that has its number.
    Refs(u32),
}

/// The globals that stand for a memory.
#[derive(Debug, Clone, Copy)]
pub struct MemoryGlobals {
    pub base: u32,
    /// In bytes, as an i64.
    pub size: u32,
    pub id: u32,
}

#[derive(Debug, Default)]
pub struct Layout {
    pub tables: Vec<Place>,
    pub globals: Vec<Place>,
    pub memories: Vec<MemoryGlobals>,
    /// The instance's number, where arguments are passed, and whether `unreachable` was reached.
    pub own: u32,
    pub scratch: u32,
    pub reached: u32,
    /// The turns that are left before the next question for the tick.
    pub turns: u32,
    /// Of the globals that were added, in order: type and name of its export.
    pub added: Vec<(ValType, String)>,
}

impl Layout {
    /// Adds the globals of ours behind `natives` of the module's own.
    pub fn add_globals(&mut self, natives: u32, memories: usize) {
        let mut add = |ty: ValType, name: String| {
            self.added.push((ty, name));
            natives + self.added.len() as u32 - 1
        };
        for m in 0..memories {
            let base = add(ValType::I32, format!("base{m}"));
            let size = add(ValType::I64, format!("size{m}"));
            let id = add(ValType::I32, format!("memory{m}"));
            self.memories.push(MemoryGlobals { base, size, id });
        }
        let mut number = |places: &mut Vec<Place>, kind: &str| {
            for (i, place) in places.iter_mut().enumerate() {
                if let Place::Refs(global) = place {
                    *global = add(ValType::I32, format!("{kind}{i}"));
                }
            }
        };
        let (mut tables, mut globals) = (std::mem::take(&mut self.tables), std::mem::take(&mut self.globals));
        number(&mut tables, "reftable");
        number(&mut globals, "refglobal");
        let own = add(ValType::I32, "own".into());
        let scratch = add(ValType::I32, "scratch".into());
        let reached = add(ValType::I32, "reached".into());
        let turns = add(ValType::I32, "turns".into());
        (self.tables, self.globals) = (tables, globals);
        (self.own, self.scratch, self.reached, self.turns) = (own, scratch, reached, turns);
    }

    pub fn native_table(&self, table: u32) -> Result<u32, Invalid> {
        match self.tables.get(table as usize) {
            Some(&Place::Native(index)) => Ok(index),
            _ => Err(Invalid::Unsupported("this use of a table of externref")),
        }
    }

    pub fn native_global(&self, global: u32) -> Result<u32, Invalid> {
        match self.globals.get(global as usize) {
            Some(&Place::Native(index)) => Ok(index),
            _ => Err(Invalid::Unsupported("a global of externref in a constant expression")),
        }
    }
}
