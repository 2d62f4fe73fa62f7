/* The inside of the bfloat16 convolution, for bf16_conv.c (forward, and backward to the data) and
 * bf16_gradient.c (backward to the weights) only. */
#pragma once

#include "base/par.h"
#include "nn/bf16_map.h"
#include "nn/conv_kernel.h"

enum {
    BF16_SLAB_BYTES = 512 << 10, /* about a thread's bfloat16 numbers, for its L2 cache */
};

struct bf16_pass {                      /* columns of y by products of the pixels of x */
    int n, h, w, side, gap, channels;   /* of x, and its map */
    int groups, columns, pairs;         /* runs of y; channels of a run; blocks of 32 of them */
    int rows, slabs, threads;           /* rows of y at a time, such slabs in an image */
    int steps;                          /* summands of a kernel row / 32 */
    size_t low, step, scratch, weights; /* numbers; numbers; bytes of a thread; numbers */
};

struct bf16_gradient { /* of the weights */
    bool wide;
    int rows, slabs, parts; /* rows of a slab; slabs of an image; parts of all slabs */
    int chunks;             /* of rows, brought into bfloat16 one by one, where `wide` */
    int across;             /* columns of the kernel that are summed beside each other */
    int copies, portions;   /* of x; channels brought at a time: 32, or all */
    int tiles, blocks;      /* of a portion: of 16 and of 32 columns */
    int lefts, shifts;      /* blocks of 32 channels of dy; products of two blocks */
    int pitch;              /* pixels from row to row */
    /* numbers of a slab, without low halves: of dy; of dy turned; of a portion of a row of x, and
     * of x */
    size_t pixels, turned, line, x;
    size_t slab, block, sums; /* bytes: of a slab; of a part's gradient; of a part's sums of dy */
};

struct bf16_conv {
    struct conv_conf conf;
    enum bf16_unit unit;
    bool split;
    int side, gap, taps; /* of the kernel on x; zeros between rows; numbers a channel and column */
    int wide;            /* channels of dy's map */
    struct bf16_pass forward, data;
    struct bf16_gradient weights;
};

struct bf16_job { /* a pass over a batch */
    const struct bf16_pass *p;
    struct bf16_map x, y; /* y is written */
    const bf16 *weights;
    const float *bias; /* as packed, or NULL */
    float slope;
    bool split;
    double *sums; /* a part a slab and group (struct note), or NULL */
};
/* Slab `slab` of all images, whose pixels and `gap` rows around are at x. */
void bf16_run_slab(const struct bf16_job *j, struct bf16_worker *worker, int slab, const bf16 *x);

/* Where the weights of a channel of dy's map, and of a channel of x, are stored. */
size_t bf16_stored_wide(const struct bf16_conv *c, int k);
size_t bf16_stored_in(const struct bf16_conv *c, int k);

struct bf16_gradient bf16_gradient_make(const struct bf16_conv *c);
size_t bf16_gradient_scratch(const struct bf16_conv *c); /* bytes */
/* Overwrites dw and db (NULL: no bias). `data`: a pass over the same slabs to do on the way, where
 * the gradient is not wide; or NULL. */
void bf16_gradient_run(const struct bf16_conv *c, struct bf16_map x, struct bf16_map dy,
                       const struct bf16_job *data, float *dw, float *db, unsigned char *scratch);

static inline int bf16_smaller(int a, int b)
{
    return a < b ? a : b;
}

static inline int bf16_planes(const struct bf16_conv *c)
{
    return c->split ? 2 : 1;
}

static inline int bf16_rows_of(size_t bytes, size_t row, int least)
{
    return bytes / row < (size_t)least ? least : (int)(bytes / row);
}

/* An image of h rows in equal slabs of at most about so many, and not less than `least`. */
static inline int bf16_rows_within(int h, int most, int least)
{
    if (most < least) most = least;
    return divide_up(h, divide_up(h, most));
}
