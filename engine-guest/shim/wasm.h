/* WebAssembly of scripts: what the engine's rewritten modules and the prelude find in the guest. */
#ifndef SV_WASM_H
#define SV_WASM_H

#include "quickjs.h"

/* What one call carries: the most parameters and results that a function may have. */
#define SV_WASM_SLOTS 1000

/* Where a rewritten module puts the arguments of an imported function, and finds its results. */
extern uint64_t sv_wasm_scratch[SV_WASM_SLOTS];

/* Puts the natives of WebAssembly on `__sv`. */
void sv_wasm_natives(JSContext *ctx, JSValueConst object);

#endif
