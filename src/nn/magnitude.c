/* y = sqrt(re^2 + im^2) of complex numbers in two channels; dx = dy x / y, and 0 where y = 0. */
#include "nn/op.h"

#include <math.h>

int nn_magnitude(struct graph *g, int x)
{
    if (graph_channels(g, x) != 2)
        return graph_fail(g, "a magnitude of %d channels: it needs 2", graph_channels(g, x));
    return graph_add(g,
                     &(struct node_spec){.op = &op_magnitude, .nin = 1, .in = {x}, .channels = 1});
}

static void magnitude_forward(const struct node *n, const struct io *io)
{
    const size_t len = shape_len(n->y[0]);
    const float *x = io->x[0];
    float *y = io->y[0];
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < len; i++)
        y[i] = sqrtf(x[2 * i] * x[2 * i] + x[2 * i + 1] * x[2 * i + 1]);
}

static void magnitude_backward(const struct node *n, const struct io *io)
{
    const size_t len = shape_len(n->y[0]);
    const float *x = io->x[0], *y = io->y[0], *dy = io->dy[0];
    float *dx = io->dx[0];
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < len; i++) {
        const float scale = y[i] > 0.0f ? dy[i] / y[i] : 0.0f;
        dx[2 * i] = scale * x[2 * i];
        dx[2 * i + 1] = scale * x[2 * i + 1];
    }
}

const struct op op_magnitude = {.name = "magnitude",
                                .nout = 1,
                                .flags = OP_KEEPS_X | OP_KEEPS_Y,
                                .forward = magnitude_forward,
                                .backward = magnitude_backward};
