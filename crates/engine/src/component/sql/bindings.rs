//! What wasmtime makes of `wit/sql`.

wasmtime::component::bindgen!({
    path: "../../wit/sql",
    world: "selvedge:sql/imports",
    imports: { default: async | trappable },
    require_store_data_send: true,
    with: {
        "selvedge:sql/database.connection": super::Connection,
        "selvedge:sql/database.transaction": super::Transaction,
    },
});
