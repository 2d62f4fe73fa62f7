/* Mean over pixels of the modulus of the error: y = sum_pixels sqrt(sum_c (p - t)^2) / pixels; with
 * one channel the mean absolute error, with two the mean |p - t| of complex numbers (the authors'
 * l1). Its gradient is taken as 0 where the error is. */
#include "base/par.h"
#include "nn/op.h"

#include <math.h>

struct l1_state {
    double loss;
};
struct l1_of {
    const struct io *io;
    size_t channels;
};

int nn_l1(struct graph *g, int prediction, int target)
{
    if (graph_channels(g, prediction) != graph_channels(g, target))
        return graph_fail(g, "l1 of %d and %d channels", graph_channels(g, prediction),
                          graph_channels(g, target));
    return graph_add(
        g, &(struct node_spec){.op = &op_l1, .nin = 2, .in = {prediction, target}, .channels = 1});
}

static int l1_infer(struct node *n, struct err *e)
{
    const struct shape p = n->x[0], t = n->x[1];
    if (p.h != t.h || p.w != t.w)
        return err_set(e, ERR_DATA, "a prediction of %d x %d and a target of %d x %d", p.h, p.w,
                       t.h, t.w);
    n->y[0] = (struct shape){1, 1, 1, 1};
    return 0;
}

static double modulus(const float *p, const float *t, size_t channels)
{
    double sum = 0.0;
    for (size_t c = 0; c < channels; c++) {
        const double d = (double)p[c] - (double)t[c];
        sum += d * d;
    }
    return sqrt(sum);
}

static double moduli(const void *ctx, size_t from, size_t to)
{
    const struct l1_of *s = ctx;
    const size_t c = s->channels;
    double total = 0.0;
    for (size_t i = from; i < to; i++)
        total += modulus(s->io->x[0] + i * c, s->io->x[1] + i * c, c);
    return total;
}

static void l1_forward(const struct node *n, const struct io *io)
{
    struct l1_state *s = n->state;
    const struct l1_of of = {io, (size_t)n->x[0].c};
    const size_t pixels = shape_len(n->x[0]) / of.channels;
    s->loss = par_sum(pixels, moduli, &of) / (double)pixels;
    io->y[0][0] = (float)s->loss;
}

static void l1_backward(const struct node *n, const struct io *io)
{
    const size_t channels = (size_t)n->x[0].c, pixels = shape_len(n->x[0]) / channels;
    const double scale = (double)io->dy[0][0] / (double)pixels;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < pixels; i++) {
        const float *p = io->x[0] + i * channels, *t = io->x[1] + i * channels;
        const double size = modulus(p, t, channels), by = size > 0.0 ? scale / size : 0.0;
        for (size_t c = 0; c < channels; c++) {
            const float d = (float)(by * ((double)p[c] - (double)t[c]));
            if (io->dx[0]) io->dx[0][i * channels + c] = d;
            if (io->dx[1]) io->dx[1][i * channels + c] = -d;
        }
    }
}

static double l1_loss(const struct node *n)
{
    const struct l1_state *s = n->state;
    return s->loss;
}

const struct op op_l1 = {.name = "l1",
                         .nout = 1,
                         .flags = OP_KEEPS_X | OP_LOSS,
                         .state = sizeof(struct l1_state),
                         .infer = l1_infer,
                         .forward = l1_forward,
                         .backward = l1_backward,
                         .loss = l1_loss};
