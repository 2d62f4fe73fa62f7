/* The long part of a study: independent jobs, each with a row of numbers as its result. Inputs are
 * fetched by the calling thread (files, networks), a few jobs at a time; the numbers are computed
 * on all cores, a job on one; finished jobs go to a journal. The results depend neither on the
 * number of threads nor on interruptions, and no more than `seats` inputs are in memory. */
#pragma once

#include "eval/study.h"

struct work {
    const char *what; /* for the progress: "scoring reconstructions" */
    int jobs, values;
    int lanes, seats; /* threads that compute, jobs fetched at a time: work_lanes(), work_seats() */
    /* Fetches the inputs of a job to a seat. */
    int (*fetch)(void *ctx, int job, int seat, struct err *e);
    /* The numbers of the job in a seat. A lane is used by one thread at a time: it owns what is
     * not to be shared, such as the states of metrics. */
    int (*compute)(void *ctx, int job, int seat, int lane, double *value, struct err *e);
    /* NULL, or whether what a job of an interrupted run left on the disk is there still; a job of
     * which it is not is done again. */
    bool (*kept)(void *ctx, int job);
    void *ctx;
    bool brief; /* a short piece of work: without journal and progress */
};

int work_lanes(void);
int work_seats(void);
/* value (jobs, values). The journal's key is env->key. ERR_STOPPED after a signal, with what was
 * done kept for env->resume. On success the journal is still there: study_close_output removes it.
 */
int work_run(const struct work *w, const struct study_env *env, double *value, struct err *e);
