/* Validation: the task's figures over its fixed validation samples, and pictures of some of them.
 */
#pragma once

#include "nn/graph.h"
#include "nn/params.h"
#include "nn/plan.h"
#include "train/task.h"

struct validation;
/* `shape` of its batches, not of training. Borrows the task, graph and parameters. */
struct validation *validation_new(const struct task *t, const struct graph *g, struct params *p,
                                  struct plan_conf shape, int pictures, struct err *e);
void validation_free(struct validation *v);
/* Fills scores[t->nscores] and writes the picture. */
int validation_run(struct validation *v, const char *picture, double *scores, struct err *e);
