/* What the parts of the shim share, and the constants agreed with the host (engine/src/script/abi.rs). */
#ifndef SV_SHIM_H
#define SV_SHIM_H

#include <stdbool.h>
#include <stdint.h>

#include "quickjs.h"

#define SV_INBOX_BYTES (64 << 10)
/* Of the 4.5 MiB of linear stack; the rest is for the C code that runs below the check. */
#define SV_STACK_BYTES (4 << 20)
#define SV_GC_BYTES (4 << 20)

/* Results of an entry. */
enum { SV_OK = 0, SV_EXCEPTION = 1, SV_INTERRUPTED = 2, SV_PENDING = 3 };

enum { SV_EVENT_START = 0, SV_EVENT_COMPLETE = 3, SV_EVENT_RAN = 8 };

/* Read and written by the host in place. The order of the fields is part of the interface. */
struct control {
    /* The request to end at the next check, or 0. */
    uint32_t interrupt;
    uint8_t *inbox;
    uint32_t inbox_bytes;
    /* What the last entry reported. */
    uint8_t *out;
    uint32_t out_bytes;
    /* Where a module of WebAssembly puts the arguments of a function that it imports, and finds the results; NULL in a
     * script that has none. */
    uint64_t *wasm_scratch;
    /* A new seed for Math.random, or 0. */
    uint64_t seed;
};

extern struct control sv_control;
extern uint8_t sv_inbox[SV_INBOX_BYTES];
extern JSRuntime *sv_rt;
extern JSContext *sv_ctx;
/* A script is loaded, whose functions keep their source text, as Function.prototype.toString wants it. */
extern bool sv_keeps_source;

#define IMPORT(name) __attribute__((import_module("sv"), import_name(name)))

/*
 * The turns of this function's loops need not be counted by whoever runs the module: there are few of them in a call, or
 * it says with sv_count_bytes through how much it goes.
 */
#define COUNTED(name) __attribute__((used, export_name("polls:" name)))
void sv_count_bytes(size_t n);

/*
 * A call to the host. The arguments are encoded at [data, data + len). The result is the length
 * of the encoded answer; when it fits, it lies in the inbox, else sv_import_take copies it. A
 * negative length says that the answer is an error, [name, message, code].
 */
IMPORT("call") int32_t sv_import_call(int32_t code, const uint8_t *data, uint32_t len);
/* Starts an operation: an id above zero; or, negated, the length of an encoded error. */
IMPORT("start") int32_t sv_import_start(int32_t code, const uint8_t *data, uint32_t len);
/*
 * Starts an operation that may be answered at once: the length of the answer; or 2^32 and an id,
 * as from sv_import_start; or, negated, the length of an encoded error.
 */
IMPORT("ask") int64_t sv_import_ask(int32_t code, const uint8_t *data, uint32_t len);
IMPORT("take") void sv_import_take(uint8_t *to);
/* From now on CPU time belongs to this request. */
IMPORT("switch") void sv_import_switch(uint32_t context);
/* Lets the host look whether the guest runs for long: it may pause it here, end it, or ask for the end of a request. */
IMPORT("tick") void sv_import_tick(void);
/* The guest-visible clock: microseconds since the epoch. */
IMPORT("now") int64_t sv_import_now(void);

#endif
