/* metrics.jsonl: the log of a training, one JSON object a line, of figures after a step. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct metrics {
    FILE *file; /* NULL: not open */
    char path[1200];
    bool lost; /* it was to be kept, and was not there */
};

/* Without `keep` what is there goes. Whatever the outcome, the caller closes it in the end. */
int metrics_open(struct metrics *m, const char *dir, bool keep, struct err *e);
void metrics_close(struct metrics *m); /* of a zeroed struct: legal */
/* Drops the lines of steps beyond `step`, and of validations (those with `score`) beyond step
 * `validated`: they will come again. Drops what is no line of it, too; a warning on stderr, after
 * "COMMAND: ", where it is more than one cut by a crash, or where the file was lost. */
int metrics_rewind(struct metrics *m, uint64_t step, uint64_t validated, const char *score,
                   const char *command, struct err *e);
/* {"step": …, names[0]: values[0], …}; NaN and infinity become null. Flushed at once. */
int metrics_log(struct metrics *m, uint64_t step, const char *const *names, const double *values,
                int n, struct err *e);
