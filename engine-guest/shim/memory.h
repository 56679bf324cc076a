#ifndef SV_MEMORY_H
#define SV_MEMORY_H

#include "shim.h"

/* malloc and its kin, as QuickJS takes them. */
extern const JSMallocFunctions sv_memory_functions;

/*
 * Prepares the heap for an image: what an instance allocates lies together, on pages that the image
 * does not have. Small gaps between what the image holds stay empty for ever.
 */
void sv_memory_seal(void);

#endif
