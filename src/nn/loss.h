/* What losses of a prediction and a target have in common: two maps of one shape, one number. For
 * operators that are losses only. */
#pragma once

#include "nn/op.h"

struct loss { /* state of the node: the number, before it is rounded to float32 */
    double value;
};

/* Adds `op` of two values with the same number of channels. */
int loss_add(struct graph *g, const struct op *op, int prediction, int target);
int loss_infer(struct node *n, struct err *e);
void loss_is(const struct node *n, const struct io *io, double value); /* of a forward pass */
double loss_value(const struct node *n);
