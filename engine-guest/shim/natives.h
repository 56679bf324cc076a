/* The `__sv` object: what the prelude finds of the host. */
#ifndef SV_NATIVES_H
#define SV_NATIVES_H

#include "quickjs.h"

/* Installs `__sv` on the global object. `dispatch` is where setDispatch puts its function. */
int sv_natives_init(JSValue *dispatch);

/*
 * One call to the host: argv[0] is its code, the others are encoded. The value is what the host answers, or an
 * exception made of its refusal.
 */
JSValue sv_cross(JSContext *ctx, int32_t (*host)(int32_t, const uint8_t *, uint32_t), int argc, JSValueConst *argv);
/* What the prelude makes of the host's [name, message, code], which it takes; or an exception. */
JSValue sv_made_error(JSContext *ctx, JSValue triple);
/* Throws what the prelude makes of the host's [name, message, code]. */
JSValue sv_throw_answer(JSContext *ctx, uint32_t len);

#endif
