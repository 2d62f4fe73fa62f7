/* Forward, and backward to the data, which is a convolution by rotated and transposed weights: a
 * thread takes a few rows of an image, brings them and their neighbours into bfloat16, and walks
 * along the pixels 32 at a time. Pixels lie one after the other, rows parted by one column of
 * zeros, so the taps of a row of the kernel on a pixel are one run of numbers: the summands of a
 * product, without a copy for each tap.
 *
 * Backward to the weights: the summands are pixels, so x is brought channel by channel and dy in
 * pairs of pixels; a tap is an offset into the channels of x. Where the gradient is small, the rows
 * of the batch are dealt out in parts, each summed by itself in slabs that fit into the cache, and
 * parts are added in order; where it is large, all rows are one slab and blocks of the gradient
 * are dealt out. Either way nothing depends on the number of threads. */
#include "nn/conv_kernel.h"

#ifdef __AVX512BF16__

#include "base/mem.h"
#include "base/par.h"
#include "nn/bf16_map.h"

#include <assert.h>
#include <immintrin.h>
#include <stdio.h>
#include <string.h>

enum {
    SIDE = BF16_SIDE,
    BLOCK = SIDE * SIDE,    /* of results */
    TILE = 16 * SIDE,       /* numbers of a factor's tile */
    MOST_SIDE = 3,          /* of a kernel */
    LEAST_ROWS = 4,         /* of a slab */
    SLAB_BYTES = 640 << 10, /* a thread's bfloat16 numbers, in its L2 cache */
    PARTS_BYTES = 8 << 20,  /* partial gradients of the weights */
    MOST_PARTS = 64,
    NARROW_BYTES = 1 << 20, /* gradients up to this size are summed in parts */
    SUM_STEPS = 3,          /* of pixels */
};

struct pass {                           /* columns of y by products of the pixels of x */
    int n, h, w, side, gap, channels;   /* of x, and its map */
    int groups, columns, pairs;         /* runs of y; channels of a run; blocks of 32 of them */
    int rows, slabs, threads;           /* rows of y at a time, such slabs in an image */
    int steps;                          /* summands of a kernel row / 32 */
    size_t low, step, scratch, weights; /* numbers; numbers; bytes of a thread; numbers */
};

struct gradient {           /* of the weights */
    int rows, slabs, parts; /* rows of a slab; slabs of an image; parts of all slabs */
    int ups, lefts;         /* blocks of 32 channels of x and of dy */
    bool wide;
    size_t x_low, y_low, slab, block, sums; /* numbers, numbers; bytes a slab, bytes of all blocks
                                        of a part, bytes of a part's sums of dy */
};

struct bf16_conv {
    struct conv_conf conf;
    enum bf16_unit unit;
    bool split;
    int side, gap, taps; /* of the kernel on x; zeros between rows; numbers a channel and column */
    int wide;            /* channels of dy's map */
    struct pass forward, data;
    struct gradient weights;
};

static int divide_up(int a, int b)
{
    return (a + b - 1) / b;
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

static size_t lines(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static int planes(const struct bf16_conv *c)
{
    return c->split ? 2 : 1;
}

static int rows_of(size_t bytes, size_t row)
{
    return bytes / row < LEAST_ROWS ? LEAST_ROWS : (int)(bytes / row);
}

/* An image of h rows in equal slabs of at most about so many. */
static int rows_within(int h, int most)
{
    if (most < LEAST_ROWS) most = LEAST_ROWS;
    return divide_up(h, divide_up(h, most));
}

/* Of `rows` rows at a time; 0: as many as fit into the cache. */
static struct pass pass_make(const struct bf16_conv *c, int channels, int groups, int columns,
                             int rows)
{
    const struct conv_conf *f = &c->conf;
    struct pass p = {.n = f->n,
                     .h = f->h,
                     .w = f->w,
                     .side = c->side,
                     .gap = c->gap,
                     .channels = channels,
                     .groups = groups,
                     .columns = columns,
                     .pairs = divide_up(columns, SIDE),
                     .threads = par_threads()};
    const struct bf16_map m = bf16_map_plain(f->n, f->h, f->w, channels, NULL);
    const size_t row =
        (size_t)(f->w + c->gap) * (size_t)channels * sizeof(bf16) * (size_t)planes(c);
    const int share = divide_up(f->n * f->h, 2 * p.threads); /* something for everybody */
    p.rows = rows ? rows : rows_within(f->h, smaller(share, rows_of(SLAB_BYTES, row)));
    p.slabs = divide_up(f->h, p.rows);
    p.steps = divide_up(c->side * channels, SIDE);
    p.step = 2 * TILE * (size_t)planes(c);
    const size_t len = bf16_map_pixels_len(&m, c->gap, p.rows + 2 * c->gap);
    p.low = c->split ? len : 0;
    p.scratch = lines(len * (size_t)planes(c) * sizeof(bf16));
    p.weights = (size_t)(groups * p.pairs * c->side * p.steps) * p.step;
    return p;
}

static struct gradient gradient_make(const struct bf16_conv *c)
{
    const struct conv_conf *f = &c->conf;
    const struct bf16_map x = bf16_map_plain(f->n, f->h, f->w, f->in, NULL);
    const struct bf16_map y = bf16_map_plain(f->n, f->h, f->w, c->wide, NULL);
    struct gradient g = {.ups = divide_up(f->in, SIDE), .lefts = divide_up(c->wide, SIDE)};
    g.block = (size_t)(g.ups * g.lefts * c->taps) * BLOCK * sizeof(float);
    g.wide = g.block > NARROW_BYTES;
    const size_t row = (size_t)(f->w + c->gap) * (size_t)(f->in + SIDE * g.lefts) * sizeof(bf16) *
                       (size_t)planes(c);
    g.rows = g.wide ? bf16_map_rows(&x, c->gap) : rows_within(f->h, rows_of(SLAB_BYTES, row));
    g.slabs = g.wide ? 1 : divide_up(f->h, g.rows);
    g.parts = smaller(f->n * g.slabs, smaller(MOST_PARTS, (int)(PARTS_BYTES / g.block) + 1));
    const size_t xs = bf16_map_channel(&x, c->gap, g.rows + 2 * c->gap) * (size_t)f->in;
    const size_t ys = bf16_map_tile(&y, c->gap, g.rows) * (size_t)(2 * g.lefts);
    g.x_low = c->split ? xs : 0;
    g.y_low = c->split ? ys : 0;
    g.slab = lines((xs + ys) * (size_t)planes(c) * sizeof(bf16));
    g.sums = lines((size_t)(SIDE * g.lefts) * sizeof(double));
    return g;
}

static size_t bias_len(const struct bf16_conv *c) /* for every column, block by block */
{
    return (size_t)(c->forward.groups * c->forward.pairs * SIDE);
}

static size_t gradient_scratch(const struct bf16_conv *c)
{
    const struct gradient *g = &c->weights;
    if (g->wide) return g->slab + g->sums;
    return g->slab * (size_t)c->forward.threads + (g->block + g->sums) * (size_t)g->parts;
}

static void *make(const struct conv_conf *conf, enum dn_isa isa, bool split, struct conv_need *need,
                  struct err *e)
{
    struct bf16_conv *c = mem_new(1, sizeof *c, e);
    if (!c) return NULL;
    c->conf = *conf;
    c->unit = isa >= DN_ISA_AMX && bf16_unit_works(BF16_AMX) ? BF16_AMX : BF16_AVX512;
    c->split = split;
    c->side = conf->up ? 1 : conf->side;
    c->gap = c->side / 2;
    c->taps = c->side * c->side;
    c->wide = conf->up ? 4 * conf->out : conf->out;
    c->forward = pass_make(c, conf->in, conf->up ? 2 : 1, conf->up ? 2 * conf->out : conf->out, 0);
    c->weights = gradient_make(c);
    c->data = pass_make(c, c->wide, 1, conf->in, c->weights.wide ? 0 : c->weights.rows);
    if (!c->weights.wide && c->weights.slab < c->data.scratch) c->weights.slab = c->data.scratch;
    const size_t data = c->weights.wide ? c->data.scratch * (size_t)c->data.threads : 0;
    const size_t weights = gradient_scratch(c);
    need->packed =
        bias_len(c) * sizeof(float) +
        (c->forward.weights + (conf->backward_data ? c->data.weights : 0)) * sizeof(bf16);
    need->forward = c->forward.scratch * (size_t)c->forward.threads;
    need->backward = data > weights ? data : weights;
    return c;
}

/* --- weights --- */

/* Channel k of dy's map in the stored weights: (out, in, …), or (in, out, 2, 2) with k = ab out +
 * o. */
static size_t stored_wide(const struct bf16_conv *c, int k)
{
    const size_t out = (size_t)c->conf.out, wide = (size_t)k;
    return c->conf.up ? wide % out * 4 + wide / out : wide * (size_t)(c->conf.in * c->taps);
}

static size_t stored_in(const struct bf16_conv *c, int k)
{
    return (size_t)k * (size_t)(c->conf.up ? 4 * c->conf.out : c->taps);
}

/* Summand k of kernel row a, in the stored weights. */
static const float *summand(const struct bf16_conv *c, const struct pass *p, const float *weights,
                            int a, int k)
{
    if (k >= p->side * p->channels) return NULL;
    const int tap = a * p->side + k / p->channels, channel = k % p->channels;
    if (p == &c->data) return weights + stored_wide(c, channel) + (c->taps - 1 - tap);
    return weights + stored_in(c, channel) + tap;
}

/* Columns `pair` of group `group`, kernel row a. */
static void pack_row(const struct bf16_conv *c, const struct pass *p, const float *weights,
                     int group, int pair, int a, bf16 *to)
{
    int column[SIDE] = {0};
    const int from = pair * SIDE, columns = smaller(p->columns - from, SIDE);
    for (int k = 0; k < columns; k++) {
        const int at = group * p->columns + from + k;
        column[k] = (int)(p == &c->data ? stored_in(c, at) : stored_wide(c, at));
    }
    const size_t low = c->split ? 2 * TILE : 0;
    for (int s = 0; s < p->steps; s++, to += p->step)
        for (int k = 0; k < SIDE; k += 2) {
            const float *even = summand(c, p, weights, a, s * SIDE + k);
            const float *odd = summand(c, p, weights, a, s * SIDE + k + 1);
            for (int t = 0; t < 2; t++)
                bf16_map_weights(even, odd, column + 16 * t, columns - 16 * t,
                                 to + t * TILE + k * 16, low);
        }
}

static void pack_pass(const struct bf16_conv *c, const struct pass *p, const float *weights,
                      bf16 *to)
{
    const int blocks = p->groups * p->pairs;
#pragma omp parallel for collapse(2)
    for (int b = 0; b < blocks; b++)
        for (int a = 0; a < p->side; a++)
            pack_row(c, p, weights, b / p->pairs, b % p->pairs, a,
                     to + (size_t)(b * p->side + a) * (size_t)p->steps * p->step);
}

static void pack(const void *k, const float *weights, const float *bias, void *packed)
{
    const struct bf16_conv *c = k;
    const struct pass *p = &c->forward;
    float *to = packed;
    for (int b = 0; b < p->groups * p->pairs; b++)
        for (int i = 0; i < SIDE; i++) {
            const int column = b % p->pairs * SIDE + i;
            to[b * SIDE + i] = bias && column < p->columns ? bias[column % c->conf.out] : 0.0f;
        }
    bf16 *u = (bf16 *)(to + bias_len(c));
    pack_pass(c, p, weights, u);
    if (c->conf.backward_data) pack_pass(c, &c->data, weights, u + p->weights);
}

/* --- forward, and backward to the data --- */

struct writer { /* where results of a block of columns go */
    float *at;
    size_t row, pixel;
    const float *bias; /* 32, or NULL */
    int columns;
    float slope;
};

static __mmask16 first(int lanes)
{
    return (__mmask16)(lanes >= 16 ? 0xffff : lanes <= 0 ? 0 : (1 << lanes) - 1);
}

/* Results of `count` pixels from number `from` on, without those between the rows. */
static void write_pixels(const struct pass *p, const struct writer *w, int from, int count,
                         const float *c)
{
    const __mmask16 left = first(w->columns), right = first(w->columns - 16);
    const __m512 none = _mm512_setzero_ps(), slope = _mm512_set1_ps(w->slope);
    const __m512 b0 = w->bias ? _mm512_loadu_ps(w->bias) : none;
    const __m512 b1 = w->bias ? _mm512_loadu_ps(w->bias + 16) : none;
    const int width = p->w + p->gap;
    int row = from / width, column = from % width;
    for (int k = 0; k < count; k++, c += SIDE) {
        if (column < p->w) {
            float *to = w->at + (size_t)row * w->row + (size_t)column * w->pixel;
            __m512 y = _mm512_add_ps(_mm512_load_ps(c), b0);
            y = _mm512_max_ps(_mm512_mul_ps(y, slope), y); /* a NaN stays one */
            _mm512_mask_storeu_ps(to, left, y);
            if (right) {
                y = _mm512_add_ps(_mm512_load_ps(c + 16), b1);
                y = _mm512_max_ps(_mm512_mul_ps(y, slope), y);
                _mm512_mask_storeu_ps(to + 16, right, y);
            }
        }
        if (++column == width) {
            column = 0;
            row++;
        }
    }
}

struct job { /* a pass over a batch */
    const struct pass *p;
    struct bf16_map x, y; /* y is written */
    const bf16 *weights;
    const float *bias; /* as packed, or NULL */
    float slope;
    bool split;
};

static void run_columns(const struct job *j, struct bf16_worker *worker, const bf16 *x, int rows,
                        int group, int pair, float *to)
{
    const struct pass *p = j->p;
    const struct bf16_run *run = &j->y.run[group];
    const int block = group * p->pairs + pair, width = p->w + p->gap, pixels = rows * width;
    const struct writer w = {.at = to + pair * SIDE,
                             .row = run->row,
                             .pixel = run->pixel,
                             .bias = j->bias ? j->bias + block * SIDE : NULL,
                             .columns = smaller(p->columns - pair * SIDE, SIDE),
                             .slope = j->slope};
    const size_t pixel = (size_t)p->channels, segment = (size_t)p->steps * p->step;
    struct bf16_product q = {.a = {.segment = (size_t)width * pixel,
                                   .step = SIDE,
                                   .tile = 16 * pixel,
                                   .low = p->low,
                                   .row = pixel},
                             .b = {.at = j->weights + (size_t)(block * p->side) * segment,
                                   .segment = segment,
                                   .step = p->step,
                                   .tile = TILE,
                                   .low = 2 * TILE},
                             .segments = p->side,
                             .steps = p->steps,
                             .columns = w.columns,
                             .split = j->split};
    _Alignas(64) float c[BLOCK];
    for (int from = 0; from < pixels; from += SIDE) {
        q.a.at = x + (size_t)from * pixel;
        q.rows = smaller(pixels - from, SIDE);
        bf16_multiply(worker, &q, c);
        write_pixels(p, &w, from, q.rows, c);
    }
}

/* Slab `slab` of all images, brought into bfloat16 at x. */
static void run_slab(const struct job *j, struct bf16_worker *worker, int slab, bf16 *x)
{
    const struct pass *p = j->p;
    const int image = slab / p->slabs, from = slab % p->slabs * p->rows;
    const int rows = smaller(p->h - from, p->rows);
    bf16_map_pixels(&j->x, p->gap, image * (p->h + p->gap) + from, rows + 2 * p->gap, x, p->low);
    for (int g = 0; g < p->groups; g++) {
        const struct bf16_run *run = &j->y.run[g];
        float *to = (float *)(uintptr_t)run->at + (size_t)image * run->image +
                    (size_t)from * run->row; /* the map of a result */
        for (int pair = 0; pair < p->pairs; pair++)
            run_columns(j, worker, x, rows, g, pair, to);
    }
}

/* A thread's memory goes with the number of a run of the outer loop; slabs go to who is free. */
static void run_pass(const struct job *j, enum bf16_unit unit, unsigned char *scratch)
{
    const int all = j->p->n * j->p->slabs;
    int next = 0;
#pragma omp parallel for schedule(static, 1)
    for (int t = 0; t < j->p->threads; t++) {
        struct bf16_worker worker;
        bf16_begin(&worker, unit);
        for (;;) {
            int slab;
#pragma omp atomic capture
            slab = next++;
            if (slab >= all) break;
            run_slab(j, &worker, slab, (bf16 *)(scratch + (size_t)t * j->p->scratch));
        }
        bf16_end(&worker);
    }
}

static struct bf16_map map_in(const struct bf16_conv *c, const float *x)
{
    return bf16_map_plain(c->conf.n, c->conf.h, c->conf.w, c->conf.in, x);
}

static struct bf16_map map_out(const struct bf16_conv *c, const float *y)
{
    const struct conv_conf *f = &c->conf;
    return f->up ? bf16_map_up(f->n, f->h, f->w, f->out, y)
                 : bf16_map_plain(f->n, f->h, f->w, f->out, y);
}

static void forward(const void *k, const float *x, const void *packed, float *y, void *scratch)
{
    const struct bf16_conv *c = k;
    const float *bias = packed;
    const struct job j = {.p = &c->forward,
                          .x = map_in(c, x),
                          .y = map_out(c, y),
                          .weights = (const bf16 *)(bias + bias_len(c)),
                          .bias = bias,
                          .slope = c->conf.slope,
                          .split = c->split};
    run_pass(&j, c->unit, scratch);
}

/* --- backward to the weights --- */

struct factors { /* x by channels and dy by pairs, of one slab */
    const bf16 *x, *y;
    size_t channel, tile;
};

/* Block (up, left) of the gradient of the taps of kernel row a, which lie one after the other in
 * `to`, summed over `rows` rows. A few steps of all taps at a time: they read the same numbers,
 * which then are in the L1 cache. */
static void multiply_blocks(const struct bf16_conv *c, struct bf16_worker *worker,
                            const struct factors *f, int rows, int up, int left, int a, bool add,
                            float *to)
{
    const struct gradient *g = &c->weights;
    const int width = c->conf.w + c->gap, steps = divide_up(rows * width, SIDE);
    const bf16 *x = f->x + (size_t)(up * SIDE) * f->channel + a * width;
    const bf16 *y = f->y + (size_t)(2 * left) * f->tile;
    struct bf16_product q = {
        .a = {.step = SIDE, .tile = 16 * f->channel, .low = g->x_low, .row = f->channel},
        .b = {.step = TILE, .tile = f->tile, .low = g->y_low},
        .segments = 1,
        .rows = smaller(c->conf.in - up * SIDE, SIDE),
        .columns = smaller(c->wide - left * SIDE, SIDE),
        .split = c->split,
        .add = add};
    for (int s = 0; s < steps; s += SUM_STEPS) {
        q.b.at = y + (size_t)s * TILE;
        q.steps = smaller(steps - s, SUM_STEPS);
        for (int b = 0; b < c->side; b++) {
            q.a.at = x + b + s * SIDE;
            bf16_multiply(worker, &q, to + b * BLOCK);
        }
        q.add = true;
    }
}

/* Where number (r, k) of block (up, left) of a tap is stored. */
static void store_block(const struct bf16_conv *c, int up, int left, int tap, const float *from,
                        float *dw)
{
    const int rows = smaller(c->conf.in - up * SIDE, SIDE);
    const int columns = smaller(c->wide - left * SIDE, SIDE);
    for (int k = 0; k < columns; k++) {
        float *to = dw + stored_wide(c, left * SIDE + k) + tap;
        for (int r = 0; r < rows; r++)
            to[stored_in(c, up * SIDE + r)] = from[r * SIDE + k];
    }
}

struct share { /* what the threads work on */
    const struct bf16_conv *c;
    const struct job *data; /* the gradient of x on the way, or NULL */
    struct bf16_map x, dy;
    float *dw;
    unsigned char *slabs; /* one, or one a thread */
    float *blocks;        /* [parts] */
    double *sums;         /* [parts] */
};

static size_t block_at(const struct bf16_conv *c, int up, int left, int tap)
{
    return (size_t)((up * c->weights.lefts + left) * c->taps + tap) * BLOCK;
}

static struct factors factors_of(const struct share *s, unsigned char *slab, int rows)
{
    const struct bf16_conv *c = s->c;
    const size_t xs = bf16_map_channel(&s->x, c->gap, c->weights.rows + 2 * c->gap) *
                      (size_t)(c->conf.in * planes(c));
    return (struct factors){.x = (const bf16 *)slab,
                            .y = (const bf16 *)slab + xs,
                            .channel = bf16_map_channel(&s->x, c->gap, rows + 2 * c->gap),
                            .tile = bf16_map_tile(&s->dy, c->gap, rows)};
}

/* Row `from` of dy goes with rows from - 1, from and from + 1 of x. */
static void bring(const struct share *s, const struct factors *f, int from, int rows, int block,
                  double *sums)
{
    const struct bf16_conv *c = s->c;
    const int xs = bf16_map_blocks(c->conf.in);
    if (block < xs)
        bf16_map_channels(&s->x, c->gap, from - c->gap, rows + 2 * c->gap, block,
                          (bf16 *)(uintptr_t)f->x, c->weights.x_low);
    else
        bf16_map_pairs(&s->dy, c->gap, from, rows, block - xs, (bf16 *)(uintptr_t)f->y,
                       c->weights.y_low, sums + 16 * (block - xs));
}

/* Slab after slab; the gradient of x comes from the same rows of dy while they are in the cache. */
static void sum_part(const struct share *s, struct bf16_worker *worker, int part,
                     unsigned char *slab)
{
    const struct bf16_conv *c = s->c;
    const struct gradient *g = &c->weights;
    const int blocks = bf16_map_blocks(c->conf.in) + bf16_map_blocks(c->wide);
    float *to = s->blocks + (size_t)part * (g->block / sizeof(float));
    double *sums = s->sums + (size_t)part * (g->sums / sizeof(double));
    memset(sums, 0, g->sums);
    const int all = c->conf.n * g->slabs;
    const int begin = (int)((int64_t)all * part / g->parts);
    const int end = (int)((int64_t)all * (part + 1) / g->parts);
    for (int k = begin; k < end; k++) {
        const int i = k % g->slabs * g->rows, rows = smaller(c->conf.h - i, g->rows);
        const int from = k / g->slabs * (c->conf.h + c->gap) + c->gap + i;
        const struct factors f = factors_of(s, slab, rows);
        if (s->data) run_slab(s->data, worker, k, (bf16 *)slab);
        for (int b = 0; b < blocks; b++)
            bring(s, &f, from, rows, b, sums);
        for (int up = 0; up < g->ups; up++)
            for (int left = 0; left < g->lefts; left++)
                for (int a = 0; a < c->side; a++)
                    multiply_blocks(c, worker, &f, rows, up, left, a, k > begin,
                                    to + block_at(c, up, left, a * c->side));
    }
}

static void add_parts(const struct share *s, int up, int left, int tap)
{
    const struct bf16_conv *c = s->c;
    _Alignas(64) float sum[BLOCK];
    const float *from = s->blocks + block_at(c, up, left, tap);
    memcpy(sum, from, sizeof sum);
    for (int part = 1; part < c->weights.parts; part++) {
        from += c->weights.block / sizeof(float);
#pragma omp simd
        for (int k = 0; k < BLOCK; k++)
            sum[k] += from[k];
    }
    store_block(c, up, left, tap, sum, s->dw);
}

static void sum_narrow(const struct share *s)
{
    const struct bf16_conv *c = s->c;
    const struct gradient *g = &c->weights;
    int next = 0;
#pragma omp parallel
    {
#pragma omp for schedule(static, 1)
        for (int t = 0; t < c->forward.threads; t++) {
            struct bf16_worker worker;
            bf16_begin(&worker, c->unit);
            for (;;) {
                int part;
#pragma omp atomic capture
                part = next++;
                if (part >= g->parts) break;
                sum_part(s, &worker, part, s->slabs + (size_t)t * g->slab);
            }
            bf16_end(&worker);
        }
#pragma omp for collapse(2)
        for (int k = 0; k < g->ups * g->lefts; k++)
            for (int tap = 0; tap < c->taps; tap++)
                add_parts(s, k / g->lefts, k % g->lefts, tap);
    }
}

static void sum_wide(const struct share *s)
{
    const struct bf16_conv *c = s->c;
    const struct gradient *g = &c->weights;
    const int blocks = bf16_map_blocks(c->conf.in) + bf16_map_blocks(c->wide);
    const struct factors f = factors_of(s, s->slabs, g->rows);
    memset(s->sums, 0, g->sums);
#pragma omp parallel
    {
        struct bf16_worker worker;
        bf16_begin(&worker, c->unit);
#pragma omp for schedule(dynamic, 1)
        for (int b = 0; b < blocks; b++)
            bring(s, &f, 0, g->rows, b, s->sums);
#pragma omp for collapse(2)
        for (int k = 0; k < g->ups * g->lefts; k++)
            for (int a = 0; a < c->side; a++) {
                _Alignas(64) float to[MOST_SIDE * BLOCK];
                multiply_blocks(c, &worker, &f, g->rows, k / g->lefts, k % g->lefts, a, false, to);
                for (int b = 0; b < c->side; b++)
                    store_block(c, k / g->lefts, k % g->lefts, a * c->side + b, to + b * BLOCK,
                                s->dw);
            }
        bf16_end(&worker);
    }
}

static void sum_bias(const struct share *s, float *db)
{
    const struct bf16_conv *c = s->c;
    const int parts = c->weights.wide ? 1 : c->weights.parts;
    for (int o = 0; o < c->conf.out; o++) {
        double sum = 0.0;
        for (int p = 0; p < parts; p++)
            for (int k = o; k < c->wide; k += c->conf.out)
                sum += s->sums[(size_t)p * (c->weights.sums / sizeof(double)) + (size_t)k];
        db[o] = (float)sum;
    }
}

static void backward(const void *k, const struct conv_gradient *v)
{
    const struct bf16_conv *c = k;
    const struct gradient *g = &c->weights;
    const float *bias = v->packed;
    struct bf16_map map = map_out(c, v->dy);
    bf16_map_relu(&map, c->conf.slope, v->y);
    const struct job data = {.p = &c->data,
                             .x = map,
                             .y = map_in(c, v->dx),
                             .weights = (const bf16 *)(bias + bias_len(c)) + c->forward.weights,
                             .slope = 1.0f,
                             .split = c->split};
    if (v->dx && g->wide) run_pass(&data, c->unit, v->scratch);
    struct share s = {.c = c,
                      .data = v->dx && !g->wide ? &data : NULL,
                      .x = map_in(c, v->x),
                      .dy = map,
                      .dw = v->dw,
                      .slabs = v->scratch};
    unsigned char *rest = s.slabs + g->slab * (size_t)(g->wide ? 1 : c->forward.threads);
    s.blocks = (float *)rest;
    s.sums = (double *)(rest + (g->wide ? 0 : g->block * (size_t)g->parts));
    if (g->wide)
        sum_wide(&s);
    else
        sum_narrow(&s);
    if (v->db) sum_bias(&s, v->db);
}

/* --- the two kernels --- */

static bool takes_plain(const struct conv_conf *c, enum dn_isa isa)
{
    return c->precision == NN_BF16 && isa >= DN_ISA_AVX512_BF16;
}

static bool takes_split(const struct conv_conf *c, enum dn_isa isa)
{
    return c->precision == NN_FP32 && isa >= DN_ISA_AMX && bf16_unit_works(BF16_AMX);
}

static void *make_plain(const struct conv_conf *c, enum dn_isa isa, struct dn *d,
                        struct conv_need *need, struct err *e)
{
    (void)d;
    return make(c, isa, false, need, e);
}

static void *make_split(const struct conv_conf *c, enum dn_isa isa, struct dn *d,
                        struct conv_need *need, struct err *e)
{
    (void)d;
    return make(c, isa, true, need, e);
}

static void describe(const void *k, char *text, size_t size)
{
    const struct bf16_conv *c = k;
    snprintf(text, size, "own bf16%s %s", c->split ? " split" : "",
             c->unit == BF16_AMX ? "amx" : "avx512");
}

#else

static bool takes_plain(const struct conv_conf *c, enum dn_isa isa)
{
    (void)c, (void)isa;
    return false;
}

#define takes_split takes_plain
#define make_plain  NULL
#define make_split  NULL
#define pack        NULL
#define forward     NULL
#define backward    NULL
#define describe    NULL
#define mem_free    NULL

#endif

const struct conv_kernel conv_bf16 = {.name = "bf16",
                                      .takes = takes_plain,
                                      .make = make_plain,
                                      .free = mem_free,
                                      .pack = pack,
                                      .forward = forward,
                                      .backward = backward,
                                      .describe = describe};
const struct conv_kernel conv_bf16_split = {.name = "bf16 split",
                                            .takes = takes_split,
                                            .make = make_split,
                                            .free = mem_free,
                                            .pack = pack,
                                            .forward = forward,
                                            .backward = backward,
                                            .describe = describe};
