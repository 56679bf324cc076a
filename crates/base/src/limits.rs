//! Every limit by name: its value, its bounds, its unit, and where it is set.
//!
//! The tables here are what `selvedge limits` prints, what the manifest checks against, and what
//! an error quotes. A limit that is enforced somewhere and not listed here is a bug.

use serde::{Deserialize, Serialize};

/// One row of a table of limits.
#[derive(Debug, Clone, Copy)]
pub struct LimitRow {
    pub name: &'static str,
    pub default: u64,
    pub min: u64,
    pub max: u64,
    /// `ms`, `MiB`, `bytes`, or empty for a count.
    pub unit: &'static str,
    /// The code of the error that the limit causes.
    pub code: &'static str,
    pub about: &'static str,
}

macro_rules! limits {
    ($(#[$doc:meta])* $name:ident, $table:ident { $($field:ident: $default:expr, $min:expr, $max:expr, $unit:literal, $code:literal, $about:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name { $(#[doc = $about] pub $field: u64,)* }

        #[doc = concat!("The rows of [`", stringify!($name), "`].")]
        pub static $table: &[LimitRow] = &[$(LimitRow {
            name: stringify!($field), default: $default, min: $min, max: $max, unit: $unit, code: $code, about: $about,
        }),*];

        impl Default for $name {
            fn default() -> Self { Self { $($field: $default,)* } }
        }

        impl $name {
            pub fn get(&self, name: &str) -> Option<u64> {
                match name { $(stringify!($field) => Some(self.$field),)* _ => None }
            }

            /// Sets a limit by name. The caller has checked the bounds of its row.
            pub fn set(&mut self, name: &str, value: u64) -> bool {
                match name { $(stringify!($field) => self.$field = value,)* _ => return false }
                true
            }
        }
    };
}

const MIB: u64 = 1 << 20;

/// Instances of WebAssembly modules, and tables, that one instance of a script may have. The engine
/// sets aside as many for each sandbox, so that no app can take those of another.
pub const WASM_PARTS_MAX: u64 = 64;

limits! {
    /// Limits on one worker, set under `[workers.NAME] limits`.
    WorkerLimits, WORKER {
        cpu_ms: 1_000, 1, 300_000, "ms", "cpu_exceeded", "CPU time of one request, its sub-work included.";
        head_ms: 30_000, 1, 3_600_000, "ms", "head_timeout", "From dispatch to the head of the response.";
        stream_idle_ms: 60_000, 1, 3_600_000, "ms", "stream_idle", "How long a body may stand still while it is being read or written.";
        decoded_mib: 1_024, 1, 1_048_576, "MiB", "upstream_protocol", "What one compressed body may unfold to when a script reads it, or when it is passed on to a client that takes it plain only.";
        wait_until_ms: 30_000, 0, 900_000, "ms", "wait_until_exceeded", "How long work may go on after the response.";
        memory_mib: 128, 4, 2_048, "MiB", "memory_exceeded", "Linear memory of one instance.";
        subrequests: 50, 0, 10_000, "", "subrequests_exceeded", "Outbound requests, service calls and storage calls of one request, together.";
        request_body_bytes: 100 * MIB, 0, 1 << 40, "bytes", "body_too_large", "Body of a request to the worker.";
        response_body_bytes: 1 << 40, 0, 1 << 40, "bytes", "response_too_large", "Body of a response from the worker.";
        log_bytes: 256 << 10, 0, 64 * MIB, "bytes", "log_limit", "What one request may write to the log.";
        start_cpu_ms: 1_000, 1, 60_000, "ms", "start_failed", "CPU time for evaluating the modules of a script, once per deployment.";
        instance_requests: 512, 1, 100_000, "", "app_overloaded", "Requests in flight in one shared instance.";
        instance_requests_total: 1_000_000, 1, 1 << 40, "", "", "Requests after which a shared instance is replaced.";
        node_sync_bytes: MIB, 1 << 10, 1 << 30, "bytes", "node_sync_exceeded", "What one synchronous call of node:zlib or one cipher of node:crypto takes, and gives.";
        segmenter_bytes: MIB, 1 << 10, 1 << 30, "bytes", "", "Text that one Intl.Segmenter cuts into its parts; more is a RangeError.";
        zlib_bytes: 64 * MIB, 1 << 10, 1 << 30, "bytes", "node_sync_exceeded", "Output of one asynchronous call of node:zlib.";
        kdf_sync_work: 262_144, 1, 1 << 40, "", "kdf_too_costly", "Iterations of PBKDF2 for all blocks of the key, or N times r times p of scrypt, in one synchronous call of node:crypto.";
        kdf_work: 4_194_304, 1, 1 << 40, "", "kdf_too_costly", "The same for an asynchronous call, which runs on other threads.";
        scrypt_memory_mib: 64, 1, 4_096, "MiB", "kdf_too_costly", "Memory of one scrypt, outside of the instance.";
        native_mib: 64, 1, 4_096, "MiB", "native_memory_exceeded", "What the compression streams and HTML rewriters of one instance hold outside of its sandbox, together.";
        rewriter_bytes: 4 * MIB, 64 << 10, 1 << 30, "bytes", "native_memory_exceeded", "What one HTML rewriter holds of a document at a time: a tag that is not complete, for example.";
        rewriter_handlers: 256, 1, 1_000, "", "guest_exception", "Selectors of one HTML rewriter.";
        selector_bytes: 1_024, 1, 64 << 10, "bytes", "guest_exception", "Selector of an HTML rewriter.";
        instance_retries: 2, 0, 10, "", "instance_lost", "How often a request that left no trace runs again after another one ended its instance.";
        pbkdf2_iterations: 2_000_000, 1_000, 1_000_000_000, "", "too_many_iterations", "Iterations of one key derivation with PBKDF2, for all blocks of its output together.";
        wasm_bytes: 16 * MIB, 8, 64 * MIB, "bytes", "bad_script", "One WebAssembly module that a script imports.";
        wasm_instances: WASM_PARTS_MAX, 0, WASM_PARTS_MAX, "", "too_many_wasm_instances", "Instances of WebAssembly modules that one instance of a script makes in its life.";
        wasm_memories: WASM_PARTS_MAX, 0, 10_000, "", "too_many_wasm_instances", "WebAssembly memories that one instance of a script makes in its life; their pages count against memory_mib.";
        wasm_tables: WASM_PARTS_MAX, 0, WASM_PARTS_MAX, "", "too_many_wasm_instances", "WebAssembly tables of functions that one instance of a script makes in its life.";
        wasm_globals: 10_000, 0, 1_000_000, "", "too_many_wasm_instances", "WebAssembly globals that one instance of a script makes in its life, those of its modules included.";
        wasm_compile_bytes: 0, 0, 64 * MIB, "bytes", "wasm_not_imported", "WebAssembly that one instance of a script compiles while it handles requests, all together; 0 refuses it.";
        wasm_depth: 32, 1, 100, "", "guest_exception", "Calls from JavaScript into WebAssembly that are nested in each other.";
        timers: 10_000, 1, 1_000_000, "", "guest_exception", "Pending timers of one instance.";
        sockets: 512, 0, 100_000, "", "too_many_sockets", "Open WebSockets of one instance, those that it opened itself included.";
        socket_message_bytes: MIB, 1, 64 * MIB, "bytes", "socket_message_too_large", "One message on a WebSocket, in either direction.";
        socket_buffer_bytes: 4 * MIB, 1 << 10, 1 << 30, "bytes", "socket_overflow", "Messages on their way to one peer that it has not taken.";
        socket_idle_ms: 60_000, 20, 3_600_000, "ms", "socket_idle", "How long the peer of a WebSocket may be silent; half-way it gets a ping.";
        socket_close_ms: 5_000, 1, 600_000, "ms", "", "How long the closing handshake of a WebSocket may take.";
        socket_pings: 64, 1, 1_000_000, "", "socket_flood", "Pings and pongs that the peer of a WebSocket may send in one second.";
        rpc_message_bytes: 32 * MIB, 1 << 10, 256 * MIB, "bytes", "rpc_too_large", "Arguments or result of one call to another worker's method, without what it streams.";
        rpc_buffer_bytes: 64 * MIB, 1 << 10, 1 << 30, "bytes", "rpc_overflow", "Calls of other workers and results for them that one instance has sent and nobody has taken.";
        rpc_stubs: 1_000, 0, 1_000_000, "", "too_many_stubs", "Functions and objects that one side of a call has given to the other by reference.";
    }
}

limits! {
    /// Limits on one app, set under `[limits]`.
    AppLimits, APP {
        concurrency: 1_024, 1, 1_000_000, "", "app_overloaded", "Requests of the app in progress on one node.";
        queue: 4_096, 0, 1_000_000, "", "app_overloaded", "Requests that may wait for a place.";
        queue_ms: 1_000, 0, 600_000, "ms", "app_overloaded", "How long a request may wait for a place.";
        instances: 64, 1, 10_000, "", "app_overloaded", "Instances of the app's workers on one core.";
        nesting: 16, 1, 64, "", "nesting_exceeded", "How deep service bindings may nest.";
        objects: 1_024, 1, 100_000, "", "app_overloaded", "Durable objects of the app awake on one core.";
        object_queue: 4_096, 1, 1_000_000, "", "object_overloaded", "Events that wait for one durable object, or are in progress in it.";
        object_takeover_ms: 10_000, 0, 3_600_000, "ms", "object_reset", "How long a durable object goes on with the events that it has when a new deployment waits to take it over.";
        object_sockets: 32_768, 0, 1_000_000, "", "too_many_sockets", "Open WebSockets that one durable object has accepted with ctx.acceptWebSocket.";
    }
}

limits! {
    /// Limits on one node, set under `[limits]` of the node configuration.
    NodeLimits, NODE {
        header_bytes: 64 << 10, 1 << 10, MIB, "bytes", "headers_too_large", "Head of a request.";
        header_count: 100, 8, 10_000, "", "headers_too_large", "Fields of a request.";
        uri_bytes: 16 << 10, 256, 64 << 10, "bytes", "uri_too_long", "Target of a request.";
        header_ms: 10_000, 10, 600_000, "ms", "request_timeout", "From the first byte of a request, or the accepted connection, to the end of its head.";
        body_idle_ms: 30_000, 10, 3_600_000, "ms", "request_timeout", "Pause between two pieces of a request body.";
        body_bytes_per_s_min: 64, 0, MIB, "bytes", "request_timeout", "Slowest average rate at which a request body may arrive, after the first ten seconds.";
        idle_ms: 60_000, 10, 3_600_000, "ms", "", "How long a connection may stand unused.";
        rest_ms: 2_000, 10, 3_600_000, "ms", "", "How long an HTTP/1.1 connection that nobody uses keeps its buffers.";
        write_idle_ms: 60_000, 10, 3_600_000, "ms", "client_gone", "Pause between two pieces of a response that the client takes.";
        connections: 10_000, 1, 10_000_000, "", "node_overloaded", "Connections of all clients.";
        connections_per_address: 1_000, 1, 10_000_000, "", "node_overloaded", "Connections of one client address.";
        h2_streams: 128, 1, 10_000, "", "", "Concurrent streams of one HTTP/2 or HTTP/3 connection.";
        h2_resets: 200, 10, 1_000_000, "", "protocol_flood", "Requests that an HTTP/2 or HTTP/3 client may give up; beyond, no more than half of all that it makes.";
        h2_pending_resets: 20, 1, 10_000, "", "protocol_flood", "Streams of an HTTP/2 connection that are reset before they were looked at.";
        h2_refused_streams: 64, 1, 10_000, "", "protocol_flood", "Streams that an HTTP/2 client makes the node reset, for an error of its own.";
        h2_control_frames: 1_000, 50, 1_000_000, "", "protocol_flood", "SETTINGS, PING, PRIORITY, RST_STREAM, empty and unknown frames of one HTTP/2 connection in ten seconds.";
        h2_window_updates: 1_000, 50, 1_000_000, "", "protocol_flood", "WINDOW_UPDATE frames of one HTTP/2 connection in ten seconds, beyond one for each 256 bytes that it was sent.";
        h2_continuations: 32, 4, 1_000, "", "protocol_flood", "CONTINUATION frames of one head.";
        quic_handshakes: 1_000, 4, 1_000_000, "", "", "Handshakes of one HTTP/3 listener under way; from a quarter of that on, clients must first show that their address is theirs.";
        tls_handshake_ms: 10_000, 10, 600_000, "ms", "", "From the accepted connection to the end of the TLS handshake.";
        certificates: 20_000, 1, 1_000_000, "", "", "Certificates of one listener.";
        certificate_bytes: 256 << 10, 1 << 10, 16 * MIB, "bytes", "", "One file of certificates, keys or client CAs.";
        local_certificates: 64, 1, 10_000, "", "", "Certificates that the local CA of development has made and keeps.";
        tls_refusal_lines: 10, 0, 1_000_000, "", "", "Lines of the log in one second, for each listener, about clients whose certificate was refused.";
        proxy_header_bytes: 2_048, 108, 65_551, "bytes", "bad_proxy_header", "Header of the PROXY protocol.";
        listeners: 64, 1, 1_000, "", "", "Listeners of one node.";
        handover_ms: 1_000, 0, 3_600_000, "ms", "draining", "How long what is in flight may go on when another process takes over.";
        drain_ms: 30_000, 0, 3_600_000, "ms", "draining", "How long a stopping node waits for what is in flight.";
        instances_total: 2_048, 1, 100_000, "", "node_overloaded", "Sandboxes alive on one node.";
        instance_idle_ms: 10_000, 1, 3_600_000, "ms", "", "How long an instance may stand unused before it is dropped.";
        loaded_images: 48, 1, 100_000, "", "", "Deployments kept mapped while idle.";
        preparations: 2, 1, 1_024, "", "", "Workers compiled or evaluated at the same time, when the engine's cache lost them.";
        start_failures: 3, 1, 1_000, "", "quarantined", "Failed starts in a row after which a worker is quarantined.";
        first_traps: 10, 1, 1_000, "", "quarantined", "New instances in a row that trap in their first event, after which a worker is quarantined.";
        quarantine_ms: 60_000, 1_000, 3_600_000, "ms", "quarantined", "Longest pause between two attempts to start a quarantined worker; the first is one second.";
        key_bytes: 512, 1, 512, "bytes", "key_too_long", "Key of a KV entry.";
        value_bytes: 25 * MIB, 1, 25 * MIB, "bytes", "value_too_large", "Value of a KV entry.";
        metadata_bytes: 1_024, 0, 64 << 10, "bytes", "metadata_too_large", "Metadata of a KV entry, as JSON.";
        list_keys: 1_000, 1, 10_000, "", "", "Keys in one page of a list.";
        get_keys: 100, 1, 1_000, "", "too_many_keys", "Keys that one KV read may name.";
        list_bytes: 4 * MIB, 1, 64 * MIB, "bytes", "", "Values in one page of a list that asks for values; the page ends early.";
        transaction_keys: 100, 1, 1_000, "", "transaction_too_large", "Checks and writes of one KV transaction.";
        transaction_bytes: 4 * MIB, 1, 64 * MIB, "bytes", "transaction_too_large", "Keys, values and metadata of one KV transaction.";
        watch_changes: 100_000, 0, 1_000_000, "", "changes_gone", "Changes of one app's KV that are kept for those who watch.";
        kv_namespace_keys: 10_000_000, 0, 1 << 40, "", "quota_exceeded", "Entries of one KV namespace.";
        kv_namespace_bytes: 16 << 30, 0, 1 << 50, "bytes", "quota_exceeded", "Keys, values and metadata of one KV namespace.";
        kv_app_keys: 20_000_000, 0, 1 << 40, "", "quota_exceeded", "Entries of all KV namespaces of one app.";
        kv_app_bytes: 32 << 30, 0, 1 << 50, "bytes", "quota_exceeded", "Keys, values and metadata of all KV namespaces of one app.";
        kv_cache_bytes: 16 * MIB, 0, 1 << 40, "bytes", "", "Memory of the node for KV values of up to 64 KiB that were read lately; 0 for none.";
        kv_files_open: 64, 4, 10_000, "", "", "Database files of KV kept open, one for each app; the least recently used is closed.";
        blob_key_bytes: 1_024, 1, 1_024, "bytes", "blob_key_too_long", "Key of a blob.";
        blob_put_bytes: 5 << 30, 1, 1 << 40, "bytes", "blob_too_large", "One blob, or one part of an upload, that is put at once.";
        blob_bytes: 5 << 40, 1, 1 << 50, "bytes", "blob_too_large", "One blob, uploaded in parts.";
        blob_app_bytes: 1 << 50, 1, 1 << 60, "bytes", "blob_quota", "All blobs of one app, old versions and parts of uploads included.";
        blob_metadata_bytes: 8 << 10, 0, 64 << 10, "bytes", "blob_metadata_too_large", "Metadata of a blob, names and values together.";
        blob_tags: 10, 0, 100, "", "blob_bad_tags", "Tags of a blob.";
        blob_list_keys: 1_000, 1, 10_000, "", "", "Keys and common prefixes in one page of a list of blobs.";
        blob_delete_keys: 1_000, 1, 10_000, "", "blob_too_many_keys", "Keys that one deletion of blobs may name.";
        blob_buckets: 1_000, 1, 100_000, "", "too_many_buckets", "Buckets of one app.";
        blob_uploads: 10_000, 1, 1_000_000, "", "too_many_uploads", "Uploads in parts to one bucket that are neither completed nor aborted.";
        blob_parts: 10_000, 1, 10_000, "", "bad_part", "Parts of one upload.";
        blob_part_bytes_min: 5 * MIB, 1, 1 << 30, "bytes", "part_too_small", "Every part of an upload but the last.";
        blob_rules: 100, 1, 1_000, "", "bucket_settings", "Rules of a bucket's lifecycle, and of its CORS.";
        blob_cache_bytes: 32 * MIB, 0, 1 << 40, "bytes", "", "Memory of the node for small blobs that were read lately; 0 for none.";
        blob_files_open: 64, 4, 10_000, "", "", "Database files of blobs kept open, one for each app; the least recently used is closed.";
        blob_inline_bytes: 32 << 10, 0, 64 << 10, "bytes", "", "Blobs up to this size lie in the database, larger ones in files.";
        access_keys: 1_000, 1, 100_000, "", "too_many_access_keys", "Access keys of one app.";
        s3_skew_ms: 900_000, 1_000, 86_400_000, "ms", "clock_skew", "How far the date of a signed request may be from the node's clock.";
        s3_presign_s: 604_800, 1, 604_800, "s", "bad_blob_request", "How long a presigned URL may be good for.";
        s3_document_bytes: 2 * MIB, 1 << 10, 64 * MIB, "bytes", "body_too_large", "An XML document, or the form before the file of a POST, in a request of the S3 protocol.";
        disk_reserve_bytes: 32 * MIB, 0, 1 << 40, "bytes", "store_full", "Room kept for a start on a full disk, if the disk has eight times as much when the data directory is made; 0 keeps none.";
        ledger_bytes: 256 * MIB, 64 * MIB, 1 << 40, "bytes", "node_overloaded", "The log of commits of SQL databases and durable objects; what it holds is what a start after a crash has to go through.";
        sql_bytes: 100_000, 1_000, 10_000_000, "bytes", "sql_limit", "Text of one SQL statement, or of one script.";
        sql_value_bytes: 2 * MIB, 1_024, 1 << 30, "bytes", "sql_limit", "One string, blob or row of a SQL database.";
        sql_parameters: 1_000, 1, 32_766, "", "sql_limit", "Values bound to one SQL statement.";
        sql_columns: 500, 16, 2_000, "", "sql_limit", "Columns of a table, an index or a result.";
        sql_statements: 1_000, 1, 100_000, "", "sql_limit", "Statements of one batch.";
        sql_result_bytes: 32 * MIB, 1_024, 1 << 30, "bytes", "sql_result_too_large", "What one batch answers, or holds of one statement's rows.";
        sql_ms: 5_000, 1, 600_000, "ms", "sql_time_limit", "How long one SQL statement may run.";
        sql_migration_ms: 60_000, 1, 3_600_000, "ms", "sql_time_limit", "How long one migration, or one import, may run.";
        sql_database_bytes: 10 << 30, MIB, 1 << 40, "bytes", "sql_database_full", "One SQL database.";
        sql_app_bytes: 1 << 50, MIB, 1 << 60, "bytes", "quota_exceeded", "All SQL databases of one app.";
        sql_transaction_ms: 5_000, 1, 600_000, "ms", "sql_transaction_over", "How long an interactive transaction may last; the database has no other writer meanwhile.";
        sql_transaction_idle_ms: 1_000, 1, 600_000, "ms", "sql_transaction_over", "Pause between two statements of an interactive transaction.";
        sql_stream_ms: 60_000, 1, 3_600_000, "ms", "sql_time_limit", "How long the rows of one statement may be on their way to a worker as a stream.";
        sql_streams: 32, 1, 1_000, "", "node_overloaded", "Statements whose rows are on their way as a stream, all apps together.";
        sql_slow_ms: 200, 0, 600_000, "ms", "", "A statement that runs longer is logged with its plan.";
        sql_cached_statements: 64, 1, 10_000, "", "", "Compiled statements kept by one connection.";
        sql_files_open: 256, 4, 10_000, "", "", "SQL databases kept open; the least recently used is closed.";
        sql_changes: 100_000, 1, 100_000_000, "", "sql_changes_gone", "Changes that the feed of one SQL database goes back.";
        sql_idle_ms: 60_000, 1_000, 3_600_000, "ms", "", "How long a SQL database may stand unused before it is closed.";
        archive_days: 30, 0, 3_650, "", "", "Days for which every journaled database can be restored as it was at any moment; 0 keeps no archive.";
        archive_copy_days: 30, 1, 3_650, "", "", "The same for the copy of the archive in the directory that [archive] names.";
        archive_copy_ms: 60_000, 100, 86_400_000, "ms", "", "How often what is new in the archive is copied there.";
        cache_bytes: 256 * MIB, MIB, 1 << 40, "bytes", "", "Responses in the cache, those of all apps together.";
        cache_app_bytes: 64 * MIB, MIB, 1 << 40, "bytes", "", "Responses of one app in the cache; beyond, what it put longest ago goes.";
        cache_entry_bytes: 16 * MIB, 1, 1 << 30, "bytes", "", "Body of one response in the cache; a larger one is not stored.";
        cache_disk_bytes: 10 << 30, MIB, 1 << 50, "bytes", "", "Responses in the cache's disk tier, if there is one.";
        cache_disk_app_bytes: 10 << 30, MIB, 1 << 50, "bytes", "", "Those of one app; beyond, what it used longest ago goes.";
        cache_filling_bytes: 64 * MIB, MIB, 1 << 40, "bytes", "", "Bodies on their way into the cache, all together; beyond, a response is not stored.";
        cache_key_bytes: 16 << 10, 256, MIB, "bytes", "", "URL of a response in the cache, and the cache's name; one with a longer URL is not stored.";
        compressed_streams: 128, 0, 100_000, "", "", "Answers that are compressed as they go out, at the same time; a further one goes out as it is.";
        compressed_files_bytes: 16 * MIB, 0, 1 << 40, "bytes", "", "Compressed files that one core keeps at hand.";
        trace_records: 1_024, 0, 1_000_000, "", "", "Requests that `selvedge trace` looks back on, the last ones.";
        object_key_bytes: 2_048, 1, 64 << 10, "bytes", "key_too_long", "Key in the storage of a durable object.";
        object_value_bytes: 2 * MIB, 1, 64 * MIB, "bytes", "value_too_large", "Value under one key in the storage of a durable object, as it is encoded.";
        object_keys: 128, 1, 10_000, "", "too_many_keys", "Keys that one call of a durable object's storage names.";
        object_cache_bytes: 64 << 10, 0, 64 * MIB, "bytes", "", "What a durable object that is awake has at hand of its keys, as it read or wrote them last: to read those again asks no file.";
        object_bytes: 1 << 30, MIB, 1 << 40, "bytes", "object_full", "What one durable object stores.";
        object_app_bytes: 1 << 50, MIB, 1 << 60, "bytes", "quota_exceeded", "All durable objects of one app.";
        object_attachment_bytes: 16 << 10, 0, MIB, "bytes", "value_too_large", "What a durable object keeps with one of its WebSockets, as it is encoded.";
        object_idle_ms: 10_000, 1, 3_600_000, "ms", "", "How long a durable object may stand unused before it is put to sleep.";
        object_sql_ms: 500, 1, 60_000, "ms", "sql_time_limit", "How long one SQL statement of a durable object may run; its core waits for it.";
        object_alarm_retries: 6, 0, 100, "", "", "How often an alarm runs again after its handler failed.";
        artifact_bytes: 128 * MIB, MIB, 1 << 30, "bytes", "body_too_large", "One artifact or asset of a deployment.";
        egress_connect_ms: 10_000, 10, 600_000, "ms", "upstream_timeout", "Connecting to a target of an outbound request.";
        egress_redirects: 20, 0, 100, "", "upstream_protocol", "Redirects that one outbound request follows.";
        admin_body_bytes: 256 * MIB, MIB, 1 << 40, "bytes", "body_too_large", "Body of a call to the admin API.";
    }
}

limits! {
    /// Limits on one PostgreSQL database of an app, set under `[postgres.NAME] limits`. Each node keeps
    /// them for itself.
    PostgresLimits, POSTGRES {
        pool: 10, 1, 1_000, "", "postgres_busy", "Connections that statements and transactions share, on one node.";
        pool_queue: 1_000, 0, 100_000, "", "postgres_busy", "Statements and transactions that may wait for a connection.";
        pool_wait_ms: 5_000, 0, 600_000, "ms", "postgres_busy", "How long one may wait for a connection.";
        pool_idle_ms: 60_000, 100, 3_600_000, "ms", "", "How long a connection may stand unused before it is closed.";
        connect_ms: 10_000, 10, 600_000, "ms", "postgres_unreachable", "Connecting, TLS and login together.";
        statement_ms: 30_000, 1, 3_600_000, "ms", "postgres_timeout", "How long one statement may run.";
        transaction_idle_ms: 5_000, 10, 3_600_000, "ms", "postgres_timeout", "How long an open transaction may wait for its next statement.";
        transaction_ms: 60_000, 10, 3_600_000, "ms", "postgres_timeout", "How long a transaction may be open.";
        cancel_ms: 5_000, 10, 60_000, "ms", "postgres_lost", "How long the server may take to end a statement that it was asked to cancel; then its connection is closed.";
        statement_bytes: MIB, 1, 64 * MIB, "bytes", "postgres_refused", "Text of one statement.";
        parameter_bytes: 16 * MIB, 1, 1 << 30, "bytes", "postgres_refused", "Parameters of one statement, together.";
        result_bytes: 16 * MIB, 1 << 10, 1 << 30, "bytes", "postgres_result_too_large", "Rows that one statement answers with.";
        prepared: 100, 1, 10_000, "", "", "Prepared statements that one connection keeps; the least recently used goes.";
        listeners: 100, 0, 10_000, "", "postgres_busy", "Listeners on one node; they share one connection of their own.";
        notifications: 1_000, 1, 100_000, "", "postgres_overflow", "Notifications on their way to one listener that it has not taken.";
        slow_ms: 1_000, 0, 3_600_000, "ms", "", "A statement that takes longer is named in the log; 0 for none.";
    }
}

limits! {
    /// Limits on one upstream, set under `[upstreams.NAME] limits`. Each node keeps them for itself.
    UpstreamLimits, UPSTREAM {
        connect_ms: 10_000, 10, 600_000, "ms", "upstream_timeout", "Resolving a target's name and connecting.";
        tls_ms: 10_000, 10, 600_000, "ms", "upstream_timeout", "The TLS handshake with a target.";
        first_byte_ms: 60_000, 1, 86_400_000, "ms", "upstream_timeout", "From the end of the request to the head of the response.";
        between_bytes_ms: 60_000, 1, 86_400_000, "ms", "upstream_timeout", "Between two pieces of a response body.";
        total_ms: 0, 0, 86_400_000, "ms", "upstream_timeout", "All of a request: waiting, retries, and the response to its end; 0 for no bound.";
        try_ms: 0, 0, 86_400_000, "ms", "upstream_timeout", "One try, up to the head of its response; 0 for no bound.";
        retries: 2, 0, 10, "", "", "How often a request goes out again that may.";
        retry_percent: 20, 0, 100, "", "", "Of a hundred requests, so many may go out again.";
        retry_min_per_s: 10, 0, 10_000, "", "", "So many a second may go out again besides.";
        hedge_percentile: 0, 0, 99, "", "", "A request that takes longer than so many of a hundred goes out once more beside the first; 0 for never.";
        eject_failures: 5, 0, 1_000, "", "", "Failures in a row that eject a target; 0 for never.";
        eject_ms: 10_000, 10, 3_600_000, "ms", "", "How long a target is ejected the first time; each time again it is longer.";
        eject_percent: 50, 0, 100, "", "", "Of a hundred targets, so many may be ejected at once.";
        slow_start_ms: 0, 0, 3_600_000, "ms", "", "How long the share of a target grows after it came back.";
        check_interval_ms: 5_000, 10, 3_600_000, "ms", "", "Between two health checks of a target, give or take a tenth.";
        check_ms: 2_000, 1, 600_000, "ms", "", "How long a health check may take.";
        checks_up: 2, 1, 100, "", "", "Checks in a row that bring a target back.";
        checks_down: 3, 1, 100, "", "", "Checks in a row that take a target down.";
        breaker_percent: 0, 0, 100, "", "upstream_open", "Failures of a hundred requests in ten seconds that open the breaker; 0 for never.";
        breaker_requests: 20, 1, 1_000_000, "", "upstream_open", "With fewer requests in ten seconds the breaker stays closed.";
        breaker_ms: 5_000, 1, 3_600_000, "ms", "upstream_open", "How long the breaker is open before one request tries.";
        requests: 0, 0, 1_000_000, "", "upstream_busy", "Requests under way at one target, which is connections for HTTP/1.1; 0 for any number.";
        adaptive_max: 0, 0, 1_000_000, "", "upstream_busy", "As many requests are under way as the targets answer without growing slower, and no more than this; 0 for no such bound.";
        waiting: 1_000, 0, 1_000_000, "", "upstream_busy", "Requests that may wait for room.";
        waiting_ms: 5_000, 1, 600_000, "ms", "upstream_busy", "How long one may wait for room.";
        idle_connections: 32, 0, 10_000, "", "", "Unused connections kept to one target, on one core.";
        idle_connection_ms: 30_000, 1, 3_600_000, "ms", "", "How long an unused connection is kept.";
        connection_ms: 0, 0, 86_400_000, "ms", "", "How old a connection may be that takes another request; 0 for any age.";
        connection_requests: 0, 0, 1_000_000, "", "", "Requests that one connection takes; 0 for any number.";
        head_bytes: 64 << 10, 1 << 10, MIB, "bytes", "upstream_protocol", "The head of a response.";
        head_fields: 256, 16, 10_000, "", "upstream_protocol", "Fields of the head of a response.";
        socket_message_bytes: 16 * MIB, 1, 64 * MIB, "bytes", "socket_message_too_large", "One message on a WebSocket to a target, in either direction.";
        socket_buffer_bytes: 32 * MIB, 1 << 10, 1 << 30, "bytes", "socket_overflow", "Messages on their way to one peer of a WebSocket that it has not taken.";
        socket_idle_ms: 60_000, 20, 3_600_000, "ms", "socket_idle", "How long the target may be silent on a WebSocket; half-way it gets a ping.";
        socket_close_ms: 5_000, 1, 600_000, "ms", "", "How long the closing handshake of a WebSocket may take.";
        socket_pings: 1_000, 1, 1_000_000, "", "socket_flood", "Pings and pongs that a peer of a WebSocket may send in one second.";
        spool_bytes: 0, 0, 1 << 30, "bytes", "", "A request body up to so large is read whole before a target is asked, so that it may go out again; 0 to pass it on as it comes.";
    }
}

limits! {
    /// Limits of `selvedge test`, set under `[test] limits`.
    TestLimits, TEST {
        test_ms: 5_000, 1, 3_600_000, "ms", "", "How long one test may take, its beforeEach and afterEach hooks included; --timeout and the test itself come before. Nine tenths of it are the CPU time of one step.";
        hook_ms: 10_000, 1, 3_600_000, "ms", "", "How long the beforeAll or afterAll hooks of one suite may take, and the loading of a file; a hook that names its own comes before.";
        quiet_ms: 1_000, 0, 60_000, "ms", "", "How long the next test waits for work that the last one passed to waitUntil.";
        test_files: 10_000, 1, 1_000_000, "", "", "Files of tests in one project.";
        test_entries: 1_000_000, 1, 100_000_000, "", "", "Files and directories that are looked at to find them.";
    }
}

#[cfg(test)]
mod tests;
