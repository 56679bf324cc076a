use wasm_encoder::{
    BlockType, CodeSection, DataSection, EntityType, ExportKind, ExportSection, Function, FunctionSection,
    ImportSection, Module, TypeSection, ValType,
};
use wasmtime::{Caller, Engine, Linker, Store};

use super::*;

/// Counts down from its argument in a loop, under two names: one of them polls.
fn countdown(imports_tick: bool) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    types.ty().function([ValType::I32], []);
    let mut imports = ImportSection::new();
    let name = if imports_tick { "tick" } else { "other" };
    imports.import("sv", name, EntityType::Function(0));
    let mut functions = FunctionSection::new();
    functions.function(1).function(1);
    let mut globals = wasm_encoder::GlobalSection::new();
    let ty = wasm_encoder::GlobalType { val_type: ValType::I32, mutable: true, shared: false };
    globals.global(ty, &wasm_encoder::ConstExpr::i32_const(7));
    let mut exports = ExportSection::new();
    exports.export("counted", ExportKind::Func, 1).export("polls:it", ExportKind::Func, 2);
    exports.export("own", ExportKind::Global, 0);
    let mut code = CodeSection::new();
    for _ in 0..2 {
        let mut body = Function::new([]);
        body.instructions().loop_(BlockType::Empty).local_get(0).i32_const(1).i32_sub().local_tee(0);
        body.instructions().br_if(0).end().end();
        code.function(&body);
    }
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&globals).section(&exports);
    module.section(&code).section(&DataSection::new());
    module.finish()
}

/// How often a function asked for the tick.
fn asked(export: &str, turns: i32) -> u32 {
    let engine = Engine::default();
    let module = wasmtime::Module::new(&engine, meter(&countdown(true)).unwrap()).unwrap();
    let mut linker = Linker::new(&engine);
    linker.func_wrap("sv", "tick", |mut caller: Caller<'_, u32>| *caller.data_mut() += 1).unwrap();
    let mut store = Store::new(&engine, 0);
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let run = instance.get_typed_func::<i32, ()>(&mut store, export).unwrap();
    run.call(&mut store, turns).unwrap();
    let own = instance.get_global(&mut store, "own").unwrap();
    assert_eq!(own.get(&mut store).i32(), Some(7), "a global of its own is where it was");
    *store.data()
}

#[test]
fn a_loop_asks_at_its_first_turn_and_then_now_and_again() {
    assert_eq!(asked("counted", 1), 1);
    assert_eq!(asked("counted", TURNS), 1);
    assert_eq!(asked("counted", 10 * TURNS), 10);
}

#[test]
fn a_function_that_polls_is_left_as_it_is() {
    assert_eq!(asked("polls:it", 10 * TURNS), 0);
}

#[test]
fn a_guest_without_the_import_is_refused() {
    assert!(matches!(meter(&countdown(false)), Err(MeterError::NoTick)));
    assert!(matches!(meter(b"\0asm"), Err(MeterError::Invalid(_))));
}
