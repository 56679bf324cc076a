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
/*
 * The operation that began last, if it goes on and its end settles nothing but this promise, that of an event, which has
 * `holders` besides; or 0.
 */
uint32_t sv_asked_for_alone(JSValueConst promise, int holders);
/*
 * Whether nobody but its event knows of an operation whose end `late` makes something of: SV_OWNED if it is given up with
 * that. `invocation` has `holders`, and may be at `place` of what `late` is told.
 */
enum { SV_SHARED, SV_UNOWNED, SV_OWNED };
int sv_asked_is_alone(uint32_t id, JSValueConst late, JSValueConst invocation, uint32_t place, int holders);
/* Its end is somebody else's. */
void sv_asked_forget(uint32_t id);
/* The arguments of COMPLETE, of an operation that is here. */
int sv_asked_end(uint32_t id, struct reader *reader);
/* Ends all that a request waits for with this reason, and tells `gone` of each. */
void sv_asked_abandon(uint32_t request, JSValueConst reason, void (*gone)(uint32_t id));

#endif
