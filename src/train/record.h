/* run.json: with what a training is computed, on which its bits depend. From the start on: program,
 * machine, seed, threads, the instructions in use (isa), oneDNN, the precision in force, and the
 * kernels of the convolutions with how many use each; and, where fit.initial gave the first
 * weights,
 *
 *     initial       the checkpoint, its checksum, and the step after which it was saved
 *
 * From the first checkpoint on it has
 *
 *     time          seconds by phase (timing.h), over all starts, up to the newest checkpoint or
 * the end, and the steps they are of: what a killed process did after its last checkpoint is lost,
 * as its steps are
 *     loss_parts    of a loss with parts: sums since the last line of metrics.jsonl, at the newest
 *                   checkpoint, that the next line be the same as without an interruption
 *
 * Resumptions add
 *
 *     resumptions   how many there were
 *     differed      which of these ever differed from the start: that stays in the weights
 *     resumed       of the first and the latest, RESUMPTIONS_KEPT at most, the same and what
 * differs
 */
#pragma once

#include "base/cli.h"
#include "nn/plan.h"
#include "train/initial.h"
#include "train/parts.h"
#include "train/run.h"
#include "train/timing.h"

enum { RESUMPTIONS_KEPT = 16 };

/* Of a new run; no plan is known yet. */
int record_start(const struct run *r, const struct cli *cli, uint64_t seed, struct err *e);
/* To be called once before the first step, which is `step` + 1. In a resumed run, compares with the
 * start, and warns on stderr of what differs. */
int record_plan(const struct run *r, const struct cli *cli, const struct plan *p,
                enum nn_precision precision, const struct initial *initial, uint64_t step,
                struct err *e);
/* To be called after every checkpoint, that of step `step`, and at the end. */
int record_save(const struct run *r, uint64_t step, const struct timing *t,
                const struct loss_parts *parts, struct err *e);
/* What was recorded with the checkpoint of step `step`: adds the time of the starts before to *t,
 * and sets the sums. Where the record is of another checkpoint, the sums stay as they are. A
 * warning on stderr where there is none. */
void record_restore(const struct run *r, const struct cli *cli, uint64_t step, struct timing *t,
                    struct loss_parts *parts);
