/* y = x where x > 0, slope x elsewhere; slope 0 is ReLU. The sign of y is that of x (slope >= 0),
 * so backward needs y alone and both passes work in place. */
#include "nn/relu.h"

#include "nn/op.h"

struct relu_conf {
    float slope;
};

int nn_leaky_relu(struct graph *g, int x, float slope)
{
    if (!(slope >= 0.0f && slope <= 1.0f))
        return graph_fail(g, "a leaky ReLU of slope %g", (double)slope);
    const struct relu_conf conf = {slope};
    return graph_add(g, &(struct node_spec){.op = &op_relu,
                                            .nin = 1,
                                            .in = {x},
                                            .channels = graph_channels(g, x),
                                            .conf = &conf,
                                            .conf_size = sizeof conf});
}

int nn_relu(struct graph *g, int x)
{
    return nn_leaky_relu(g, x, 0.0f);
}

float relu_slope(const void *conf)
{
    return ((const struct relu_conf *)conf)->slope;
}

void relu_apply(float slope, size_t len, const float *x, float *y)
{
    if (slope == 1.0f && x == y) return;
    if (slope == 0.0f) {
#pragma omp parallel for simd schedule(static)
        for (size_t i = 0; i < len; i++)
            y[i] = x[i] < 0.0f ? 0.0f : x[i]; /* a NaN stays one */
    } else {
#pragma omp parallel for simd schedule(static)
        for (size_t i = 0; i < len; i++)
            y[i] = x[i] < 0.0f ? slope * x[i] : x[i];
    }
}

void relu_gradient(float slope, size_t len, const float *y, const float *dy, float *dx)
{
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < len; i++)
        dx[i] = y[i] > 0.0f ? dy[i] : slope * dy[i];
}

static void relu_forward(const struct node *n, const struct io *io)
{
    relu_apply(relu_slope(n->conf), shape_len(n->y[0]), io->x[0], io->y[0]);
}

static void relu_backward(const struct node *n, const struct io *io)
{
    relu_gradient(relu_slope(n->conf), shape_len(n->y[0]), io->y[0], io->dy[0], io->dx[0]);
}

const struct op op_relu = {.name = "relu",
                           .nout = 1,
                           .flags = OP_INPLACE | OP_KEEPS_Y,
                           .forward = relu_forward,
                           .backward = relu_backward};
