/* Dropout (Srivastava et al., JMLR 15, 2014): in training each element is zero with probability
 * `rate`, survivors are scaled by 1/(1-rate); identity in inference. Element i of an image takes
 * half i mod 2 of word i / 2 mod 4 of block (ordinal << 32 | i / 8) of the stream (seed, dropout,
 * epoch, sample), so the mask follows the image wherever it stands in a batch, and no thread waits
 * for another. A bit an element is kept. */
#include "nn/dropout.h"

#include "base/rng.h"
#include "nn/op.h"

#include <math.h>
#include <string.h>

enum { RUN = 4096, GROUP = DROPOUT_GROUP }; /* elements: a task, what is drawn at once */
enum { MAX_ORDINAL = 256 };                 /* a block number has 40 bits */

int nn_dropout(struct graph *g, int x, float rate)
{
    if (!(rate >= 0.0f && rate < 1.0f))
        return graph_fail(g, "a dropout rate of %g is not in [0, 1)", (double)rate);
    const struct dropout conf = {.rate = rate, .ordinal = graph_next_ordinal(g)};
    if (conf.ordinal >= MAX_ORDINAL) return graph_fail(g, "more than %d dropouts", MAX_ORDINAL);
    return graph_add(g, &(struct node_spec){.op = &op_dropout,
                                            .nin = 1,
                                            .in = {x},
                                            .channels = graph_channels(g, x),
                                            .conf = &conf,
                                            .conf_size = sizeof conf});
}

struct dropout dropout_of(const void *conf)
{
    return *(const struct dropout *)conf;
}

size_t dropout_bytes(size_t len)
{
    return (len + GROUP - 1) / GROUP * (GROUP / 8);
}

float dropout_scale(struct dropout d)
{
    return 1.0f / (1.0f - d.rate);
}

int dropout_fits(size_t len, struct err *e)
{
    return len > (size_t)UINT32_MAX * 8 ? err_set(e, ERR_DATA, "images are too large") : 0;
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
    const struct dropout *d = n->conf;
    if (!n->training || d->rate == 0.0f) {
        n->flags |= OP_ALIAS;
        return 0;
    }
    n->need.keep = (size_t)n->x[0].n * dropout_bytes(image_len(n));
    return dropout_fits(image_len(n), e);
}

/* Bit k of byte b: element 8 b + k survives. A group of blocks, that is RNG_LANES bytes. */
_Static_assert(DROPOUT_GROUP == 8 * RNG_LANES, "a group of elements is one of blocks");
static void draw(const struct rng *stream, uint64_t block, uint32_t below, unsigned char *bits)
{
    enum { EIGHT = 8 };
    typedef uint16_t halves __attribute__((vector_size(2 * EIGHT * sizeof(uint16_t))));
    typedef uint32_t wholes __attribute__((vector_size(EIGHT * sizeof(uint32_t))));
    typedef unsigned char byte_each __attribute__((vector_size(EIGHT)));
    uint32_t word[4][RNG_LANES];
    rng_blocks(stream, block, word);
    for (int at = 0; at < RNG_LANES; at += EIGHT) {
        wholes byte = {0};
        for (int k = 0; k < 4; k++) { /* the halves of word k make bits 2 k and 2 k + 1 */
            halves half;
            memcpy(&half, word[k] + at, sizeof half);
            const wholes bit = (wholes){0} + (UINT32_C(0x00020001) << 2 * k);
            byte |= (wholes)(half >= (uint16_t)below) & bit;
        }
        const byte_each out = __builtin_convertvector(byte | byte >> 16, byte_each);
        memcpy(bits + at, &out, sizeof out);
    }
}

void dropout_draw(struct dropout d, const struct step_key *key, int image, size_t from, size_t len,
                  const float *x, unsigned char *mask)
{
    enum { LINE = 64 / sizeof(float) };
    const uint32_t below = (uint32_t)fmin(rint((double)d.rate * 0x1p16), UINT16_MAX);
    const struct rng stream = rng_make(key->seed, RNG_DROPOUT, key->epoch, key->sample[image]);
    for (size_t i = 0; i < len; i += GROUP) {
        for (size_t k = i; k < i + GROUP && k < len; k += LINE)
            __builtin_prefetch(x + k);
        draw(&stream, (uint64_t)d.ordinal << 32 | (from + i) / 8, below, mask + (from + i) / 8);
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
    const struct dropout *d = n->conf;
    const size_t len = image_len(n), per = runs(n), all = per * (size_t)n->x[0].n;
    const float scale = dropout_scale(*d);
#pragma omp parallel for
    for (size_t r = 0; r < all; r++) {
        const size_t image = r / per, from = r % per * RUN;
        const size_t m = len - from < RUN ? len - from : RUN, at = image * len + from;
        unsigned char *mask = (unsigned char *)io->keep + image * dropout_bytes(len);
        dropout_draw(*d, io->key, (int)image, from, m, io->x[0] + at, mask);
        apply(mask + from / 8, scale, m, io->x[0] + at, io->y[0] + at);
    }
}

static void dropout_backward(const struct node *n, const struct io *io)
{
    const struct dropout *d = n->conf;
    const size_t len = image_len(n), per = runs(n), all = per * (size_t)n->x[0].n;
    const float scale = dropout_scale(*d);
    if (n->flags & OP_ALIAS) {
        if (io->dx[0] != io->dy[0])
            memcpy(io->dx[0], io->dy[0], shape_len(n->x[0]) * sizeof(float));
        return;
    }
#pragma omp parallel for
    for (size_t r = 0; r < all; r++) {
        const size_t image = r / per, from = r % per * RUN, at = image * len + from;
        const unsigned char *mask = (unsigned char *)io->keep + image * dropout_bytes(len);
        apply(mask + from / 8, scale, len - from < RUN ? len - from : RUN, io->dy[0] + at,
              io->dx[0] + at);
    }
}

const struct op op_dropout = {.name = "dropout",
                              .nout = 1,
                              .flags = OP_INPLACE,
                              .plan = dropout_plan,
                              .forward = dropout_forward,
                              .backward = dropout_backward};
