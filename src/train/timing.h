/* Where the time of a training goes. */
#pragma once

#include <stdint.h>
#include <stdio.h>

enum timing_phase {
    TIMING_DATA, /* waiting for batches, and copying them in */
    TIMING_FORWARD,
    TIMING_BACKWARD,
    TIMING_OPTIMISER,
    TIMING_VALIDATION,
    TIMING_SAVING, /* checkpoints */
    TIMING_LOOP,   /* log, progress, and all that is left */
    TIMING_PHASES
};
extern const char *const timing_names[TIMING_PHASES];

struct timing {
    uint64_t steps; /* of the optimiser that it is the time of */
    double seconds[TIMING_PHASES], mark;
};

struct timing timing_begin(void);
/* Charges the time since the last call to a phase; returns when that was, and now is the next. */
double timing_charge(struct timing *t, enum timing_phase phase);
/* Moves seconds that were charged to one phase to another. */
void timing_move(struct timing *t, enum timing_phase from, enum timing_phase to, double seconds);
double timing_total(const struct timing *t);
void timing_print(const struct timing *t, FILE *out); /* a line a phase: seconds and share */
