/* A network as a static graph of operators: what is computed, without sizes, memory or weights.
 *
 * Building is sticky: an operator on an invalid value gives an invalid value, and graph_seal
 * reports the first mistake; model code is a straight line without checks. A node names only values
 * made before it, so array order is a topological order. Sealing cuts the nodes no output needs
 * and inserts a fork where a value has several readers, so that every value then has one writer and
 * one reader, and a gradient is always overwritten, never accumulated. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdio.h>

struct graph;

struct graph *graph_new(void);
void graph_free(struct graph *g);

/* A value is an index into the graph; negative means invalid. */
int graph_input(struct graph *g, const char *name, int channels);
/* Names a value (a feature tap such as "block5_relu1"); returns it. Names are unique in a graph. */
int graph_name(struct graph *g, int value, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The value of that name, or -1. */
int graph_find(const struct graph *g, const char *name);
/* What is added from now on is frozen: its parameters are used as they are, have no
 * gradient, and may be shared by nodes of the same name. Names of nodes begin with `nodes`, those
 * of values with `values`. NULL, NULL: no longer. */
void graph_frozen(struct graph *g, const char *nodes, const char *values);
/* Keeps a value readable after a forward pass, under its name. Sealing keeps what outputs need. */
void graph_output(struct graph *g, int value);
int graph_seal(struct graph *g, struct err *e);

/* Operators; one file each. `name` is the prefix of the parameters ("block1.conv1"); input and
 * output are (N, H, W, C). Channels follow from the input. */
int nn_conv(struct graph *g, int x, const char *name, int filters, int side,
            bool bias); /* side 1 or 3, same padding */
int nn_deconv(struct graph *g, int x, const char *name, int filters,
              bool bias);               /* transposed 2x2, stride 2 */
int nn_maxpool(struct graph *g, int x); /* 2x2, stride 2, floor */
int nn_avgpool(struct graph *g, int x); /* 2x2, stride 2, floor */
int nn_groupnorm(struct graph *g, int x, const char *name, int groups,
                 bool affine); /* eps 1e-5, biased variance */
int nn_instancenorm(struct graph *g, int x, const char *name,
                    bool affine); /* a group per channel */
int nn_relu(struct graph *g, int x);
int nn_leaky_relu(struct graph *g, int x, float slope);
int nn_dropout(struct graph *g, int x,
               float rate); /* identity in inference; survivors scaled by 1/(1-rate) */
int nn_concat(struct graph *g, int a, int b); /* along channels */
int nn_add(struct graph *g, int a, int b);
int nn_magnitude(struct graph *g, int x); /* of complex numbers, (re, im) in 2 channels, to 1 */
/* Losses, scalars. The one that no other reads is what is trained. */
int nn_l2(struct graph *g, int prediction, int target); /* mean squared error over all elements */
int nn_l1(struct graph *g, int prediction,
          int target); /* mean over pixels of the modulus of the error, over channels */
int nn_blend(struct graph *g, int a, float of_a, int b, float of_b); /* of_a a + of_b b */
