//! What wasmtime makes of `wit/blobstore`.

wasmtime::component::bindgen!({
    path: "../../wit/blobstore",
    world: "wasi:blobstore/imports",
    imports: { default: async | trappable },
    require_store_data_send: true,
    with: {
        "wasi:io": wasmtime_wasi::p2::bindings::io,
        "wasi:blobstore/container.container": super::Container,
        "wasi:blobstore/container.stream-object-names": super::Names,
        "wasi:blobstore/types.incoming-value": super::IncomingValue,
        "wasi:blobstore/types.outgoing-value": super::OutgoingValue,
    },
});
