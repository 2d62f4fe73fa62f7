/* Mean squared error over all elements of the batch: y = sum (p - t)^2 / len. */
#include "base/par.h"
#include "nn/op.h"

struct l2_state {
    double loss;
};

int nn_l2(struct graph *g, int prediction, int target)
{
    if (graph_channels(g, prediction) != graph_channels(g, target))
        return graph_fail(g, "l2 of %d and %d channels", graph_channels(g, prediction),
                          graph_channels(g, target));
    return graph_add(
        g, &(struct node_spec){.op = &op_l2, .nin = 2, .in = {prediction, target}, .channels = 1});
}

static int l2_infer(struct node *n, struct err *e)
{
    const struct shape p = n->x[0], t = n->x[1];
    if (p.h != t.h || p.w != t.w)
        return err_set(e, ERR_DATA, "a prediction of %d x %d and a target of %d x %d", p.h, p.w,
                       t.h, t.w);
    n->y[0] = (struct shape){1, 1, 1, 1};
    return 0;
}

static double squares(const void *ctx, size_t from, size_t to)
{
    const struct io *io = ctx;
    enum { LANES = 8 };
    double sum[LANES] = {0}, total = 0.0;
    size_t i = from;
    for (; i + LANES <= to; i += LANES)
        for (int k = 0; k < LANES; k++) {
            const double d = (double)io->x[0][i + (size_t)k] - (double)io->x[1][i + (size_t)k];
            sum[k] += d * d;
        }
    for (; i < to; i++) {
        const double d = (double)io->x[0][i] - (double)io->x[1][i];
        total += d * d;
    }
    for (int k = 0; k < LANES; k++)
        total += sum[k];
    return total;
}

static void l2_forward(const struct node *n, const struct io *io)
{
    struct l2_state *s = n->state;
    const size_t len = shape_len(n->x[0]);
    s->loss = par_sum(len, squares, io) / (double)len;
    io->y[0][0] = (float)s->loss;
}

static void l2_backward(const struct node *n, const struct io *io)
{
    const size_t len = shape_len(n->x[0]);
    const float scale = (float)(2.0 / (double)len) * io->dy[0][0];
    const float *p = io->x[0], *t = io->x[1];
    float *dp = io->dx[0], *dt = io->dx[1];
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < len; i++) {
        const float d = scale * (p[i] - t[i]);
        if (dp) dp[i] = d;
        if (dt) dt[i] = -d;
    }
}

static double l2_loss(const struct node *n)
{
    const struct l2_state *s = n->state;
    return s->loss;
}

const struct op op_l2 = {.name = "l2",
                         .nout = 1,
                         .flags = OP_KEEPS_X | OP_LOSS,
                         .state = sizeof(struct l2_state),
                         .infer = l2_infer,
                         .forward = l2_forward,
                         .backward = l2_backward,
                         .loss = l2_loss};
