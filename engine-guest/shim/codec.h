/*
 * Values on their way across the border: a tag byte, then
 *   0 undefined  1 null  2 false  3 true
 *   4 number: 8 bytes, IEEE 754, little-endian
 *   5 string: u32 length in bytes, UTF-8
 *   6 bytes:  u32 length, the bytes
 *   7 array:  u32 count, the elements
 *   8 integer: i32
 */
#ifndef SV_CODEC_H
#define SV_CODEC_H

#include <stdint.h>

#include "quickjs.h"

struct buffer {
    uint8_t *data;
    uint32_t len;
    uint32_t cap;
};

/* The last thing encoded; overwritten by the next sv_encode_start. */
extern struct buffer sv_encoded;

struct reader {
    const uint8_t *at;
    const uint8_t *end;
};

void sv_encode_start(void);
/* Appends a value; throws a TypeError and returns -1 for what can't cross. */
int sv_encode(JSValueConst value);
/* Begins an array of so many values, which are appended next. */
int sv_encode_array(uint32_t count);
void sv_encode_error(JSValueConst error);
/* Reads one value; an exception if the bytes are no encoding. */
JSValue sv_decode(struct reader *reader);

#endif
