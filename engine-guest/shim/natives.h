/* The `__sv` object: what the prelude finds of the host. */
#ifndef SV_NATIVES_H
#define SV_NATIVES_H

#include "quickjs.h"

/* Installs `__sv` on the global object. `dispatch` is where setDispatch puts its function. */
int sv_natives_init(JSValue *dispatch);

#endif
