/* A training step over a batch, a few images at a time: images do not see each other in these
 * networks, so the gradient of a batch is the mean of those of its parts. Memory is that of the few
 * images, whatever the batch, and more of it stays in the cache; results differ from those of one
 * plan for the whole batch in the rounding of sums over images only. Nothing allocates after
 * step_new. Borrows graph and params. */
#pragma once

#include "nn/plan.h"

struct step;

/* conf.batch: of the whole step. `at_once`: images at a time, must divide the batch; 0: as many as
 * give every thread work enough, a rule on the size of images, the threads in force and the kernels
 * of this processor. */
struct step *step_new(const struct graph *g, struct params *p, struct plan_conf conf, int at_once,
                      struct err *e);
void step_free(struct step *s);

/* Buffers of inputs of the whole batch, as plan_input. */
float *step_input(struct step *s, const char *name);
/* Forward and backward: the gradient of the mean loss into params->grad. Returns that loss, and
 * into *forward_seconds, when not NULL, how much of the time was forward. */
double step_run(struct step *s, struct step_key key, double *forward_seconds);

int step_at_once(const struct step *s);
const struct plan *step_plan(const struct step *s); /* of at_once images */
