/* A training in progress: what the loop (fit.c) works on, made new or from the newest checkpoint.
 */
#pragma once

#include "data/loader.h"
#include "nn/ckpt.h"
#include "nn/step.h"
#include "train/blame.h"
#include "train/fit_conf.h"
#include "train/initial.h"
#include "train/insight.h"
#include "train/pace.h"
#include "train/states.h"
#include "train/timing.h"
#include "train/validate.h"

struct trainer {
    const struct task *task;
    const struct fit_conf *conf;
    const struct cli *cli;
    uint64_t seed;
    struct run *run;
    struct insight insight;
    struct states states;
    struct pace pace;
    enum nn_precision precision; /* in force */
    struct graph *graph;
    struct params *params;
    struct step *step;
    struct validation *validation;
    struct named_source source;
    struct loader *loader;
    uint32_t *index;        /* samples of the step */
    int bad;                /* which of them is not finite; -1: none */
    struct initial initial; /* where the weights came from, in a new training */
    struct ckpt_info at;    /* what a checkpoint says besides the weights */
    /* What best.h5 holds. It is what `at` says, unless it is of a validation only at the end, which
     * does not count for a longer training, or was lost. */
    double best_loss;
    uint64_t best_step;
    double loss, norm; /* of the last step, and of its gradient */
    struct loss_parts parts;
    double scores[VALIDATION_MAX_SCORES]; /* of the last validation, see validation_run */
    bool scored;                          /* by this process */
    char parts_text[64];                  /* as last logged, for people: " l2=0.1 ssfd=0.2" */
    struct timing time;
    double least_step; /* seconds, without waiting for data; 0: none yet */
    double saved;      /* when, by clock_seconds */
};

/* *t holds task, conf, cli, seed and run, and zeros. Released in any case. */
int trainer_init(struct trainer *t, struct err *e);
/* It is as long as it was to be, or out of patience. */
bool trainer_finished(const struct trainer *t);
void trainer_release(struct trainer *t);
