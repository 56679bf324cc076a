use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, ExportKind, ExportSection, Function, FunctionSection, ImportSection, MemArg,
    MemorySection, MemoryType, Module, TypeSection, ValType,
};

use proptest::prelude::*;

use super::*;

const AT: MemArg = MemArg { offset: 4, align: 0, memory_index: 0 };

/// A module with a memory of one page, an imported function, data, and a function with this body.
fn module(params: &[ValType], results: &[ValType], write: impl FnOnce(&mut Function)) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I64, ValType::F32], [ValType::F64]);
    types.ty().function(params.to_vec(), results.to_vec());
    let mut imports = ImportSection::new();
    imports.import("env", "f", wasm_encoder::EntityType::Function(0));
    let mut functions = FunctionSection::new();
    functions.function(1);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None });
    let mut exports = ExportSection::new();
    exports.export("run", ExportKind::Func, 1).export("memory", ExportKind::Memory, 0);
    let mut body = Function::new([]);
    write(&mut body);
    body.instructions().end();
    let mut code = CodeSection::new();
    code.function(&body);
    let mut data = DataSection::new();
    data.active(0, &ConstExpr::i32_const(8), *b"hello");
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&memories).section(&exports);
    module.section(&code).section(&data);
    module.finish()
}

/// Rewrites, and checks that the result is valid without values of JavaScript.
fn rewritten(wasm: &[u8]) -> Rewritten {
    let rewritten = rewrite(wasm).unwrap();
    let mut validator = Validator::new_with_features(features().difference(WasmFeatures::GC_TYPES));
    validator.validate_all(&rewritten.module).unwrap();
    rewritten
}

#[test]
fn a_module_is_seen_from_outside() {
    let wasm = module(&[ValType::I32], &[ValType::I32], |f| {
        f.instructions().local_get(0).i32_load(AT);
    });
    let shape = rewritten(&wasm).shape;
    assert_eq!(shape.memories, [Memory { min: 1, max: None }]);
    assert!(shape.has_init);
    let signature = Signature { params: "If".into(), results: "d".into() };
    assert_eq!(shape.imports[0].ty, Extern::Function(signature));
    assert_eq!((shape.exports[0].name.as_str(), shape.exports[0].index), ("run", 1));
}

#[test]
fn a_shape_is_read_as_it_was_written() {
    let wasm = module(&[], &[], |_| {});
    let shape = rewritten(&wasm).shape;
    let mut out = crate::script::codec::Encoder::default();
    shape.encode(&mut out);
    let read = Shape::decode(&mut crate::script::codec::Decoder::new(&out.0)).unwrap();
    assert_eq!(read, shape);
}

#[test]
fn what_touches_memory_stays_valid() {
    rewritten(&module(&[ValType::I32, ValType::I64], &[ValType::I32], |f| {
        let mut emit = f.instructions();
        emit.local_get(0).local_get(1).i64_store(AT);
        emit.local_get(0).f64_const(1.0.into()).f64_store(AT);
        emit.local_get(0).local_get(0).v128_load(AT).v128_store(AT);
        emit.local_get(0).local_get(0).v128_load(AT).v128_load8_lane(AT, 3).drop();
        emit.local_get(0).local_get(0).local_get(0).memory_copy(0, 0);
        emit.local_get(0).local_get(0).local_get(0).memory_fill(0);
        emit.memory_size(0).memory_grow(0);
    }));
}

#[test]
fn what_follows_a_branch_stays_valid() {
    rewritten(&module(&[], &[ValType::I32], |f| {
        f.instructions().unreachable().i32_load(AT).drop().i64_store(AT).memory_grow(0);
    }));
}

#[test]
fn what_is_no_module_is_refused() {
    for wasm in [&b""[..], b"\0asm", b"\0asm\x01\0\0\0\x01", b"hello world", b"\0asm\x0d\0\x01\0"] {
        assert!(rewrite(wasm).is_err());
    }
    // Cut within its code, which comes before 13 bytes of data.
    let wasm = module(&[], &[], |f| {
        f.instructions().i32_const(0).i32_load(AT).drop();
    });
    let begin = wasm.windows(4).position(|w| w == [10, 10, 1, 8]).unwrap();
    assert!((begin + 1..wasm.len() - 13).all(|end| rewrite(&wasm[..end]).is_err()));
}

const MODULES: [&[u8]; 3] = [
    include_bytes!("../../../../tests/fixtures/wasm/basic.wasm"),
    include_bytes!("../../../../tests/fixtures/wasm/refs.wasm"),
    include_bytes!("../../../../tests/fixtures/wasm/starts.wasm"),
];

proptest! {
    /// Whatever a stranger makes of a module: it is refused, or what it is rewritten to is valid.
    #[test]
    fn a_damaged_module_is_refused_or_rewritten(
        which in 0..MODULES.len(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut wasm = MODULES[which].to_vec();
        for (at, byte) in edits {
            let at = at.index(wasm.len());
            wasm[at] = byte;
        }
        if let Some(cut) = cut {
            wasm.truncate(cut.index(wasm.len()));
        }
        if rewrite(&wasm).is_ok() {
            rewritten(&wasm);
        }
    }
}

#[test]
fn modules_with_everything_in_them_are_rewritten() {
    for wasm in MODULES {
        let shape = rewritten(wasm).shape;
        let mut out = crate::script::codec::Encoder::default();
        shape.encode(&mut out);
        assert_eq!(Shape::decode(&mut crate::script::codec::Decoder::new(&out.0)).unwrap(), shape);
    }
}

/// Every load and store, by its opcode.
fn accesses() -> Vec<Vec<u8>> {
    let plain = (0x28u8..=0x3e).map(|code| vec![code]);
    let vector = (0u8..=11).chain(84..=93).map(|code| vec![0xfd, code]);
    plain.chain(vector).collect()
}

/// A module whose functions `0`, `1` and so on do one access at an address and each of these offsets.
fn accessing(opcode: &[u8], offsets: &[u32]) -> Vec<u8> {
    let is_lane = opcode[0] == 0xfd && (84..=91).contains(&opcode[1]);
    let lane: &[u8] = if is_lane { &[0] } else { &[] };
    let raw = |offset: u32| {
        let mut bytes = opcode.to_vec();
        wasm_encoder::Encode::encode(&0u32, &mut bytes);
        wasm_encoder::Encode::encode(&offset, &mut bytes);
        bytes.extend_from_slice(lane);
        bytes
    };
    let first = raw(0);
    let value = crate::script::wasm::access::Access::parse(&first).unwrap().value;
    let is_store = matches!(opcode, [0x36..=0x3e] | [0xfd, 11 | 88..=91]);
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], []);
    let (mut functions, mut exports, mut code) = (FunctionSection::new(), ExportSection::new(), CodeSection::new());
    exports.export("memory", ExportKind::Memory, 0);
    for (index, &offset) in offsets.iter().enumerate() {
        functions.function(0);
        exports.export(&index.to_string(), ExportKind::Func, index as u32);
        let mut body = Function::new([]);
        body.instructions().local_get(0);
        match value {
            Some(ValType::I32) => drop(body.instructions().i32_const(0x0102_0304)),
            Some(ValType::I64) => drop(body.instructions().i64_const(0x0102_0304_0506_0708)),
            Some(ValType::F32) => drop(body.instructions().f32_const(1.5.into())),
            Some(ValType::F64) => drop(body.instructions().f64_const(2.5.into())),
            Some(_) => drop(body.instructions().v128_const(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10)),
            None => {}
        }
        body.raw(raw(offset));
        if !is_store {
            body.instructions().drop();
        }
        body.instructions().end();
        code.function(&body);
    }
    let mut memories = MemorySection::new();
    memories.memory(MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None });
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&memories).section(&exports).section(&code);
    module.finish()
}

const PAGE: usize = 1 << 16;
/// Where the window lies in the guest's memory of these tests, and what is around it.
const BASE: usize = PAGE + 16;
const AROUND: u8 = 0xaa;

/// An instance of a rewritten module with a window of one page in a memory of three.
fn windowed(
    store: &mut wasmtime::Store<()>,
    engine: &wasmtime::Engine,
    wasm: &[u8],
) -> (wasmtime::Instance, wasmtime::Memory) {
    let module = wasmtime::Module::new(engine, rewritten(wasm).module).unwrap();
    let memory = wasmtime::Memory::new(&mut *store, wasmtime::MemoryType::new(3, None)).unwrap();
    memory.data_mut(&mut *store).fill(AROUND);
    memory.data_mut(&mut *store)[BASE..BASE + PAGE].fill(0);
    let imports: Vec<wasmtime::Extern> = module
        .imports()
        .map(|import| match import.ty() {
            wasmtime::ExternType::Func(ty) => wasmtime::Func::new(&mut *store, ty, |_, _, _| Ok(())).into(),
            _ => memory.into(),
        })
        .collect();
    let instance = wasmtime::Instance::new(&mut *store, &module, &imports).unwrap();
    let mut set = |name: &str, value: wasmtime::Val| {
        instance.get_global(&mut *store, name).unwrap().set(&mut *store, value).unwrap();
    };
    set("base0", wasmtime::Val::I32(BASE as i32));
    set("size0", wasmtime::Val::I64(PAGE as i64));
    (instance, memory)
}

#[test]
fn every_access_does_in_its_window_what_it_did_in_its_memory() {
    let engine = wasmtime::Engine::default();
    let offsets = [0, 1, 8, 65_520, 65_535, 65_536, u32::MAX];
    let addresses = [0, 1, 7, 15, 65_519, 65_520, 65_521, 65_527, 65_528, 65_531, 65_532, 65_534, 65_535, 65_536];
    let addresses = addresses.into_iter().chain([i32::MAX, i32::MIN, -65_536, -16, -8, -1]);
    let addresses: Vec<i32> = addresses.collect();
    let mut traps = 0;
    for opcode in accesses() {
        let wasm = accessing(&opcode, &offsets);
        let mut store = wasmtime::Store::new(&engine, ());
        let original = wasmtime::Module::new(&engine, &wasm).unwrap();
        let original = wasmtime::Instance::new(&mut store, &original, &[]).unwrap();
        let memory = original.get_memory(&mut store, "memory").unwrap();
        let (moved, guest) = windowed(&mut store, &engine, &wasm);
        for (index, &offset) in offsets.iter().enumerate() {
            for &address in &addresses {
                let first = original.get_typed_func::<i32, ()>(&mut store, &index.to_string()).unwrap();
                let second = moved.get_typed_func::<i32, ()>(&mut store, &format!("f{index}")).unwrap();
                let first = first.call(&mut store, address).is_ok();
                let second = second.call(&mut store, address).is_ok();
                assert_eq!(first, second, "{opcode:x?} at {address} + {offset}");
                traps += usize::from(!first);
            }
        }
        let after = guest.data(&store);
        assert!(after[BASE..BASE + PAGE] == *memory.data(&store), "{opcode:x?} wrote something else");
        let around = after[..BASE].iter().chain(&after[BASE + PAGE..]);
        assert!(around.copied().all(|byte| byte == AROUND), "{opcode:x?} wrote outside of its window");
    }
    assert!(traps > 1_000);
}
