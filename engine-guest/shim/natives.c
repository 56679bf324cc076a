#include "natives.h"

#include <stdlib.h>
#include <string.h>

#include "asked.h"
#include "bytes.h"
#include "codec.h"
#include "kept.h"
#include "modules.h"
#include "shim.h"
#include "statement.h"
#include "text.h"
#include "wasm.h"

static JSValue *dispatch_fn;
static JSValue error_factory;
static JSValue rejection_tracker;

static JSValue keep(JSContext *ctx, JSValue *slot, JSValueConst value) {
    JS_FreeValue(ctx, *slot);
    *slot = JS_DupValue(ctx, value);
    return JS_UNDEFINED;
}

/* The host's answer: in the inbox if it fits there. */
static JSValue answer(uint32_t len) {
    if (len == 0)
        return JS_UNDEFINED;
    if (len <= SV_INBOX_BYTES) {
        struct reader reader = {sv_inbox, sv_inbox + len};
        return sv_decode(&reader);
    }
    uint8_t *data = malloc(len);
    if (!data)
        return JS_ThrowOutOfMemory(sv_ctx);
    sv_import_take(data);
    struct reader reader = {data, data + len};
    JSValue value = sv_decode(&reader);
    free(data);
    return value;
}

JSValue sv_made_error(JSContext *ctx, JSValue triple) {
    JSValue parts[3];
    for (int i = 0; i < 3; i++)
        parts[i] = JS_GetPropertyUint32(ctx, triple, i);
    JSValue error = JS_Call(ctx, error_factory, JS_UNDEFINED, 3, parts);
    for (int i = 0; i < 3; i++)
        JS_FreeValue(ctx, parts[i]);
    JS_FreeValue(ctx, triple);
    return error;
}

JSValue sv_throw_answer(JSContext *ctx, uint32_t len) {
    JSValue triple = answer(len);
    if (JS_IsException(triple))
        return triple;
    JSValue error = sv_made_error(ctx, triple);
    return JS_IsException(error) ? error : JS_Throw(ctx, error);
}

static int encode_arguments(int argc, JSValueConst *argv) {
    sv_encode_start();
    for (int i = 0; i < argc; i++)
        if (sv_encode(argv[i]))
            return -1;
    return 0;
}

JSValue sv_call(JSContext *ctx, int32_t code, int argc, JSValueConst *argv) {
    if (encode_arguments(argc, argv))
        return JS_EXCEPTION;
    int32_t len = sv_import_call(code, sv_encoded.data, sv_encoded.len);
    return len < 0 ? sv_throw_answer(ctx, -len) : answer(len);
}

JSValue sv_cross(JSContext *ctx, int32_t (*host)(int32_t, const uint8_t *, uint32_t), int argc, JSValueConst *argv) {
    int32_t code;
    if (JS_ToInt32(ctx, &code, argv[0]) || encode_arguments(argc - 1, argv + 1))
        return JS_EXCEPTION;
    int32_t len = host(code, sv_encoded.data, sv_encoded.len);
    return len < 0 ? sv_throw_answer(ctx, -len) : answer(len);
}

static JSValue native_call(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    int32_t code;
    if (JS_ToInt32(ctx, &code, argv[0]))
        return JS_EXCEPTION;
    return sv_call(ctx, code, argc - 1, argv + 1);
}

#define CALL_RESPOND 20

static JSValue native_respond(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    return sv_call(ctx, CALL_RESPOND, argc, argv);
}

static JSValue native_start(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    int32_t code;
    if (JS_ToInt32(ctx, &code, argv[0]) || encode_arguments(argc - 1, argv + 1))
        return JS_EXCEPTION;
    int32_t id = sv_import_start(code, sv_encoded.data, sv_encoded.len);
    return id < 0 ? sv_throw_answer(ctx, -id) : JS_NewInt32(ctx, id);
}

JSValue sv_settled(JSContext *ctx, JSValue value) {
    bool failed = JS_IsException(value);
    if (failed) {
        value = JS_GetException(ctx);
        if (JS_IsUncatchableError(value))
            return JS_Throw(ctx, value);
    }
    JSValue promise = JS_NewSettledPromise(ctx, failed, value);
    JS_FreeValue(ctx, value);
    return promise;
}

JSValue sv_asked_for(JSContext *ctx, int32_t code, uint32_t request, JSValueConst late, JSValueConst about) {
    int64_t answered = sv_import_ask(code, sv_encoded.data, sv_encoded.len);
    if (answered < 0)
        return sv_throw_answer(ctx, -answered);
    if (answered >> 32)
        return sv_asked_begin((uint32_t)answered, request, late, about);
    return sv_settled(ctx, answer(answered));
}

/* ask(late, code, …arguments) → a promise of an operation, which is settled already if nothing had to be waited for. */
static JSValue native_ask(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    int32_t code;
    if (JS_ToInt32(ctx, &code, argv[1]) || encode_arguments(argc - 2, argv + 2))
        return JS_EXCEPTION;
    return sv_asked_for(ctx, code, 0, argv[0], JS_UNDEFINED);
}

/*
 * askFor(request, made, about, code, …arguments): the same, given up with a request. `made` makes of what the host answers,
 * now or later, what the promise gets, and is told `about` as well. A number is the place of a Response.
 */
static JSValue native_ask_for(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    int32_t code;
    uint32_t request;
    sv_unread_drop();
    if (JS_ToUint32(ctx, &request, argv[0]) || JS_ToInt32(ctx, &code, argv[3]) ||
        encode_arguments(argc - 4, argv + 4))
        return JS_EXCEPTION;
    int64_t answered = sv_import_ask(code, sv_encoded.data, sv_encoded.len);
    if (answered < 0)
        return sv_throw_answer(ctx, -answered);
    if (answered >> 32)
        return sv_asked_begin((uint32_t)answered, request, argv[1], argv[2]);
    JSValue value = answer(answered);
    if (JS_VALUE_GET_TAG(value) == JS_TAG_INT)
        return sv_settled(ctx, sv_unread_response(JS_VALUE_GET_INT(value)));
    if (!JS_IsException(value)) {
        JSValueConst arguments[3] = {JS_TRUE, value, argv[2]};
        JSValue made = JS_Call(ctx, argv[1], JS_UNDEFINED, 3, arguments);
        JS_FreeValue(ctx, value);
        value = made;
    }
    return sv_settled(ctx, value);
}

#define CALL_CANCEL 6

static void cancel(uint32_t id) {
    JSValueConst argument = JS_NewUint32(sv_ctx, id);
    JS_FreeValue(sv_ctx, sv_call(sv_ctx, CALL_CANCEL, 1, &argument));
}

/* abandon(request, reason): what was asked for on its behalf ends with this reason. */
static JSValue native_abandon(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    uint32_t request;
    if (JS_ToUint32(ctx, &request, argv[0]))
        return JS_EXCEPTION;
    sv_asked_abandon(request, argv[1], cancel);
    return JS_UNDEFINED;
}

#define CALL_HAND_OVER 23

/*
 * handOver(operation, late, invocation, place) → whether the host goes on by itself: the end of the operation is the answer
 * of the event, and nobody else here would hear of either.
 */
static JSValue native_hand_over(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    uint32_t id, place;
    if (JS_ToUint32(ctx, &id, argv[0]) || JS_ToUint32(ctx, &place, argv[3]))
        return JS_EXCEPTION;
    /* The variable of who calls, and the argument. */
    int alone = sv_asked_is_alone(id, argv[1], argv[2], place, 2);
    if (alone == SV_SHARED)
        return JS_FALSE;
    JSValueConst arguments[2] = {argv[0], JS_NewBool(ctx, alone == SV_OWNED)};
    JSValue taken = sv_call(ctx, CALL_HAND_OVER, 2, arguments);
    if (JS_VALUE_GET_TAG(taken) == JS_TAG_BOOL && JS_VALUE_GET_BOOL(taken))
        sv_asked_forget(id);
    return taken;
}

/*
 * promised(made, code, …arguments) → a promise, settled already, of what the host answers to a call. `made` makes of an
 * answer that is a list what the promise gets.
 */
static JSValue native_promised(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    int32_t code;
    if (JS_ToInt32(ctx, &code, argv[1]))
        return JS_EXCEPTION;
    JSValue value = sv_call(ctx, code, argc - 2, argv + 2);
    if (JS_IsArray(value)) {
        JSValueConst argument = value;
        JSValue made = JS_Call(ctx, argv[0], JS_UNDEFINED, 1, &argument);
        JS_FreeValue(ctx, value);
        value = made;
    }
    return sv_settled(ctx, value);
}

#define CALL_MODULES 21

/* load(name) → the namespace of a module of the prelude that is not part of every image. */
static JSValue native_load(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    size_t name_len;
    const char *name = JS_ToCStringLen(ctx, &name_len, argv[0]);
    if (!name)
        return JS_EXCEPTION;
    JSValue list = sv_modules_known(name, name_len) ? JS_UNDEFINED : sv_call(ctx, CALL_MODULES, 1, argv);
    JSValue result = list;
    if (!JS_IsException(list)) {
        JS_SetStripSource(sv_rt, true);
        result = sv_modules_load(name, list);
        JS_SetStripSource(sv_rt, !sv_keeps_source);
    }
    JS_FreeValue(ctx, list);
    JS_FreeCString(ctx, name);
    return result;
}

static JSValue native_set_dispatch(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    return keep(ctx, dispatch_fn, argv[0]);
}

static JSValue native_set_error_factory(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    return keep(ctx, &error_factory, argv[0]);
}

static void track_rejection(JSContext *ctx, JSValueConst promise, JSValueConst reason, bool handled, void *opaque) {
    JSValueConst arguments[3] = {promise, reason, JS_NewBool(ctx, handled)};
    JSValue result = JS_Call(ctx, rejection_tracker, JS_UNDEFINED, 3, arguments);
    if (JS_IsException(result))
        result = JS_GetException(ctx);
    JS_FreeValue(ctx, result);
}

static JSValue native_set_rejection_tracker(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    JS_SetHostPromiseRejectionTracker(sv_rt, track_rejection, NULL);
    return keep(ctx, &rejection_tracker, argv[0]);
}

static JSValue native_set_context(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    uint32_t word;
    if (JS_ToUint32(ctx, &word, argv[0]))
        return JS_EXCEPTION;
    JS_SetJobContext(sv_rt, word);
    return JS_UNDEFINED;
}

static JSValue native_get_context(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    return JS_NewUint32(ctx, JS_GetJobContext(sv_rt));
}

static JSValue native_async_context(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    return JS_GetAsyncContext(ctx);
}

/* The context from here to the end of this job, or to the next call; the previous one is returned. */
static JSValue native_set_async_context(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    JSValue previous = JS_GetAsyncContext(ctx);
    JS_SetAsyncContext(ctx, JS_DupValue(ctx, argv[0]));
    return previous;
}

static JSValue native_promise_state(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    return JS_NewInt32(ctx, JS_PromiseState(ctx, argv[0]));
}

static JSValue native_promise_result(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    return JS_PromiseResult(ctx, argv[0]);
}

/* Objects that can be called and have nothing else of functions: one class, with one handler, whose `this` is what was
 * called. */
static JSClassID callable_class;
static JSValue callable_handler;

static JSValue call_callable(JSContext *ctx, JSValueConst callable, JSValueConst this, int argc, JSValueConst *argv,
                             int flags) {
    if (flags & JS_CALL_FLAG_CONSTRUCTOR)
        return JS_ThrowTypeError(ctx, "not a constructor");
    return JS_Call(ctx, callable_handler, callable, argc, argv);
}

static const JSClassDef callable_def = {"Callable", .call = call_callable};

static JSValue native_set_callable(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    return keep(ctx, &callable_handler, argv[0]);
}

/* makeCallable(prototype) */
static JSValue native_make_callable(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    return JS_NewObjectProtoClass(ctx, argv[0], callable_class);
}

/*
 * What is called when the promise settles that is the answer to an event: an object for each of the two ends, which has
 * the event's state and no property.
 */
enum { FULFILLED, REJECTED, ENDS };
static JSClassID end_classes[ENDS];
static JSValue end_handlers[ENDS];

static void free_end(JSRuntime *rt, JSValueConst end) {
    JSClassID of;
    JS_FreeValueRT(rt, JS_MKPTR(JS_TAG_OBJECT, JS_GetAnyOpaque(end, &of)));
}

static void mark_end(JSRuntime *rt, JSValueConst end, JS_MarkFunc *mark) {
    JSClassID of;
    JS_MarkValue(rt, JS_MKPTR(JS_TAG_OBJECT, JS_GetAnyOpaque(end, &of)), mark);
}

static JSValue call_end(JSContext *ctx, JSValueConst end, JSValueConst this, int argc, JSValueConst *argv, int flags) {
    JSClassID of;
    void *state = JS_GetAnyOpaque(end, &of);
    JSValueConst arguments[2] = {JS_MKPTR(JS_TAG_OBJECT, state), argv[0]};
    return JS_Call(ctx, end_handlers[of == end_classes[REJECTED]], JS_UNDEFINED, 2, arguments);
}

static JSValue new_end(JSContext *ctx, JSValueConst state, int end) {
    JSValue object = JS_NewObjectClass(ctx, end_classes[end]);
    if (!JS_IsException(object))
        JS_SetOpaque(object, JS_VALUE_GET_PTR(JS_DupValue(ctx, state)));
    return object;
}

/* setEnds(fulfilled, rejected): what is called with an event's state, and the value or the reason. */
static JSValue native_set_ends(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    keep(ctx, &end_handlers[FULFILLED], argv[0]);
    return keep(ctx, &end_handlers[REJECTED], argv[1]);
}

/* atEnd(promise, state) */
static JSValue native_at_end(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    JSValue fulfilled = new_end(ctx, argv[1], FULFILLED);
    JSValue rejected = JS_IsException(fulfilled) ? JS_EXCEPTION : new_end(ctx, argv[1], REJECTED);
    int failed = JS_IsException(rejected) || JS_WatchPromise(ctx, argv[0], fulfilled, rejected);
    JS_FreeValue(ctx, fulfilled);
    JS_FreeValue(ctx, rejected);
    return failed ? JS_EXCEPTION : JS_UNDEFINED;
}

static JSValue native_now(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    return JS_NewFloat64(ctx, sv_import_now() / 1000.0);
}

static JSValue native_detach(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    if (JS_IsForeignArrayBuffer(argv[0]))
        return JS_ThrowTypeError(ctx, "the memory of a WebAssembly instance cannot be transferred");
    JS_DetachArrayBuffer(ctx, argv[0]);
    return JS_UNDEFINED;
}

/* Where the script's own code stands: "file:line:column". */
static JSValue native_call_site(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    return JS_GetCallSite(ctx, "selvedge:");
}

static const JSCFunctionListEntry natives[] = {
    JS_CFUNC_DEF("call", 1, native_call),
    JS_CFUNC_DEF("start", 1, native_start),
    JS_CFUNC_DEF("respond", 7, native_respond),
    JS_CFUNC_DEF("load", 1, native_load),
    JS_CFUNC_DEF("ask", 2, native_ask),
    JS_CFUNC_DEF("askFor", 4, native_ask_for),
    JS_CFUNC_DEF("abandon", 2, native_abandon),
    JS_CFUNC_DEF("handOver", 4, native_hand_over),
    JS_CFUNC_DEF("promised", 2, native_promised),
    JS_CFUNC_DEF("setDispatch", 1, native_set_dispatch),
    JS_CFUNC_DEF("setErrorFactory", 1, native_set_error_factory),
    JS_CFUNC_DEF("setRejectionTracker", 1, native_set_rejection_tracker),
    JS_CFUNC_DEF("setContext", 1, native_set_context),
    JS_CFUNC_DEF("getContext", 0, native_get_context),
    JS_CFUNC_DEF("asyncContext", 0, native_async_context),
    JS_CFUNC_DEF("setAsyncContext", 1, native_set_async_context),
    JS_CFUNC_DEF("promiseState", 1, native_promise_state),
    JS_CFUNC_DEF("promiseResult", 1, native_promise_result),
    JS_CFUNC_DEF("setCallable", 1, native_set_callable),
    JS_CFUNC_DEF("makeCallable", 1, native_make_callable),
    JS_CFUNC_DEF("setEnds", 2, native_set_ends),
    JS_CFUNC_DEF("atEnd", 2, native_at_end),
    JS_CFUNC_DEF("now", 0, native_now),
    JS_CFUNC_DEF("callSite", 0, native_call_site),
    JS_CFUNC_DEF("detach", 1, native_detach),
    JS_CFUNC_DEF("utf8Encode", 1, sv_utf8_encode),
    JS_CFUNC_DEF("utf8Decode", 3, sv_utf8_decode),
    JS_CFUNC_DEF("latin1ToBytes", 1, sv_latin1_to_bytes),
    JS_CFUNC_DEF("bytesToLatin1", 1, sv_bytes_to_latin1),
    JS_CFUNC_DEF("atob", 1, sv_atob),
    JS_CFUNC_DEF("btoa", 1, sv_btoa),
    JS_CFUNC_DEF("compareBytes", 2, sv_compare_bytes),
    JS_CFUNC_DEF("findBytes", 4, sv_find_bytes),
    JS_CFUNC_DEF("utf16Decode", 1, sv_utf16_decode),
};

int sv_natives_init(JSValue *dispatch) {
    dispatch_fn = dispatch;
    error_factory = JS_UNDEFINED;
    rejection_tracker = JS_UNDEFINED;
    callable_handler = JS_UNDEFINED;
    JS_NewClassID(sv_rt, &callable_class);
    if (JS_NewClass(sv_rt, callable_class, &callable_def))
        return -1;
    JSClassDef end_def = {"End", .finalizer = free_end, .gc_mark = mark_end, .call = call_end};
    for (int end = 0; end < ENDS; end++) {
        end_handlers[end] = JS_UNDEFINED;
        JS_NewClassID(sv_rt, &end_classes[end]);
        if (JS_NewClass(sv_rt, end_classes[end], &end_def))
            return -1;
    }
    JSValue global = JS_GetGlobalObject(sv_ctx);
    JSValue object = JS_NewObject(sv_ctx);
    JS_SetPropertyFunctionList(sv_ctx, object, natives, sizeof(natives) / sizeof(natives[0]));
    sv_wasm_natives(sv_ctx, object);
    if (sv_kept_natives(object) || sv_statement_natives(object))
        return -1;
    int result = JS_DefinePropertyValueStr(sv_ctx, global, "__sv", object, JS_PROP_CONFIGURABLE);
    JS_FreeValue(sv_ctx, global);
    return result < 0 ? -1 : 0;
}
