/* Statements of SQL databases: objects of a class of their own, which write themselves down where they are asked for. */
#ifndef SV_STATEMENT_H
#define SV_STATEMENT_H

#include "quickjs.h"

/* Puts what the prelude makes statements with into the `__sv` object. */
int sv_statement_natives(JSValueConst object);

#endif
