//! What of WebAssembly lives beside one sandbox: instances, tables and globals, by the numbers that
//! the guest knows them by.
//!
//! They are entered in the order in which they were made, which is written down: from it, and from
//! what their contents were, an instance of the script that begins from an image makes them anew
//! ([`super::snapshot`]).

use std::collections::HashMap;
use std::sync::Arc;

use wasmtime::{
    AsContextMut as _, Extern as Item, Func, FuncType, Global, GlobalType, Instance, Mutability, Ref, RefType,
    StoreContextMut, Table, TableType, Val, ValType,
};

use super::bundle::Compiled;
use super::layout::HOST;
use super::shape::Extern;
use super::snapshot::Snapshot;
use crate::script::abi::control;
use crate::script::guest::Guest;

/// How something came into being.
#[derive(Debug, Clone, PartialEq)]
pub enum Made {
    Instance(Recipe),
    Table { min: u32, max: Option<u32> },
    Global { letter: char, mutable: bool },
}

/// What an instance is made of, by number.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recipe {
    pub module: u32,
    pub memories: Vec<u32>,
    /// Imported ones only, and only those that the host has.
    pub tables: Vec<u32>,
    pub globals: Vec<u32>,
    /// Of every table and then every global of JavaScript values, where the guest keeps it.
    pub refs: Vec<u32>,
}

/// A window of the guest's memory.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Window {
    pub base: u32,
    pub bytes: u32,
}

pub struct Slot {
    pub instance: Instance,
    pub compiled: Arc<Compiled>,
    memories: Vec<u32>,
    /// By the module's index; `None` for those of JavaScript values.
    pub tables: Vec<Option<u32>>,
    pub globals: Vec<Option<u32>>,
    functions: HashMap<u32, (Func, FuncType)>,
}

/// The script is to stop: its request has used up its time.
#[derive(Debug, thiserror::Error)]
#[error("the request was told to stop")]
pub struct Interrupted;

#[derive(Default)]
pub struct Wasm {
    pub modules: Vec<Arc<Compiled>>,
    pub made: Vec<Made>,
    pub slots: Vec<Slot>,
    pub tables: Vec<Table>,
    pub globals: Vec<Global>,
    pub windows: Vec<Window>,
    /// Functions by their address in the store: (instance, function).
    known: HashMap<usize, (u32, u32)>,
    /// Contents of tables as the making of instances alone would have them.
    pub expected: Vec<Vec<usize>>,
    /// What is to be made again before anything else happens.
    pub waiting: Option<Arc<Snapshot>>,
    /// Calls into instances that have not returned, and how many of them called back.
    pub calls: u32,
    pub returned: u32,
    /// Instances that were to be made, those that failed included: the store keeps a part of each.
    pub attempts: u64,
    /// Those of the image.
    restored: u64,
    /// Bytes of modules that were compiled for the script while it ran.
    pub compiled_bytes: u64,
}

impl Wasm {
    pub fn new(modules: Vec<Arc<Compiled>>) -> Self {
        Self { modules, ..Self::default() }
    }

    /// Of an image.
    pub fn waiting(modules: Vec<Arc<Compiled>>, snapshot: Arc<Snapshot>) -> Self {
        let windows = snapshot.windows.clone();
        let waiting = (!snapshot.made.is_empty()).then_some(snapshot);
        Self { modules, windows, waiting, ..Self::default() }
    }

    /// Instances that the store has a part of.
    pub fn used(&self) -> u64 {
        self.restored + self.attempts
    }

    /// Whether half of the room that the image left is used up.
    pub fn is_worn(&self, instances_max: u64) -> bool {
        self.attempts > 0 && self.attempts * 2 >= instances_max.saturating_sub(self.restored)
    }

    /// Whether an instance is running, and not QuickJS.
    pub fn runs(&self) -> bool {
        self.calls > self.returned
    }

    /// The function of an instance, found once.
    pub fn function(store: &mut StoreContextMut<'_, Guest>, instance: u32, index: u32) -> Option<(Func, FuncType)> {
        let slot = Self::of(store).slots.get(instance as usize)?;
        if let Some(found) = slot.functions.get(&index) {
            return Some(found.clone());
        }
        let name = if index == u32::MAX { "init".to_owned() } else { format!("f{index}") };
        let instance_of = slot.instance;
        let function = instance_of.get_func(&mut *store, &name)?;
        let found = (function, function.ty(&*store));
        Self::of(store).slots[instance as usize].functions.insert(index, found.clone());
        Some(found)
    }

    pub fn of<'a>(store: &'a mut StoreContextMut<'_, Guest>) -> &'a mut Self {
        store.data_mut().wasm.get_or_insert_default()
    }
}

/// Makes an instance. Runs no code of the module's.
pub async fn instantiate(
    mut store: StoreContextMut<'_, Guest>,
    code: &[Func; HOST.len()],
    recipe: Recipe,
) -> wasmtime::Result<u32> {
    let number = Wasm::of(&mut store).slots.len() as u32;
    let compiled = Wasm::of(&mut store).modules.get(recipe.module as usize).cloned();
    let compiled = compiled.ok_or_else(|| wasmtime::Error::msg("there is no such module"))?;
    let before = contents(&mut store);
    let imports = imports(&mut store, code, &compiled, &recipe)?;
    let instance = Instance::new_async(&mut store, &compiled.module, &imports).await?;
    let mut slot = Slot {
        instance,
        memories: recipe.memories.clone(),
        tables: Vec::new(),
        globals: Vec::new(),
        functions: HashMap::new(),
        compiled,
    };
    enter_parts(&mut store, &mut slot, &recipe)?;
    set_numbers(&mut store, &slot, &recipe, number)?;
    let wasm = Wasm::of(&mut store);
    wasm.slots.push(slot);
    wasm.made.push(Made::Instance(recipe));
    for memory in 0..wasm.windows.len() {
        place_window(&mut store, memory as u32)?;
    }
    note_contents(&mut store, &before);
    Ok(number)
}

fn imports(
    store: &mut StoreContextMut<'_, Guest>,
    code: &[Func; HOST.len()],
    compiled: &Compiled,
    recipe: &Recipe,
) -> wasmtime::Result<Vec<Item>> {
    let missing = || wasmtime::Error::msg("an instance is made of what is not there");
    let memory = store.data().memory.ok_or_else(missing)?;
    let wasm = Wasm::of(store);
    let mut items: Vec<Item> = code.iter().map(|&function| function.into()).collect();
    items.push(memory.into());
    let (mut tables, mut globals) = (recipe.tables.iter(), recipe.globals.iter());
    for import in &compiled.shape.imports {
        match &import.ty {
            Extern::Table(table) if !table.refs => {
                let table = tables.next().and_then(|&id| wasm.tables.get(id as usize)).ok_or_else(missing)?;
                items.push((*table).into());
            }
            Extern::Global(global) if global.letter != 'e' => {
                let global = globals.next().and_then(|&id| wasm.globals.get(id as usize)).ok_or_else(missing)?;
                items.push((*global).into());
            }
            _ => {}
        }
    }
    Ok(items)
}

/// Gives numbers to the tables and globals that came with the instance.
fn enter_parts(store: &mut StoreContextMut<'_, Guest>, slot: &mut Slot, recipe: &Recipe) -> wasmtime::Result<()> {
    let missing = || wasmtime::Error::msg("a rewritten module lacks an export");
    let compiled = slot.compiled.clone();
    let mut imported = recipe.tables.iter();
    for (index, table) in compiled.shape.tables.iter().enumerate() {
        slot.tables.push(if table.refs {
            None
        } else if let Some(&id) = imported.next() {
            Some(id)
        } else {
            let table = slot.instance.get_table(&mut *store, &format!("t{index}")).ok_or_else(missing)?;
            Some(enter_table(store, table))
        });
    }
    let mut imported = recipe.globals.iter();
    for (index, global) in compiled.shape.globals.iter().enumerate() {
        slot.globals.push(if global.letter == 'e' {
            None
        } else if let Some(&id) = imported.next() {
            Some(id)
        } else {
            let global = slot.instance.get_global(&mut *store, &format!("g{index}")).ok_or_else(missing)?;
            let wasm = Wasm::of(store);
            wasm.globals.push(global);
            Some(wasm.globals.len() as u32 - 1)
        });
    }
    Ok(())
}

fn enter_table(store: &mut StoreContextMut<'_, Guest>, table: Table) -> u32 {
    let wasm = Wasm::of(store);
    wasm.tables.push(table);
    wasm.expected.push(Vec::new());
    wasm.tables.len() as u32 - 1
}

/// Sets the globals by which a rewritten module knows where its things are.
fn set_numbers(
    store: &mut StoreContextMut<'_, Guest>,
    slot: &Slot,
    recipe: &Recipe,
    number: u32,
) -> wasmtime::Result<()> {
    let scratch = scratch(store)?;
    let mut names = vec![("own".to_owned(), number), ("scratch".to_owned(), scratch)];
    names.extend(recipe.memories.iter().enumerate().map(|(i, &id)| (format!("memory{i}"), id)));
    let shape = &slot.compiled.shape;
    let tables = shape.tables.iter().enumerate().filter(|(_, table)| table.refs).map(|(i, _)| format!("reftable{i}"));
    let globals = shape.globals.iter().enumerate();
    let globals = globals.filter(|(_, global)| global.letter == 'e').map(|(i, _)| format!("refglobal{i}"));
    names.extend(tables.chain(globals).zip(recipe.refs.iter().copied()));
    for (name, value) in names {
        let global = slot.instance.get_global(&mut *store, &name);
        let global = global.ok_or_else(|| wasmtime::Error::msg("a rewritten module lacks a global"))?;
        global.set(&mut *store, Val::I32(value as i32))?;
    }
    Ok(())
}

/// Where the guest passes arguments.
fn scratch(store: &mut StoreContextMut<'_, Guest>) -> wasmtime::Result<u32> {
    let at = store.data().layout.control + control::WASM_SCRATCH;
    let memory = store.data().memory.ok_or_else(|| wasmtime::Error::msg("the guest has no memory"))?;
    let mut word = [0; 4];
    memory.read(&*store, at, &mut word)?;
    Ok(u32::from_le_bytes(word))
}

/// Tells every instance that has this memory where it is.
pub fn place_window(store: &mut StoreContextMut<'_, Guest>, memory: u32) -> wasmtime::Result<()> {
    let wasm = Wasm::of(store);
    let window = wasm.windows[memory as usize];
    let users: Vec<(Instance, usize)> = wasm
        .slots
        .iter()
        .flat_map(|slot| slot.memories.iter().enumerate().map(move |(i, &id)| (slot.instance, i, id)))
        .filter(|&(.., id)| id == memory)
        .map(|(instance, i, _)| (instance, i))
        .collect();
    for (instance, i) in users {
        if let Some(base) = instance.get_global(&mut *store, &format!("base{i}")) {
            base.set(&mut *store, Val::I32(window.base as i32))?;
        }
        if let Some(size) = instance.get_global(&mut *store, &format!("size{i}")) {
            size.set(&mut *store, Val::I64(i64::from(window.bytes)))?;
        }
    }
    Ok(())
}

pub fn new_table(store: &mut StoreContextMut<'_, Guest>, min: u32, max: Option<u32>) -> wasmtime::Result<u32> {
    let table = Table::new(&mut *store, TableType::new(RefType::FUNCREF, min, max), Ref::Func(None))?;
    let id = enter_table(store, table);
    let wasm = Wasm::of(store);
    wasm.expected[id as usize] = vec![0; min as usize];
    wasm.made.push(Made::Table { min, max });
    Ok(id)
}

pub fn new_global(
    store: &mut StoreContextMut<'_, Guest>,
    letter: char,
    mutable: bool,
    bits: u128,
) -> wasmtime::Result<u32> {
    let value = value(letter, bits).ok_or_else(|| wasmtime::Error::msg("a global of this type can't be made"))?;
    let mutability = if mutable { Mutability::Var } else { Mutability::Const };
    let global = Global::new(&mut *store, GlobalType::new(value_type(letter), mutability), value)?;
    let wasm = Wasm::of(store);
    wasm.globals.push(global);
    wasm.made.push(Made::Global { letter, mutable });
    Ok(wasm.globals.len() as u32 - 1)
}

fn value_type(letter: char) -> ValType {
    match letter {
        'I' => ValType::I64,
        'f' => ValType::F32,
        'd' => ValType::F64,
        'v' => ValType::V128,
        _ => ValType::I32,
    }
}

pub fn value(letter: char, bits: u128) -> Option<Val> {
    Some(match letter {
        'i' => Val::I32(bits as i32),
        'I' => Val::I64(bits as i64),
        'f' => Val::F32(bits as u32),
        'd' => Val::F64(bits as u64),
        'v' => Val::V128(bits.into()),
        _ => return None,
    })
}

/// A number's letter and its bits.
pub fn bits(value: &Val) -> Option<(char, u128)> {
    Some(match *value {
        Val::I32(v) => ('i', u128::from(v as u32)),
        Val::I64(v) => ('I', u128::from(v as u64)),
        Val::F32(v) => ('f', u128::from(v)),
        Val::F64(v) => ('d', u128::from(v)),
        Val::V128(v) => ('v', v.as_u128()),
        _ => return None,
    })
}

/// Which function this is, if it is one of an instance's.
pub fn identify(store: &mut StoreContextMut<'_, Guest>, function: Func) -> Option<(u32, u32)> {
    let address = function.to_raw(&mut *store) as usize;
    if let Some(&known) = Wasm::of(store).known.get(&address) {
        return Some(known);
    }
    // Functions become known an instance at a time, when one of a table is first asked for.
    let slots: Vec<Instance> = Wasm::of(store).slots.iter().map(|slot| slot.instance).collect();
    for (number, instance) in slots.into_iter().enumerate() {
        let exports: Vec<(u32, Func)> = instance
            .exports(&mut *store)
            .filter_map(|export| {
                let index = export.name().strip_prefix('f')?.parse().ok()?;
                Some((index, export.into_func()?))
            })
            .collect();
        for (index, function) in exports {
            let address = function.to_raw(&mut *store) as usize;
            Wasm::of(store).known.entry(address).or_insert((number as u32, index));
        }
    }
    Wasm::of(store).known.get(&address).copied()
}

/// The addresses in every table; only while an image is being made.
fn contents(store: &mut StoreContextMut<'_, Guest>) -> Vec<Vec<usize>> {
    if !store.data().is_evaluating() {
        return Vec::new();
    }
    let tables = Wasm::of(store).tables.clone();
    tables.into_iter().map(|table| addresses(store, table)).collect()
}

pub fn addresses(store: &mut StoreContextMut<'_, Guest>, table: Table) -> Vec<usize> {
    (0..table.size(&*store))
        .map(|at| match table.get(&mut *store, at) {
            Some(Ref::Func(Some(function))) => function.to_raw(&mut *store) as usize,
            _ => 0,
        })
        .collect()
}

/// Notes what the making of an instance changed in tables.
fn note_contents(store: &mut StoreContextMut<'_, Guest>, before: &[Vec<usize>]) {
    let after = contents(store);
    let wasm = Wasm::of(store);
    for (table, after) in after.into_iter().enumerate() {
        let empty = Vec::new();
        let before = before.get(table).unwrap_or(&empty);
        let expected = &mut wasm.expected[table];
        for (at, address) in after.into_iter().enumerate() {
            if expected.len() <= at {
                expected.resize(at + 1, 0);
            }
            if before.get(at) != Some(&address) {
                expected[at] = address;
            }
        }
    }
}

/// The guest's own functions that every instance calls.
pub fn guest_functions(caller: &mut wasmtime::Caller<'_, Guest>) -> wasmtime::Result<[Func; HOST.len()]> {
    let mut functions = Vec::with_capacity(HOST.len());
    for name in HOST {
        let found = caller.get_export(name).and_then(Item::into_func);
        functions.push(found.ok_or_else(|| wasmtime::Error::msg(format!("the guest lacks {name}")))?);
    }
    functions.try_into().map_err(|_| wasmtime::Error::msg("the guest lacks a function"))
}

/// Makes everything anew that the image was taken with.
pub async fn restore(
    mut store: StoreContextMut<'_, Guest>,
    code: &[Func; HOST.len()],
    snapshot: &Snapshot,
) -> wasmtime::Result<()> {
    for made in &snapshot.made {
        match made {
            Made::Table { min, max } => drop(new_table(&mut store, *min, *max)?),
            Made::Global { letter, mutable } => {
                let id = Wasm::of(&mut store).globals.len() as u32;
                let bits = snapshot.globals.iter().find(|(global, _)| *global == id).map_or(0, |&(_, bits)| bits);
                new_global(&mut store, *letter, *mutable, bits)?;
            }
            Made::Instance(recipe) => {
                instantiate(store.as_context_mut(), code, recipe.clone()).await?;
            }
        }
    }
    let wasm = Wasm::of(&mut store);
    wasm.restored = wasm.slots.len() as u64;
    snapshot.fill(&mut store)
}
