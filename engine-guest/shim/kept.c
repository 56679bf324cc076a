/*
 * Objects of the prelude's whose state no script reaches: what a private field is, for those of which a handler makes
 * several. A class that has such fields runs a function of its own for each object, to make them, and then its
 * constructor.
 */
#include "kept.h"

#include "shim.h"

static JSClassID kept_class;

static void free_kept(JSRuntime *rt, JSValueConst object) {
    JSValue *state = JS_GetOpaque(object, kept_class);
    if (!state)
        return;
    JS_FreeValueRT(rt, *state);
    js_free_rt(rt, state);
}

static void mark_kept(JSRuntime *rt, JSValueConst object, JS_MarkFunc *mark) {
    JSValue *state = JS_GetOpaque(object, kept_class);
    if (state)
        JS_MarkValue(rt, *state, mark);
}

static const JSClassDef kept_def = {"Kept", .finalizer = free_kept, .gc_mark = mark_kept};

/* makeKept(prototype, state) → an object */
static JSValue make_kept(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    JSValue *state = js_malloc(ctx, sizeof *state);
    if (!state)
        return JS_EXCEPTION;
    JSValue object = JS_NewObjectProtoClass(ctx, argv[0], kept_class);
    if (JS_IsException(object)) {
        js_free(ctx, state);
        return object;
    }
    *state = JS_DupValue(ctx, argv[1]);
    JS_SetOpaque(object, state);
    return object;
}

/* kept(value) → the state of what `makeKept` made; undefined for anything else */
static JSValue kept(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    JSValue *state = JS_GetOpaque(argv[0], kept_class);
    return state ? JS_DupValue(ctx, *state) : JS_UNDEFINED;
}

static const JSCFunctionListEntry natives[] = {
    JS_CFUNC_DEF("makeKept", 2, make_kept),
    JS_CFUNC_DEF("kept", 1, kept),
};

int sv_kept_natives(JSValueConst object) {
    JS_NewClassID(sv_rt, &kept_class);
    if (JS_NewClass(sv_rt, kept_class, &kept_def))
        return -1;
    return JS_SetPropertyFunctionList(sv_ctx, object, natives, sizeof(natives) / sizeof(natives[0]));
}
