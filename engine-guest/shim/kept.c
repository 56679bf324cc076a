/*
 * Objects of the prelude's whose state no script reaches: what a private field is, for those of which a handler makes
 * several. A class that has such fields runs a function of its own for each object, to make them, and then its
 * constructor.
 *
 * A state is an array. Each kind has a class of its own, so that an object of one is none of another.
 */
#include "kept.h"

#include "shim.h"

enum kind { REQUEST, RESPONSE, URL, CONTEXT, OBJECT_ID, STUB, KINDS };

static const char *const names[KINDS] = {
    "Request", "Response", "URL", "ExecutionContext", "DurableObjectId", "DurableObjectStub",
};
static JSClassID classes[KINDS];

static JSValueConst as_value(void *state) { return JS_MKPTR(JS_TAG_OBJECT, state); }

static void free_kept(JSRuntime *rt, JSValueConst object) {
    JSClassID of;
    void *state = JS_GetAnyOpaque(object, &of);
    if (state)
        JS_FreeValueRT(rt, as_value(state));
}

static void mark_kept(JSRuntime *rt, JSValueConst object, JS_MarkFunc *mark) {
    JSClassID of;
    void *state = JS_GetAnyOpaque(object, &of);
    if (state)
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
    void *state = JS_GetOpaque(argv[0], classes[kind]);
    return state ? JS_DupValue(ctx, as_value(state)) : JS_NULL;
}

static void *state_of(JSContext *ctx, JSValueConst object, int kind) {
    void *state = JS_GetOpaque(object, classes[kind]);
    if (!state)
        JS_ThrowTypeError(ctx, "this is no %s", names[kind]);
    return state;
}

/* stateOfRequest(value) → its state; throws for what is none */
static JSValue state_or_throw(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv, int kind) {
    void *state = state_of(ctx, argv[0], kind);
    return state ? JS_DupValue(ctx, as_value(state)) : JS_EXCEPTION;
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
