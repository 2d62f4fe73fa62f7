/* y = a + b. */
#include "nn/op.h"

#include <string.h>

int nn_add(struct graph *g, int a, int b)
{
    const int channels = graph_channels(g, a);
    if (channels != graph_channels(g, b))
        return graph_fail(g, "a sum of %d and %d channels", channels, graph_channels(g, b));
    return graph_add(
        g, &(struct node_spec){.op = &op_add, .nin = 2, .in = {a, b}, .channels = channels});
}

static int add_infer(struct node *n, struct err *e)
{
    const struct shape a = n->x[0], b = n->x[1];
    if (a.h == b.h && a.w == b.w) return 0;
    return err_set(e, ERR_DATA, "a sum of %d x %d and %d x %d", a.h, a.w, b.h, b.w);
}

static void add_forward(const struct node *n, const struct io *io)
{
    const size_t len = shape_len(n->y[0]);
    const float *a = io->x[0], *b = io->x[1];
    float *y = io->y[0];
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < len; i++)
        y[i] = a[i] + b[i];
}

static void add_backward(const struct node *n, const struct io *io)
{
    const size_t bytes = shape_len(n->y[0]) * sizeof(float);
    for (int k = 0; k < 2; k++)
        if (io->dx[k] && io->dx[k] != io->dy[0]) memcpy(io->dx[k], io->dy[0], bytes);
}

const struct op op_add = {.name = "add",
                          .nout = 1,
                          .flags = OP_INPLACE,
                          .infer = add_infer,
                          .forward = add_forward,
                          .backward = add_backward};
