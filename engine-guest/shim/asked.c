/*
 * Operations that were asked for and go on. Each has a promise here, which is settled where the end
 * of the operation is read: no function of the prelude's runs between the two, and none is made.
 *
 * They lie in a table by their ids, each at its place or behind it with no gap between.
 */
#include "asked.h"

#include "natives.h"
#include "shim.h"

struct asked {
    /* 0 where nothing is. */
    uint32_t id;
    /* The request that gives it up when its client leaves, or 0. */
    uint32_t request;
    JSValue promise;
    /* What makes of the end what the promise gets; undefined if it is that already. */
    JSValue late;
    /* What that is told besides. */
    JSValue about;
};

static struct asked *table;
static uint32_t capacity, count, last;

static uint32_t place_of(uint32_t id) { return id * 2654435761u & (capacity - 1); }

static void put(struct asked entry) {
    uint32_t at = place_of(entry.id);
    while (table[at].id)
        at = (at + 1) & (capacity - 1);
    table[at] = entry;
}

static int make_room(void) {
    if (capacity && count < capacity / 2)
        return 0;
    struct asked *before = table;
    uint32_t entries = capacity;
    struct asked *larger = js_mallocz(sv_ctx, (entries ? entries * 2 : 16) * sizeof *larger);
    if (!larger)
        return -1;
    table = larger;
    capacity = entries ? entries * 2 : 16;
    for (uint32_t i = 0; i < entries; i++)
        if (before[i].id)
            put(before[i]);
    js_free(sv_ctx, before);
    return 0;
}

static struct asked *find(uint32_t id) {
    if (!count)
        return NULL;
    for (uint32_t at = place_of(id); table[at].id; at = (at + 1) & (capacity - 1))
        if (table[at].id == id)
            return &table[at];
    return NULL;
}

static struct asked take(struct asked *entry) {
    struct asked taken = *entry;
    uint32_t gap = entry - table;
    count--;
    /* What stands behind it moves up, unless that would take it before its place. */
    for (uint32_t at = (gap + 1) & (capacity - 1); table[at].id; at = (at + 1) & (capacity - 1)) {
        uint32_t wanted = place_of(table[at].id);
        if (((at - wanted) & (capacity - 1)) < ((at - gap) & (capacity - 1)))
            continue;
        table[gap] = table[at];
        gap = at;
    }
    table[gap].id = 0;
    return taken;
}

JSValue sv_asked_begin(uint32_t id, uint32_t request, JSValueConst late, JSValueConst about) {
    if (make_room())
        return JS_EXCEPTION;
    JSValue promise = JS_NewPendingPromise(sv_ctx);
    if (JS_IsException(promise))
        return promise;
    count++;
    last = id;
    put((struct asked){id, request, JS_DupValue(sv_ctx, promise), JS_DupValue(sv_ctx, late),
                       JS_DupValue(sv_ctx, about)});
    return promise;
}

bool sv_asked(uint32_t id) { return find(id) != NULL; }

static void forget(struct asked entry) {
    JS_FreeValue(sv_ctx, entry.about);
    JS_FreeValue(sv_ctx, entry.late);
    JS_FreeValue(sv_ctx, entry.promise);
}

uint32_t sv_asked_for_alone(JSValueConst promise, int holders) {
    struct asked *entry = find(last);
    return entry && JS_IsPassedOn(sv_ctx, entry->promise, promise, holders) ? last : 0;
}

int sv_asked_is_alone(uint32_t id, JSValueConst late, JSValueConst invocation, uint32_t place, int holders) {
    struct asked *entry = find(id);
    if (!entry || !JS_IsStrictEqual(sv_ctx, entry->late, late))
        return SV_SHARED;
    JSValue told = JS_GetPropertyUint32(sv_ctx, entry->about, place);
    if (JS_IsStrictEqual(sv_ctx, told, invocation))
        holders += JS_CountReferences(entry->about) == 1 ? 2 : 0;
    bool alone = JS_CountReferences(invocation) == holders;
    JS_FreeValue(sv_ctx, told);
    return !alone ? SV_SHARED : entry->request ? SV_OWNED : SV_UNOWNED;
}

void sv_asked_forget(uint32_t id) { forget(take(find(id))); }

int sv_asked_end(uint32_t id, struct reader *reader) {
    struct asked entry = take(find(id));
    JSValue ok = sv_decode(reader);
    bool failed = JS_VALUE_GET_TAG(ok) != JS_TAG_BOOL || !JS_VALUE_GET_BOOL(ok);
    JSValue value = JS_IsException(ok) ? ok : sv_decode(reader);
    if (failed && !JS_IsException(value))
        value = sv_made_error(sv_ctx, value);
    if (!JS_IsException(value) && !JS_IsUndefined(entry.late)) {
        JSValueConst arguments[3] = {JS_NewBool(sv_ctx, !failed), value, entry.about};
        JSValue made = JS_Call(sv_ctx, entry.late, JS_UNDEFINED, 3, arguments);
        JS_FreeValue(sv_ctx, value);
        value = made;
    }
    bool uncatchable = false;
    if (JS_IsException(value)) {
        failed = true;
        value = JS_GetException(sv_ctx);
        uncatchable = JS_IsUncatchableError(value);
    }
    if (!uncatchable)
        JS_SettlePromise(sv_ctx, entry.promise, value, failed);
    JS_FreeValue(sv_ctx, value);
    forget(entry);
    return uncatchable ? SV_INTERRUPTED : SV_OK;
}

void sv_asked_abandon(uint32_t request, JSValueConst reason, void (*gone)(uint32_t)) {
    for (uint32_t at = 0; at < capacity;) {
        if (!table[at].id || table[at].request != request) {
            at++;
            continue;
        }
        /* What stood behind it may be in its place now, and is looked at next. */
        struct asked entry = take(&table[at]);
        gone(entry.id);
        JS_SettlePromise(sv_ctx, entry.promise, reason, true);
        forget(entry);
    }
}
