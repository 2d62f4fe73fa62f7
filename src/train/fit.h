/* The one training loop. */
#pragma once

#include "train/fit_conf.h"
#include "train/run.h"
#include "train/task.h"

/* Trains until the end, the patience or a signal (ERR_STOPPED, state saved). Continues from the
 * newest whole checkpoint when the run is resumed: the result is the same, bit for bit, as without
 * the interruption. */
int fit(const struct task *t, const struct fit_conf *c, uint64_t seed, struct run *run,
        const struct cli *cli, struct err *e);
