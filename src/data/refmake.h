/* Makes cache files (refcache.h): the calling thread does all reading and writing, the others
 * compute slices, of the next scan while the last of the one before are still in work. Memory is
 * that of a few slices, however large the scans. Private to refcache.c. */
#pragma once

#include "data/refcache.h"

/* What is in the dataset `checks` of a slice, in this order. */
enum { PART_REFERENCE, PART_KERNELS, PART_RSS, PARTS, PIECES = 4 };

struct refmake {
    const struct refcache *cache; /* what to make */
    const char *why;              /* for the progress line */
    bool force;                   /* also when the file looks current */
    struct err failure;           /* result: why there is none */
};
/* Why the file has to be made, or NULL where it can be used as it is. */
const char *refmake_why(const struct refcache *r);
/* Makes all of them; each that can be made is made, whatever becomes of the others, unless the
 * folder cannot be written or a signal asks to stop. The error is that of the first that failed. */
int refmake_all(struct refmake *list, int n, const char *folder, bool quiet, struct err *e);
/* Pieces of a hash: numbers that float holds exactly. */
void refmake_check(const void *x, size_t bytes, float piece[PIECES]);
