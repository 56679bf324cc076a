//! What an image has to know of instances, for theirs is not the memory that it holds.
//!
//! Memories and values of JavaScript lie in the guest and are in the image. What is left: in which
//! order instances, tables and globals were made, the values of globals that can change, and what
//! of tables differs from what the making of instances puts there.

use wasmtime::{Mutability, Ref, StoreContextMut, Val};

use super::shape::{list, optional, optional_u32};
use super::state::{self, Made, Recipe, Wasm, Window};
use crate::script::codec::{Decoder, Encoder, Malformed, Value};
use crate::script::guest::Guest;

#[derive(Debug, Default, Clone, PartialEq)]
pub struct Snapshot {
    pub made: Vec<Made>,
    /// (global, its bits)
    pub globals: Vec<(u32, u128)>,
    pub tables: Vec<TableState>,
    pub windows: Vec<Window>,
}

#[derive(Debug, Default, Clone, PartialEq)]
pub struct TableState {
    pub length: u32,
    /// (place, instance and function)
    pub changed: Vec<(u32, Option<(u32, u32)>)>,
}

/// Something that no image can hold.
#[derive(Debug, thiserror::Error)]
pub enum Unkept {
    #[error("a mutable global of type funcref")]
    Global,
    #[error("a table with a function that belongs to no instance")]
    Table,
}

impl Snapshot {
    /// Takes down what there is.
    pub fn take(store: &mut StoreContextMut<'_, Guest>) -> Result<Self, Unkept> {
        let Some(wasm) = &store.data().wasm else { return Ok(Self::default()) };
        let mut snapshot = Self { made: wasm.made.clone(), windows: wasm.windows.clone(), ..Self::default() };
        let (globals, tables) = (wasm.globals.clone(), wasm.tables.clone());
        for (id, global) in globals.into_iter().enumerate() {
            let mutable = global.ty(&*store).mutability() == Mutability::Var;
            match state::bits(&global.get(&mut *store)) {
                Some((_, bits)) => snapshot.globals.push((id as u32, bits)),
                None if mutable => return Err(Unkept::Global),
                None => {}
            }
        }
        for (id, table) in tables.into_iter().enumerate() {
            let now = state::addresses(store, table);
            let expected = Wasm::of(store).expected[id].clone();
            let mut taken = TableState { length: now.len() as u32, changed: Vec::new() };
            for (at, &address) in now.iter().enumerate() {
                if expected.get(at).copied().unwrap_or(0) == address {
                    continue;
                }
                let function = match table.get(&mut *store, at as u64) {
                    Some(Ref::Func(Some(function))) => Some(state::identify(store, function).ok_or(Unkept::Table)?),
                    _ => None,
                };
                taken.changed.push((at as u32, function));
            }
            snapshot.tables.push(taken);
        }
        Ok(snapshot)
    }

    /// Puts the contents back, once everything has been made.
    pub fn fill(&self, store: &mut StoreContextMut<'_, Guest>) -> wasmtime::Result<()> {
        let globals = Wasm::of(store).globals.clone();
        for &(id, bits) in &self.globals {
            let Some(global) = globals.get(id as usize) else { continue };
            let Some((letter, now)) = state::bits(&global.get(&mut *store)) else { continue };
            if now != bits
                && let Some(value) = state::value(letter, bits)
            {
                global.set(&mut *store, value)?;
            }
        }
        let tables = Wasm::of(store).tables.clone();
        for (table, state) in tables.into_iter().zip(&self.tables) {
            let missing = u64::from(state.length).saturating_sub(table.size(&*store));
            if missing > 0 {
                table.grow(&mut *store, missing, Ref::Func(None))?;
            }
            for &(at, function) in &state.changed {
                let function = match function {
                    Some((instance, index)) => Wasm::function(store, instance, index).map(|(function, _)| function),
                    None => None,
                };
                table.set(&mut *store, u64::from(at), Ref::Func(function))?;
            }
        }
        Ok(())
    }

    /// [made, globals, tables, windows]
    pub fn encode(&self, out: &mut Encoder) {
        out.array(4).array(self.made.len() as u32);
        for made in &self.made {
            match made {
                Made::Instance(recipe) => recipe.encode(out),
                Made::Table { min, max } => {
                    out.array(2).integer(u64::from(*min));
                    optional(out, *max);
                }
                Made::Global { letter, mutable } => {
                    out.array(2).string(letter.encode_utf8(&mut [0; 4])).bool(*mutable);
                }
            }
        }
        out.array(self.globals.len() as u32 * 2);
        for (id, bits) in &self.globals {
            out.integer(u64::from(*id)).bytes(&bits.to_le_bytes());
        }
        out.array(self.tables.len() as u32);
        for table in &self.tables {
            out.array(1 + table.changed.len() as u32 * 3).integer(u64::from(table.length));
            for (at, function) in &table.changed {
                out.integer(u64::from(*at));
                optional(out, function.map(|(instance, _)| instance));
                optional(out, function.map(|(_, index)| index));
            }
        }
        numbers(out, self.windows.iter().flat_map(|window| [window.base, window.bytes]));
    }

    pub fn decode(from: &mut Decoder<'_>) -> Result<Self, Malformed> {
        let parts = list(from.next()?)?;
        let [made, globals, tables, windows] = <[Value<'_>; 4]>::try_from(parts).map_err(|_| Malformed)?;
        let mut snapshot = Self::default();
        for made in list(made)? {
            snapshot.made.push(decode_made(list(made)?)?);
        }
        for pair in list(globals)?.chunks_exact(2) {
            let bits = pair[1].as_content()?.try_into().map_err(|_| Malformed)?;
            snapshot.globals.push((pair[0].as_u32()?, u128::from_le_bytes(bits)));
        }
        for table in list(tables)? {
            let parts = list(table)?;
            let (length, changed) = parts.split_first().ok_or(Malformed)?;
            let mut state = TableState { length: length.as_u32()?, changed: Vec::new() };
            for entry in changed.chunks_exact(3) {
                let function = optional_u32(&entry[1])?.zip(optional_u32(&entry[2])?);
                state.changed.push((entry[0].as_u32()?, function));
            }
            snapshot.tables.push(state);
        }
        for pair in read_numbers(windows)?.chunks_exact(2) {
            snapshot.windows.push(Window { base: pair[0], bytes: pair[1] });
        }
        Ok(snapshot)
    }
}

impl Recipe {
    /// [module, memories, tables, globals, refs]: what the guest sends, too.
    fn encode(&self, out: &mut Encoder) {
        out.array(5).integer(u64::from(self.module));
        for ids in [&self.memories, &self.tables, &self.globals, &self.refs] {
            numbers(out, ids.iter().copied());
        }
    }

    pub fn decode(parts: Vec<Value<'_>>) -> Result<Self, Malformed> {
        let [module, memories, tables, globals, refs] = <[Value<'_>; 5]>::try_from(parts).map_err(|_| Malformed)?;
        Ok(Self {
            module: module.as_u32()?,
            memories: read_numbers(memories)?,
            tables: read_numbers(tables)?,
            globals: read_numbers(globals)?,
            refs: read_numbers(refs)?,
        })
    }
}

fn decode_made(parts: Vec<Value<'_>>) -> Result<Made, Malformed> {
    match parts.as_slice() {
        [Value::String(letter), mutable] => {
            let letter = letter.chars().next().ok_or(Malformed)?;
            Ok(Made::Global { letter, mutable: mutable.as_bool()? })
        }
        [min, max] => Ok(Made::Table { min: min.as_u32()?, max: optional_u32(max)? }),
        _ => Ok(Made::Instance(Recipe::decode(parts)?)),
    }
}

fn numbers(out: &mut Encoder, numbers: impl Iterator<Item = u32> + Clone) {
    out.array(numbers.clone().count() as u32);
    numbers.for_each(|number| {
        out.integer(u64::from(number));
    });
}

pub fn read_numbers(value: Value<'_>) -> Result<Vec<u32>, Malformed> {
    list(value)?.iter().map(Value::as_u32).collect()
}

/// What a global holds, as the guest reads it: a number, or an i64 as text.
pub fn encode_value(value: &Val, out: &mut Encoder) {
    match *value {
        Val::I32(v) => drop(out.number(f64::from(v))),
        Val::I64(v) => drop(out.string(&v.to_string())),
        Val::F32(v) => drop(out.number(f64::from(f32::from_bits(v)))),
        Val::F64(v) => drop(out.number(f64::from_bits(v))),
        _ => drop(out.null()),
    }
}

/// The bits of what the guest sends as a value of this type.
pub fn decode_value(letter: char, value: &Value<'_>) -> Result<u128, Malformed> {
    Ok(match letter {
        'i' => u128::from(value.as_f64()? as i64 as u32),
        'I' => u128::from(value.as_str()?.parse::<i64>().map_err(|_| Malformed)? as u64),
        'f' => u128::from((value.as_f64()? as f32).to_bits()),
        'd' => u128::from(value.as_f64()?.to_bits()),
        _ => return Err(Malformed),
    })
}

#[cfg(test)]
mod tests;
