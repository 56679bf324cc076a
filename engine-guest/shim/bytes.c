#include "bytes.h"

#include <stdlib.h>
#include <string.h>

/* The bytes of argument `i`; NULL with an exception if it is no Uint8Array. Never NULL for an empty one. */
static const uint8_t *bytes_of(JSContext *ctx, JSValueConst value, size_t *len) {
    const uint8_t *s = JS_GetUint8Array(ctx, len, value);
    if (s)
        return s;
    return JS_HasException(ctx) ? NULL : (const uint8_t *)"";
}

/* -1, 0 or 1, as memcmp has it, a shorter one before a longer one that it begins. */
SV_NATIVE(sv_compare_bytes) {
    size_t n, m;
    const uint8_t *a = bytes_of(ctx, argv[0], &n), *b = a ? bytes_of(ctx, argv[1], &m) : NULL;
    if (!b)
        return JS_EXCEPTION;
    int order = memcmp(a, b, n < m ? n : m);
    if (!order)
        order = n < m ? -1 : n > m;
    return JS_NewInt32(ctx, order < 0 ? -1 : order > 0);
}

/*
 * Where `argv[1]` first stands in `argv[0]` at or after `argv[2]`, in steps of `argv[3]` bytes; -1 for
 * nowhere. The needle is not empty.
 */
SV_NATIVE(sv_find_bytes) {
    size_t n, m;
    uint32_t from, step;
    const uint8_t *s = bytes_of(ctx, argv[0], &n), *needle = s ? bytes_of(ctx, argv[1], &m) : NULL;
    if (!needle || JS_ToUint32(ctx, &from, argv[2]) || JS_ToUint32(ctx, &step, argv[3]))
        return JS_EXCEPTION;
    if (!m || !step)
        return JS_NewInt32(ctx, -1);
    for (size_t at = from; at + m <= n;) {
        const uint8_t *found = memchr(s + at, needle[0], n - m - at + 1);
        if (!found)
            break;
        at = found - s;
        if (at % step == from % step && !memcmp(found, needle, m))
            return JS_NewInt32(ctx, (int32_t)at);
        at++;
    }
    return JS_NewInt32(ctx, -1);
}

SV_NATIVE(sv_utf16_decode) {
    size_t len;
    const uint8_t *s = bytes_of(ctx, argv[0], &len);
    if (!s)
        return JS_EXCEPTION;
    len /= 2;
    /* The bytes may not be aligned. */
    uint16_t *units = malloc(len * 2 + 2);
    if (!units)
        return JS_ThrowOutOfMemory(ctx);
    memcpy(units, s, len * 2);
    JSValue string = JS_NewStringUTF16(ctx, units, len);
    free(units);
    return string;
}
