/* Backward to the weights: the summands are pixels, so x is brought channel by channel, once for
 * each column of the kernel, and dy in pairs of pixels. 32 channels of x at a time make up to three
 * blocks of 32 rows of the product; a row of the kernel is an offset into them.
 *
 * Where the gradient is small, the rows of the batch are dealt out in parts, each summed by itself
 * in slabs that fit into the cache, and parts are added in order; where it is large and maps are
 * small (`wide`), all rows are one slab and blocks of the gradient are dealt out. Either way
 * nothing depends on the number of threads. */
#include "nn/bf16_conv.h"

#ifdef __AVX512BF16__

#include "base/mem.h"
#include "base/par.h"

#include <string.h>

enum {
    SIDE = BF16_SIDE,
    BLOCK = SIDE * SIDE,   /* of results */
    TILE = 16 * SIDE,      /* numbers of a factor's tile */
    MOST_SIDE = 3,         /* of a kernel */
    PARTS_BYTES = 8 << 20, /* partial gradients */
    LEAST_PARTS = 8,
    MOST_PARTS = 64,
    NARROW_BYTES = 1 << 20, /* gradients up to this size are summed in parts */
    WIDE_PIXELS = 1 << 16,
    SUM_STEPS = 8, /* of pixels at a time: what they read stays in the L1 cache */
    CHUNK_ROWS = 16,
    LEAST_ROWS = 10, /* of a slab: its neighbours are brought too */
};

static int group_channels(const struct bf16_conv *c, int group)
{
    return bf16_smaller(c->conf.in - group * SIDE, SIDE);
}

struct bf16_gradient bf16_gradient_make(const struct bf16_conv *c)
{
    const struct conv_conf *f = &c->conf;
    const struct bf16_map x = bf16_map_plain(f->n, f->h, f->w, f->in, NULL);
    const struct bf16_map y = bf16_map_plain(f->n, f->h, f->w, c->wide, NULL);
    struct bf16_gradient g = {.groups = bf16_divide_up(f->in, SIDE),
                              .lefts = bf16_divide_up(c->wide, SIDE)};
    g.block = (size_t)(g.groups * g.lefts * c->taps) * BLOCK * sizeof(float);
    g.wide = g.block > NARROW_BYTES && (double)f->n * f->h * f->w <= WIDE_PIXELS;
    const int factor = c->side * group_channels(c, 0), all = g.wide ? c->side * f->in : factor;
    const size_t row = (size_t)f->w * (size_t)(factor + SIDE * g.lefts + c->wide) * sizeof(bf16) *
                       (size_t)bf16_planes(c);
    g.rows =
        g.wide ? bf16_map_rows(&x, c->gap)
               : bf16_rows_within(f->h, bf16_rows_of(BF16_SLAB_BYTES, row, LEAST_ROWS), LEAST_ROWS);
    g.slabs = g.wide ? 1 : bf16_divide_up(f->h, g.rows);
    g.chunks = bf16_divide_up(g.rows, CHUNK_ROWS);
    const int fit = (int)(PARTS_BYTES / g.block) + LEAST_PARTS;
    const int most = bf16_smaller(MOST_PARTS, fit);
    g.parts = g.wide ? g.chunks : bf16_smaller(f->n * g.slabs, most);
    g.pixels = bf16_map_pixels_len(&y, c->gap, g.rows + 2 * c->gap);
    g.x = bf16_map_channel(&x, g.rows + 2 * c->gap) * (size_t)all;
    g.pairs = (size_t)(2 * g.lefts) * bf16_map_tile(&y, g.rows);
    g.slab = mem_lines((g.pixels + g.x + g.pairs) * (size_t)bf16_planes(c) * sizeof(bf16));
    g.sums = mem_lines((size_t)(SIDE * g.lefts) * sizeof(double));
    return g;
}

size_t bf16_gradient_scratch(const struct bf16_conv *c)
{
    const struct bf16_gradient *g = &c->weights;
    if (!c->conf.backward) return 0;
    if (g->wide) return g->slab + g->sums * (size_t)g->parts;
    return g->slab * (size_t)c->forward.threads + (g->block + g->sums) * (size_t)g->parts;
}

struct share { /* what the threads work on */
    const struct bf16_conv *c;
    const struct bf16_job *data;
    struct bf16_map x, dy;
    float *dw;
    unsigned char *slabs; /* one, or one a thread */
    float *blocks;        /* [parts] */
    double *sums;         /* [parts] */
};

struct factors { /* of one slab */
    bf16 *pixels, *x, *pairs;
    size_t channel, tile; /* distances in x and pairs */
    size_t pixels_low, x_low, pairs_low;
    int from, rows; /* of dy */
};

static struct factors factors_of(const struct share *s, unsigned char *slab, int from, int rows)
{
    const struct bf16_conv *c = s->c;
    const struct bf16_gradient *g = &c->weights;
    const size_t planes = (size_t)bf16_planes(c);
    bf16 *at = (bf16 *)slab;
    return (struct factors){.pixels = at,
                            .x = at + g->pixels * planes,
                            .pairs = at + (g->pixels + g->x) * planes,
                            .channel = bf16_map_channel(&s->x, rows + 2 * c->gap),
                            .tile = bf16_map_tile(&s->dy, rows),
                            .pixels_low = c->split ? g->pixels : 0,
                            .x_low = c->split ? g->x : 0,
                            .pairs_low = c->split ? g->pairs : 0,
                            .from = from,
                            .rows = rows};
}

/* Row `from` of dy goes with rows from - 1, from and from + 1 of x. */
static void bring_x(const struct share *s, const struct factors *f, int group, bf16 *to)
{
    const struct bf16_conv *c = s->c;
    bf16_map_channels(&s->x, c->side, f->from - c->gap, f->rows + 2 * c->gap, group * SIDE,
                      group_channels(c, group), to, f->x_low);
}

static void bring_pairs(const struct share *s, const struct factors *f, int block)
{
    const struct bf16_conv *c = s->c;
    const int before = c->gap * (c->conf.w + c->gap); /* the row above */
    bf16_map_pairs(&s->dy, c->gap, f->pixels + (size_t)before * (size_t)c->wide, f->pixels_low,
                   f->rows, block, f->pairs, f->pairs_low);
}

/* Blocks of the gradient: for every group `side` blocks of rows, each for all blocks of columns;
 * and each for all rows of the kernel, which are summed together. */
static size_t blocks_at(const struct bf16_conv *c, int group, int up, int left)
{
    return (size_t)(((group * c->side + up) * c->weights.lefts + left) * c->side) * BLOCK;
}

/* x: of the group. */
static void multiply_blocks(const struct bf16_conv *c, struct bf16_worker *worker,
                            const struct factors *f, const bf16 *x, int group, int up, int left,
                            bool add, float *to)
{
    const int steps = bf16_divide_up(f->rows * c->conf.w, SIDE);
    x += (size_t)(up * SIDE) * f->channel + SIDE;
    const bf16 *y = f->pairs + (size_t)(2 * left) * f->tile;
    struct bf16_product q = {
        .a = {.step = SIDE, .tile = 16 * f->channel, .low = f->x_low, .row = f->channel},
        .b = {.step = TILE, .tile = f->tile, .low = f->pairs_low},
        .segments = 1,
        .rows = bf16_smaller(c->side * group_channels(c, group) - up * SIDE, SIDE),
        .columns = bf16_smaller(c->wide - left * SIDE, SIDE),
        .split = c->split,
        .add = add};
    for (int s = 0; s < steps; s += SUM_STEPS) {
        q.b.at = y + (size_t)s * TILE;
        q.steps = bf16_smaller(steps - s, SUM_STEPS);
        for (int a = 0; a < c->side; a++) {
            q.a.at = x + a * c->conf.w + s * SIDE;
            bf16_multiply(worker, &q, to + a * BLOCK);
        }
        q.add = true;
    }
}

static int blocks_of(const struct bf16_conv *c, int group)
{
    return bf16_divide_up(c->side * group_channels(c, group), SIDE);
}

/* Row r of block `up` is channel r mod `channels` of the group, column r / channels of the kernel.
 */
static void store_blocks(const struct bf16_conv *c, int group, int up, int left, const float *from,
                         float *dw)
{
    const int channels = group_channels(c, group);
    const int rows = bf16_smaller(c->side * channels - up * SIDE, SIDE);
    const int columns = bf16_smaller(c->wide - left * SIDE, SIDE);
    for (int r = 0; r < rows; r++) {
        const int at = up * SIDE + r;
        float *to = dw + bf16_stored_in(c, group * SIDE + at % channels) + at / channels;
        for (int k = 0; k < columns; k++)
            for (int a = 0; a < c->side; a++)
                to[bf16_stored_wide(c, left * SIDE + k) + (size_t)(a * c->side)] =
                    from[a * BLOCK + r * SIDE + k];
    }
}

/* Slab after slab; the gradient of x comes from the same rows of dy while they are in the cache. */
static void sum_part(const struct share *s, struct bf16_worker *worker, int part,
                     unsigned char *slab)
{
    const struct bf16_conv *c = s->c;
    const struct bf16_gradient *g = &c->weights;
    float *to = s->blocks + (size_t)part * (g->block / sizeof(float));
    double *sums = s->sums + (size_t)part * (g->sums / sizeof(double));
    memset(sums, 0, g->sums);
    const int all = c->conf.n * g->slabs;
    const int begin = (int)((int64_t)all * part / g->parts);
    const int end = (int)((int64_t)all * (part + 1) / g->parts);
    for (int k = begin; k < end; k++) {
        const int i = k % g->slabs * g->rows, rows = bf16_smaller(c->conf.h - i, g->rows);
        const int from = k / g->slabs * (c->conf.h + c->gap) + c->gap + i;
        const struct factors f = factors_of(s, slab, from, rows);
        bf16_map_pixels(&s->dy, c->gap, from - c->gap, rows + 2 * c->gap, true, true, f.pixels,
                        f.pixels_low, c->gap, sums);
        if (s->data) bf16_run_slab(s->data, worker, k, f.pixels);
        for (int b = 0; b < bf16_map_blocks(c->wide); b++)
            bring_pairs(s, &f, b);
        for (int group = 0; group < g->groups; group++) {
            bring_x(s, &f, group, f.x);
            for (int up = 0; up < blocks_of(c, group); up++)
                for (int left = 0; left < g->lefts; left++)
                    multiply_blocks(c, worker, &f, f.x, group, up, left, k > begin,
                                    to + blocks_at(c, group, up, left));
        }
    }
}

static void add_parts(const struct share *s, int group, int up, int left)
{
    const struct bf16_conv *c = s->c;
    if (up >= blocks_of(c, group)) return;
    _Alignas(64) float sum[MOST_SIDE * BLOCK];
    const int len = c->side * BLOCK;
    const float *from = s->blocks + blocks_at(c, group, up, left);
    memcpy(sum, from, (size_t)len * sizeof *sum);
    for (int part = 1; part < c->weights.parts; part++) {
        from += c->weights.block / sizeof(float);
#pragma omp simd
        for (int k = 0; k < len; k++)
            sum[k] += from[k];
    }
    store_blocks(c, group, up, left, sum, s->dw);
}

static void sum_narrow(const struct share *s)
{
    const struct bf16_conv *c = s->c;
    const struct bf16_gradient *g = &c->weights;
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
        for (int k = 0; k < g->groups * c->side; k++)
            for (int left = 0; left < g->lefts; left++)
                add_parts(s, k / c->side, k % c->side, left);
    }
}

static void sum_block(const struct share *s, struct bf16_worker *worker, const struct factors *f,
                      int group, int up, int left)
{
    const struct bf16_conv *c = s->c;
    if (up >= blocks_of(c, group)) return;
    _Alignas(64) float to[MOST_SIDE * BLOCK];
    multiply_blocks(c, worker, f, f->x + (size_t)(group * SIDE * c->side) * f->channel, group, up,
                    left, false, to);
    store_blocks(c, group, up, left, to, s->dw);
}

/* Rows of dy in chunks, each with sums of its own. */
static void bring_chunk(const struct share *s, const struct factors *f, int chunk)
{
    const struct bf16_conv *c = s->c;
    const int row = chunk * CHUNK_ROWS, all = f->rows + 2 * c->gap;
    const bool end = chunk + 1 == c->weights.chunks;
    const int rows = end ? all - row : CHUNK_ROWS;
    bf16_map_pixels(&s->dy, c->gap, row - c->gap, rows, chunk == 0, end,
                    f->pixels + (size_t)(row * (c->conf.w + c->gap)) * (size_t)c->wide,
                    f->pixels_low, 0, s->sums + (size_t)chunk * (c->weights.sums / sizeof(double)));
}

static void sum_wide(const struct share *s)
{
    const struct bf16_conv *c = s->c;
    const struct bf16_gradient *g = &c->weights;
    const struct factors f = factors_of(s, s->slabs, 0, g->rows);
    memset(s->sums, 0, g->sums * (size_t)g->parts);
#pragma omp parallel
    {
        struct bf16_worker worker;
        bf16_begin(&worker, c->unit);
#pragma omp for schedule(dynamic, 1) nowait
        for (int k = 0; k < g->groups; k++)
            bring_x(s, &f, k, f.x + (size_t)(k * SIDE * c->side) * f.channel);
#pragma omp for schedule(dynamic, 1)
        for (int k = 0; k < g->chunks; k++)
            bring_chunk(s, &f, k);
#pragma omp for schedule(dynamic, 1)
        for (int b = 0; b < bf16_map_blocks(c->wide); b++)
            bring_pairs(s, &f, b);
#pragma omp for collapse(2)
        for (int k = 0; k < g->groups * c->side; k++)
            for (int left = 0; left < g->lefts; left++)
                sum_block(s, &worker, &f, k / c->side, k % c->side, left);
        bf16_end(&worker);
    }
}

static void sum_bias(const struct share *s, float *db)
{
    const struct bf16_conv *c = s->c;
    for (int o = 0; o < c->conf.out; o++) {
        double sum = 0.0;
        for (int p = 0; p < c->weights.parts; p++)
            for (int k = o; k < c->wide; k += c->conf.out)
                sum += s->sums[(size_t)p * (c->weights.sums / sizeof(double)) + (size_t)k];
        db[o] = (float)sum;
    }
}

void bf16_gradient_run(const struct bf16_conv *c, struct bf16_map x, struct bf16_map dy,
                       const struct bf16_job *data, float *dw, float *db, unsigned char *scratch)
{
    const struct bf16_gradient *g = &c->weights;
    struct share s = {.c = c, .data = data, .x = x, .dy = dy, .dw = dw, .slabs = scratch};
    unsigned char *rest = scratch + g->slab * (size_t)(g->wide ? 1 : c->forward.threads);
    s.blocks = (float *)rest;
    s.sums = (double *)(rest + (g->wide ? 0 : g->block * (size_t)g->parts));
    if (g->wide)
        sum_wide(&s);
    else
        sum_narrow(&s);
    if (db) sum_bias(&s, db);
}

#endif
