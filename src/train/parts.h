/* The parts of a loss that is a blend, apart, for the log. A node of the graph lets a part pass and
 * adds its value to a sum: it costs nothing, changes no bit, and is right for steps of any number
 * of passes. */
#pragma once

#include "nn/graph.h"

#include <stdint.h>

enum { LOSS_PARTS = 2, PART_NAME = 16 };

struct part_sum { /* of forward passes, each a mean over as many images as any other */
    double sum;
    uint64_t passes;
};
struct loss_part {
    char name[PART_NAME]; /* "loss_l2", "loss_ssfd" */
    /* Of plans that train, and of those that do not; whoever reads them sets them to 0 again. */
    struct part_sum training, validation;
};
struct loss_parts {
    int n; /* 0: the loss is no blend */
    struct loss_part list[LOSS_PARTS];
};

double part_mean(struct part_sum s); /* NaN: of no passes */

/* Appends part "loss_NAME" and the node that adds to it, which reads the scalar `value`; returns
 * what to read in its place. NULL for `parts`: nobody asks; returns `value`. *parts outlives the
 * graph. */
int nn_part(struct graph *g, int value, const char *name, struct loss_parts *parts);
