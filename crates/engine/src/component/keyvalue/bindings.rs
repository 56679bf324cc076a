//! What wasmtime makes of `wit/keyvalue`, in a file of its own, so that nothing else expands it again.

wasmtime::component::bindgen!({
    path: "../../wit/keyvalue",
    world: "wasi:keyvalue/imports",
    imports: { default: async | trappable },
    require_store_data_send: true,
    with: {
        "wasi:keyvalue/store.bucket": super::Bucket,
        "wasi:keyvalue/atomics.cas": super::Cas,
    },
});
