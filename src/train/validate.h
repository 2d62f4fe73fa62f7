/* Validation: the task's figures over its fixed validation samples, and pictures of some of them.
 */
#pragma once

#include "nn/graph.h"
#include "nn/params.h"
#include "train/task.h"

struct validation;
/* Borrows all its arguments. */
struct validation *validation_new(const struct task *t, const struct graph *g, struct params *p,
                                  int batch, int pictures, struct err *e);
void validation_free(struct validation *v);
/* Fills scores[t->nscores] and writes the picture. */
int validation_run(struct validation *v, const char *picture, double *scores, struct err *e);
