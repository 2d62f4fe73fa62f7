/* A run directory: everything one training leaves behind.
 *
 *     config.resolved.yaml   the configuration with every default filled in
 *     run.json               machine, seed, threads, kernels, where the time went (record.h)
 *     metrics.jsonl          one JSON object a line: training loss, and scores of validations, at
 *                            most PACE_LINES lines of either (train/pace.h)
 *     last.h5, best.h5, step-*.h5, best-regular.h5   checkpoints (train/states.h)
 *     samples.png            pictures of the latest validation
 *     panels/, events.out.tfevents.*   what TensorBoard shows, and past pictures (train/insight.h)
 *     explain.txt            at the end: nodes, memory, kernels and times of a step (nn/plan.h)
 *
 * None of it grows with the number of resumptions, and but for the event files, by half with each
 * doubling once they are long, none with the length.
 * A directory that holds a checkpoint is never started over: it is resumed or left alone. */
#pragma once

#include "base/cli.h"
#include "base/err.h"
#include "train/changes.h"
#include "train/metrics.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct run {
    char dir[1024];
    struct metrics metrics;
    char *text; /* the configuration with every default, of `len` bytes */
    size_t len;
    char changes[CHANGES_TEXT]; /* since the start, of a resumed run */
    int lock;                   /* open while this process has the directory for itself; -1: not */
};

/* Makes or reopens the directory. Fails where it cannot be written; where another process trains in
 * it; where it holds a training and `resume` is not asked; where `resume` is asked and there is
 * none, or one of another configuration (only the keys in `may_change`, a NULL-ended list of
 * dotted keys, may differ). */
int run_begin(struct run *r, const char *dir, const struct cli *cli, const void *conf,
              uint64_t seed, const char *const *may_change, struct err *e);
/* To be called when the state of a resumed run was accepted: says on stderr what changed, and only
 * now config.resolved.yaml tells of it. */
int run_go_on(const struct run *r, const struct cli *cli, struct err *e);
/* What it would refuse of a run that is to be resumed, changing nothing. */
int run_check_resumed(const char *dir, const struct cli *cli, const void *conf,
                      const char *const *may_change, struct err *e);
int run_path(const struct run *r, const char *file, char *path, size_t size, struct err *e);
void run_end(struct run *r);
