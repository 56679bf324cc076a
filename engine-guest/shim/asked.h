/* Operations that were asked for and go on, with a promise each. */
#ifndef SV_ASKED_H
#define SV_ASKED_H

#include <stdbool.h>
#include <stdint.h>

#include "codec.h"
#include "quickjs.h"

/*
 * The promise of an operation. `late(ok, value, about)` makes of its end what the promise gets. Of a request that is
 * not 0, it is given up when that is.
 */
JSValue sv_asked_begin(uint32_t id, uint32_t request, JSValueConst late, JSValueConst about);
bool sv_asked(uint32_t id);
/* The arguments of COMPLETE, of an operation that is here. */
int sv_asked_end(uint32_t id, struct reader *reader);
/* Ends all that a request waits for with this reason, and tells `gone` of each. */
void sv_asked_abandon(uint32_t request, JSValueConst reason, void (*gone)(uint32_t id));

#endif
