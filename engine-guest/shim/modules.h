/* The module graph that the host hands over: sources by name, imports by importer and specifier. */
#ifndef SV_MODULES_H
#define SV_MODULES_H

#include <stdbool.h>
#include <stdint.h>

#include "quickjs.h"

/* As base::artifact::ModuleKind. */
enum { SV_MODULE_JS, SV_MODULE_JSON, SV_MODULE_TEXT, SV_MODULE_BYTES, SV_MODULE_CLASSIC = 5, SV_MODULE_ARRAY = 7 };

void sv_modules_init(void);
/* Takes over `source`, which must have come from malloc and end in a NUL beyond its length. */
int sv_modules_add(const char *name, uint32_t name_len, uint8_t *source, uint32_t source_len, int kind);
int sv_modules_add_import(const char *from, uint32_t from_len, const char *specifier, uint32_t specifier_len,
                          const char *to, uint32_t to_len);
/* Begins to evaluate a module; a promise, or an exception. */
JSValue sv_modules_evaluate(const char *name, uint32_t name_len, JSModuleDef **module);

bool sv_modules_known(const char *name, size_t name_len);
/*
 * Evaluates a module of the prelude to its end, and gives its namespace. `list` brings modules that are not known yet:
 * [name, source, [specifier, name, …], …], or undefined.
 */
JSValue sv_modules_load(const char *name, JSValueConst list);

#endif
