/* run.json: with what a training is computed, on which its bits depend. From the start on: program,
 * machine, seed, threads, the instructions in use (isa), oneDNN, the precision in force, and the
 * kernels of the convolutions with how many use each. Every resumption adds a line of the same to
 * its list "resumed", with what differs from the start. */
#pragma once

#include "base/cli.h"
#include "nn/plan.h"
#include "train/run.h"

/* Of a new run; no plan is known yet. */
int record_start(const struct run *r, const struct cli *cli, uint64_t seed, struct err *e);
/* To be called once before the first step, which is `step` + 1. In a resumed run, compares with the
 * start, and warns on stderr of what differs. */
int record_plan(const struct run *r, const struct cli *cli, const struct plan *p,
                enum nn_precision precision, uint64_t step, struct err *e);
