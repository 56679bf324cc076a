/*
 * The heap. It takes the place of the C library's malloc, whose slots are powers of two in regions
 * of 64 KiB: half of every image was nothing.
 *
 * Blocks lie one behind the other, each with its size and that of the block before, so that a
 * freed block finds its free neighbours and becomes one with them. Free blocks are listed by size:
 * every multiple of eight up to 256 bytes, eight steps to each doubling above (the two-level
 * segregated fit of Masmano, Ripoll, Crespo and Real, 2004, with its levels in one row). What was
 * never used is no block but the top, which grows in place.
 *
 * QuickJS keeps small objects in arenas of 4 KiB of its own, so this is asked for those and for
 * what is larger than 512 bytes.
 */
#include "memory.h"

#include <errno.h>
#include <string.h>

#define WASM_PAGE (64u << 10)
#define HEADER 8u
#define FREE 1u
/* Of a free block: the header and two links. */
#define BLOCK_MIN 16u
/* Requests beyond are refused before their arithmetic could overflow. */
#define BYTES_MAX (1u << 31)

#define FINE_BINS 32u
#define BINS (FINE_BINS + 8u * 24u)

/* The top grows by so much at a time, if it can. */
#define GROWTH_PAGES 4u
/* An image gives each of its instances so much that it need not grow for. */
#define SPARE (512u << 10)
/* Free blocks of an image that are still used. To fill smaller ones would dirty a page each. */
#define SEALED_MAX (16u << 10)
#define OS_PAGE 4096u

struct block {
    /* Bytes of the block before, or 0. */
    uint32_t before;
    /* Bytes, the header among them; with FREE if nobody has it. */
    uint32_t size;
    /* Only if it is free. */
    struct block *next, *previous;
};

static struct block *bins[BINS];
/* A bit for each bin that is not empty. */
static uint32_t filled[BINS / 32];

static uint8_t *top;
static uint32_t top_bytes;
/* Bytes of the block before the top. */
static uint32_t top_before;

static struct block *block_of(const void *p) { return (struct block *)((uint8_t *)p - HEADER); }

static uint32_t size_of(const struct block *b) { return b->size & ~FREE; }

/* The block behind this one: the top, if it is the last. */
static struct block *behind(struct block *b) { return (struct block *)((uint8_t *)b + size_of(b)); }

static void set_before_behind(struct block *b) {
    if ((uint8_t *)behind(b) == top)
        top_before = size_of(b);
    else
        behind(b)->before = size_of(b);
}

/* The bin in which a block of this size is listed. */
static uint32_t bin_of(uint32_t size) {
    if (size < FINE_BINS * 8)
        return size / 8;
    uint32_t doubling = 31 - (uint32_t)__builtin_clz(size);
    return FINE_BINS + (doubling - 8) * 8 + ((size >> (doubling - 3)) & 7);
}

/* The first bin all of whose blocks have this size. */
static uint32_t bin_for(uint32_t size) {
    if (size < FINE_BINS * 8)
        return size / 8;
    uint32_t doubling = 31 - (uint32_t)__builtin_clz(size);
    return bin_of(size + (1u << (doubling - 3)) - 1);
}

static void list(struct block *b) {
    uint32_t bin = bin_of(size_of(b));
    b->size |= FREE;
    b->previous = NULL;
    b->next = bins[bin];
    if (b->next)
        b->next->previous = b;
    bins[bin] = b;
    filled[bin / 32] |= 1u << (bin % 32);
}

static void unlist(struct block *b) {
    uint32_t bin = bin_of(size_of(b));
    b->size &= ~FREE;
    if (b->next)
        b->next->previous = b->previous;
    if (b->previous)
        b->previous->next = b->next;
    else if (!(bins[bin] = b->next))
        filled[bin / 32] &= ~(1u << (bin % 32));
}

static struct block *listed(uint32_t size) {
    uint32_t bin = bin_for(size);
    uint32_t word = bin / 32;
    uint32_t bits = word < BINS / 32 ? filled[word] & (~0u << (bin % 32)) : 0;
    while (!bits) {
        if (++word >= BINS / 32)
            return NULL;
        bits = filled[word];
    }
    return bins[word * 32 + (uint32_t)__builtin_ctz(bits)];
}

/* Somebody else grew the memory: what is left of the top can't grow any more. */
static void leave_top(void) {
    if (!top_bytes)
        return;
    struct block *rest = (struct block *)top, *end;
    uint32_t bytes = top_bytes - HEADER;
    rest->before = top_before;
    rest->size = bytes < BLOCK_MIN ? top_bytes : bytes;
    if (bytes < BLOCK_MIN)
        return;
    end = behind(rest);
    end->before = bytes;
    end->size = HEADER;
    list(rest);
}

/* Makes room for `bytes` at the top, and for a header that ends it. */
static bool grow(uint32_t bytes) {
    while (top_bytes < bytes + HEADER) {
        uint32_t needed = (bytes + HEADER - top_bytes + WASM_PAGE - 1) / WASM_PAGE;
        uint32_t pages = needed > GROWTH_PAGES ? needed : GROWTH_PAGES;
        size_t at = __builtin_wasm_memory_grow(0, pages);
        if (at == (size_t)-1)
            at = __builtin_wasm_memory_grow(0, pages = needed);
        if (at == (size_t)-1)
            return false;
        uint8_t *grown = (uint8_t *)(at * WASM_PAGE);
        if (grown != top + top_bytes) {
            leave_top();
            top = grown;
            top_bytes = top_before = 0;
        }
        top_bytes += pages * WASM_PAGE;
    }
    return true;
}

static struct block *from_top(uint32_t size) {
    if (top_bytes < size + HEADER && !grow(size))
        return NULL;
    struct block *b = (struct block *)top;
    b->before = top_before;
    b->size = size;
    top += size;
    top_bytes -= size;
    top_before = size;
    return b;
}

static void release(struct block *b) {
    struct block *next = behind(b);
    if ((uint8_t *)next != top && next->size & FREE) {
        unlist(next);
        b->size += next->size;
    }
    if (b->before) {
        struct block *previous = (struct block *)((uint8_t *)b - b->before);
        if (previous->size & FREE) {
            unlist(previous);
            previous->size += b->size;
            b = previous;
        }
    }
    if ((uint8_t *)behind(b) == top) {
        top_bytes += b->size;
        top_before = b->before;
        top = (uint8_t *)b;
        return;
    }
    behind(b)->before = b->size;
    list(b);
}

/* Keeps `size` bytes of a block that is in use. */
static void trim(struct block *b, uint32_t size) {
    uint32_t rest = b->size - size;
    if (rest < BLOCK_MIN)
        return;
    b->size = size;
    struct block *second = behind(b);
    second->before = size;
    second->size = rest;
    set_before_behind(second);
    release(second);
}

static uint32_t block_bytes(size_t bytes) {
    uint32_t size = ((uint32_t)bytes + HEADER + 7) & ~7u;
    return size < BLOCK_MIN ? BLOCK_MIN : size;
}

void *malloc(size_t bytes) {
    if (bytes >= BYTES_MAX)
        goto none;
    uint32_t size = block_bytes(bytes);
    struct block *b = listed(size);
    if (b) {
        unlist(b);
        trim(b, size);
    } else if (!(b = from_top(size))) {
        goto none;
    }
    return (uint8_t *)b + HEADER;
none:
    errno = ENOMEM;
    return NULL;
}

void free(void *p) {
    if (p)
        release(block_of(p));
}

void *calloc(size_t count, size_t bytes) {
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total))
        return NULL;
    void *p = malloc(total);
    return p ? memset(p, 0, total) : NULL;
}

/* Makes a block larger in its place. */
static bool extend(struct block *b, uint32_t size) {
    struct block *next = behind(b);
    if ((uint8_t *)next == top) {
        uint32_t more = size - b->size;
        if (top_bytes < more + HEADER && (!grow(more) || (uint8_t *)next != top))
            return false;
        top += more;
        top_bytes -= more;
        top_before = b->size = size;
        return true;
    }
    if (!(next->size & FREE) || b->size + size_of(next) < size)
        return false;
    unlist(next);
    b->size += next->size;
    set_before_behind(b);
    trim(b, size);
    return true;
}

void *realloc(void *p, size_t bytes) {
    if (!p)
        return malloc(bytes);
    if (bytes >= BYTES_MAX)
        return NULL;
    struct block *b = block_of(p);
    uint32_t size = block_bytes(bytes);
    if (size <= b->size) {
        trim(b, size);
        return p;
    }
    if (extend(b, size))
        return p;
    void *moved = malloc(bytes);
    if (!moved)
        return NULL;
    memcpy(moved, p, b->size - HEADER);
    free(p);
    return moved;
}

size_t malloc_usable_size(void *p) { return p ? block_of(p)->size - HEADER : 0; }

void sv_memory_seal(void) {
    for (uint32_t bin = 0; bin < bin_for(SEALED_MAX); bin++)
        while (bins[bin])
            unlist(bins[bin]);
    /* What comes lies on pages of its own. */
    uint32_t gap = (OS_PAGE - ((uint32_t)(size_t)top & (OS_PAGE - 1))) & (OS_PAGE - 1);
    if (gap && gap < BLOCK_MIN)
        gap += OS_PAGE;
    if (gap)
        from_top(gap);
    if (top_bytes < SPARE)
        grow(SPARE);
}

static void *for_js_calloc(void *opaque, size_t count, size_t bytes) { return calloc(count, bytes); }
static void *for_js_malloc(void *opaque, size_t bytes) { return malloc(bytes); }
static void for_js_free(void *opaque, void *p) { free(p); }
static void *for_js_realloc(void *opaque, void *p, size_t bytes) { return realloc(p, bytes); }
static size_t for_js_usable_size(const void *p) { return malloc_usable_size((void *)p); }

const JSMallocFunctions sv_memory_functions = {for_js_calloc, for_js_malloc, for_js_free, for_js_realloc, for_js_usable_size};
