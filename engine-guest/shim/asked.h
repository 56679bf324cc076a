/* Operations that were asked for and go on, with a promise each. */
#ifndef SV_ASKED_H
#define SV_ASKED_H

#include <stdbool.h>
#include <stdint.h>

#include "codec.h"
#include "quickjs.h"

/* The promise of an operation. `late(ok, value)` makes of its end what the promise gets. */
JSValue sv_asked_begin(uint32_t id, JSValueConst late);
bool sv_asked(uint32_t id);
/* The arguments of COMPLETE, of an operation that is here. */
int sv_asked_end(uint32_t id, struct reader *reader);

#endif
