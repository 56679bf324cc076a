/*
 * Statements of SQL databases. A handler makes two for each query, one by `prepare` and one by `bind`, so they are no
 * objects of the prelude's: what a statement is lies in one block beside the object, and the query is written from
 * there into the encoding of the call, without a list or a function between.
 *
 * What is rare is the prelude's: values that are not what they cross as, and statements of a transaction.
 */
#include "statement.h"

#include <stdbool.h>

#include "codec.h"
#include "natives.h"
#include "shim.h"

/* As in native.ts. */
#define OP_SQL_QUERY 2601

/* In what form the host is asked for a result; as in features/sql.ts. */
enum { RESULT, FIRST };

struct statement {
    /* Where it runs: the prelude's, and of that the binding, which is -1 in a transaction, and the key. */
    JSValue target;
    JSValue binding;
    JSValue key;
    JSValue sql;
    bool exact;
    int count;
    /* The values of its parameters, as they cross. */
    JSValue values[];
};

static JSClassID statement_class;
/* What the prelude has for this: the prototype, and functions. */
static JSValue prototype, crossing, late, slow;

static void free_statement(JSRuntime *rt, JSValueConst object) {
    struct statement *s = JS_GetOpaque(object, statement_class);
    if (!s)
        return;
    JS_FreeValueRT(rt, s->target);
    JS_FreeValueRT(rt, s->binding);
    JS_FreeValueRT(rt, s->key);
    JS_FreeValueRT(rt, s->sql);
    for (int i = 0; i < s->count; i++)
        JS_FreeValueRT(rt, s->values[i]);
    js_free_rt(rt, s);
}

static void mark_statement(JSRuntime *rt, JSValueConst object, JS_MarkFunc *mark) {
    struct statement *s = JS_GetOpaque(object, statement_class);
    if (!s)
        return;
    JS_MarkValue(rt, s->target, mark);
    for (int i = 0; i < s->count; i++)
        JS_MarkValue(rt, s->values[i], mark);
}

static const JSClassDef statement_def = {
    "D1PreparedStatement",
    .finalizer = free_statement,
    .gc_mark = mark_statement,
};

/* A statement without its values, of which there is room for so many. */
static JSValue make(JSContext *ctx, JSValueConst target, JSValueConst binding, JSValueConst key, JSValueConst sql,
                    bool exact, int room, struct statement **made) {
    struct statement *s = js_malloc(ctx, sizeof *s + room * sizeof s->values[0]);
    if (!s)
        return JS_EXCEPTION;
    JSValue object = JS_NewObjectProtoClass(ctx, prototype, statement_class);
    if (JS_IsException(object)) {
        js_free(ctx, s);
        return object;
    }
    s->target = JS_DupValue(ctx, target);
    s->binding = JS_DupValue(ctx, binding);
    s->key = JS_DupValue(ctx, key);
    s->sql = JS_DupValue(ctx, sql);
    s->exact = exact;
    s->count = 0;
    JS_SetOpaque(object, s);
    *made = s;
    return object;
}

/* makeStatement(target, binding, key, sql) */
static JSValue make_statement(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    struct statement *s;
    return make(ctx, argv[0], argv[1], argv[2], argv[3], false, 0, &s);
}

/* statementParts(statement) → [target, sql, values, exact] */
static JSValue statement_parts(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    struct statement *s = JS_GetOpaque2(ctx, argv[0], statement_class);
    if (!s)
        return JS_EXCEPTION;
    JSValue values = JS_NewArray(ctx);
    for (int i = 0; i < s->count && !JS_IsException(values); i++)
        if (JS_DefinePropertyValueUint32(ctx, values, i, JS_DupValue(ctx, s->values[i]), JS_PROP_C_W_E) < 0) {
            JS_FreeValue(ctx, values);
            values = JS_EXCEPTION;
        }
    if (JS_IsException(values))
        return values;
    const JSValue parts[4] = {JS_DupValue(ctx, s->target), JS_DupValue(ctx, s->sql), values,
                              JS_NewBool(ctx, s->exact)};
    return JS_NewArrayFrom(ctx, 4, parts);
}

static bool crosses_as_it_is(JSValueConst value) {
    switch (JS_VALUE_GET_NORM_TAG(value)) {
    case JS_TAG_INT:
    case JS_TAG_FLOAT64:
    case JS_TAG_BOOL:
    case JS_TAG_NULL:
        return true;
    default:
        return JS_IsString(value);
    }
}

static JSValue bind(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    struct statement *before = JS_GetOpaque2(ctx, this, statement_class), *s;
    if (!before)
        return JS_EXCEPTION;
    JSValue object =
        make(ctx, before->target, before->binding, before->key, before->sql, before->exact, argc, &s);
    for (int i = 0; i < argc && !JS_IsException(object); i++) {
        JSValue value = crosses_as_it_is(argv[i]) ? JS_DupValue(ctx, argv[i])
                                                  : JS_Call(ctx, crossing, JS_UNDEFINED, 1, &argv[i]);
        if (JS_IsException(value)) {
            JS_FreeValue(ctx, object);
            return value;
        }
        s->values[s->count++] = value;
    }
    return object;
}

/* The same statement, whose integers are all BigInts. */
static JSValue safe_integers(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    struct statement *before = JS_GetOpaque2(ctx, this, statement_class), *s;
    if (!before)
        return JS_EXCEPTION;
    int on = argc == 0 || JS_IsUndefined(argv[0]) ? 1 : JS_ToBool(ctx, argv[0]);
    if (on < 0)
        return JS_EXCEPTION;
    JSValue object = make(ctx, before->target, before->binding, before->key, before->sql, on, before->count, &s);
    for (int i = 0; i < before->count && !JS_IsException(object); i++)
        s->values[s->count++] = JS_DupValue(ctx, before->values[i]);
    return object;
}

/* QUERY(binding, key, sql, values, exact, form, column) */
static int encode_query(struct statement *s, int form, JSValueConst column) {
    sv_encode_start();
    if (sv_encode(s->binding) || sv_encode(s->key) || sv_encode(s->sql) || sv_encode_array(s->count))
        return -1;
    for (int i = 0; i < s->count; i++)
        if (sv_encode(s->values[i]))
            return -1;
    return sv_encode(JS_NewBool(sv_ctx, s->exact)) || sv_encode(JS_NewInt32(sv_ctx, form)) || sv_encode(column);
}

static JSValue query(JSContext *ctx, JSValueConst this, int form, JSValueConst column) {
    struct statement *s = JS_GetOpaque2(ctx, this, statement_class);
    if (!s)
        return JS_EXCEPTION;
    if (JS_VALUE_GET_TAG(s->binding) != JS_TAG_INT || JS_VALUE_GET_INT(s->binding) < 0) {
        JSValueConst arguments[3] = {this, JS_NewInt32(ctx, form), column};
        return JS_Call(ctx, slow, JS_UNDEFINED, 3, arguments);
    }
    if (encode_query(s, form, column))
        return sv_settled(ctx, JS_EXCEPTION);
    JSValue asked = sv_asked_for(ctx, OP_SQL_QUERY, 0, late, JS_UNDEFINED);
    return JS_IsException(asked) ? sv_settled(ctx, asked) : asked;
}

static JSValue all(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    return query(ctx, this, RESULT, JS_UNDEFINED);
}

static JSValue first(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    if (argc == 0 || JS_IsUndefined(argv[0]) || JS_IsString(argv[0]))
        return query(ctx, this, FIRST, argc == 0 ? JS_UNDEFINED : argv[0]);
    JSValue column = JS_ToString(ctx, argv[0]);
    if (JS_IsException(column))
        return column;
    JSValue answer = query(ctx, this, FIRST, column);
    JS_FreeValue(ctx, column);
    return answer;
}

static const JSCFunctionListEntry methods[] = {
    JS_CFUNC_DEF("bind", 0, bind),
    JS_CFUNC_DEF("safeIntegers", 0, safe_integers),
    JS_CFUNC_DEF("all", 0, all),
    JS_CFUNC_DEF("run", 0, all),
    JS_CFUNC_DEF("first", 1, first),
};

/*
 * setStatements(prototype, crossing, late, slow): gives the prototype its methods. `crossing(value)` is a value as it
 * crosses, `late` as for `ask`, `slow(statement, form, column)` runs a statement of a transaction.
 */
static JSValue set_statements(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    JSValue *kept[4] = {&prototype, &crossing, &late, &slow};
    for (int i = 0; i < 4; i++) {
        JS_FreeValue(ctx, *kept[i]);
        *kept[i] = JS_DupValue(ctx, argv[i]);
    }
    JS_SetPropertyFunctionList(ctx, argv[0], methods, sizeof(methods) / sizeof(methods[0]));
    return JS_UNDEFINED;
}

static const JSCFunctionListEntry natives[] = {
    JS_CFUNC_DEF("setStatements", 4, set_statements),
    JS_CFUNC_DEF("makeStatement", 4, make_statement),
    JS_CFUNC_DEF("statementParts", 1, statement_parts),
};

int sv_statement_natives(JSValueConst object) {
    prototype = crossing = late = slow = JS_UNDEFINED;
    JS_NewClassID(sv_rt, &statement_class);
    if (JS_NewClass(sv_rt, statement_class, &statement_def))
        return -1;
    return JS_SetPropertyFunctionList(sv_ctx, object, natives, sizeof(natives) / sizeof(natives[0]));
}
