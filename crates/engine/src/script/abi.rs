//! The numbers agreed between the host, the shim (`engine-guest/shim/shim.h`) and the prelude
//! (`engine-guest/prelude/native.ts`).

/// What an entry into the guest came to.
pub const OK: i32 = 0;
pub const EXCEPTION: i32 = 1;
pub const INTERRUPTED: i32 = 2;
pub const PENDING: i32 = 3;

/// Events that enter the prelude's dispatcher.
pub mod event {
    pub const INIT: i32 = 1;
    pub const FETCH: i32 = 2;
    pub const COMPLETE: i32 = 3;
    pub const ABORT: i32 = 4;
    pub const PRELOAD: i32 = 6;
    pub const RPC: i32 = 7;
}

/// Synchronous calls.
pub mod call {
    pub const LOG: i32 = 1;
    pub const RANDOM: i32 = 3;
    pub const URL_PARSE: i32 = 4;
    pub const URL_SET: i32 = 5;
    pub const CANCEL: i32 = 6;
    pub const BODY_CANCEL: i32 = 7;
    pub const STREAM_OPEN: i32 = 8;
    pub const STREAM_CLOSE: i32 = 9;
    pub const STREAM_ABORT: i32 = 10;
    pub const DONE: i32 = 11;
    pub const FAIL: i32 = 12;
    pub const RESPOND: i32 = 20;
    pub const TEXT_LABEL: i32 = 140;
    pub const TEXT_DECODE: i32 = 141;
    pub const CODED: i32 = 142;
    pub const MODULES: i32 = 21;
    pub const FEATURES: i32 = 22;
    pub const HAND_OVER: i32 = 23;
    pub const UNREAD_TAKE: i32 = 24;
    pub const UNREAD_ANSWER: i32 = 25;
    pub const UNREAD_DROP: i32 = 26;
    pub const CODEC_OPEN: i32 = 160;
    pub const CODEC_STEP: i32 = 161;
    pub const HELD_DROP: i32 = 162;
    pub const SELECTOR_CHECK: i32 = 163;
    pub const REWRITER_OPEN: i32 = 164;
    pub const REWRITER_PARSE: i32 = 165;
    pub const REWRITER_FILL: i32 = 166;
    pub const SOCKET_OPEN: i32 = 190;
    pub const SOCKET_ANSWER: i32 = 191;
    pub const SOCKET_SEND: i32 = 192;
    pub const SOCKET_CLOSE: i32 = 193;
    pub const SOCKET_BUFFERED: i32 = 194;
    pub const STREAM_LINK: i32 = 60;
}

/// Operations, which end as a COMPLETE event.
pub mod operation {
    pub const TIMER: i32 = 30;
    pub const FETCH: i32 = 31;
    pub const BODY_READ: i32 = 32;
    pub const STREAM_WRITE: i32 = 33;
    pub const SERVICE: i32 = 34;
    pub const BODY_REST: i32 = 35;
    pub const KV_GET: i32 = 40;
    pub const KV_GET_MANY: i32 = 41;
    pub const KV_PUT: i32 = 42;
    pub const KV_DELETE: i32 = 43;
    pub const KV_LIST: i32 = 44;
    pub const CACHE_MATCH: i32 = 180;
    pub const CACHE_PUT: i32 = 181;
    pub const CACHE_DELETE: i32 = 182;
    pub const SOCKET_READ: i32 = 200;
}

/// Computations of `crypto.subtle`. Each is a call as well as an operation.
pub mod crypto {
    pub const FIRST: i32 = DIGEST;
    pub const LAST: i32 = 139;

    pub const DIGEST: i32 = 100;
    pub const RUNNING_DIGEST: i32 = 101;
    pub const HMAC: i32 = 102;
    pub const HMAC_VERIFY: i32 = 103;
    pub const EQUAL: i32 = 104;
    pub const ENCRYPT: i32 = 105;
    pub const DECRYPT: i32 = 106;
    pub const HKDF: i32 = 107;
    pub const PBKDF2: i32 = 108;
    pub const SIGN: i32 = 109;
    pub const VERIFY: i32 = 110;
    pub const GENERATE: i32 = 111;
    pub const AGREE: i32 = 112;
    pub const CURVE_IMPORT: i32 = 113;
    pub const CURVE_EXPORT: i32 = 114;
    pub const RSA_IMPORT: i32 = 115;
    pub const RSA_PARTS: i32 = 116;
    pub const RSA_ENCRYPT: i32 = 117;
    pub const RSA_DECRYPT: i32 = 118;
}

/// Computations of modules of Node.js: calls up to `LAST_CALL`, then operations.
pub mod node {
    pub const HASH: i32 = 210;
    pub const CIPHER: i32 = 211;
    pub const KDF: i32 = 212;
    pub const ZIP: i32 = 213;
    pub const LAST_CALL: i32 = ZIP;
    pub const KDF_OPERATION: i32 = 214;
    pub const ZIP_OPERATION: i32 = 215;
}

/// What `Intl` asks for: calls.
pub mod intl {
    pub const FIRST: i32 = TAGS;
    pub const LAST: i32 = SEGMENTS;

    pub const TAGS: i32 = 920;
    pub const DATA: i32 = 921;
    pub const ZONES: i32 = 922;
    pub const ZONE: i32 = 923;
    pub const OFFSET: i32 = 924;
    pub const COMPARE: i32 = 925;
    pub const SEGMENTS: i32 = 926;
}

/// Calls of other workers' methods: calls, then operations.
pub mod rpc {
    pub const FIRST_CALL: i32 = OPEN;
    pub const LAST_CALL: i32 = LIMIT;

    pub const OPEN: i32 = 300;
    pub const SEND: i32 = 301;
    pub const CLOSE: i32 = 302;
    pub const ANSWER: i32 = 303;
    pub const STACK: i32 = 304;
    pub const LIMIT: i32 = 305;
    pub const CALL: i32 = 310;
    pub const READ: i32 = 311;
}

/// Operations on data that answer in the form in which a handler gets it.
pub mod ask {
    pub const LAST: i32 = SQL_QUERY;

    pub const KV_READ: i32 = 2600;
    pub const SQL_QUERY: i32 = 2601;
}

/// Operations on blob buckets.
pub mod blob {
    pub const FIRST: i32 = HEAD;
    pub const LAST: i32 = ABORT;

    pub const HEAD: i32 = 490;
    pub const GET: i32 = 491;
    pub const PUT: i32 = 492;
    pub const DELETE: i32 = 493;
    pub const LIST: i32 = 494;
    pub const CREATE_UPLOAD: i32 = 495;
    pub const PUT_PART: i32 = 496;
    pub const COMPLETE: i32 = 497;
    pub const ABORT: i32 = 498;
}

/// What KV has beside the names of Workers: operations.
pub mod kv {
    pub const COMMIT: i32 = 530;
    pub const ADD: i32 = 531;
    pub const CHANGES: i32 = 532;
    pub const LIST: i32 = 533;
}

/// SQL: operations.
pub mod sql {
    pub const FIRST: i32 = BATCH;
    pub const LAST: i32 = 439;

    pub const BATCH: i32 = 400;
    pub const SCRIPT: i32 = 401;
    pub const BEGIN: i32 = 402;
    pub const RUN: i32 = 403;
    pub const END: i32 = 404;
    pub const STREAM: i32 = 405;
    pub const NEXT: i32 = 406;
    pub const CLOSE: i32 = 407;
}

/// Durable objects: events, calls, operations.
pub mod object {
    pub const EVENT_INIT: i32 = 440;
    pub const EVENT_ALARM: i32 = 441;
    pub const EVENT_MESSAGE: i32 = 442;
    pub const EVENT_CLOSED: i32 = 443;
    pub const EVENT_FETCH: i32 = 444;
    pub const EVENT_RPC: i32 = 445;

    pub const FIRST_CALL: i32 = ID;
    pub const LAST_CALL: i32 = ABORT;

    pub const ID: i32 = 450;
    pub const GET: i32 = 451;
    pub const PUT: i32 = 452;
    pub const DELETE: i32 = 453;
    pub const LIST: i32 = 454;
    pub const DELETE_ALL: i32 = 455;
    pub const ALARM_GET: i32 = 456;
    pub const ALARM_SET: i32 = 457;
    pub const ALARM_OVER: i32 = 458;
    pub const BEGIN: i32 = 459;
    pub const END: i32 = 460;
    pub const BYTES: i32 = 461;
    pub const SQL: i32 = 462;
    pub const SOCKET_ACCEPT: i32 = 465;
    pub const SOCKET_SEND: i32 = 466;
    pub const SOCKET_CLOSE: i32 = 467;
    pub const SOCKETS: i32 = 468;
    pub const TAGS: i32 = 469;
    pub const ATTACH: i32 = 470;
    pub const ATTACHMENT: i32 = 471;
    pub const AUTO_SET: i32 = 472;
    pub const AUTO_GET: i32 = 473;
    pub const AUTO_TIME: i32 = 474;
    pub const ABORT: i32 = 475;

    pub const SYNC: i32 = 480;
}

/// One value of a durable object's, as it is where it is no object: calls.
pub mod value {
    pub const FIRST_CALL: i32 = READ;
    pub const LAST_CALL: i32 = WRITE;

    pub const READ: i32 = 2650;
    pub const WRITE: i32 = 2651;
}

/// The change feed of a SQL database: an operation.
pub mod sqlfeed {
    pub const CHANGES: i32 = 722;
}

/// The past of a durable object: calls.
pub mod past {
    pub const FIRST_CALL: i32 = BOOKMARK;
    pub const LAST_CALL: i32 = RESTORE_NEXT;

    pub const BOOKMARK: i32 = 720;
    pub const RESTORE_NEXT: i32 = 721;
}

/// What the writes of a durable object outlive: a call.
pub mod durable {
    pub const TOLD: i32 = 900;
}

/// PostgreSQL: operations.
pub mod postgres {
    pub const FIRST: i32 = QUERY;
    pub const LAST: i32 = CLOSE;

    pub const QUERY: i32 = 560;
    pub const BEGIN: i32 = 561;
    pub const END: i32 = 562;
    pub const LISTEN: i32 = 563;
    pub const NEXT: i32 = 564;
    pub const CLOSE: i32 = 565;
}

/// Offsets in the shim's `struct control`.
pub mod control {
    pub const INTERRUPT: usize = 0;
    pub const INBOX: usize = 4;
    pub const INBOX_BYTES: usize = 8;
    pub const OUT: usize = 12;
    pub const OUT_BYTES: usize = 16;
    pub const WASM_SCRATCH: usize = 20;
    pub const SEED: usize = 24;
}
