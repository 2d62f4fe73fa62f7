/* Learning rate as a function of the step. */
#pragma once

#include "base/cfg.h"

#include <stdint.h>

enum schedule_kind { SCHEDULE_CONSTANT, SCHEDULE_STEP, SCHEDULE_COSINE };

struct schedule_conf {
    int kind;      /* enum schedule_kind */
    double factor; /* step: multiplied by this … */
    int every;     /* … every so many epochs */
    int warmup;    /* steps of linear rise from 0 */
    double min_lr;
};
extern const struct cfg_field schedule_ssl_fields[];   /* the authors': x 0.9 every 2 epochs */
extern const struct cfg_field schedule_recon_fields[]; /* constant */

/* The rate of step `step` (0-based) of `steps`, which begins in epoch `epoch` (0-based), from the
 * peak rate `lr`. */
double schedule_lr(const struct schedule_conf *c, double lr, uint64_t step, uint64_t steps,
                   uint64_t epoch);
