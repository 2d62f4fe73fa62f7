/* Claims of the paper, each with what was measured: for summary.json, the report and people. A
 * claim held where the whole interval meets the stated criterion, and did not where none of it
 * does; it is open where the data cannot say: the interval has both, or there is none (one contrast
 * only, no truth, few scans). */
#pragma once

#include "base/stat.h"

#include <jansson.h>
#include <stdio.h>

enum held { HELD_OPEN = -1, HELD_NO = 0, HELD_YES = 1 };

struct claim {
    const char *id;        /* "shift-insensitive" */
    const char *source;    /* "section 3, Fig. 1" */
    const char *statement; /* the paper's, in our words */
    const char *quantity;  /* what `measured` is */
    const char *criterion; /* when it counts as held */
    struct interval measured;
    enum held held;
};

/* Appends to an array, and prints one line. */
void claims_add(json_t *claims, FILE *out, const struct claim *c);
/* Of an interval and a bound: held where it lies below (above). */
enum held claim_below(struct interval v, double bound);
enum held claim_above(struct interval v, double bound);
