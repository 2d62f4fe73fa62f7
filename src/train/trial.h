/* Steps of a training on invented numbers, to see what they take: no scans are needed. */
#pragma once

#include "base/cli.h"
#include "nn/step.h"
#include "train/fit_conf.h"

struct trial {
    struct graph *graph;
    struct params *params;
    struct step *step;
    enum nn_precision precision;
    int batch; /* images of the step */
    uint64_t steps;
    const struct adam_conf *adam;
};
/* Borrows the configuration. `part`: of a step of the training only as many images as go at once.
 * Whatever the outcome, the caller releases it in the end. */
int trial_init(struct trial *t, const struct unet_conf *unet, const struct fit_conf *c, int height,
               int width, bool part, const struct cli *cli, struct err *e);
void trial_release(struct trial *t);

struct trial_time { /* seconds */
    double forward, backward, optimiser;
};
struct trial_time trial_step(struct trial *t);

/* What all threads can do just now, GFLOP/s: before the steps and after, to see in the difference
 * whether the processors were busy with other work. */
double trial_peak(void);
/* If so, a note for people, which begins with `prefix`, on stdout. */
void trial_note_if_busy(double before, double after, const char *prefix);
