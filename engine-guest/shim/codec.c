#include "codec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "shim.h"

enum { UNDEFINED, NIL, FALSE_, TRUE_, NUMBER, STRING, BYTES, ARRAY, INTEGER, OBJECT, ROWS, BIGINT, BUFFER, JSON };

#define DEPTH_MAX 16
/* A larger buffer is given back after use. */
#define KEEP_BYTES (256 << 10)

struct buffer sv_encoded;

static int reserve(uint32_t more) {
    struct buffer *b = &sv_encoded;
    if (b->cap - b->len >= more)
        return 0;
    uint64_t cap = b->cap ? b->cap : 1024;
    while (cap - b->len < more)
        cap *= 2;
    if (cap > 0x7fffffff)
        return -1;
    uint8_t *data = realloc(b->data, cap);
    if (!data)
        return -1;
    b->data = data;
    b->cap = cap;
    return 0;
}

static int put(uint8_t tag, const void *head, uint32_t head_len, const void *body, uint32_t body_len) {
    if (reserve(1 + head_len + body_len)) {
        JS_ThrowOutOfMemory(sv_ctx);
        return -1;
    }
    uint8_t *at = sv_encoded.data + sv_encoded.len;
    *at++ = tag;
    memcpy(at, head, head_len);
    memcpy(at + head_len, body, body_len);
    sv_encoded.len += 1 + head_len + body_len;
    return 0;
}

void sv_encode_start(void) {
    if (sv_encoded.cap > KEEP_BYTES) {
        free(sv_encoded.data);
        sv_encoded.data = NULL;
        sv_encoded.cap = 0;
    }
    sv_encoded.len = 0;
}

static int put_string(JSValueConst value) {
    size_t len;
    const char *s = JS_ToCStringLen(sv_ctx, &len, value);
    if (!s)
        return -1;
    uint32_t n = len;
    int result = put(STRING, &n, 4, s, n);
    JS_FreeCString(sv_ctx, s);
    return result;
}

/* Bytes of an ArrayBuffer or of any view on one; 1 if it was one, 0 if not, -1 on an exception. */
static int put_bytes(JSValueConst value) {
    size_t size, offset, length;
    uint8_t *data;
    if (JS_GetTypedArrayType(value) >= 0) {
        JSValue buffer = JS_GetTypedArrayBuffer(sv_ctx, value, &offset, &length, NULL);
        if (JS_IsException(buffer))
            return -1;
        data = JS_GetArrayBuffer(sv_ctx, &size, buffer);
        JS_FreeValue(sv_ctx, buffer);
        if (!data && length)
            return -1;
        uint32_t n = length;
        return put(BYTES, &n, 4, data + offset, n) ? -1 : 1;
    }
    if (JS_IsArrayBuffer(value)) {
        data = JS_GetArrayBuffer(sv_ctx, &size, value);
        if (!data && JS_HasException(sv_ctx))
            return -1;
        uint32_t n = size;
        return put(BYTES, &n, 4, data, n) ? -1 : 1;
    }
    return 0;
}

static int encode(JSValueConst value, int depth);

static int put_array(JSValueConst value, int depth) {
    int64_t count;
    if (JS_GetLength(sv_ctx, value, &count))
        return -1;
    uint32_t n = count;
    if (sv_encode_array(n))
        return -1;
    for (uint32_t i = 0; i < n; i++) {
        JSValue element = JS_GetPropertyUint32(sv_ctx, value, i);
        int result = JS_IsException(element) ? -1 : encode(element, depth + 1);
        JS_FreeValue(sv_ctx, element);
        if (result)
            return -1;
    }
    return 0;
}

static int encode(JSValueConst value, int depth) {
    if (depth > DEPTH_MAX) {
        JS_ThrowTypeError(sv_ctx, "a value is nested too deeply for the host");
        return -1;
    }
    switch (JS_VALUE_GET_NORM_TAG(value)) {
    case JS_TAG_UNDEFINED:
        return put(UNDEFINED, NULL, 0, NULL, 0);
    case JS_TAG_NULL:
        return put(NIL, NULL, 0, NULL, 0);
    case JS_TAG_BOOL:
        return put(JS_VALUE_GET_BOOL(value) ? TRUE_ : FALSE_, NULL, 0, NULL, 0);
    case JS_TAG_INT: {
        int32_t i = JS_VALUE_GET_INT(value);
        return put(INTEGER, &i, 4, NULL, 0);
    }
    case JS_TAG_FLOAT64: {
        double d = JS_VALUE_GET_FLOAT64(value);
        return put(NUMBER, &d, 8, NULL, 0);
    }
    default:
        break;
    }
    if (JS_IsString(value))
        return put_string(value);
    int bytes = put_bytes(value);
    if (bytes)
        return bytes < 0 ? -1 : 0;
    if (JS_IsArray(value))
        return put_array(value, depth);
    JS_ThrowTypeError(sv_ctx, "a value of this type can't be passed to the host");
    return -1;
}

int sv_encode(JSValueConst value) { return encode(value, 0); }

int sv_encode_array(uint32_t count) { return put(ARRAY, &count, 4, NULL, 0); }

static void put_property(JSValueConst error, const char *name) {
    JSValue value = JS_IsObject(error) ? JS_GetPropertyStr(sv_ctx, error, name) : JS_UNDEFINED;
    if (!JS_IsString(value) || put_string(value)) {
        JS_FreeValue(sv_ctx, JS_GetException(sv_ctx));
        put(UNDEFINED, NULL, 0, NULL, 0);
    }
    JS_FreeValue(sv_ctx, value);
}

void sv_encode_error(JSValueConst error) {
    uint32_t count = 4;
    put(ARRAY, &count, 4, NULL, 0);
    if (JS_IsObject(error)) {
        put_property(error, "name");
        put_property(error, "message");
        put_property(error, "stack");
        put_property(error, "code");
        return;
    }
    put(STRING, &(uint32_t){8}, 4, "Uncaught", 8);
    if (put_string(error)) {
        JS_FreeValue(sv_ctx, JS_GetException(sv_ctx));
        put(UNDEFINED, NULL, 0, NULL, 0);
    }
    put(UNDEFINED, NULL, 0, NULL, 0);
    put(UNDEFINED, NULL, 0, NULL, 0);
}

static JSValue broken(void) { return JS_ThrowInternalError(sv_ctx, "the host sent a broken value"); }

static int read_u32(struct reader *r, uint32_t *n) {
    if (r->end - r->at < 4)
        return -1;
    memcpy(n, r->at, 4);
    r->at += 4;
    return 0;
}

/* Most arrays are the parts of one answer: they are made as a whole. */
#define ELEMENTS_FEW 12

static JSValue decode_few(struct reader *r, uint32_t n) {
    JSValue elements[ELEMENTS_FEW];
    for (uint32_t i = 0; i < n; i++) {
        elements[i] = sv_decode(r);
        if (!JS_IsException(elements[i]))
            continue;
        while (i > 0)
            JS_FreeValue(sv_ctx, elements[--i]);
        return JS_EXCEPTION;
    }
    return JS_NewArrayFrom(sv_ctx, n, elements);
}

static JSValue decode_array(struct reader *r) {
    uint32_t n;
    if (read_u32(r, &n) || n > (uint32_t)(r->end - r->at))
        return broken();
    if (n <= ELEMENTS_FEW)
        return decode_few(r, n);
    JSValue array = JS_NewArray(sv_ctx);
    for (uint32_t i = 0; i < n && !JS_IsException(array); i++) {
        JSValue element = sv_decode(r);
        if (JS_IsException(element) ||
            JS_DefinePropertyValueUint32(sv_ctx, array, i, element, JS_PROP_C_W_E) < 0) {
            JS_FreeValue(sv_ctx, array);
            return JS_EXCEPTION;
        }
    }
    return array;
}

/* A name: of a member, or of a column. JS_ATOM_NULL on an exception. */
static JSAtom read_name(struct reader *r) {
    uint32_t n;
    if (read_u32(r, &n) || n > (uint32_t)(r->end - r->at)) {
        broken();
        return JS_ATOM_NULL;
    }
    const char *name = (const char *)r->at;
    r->at += n;
    return JS_NewAtomLen(sv_ctx, name, n);
}

/* Gives an object a member of its own; takes the value. */
static int put_member(JSValueConst object, JSAtom name, JSValue value) {
    if (JS_IsException(value))
        return -1;
    return JS_DefinePropertyValue(sv_ctx, object, name, value, JS_PROP_C_W_E) < 0 ? -1 : 0;
}

static JSValue decode_object(struct reader *r) {
    uint32_t n;
    if (read_u32(r, &n) || n > (uint32_t)(r->end - r->at))
        return broken();
    JSValue object = JS_NewObject(sv_ctx);
    for (uint32_t i = 0; i < n && !JS_IsException(object); i++) {
        JSAtom name = read_name(r);
        int failed = name == JS_ATOM_NULL || put_member(object, name, sv_decode(r));
        JS_FreeAtom(sv_ctx, name);
        if (failed) {
            JS_FreeValue(sv_ctx, object);
            return JS_EXCEPTION;
        }
    }
    return object;
}

/* Columns of one result share their names; SQLite has at most so many. */
#define COLUMNS_MAX 32767
#define COLUMNS_FEW 32

static JSValue decode_row(struct reader *r, const JSAtom *names, uint32_t width) {
    JSValue row = JS_NewObject(sv_ctx);
    for (uint32_t c = 0; c < width && !JS_IsException(row); c++)
        if (put_member(row, names[c], sv_decode(r))) {
            JS_FreeValue(sv_ctx, row);
            return JS_EXCEPTION;
        }
    return row;
}

static JSValue decode_rows(struct reader *r) {
    uint32_t width, count, known = 0;
    if (read_u32(r, &width) || width > COLUMNS_MAX)
        return broken();
    JSAtom few[COLUMNS_FEW], *names = few;
    if (width > COLUMNS_FEW && !(names = js_malloc(sv_ctx, width * sizeof *names)))
        return JS_EXCEPTION;
    JSValue rows = JS_NewArray(sv_ctx);
    bool failed = JS_IsException(rows);
    while (!failed && known < width) {
        failed = (names[known] = read_name(r)) == JS_ATOM_NULL;
        known += !failed;
    }
    if (!failed && read_u32(r, &count)) {
        broken();
        failed = true;
    }
    for (uint32_t i = 0; !failed && i < count; i++) {
        JSValue row = decode_row(r, names, width);
        failed = JS_IsException(row) || JS_DefinePropertyValueUint32(sv_ctx, rows, i, row, JS_PROP_C_W_E) < 0;
    }
    while (known > 0)
        JS_FreeAtom(sv_ctx, names[--known]);
    if (names != few)
        js_free(sv_ctx, names);
    if (!failed)
        return rows;
    JS_FreeValue(sv_ctx, rows);
    return JS_EXCEPTION;
}

/* JSON is read from text that ends with a zero. */
static JSValue decode_json(const uint8_t *data, uint32_t n) {
    char *text = js_malloc(sv_ctx, (size_t)n + 1);
    if (!text)
        return JS_EXCEPTION;
    memcpy(text, data, n);
    text[n] = 0;
    JSValue value = JS_ParseJSON(sv_ctx, text, n, "<value>");
    js_free(sv_ctx, text);
    return value;
}

static JSValue decode_block(struct reader *r, uint8_t tag) {
    uint32_t n;
    if (read_u32(r, &n) || n > (uint32_t)(r->end - r->at))
        return broken();
    const uint8_t *data = r->at;
    r->at += n;
    switch (tag) {
    case STRING:
        return JS_NewStringLen(sv_ctx, (const char *)data, n);
    case BYTES:
        return JS_NewUint8ArrayCopy(sv_ctx, data, n);
    case BUFFER:
        return JS_NewArrayBufferCopy(sv_ctx, data, n);
    default:
        return decode_json(data, n);
    }
}

JSValue sv_decode(struct reader *r) {
    uint32_t n;
    if (r->at >= r->end)
        return broken();
    switch (*r->at++) {
    case UNDEFINED:
        return JS_UNDEFINED;
    case NIL:
        return JS_NULL;
    case FALSE_:
        return JS_FALSE;
    case TRUE_:
        return JS_TRUE;
    case NUMBER: {
        double d;
        if (r->end - r->at < 8)
            return broken();
        memcpy(&d, r->at, 8);
        r->at += 8;
        return JS_NewFloat64(sv_ctx, d);
    }
    case INTEGER:
        if (read_u32(r, &n))
            return broken();
        return JS_NewInt32(sv_ctx, (int32_t)n);
    case BIGINT: {
        int64_t i;
        if (r->end - r->at < 8)
            return broken();
        memcpy(&i, r->at, 8);
        r->at += 8;
        return JS_NewBigInt64(sv_ctx, i);
    }
    case STRING:
    case BYTES:
    case BUFFER:
    case JSON:
        return decode_block(r, r->at[-1]);
    case OBJECT:
        return decode_object(r);
    case ROWS:
        return decode_rows(r);
    case ARRAY:
        return decode_array(r);
    default:
        return broken();
    }
}
