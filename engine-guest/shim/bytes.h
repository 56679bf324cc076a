/* What Buffer does with bytes that would take JavaScript a loop. */
#ifndef SV_BYTES_H
#define SV_BYTES_H

#include "text.h"

SV_NATIVE(sv_compare_bytes);
SV_NATIVE(sv_find_bytes);
SV_NATIVE(sv_utf16_decode);

#endif
