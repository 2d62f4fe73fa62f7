/* Dropout (Srivastava et al., JMLR 15, 2014): in training each element is zero with probability
 * `rate`, survivors are scaled by 1/(1-rate); identity in inference. Element i of an image takes
 * word i mod 4 of block (ordinal << 32 | i / 4) of the stream (seed, dropout, epoch, sample), so
 * the mask follows the image wherever it stands in a batch, and no thread waits for another. A bit
 * an element is kept. */
#include "base/rng.h"
#include "nn/op.h"

#include <math.h>
#include <string.h>

struct dropout_conf {
    float rate;
    int ordinal;
};

enum { RUN = 4096, MAX_ORDINAL = 256 }; /* elements a task; a block number has 40 bits */

int nn_dropout(struct graph *g, int x, float rate)
{
    if (!(rate >= 0.0f && rate < 1.0f))
        return graph_fail(g, "a dropout rate of %g is not in [0, 1)", (double)rate);
    const struct dropout_conf conf = {.rate = rate, .ordinal = graph_next_ordinal(g)};
    if (conf.ordinal >= MAX_ORDINAL) return graph_fail(g, "more than %d dropouts", MAX_ORDINAL);
    return graph_add(g, &(struct node_spec){.op = &op_dropout,
                                            .nin = 1,
                                            .in = {x},
                                            .channels = graph_channels(g, x),
                                            .conf = &conf,
                                            .conf_size = sizeof conf});
}

static size_t image_len(const struct node *n)
{
    return shape_len(n->x[0]) / (size_t)n->x[0].n;
}
static size_t runs(const struct node *n)
{
    return (image_len(n) + RUN - 1) / RUN;
}

static int dropout_plan(struct node *n, struct err *e)
{
    const struct dropout_conf *c = n->conf;
    if (image_len(n) > (size_t)UINT32_MAX * 8) return err_set(e, ERR_DATA, "images are too large");
    if (!n->training || c->rate == 0.0f)
        n->flags |= OP_ALIAS;
    else
        n->need.keep = (size_t)n->x[0].n * runs(n) * (RUN / 8);
    return 0;
}

/* Bit k of byte b: element 8 b + k of the run survives. */
static void draw(const struct rng *stream, uint64_t block, uint32_t below, int bytes,
                 unsigned char *bits)
{
    for (int b = 0; b < bytes; b++) {
        uint32_t word[4];
        rng_block(stream, block + (uint64_t)b, word);
        unsigned byte = 0;
        for (int k = 0; k < 4; k++)
            byte |= (unsigned)((word[k] & 0xffff) >= below) << 2 * k |
                    (unsigned)((word[k] >> 16) >= below) << (2 * k + 1);
        bits[b] = (unsigned char)byte;
    }
}

static void apply(const unsigned char *bits, float scale, size_t len, const float *x, float *y)
{
    size_t i = 0;
    for (; i + 16 <= len; i += 16) {
        const uint32_t sixteen = (uint32_t)bits[i / 8] | (uint32_t)bits[i / 8 + 1] << 8;
#pragma omp simd
        for (uint32_t k = 0; k < 16; k++)
            y[i + k] = sixteen >> k & 1 ? scale * x[i + k] : 0.0f;
    }
    for (; i < len; i++)
        y[i] = bits[i / 8] >> (i % 8) & 1 ? scale * x[i] : 0.0f;
}

static void dropout_forward(const struct node *n, const struct io *io)
{
    const struct dropout_conf *c = n->conf;
    const size_t len = image_len(n), per = runs(n), all = per * (size_t)n->x[0].n;
    const uint32_t below = (uint32_t)lrint((double)c->rate * 0x1p16);
    const float scale = 1.0f / (1.0f - c->rate);
#pragma omp parallel for
    for (size_t r = 0; r < all; r++) {
        const size_t image = r / per, from = r % per * RUN;
        const size_t m = len - from < RUN ? len - from : RUN, at = image * len + from;
        const struct rng stream =
            rng_make(io->key->seed, RNG_DROPOUT, io->key->epoch, io->key->sample[image]);
        unsigned char *bits = (unsigned char *)io->keep + r * (RUN / 8);
        draw(&stream, (uint64_t)c->ordinal << 32 | from / 8, below, (int)((m + 7) / 8), bits);
        apply(bits, scale, m, io->x[0] + at, io->y[0] + at);
    }
}

static void dropout_backward(const struct node *n, const struct io *io)
{
    const struct dropout_conf *c = n->conf;
    const size_t len = image_len(n), per = runs(n), all = per * (size_t)n->x[0].n;
    const float scale = 1.0f / (1.0f - c->rate);
    if (n->flags & OP_ALIAS) {
        if (io->dx[0] != io->dy[0])
            memcpy(io->dx[0], io->dy[0], shape_len(n->x[0]) * sizeof(float));
        return;
    }
#pragma omp parallel for
    for (size_t r = 0; r < all; r++) {
        const size_t from = r % per * RUN, at = r / per * len + from;
        apply((const unsigned char *)io->keep + r * (RUN / 8), scale,
              len - from < RUN ? len - from : RUN, io->dy[0] + at, io->dx[0] + at);
    }
}

const struct op op_dropout = {.name = "dropout",
                              .nout = 1,
                              .flags = OP_INPLACE,
                              .plan = dropout_plan,
                              .forward = dropout_forward,
                              .backward = dropout_backward};
