/* A training step over a batch, a few images at a time: images do not see each other in these
 * networks, so the gradient of a batch is the mean of those of its parts. Memory, that for
 * inputs too, is that of the few images, whatever the batch, and more of it stays in the cache;
 * results differ from those of one plan for the whole batch in the rounding of sums over images
 * only. Nothing allocates after step_new. Borrows graph and params. */
#pragma once

#include "nn/plan.h"

struct step;

/* conf.batch: of the whole step. `at_once`: images at a time, must divide the batch; 0: as many as
 * give every thread work enough, a rule on the size of images, the threads in force and the kernels
 * of this processor. */
struct step *step_new(const struct graph *g, struct params *p, struct plan_conf conf, int at_once,
                      struct err *e);
void step_free(struct step *s);

/* Buffers of inputs of one part, as plan_input. */
float *step_input(struct step *s, const char *name);
/* Forward and backward of part `part`, all of them in turn from 0 to step_parts - 1, whose images
 * are in the inputs and, where the key has samples, numbered by them. Returns the mean loss of the
 * part; that of the step is the mean over its parts, and after the last one the gradient of it is
 * in params->grad. Adds to *forward_seconds, when not NULL, how much of the time was forward. */
double step_part(struct step *s, int part, struct step_key key, double *forward_seconds);

int step_parts(const struct step *s);
int step_at_once(const struct step *s);
const struct plan *step_plan(const struct step *s); /* of at_once images */
