/* memcpy, memmove and memset, memchr and memcmp. WebAssembly has an instruction for each, but for it the engine leaves the sandbox, which
   costs more than to copy what is short; and most of what QuickJS copies is short: names, numbers, the properties of an
   object. So the compiler is told that there are no such instructions, and here they are used for what is long. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <wasm_simd128.h>

#include "shim.h"

#define SHORT_BYTES_MAX 192

/* The feature by its small name: with "bulk-memory" the linker clears what is zero at every start, in an image too. */
#define LONG __attribute__((noinline, no_builtin, target("bulk-memory-opt")))

/* Otherwise the compiler takes a loop that copies for what it defines. */
#define NO_BUILTIN __attribute__((no_builtin))

void sv_count_bytes(size_t n)
{
    static int left;

    if ((left -= n >> 6) < 0) {
        left = 20000;
        sv_import_tick();
    }
}

LONG static void copy_long(void *to, const void *from, size_t n)
{
    sv_count_bytes(n);
    __builtin_memmove(to, from, n);
}

LONG static void fill_long(void *to, int value, size_t n)
{
    sv_count_bytes(n);
    __builtin_memset(to, value, n);
}

/* Up to 16 bytes. Everything is read before anything is written, so they may overlap. */
NO_BUILTIN static inline void copy_few(uint8_t *to, const uint8_t *from, size_t n)
{
    if (n >= 8) {
        uint64_t first, last;
        __builtin_memcpy(&first, from, 8);
        __builtin_memcpy(&last, from + n - 8, 8);
        __builtin_memcpy(to, &first, 8);
        __builtin_memcpy(to + n - 8, &last, 8);
    } else if (n >= 4) {
        uint32_t first, last;
        __builtin_memcpy(&first, from, 4);
        __builtin_memcpy(&last, from + n - 4, 4);
        __builtin_memcpy(to, &first, 4);
        __builtin_memcpy(to + n - 4, &last, 4);
    } else if (n > 0) {
        uint8_t first = from[0], middle = from[n / 2], last = from[n - 1];
        to[0] = first;
        to[n / 2] = middle;
        to[n - 1] = last;
    }
}

COUNTED("memcpy") NO_BUILTIN void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    uint8_t *out = to;
    const uint8_t *in = from;

    if (n <= 16) {
        copy_few(out, in, n);
    } else if (n <= SHORT_BYTES_MAX) {
        v128_t last = wasm_v128_load(in + n - 16);
        uint8_t *end = out + n - 16;
        do {
            wasm_v128_store(out, wasm_v128_load(in));
            out += 16;
            in += 16;
        } while (out < end);
        wasm_v128_store(end, last);
    } else {
        copy_long(to, from, n);
    }
    return to;
}

COUNTED("memmove") NO_BUILTIN void *memmove(void *to, const void *from, size_t n)
{
    if (n <= 16)
        copy_few(to, from, n);
    else
        copy_long(to, from, n);
    return to;
}

COUNTED("memset") NO_BUILTIN void *memset(void *to, int value, size_t n)
{
    uint8_t *out = to;

    if (n > SHORT_BYTES_MAX) {
        fill_long(to, value, n);
    } else if (n >= 16) {
        v128_t bytes = wasm_i8x16_splat(value);
        uint8_t *end = out + n - 16;
        for (; out < end; out += 16)
            wasm_v128_store(out, bytes);
        wasm_v128_store(end, bytes);
    } else {
        uint64_t bytes = (uint8_t)value * UINT64_C(0x0101010101010101);
        if (n >= 8) {
            __builtin_memcpy(out, &bytes, 8);
            __builtin_memcpy(out + n - 8, &bytes, 8);
        } else if (n >= 4) {
            __builtin_memcpy(out, &bytes, 4);
            __builtin_memcpy(out + n - 4, &bytes, 4);
        } else if (n > 0) {
            out[0] = out[n / 2] = out[n - 1] = (uint8_t)value;
        }
    }
    return to;
}

/* Of what is compared or searched, only what was looked at is counted. */
static inline void count_looked(size_t n)
{
    if (n > SHORT_BYTES_MAX)
        sv_count_bytes(n);
}

COUNTED("memchr") NO_BUILTIN void *memchr(const void *s, int c, size_t n)
{
    const uint8_t *at = s, *end = at + n;
    v128_t sought = wasm_i8x16_splat(c);

    for (; end - at >= 16; at += 16) {
        uint32_t found = wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load(at), sought));
        if (found) {
            count_looked(at - (const uint8_t *)s);
            return (void *)(at + __builtin_ctz(found));
        }
    }
    count_looked(at - (const uint8_t *)s);
    for (; at < end; at++) {
        if (*at == (uint8_t)c)
            return (void *)at;
    }
    return NULL;
}

COUNTED("memcmp") NO_BUILTIN int memcmp(const void *one, const void *other, size_t n)
{
    const uint8_t *a = one, *b = other, *end = a + n;

    while (end - a >= 16 && wasm_i8x16_all_true(wasm_i8x16_eq(wasm_v128_load(a), wasm_v128_load(b)))) {
        a += 16;
        b += 16;
    }
    count_looked(a - (const uint8_t *)one);
    for (; a < end; a++, b++) {
        if (*a != *b)
            return *a - *b;
    }
    return 0;
}
