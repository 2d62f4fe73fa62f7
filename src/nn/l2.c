/* Mean squared error over all elements of the batch: y = sum (p - t)^2 / len. */
#include "base/par.h"
#include "nn/loss.h"

int nn_l2(struct graph *g, int prediction, int target)
{
    return loss_add(g, &op_l2, prediction, target);
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
    const size_t len = shape_len(n->x[0]);
    loss_is(n, io, par_sum(len, squares, io) / (double)len);
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

const struct op op_l2 = {.name = "l2",
                         .nout = 1,
                         .flags = OP_KEEPS_X | OP_LOSS,
                         .state = sizeof(struct loss),
                         .infer = loss_infer,
                         .forward = l2_forward,
                         .backward = l2_backward,
                         .loss = loss_value};
