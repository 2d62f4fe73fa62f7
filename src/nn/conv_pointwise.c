/* Convolutions of single pixels, on AVX-512 in float32: 1x1 ones, and transposed 2x2 ones, which
 * are 1x1 ones to the 4 C columns (2a+b) C + o and a move of depth to space. With few channels they
 * are bound by memory, so each map is read and written once: a thread takes some tens of pixels,
 * which stay in its cache, from one map to the other. Of dy it makes both gradients, whose matrices
 * are small beside the maps. */
#include "nn/conv_kernel.h"

#ifdef __AVX512F__

#include "base/mem.h"
#include "base/par.h"
#include "nn/fetch.h"

#include <immintrin.h>
#include <stdio.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum {
    LANES = 16,
    MOST_VECS = 5,         /* columns of a block / 16, beside which 5 rows fill the registers */
    MOST_ROWS = 12,        /* of a block */
    LEAST_PIXELS = 60,     /* at a time; a multiple of most numbers of rows */
    MOST_PARTS = 16,       /* of an image forward, of the batch backward; */
    LEAST_PARTS = 4,       /* there fewer, where the gradients of so many would take */
    PARTS_BYTES = 4 << 20, /* more than that */
};

struct pointwise {
    struct conv_conf conf;
    int columns, runs;          /* of y below a pixel of x: how many, in one or two rows */
    int pixels, threads;        /* at a time */
    int share, part;            /* pixels of a part of an image, and of the batch */
    size_t wide;                /* floats from pixel to pixel of such columns in the cache */
    size_t bias, weights;       /* bytes packed; behind them the weights backward */
    size_t tile, gradient, sum; /* bytes: of `pixels` such pixels; of a part, and its sums of dy */
};

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* --- products --- */

/* c (rows, columns) = or += a b, where b has its columns in vectors, the last filled up. */
struct product {
    int rows, columns, steps;
    const float *a; /* (r, s) at r a_row + s a_step */
    size_t a_row, a_step;
    const float *b; /* rows b_step floats apart; 0: packed, block by block */
    size_t b_step;
    float *c;
    size_t c_row;
    bool add;
};

struct block { /* of c */
    const struct product *p;
    const float *a, *b;
    float *c;
    size_t b_step;
    __mmask16 last; /* of its columns */
};

INLINE void multiply(int rows, int vecs, const struct block *k)
{
    const size_t a_row = k->p->a_row, a_step = k->p->a_step, c_row = k->p->c_row;
    const float *a = k->a, *b = k->b;
    __m512 sum[MOST_ROWS][MOST_VECS]; /* in registers: all loops over it are unrolled */
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 5
        for (int v = 0; v < vecs; v++)
            sum[r][v] = _mm512_setzero_ps();
    for (int s = 0; s < k->p->steps; s++, a += a_step, b += k->b_step) {
        __m512 right[MOST_VECS];
#pragma GCC unroll 5
        for (int v = 0; v < vecs; v++)
            right[v] = _mm512_loadu_ps(b + v * LANES);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            const __m512 left = _mm512_set1_ps(a[(size_t)r * a_row]);
#pragma GCC unroll 5
            for (int v = 0; v < vecs; v++)
                sum[r][v] = _mm512_fmadd_ps(left, right[v], sum[r][v]);
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 5
        for (int v = 0; v < vecs; v++) {
            const __mmask16 in = v == vecs - 1 ? k->last : 0xffff;
            float *to = k->c + (size_t)r * c_row + v * LANES;
            if (k->p->add) sum[r][v] = _mm512_add_ps(sum[r][v], _mm512_maskz_loadu_ps(in, to));
            _mm512_mask_storeu_ps(to, in, sum[r][v]);
        }
}

typedef void block_fn(const struct block *k);

#define BLOCK(rows, vecs)                                                                          \
    static void block_##rows##_##vecs(const struct block *k)                                       \
    {                                                                                              \
        multiply(rows, vecs, k);                                                                   \
    }
#define BLOCKS_5(vecs) BLOCK(1, vecs) BLOCK(2, vecs) BLOCK(3, vecs) BLOCK(4, vecs) BLOCK(5, vecs)
#define BLOCKS_8(vecs) BLOCKS_5(vecs) BLOCK(6, vecs) BLOCK(7, vecs) BLOCK(8, vecs)
#define BLOCKS_12(vecs)                                                                            \
    BLOCKS_8(vecs) BLOCK(9, vecs) BLOCK(10, vecs) BLOCK(11, vecs) BLOCK(12, vecs)
BLOCKS_12(1)
BLOCKS_12(2)
BLOCKS_8(3)
BLOCKS_5(4)
BLOCK(6, 4)
BLOCKS_5(5)

#define NAMES_5(v)  block_1_##v, block_2_##v, block_3_##v, block_4_##v, block_5_##v
#define NAMES_8(v)  NAMES_5(v), block_6_##v, block_7_##v, block_8_##v
#define NAMES_12(v) NAMES_8(v), block_9_##v, block_10_##v, block_11_##v, block_12_##v

/* By vectors - 1, rows - 1: as many rows as the registers hold. */
static block_fn *const blocks[MOST_VECS][MOST_ROWS] = {
    {NAMES_12(1)}, {NAMES_12(2)}, {NAMES_8(3)}, {NAMES_5(4), block_6_4}, {NAMES_5(5)}};
static const int rows_of[MOST_VECS] = {12, 12, 8, 6, 5};

/* Columns are cut into even blocks of at most MOST_VECS vectors; where vector number `block` of
 * them begins. */
static int vec_at(int columns, int block)
{
    const int vecs = divide_up(columns, LANES), all = divide_up(vecs, MOST_VECS);
    return block * vecs / all;
}

static int column_blocks(int columns)
{
    return divide_up(divide_up(columns, LANES), MOST_VECS);
}

static void product(const struct product *p)
{
    for (int n = 0; n < column_blocks(p->columns); n++) { /* outside: b stays in the cache */
        const int from = vec_at(p->columns, n), vecs = vec_at(p->columns, n + 1) - from;
        const int left = p->columns - from * LANES - (vecs - 1) * LANES;
        struct block k = {.p = p,
                          .a = p->a,
                          .b = p->b + (p->b_step ? 1 : (size_t)p->steps) * (size_t)(from * LANES),
                          .b_step = p->b_step ? p->b_step : (size_t)(vecs * LANES),
                          .c = p->c + from * LANES,
                          .last = (__mmask16)(left >= LANES ? 0xffff : (1 << left) - 1)};
        for (int r = 0; r < p->rows;) {
            const int rows = smaller(p->rows - r, rows_of[vecs - 1]);
            blocks[vecs - 1][rows - 1](&k);
            k.a += (size_t)rows * p->a_row;
            k.c += (size_t)rows * p->c_row;
            r += rows;
        }
    }
}

static size_t packed_bytes(int steps, int columns)
{
    return (size_t)steps * (size_t)divide_up(columns, LANES) * LANES * sizeof(float);
}

/* --- plan --- */

static bool takes(const struct conv_conf *c, enum dn_isa isa)
{
    /* of fewer columns most of a vector is empty */
    const bool fills = c->up || (c->side == 1 && c->out >= LANES / 2);
    return c->precision != NN_FP32_DIRECT && fills && isa >= DN_ISA_AVX512;
}

static int parts_of(size_t gradient)
{
    int parts = MOST_PARTS;
    while (parts > LEAST_PARTS && (size_t)parts * gradient > PARTS_BYTES)
        parts /= 2;
    return parts;
}

static int batch_of(const struct conv_conf *c) /* pixels of x */
{
    return c->n * c->h * c->w;
}

static void *make(const struct conv_conf *c, enum dn_isa isa, struct dn *d, struct conv_need *need,
                  struct err *e)
{
    (void)isa;
    (void)d;
    struct pointwise *k = mem_new(1, sizeof *k, e);
    if (!k) return NULL;
    k->conf = *c;
    k->runs = c->up ? 2 : 1;
    k->columns = (c->up ? 4 : 1) * c->out;
    k->threads = par_threads();
    const size_t lines = (size_t)divide_up(k->columns, LANES) | 1; /* odd: pixels fall into */
    k->wide = lines * LANES;                                       /* different sets of the cache */
    k->gradient = (size_t)c->in * k->wide * sizeof(float);
    k->sum = k->wide * sizeof(double);
    /* pixels that take as much as the gradient they are added to */
    const int even = (int)(k->gradient / ((k->wide + (size_t)c->in) * sizeof(float)));
    k->pixels = smaller(even < LEAST_PIXELS ? LEAST_PIXELS : even, c->h * c->w);
    k->share = divide_up(c->h * c->w, MOST_PARTS);
    k->part = divide_up(batch_of(c), parts_of(k->gradient));
    k->tile = ((size_t)k->pixels + 1) * k->wide * sizeof(float);
    k->bias = mem_lines((size_t)k->columns * sizeof(float));
    k->weights = packed_bytes(c->in, k->columns);
    need->packed = k->bias + k->weights + (c->backward_data ? packed_bytes(k->columns, c->in) : 0);
    need->parts = divide_up(c->h * c->w, k->share);
    need->columns = k->columns;
    need->forward = (size_t)k->threads * k->tile;
    need->backward = need->forward + (size_t)divide_up(batch_of(c), k->part) *
                                         ((c->backward_weights ? k->gradient : 0) + k->sum);
    return k;
}

/* Column k of input i in the stored weights: (out, in), or (in, out, 2, 2). */
static size_t stored_at(const struct pointwise *p, int i, int k)
{
    const size_t in = (size_t)p->conf.in, out = (size_t)p->conf.out;
    if (!p->conf.up) return (size_t)k * in + (size_t)i;
    return ((size_t)i * out + (size_t)k % out) * 4 + (size_t)k / out;
}

/* Factor b of a product: `columns` of y for inputs, or, `back`, inputs for columns of y. */
static void pack_factor(const struct pointwise *p, const float *weights, bool back, float *u)
{
    const int steps = back ? p->columns : p->conf.in, columns = back ? p->conf.in : p->columns;
#pragma omp parallel for
    for (int n = 0; n < column_blocks(columns); n++) {
        const int from = vec_at(columns, n) * LANES, end = vec_at(columns, n + 1) * LANES;
        float *to = u + (size_t)steps * (size_t)from;
        for (int s = 0; s < steps; s++)
            for (int k = from; k < end; k++)
                *to++ =
                    k >= columns ? 0.0f : weights[back ? stored_at(p, k, s) : stored_at(p, s, k)];
    }
}

static void pack(const void *state, const float *weights, const float *bias, void *packed)
{
    const struct pointwise *p = state;
    float *u = (float *)((unsigned char *)packed + p->bias);
    for (int k = 0; k < p->columns; k++)
        ((float *)packed)[k] = bias ? bias[k % p->conf.out] : 0.0f;
    pack_factor(p, weights, false, u);
    if (p->conf.backward_data) pack_factor(p, weights, true, u + p->weights / sizeof *u);
}

/* --- between y and the cache --- */

/* Where the runs of columns of pixel `at` of x begin in y: the first, and from one to the next. */
static size_t run_at(const struct pointwise *p, int at)
{
    const size_t row = (size_t)(at / p->conf.w), w = (size_t)p->conf.w;
    if (!p->conf.up) return (size_t)at * (size_t)p->conf.out;
    return (row * w + (size_t)at) * 2 * (size_t)p->conf.out;
}

static size_t run_len(const struct pointwise *p)
{
    return (size_t)(p->columns / p->runs);
}

static __mmask16 lanes(size_t at, size_t len)
{
    return (__mmask16)(len - at >= LANES ? 0xffff : (1 << (len - at)) - 1);
}

INLINE void add_double(double *to, __m512 v, __mmask16 in)
{
    const __m512d lower = _mm512_cvtps_pd(_mm512_castps512_ps256(v));
    const __m512d upper = _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
    const __mmask8 low = (__mmask8)in, high = (__mmask8)(in >> 8);
    _mm512_mask_storeu_pd(to, low, _mm512_add_pd(_mm512_maskz_loadu_pd(low, to), lower));
    _mm512_mask_storeu_pd(to + 8, high, _mm512_add_pd(_mm512_maskz_loadu_pd(high, to + 8), upper));
}

/* Columns k, … of some pixels: bias, ReLU, and to y; their sums and those of their squares. */
INLINE void give_vector(const struct pointwise *p, int from, int count, size_t run, size_t k,
                        const float *tile, const float *bias, float *y, double *sums)
{
    const size_t len = run_len(p), at = run * len + k, row = (size_t)p->conf.w * len;
    const __mmask16 in = lanes(k, len);
    const __m512 slope = _mm512_set1_ps(p->conf.slope), none = _mm512_setzero_ps();
    const __m512 b = _mm512_maskz_loadu_ps(in, bias + at);
    __m512 sum = none, squares = none;
    float *to = y + run_at(p, from) + run * row + k;
    int column = from % p->conf.w;
    for (int i = 0; i < count; i++, to += len) {
        __m512 v = _mm512_maskz_loadu_ps(in, tile + (size_t)i * p->wide + at);
        v = _mm512_add_ps(v, b);
        const __mmask16 below = _mm512_cmp_ps_mask(v, none, _CMP_LT_OQ); /* no NaN is */
        v = _mm512_mask_mul_ps(v, below, v, slope);
        fetch_to_write(to, 1);
        _mm512_mask_storeu_ps(to, in, v);
        sum = _mm512_add_ps(sum, v);
        squares = _mm512_fmadd_ps(v, v, squares);
        if (++column == p->conf.w) {
            column = 0;
            if (p->conf.up) to += row;
        }
    }
    if (!sums) return;
    add_double(sums + at, sum, in);
    add_double(sums + (size_t)p->columns + at, squares, in);
}

/* The same of dy, passed back through the ReLU that gave y, into the cache. */
INLINE void bring_vector(const struct pointwise *p, int from, int count, size_t run, size_t k,
                         const float *dy, const float *y, float *tile, double *sums)
{
    const size_t len = run_len(p), at = run * len + k, row = (size_t)p->conf.w * len;
    const __mmask16 in = lanes(k, len);
    const __m512 slope = _mm512_set1_ps(p->conf.slope), none = _mm512_setzero_ps();
    __m512 sum = none;
    size_t place = run_at(p, from) + run * row + k;
    int column = from % p->conf.w;
    for (int i = 0; i < count; i++, place += len) {
        fetch_to_read(dy + place, 1);
        __m512 v = _mm512_maskz_loadu_ps(in, dy + place);
        if (p->conf.slope != 1.0f) {
            const __m512 before = _mm512_maskz_loadu_ps(in, y + place);
            const __mmask16 rest = _mm512_cmp_ps_mask(before, none, _CMP_NGT_UQ);
            v = _mm512_mask_mul_ps(v, rest, v, slope);
        }
        _mm512_mask_storeu_ps(tile + (size_t)i * p->wide + at, in, v);
        sum = _mm512_add_ps(sum, v);
        if (++column == p->conf.w) {
            column = 0;
            if (p->conf.up) place += row;
        }
    }
    add_double(sums + at, sum, in);
}

/* --- passes --- */

struct pixels { /* of x, and so many at a time in single precision */
    int from, count;
};

static struct pixels next_pixels(int from, int end, int most)
{
    return (struct pixels){from, smaller(end - from, most)};
}

static void give(const struct pointwise *p, struct pixels all, const float *tile, const float *bias,
                 float *y, double *sums)
{
    const int end = all.from + all.count;
    for (int at = all.from; at < end; at += LEAST_PIXELS)
        for (int run = 0; run < p->runs; run++)
            for (size_t k = 0; k < run_len(p); k += LANES)
                give_vector(p, at, smaller(end - at, LEAST_PIXELS), (size_t)run, k,
                            tile + (size_t)(at - all.from) * p->wide, bias, y, sums);
}

static void bring(const struct pointwise *p, struct pixels all, const float *dy, const float *y,
                  float *tile, double *sums)
{
    const int end = all.from + all.count;
    for (int at = all.from; at < end; at += LEAST_PIXELS)
        for (int run = 0; run < p->runs; run++)
            for (size_t k = 0; k < run_len(p); k += LANES)
                bring_vector(p, at, smaller(end - at, LEAST_PIXELS), (size_t)run, k, dy, y,
                             tile + (size_t)(at - all.from) * p->wide, sums);
}

static void forward_part(const struct pointwise *p, int from, int end, const float *x,
                         const void *packed, float *y, double *sums, float *tile)
{
    const float *bias = packed;
    if (sums) memset(sums, 0, 2 * (size_t)p->columns * sizeof *sums);
    for (int at = from; at < end; at += p->pixels) {
        const struct pixels some = next_pixels(at, end, p->pixels);
        product(&(struct product){.rows = some.count,
                                  .columns = p->columns,
                                  .steps = p->conf.in,
                                  .a = x + (size_t)at * (size_t)p->conf.in,
                                  .a_row = (size_t)p->conf.in,
                                  .a_step = 1,
                                  .b = bias + p->bias / sizeof *bias,
                                  .c = tile,
                                  .c_row = p->wide});
        give(p, some, tile, bias, y, sums);
    }
}

static void forward(const void *state, const struct conv_x *x, const void *packed, float *y,
                    double *sums, void *scratch)
{
    const struct pointwise *p = state;
    const int image = p->conf.h * p->conf.w, parts = divide_up(image, p->share);
    int next = 0;
#pragma omp parallel for schedule(static, 1)
    for (int t = 0; t < p->threads; t++)
        for (int k; (k = par_take(&next, 1)) < p->conf.n * parts;) {
            const int first = k / parts * image, from = first + k % parts * p->share;
            forward_part(p, from, smaller(from + p->share, first + image), x->at[0], packed, y,
                         sums ? sums + (size_t)k * 2 * (size_t)p->columns : NULL,
                         (float *)((unsigned char *)scratch + (size_t)t * p->tile));
        }
}

static void backward_part(const struct pointwise *p, int from, int end,
                          const struct conv_gradient *g, float *tile, float *gradient, double *sums)
{
    const size_t in = (size_t)p->conf.in;
    memset(sums, 0, p->sum);
    for (int at = from; at < end; at += p->pixels) {
        const struct pixels some = next_pixels(at, end, p->pixels);
        bring(p, some, g->dy, g->y, tile, sums);
        if (g->dw)
            product(&(struct product){.rows = p->conf.in,
                                      .columns = p->columns,
                                      .steps = some.count,
                                      .a = g->x.at[0] + (size_t)at * in,
                                      .a_row = 1,
                                      .a_step = in,
                                      .b = tile,
                                      .b_step = p->wide,
                                      .c = gradient,
                                      .c_row = p->wide,
                                      .add = at > from});
        if (!g->dx[0]) continue;
        product(&(struct product){.rows = some.count,
                                  .columns = p->conf.in,
                                  .steps = p->columns,
                                  .a = tile,
                                  .a_row = p->wide,
                                  .a_step = 1,
                                  .b = (const float *)g->packed +
                                       (p->bias + p->weights) / sizeof(float),
                                  .c = g->dx[0] + (size_t)at * in,
                                  .c_row = in});
    }
}

/* Adds the parts up, in order. */
static void finish(const struct pointwise *p, int parts, float *gradient, const double *sums,
                   float *dw, float *db)
{
    const size_t whole = p->gradient / sizeof(float), columns = (size_t)p->columns;
#pragma omp parallel for
    for (int i = 0; i < p->conf.in; i++) {
        float *to = gradient + (size_t)i * p->wide;
        for (int part = 1; part < parts; part++)
            for (size_t k = 0; k < columns; k++)
                to[k] += to[(size_t)part * whole + k];
        for (int k = 0; k < p->columns; k++)
            dw[stored_at(p, i, k)] = to[k];
    }
    const int out = p->conf.out;
    for (int o = 0; db && o < out; o++) {
        double sum = 0.0;
        for (int part = 0; part < parts; part++)
            for (int k = o; k < p->columns; k += out)
                sum += sums[(size_t)part * p->wide + (size_t)k];
        db[o] = (float)sum;
    }
}

/* Memory: a tile a thread, gradients of all parts if wanted, their sums. */
static void backward(const void *state, const struct conv_gradient *g)
{
    const struct pointwise *p = state;
    const int all = batch_of(&p->conf), parts = divide_up(all, p->part);
    unsigned char *rest = (unsigned char *)g->scratch + (size_t)p->threads * p->tile;
    float *gradients = (float *)rest;
    const size_t gradient = p->conf.backward_weights ? p->gradient : 0;
    double *sums = (double *)(rest + (size_t)parts * gradient);
    int next = 0;
#pragma omp parallel for schedule(static, 1)
    for (int t = 0; t < p->threads; t++)
        for (int k; (k = par_take(&next, 1)) < parts;)
            backward_part(p, k * p->part, smaller((k + 1) * p->part, all), g,
                          (float *)((unsigned char *)g->scratch + (size_t)t * p->tile),
                          gradients + (size_t)k * (gradient / sizeof(float)),
                          sums + (size_t)k * p->wide);
    if (g->dw) finish(p, parts, gradients, sums, g->dw, g->db);
}

static void describe(const void *state, char *text, size_t size)
{
    (void)state;
    snprintf(text, size, "own pointwise avx512");
}

const struct conv_kernel conv_pointwise = {.name = "pointwise",
                                           .takes = takes,
                                           .make = make,
                                           .free = mem_free,
                                           .pack = pack,
                                           .forward = forward,
                                           .backward = backward,
                                           .describe = describe};

#else

static bool takes_nothing(const struct conv_conf *c, enum dn_isa isa)
{
    (void)c, (void)isa;
    return false;
}

const struct conv_kernel conv_pointwise = {.name = "pointwise", .takes = takes_nothing};

#endif
