/* Validation: the task's figures over its fixed validation samples, and pictures of some of them.
 */
#pragma once

#include "nn/graph.h"
#include "nn/params.h"
#include "nn/plan.h"
#include "train/parts.h"
#include "train/task.h"

enum { VALIDATION_MAX_SCORES = TASK_MAX_SCORES + LOSS_PARTS };

/* The titles of a row of pictures (ntiles): the task's names, or its short ones. */
const char *const *validation_titles(const struct task *t);

struct validation;
/* Borrows the task, graph, its parts of the loss, and parameters. */
struct validation *validation_new(const struct task *t, const struct graph *g, struct params *p,
                                  struct loss_parts *parts, enum nn_precision precision,
                                  int pictures, struct err *e);
void validation_free(struct validation *v);
/* How many scores there are: the task's, then the parts of the loss. */
int validation_scores(const struct validation *v);
const char *validation_score(const struct validation *v, int i); /* its name, "val_loss" */
/* Fills scores[], the first with the mean over images of the graph's loss, and writes the
 * picture. Where a signal asks for a stop meanwhile, neither, and *stopped is set. */
int validation_run(struct validation *v, const char *picture, double *scores, bool *stopped,
                   struct err *e);
