/* Mean over pixels of the modulus of the error: y = sum_pixels sqrt(sum_c (p - t)^2) / pixels; with
 * one channel the mean absolute error, with two the mean |p - t| of complex numbers (the authors'
 * l1). Its gradient is taken as 0 where the error is. */
#include "base/par.h"
#include "nn/loss.h"

#include <math.h>

struct l1_of {
    const struct io *io;
    size_t channels;
};

int nn_l1(struct graph *g, int prediction, int target)
{
    return loss_add(g, &op_l1, prediction, target);
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
    const struct l1_of of = {io, (size_t)n->x[0].c};
    const size_t pixels = shape_len(n->x[0]) / of.channels;
    loss_is(n, io, par_sum(pixels, moduli, &of) / (double)pixels);
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

const struct op op_l1 = {.name = "l1",
                         .nout = 1,
                         .flags = OP_KEEPS_X | OP_LOSS,
                         .state = sizeof(struct loss),
                         .infer = loss_infer,
                         .forward = l1_forward,
                         .backward = l1_backward,
                         .loss = loss_value};
