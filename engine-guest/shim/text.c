#include "text.h"

#include <stdlib.h>
#include <string.h>

#include "shim.h"

static void replace(uint8_t *at) { memcpy(at, "\xEF\xBF\xBD", 3); }

SV_NATIVE(sv_utf8_encode) {
    size_t len;
    const char *s = JS_ToCStringLen(ctx, &len, argv[0]);
    if (!s)
        return JS_EXCEPTION;
    JSValue array = JS_NewUint8ArrayCopy(ctx, (const uint8_t *)s, len);
    JS_FreeCString(ctx, s);
    if (JS_IsException(array))
        return array;
    /* A lone surrogate arrives as ED A0..BF xx, which is exactly as long as U+FFFD. */
    uint8_t *data = JS_GetUint8Array(ctx, &len, array);
    for (size_t i = 0; i + 2 < len; i++)
        if (data[i] == 0xED && data[i + 1] >= 0xA0)
            replace(data + i);
    return array;
}

/* The number of bytes at the start that are ASCII. */
static size_t ascii(const uint8_t *s, size_t len) {
    size_t at = 0;
    for (uint64_t word[4]; at + sizeof word <= len; at += sizeof word) {
        memcpy(word, s + at, sizeof word);
        if ((word[0] | word[1] | word[2] | word[3]) & 0x8080808080808080u)
            break;
    }
    while (at < len && s[at] < 0x80)
        at++;
    return at;
}

/*
 * The length of the sequence at `s`: positive if it is well-formed, else the negated length of
 * the maximal subpart to replace.
 */
static int sequence(const uint8_t *s, const uint8_t *end) {
    uint8_t lead = *s, low = 0x80, high = 0xBF;
    int needed;
    if (lead < 0x80)
        return 1;
    if (lead >= 0xC2 && lead <= 0xDF) {
        needed = 1;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        needed = 2;
        low = lead == 0xE0 ? 0xA0 : 0x80;
        high = lead == 0xED ? 0x9F : 0xBF;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        needed = 3;
        low = lead == 0xF0 ? 0x90 : 0x80;
        high = lead == 0xF4 ? 0x8F : 0xBF;
    } else {
        return -1;
    }
    for (int i = 1; i <= needed; i++) {
        if (s + i >= end || s[i] < low || s[i] > high)
            return -i;
        low = 0x80;
        high = 0xBF;
    }
    return needed + 1;
}

static JSValue decode_repaired(JSContext *ctx, const uint8_t *s, const uint8_t *end, size_t good) {
    size_t len = end - s;
    /* Each bad byte becomes three at the most. */
    uint8_t *repaired = malloc(good + (len - good) * 3);
    if (!repaired)
        return JS_ThrowOutOfMemory(ctx);
    memcpy(repaired, s, good);
    size_t at = good;
    for (s += good; s < end;) {
        int n = sequence(s, end);
        if (n > 0) {
            memcpy(repaired + at, s, n);
            at += n;
            s += n;
        } else {
            replace(repaired + at);
            at += 3;
            s -= n;
        }
    }
    JSValue string = JS_NewStringLen(ctx, (const char *)repaired, at);
    free(repaired);
    return string;
}

COUNTED("utf8_decode") SV_NATIVE(sv_utf8_decode) {
    size_t len;
    const uint8_t *s = JS_GetUint8Array(ctx, &len, argv[0]);
    if (!s && len)
        return JS_EXCEPTION;
    sv_count_bytes(len * 2);
    bool fatal = JS_ToBool(ctx, argv[1]), ignore_bom = JS_ToBool(ctx, argv[2]);
    const uint8_t *end = s + len;
    if (!ignore_bom && len >= 3 && !memcmp(s, "\xEF\xBB\xBF", 3))
        s += 3;
    const uint8_t *at = s + ascii(s, end - s);
    while (at < end) {
        int n = sequence(at, end);
        if (n < 0)
            break;
        at += n;
    }
    if (at == end)
        return JS_NewStringLen(ctx, (const char *)s, end - s);
    if (fatal)
        return JS_ThrowTypeError(ctx, "the bytes are not valid UTF-8");
    return decode_repaired(ctx, s, end, at - s);
}

SV_NATIVE(sv_latin1_to_bytes) {
    size_t len;
    const uint16_t *s = JS_ToCStringLenUTF16(ctx, &len, argv[0]);
    if (!s)
        return JS_EXCEPTION;
    uint8_t *bytes = malloc(len + 1);
    size_t i = 0;
    for (; bytes && i < len && s[i] <= 0xFF; i++)
        bytes[i] = s[i];
    JSValue result = !bytes ? JS_ThrowOutOfMemory(ctx) : i < len ? JS_NULL : JS_NewUint8ArrayCopy(ctx, bytes, len);
    free(bytes);
    JS_FreeCStringUTF16(ctx, s);
    return result;
}

static JSValue latin1_string(JSContext *ctx, const uint8_t *s, size_t len) {
    uint16_t *wide = malloc(len * 2 + 2);
    if (!wide)
        return JS_ThrowOutOfMemory(ctx);
    for (size_t i = 0; i < len; i++)
        wide[i] = s[i];
    JSValue string = JS_NewStringUTF16(ctx, wide, len);
    free(wide);
    return string;
}

SV_NATIVE(sv_bytes_to_latin1) {
    size_t len;
    const uint8_t *s = JS_GetUint8Array(ctx, &len, argv[0]);
    if (!s && len)
        return JS_EXCEPTION;
    return latin1_string(ctx, s, len);
}

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int digit(uint8_t c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* null for what is no base64. */
SV_NATIVE(sv_atob) {
    size_t len, n = 0;
    const char *s = JS_ToCStringLen(ctx, &len, argv[0]);
    if (!s)
        return JS_EXCEPTION;
    uint8_t *digits = malloc(len + 1);
    if (!digits) {
        JS_FreeCString(ctx, s);
        return JS_ThrowOutOfMemory(ctx);
    }
    for (size_t i = 0; i < len; i++)
        if (!strchr(" \t\n\f\r", s[i]) || !s[i])
            digits[n++] = s[i];
    JS_FreeCString(ctx, s);
    for (int i = 0; i < 2 && n && n % 4 == (i ? 3 : 0) && digits[n - 1] == '='; i++)
        n--;
    JSValue result = JS_NULL;
    size_t out = 0;
    uint32_t bits = 0;
    if (n % 4 == 1)
        goto done;
    for (size_t i = 0; i < n; i++) {
        int d = digit(digits[i]);
        if (d < 0)
            goto done;
        bits = bits << 6 | d;
        if (i % 4) /* Writes never overtake reads: three bytes out for four in. */
            digits[out++] = bits >> (6 - 2 * (i % 4));
    }
    result = latin1_string(ctx, digits, out);
done:
    free(digits);
    return result;
}

/* null for a string with a character above U+00FF. */
SV_NATIVE(sv_btoa) {
    size_t len, at = 0;
    const uint16_t *s = JS_ToCStringLenUTF16(ctx, &len, argv[0]);
    if (!s)
        return JS_EXCEPTION;
    char *out = malloc((len + 2) / 3 * 4 + 1);
    JSValue result = JS_NULL;
    for (size_t i = 0; out && i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++) {
            uint32_t unit = k < n ? s[i + k] : 0;
            if (unit > 0xFF)
                goto done;
            bits = bits << 8 | unit;
        }
        for (size_t k = 0; k < 4; k++)
            out[at++] = k <= n ? ALPHABET[bits >> (18 - 6 * k) & 63] : '=';
    }
    result = out ? JS_NewStringLen(ctx, out, at) : JS_ThrowOutOfMemory(ctx);
done:
    free(out);
    JS_FreeCStringUTF16(ctx, s);
    return result;
}
