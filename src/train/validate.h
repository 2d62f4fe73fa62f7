/* Validation: the task's figures over its fixed validation samples, and pictures of some of them.
 */
#pragma once

#include "nn/graph.h"
#include "nn/params.h"
#include "nn/plan.h"
#include "train/task.h"

struct validation;
/* Borrows the task, graph and parameters. */
struct validation *validation_new(const struct task *t, const struct graph *g, struct params *p,
                                  enum nn_precision precision, int pictures, struct err *e);
void validation_free(struct validation *v);
/* Fills scores[t->nscores], the first with the mean over images of the graph's loss, and writes the
 * picture. Where a signal asks for a stop meanwhile, neither, and *stopped is set. */
int validation_run(struct validation *v, const char *picture, double *scores, bool *stopped,
                   struct err *e);
