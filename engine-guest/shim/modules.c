#include "modules.h"

#include <stdlib.h>
#include <string.h>

#include "shim.h"

struct module {
    struct module *next;
    char *name;
    uint8_t *source;
    uint32_t source_len;
    int kind;
    /* Once it is compiled. */
    JSModuleDef *compiled;
};

/* The prelude's own modules stay listed once they are compiled, for sv_modules_load. */
#define PRELUDE "selvedge:"

static struct module *modules;
/* "importer\nspecifier" → name. */
static JSValue imports;

static char *copy_string(const char *s, uint32_t len) {
    char *copy = malloc(len + 1);
    if (copy) {
        memcpy(copy, s, len);
        copy[len] = 0;
    }
    return copy;
}

static struct module *find(const char *name, size_t name_len) {
    for (struct module *m = modules; m; m = m->next)
        if (!strncmp(m->name, name, name_len) && !m->name[name_len])
            return m;
    return NULL;
}

int sv_modules_add(const char *name, uint32_t name_len, uint8_t *source, uint32_t source_len, int kind) {
    struct module *m = malloc(sizeof(*m));
    if (!m)
        return -1;
    m->compiled = NULL;
    m->next = modules;
    m->name = copy_string(name, name_len);
    m->source = source;
    m->source_len = source_len;
    m->kind = kind;
    modules = m;
    return m->name ? 0 : -1;
}

static JSAtom import_key(const char *from, size_t from_len, const char *specifier, size_t specifier_len) {
    char *key = malloc(from_len + specifier_len + 1);
    if (!key)
        return JS_ATOM_NULL;
    memcpy(key, from, from_len);
    key[from_len] = '\n';
    memcpy(key + from_len + 1, specifier, specifier_len);
    JSAtom atom = JS_NewAtomLen(sv_ctx, key, from_len + specifier_len + 1);
    free(key);
    return atom;
}

int sv_modules_add_import(const char *from, uint32_t from_len, const char *specifier, uint32_t specifier_len,
                          const char *to, uint32_t to_len) {
    JSAtom key = import_key(from, from_len, specifier, specifier_len);
    int result = JS_DefinePropertyValue(sv_ctx, imports, key, JS_NewStringLen(sv_ctx, to, to_len), JS_PROP_C_W_E);
    JS_FreeAtom(sv_ctx, key);
    return result < 0 ? -1 : 0;
}

static char *normalize(JSContext *ctx, const char *from, const char *specifier, void *opaque) {
    (void)opaque;
    JSAtom key = import_key(from, strlen(from), specifier, strlen(specifier));
    JSValue to = JS_GetProperty(ctx, imports, key);
    JS_FreeAtom(ctx, key);
    if (!JS_IsString(to)) {
        JS_FreeValue(ctx, to);
        JS_ThrowPlainError(ctx, "can't import '%s' from '%s': it is not part of this deployment", specifier, from);
        return NULL;
    }
    const char *s = JS_ToCString(ctx, to);
    char *name = s ? js_strdup(ctx, s) : NULL;
    JS_FreeCString(ctx, s);
    JS_FreeValue(ctx, to);
    return name;
}

static int set_default(JSContext *ctx, JSModuleDef *m) {
    return JS_SetModuleExport(ctx, m, "default", JS_GetModulePrivateValue(ctx, m));
}

/* A module whose only export is a value. */
static JSModuleDef *value_module(JSContext *ctx, const char *name, JSValue value) {
    if (JS_IsException(value))
        return NULL;
    JSModuleDef *m = JS_NewCModule(ctx, name, set_default);
    if (!m) {
        JS_FreeValue(ctx, value);
        return NULL;
    }
    JS_AddModuleExport(ctx, m, "default");
    JS_SetModulePrivateValue(ctx, m, value);
    return m;
}

static JSModuleDef *compile(JSContext *ctx, struct module *m) {
    const char *source = (const char *)m->source;
    switch (m->kind) {
    case SV_MODULE_JSON:
        return value_module(ctx, m->name, JS_ParseJSON(ctx, source, m->source_len, m->name));
    case SV_MODULE_TEXT:
        return value_module(ctx, m->name, JS_NewStringLen(ctx, source, m->source_len));
    case SV_MODULE_BYTES:
        return value_module(ctx, m->name, JS_NewArrayBufferCopy(ctx, m->source, m->source_len));
    case SV_MODULE_ARRAY:
        return value_module(ctx, m->name, JS_NewUint8ArrayCopy(ctx, m->source, m->source_len));
    case SV_MODULE_CLASSIC:
        return value_module(ctx, m->name, JS_Eval(ctx, source, m->source_len, m->name, JS_EVAL_TYPE_GLOBAL));
    default: {
        JSValue f = JS_Eval(ctx, source, m->source_len, m->name, JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
        if (JS_IsException(f))
            return NULL;
        JSModuleDef *module = JS_VALUE_GET_PTR(f);
        /* The runtime's list of modules keeps it alive. */
        JS_FreeValue(ctx, f);
        return module;
    }
    }
}

static int set_import_meta(JSContext *ctx, JSModuleDef *m, const char *name) {
    JSValue meta = JS_GetImportMeta(ctx, m);
    if (JS_IsException(meta))
        return -1;
    size_t len = strlen(name) + 9;
    char *url = malloc(len);
    if (!url) {
        JS_FreeValue(ctx, meta);
        return -1;
    }
    memcpy(url, "file:///", 8);
    memcpy(url + 8, name, len - 8);
    JS_DefinePropertyValueStr(ctx, meta, "url", JS_NewString(ctx, url), JS_PROP_C_W_E);
    JS_DefinePropertyValueStr(ctx, meta, "main", JS_FALSE, JS_PROP_C_W_E);
    free(url);
    JS_FreeValue(ctx, meta);
    return 0;
}

/* Takes a module out of the list. */
static void forget(struct module *m) {
    struct module **at = &modules;
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    free(m->name);
    free(m);
}

/*
 * Compiles a module on its first import, and lets go of its source. What it imports is loaded
 * meanwhile, by this same function: no place in the list is kept over the call.
 */
static JSModuleDef *load(JSContext *ctx, const char *name, void *opaque) {
    (void)opaque;
    struct module *m = find(name, strlen(name));
    if (!m) {
        JS_ThrowTypeError(ctx, "there is no module '%s' in this deployment", name);
        return NULL;
    }
    if (m->compiled)
        return m->compiled;
    JSModuleDef *module = compile(ctx, m);
    if (!module)
        return NULL;
    if (m->kind == SV_MODULE_JS)
        set_import_meta(ctx, module, name);
    free(m->source);
    m->source = NULL;
    m->compiled = module;
    if (strncmp(name, PRELUDE, sizeof(PRELUDE) - 1))
        forget(m);
    return module;
}

void sv_modules_init(void) {
    imports = JS_NewObjectProto(sv_ctx, JS_NULL);
    JS_SetModuleLoaderFunc(sv_rt, normalize, load, NULL);
}

JSValue sv_modules_evaluate(const char *name, uint32_t name_len, JSModuleDef **module) {
    char *copy = copy_string(name, name_len);
    if (!copy)
        return JS_ThrowOutOfMemory(sv_ctx);
    *module = load(sv_ctx, copy, NULL);
    free(copy);
    if (!*module)
        return JS_EXCEPTION;
    return JS_EvalFunction(sv_ctx, JS_DupValue(sv_ctx, JS_MKPTR(JS_TAG_MODULE, *module)));
}

/* An element of an array as C text. */
struct text {
    JSValue value;
    const char *s;
    size_t len;
};

static struct text text_at(JSValueConst array, int64_t i) {
    struct text t = {.value = JS_GetPropertyInt64(sv_ctx, array, i)};
    t.s = JS_ToCStringLen(sv_ctx, &t.len, t.value);
    return t;
}

static void free_text(struct text t) {
    JS_FreeCString(sv_ctx, t.s);
    JS_FreeValue(sv_ctx, t.value);
}

static int add_edge(struct text from, JSValueConst edges, int64_t i) {
    struct text specifier = text_at(edges, i), to = text_at(edges, i + 1);
    int result = specifier.s && to.s
                     ? sv_modules_add_import(from.s, from.len, specifier.s, specifier.len, to.s, to.len)
                     : -1;
    free_text(specifier);
    free_text(to);
    return result;
}

static int add_with_edges(struct text name, struct text source, JSValueConst edges) {
    if (!name.s || !source.s)
        return -1;
    if (find(name.s, name.len))
        return 0;
    uint8_t *copy = (uint8_t *)copy_string(source.s, source.len);
    if (!copy || sv_modules_add(name.s, name.len, copy, source.len, SV_MODULE_JS))
        return -1;
    int64_t count;
    if (JS_GetLength(sv_ctx, edges, &count))
        return -1;
    for (int64_t i = 0; i + 1 < count; i += 2)
        if (add_edge(name, edges, i))
            return -1;
    return 0;
}

/* Modules as the host sends them: name, source, [specifier, name, …], and again. */
static int add_all(JSValueConst list) {
    int64_t count;
    int result = JS_GetLength(sv_ctx, list, &count);
    for (int64_t i = 0; !result && i + 2 < count; i += 3) {
        struct text name = text_at(list, i), source = text_at(list, i + 1);
        JSValue edges = JS_GetPropertyInt64(sv_ctx, list, i + 2);
        result = add_with_edges(name, source, edges);
        JS_FreeValue(sv_ctx, edges);
        free_text(name);
        free_text(source);
    }
    return result;
}

bool sv_modules_known(const char *name, size_t name_len) { return find(name, name_len) != NULL; }

JSValue sv_modules_load(const char *name, JSValueConst list) {
    if (!JS_IsUndefined(list) && add_all(list))
        return JS_HasException(sv_ctx) ? JS_EXCEPTION : JS_ThrowOutOfMemory(sv_ctx);
    JSModuleDef *module = NULL;
    JSValue promise = sv_modules_evaluate(name, strlen(name), &module);
    if (JS_IsException(promise))
        return promise;
    /* Without a top-level await, which the prelude has none of, a module is evaluated when this returns. */
    JSPromiseStateEnum state = JS_PromiseState(sv_ctx, promise);
    JSValue reason = state == JS_PROMISE_REJECTED ? JS_PromiseResult(sv_ctx, promise) : JS_UNDEFINED;
    JS_PromiseMarkAsHandled(sv_ctx, promise);
    JS_FreeValue(sv_ctx, promise);
    return state == JS_PROMISE_REJECTED ? JS_Throw(sv_ctx, reason) : JS_GetModuleNamespace(sv_ctx, module);
}
