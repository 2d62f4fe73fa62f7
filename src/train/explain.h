/* What a training computes, node by node, and what that takes: the table of plan_explain. */
#pragma once

#include "base/cli.h"
#include "nn/plan.h"
#include "train/fit_conf.h"

/* --explain: makes the plan of the training, runs a few steps on random numbers, which needs no
 * scans, and prints both on stdout. */
int explain_training(const struct unet_conf *unet, const struct fit_conf *c, int height, int width,
                     const struct cli *cli, struct err *e);
/* Of a plan that has trained; `step_seconds` is the least of a whole step. */
int explain_file(const struct plan *plan, const struct params *p, enum nn_precision precision,
                 double step_seconds, const char *path, struct err *e);
