use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, ExportKind, ExportSection, Function, FunctionSection, ImportSection, MemArg,
    MemorySection, MemoryType, Module, TypeSection, ValType,
};

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
