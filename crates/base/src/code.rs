//! Stable error codes: what a client, a log reader or a script may match on.
//!
//! A code never changes its meaning once released. Each says whose fault the error is, which HTTP
//! status a client sees, whether the same request may help when it is sent again, and what to do.

/// Whose fault an error is. Decides who is told what: a client hears about its own faults in full,
/// and about the others only that they happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The caller sent something that can't be served.
    Client,
    /// The application's code or manifest is wrong.
    Guest,
    /// A server that the application talks to failed.
    Upstream,
    /// Selvedge, its configuration or its machine.
    Node,
}

impl Fault {
    pub fn as_str(self) -> &'static str {
        match self {
            Fault::Client => "client",
            Fault::Guest => "guest",
            Fault::Upstream => "upstream",
            Fault::Node => "node",
        }
    }
}

/// One row of the table of codes.
#[derive(Debug, PartialEq, Eq)]
pub struct CodeRow {
    /// The stable name, in snake case.
    pub name: &'static str,
    /// The HTTP status of the answer that carries it.
    pub status: u16,
    pub fault: Fault,
    /// True if the same request may succeed when sent again.
    pub retry: bool,
    /// One line for a person.
    pub title: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

/// A reference to a row of the table; compares by identity of the row's name.
pub type Code = &'static CodeRow;

const fn row(
    name: &'static str,
    status: u16,
    fault: Fault,
    retry: bool,
    title: &'static str,
    remedy: &'static str,
) -> CodeRow {
    CodeRow { name, status, fault, retry, title, remedy }
}

use Fault::{Client, Guest, Node, Upstream};

macro_rules! codes {
    ($($id:ident = $row:expr;)*) => {
        $(pub static $id: CodeRow = $row;)*
        /// Every code, in the order of this file.
        pub static ALL: &[Code] = &[$(&$id),*];
    };
}

codes! {
    // The request itself.
    BAD_REQUEST = row("bad_request", 400, Client, false, "The request is malformed", "Send a well-formed HTTP request.");
    BAD_PATH = row("bad_path", 400, Client, false, "The request path is not acceptable", "Send a path without NUL, dot segments that leave the root, or encoded slashes in asset names.");
    BODY_TOO_LARGE = row("body_too_large", 413, Client, false, "The request body is larger than allowed", "Send a smaller body, or raise request_body_bytes.");
    HEADERS_TOO_LARGE = row("headers_too_large", 431, Client, false, "The request headers are larger than allowed", "Send fewer or shorter headers.");
    URI_TOO_LONG = row("uri_too_long", 414, Client, false, "The request target is longer than allowed", "Send a shorter URL.");
    REQUEST_TIMEOUT = row("request_timeout", 408, Client, true, "The request did not arrive in time", "Send the head and the body without long pauses.");
    METHOD_NOT_ALLOWED = row("method_not_allowed", 405, Client, false, "The method is not allowed here", "See the Allow header.");
    RANGE_NOT_SATISFIABLE = row("range_not_satisfiable", 416, Client, false, "The requested range lies outside the file", "Ask for a range within the length that Content-Range names.");
    NO_ROUTE = row("no_route", 404, Client, false, "No route matches this host and path", "Check the host name and the [[routes]] of the manifest.");
    MAINTENANCE = row("maintenance", 503, Guest, true, "Closed for maintenance", "Come again later; to open the route, remove maintenance from it.");
    ROUTE_TIMEOUT = row("route_timeout", 504, Upstream, true, "The target did not answer in the time that its route allows", "Check the target, or raise timeout_ms of the route.");
    NO_APP = row("no_app", 404, Client, false, "No application is served at this host", "Deploy an application that claims the host, or use <app>.localhost.");
    NOT_FOUND = row("not_found", 404, Client, false, "There is nothing at this path", "Check the path.");
    CLIENT_GONE = row("client_gone", 499, Client, true, "The client left before the response was complete", "Nothing to do on the server.");
    CLIENT_TOO_SLOW = row("client_too_slow", 408, Client, true, "The client reads a response more slowly than others with whom it shares the fetch", "Send the request again; if it is common, let the origin say Content-Length or a strong ETag, or raise cache_entry_bytes.");

    // Connections.
    H2_FLOOD = row("protocol_flood", 429, Client, false, "The HTTP/2 client sends more overhead than requests", "Send fewer frames of that kind; the limit that the log names can be raised.");
    TLS_REQUIRED = row("tls_required", 400, Client, false, "This port speaks TLS", "Use https:// in the address.");
    MISDIRECTED = row("misdirected", 421, Client, true, "This connection was not made for this host", "Open another connection, with this host as its server name.");
    BAD_PROXY_HEADER = row("bad_proxy_header", 400, Client, false, "The connection has no valid PROXY protocol header", "Let the proxy in front send one, or take its address out of proxy_protocol_from.");

    // WebSockets.
    BAD_HANDSHAKE = row("bad_handshake", 400, Client, false, "The WebSocket handshake is not valid", "Send GET with Connection: Upgrade, Upgrade: websocket and a Sec-WebSocket-Key of 16 bytes in base64.");
    SOCKET_VERSION = row("socket_version", 426, Client, false, "This version of the WebSocket protocol is not served", "Use Sec-WebSocket-Version: 13.");
    UPGRADE_REQUIRED = row("upgrade_required", 426, Client, false, "This path takes WebSocket connections only", "Connect with a WebSocket client.");
    SOCKET_PROTOCOL = row("socket_protocol", 400, Client, false, "The peer broke the WebSocket protocol", "Send masked frames, known opcodes and valid UTF-8.");
    SOCKET_MESSAGE_TOO_LARGE = row("socket_message_too_large", 413, Client, false, "The message is larger than socket_message_bytes", "Send smaller messages, or raise limits.socket_message_bytes.");
    SOCKET_OVERFLOW = row("socket_overflow", 503, Client, true, "The peer of a WebSocket takes its messages too slowly", "Read faster, send less, or raise limits.socket_buffer_bytes.");
    SOCKET_FLOOD = row("socket_flood", 429, Client, true, "The peer of a WebSocket sent too many control frames or fragments", "Send fewer pings, and messages in fewer pieces.");
    SOCKET_IDLE = row("socket_idle", 408, Client, true, "The peer of a WebSocket was silent for too long", "Answer pings, or raise limits.socket_idle_ms.");
    TOO_MANY_SOCKETS = row("too_many_sockets", 503, Guest, true, "The instance has as many WebSockets as it may", "Close some, or raise limits.sockets.");

    // The guest.
    GUEST_EXCEPTION = row("guest_exception", 500, Guest, false, "The worker threw an exception", "See the log for the stack trace.");
    GUEST_TRAP = row("guest_trap", 500, Guest, false, "The worker's sandbox trapped", "See the log; the instance was discarded.");
    INVALID_RESPONSE = row("invalid_response", 500, Guest, false, "The handler did not return a Response", "Return a Response, or a promise of one, from fetch().");
    NO_HANDLER = row("no_handler", 500, Guest, false, "The worker exports no handler for this event", "Export default an object with a fetch() method.");
    NEVER_SETTLED = row("never_settled", 500, Guest, false, "The handler's promise can never settle", "The handler awaits something that nothing will resolve.");
    CPU_EXCEEDED = row("cpu_exceeded", 503, Guest, false, "The worker used more CPU time than cpu_ms allows", "Do less work per request, or raise limits.cpu_ms.");
    HEAD_TIMEOUT = row("head_timeout", 504, Guest, true, "The worker sent no response head within head_ms", "Answer sooner, or raise limits.head_ms.");
    STREAM_IDLE = row("stream_idle", 504, Guest, true, "A stream stood still for longer than stream_idle_ms", "Keep data moving, or raise limits.stream_idle_ms.");
    WAIT_UNTIL_EXCEEDED = row("wait_until_exceeded", 500, Guest, false, "Work passed to waitUntil ran longer than wait_until_ms", "Do less after the response, or raise limits.wait_until_ms.");
    MEMORY_EXCEEDED = row("memory_exceeded", 503, Guest, false, "The worker used more memory than memory_mib allows", "Hold less in memory, or raise limits.memory_mib.");
    NATIVE_MEMORY_EXCEEDED = row("native_memory_exceeded", 503, Guest, false, "The worker's compression streams and HTML rewriters hold more than native_mib or rewriter_bytes allows", "Use fewer at a time, or raise limits.native_mib or limits.rewriter_bytes.");
    SUBREQUESTS_EXCEEDED = row("subrequests_exceeded", 500, Guest, false, "The worker made more sub-requests than allowed", "Make fewer calls, or raise limits.subrequests.");
    RESPONSE_TOO_LARGE = row("response_too_large", 500, Guest, false, "The response body is larger than response_body_bytes", "Send less, or raise limits.response_body_bytes.");
    TOO_MANY_ITERATIONS = row("too_many_iterations", 500, Guest, false, "PBKDF2 was to run more iterations than pbkdf2_iterations", "Use fewer iterations, or raise limits.pbkdf2_iterations.");
    NODE_SYNC_EXCEEDED = row("node_sync_exceeded", 500, Guest, false, "A call of a Node.js module takes or gives more than it may at once", "Use the asynchronous function or a stream, or raise the limit that the message names.");
    KDF_TOO_COSTLY = row("kdf_too_costly", 500, Guest, false, "A key derivation costs more than it may", "Choose cheaper parameters, use the asynchronous function, or raise the limit that the message names.");
    WASM_NOT_IMPORTED = row("wasm_not_imported", 500, Guest, false, "The worker wanted to compile WebAssembly while it runs", "Import the module, so that it is compiled when the worker is deployed.");
    TOO_MANY_WASM_INSTANCES = row("too_many_wasm_instances", 503, Guest, true, "The worker made more instances, memories, tables or globals of WebAssembly than it may", "Make an instance once, at the top of a module, or raise the limit that the message names.");
    LOG_LIMIT = row("log_limit", 500, Guest, false, "The worker logged more than log_bytes in one request", "Log less, or raise limits.log_bytes; what went beyond was dropped.");
    NESTING_EXCEEDED = row("nesting_exceeded", 508, Guest, false, "Workers call each other too deeply", "Break the cycle between service bindings.");
    INSTANCE_LOST = row("instance_lost", 503, Guest, true, "The instance was lost to another request", "Send the request again.");
    RPC_TOO_LARGE = row("rpc_too_large", 413, Guest, false, "A message to another worker is larger than rpc_message_bytes", "Pass less, pass a stream, or raise limits.rpc_message_bytes.");
    RPC_OVERFLOW = row("rpc_overflow", 503, Guest, true, "A worker takes the calls that are made to it too slowly", "Await calls before making more, or raise limits.rpc_buffer_bytes.");
    TOO_MANY_STUBS = row("too_many_stubs", 500, Guest, false, "More functions and objects are passed by reference than rpc_stubs allows", "Dispose of stubs that are no longer needed, or raise limits.rpc_stubs.");
    RPC_ENDED = row("rpc_ended", 503, Guest, true, "The worker that a stub leads to has ended", "Call the binding again for a new stub; a stub lives as long as the request that got it.");
    NO_ENTRYPOINT = row("no_entrypoint", 500, Guest, false, "The worker has no such entry point", "Export a class that extends WorkerEntrypoint under the name that the binding gives.");
    EGRESS_DENIED = row("egress_denied", 502, Guest, false, "The worker may not reach this address", "Name the target in the worker's egress list.");
    QUARANTINED = row("quarantined", 503, Guest, true, "The worker keeps failing to start", "Fix the start-up error shown in the log; it is tried again after a pause.");
    START_FAILED = row("start_failed", 500, Guest, false, "The worker failed to start", "See the log for the error that evaluation raised.");
    IO_AT_START = row("io_at_start", 500, Guest, false, "I/O while a module is evaluated", "Move the call into a handler.");
    BAD_COMPONENT = row("bad_component", 500, Guest, false, "The component can't be run", "Build it for the wasi:http/proxy world, with the imports that were granted.");
    BAD_SCRIPT = row("bad_script", 500, Guest, false, "The script can't be compiled", "Fix the error at the line shown.");

    // Servers the guest talks to.
    UPSTREAM_UNREACHABLE = row("upstream_unreachable", 502, Upstream, true, "The target could not be reached", "Check that the target is up and its name resolves.");
    UPSTREAM_PROTOCOL = row("upstream_protocol", 502, Upstream, true, "The target broke the protocol", "Check the target.");
    NOT_CACHED = row("not_cached", 504, Client, true, "Nothing stored answers the request", "Leave out Cache-Control: only-if-cached.");
    UPSTREAM_TIMEOUT = row("upstream_timeout", 504, Upstream, true, "The target did not answer in time", "Check the target.");
    UPSTREAM_TLS = row("upstream_tls", 502, Upstream, false, "The TLS connection to the target failed", "Check the target's certificate.");
    UPSTREAM_BUSY = row("upstream_busy", 503, Upstream, true, "The upstream has no room for another request", "Try again later, or raise requests or waiting under [upstreams.NAME] limits.");
    UPSTREAM_LOOP = row("upstream_loop", 508, Upstream, false, "The request came back to a node that it had passed", "Let no upstream lead back to a node in front of it; CDN-Loop names those it passed.");
    UPSTREAM_OPEN = row("upstream_open", 503, Upstream, true, "The upstream failed too often and is left alone for a while", "Check its targets: selvedge upstreams.");

    // Data.
    KEY_TOO_LONG = row("key_too_long", 400, Guest, false, "The key is longer than key_bytes", "Use a shorter key.");
    KEY_EMPTY = row("key_empty", 400, Guest, false, "The key is empty", "Use a key of at least one byte, other than dot and dot-dot.");
    VALUE_TOO_LARGE = row("value_too_large", 413, Guest, false, "The value is larger than value_bytes", "Store a smaller value, or use a blob bucket.");
    METADATA_TOO_LARGE = row("metadata_too_large", 413, Guest, false, "The metadata is larger than metadata_bytes", "Store less metadata.");
    TOO_MANY_KEYS = row("too_many_keys", 400, Guest, false, "More keys were asked for at once than get_keys allows", "Ask for fewer keys at a time.");
    BAD_METADATA = row("bad_metadata", 400, Guest, false, "The metadata is not JSON", "Give metadata that JSON can express.");
    BAD_EXPIRY = row("bad_expiry", 400, Guest, false, "The expiry is not acceptable", "Give an expiry in the future, a TTL of at least one second.");
    BAD_CURSOR = row("bad_cursor", 400, Guest, false, "The cursor was not made by this list", "Start the list again without a cursor.");
    REVISION_CONFLICT = row("revision_conflict", 409, Guest, true, "The key changed since it was read", "Read it again and retry.");
    BLOB_KEY_TOO_LONG = row("blob_key_too_long", 400, Guest, false, "The key is longer than blob_key_bytes", "Use a shorter key.");
    BLOB_TOO_MANY_KEYS = row("blob_too_many_keys", 400, Guest, false, "More keys were named at once than blob_delete_keys allows", "Name fewer keys at a time.");
    BLOB_TOO_LARGE = row("blob_too_large", 413, Client, false, "The blob is larger than blob_put_bytes or blob_bytes", "Upload it in parts, or a smaller one.");
    BLOB_QUOTA = row("blob_quota", 507, Guest, false, "The app's blobs have used up blob_app_bytes", "Delete blobs, old versions or unfinished uploads.");
    BLOB_METADATA_TOO_LARGE = row("blob_metadata_too_large", 400, Guest, false, "The metadata is larger than blob_metadata_bytes", "Store less metadata.");
    BLOB_BAD_METADATA = row("blob_bad_metadata", 400, Guest, false, "The metadata can't be sent as fields of HTTP", "Use names of fields, and values without control characters.");
    BLOB_BAD_TAGS = row("blob_bad_tags", 400, Guest, false, "The tags are too many or too long", "Use at most blob_tags tags, with names of 128 and values of 256 characters.");
    BLOB_RANGE = row("blob_range", 416, Client, false, "The range lies behind the end of the blob", "Ask for a range within its size.");
    BLOB_PRECONDITION = row("blob_precondition", 412, Client, false, "A condition on the blob does not hold", "Read it again and decide anew.");
    BLOB_DIGEST = row("blob_digest", 400, Client, true, "The content does not have the checksum that was sent with it", "Send it again.");
    BLOB_LENGTH = row("blob_length", 400, Client, true, "The body is shorter or longer than announced", "Send it again.");
    NO_BUCKET = row("no_bucket", 404, Client, false, "There is no such bucket", "Create it, or check its name and whose access key is used.");
    BUCKET_NOT_EMPTY = row("bucket_not_empty", 409, Client, false, "The bucket is not empty", "Delete every version of every key, and abort uploads, first.");
    TOO_MANY_BUCKETS = row("too_many_buckets", 400, Client, false, "The app has blob_buckets buckets", "Delete one that is not used.");
    BUCKET_SETTINGS = row("bucket_settings", 400, Client, false, "The settings of the bucket are not acceptable", "See the detail.");
    NO_UPLOAD = row("no_upload", 404, Client, false, "There is no such upload", "It was completed or aborted; look whether the blob is there.");
    TOO_MANY_UPLOADS = row("too_many_uploads", 400, Client, false, "Too many uploads are not completed", "Complete or abort some, or let a lifecycle rule do it.");
    BAD_PART = row("bad_part", 400, Client, false, "A part is not there, or is another one", "Upload it again.");
    PART_ORDER = row("part_order", 400, Client, false, "Parts are not named in rising order", "Sort them by number.");
    PART_TOO_SMALL = row("part_too_small", 400, Client, false, "A part before the last is smaller than blob_part_bytes_min", "Upload larger parts.");
    TOO_MANY_ACCESS_KEYS = row("too_many_access_keys", 400, Client, false, "The app has access_keys access keys", "Delete one that is not used.");
    NO_ACCESS_KEY = row("no_access_key", 404, Client, false, "There is no such access key", "List them with: selvedge blob key list APP.");
    S3_DENIED = row("access_denied", 403, Client, false, "The access key does not grant this", "Use another key, or make one that does.");
    S3_SIGNATURE = row("bad_signature", 403, Client, false, "The signature is not right", "Check the access key, its secret, and what changes requests on their way.");
    S3_CLOCK_SKEW = row("clock_skew", 403, Client, true, "The date of the request is too far from the node's clock", "Set the clock.");
    S3_EXPIRED = row("signature_expired", 403, Client, false, "The presigned URL or the policy has expired", "Make a new one.");
    S3_BAD_REQUEST = row("bad_blob_request", 400, Client, false, "The request is not as the S3 protocol has it", "See the detail.");
    S3_UNSUPPORTED = row("blob_unsupported", 501, Client, false, "This part of the S3 protocol is not supported", "See docs/capabilities/blobs.md.");
    BAD_TRANSACTION = row("bad_transaction", 400, Guest, false, "The transaction can't be made", "Write each key once.");
    TRANSACTION_TOO_LARGE = row("transaction_too_large", 413, Guest, false, "The transaction has more keys or bytes than it may", "Split it, or raise the limit that the message names.");
    NOT_A_COUNTER = row("not_a_counter", 409, Guest, false, "The value is no counter", "Add to keys that hold whole numbers in decimal, or to new ones.");
    COUNTER_OVERFLOW = row("counter_overflow", 409, Guest, false, "The counter would leave the range of 64 bits", "Begin the counter again.");
    CHANGES_GONE = row("changes_gone", 410, Guest, false, "The changes since this revision are no longer kept", "List again, and watch from the revision of the page; or raise watch_changes.");
    QUOTA_EXCEEDED = row("quota_exceeded", 507, Guest, false, "The app would store more than its quota", "Delete what is not needed, or raise the limit that the message names.");
    BAD_OBJECT_ID = row("bad_object_id", 400, Guest, false, "This is no id of an object of the class", "Use an id that idFromName or newUniqueId of the same binding made.");
    NO_OBJECT_CLASS = row("no_object_class", 500, Guest, false, "The worker has no such class of durable objects", "Export the class under the name that the binding gives.");
    OBJECT_FULL = row("object_full", 507, Guest, false, "The durable object stores more than object_bytes allows", "Delete what is no longer needed, use more objects, or raise limits.object_bytes.");
    OBJECT_OVERLOADED = row("object_overloaded", 503, Guest, true, "Too many events wait for one durable object", "Spread the work over more objects, or raise limits.object_queue.");
    OBJECT_RESET = row("object_reset", 503, Guest, true, "The durable object was reset", "Send the request again; what was acknowledged is kept, what was only in memory is gone.");
    OBJECT_AWAKE = row("object_awake", 409, Client, true, "The durable object is awake", "Wait until it sleeps (object_idle_ms after its last use), or stop the node, then try again.");
    OBJECT_MOVED = row("object_moved", 503, Node, true, "The durable object lives elsewhere now", "Send the request again.");
    BAD_OBJECT_DATA = row("bad_object_data", 422, Client, false, "This is no export of a durable object", "Give a file that selvedge objects export wrote.");
    OBJECT_PAST = row("object_past", 422, Client, false, "The durable object can't be put back to this moment", "Name a moment of the last archive_days, not before the object was first written, and not one to come.");
    OBJECT_MISSING = row("object_missing", 404, Client, false, "There is no such durable object", "See: selvedge objects APP CLASS list.");
    SQL_ERROR = row("sql_error", 500, Guest, false, "SQLite refused the statement", "See the message; correct the statement.");
    SQL_CONSTRAINT = row("sql_constraint", 409, Guest, false, "A constraint of the database does not hold", "Change the values, or the constraint.");
    SQL_FORBIDDEN = row("sql_forbidden", 403, Guest, false, "The statement is not allowed here", "See the message for what there is instead.");
    SQL_PARAMETERS = row("sql_parameters", 400, Guest, false, "The bound values do not fit the statement", "Bind a value for each parameter.");
    SQL_LIMIT = row("sql_limit", 413, Guest, false, "The statement goes beyond a limit on SQL", "Use a smaller statement or value, or raise the limit that the message names.");
    SQL_RESULT_TOO_LARGE = row("sql_result_too_large", 413, Guest, false, "The result is larger than sql_result_bytes", "Ask for less, iterate over the rows, or raise the limit.");
    SQL_TIME_LIMIT = row("sql_time_limit", 504, Guest, false, "The statement ran longer than it may", "Add an index, ask for less, or raise the limit that the message names.");
    SQL_DATABASE_FULL = row("sql_database_full", 507, Guest, false, "The database has as many bytes as it may", "Delete what is not needed, or raise sql_database_bytes.");
    SQL_TRANSACTION_OVER = row("sql_transaction_over", 409, Guest, true, "The transaction is over", "Begin it again; keep it short, and wait for nothing else in it.");
    SQL_NAME = row("sql_name", 400, Guest, false, "This can't be the name of a database", "Use 1 to 128 letters, digits and -_.@+, not beginning with a dot.");
    SQL_COPY = row("sql_copy", 409, Client, false, "The database can't be copied so", "Name a database that is there, a moment that its archive reaches, and a name that no database has yet.");
    SQL_IN_USE = row("sql_in_use", 409, Client, true, "The database is in use", "Try again when no transaction, stream or change feed of it is open.");
    SQL_CHANGES_GONE = row("sql_changes_gone", 410, Guest, false, "The changes of the database after this position are not kept", "Read the tables anew, and go on from where the feed is now; or raise sql_changes.");
    SQL_MIGRATION = row("sql_migration", 422, Guest, false, "The migrations can't be applied", "See the message; correct the migration that it names.");
    STORE_READ_ONLY = row("store_read_only", 503, Node, true, "The store is read-only after a failed write", "Check the disk; the store reopens by itself.");
    STORE_FULL = row("store_full", 507, Node, true, "The disk is full", "Free space in the data directory.");
    STORE_CORRUPT = row("store_corrupt", 500, Node, false, "A stored file is damaged", "Restore it from a backup.");
    STORE_FAILED = row("store_failed", 500, Node, true, "The store failed", "See the log.");
    NODE_STOPPED = row("node_stopped", 409, Client, true, "No node runs on this data", "Start the node; only one that runs has a cache, a configuration and certificates to renew.");
    BAD_BACKUP = row("bad_backup", 409, Client, false, "The backup can't be used", "Name a directory of backups, and one of those that it lists.");
    BACKUP_UNVERIFIED = row("backup_unverified", 500, Node, false, "The backup does not restore", "Check the disk of the backup, and `selvedge fsck`; keep older backups.");
    DATA_LOCKED = row("data_locked", 500, Node, false, "Another node holds the data directory", "Stop the other process, or choose another --data.");
    DATA_NEWER = row("data_newer", 500, Node, false, "The data directory was written by a newer Selvedge", "Use that version or a newer one.");
    BAD_SECRET = row("bad_secret", 400, Client, false, "The secret is empty or too long", "Set a secret of 1 byte to 64 KiB.");
    BAD_CONFIG = row("bad_config", 400, Client, false, "The configuration value is empty, too long, or no text", "Set a text of 1 byte to 64 KiB.");
    CONFIG_MISSING = row("config_missing", 404, Client, false, "The app has no such configuration value", "See: selvedge config list.");
    SECRET_SEALED = row("secret_sealed", 500, Node, false, "A secret does not open with this node key", "Start the node with the key file it was sealed with, or set the secret again.");
    UNKNOWN_VERSION = row("unknown_version", 404, Client, false, "The secret has no such version", "See which versions are kept with: selvedge secret versions.");
    DATA_UNUSABLE = row("data_unusable", 500, Node, false, "The data directory can't be used", "Choose a directory that this user may write, empty or made by Selvedge.");
    SECRET_MISSING = row("secret_missing", 500, Guest, false, "A secret that the worker binds has no value", "Set it with: selvedge secret put NAME.");

    // PostgreSQL.
    POSTGRES_ADDRESS = row("postgres_address", 500, Guest, false, "The address of the database can't be used", "Store a URL such as postgres://user:password@host:5432/database in the secret that the manifest names.");
    POSTGRES_UNREACHABLE = row("postgres_unreachable", 502, Upstream, true, "The database can't be reached", "Check that the server is up and takes connections.");
    POSTGRES_TLS = row("postgres_tls", 502, Upstream, false, "The database can't be reached over TLS that can be trusted", "Give the server a certificate for its name, name its authority with ca, or write tls = \"off\".");
    POSTGRES_LOGIN = row("postgres_login", 500, Guest, false, "The database refused the login", "Check user, password and database of the URL.");
    POSTGRES_BUSY = row("postgres_busy", 503, Guest, true, "All connections to the database are in use", "Hold transactions for less long, or raise the limit that the message names.");
    POSTGRES_TIMEOUT = row("postgres_timeout", 504, Guest, true, "The database took longer than it may", "Make the statement cheaper, or raise the limit that the message names.");
    POSTGRES_STATEMENT = row("postgres_statement", 500, Guest, false, "The database refused the statement", "See the error's sqlstate, detail and hint.");
    POSTGRES_REFUSED = row("postgres_refused", 500, Guest, false, "The statement is of a kind that a binding does not run", "See the message for what to do instead.");
    POSTGRES_RESULT_TOO_LARGE = row("postgres_result_too_large", 500, Guest, false, "The rows are larger than result_bytes", "Ask for fewer rows at a time, or raise limits.result_bytes of the database.");
    POSTGRES_LOST = row("postgres_lost", 502, Upstream, false, "The connection to the database was lost before it had answered", "Find out whether the statement took effect before sending it again.");
    POSTGRES_OVERFLOW = row("postgres_overflow", 503, Guest, true, "Notifications came faster than they were taken", "Take them faster, or raise limits.notifications of the database.");

    // Overload and operation.
    APP_OVERLOADED = row("app_overloaded", 503, Node, true, "The application is at its concurrency limit", "Retry after the given time, or raise limits.concurrency.");
    NODE_OVERLOADED = row("node_overloaded", 503, Node, true, "The node is at its limit", "Retry after the given time.");
    DRAINING = row("draining", 503, Node, true, "The node is shutting down", "Retry; another node or the next process will answer.");
    INTERNAL = row("internal", 500, Node, true, "Selvedge failed", "See the log; please report it.");

    // Administration.
    UNAUTHENTICATED = row("unauthenticated", 401, Client, false, "The admin API wants a token", "Send Authorization: Bearer with the token from the node's admin.token file.");
    FORBIDDEN = row("forbidden", 403, Client, false, "This caller may not use the admin API", "Call it from the command line, not from a web page.");
    HOST_CLAIMED = row("host_claimed", 409, Guest, false, "Another application claims this host", "Change one of the two manifests.");
    UNKNOWN_DEPLOYMENT = row("unknown_deployment", 404, Client, false, "There is no such deployment", "See: selvedge releases.");
    UNKNOWN_APP = row("unknown_app", 404, Client, false, "There is no such application", "Check the name; an application comes into being with its first deployment.");
    BAD_DEPLOYMENT = row("bad_deployment", 422, Client, false, "The deployment can't be read", "Deploy with the same version of Selvedge as the node's.");
    BLOB_MISSING = row("blob_missing", 409, Client, false, "The deployment refers to content that was not uploaded", "Upload the content that the detail names, then deploy again.");
    DIGEST_MISMATCH = row("digest_mismatch", 422, Client, false, "The content does not have the digest it was sent under", "Don't change files while they are deployed; deploy again.");
    NO_PREVIOUS_RELEASE = row("no_previous_release", 409, Client, false, "There is no earlier release to go back to", "See: selvedge releases.");
    KEY_MISSING = row("key_missing", 404, Client, false, "There is no entry under this key", "Check the namespace and the key.");
    NODE_UNREACHABLE = row("node_unreachable", 502, Node, true, "The node's admin address does not answer as it should", "Check that the node runs, and that this is its admin address.");
    INVALID_MANIFEST = row("invalid_manifest", 422, Guest, false, "The manifest is not valid", "Run selvedge check for the place and the reason.");
}

#[cfg(test)]
mod tests;
