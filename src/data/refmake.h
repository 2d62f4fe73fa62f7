/* Makes cache files (refcache.h): the calling thread does all reading and writing, the others
 * compute slices (refpool.h), of the next scan while the last of the one before are still in work.
 * Private to refcache.c. */
#pragma once

#include "data/refcache.h"

struct refmake {
    const struct refcache *cache; /* what to make */
    const char *why;              /* for the progress line */
    bool force;                   /* also when the file looks current */
    struct err failure;           /* result: why there is none */
};
/* Makes all of them; each that can be made is made, whatever becomes of the others, unless the
 * folder cannot be written or a signal asks to stop. The error is that of the first that failed. */
int refmake_all(struct refmake *list, int n, const char *folder, bool quiet, struct err *e);
