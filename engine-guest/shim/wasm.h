/* WebAssembly of scripts: what the engine's rewritten modules and the prelude find in the guest. */
#ifndef SV_WASM_H
#define SV_WASM_H

#include "quickjs.h"

/* Puts the natives of WebAssembly on `__sv`. */
void sv_wasm_natives(JSContext *ctx, JSValueConst object);

#endif
