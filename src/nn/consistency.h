/* Data consistency: a step of gradient descent on the distance from the samples, 1/2 ||A x - b||^2,
 *
 *     y = x - lambda (N x - z),   N = A^H A,   z = A^H b
 *
 * with a trained step size lambda. Everything is linear, so images may be scaled.
 * N is self-adjoint; what else it is, the one who hands it in knows (data/acquisition.h). Backward:
 * dx = dy - lambda N dy, dz = lambda dy, dlambda = -sum dy (N x - z). */
#pragma once

#include "nn/graph.h"

struct normal {   /* N, acting on each row of an image of complex numbers, (re, im) in 2 channels */
    int channels; /* of the input that says what N is for an image: its h w `channels` numbers, in
                     whatever order */
    const void *ctx; /* outlives the graph */
    /* y = row i of N x, both (w, 2), not the same. `line` (w, 2): work space, on a cache line. From
     * any number of threads at a time. */
    void (*row)(const void *ctx, const float *acquisition, int h, int w, int i, const float *x,
                float *y, float *line);
};

/* x and z of 2 channels; `acquisition` is an input of the graph. The step size is the parameter
 * "NAME.lambda", which begins as `lambda`. */
int nn_consistency(struct graph *g, int x, int z, int acquisition, const char *name, float lambda,
                   const struct normal *normal);
