/*
 * Objects of the prelude's whose state no script reaches: what a private field is, for those of which a handler makes
 * several. A class that has such fields runs a function of its own for each object, to make them, and then its
 * constructor.
 *
 * A state is an array. Each kind has a class of its own, so that an object of one is none of another.
 *
 * A Response that came from elsewhere may have no state yet, but the place of it with the host: an odd number, where a
 * state is the address of an array.
 */
#include "kept.h"

#include "natives.h"
#include "shim.h"

enum kind { REQUEST, RESPONSE, URL, CONTEXT, OBJECT_ID, STUB, KINDS };

static const char *const names[KINDS] = {
    "Request", "Response", "URL", "ExecutionContext", "DurableObjectId", "DurableObjectStub",
};
static JSClassID classes[KINDS];

enum { CALL_UNREAD_TAKE = 24, CALL_UNREAD_ANSWER = 25, CALL_UNREAD_DROP = 26 };

static JSValueConst as_value(void *state) { return JS_MKPTR(JS_TAG_OBJECT, state); }

static bool is_unread(void *state) { return (uintptr_t)state & 1; }

static uint32_t place_of(void *state) { return (uintptr_t)state >> 1; }

/* Places whose Responses nobody has any more. The host hears of them later: what it is told now may be half written. */
#define DROPPED_MAX 16
static uint32_t dropped[DROPPED_MAX], dropped_count;

void sv_unread_drop(void) {
    while (dropped_count) {
        JSValueConst place = JS_NewUint32(sv_ctx, dropped[--dropped_count]);
        JS_FreeValue(sv_ctx, sv_call(sv_ctx, CALL_UNREAD_DROP, 1, &place));
    }
}

JSValue sv_unread_response(uint32_t place) {
    JSValue object = JS_NewObjectClass(sv_ctx, classes[RESPONSE]);
    if (JS_IsException(object))
        dropped[dropped_count++] = place;
    else
        JS_SetOpaque(object, (void *)(uintptr_t)(place << 1 | 1));
    return object;
}

/* The state of an object of a kind, which is read now if it was not; NULL for another, or with an exception. */
static void *look(JSContext *ctx, JSValueConst object, int kind) {
    void *state = JS_GetOpaque(object, classes[kind]);
    if (!is_unread(state))
        return state;
    JSValueConst place = JS_NewUint32(ctx, place_of(state));
    JSValue read = sv_call(ctx, CALL_UNREAD_TAKE, 1, &place);
    if (JS_IsException(read))
        return NULL;
    state = JS_VALUE_GET_PTR(read);
    JS_SetOpaque(object, state);
    return state;
}

/*
 * passOn(request, response, pending, holders) → whether the answer to the event is a Response as the host has it: nobody
 * looked into it, or ever can. So many have it already.
 */
static JSValue pass_on(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    void *state = JS_GetOpaque(argv[1], classes[RESPONSE]);
    if (!is_unread(state) || JS_CountReferences(argv[1]) != JS_VALUE_GET_INT(argv[3]) + 1)
        return JS_FALSE;
    JSValueConst arguments[3] = {JS_NewUint32(ctx, place_of(state)), argv[0], argv[2]};
    JS_SetOpaque(argv[1], NULL);
    JSValue answered = sv_call(ctx, CALL_UNREAD_ANSWER, 3, arguments);
    if (JS_IsException(answered))
        return answered;
    JS_FreeValue(ctx, answered);
    return JS_TRUE;
}

static void free_kept(JSRuntime *rt, JSValueConst object) {
    JSClassID of;
    void *state = JS_GetAnyOpaque(object, &of);
    if (is_unread(state))
        dropped[dropped_count++] = place_of(state);
    else if (state)
        JS_FreeValueRT(rt, as_value(state));
}

static void mark_kept(JSRuntime *rt, JSValueConst object, JS_MarkFunc *mark) {
    JSClassID of;
    void *state = JS_GetAnyOpaque(object, &of);
    if (state && !is_unread(state))
        JS_MarkValue(rt, as_value(state), mark);
}

/* makeRequest(prototype, state) → an object */
static JSValue make(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv, int kind) {
    JSValue object = JS_NewObjectProtoClass(ctx, argv[0], classes[kind]);
    if (!JS_IsException(object))
        JS_SetOpaque(object, JS_VALUE_GET_PTR(JS_DupValue(ctx, argv[1])));
    return object;
}

/* keepRequest(object, state): gives it to what `new` has just made. */
static JSValue keep(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv, int kind) {
    if (!JS_GiveClass(argv[0], classes[kind], JS_VALUE_GET_PTR(argv[1])))
        return JS_ThrowTypeError(ctx, "Illegal constructor");
    JS_DupValue(ctx, argv[1]);
    return JS_UNDEFINED;
}

/* peekRequest(value) → its state; null for what is none */
static JSValue peek(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv, int kind) {
    void *state = look(ctx, argv[0], kind);
    return state ? JS_DupValue(ctx, as_value(state)) : JS_HasException(ctx) ? JS_EXCEPTION : JS_NULL;
}

static void *state_of(JSContext *ctx, JSValueConst object, int kind) {
    void *state = look(ctx, object, kind);
    if (!state && !JS_HasException(ctx))
        JS_ThrowTypeError(ctx, "this is no %s", names[kind]);
    return state;
}

/* stateOfRequest(value) → its state; throws for what is none */
static JSValue state_or_throw(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv, int kind) {
    void *state = state_of(ctx, argv[0], kind);
    return state ? JS_DupValue(ctx, as_value(state)) : JS_EXCEPTION;
}

/* setResponsePrototype(prototype): of those that the host answers with. */
static JSValue set_response_prototype(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    JS_SetClassProto(ctx, classes[RESPONSE], JS_DupValue(ctx, argv[0]));
    return JS_UNDEFINED;
}

static JSValue get_place(JSContext *ctx, JSValueConst this, int magic) {
    void *state = state_of(ctx, this, magic >> 8);
    return state ? JS_GetPropertyUint32(ctx, as_value(state), magic & 0xff) : JS_EXCEPTION;
}

/* The state of a URL begins with its parts: its text, and where in it something begins or ends. */
static JSValue get_part(JSContext *ctx, JSValueConst this, int magic) {
    void *state = state_of(ctx, this, URL);
    if (!state)
        return JS_EXCEPTION;
    JSValue parts = JS_GetPropertyUint32(ctx, as_value(state), 0);
    JSValue text = JS_GetPropertyUint32(ctx, parts, 0);
    if (magic) {
        JSValue from = JS_GetPropertyUint32(ctx, parts, magic >> 8);
        JSValue to = JS_GetPropertyUint32(ctx, parts, magic & 0xff);
        JSValue whole = text;
        text = JS_SubString(ctx, whole, JS_VALUE_GET_INT(from), JS_VALUE_GET_INT(to));
        JS_FreeValue(ctx, whole);
    }
    JS_FreeValue(ctx, parts);
    return text;
}

#define PLACE(name, kind, place) JS_CGETSET_MAGIC_DEF(name, get_place, NULL, (kind) << 8 | (place))
#define PART(name, from, to) JS_CGETSET_MAGIC_DEF(name, get_part, NULL, (from) << 8 | (to))

/* Where what stands is in `prelude/state.ts`. */
static const JSCFunctionListEntry request_getters[] = {
    PLACE("method", REQUEST, 3),
    PLACE("url", REQUEST, 4),
    PLACE("redirect", REQUEST, 5),
};

static const JSCFunctionListEntry response_getters[] = {
    PLACE("status", RESPONSE, 3),
    PLACE("statusText", RESPONSE, 4),
    PLACE("url", RESPONSE, 5),
    PLACE("redirected", RESPONSE, 6),
    PLACE("type", RESPONSE, 7),
};

/* And here, in `prelude/url.ts`. */
static const JSCFunctionListEntry url_getters[] = {
    PART("href", 0, 0),
    PART("host", 3, 5),
    PART("hostname", 3, 4),
    PART("pathname", 6, 7),
};

/* Of every kind; and of those that scripts construct. */
#define MADE(name, kind) \
    JS_CFUNC_MAGIC_DEF("make" name, 2, make, kind), JS_CFUNC_MAGIC_DEF("stateOf" name, 1, state_or_throw, kind)
#define CONSTRUCTED(name, kind) \
    JS_CFUNC_MAGIC_DEF("keep" name, 2, keep, kind), JS_CFUNC_MAGIC_DEF("peek" name, 1, peek, kind)
#define GETTERS(name, list) JS_OBJECT_DEF(name, list, sizeof(list) / sizeof(list[0]), JS_PROP_CONFIGURABLE)

static const JSCFunctionListEntry natives[] = {
    MADE("Context", CONTEXT),
    MADE("ObjectId", OBJECT_ID),
    MADE("Stub", STUB),
    MADE("Request", REQUEST),
    MADE("Response", RESPONSE),
    MADE("Url", URL),
    CONSTRUCTED("Request", REQUEST),
    CONSTRUCTED("Response", RESPONSE),
    CONSTRUCTED("Url", URL),
    JS_CFUNC_DEF("passOn", 4, pass_on),
    JS_CFUNC_DEF("setResponsePrototype", 1, set_response_prototype),
    GETTERS("requestGetters", request_getters),
    GETTERS("responseGetters", response_getters),
    GETTERS("urlGetters", url_getters),
};

int sv_kept_natives(JSValueConst object) {
    for (int kind = 0; kind < KINDS; kind++) {
        JSClassDef definition = {names[kind], .finalizer = free_kept, .gc_mark = mark_kept};
        JS_NewClassID(sv_rt, &classes[kind]);
        if (JS_NewClass(sv_rt, classes[kind], &definition))
            return -1;
    }
    return JS_SetPropertyFunctionList(sv_ctx, object, natives, sizeof(natives) / sizeof(natives[0]));
}
