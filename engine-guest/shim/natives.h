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
/* The same, of a code and its arguments. */
JSValue sv_call(JSContext *ctx, int32_t code, int argc, JSValueConst *argv);
/* A promise that is settled by a value, or by the exception that it is; takes it. */
JSValue sv_settled(JSContext *ctx, JSValue value);
/*
 * A promise of an operation whose arguments are encoded: settled already if nothing had to be waited for. `request`,
 * `late` and `about` are as in asked.h.
 */
JSValue sv_asked_for(JSContext *ctx, int32_t code, uint32_t request, JSValueConst late, JSValueConst about);
/* What the prelude makes of the host's [name, message, code], which it takes; or an exception. */
JSValue sv_made_error(JSContext *ctx, JSValue triple);
/* Throws what the prelude makes of the host's [name, message, code]. */
JSValue sv_throw_answer(JSContext *ctx, uint32_t len);

#endif
