/* Text and bytes: UTF-8 (WHATWG Encoding Standard), Latin-1, and forgiving base64 (WHATWG Infra). */
#ifndef SV_TEXT_H
#define SV_TEXT_H

#include "quickjs.h"

#define SV_NATIVE(name) JSValue name(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)

SV_NATIVE(sv_utf8_encode);
SV_NATIVE(sv_utf8_decode);
SV_NATIVE(sv_latin1_to_bytes);
SV_NATIVE(sv_bytes_to_latin1);
SV_NATIVE(sv_atob);
SV_NATIVE(sv_btoa);

#endif
