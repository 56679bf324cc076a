/* Objects of the prelude's whose state no script reaches. */
#ifndef SV_KEPT_H
#define SV_KEPT_H

#include "quickjs.h"

/* Puts what the prelude makes them with into the `__sv` object. */
int sv_kept_natives(JSValueConst object);
/* A Response that the host has in a place, until a script looks into it. */
JSValue sv_unread_response(uint32_t place);
/* Tells the host of those that nobody has any more, before it is asked for another: it has few places. */
void sv_unread_drop(void);

#endif
