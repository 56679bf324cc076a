/*
 * The guest side of Selvedge's script engine: what stands between the host and QuickJS-ng.
 *
 * The host drives. It enters through the exports below, one event at a time; the guest runs the
 * event and all the jobs that follow from it, and returns. The guest never waits: an operation
 * that takes time is started with sv.start() and ends as a later event. Values cross the border
 * in the encoding of codec.h, through one fixed buffer (`inbox`), so that a call costs one
 * crossing.
 *
 * Nothing here is policy. Which calls exist is agreed between the prelude (engine-guest/prelude)
 * and the host; this file carries their arguments.
 */
#include <stdlib.h>
#include <string.h>

#include "asked.h"
#include "codec.h"
#include "memory.h"
#include "modules.h"
#include "natives.h"
#include "quickjs.h"
#include "shim.h"
#include "wasm.h"

#define EXPORTED(name) __attribute__((export_name(name)))

struct control sv_control;
uint8_t sv_inbox[SV_INBOX_BYTES] __attribute__((aligned(16)));

JSRuntime *sv_rt;
JSContext *sv_ctx;
bool sv_keeps_source;
static JSValue dispatch_fn;

/* Ends the running request when the host has asked for it, and only that one. */
static int interrupted(JSRuntime *rt, void *opaque) {
    (void)opaque;
    sv_import_tick();
    return sv_control.interrupt != 0 && sv_control.interrupt == JS_GetJobContext(rt);
}

EXPORTED("sv_control") struct control *export_control(void) {
    sv_control.inbox = sv_inbox;
    sv_control.inbox_bytes = SV_INBOX_BYTES;
    return &sv_control;
}

/* Makes the runtime. Called once, for the image that every other image descends from. */
EXPORTED("sv_init") int export_init(void) {
    dispatch_fn = JS_UNDEFINED;
    sv_rt = JS_NewRuntime2(&sv_memory_functions, NULL);
    if (!sv_rt)
        return -1;
    JS_SetMaxStackSize(sv_rt, SV_STACK_BYTES);
    JS_SetInterruptHandler(sv_rt, interrupted, NULL);
    sv_ctx = JS_NewContextRaw(sv_rt);
    if (!sv_ctx)
        return -1;
    JS_AddIntrinsicBaseObjects(sv_ctx);
    JS_AddIntrinsicDate(sv_ctx);
    JS_AddIntrinsicEval(sv_ctx);
    JS_AddIntrinsicRegExpCompiler(sv_ctx);
    JS_AddIntrinsicRegExp(sv_ctx);
    JS_AddIntrinsicJSON(sv_ctx);
    JS_AddIntrinsicProxy(sv_ctx);
    JS_AddIntrinsicMapSet(sv_ctx);
    JS_AddIntrinsicTypedArrays(sv_ctx);
    JS_AddIntrinsicPromise(sv_ctx);
    JS_AddIntrinsicBigInt(sv_ctx);
    JS_AddIntrinsicWeakRef(sv_ctx);
    /* The prelude's functions need no source text: nobody may look into them, and every image would carry it. */
    JS_SetStripSource(sv_rt, true);
    sv_modules_init();
    return sv_natives_init(&dispatch_fn);
}

/* For the modules of a script, which count their turns. */
EXPORTED("sv_tick") void export_tick(void) { sv_import_tick(); }

EXPORTED("sv_alloc") void *export_alloc(uint32_t bytes) { return malloc(bytes ? bytes : 1); }

EXPORTED("sv_free") void export_free(void *p) { free(p); }

/* Reports an exception that reached the border: [name, message, stack, code] in the outbox. */
static void report(JSValue error) {
    sv_encode_start();
    sv_encode_error(error);
    sv_control.out = sv_encoded.data;
    sv_control.out_bytes = sv_encoded.len;
    JS_FreeValue(sv_ctx, error);
}

/* Whose time it is, as the host knows it. */
static uint32_t charged;

static void charge(uint32_t request) {
    if (request == charged)
        return;
    charged = request;
    sv_import_switch(request);
}

/*
 * Runs every job that is ready. Before a job of another request runs, the host hears of it, so
 * that CPU time is charged to the request that spends it.
 */
static int run_jobs(void) {
    JSContext *ctx;
    int outcome = SV_OK;
    while (JS_IsJobPending(sv_rt)) {
        charge(JS_GetPendingJobContextWord(sv_rt));
        if (JS_ExecutePendingJob(sv_rt, &ctx) < 0) {
            JSValue error = JS_GetException(sv_ctx);
            if (JS_IsUncatchableError(error)) {
                outcome = SV_INTERRUPTED;
                JS_FreeValue(sv_ctx, error);
            } else {
                report(error);
                outcome = SV_EXCEPTION;
            }
        }
    }
    return outcome;
}

EXPORTED("sv_add_module")
int export_add_module(const char *name, uint32_t name_len, uint8_t *source, uint32_t source_len, int kind) {
    return sv_modules_add(name, name_len, source, source_len, kind);
}

EXPORTED("sv_add_import")
int export_add_import(const char *from, uint32_t from_len, const char *specifier, uint32_t specifier_len,
                      const char *to, uint32_t to_len) {
    return sv_modules_add_import(from, from_len, specifier, specifier_len, to, to_len);
}

/*
 * Evaluates a module to the end of its top-level awaits. With `tell`, the prelude hears START
 * with the module's namespace.
 */
EXPORTED("sv_evaluate") int export_evaluate(const char *name, uint32_t name_len, int tell) {
    JS_UpdateStackTop(sv_rt);
    JS_SetJobContext(sv_rt, 0);
    charged = 0;
    if (tell) {
        sv_keeps_source = true;
        JS_SetStripSource(sv_rt, false);
    }
    JSModuleDef *module = NULL;
    JSValue promise = sv_modules_evaluate(name, name_len, &module);
    int outcome = SV_OK;
    if (!JS_IsException(promise))
        outcome = run_jobs();
    if (outcome == SV_INTERRUPTED)
        return outcome;
    if (JS_IsException(promise)) {
        report(JS_GetException(sv_ctx));
        return SV_EXCEPTION;
    }
    JSPromiseStateEnum state = JS_PromiseState(sv_ctx, promise);
    if (state == JS_PROMISE_REJECTED) {
        report(JS_PromiseResult(sv_ctx, promise));
        JS_FreeValue(sv_ctx, promise);
        return SV_EXCEPTION;
    }
    JS_FreeValue(sv_ctx, promise);
    if (state == JS_PROMISE_PENDING)
        return SV_PENDING;
    if (tell) {
        JSValue arguments[3] = {JS_NewInt32(sv_ctx, SV_EVENT_START), JS_NewInt32(sv_ctx, 0),
                                JS_GetModuleNamespace(sv_ctx, module)};
        JSValue result = JS_Call(sv_ctx, dispatch_fn, JS_UNDEFINED, 3, arguments);
        JS_FreeValue(sv_ctx, arguments[2]);
        if (JS_IsException(result)) {
            report(JS_GetException(sv_ctx));
            return SV_EXCEPTION;
        }
        JS_FreeValue(sv_ctx, result);
        outcome = run_jobs();
    }
    return outcome;
}

/*
 * Collects garbage, so that an image holds live objects only. An instance then allocates some
 * megabytes before its first collection: a short request never pays for one.
 */
EXPORTED("sv_collect") void export_collect(void) {
    JS_SetAsyncContext(sv_ctx, JS_UNDEFINED);
    JS_RunGC(sv_rt);
    JS_SetGCThreshold(sv_rt, SV_GC_BYTES);
}

/*
 * Makes everything that is alive a part of the image. An instance then writes to few of its pages:
 * references to what it shares with the others are not counted, and what it makes lies together.
 */
EXPORTED("sv_seal") void export_seal(void) {
    JS_SealHeap(sv_rt);
    sv_memory_seal();
}

#define ARGUMENTS_MAX 24

/* Calls the prelude's dispatcher; undefined if it throws, which the outcome then says. */
static JSValue dispatch(int count, JSValueConst *arguments, int *outcome) {
    JSValue result = JS_Call(sv_ctx, dispatch_fn, JS_UNDEFINED, count, arguments);
    if (!JS_IsException(result))
        return result;
    JSValue error = JS_GetException(sv_ctx);
    if (JS_IsUncatchableError(error)) {
        *outcome = SV_INTERRUPTED;
        JS_FreeValue(sv_ctx, error);
    } else {
        report(error);
        *outcome = SV_EXCEPTION;
    }
    return JS_UNDEFINED;
}

/*
 * Tells the prelude what became of the promise that it answered an event with: its result, if it is fulfilled; and if
 * nobody else will ever hear of that, a number that is not 0: while it waits, of the operation that alone settles it.
 */
static void answer(uint32_t id, JSValueConst promise, int *outcome) {
    JSPromiseStateEnum state = JS_PromiseState(sv_ctx, promise);
    JSValue result = state == JS_PROMISE_FULFILLED ? JS_PromiseResult(sv_ctx, promise) : JS_UNDEFINED;
    uint32_t alone = state == JS_PROMISE_PENDING ? sv_asked_for_alone(promise, 1) : JS_CountReferences(promise) == 1;
    JSValueConst arguments[5] = {JS_NewInt32(sv_ctx, SV_EVENT_RAN), JS_NewUint32(sv_ctx, id), promise, result,
                                 JS_NewUint32(sv_ctx, alone)};
    JS_FreeValue(sv_ctx, dispatch(5, arguments, outcome));
    JS_FreeValue(sv_ctx, result);
    int after = run_jobs();
    if (*outcome == SV_OK)
        *outcome = after;
}

/*
 * One event: `kind` and `id` go to the prelude's dispatcher, with the arguments encoded at
 * `data`, and all jobs that follow run before it returns. `context` is the request to charge.
 */
EXPORTED("sv_enter") int export_enter(int kind, uint32_t id, uint32_t context, uint8_t *data, uint32_t len) {
    JS_UpdateStackTop(sv_rt);
    if (sv_control.seed) {
        JS_SetRandomSeed(sv_ctx, sv_control.seed);
        sv_control.seed = 0;
    }
    JS_SetJobContext(sv_rt, context);
    charged = context;
    JSValue arguments[ARGUMENTS_MAX];
    int count = 2;
    arguments[0] = JS_NewInt32(sv_ctx, kind);
    arguments[1] = JS_NewUint32(sv_ctx, id);
    struct reader reader = {data, data + len};
    int outcome = SV_OK;
    if (kind == SV_EVENT_COMPLETE && sv_asked(id)) {
        outcome = sv_asked_end(id, &reader);
        if (data != sv_inbox)
            free(data);
        int after = run_jobs();
        if (outcome == SV_OK)
            outcome = after;
        goto done;
    }
    while (reader.at < reader.end && count < ARGUMENTS_MAX) {
        arguments[count] = sv_decode(&reader);
        if (JS_IsException(arguments[count])) {
            report(JS_GetException(sv_ctx));
            outcome = SV_EXCEPTION;
            goto done;
        }
        count++;
    }
    if (data != sv_inbox)
        free(data);
    JSValue result = dispatch(count, arguments, &outcome);
    /* A promise is the answer's. Mostly the jobs settle it, so that it is looked at behind them. */
    bool waits = JS_IsObject(result);
    if (waits)
        JS_PromiseMarkAsHandled(sv_ctx, result);
    int after = run_jobs();
    if (outcome == SV_OK)
        outcome = after;
    if (waits) {
        charge(context);
        JS_SetJobContext(sv_rt, context);
        JS_SetAsyncContext(sv_ctx, JS_UNDEFINED);
        if (after == SV_OK || context != sv_control.interrupt)
            answer(id, result, &outcome);
        JS_FreeValue(sv_ctx, result);
    }
done:
    for (int i = 2; i < count; i++)
        JS_FreeValue(sv_ctx, arguments[i]);
    JS_SetJobContext(sv_rt, 0);
    JS_SetAsyncContext(sv_ctx, JS_UNDEFINED);
    return outcome;
}
