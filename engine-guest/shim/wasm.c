/*
 * The guest's half of WebAssembly (docs/decisions/0006).
 *
 * A script's module runs in an instance of its own, in the same store, on this very memory: its loads and stores are
 * moved into a window of it, which is malloc'ed here, so that `memory.buffer` is an ArrayBuffer like any other. The
 * host makes instances and carries calls into them, for there a trap must end; calls of imported functions come here
 * directly.
 */
#include "wasm.h"

#include <stdlib.h>
#include <string.h>

#include "natives.h"
#include "shim.h"

#define EXPORTED(name) __attribute__((export_name(name)))

/* As `sv_import_call`; it may enter an instance. */
IMPORT("wasm") int32_t sv_import_wasm(int32_t code, const uint8_t *data, uint32_t len);
/* Calls a function of an instance; arguments and results lie at `slots`. */
IMPORT("wasm_call") int32_t sv_import_wasm_call(uint32_t instance, uint32_t function, uint64_t *slots);
/* An instance has called back into this module: from here to wasm_leave a trap is one of QuickJS. */
IMPORT("wasm_enter") void sv_import_wasm_enter(void);
/* Does not return if `failed` is set: the call that the instance was in ends. */
IMPORT("wasm_leave") void sv_import_wasm_leave(int32_t failed);
/* Where a memory is from now on; not 0 if there may be no more memories. */
IMPORT("wasm_moved") int32_t sv_import_wasm_moved(uint32_t memory, uint8_t *base, uint32_t bytes);

#define PAGE (64u << 10)
/* Of the address space; the host's limit is far below. */
#define PAGES_MAX ((2u << 30) / PAGE)

enum { CALL_OK = 0, CALL_FAILED = 1, CALL_THREW = 2, CALL_INTERRUPTED = 3 };
/* Arguments of wasm_leave. */
enum { LEAVE_OK = 0, LEAVE_THREW = 1, LEAVE_TABLE_BOUNDS = 2 };

/* What one call carries: the most parameters and results that a function may have. */
#define SLOTS_MAX 1000

/* Parameters and results, a letter each: i and I for integers, f and d for floats, e for any JavaScript value. */
struct signature {
    struct signature *next;
    uint32_t params, results;
    char letters[];
};

static struct signature *signatures;

struct memory {
    uint8_t *data;
    uint32_t bytes, capacity, pages_max;
    JSValue buffer;
};

static struct memory *memories;
static uint32_t memory_count;

/* A table of JavaScript values. */
struct reftable {
    JSValue *items;
    uint32_t len, max;
};

static struct reftable *reftables;
static uint32_t reftable_count;

/* JavaScript values that instances hold on their stacks: a handle is a place here, from 1. A call gives its own back. */
static JSValue *refs;
static uint32_t ref_count, ref_capacity;

struct import {
    JSValue function;
    struct signature *signature;
};

/* What the functions that an instance imports are, by the instance's number. */
struct imports {
    struct import *items;
    uint32_t count;
};

static struct imports *instances;
static uint32_t instance_count;

struct function {
    uint32_t instance, index;
    struct signature *signature;
};

static struct signature *signature_of(JSContext *ctx, JSValueConst params, JSValueConst results) {
    size_t n, m;
    const char *p = JS_ToCStringLen(ctx, &n, params), *r = p ? JS_ToCStringLen(ctx, &m, results) : NULL;
    struct signature *s = NULL;
    if (r) {
        for (s = signatures; s; s = s->next)
            if (s->params == n && s->results == m && !memcmp(s->letters, p, n) && !memcmp(s->letters + n, r, m))
                break;
        if (!s && (s = malloc(sizeof(*s) + n + m))) {
            s->params = n;
            s->results = m;
            memcpy(s->letters, p, n);
            memcpy(s->letters + n, r, m);
            s->next = signatures;
            signatures = s;
        }
        if (!s)
            JS_ThrowOutOfMemory(ctx);
    }
    JS_FreeCString(ctx, r);
    JS_FreeCString(ctx, p);
    return s;
}

/* A handle; 0 for null, and for a value that there is no room for. */
static uint32_t hold(JSContext *ctx, JSValueConst value) {
    if (JS_IsNull(value))
        return 0;
    if (ref_count == ref_capacity) {
        uint32_t capacity = ref_capacity ? ref_capacity * 2 : 64;
        JSValue *more = realloc(refs, capacity * sizeof(*refs));
        if (!more) {
            JS_ThrowOutOfMemory(ctx);
            return 0;
        }
        refs = more;
        ref_capacity = capacity;
    }
    refs[ref_count++] = JS_DupValue(ctx, value);
    return ref_count;
}

static JSValue held(JSContext *ctx, uint32_t handle) {
    return handle && handle <= ref_count ? JS_DupValue(ctx, refs[handle - 1]) : JS_NULL;
}

static void let_go(JSContext *ctx, uint32_t count) {
    while (ref_count > count)
        JS_FreeValue(ctx, refs[--ref_count]);
}

static int to_slot(JSContext *ctx, char letter, JSValueConst value, uint64_t *slot) {
    int32_t i;
    int64_t wide;
    double d;
    *slot = 0;
    switch (letter) {
    case 'i':
        if (JS_ToInt32(ctx, &i, value))
            return -1;
        *slot = (uint32_t)i;
        return 0;
    case 'I':
        if (JS_ToBigInt64(ctx, &wide, value))
            return -1;
        *slot = (uint64_t)wide;
        return 0;
    case 'f':
    case 'd':
        if (JS_ToFloat64(ctx, &d, value))
            return -1;
        if (letter == 'f') {
            float f = (float)d;
            memcpy(slot, &f, 4);
        } else {
            memcpy(slot, &d, 8);
        }
        return 0;
    case 'e':
        *slot = hold(ctx, value);
        return *slot || JS_IsNull(value) ? 0 : -1;
    default:
        JS_ThrowTypeError(ctx, "a value of this WebAssembly type can't cross to or from JavaScript");
        return -1;
    }
}

static JSValue from_slot(JSContext *ctx, char letter, uint64_t slot) {
    float f;
    double d;
    switch (letter) {
    case 'i':
        return JS_NewInt32(ctx, (int32_t)slot);
    case 'I':
        return JS_NewBigInt64(ctx, (int64_t)slot);
    case 'f':
        memcpy(&f, &slot, 4);
        return JS_NewNumber(ctx, f);
    case 'd':
        memcpy(&d, &slot, 8);
        return JS_NewNumber(ctx, d);
    case 'e':
        return held(ctx, (uint32_t)slot);
    default:
        return JS_ThrowTypeError(ctx, "a value of this WebAssembly type can't cross to or from JavaScript");
    }
}

static JSValue outcome(JSContext *ctx, int32_t status) {
    if (status == CALL_THREW)
        return JS_EXCEPTION;
    JS_ThrowInternalError(ctx, "interrupted");
    JSValue error = JS_GetException(ctx);
    JS_SetUncatchableError(ctx, error);
    return JS_Throw(ctx, error);
}

static JSValue results(JSContext *ctx, struct signature *s, uint64_t *slots) {
    const char *letters = s->letters + s->params;
    if (s->results == 0)
        return JS_UNDEFINED;
    if (s->results == 1)
        return from_slot(ctx, letters[0], slots[0]);
    JSValue array = JS_NewArray(ctx);
    for (uint32_t i = 0; i < s->results && !JS_IsException(array); i++) {
        JSValue value = from_slot(ctx, letters[i], slots[i]);
        if (JS_IsException(value) || JS_DefinePropertyValueUint32(ctx, array, i, value, JS_PROP_C_W_E) < 0) {
            JS_FreeValue(ctx, array);
            return JS_EXCEPTION;
        }
    }
    return array;
}

#define SLOTS_INLINE 16

static JSValue call_function(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv, int magic, void *opaque) {
    struct function *f = opaque;
    struct signature *s = f->signature;
    uint32_t count = s->params > s->results ? s->params : s->results, scope = ref_count;
    uint64_t few[SLOTS_INLINE], *slots = few;
    if (count > SLOTS_INLINE && !(slots = malloc(count * sizeof(*slots))))
        return JS_ThrowOutOfMemory(ctx);
    JSValue result = JS_UNDEFINED;
    for (uint32_t i = 0; i < s->params && !JS_IsException(result); i++)
        if (to_slot(ctx, s->letters[i], (int)i < argc ? argv[i] : JS_UNDEFINED, &slots[i]))
            result = JS_EXCEPTION;
    if (!JS_IsException(result)) {
        int32_t status = sv_import_wasm_call(f->instance, f->index, slots);
        if (status == CALL_OK)
            result = results(ctx, s, slots);
        else if (status < 0)
            result = sv_throw_answer(ctx, -status);
        else
            result = outcome(ctx, status);
    }
    let_go(ctx, scope);
    if (slots != few)
        free(slots);
    return result;
}

/* wasmFunction(instance, index, params, results) → a function; its name is set by the prelude. */
static JSValue native_function(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    uint32_t instance, index;
    if (JS_ToUint32(ctx, &instance, argv[0]) || JS_ToUint32(ctx, &index, argv[1]))
        return JS_EXCEPTION;
    struct signature *s = signature_of(ctx, argv[2], argv[3]);
    if (!s)
        return JS_EXCEPTION;
    struct function *f = malloc(sizeof(*f));
    if (!f)
        return JS_ThrowOutOfMemory(ctx);
    *f = (struct function){instance, index, s};
    return JS_NewCClosure(ctx, call_function, "", free, s->params, 0, f);
}

static int grow_list(void **list, uint32_t *count, uint32_t wanted, size_t size) {
    if (wanted <= *count)
        return 0;
    void *more = realloc(*list, wanted * size);
    if (!more)
        return -1;
    memset((uint8_t *)more + *count * size, 0, (wanted - *count) * size);
    *list = more;
    *count = wanted;
    return 0;
}

/* wasmImports(instance, [function, params, results, …]): what the instance finds for the functions it imports. */
static JSValue native_imports(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    uint32_t instance;
    int64_t length;
    if (JS_ToUint32(ctx, &instance, argv[0]) || JS_GetLength(ctx, argv[1], &length))
        return JS_EXCEPTION;
    if (grow_list((void **)&instances, &instance_count, instance + 1, sizeof(*instances)))
        return JS_ThrowOutOfMemory(ctx);
    uint32_t count = length / 3;
    struct import *items = calloc(count ? count : 1, sizeof(*items));
    if (!items)
        return JS_ThrowOutOfMemory(ctx);
    for (uint32_t i = 0; i < count; i++) {
        JSValue params = JS_GetPropertyInt64(ctx, argv[1], i * 3 + 1);
        JSValue results = JS_GetPropertyInt64(ctx, argv[1], i * 3 + 2);
        items[i].function = JS_GetPropertyInt64(ctx, argv[1], i * 3);
        items[i].signature = signature_of(ctx, params, results);
        JS_FreeValue(ctx, params);
        JS_FreeValue(ctx, results);
        if (!items[i].signature)
            return JS_EXCEPTION;
    }
    instances[instance] = (struct imports){items, count};
    return JS_UNDEFINED;
}

/* Puts what an imported function returned where the instance looks for it. Several values come as an array. */
static int put_results(JSContext *ctx, struct signature *s, JSValueConst value) {
    const char *letters = s->letters + s->params;
    uint64_t slot;
    if (s->results == 1) {
        if (to_slot(ctx, letters[0], value, &slot))
            return -1;
        sv_control.wasm_scratch[0] = slot;
        return 0;
    }
    uint64_t *slots = malloc((s->results + 1) * sizeof(*slots));
    if (!slots) {
        JS_ThrowOutOfMemory(ctx);
        return -1;
    }
    int failed = 0;
    /* A conversion may run code that calls an instance: nothing is in the scratch space before they are over. */
    for (uint32_t i = 0; i < s->results && !failed; i++) {
        JSValue element = JS_GetPropertyUint32(ctx, value, i);
        failed = JS_IsException(element) || to_slot(ctx, letters[i], element, &slots[i]);
        JS_FreeValue(ctx, element);
    }
    if (!failed)
        memcpy(sv_control.wasm_scratch, slots, s->results * sizeof(*slots));
    free(slots);
    return failed ? -1 : 0;
}

static int run_import(JSContext *ctx, uint32_t instance, uint32_t index) {
    if (instance >= instance_count || index >= instances[instance].count) {
        JS_ThrowInternalError(ctx, "an instance has lost its imports");
        return LEAVE_THREW;
    }
    struct import im = instances[instance].items[index];
    struct signature *s = im.signature;
    JSValue few[SLOTS_INLINE], *arguments = few;
    if (s->params > SLOTS_INLINE && !(arguments = malloc(s->params * sizeof(*arguments)))) {
        JS_ThrowOutOfMemory(ctx);
        return LEAVE_THREW;
    }
    uint32_t count = 0;
    bool failed = false;
    for (; count < s->params && !failed; count++) {
        arguments[count] = from_slot(ctx, s->letters[count], sv_control.wasm_scratch[count]);
        failed = JS_IsException(arguments[count]);
    }
    JSValue value = failed ? JS_EXCEPTION : JS_Call(ctx, im.function, JS_UNDEFINED, count, arguments);
    while (count)
        JS_FreeValue(ctx, arguments[--count]);
    if (arguments != few)
        free(arguments);
    failed = JS_IsException(value) || (s->results && put_results(ctx, s, value));
    JS_FreeValue(ctx, value);
    return failed ? LEAVE_THREW : LEAVE_OK;
}

/* An instance calls a function that it imports. */
EXPORTED("sv_wasm_import") void export_wasm_import(uint32_t instance, uint32_t index) {
    sv_import_wasm_enter();
    sv_import_wasm_leave(run_import(sv_ctx, instance, index));
}

/* Gives a memory so many pages; what is new is zero. */
static int resize(struct memory *m, uint32_t pages) {
    if (pages > PAGES_MAX)
        return -1;
    uint32_t bytes = pages * PAGE;
    if (bytes > m->capacity) {
        /* Who grows once grows again, by a page as often as not: room for a quarter more, if there is any. */
        uint32_t slack = m->capacity ? bytes / 4 & ~(PAGE - 1) : 0;
        if (slack > (m->pages_max - pages) * PAGE)
            slack = (m->pages_max - pages) * PAGE;
        uint8_t *data = realloc(m->data, bytes + slack);
        if (!data) {
            slack = 0;
            data = realloc(m->data, bytes);
        }
        if (!data)
            return -1;
        m->data = data;
        m->capacity = bytes + slack;
    }
    if (bytes > m->bytes)
        memset(m->data + m->bytes, 0, bytes - m->bytes);
    m->bytes = bytes;
    return 0;
}

/* The old number of pages, or -1. The buffer that scripts have is detached. */
static int32_t grow(JSContext *ctx, uint32_t id, uint32_t delta) {
    struct memory *m = &memories[id];
    uint32_t old = m->bytes / PAGE;
    if (delta > m->pages_max - old || resize(m, old + delta))
        return -1;
    if (!JS_IsUndefined(m->buffer)) {
        JS_DetachArrayBuffer(ctx, m->buffer);
        JS_FreeValue(ctx, m->buffer);
        m->buffer = JS_UNDEFINED;
    }
    sv_import_wasm_moved(id, m->data, m->bytes);
    return (int32_t)old;
}

EXPORTED("sv_wasm_grow") int32_t export_wasm_grow(uint32_t memory, uint32_t delta) {
    sv_import_wasm_enter();
    int32_t old = memory < memory_count ? grow(sv_ctx, memory, delta) : -1;
    sv_import_wasm_leave(LEAVE_OK);
    return old;
}

/* wasmMemory(pages, most pages) → its number; -1 if there is no room, -2 if there may be no more */
static JSValue native_memory(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    uint32_t pages, max;
    if (JS_ToUint32(ctx, &pages, argv[0]) || JS_ToUint32(ctx, &max, argv[1]))
        return JS_EXCEPTION;
    struct memory m = {.pages_max = max < PAGES_MAX ? max : PAGES_MAX, .buffer = JS_UNDEFINED};
    if (pages > m.pages_max || resize(&m, pages))
        return JS_NewInt32(ctx, -1);
    uint32_t id = memory_count;
    if (grow_list((void **)&memories, &memory_count, id + 1, sizeof(*memories))) {
        free(m.data);
        return JS_NewInt32(ctx, -1);
    }
    memories[id] = m;
    if (sv_import_wasm_moved(id, m.data, m.bytes)) {
        free(m.data);
        memory_count--;
        return JS_NewInt32(ctx, -2);
    }
    return JS_NewUint32(ctx, id);
}

static struct memory *memory_at(JSContext *ctx, JSValueConst id) {
    uint32_t i;
    if (JS_ToUint32(ctx, &i, id))
        return NULL;
    if (i < memory_count)
        return &memories[i];
    JS_ThrowInternalError(ctx, "there is no such memory");
    return NULL;
}

/* wasmBuffer(memory) → a new ArrayBuffer that is the memory, until it grows */
static JSValue native_buffer(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    static uint8_t nothing;
    struct memory *m = memory_at(ctx, argv[0]);
    if (!m)
        return JS_EXCEPTION;
    JSValue buffer = JS_NewArrayBuffer(ctx, m->data ? m->data : &nothing, m->bytes, 0, NULL, NULL, false);
    if (JS_IsException(buffer))
        return buffer;
    JS_FreeValue(ctx, m->buffer);
    m->buffer = JS_DupValue(ctx, buffer);
    return buffer;
}

/* wasmGrow(memory, pages) → the old number of pages, or -1 */
static JSValue native_grow(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    uint32_t delta;
    struct memory *m = memory_at(ctx, argv[0]);
    if (!m || JS_ToUint32(ctx, &delta, argv[1]))
        return JS_EXCEPTION;
    return JS_NewInt32(ctx, grow(ctx, m - memories, delta));
}

static int32_t grow_table(JSContext *ctx, uint32_t id, JSValueConst value, uint32_t delta) {
    struct reftable *t = &reftables[id];
    uint32_t old = t->len;
    if (delta > t->max - old)
        return -1;
    JSValue *items = realloc(t->items, (old + delta + 1) * sizeof(*items));
    if (!items)
        return -1;
    for (uint32_t i = old; i < old + delta; i++)
        items[i] = JS_DupValue(ctx, value);
    t->items = items;
    t->len = old + delta;
    return (int32_t)old;
}

/* wasmRefs(length, most, value) → the number of a table of JavaScript values, or -1 */
static JSValue native_refs(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    uint32_t length, max, id = reftable_count;
    if (JS_ToUint32(ctx, &length, argv[0]) || JS_ToUint32(ctx, &max, argv[1]))
        return JS_EXCEPTION;
    if (grow_list((void **)&reftables, &reftable_count, id + 1, sizeof(*reftables)))
        return JS_NewInt32(ctx, -1);
    reftables[id].max = max;
    return JS_NewInt32(ctx, grow_table(ctx, id, argv[2], length) < 0 ? -1 : (int32_t)id);
}

static struct reftable *table_at(JSContext *ctx, JSValueConst id) {
    uint32_t i;
    if (JS_ToUint32(ctx, &i, id))
        return NULL;
    if (i < reftable_count)
        return &reftables[i];
    JS_ThrowInternalError(ctx, "there is no such table");
    return NULL;
}

/* wasmRefsGet(table, place), wasmRefsSet(table, place, value): true or the value; undefined outside of the table is
 * for the prelude to find out, by wasmRefsLength. */
static JSValue native_refs_get(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    uint32_t at;
    struct reftable *t = table_at(ctx, argv[0]);
    if (!t || JS_ToUint32(ctx, &at, argv[1]))
        return JS_EXCEPTION;
    return at < t->len ? JS_DupValue(ctx, t->items[at]) : JS_UNDEFINED;
}

static JSValue native_refs_set(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    uint32_t at;
    struct reftable *t = table_at(ctx, argv[0]);
    if (!t || JS_ToUint32(ctx, &at, argv[1]))
        return JS_EXCEPTION;
    if (at < t->len) {
        JSValue old = t->items[at];
        t->items[at] = JS_DupValue(ctx, argv[2]);
        JS_FreeValue(ctx, old);
    }
    return JS_UNDEFINED;
}

static JSValue native_refs_length(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    struct reftable *t = table_at(ctx, argv[0]);
    return t ? JS_NewUint32(ctx, t->len) : JS_EXCEPTION;
}

/* wasmRefsGrow(table, value, delta) → the old length, or -1 */
static JSValue native_refs_grow(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    uint32_t delta;
    struct reftable *t = table_at(ctx, argv[0]);
    if (!t || JS_ToUint32(ctx, &delta, argv[2]))
        return JS_EXCEPTION;
    return JS_NewInt32(ctx, grow_table(ctx, t - reftables, argv[1], delta));
}

/* What instances do with tables of JavaScript values: the instructions of that name. */
EXPORTED("sv_ref_get") uint32_t export_ref_get(uint32_t table, uint32_t at) {
    sv_import_wasm_enter();
    bool inside = at < reftables[table].len;
    uint32_t handle = inside ? hold(sv_ctx, reftables[table].items[at]) : 0;
    bool failed = inside && !handle && !JS_IsNull(reftables[table].items[at]);
    sv_import_wasm_leave(!inside ? LEAVE_TABLE_BOUNDS : failed ? LEAVE_THREW : LEAVE_OK);
    return handle;
}

EXPORTED("sv_ref_fill") void export_ref_fill(uint32_t table, uint32_t at, uint32_t handle, uint32_t count) {
    sv_import_wasm_enter();
    struct reftable *t = &reftables[table];
    bool inside = at <= t->len && count <= t->len - at;
    for (uint32_t i = at; inside && i < at + count; i++) {
        JSValue old = t->items[i];
        t->items[i] = held(sv_ctx, handle);
        JS_FreeValue(sv_ctx, old);
    }
    sv_import_wasm_leave(inside ? LEAVE_OK : LEAVE_TABLE_BOUNDS);
}

EXPORTED("sv_ref_grow") int32_t export_ref_grow(uint32_t table, uint32_t handle, uint32_t delta) {
    sv_import_wasm_enter();
    JSValue value = held(sv_ctx, handle);
    int32_t old = grow_table(sv_ctx, table, value, delta);
    JS_FreeValue(sv_ctx, value);
    sv_import_wasm_leave(LEAVE_OK);
    return old;
}

EXPORTED("sv_ref_size") uint32_t export_ref_size(uint32_t table) { return reftables[table].len; }

static JSValue native_wasm(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv) {
    if (!sv_control.wasm_scratch && !(sv_control.wasm_scratch = malloc(SLOTS_MAX * sizeof(uint64_t))))
        return JS_ThrowOutOfMemory(ctx);
    return sv_cross(ctx, sv_import_wasm, argc, argv);
}

static const JSCFunctionListEntry natives[] = {
    JS_CFUNC_DEF("wasm", 1, native_wasm),
    JS_CFUNC_DEF("wasmFunction", 4, native_function),
    JS_CFUNC_DEF("wasmImports", 2, native_imports),
    JS_CFUNC_DEF("wasmMemory", 2, native_memory),
    JS_CFUNC_DEF("wasmBuffer", 1, native_buffer),
    JS_CFUNC_DEF("wasmGrow", 2, native_grow),
    JS_CFUNC_DEF("wasmRefs", 3, native_refs),
    JS_CFUNC_DEF("wasmRefsGet", 2, native_refs_get),
    JS_CFUNC_DEF("wasmRefsSet", 3, native_refs_set),
    JS_CFUNC_DEF("wasmRefsLength", 1, native_refs_length),
    JS_CFUNC_DEF("wasmRefsGrow", 3, native_refs_grow),
};

void sv_wasm_natives(JSContext *ctx, JSValueConst object) {
    JS_SetPropertyFunctionList(ctx, object, natives, sizeof(natives) / sizeof(natives[0]));
}
