/* Backward to the weights: the summands are pixels. dy is turned, so that a channel is a row of a
 * product, and x lies in pairs of pixels, so that 16 channels are its columns. Rows of both are
 * `pitch` pixels long, the last of dy's being zeros, so a tap of the kernel is an offset into x: of
 * whole pairs, or, where it is odd, into a copy of x shifted by a pixel. Of few channels, the three
 * columns of the kernel are taken as three times as many channels, which fill tiles better.
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
    LANES = 16,
    BLOCK = SIDE * SIDE, /* of results */
    TILE = LANES * SIDE, /* numbers of a factor's tile */
    MOST_SHIFTS = 9,
    PARTS_BYTES = 8 << 20, /* partial gradients */
    LEAST_PARTS = 8,
    MOST_PARTS = 64,
    NARROW_BYTES = 4 << 20, /* gradients up to this size are summed in parts */
    WIDE_PIXELS = 1 << 16,
    SUM_STEPS = 8, /* of pixels at a time: what they read stays in the L1 cache */
    CHUNK_ROWS = 16,
    SLAB_BYTES = 1200 << 10, /* most of a thread's L2 cache */
    LEAST_ROWS = 6,          /* of a slab: its neighbours are brought too */
    MOST_ROWS = 10,          /* so that there are slabs for every thread */
};

/* Of x, in a portion. */
static int channels_of(const struct bf16_conv *c, int portion)
{
    return c->weights.across > 1 ? c->conf.in : bf16_smaller(c->conf.in - portion * SIDE, SIDE);
}

/* Summed beside each other: channels, for every column of the kernel taken with them. */
static int columns_of(const struct bf16_conv *c, int portion)
{
    return c->weights.across * channels_of(c, portion);
}

static int tiles_of(int columns)
{
    return divide_up(columns, LANES);
}

/* Numbers of a tile of x, and of a channel of dy, of `rows` rows of dy. */
static size_t tile_len(const struct bf16_conv *c, int pitch, int rows)
{
    const int read_beyond = 2 * SIDE; /* pixels */
    return (size_t)((rows + 2 * c->gap) * pitch + read_beyond) * LANES;
}

static size_t turned_len(int pitch, int rows)
{
    /* an odd number of cache lines: channels fall into different sets */
    return (size_t)(divide_up(rows * pitch, SIDE) | 1) * SIDE;
}

static void choose_rows(const struct bf16_conv *c, struct bf16_gradient *g)
{
    const struct conv_conf *f = &c->conf;
    const struct bf16_map x = bf16_map_plain(f->n, f->h, f->w, f->in, NULL);
    const size_t numbers = (size_t)(c->wide + SIDE * g->lefts + g->copies * g->tiles * LANES);
    const size_t row = numbers * (size_t)f->w * sizeof(bf16) * (size_t)bf16_planes(c);
    g->wide = g->block > NARROW_BYTES && (double)f->n * f->h * f->w <= WIDE_PIXELS;
    const int fit_rows = bf16_smaller(bf16_rows_of(SLAB_BYTES, row, LEAST_ROWS), MOST_ROWS);
    g->rows = g->wide ? bf16_map_rows(&x, c->gap) : bf16_rows_within(f->h, fit_rows, LEAST_ROWS);
    g->slabs = g->wide ? 1 : divide_up(f->h, g->rows);
    g->chunks = divide_up(g->rows, CHUNK_ROWS);
    const int fit = (int)(PARTS_BYTES / g->block) + LEAST_PARTS;
    g->parts = g->wide ? g->chunks : bf16_smaller(f->n * g->slabs, bf16_smaller(MOST_PARTS, fit));
}

struct bf16_gradient bf16_gradient_make(const struct bf16_conv *c)
{
    const struct conv_conf *f = &c->conf;
    const bool few = c->side > 1 && c->side * f->in <= 2 * SIDE;
    struct bf16_gradient g = {.across = few ? c->side : 1,
                              .copies = few || c->side == 1 ? 1 : 2,
                              .portions = few ? 1 : divide_up(f->in, SIDE),
                              .pitch = (f->w + c->gap + 1) / 2 * 2,
                              .lefts = divide_up(c->wide, SIDE)};
    const int most = g.across * (few ? f->in : bf16_smaller(f->in, SIDE)); /* columns */
    g.tiles = tiles_of(most);
    g.blocks = divide_up(most, SIDE);
    g.shifts = c->taps / g.across;
    g.block = (size_t)(g.portions * g.blocks * g.lefts * g.shifts) * BLOCK * sizeof(float);
    choose_rows(c, &g);
    const struct bf16_map x = bf16_map_plain(f->n, f->h, f->w, most / g.across, NULL);
    const struct bf16_map y = bf16_map_plain(f->n, f->h, f->w, c->wide, NULL);
    g.pixels = bf16_map_pixels_len(&y, c->gap, g.rows + 2 * c->gap);
    g.turned = turned_len(g.pitch, g.rows) * (size_t)c->wide;
    g.line = bf16_map_pixels_len(&x, c->gap, 1);
    g.x = tile_len(c, g.pitch, g.rows) * (size_t)(g.copies * g.tiles);
    const size_t portions = g.wide ? (size_t)g.portions : 1;
    g.slab = mem_lines((g.pixels + g.turned + portions * (g.line + g.x)) * (size_t)bf16_planes(c) *
                       sizeof(bf16));
    g.sums = mem_lines((size_t)(SIDE * g.lefts) * sizeof(double));
    return g;
}

size_t bf16_gradient_scratch(const struct bf16_conv *c)
{
    const struct bf16_gradient *g = &c->weights;
    if (!c->conf.backward_weights) return 0;
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
    bool biased;          /* sums are asked for */
};

struct factors { /* of one slab; low halves lie behind the high ones of each */
    bf16 *pixels, *turned, *x;
    size_t channel, tile; /* distances in turned and x */
    size_t pixels_low, turned_low, line_low, x_low;
    int from, rows; /* of dy */
};

static struct factors factors_of(const struct share *s, unsigned char *slab, int from, int rows)
{
    const struct bf16_conv *c = s->c;
    const struct bf16_gradient *g = &c->weights;
    const size_t planes = (size_t)bf16_planes(c);
    bf16 *at = (bf16 *)slab;
    return (struct factors){.pixels = at,
                            .turned = at + g->pixels * planes,
                            .x = at + (g->pixels + g->turned) * planes,
                            .channel = turned_len(g->pitch, rows),
                            .tile = tile_len(c, g->pitch, rows),
                            .pixels_low = c->split ? g->pixels : 0,
                            .turned_low = c->split ? g->turned : 0,
                            .line_low = c->split ? g->line : 0,
                            .x_low = c->split ? g->x : 0,
                            .from = from,
                            .rows = rows};
}

/* Where a portion of x is: a row of its pixels, then its tiles. */
static bf16 *portion_at(const struct share *s, const struct factors *f, int portion)
{
    const struct bf16_gradient *g = &s->c->weights;
    if (!g->wide) portion = 0;
    return f->x + (size_t)portion * (g->line + g->x) * (size_t)bf16_planes(s->c);
}

static bf16 *tiles_at(const struct share *s, const struct factors *f, int portion)
{
    return portion_at(s, f, portion) + s->c->weights.line * (size_t)bf16_planes(s->c);
}

/* Row `from` of dy goes with rows from - 1, from and from + 1 of x; column k with pixels k, k + 1
 * and k + 2 of a row, of which the first is a zero. */
static void bring_x(const struct share *s, const struct factors *f, int portion)
{
    const struct bf16_conv *c = s->c;
    const struct bf16_gradient *g = &c->weights;
    const int columns = columns_of(c, portion), pairs = g->pitch / 2;
    const int channels = channels_of(c, portion), rows = f->rows + 2 * c->gap;
    const struct bf16_map x = bf16_map_part(&s->x, portion * SIDE, channels);
    bf16 *line = portion_at(s, f, portion), *tiles = tiles_at(s, f, portion);
    const size_t copy = (size_t)tiles_of(columns) * f->tile;
    for (int row = 0; row < rows; row++) {
        bf16_map_pixels(&x, c->gap, f->from - c->gap + row, 1, true, true, line, f->line_low, 0,
                        NULL);
        for (int plane = 0; plane < bf16_planes(c); plane++)
            for (int t = 0; t < tiles_of(columns); t++) {
                bf16 *to = tiles + (size_t)plane * f->x_low + (size_t)t * f->tile +
                           (size_t)(row * pairs) * SIDE;
                bf16_map_pairs(line + (size_t)plane * f->line_low + t * LANES, (size_t)channels,
                               columns - t * LANES, pairs, to, g->copies == 2 ? to + copy : NULL);
            }
    }
    const size_t used = (size_t)(rows * pairs) * SIDE;
    for (int plane = 0; plane < bf16_planes(c); plane++)
        for (int t = 0; t < g->copies * tiles_of(columns); t++)
            memset(tiles + (size_t)plane * f->x_low + (size_t)t * f->tile + used, 0,
                   (f->tile - used) * sizeof(bf16));
}

/* 16 channels of dy. */
static void bring_turned(const struct share *s, const struct factors *f, int tile)
{
    const struct bf16_conv *c = s->c;
    const int w = c->conf.w, pitch = c->weights.pitch, channel = tile * LANES;
    const int lanes = bf16_smaller(c->wide - channel, LANES);
    const size_t used = (size_t)(f->rows * pitch);
    for (int plane = 0; plane < bf16_planes(c); plane++) {
        const bf16 *from = f->pixels + (size_t)plane * f->pixels_low + channel;
        bf16 *to = f->turned + (size_t)plane * f->turned_low + (size_t)channel * f->channel;
        for (int row = 0; row < f->rows; row++) {
            const int pixel = c->gap + (row + c->gap) * (w + c->gap);
            bf16_map_turned(from + (size_t)pixel * (size_t)c->wide, (size_t)c->wide, lanes, w,
                            pitch, to + row * pitch, f->channel);
        }
        for (int k = 0; k < lanes; k++)
            memset(to + (size_t)k * f->channel + used, 0, (f->channel - used) * sizeof(bf16));
    }
}

/* Of the gradient: `shifts` products of 32 channels of dy and 32 columns of x. */
static size_t blocks_at(const struct bf16_conv *c, int portion, int block, int left)
{
    const struct bf16_gradient *g = &c->weights;
    return (size_t)(((portion * g->blocks + block) * g->lefts + left) * g->shifts) * BLOCK;
}

/* Tap (a, b) is `a` rows and `b` pixels of x away. */
static const bf16 *shifted(const struct bf16_conv *c, const struct factors *f, const bf16 *x,
                           int columns, int shift)
{
    const int across = c->side / c->weights.across, a = shift / across, b = shift % across;
    if (b % 2) x += (size_t)tiles_of(columns) * f->tile;
    return x + (size_t)((a * c->weights.pitch + b) / 2) * SIDE;
}

/* x: of the portion. Taps of a row of the kernel are summed together. */
static void multiply_blocks(const struct bf16_conv *c, struct bf16_worker *worker,
                            const struct factors *f, const bf16 *x, int portion, int block,
                            int left, bool add, float *to)
{
    const struct bf16_gradient *g = &c->weights;
    const int columns = columns_of(c, portion);
    const int across = c->side / g->across, steps = divide_up(f->rows * g->pitch, SIDE);
    const bf16 *dy = f->turned + (size_t)(left * SIDE) * f->channel;
    struct bf16_product q = {
        .a = {.step = SIDE, .tile = LANES * f->channel, .low = f->turned_low, .row = f->channel},
        .b = {.step = TILE, .tile = f->tile, .low = f->x_low},
        .segments = 1,
        .rows = bf16_smaller(c->wide - left * SIDE, SIDE),
        .columns = bf16_smaller(columns - block * SIDE, SIDE),
        .split = c->split};
    for (int first = 0; first < g->shifts; first += across)
        for (int s = 0; s < steps; s += SUM_STEPS) {
            q.a.at = dy + s * SIDE;
            q.steps = bf16_smaller(steps - s, SUM_STEPS);
            q.add = add || s > 0;
            for (int k = first; k < first + across; k++) {
                q.b.at =
                    shifted(c, f, x, columns, k) + (size_t)(2 * block) * f->tile + (size_t)s * TILE;
                bf16_multiply(worker, &q, to + k * BLOCK);
            }
        }
}

/* Row r of a block is a channel of dy; column k is channel k mod `channels` of the portion, k /
 * channels columns of the kernel further. */
static void store_blocks(const struct bf16_conv *c, int portion, int block, int left,
                         const float *from, float *dw)
{
    const struct bf16_gradient *g = &c->weights;
    const int channels = channels_of(c, portion), first = block * SIDE;
    const int columns = bf16_smaller(columns_of(c, portion) - first, SIDE);
    const int rows = bf16_smaller(c->wide - left * SIDE, SIDE);
    size_t at[SIDE];
    for (int k = 0; k < columns; k++)
        at[k] = bf16_stored_in(c, portion * SIDE + (first + k) % channels) +
                (size_t)((first + k) / channels);
    for (int r = 0; r < rows; r++, from += SIDE) {
        float *to = dw + bf16_stored_wide(c, left * SIDE + r);
        for (int k = 0; k < columns; k++)
            for (int shift = 0; shift < g->shifts; shift++)
                to[at[k] + (size_t)(shift * g->across)] = from[shift * BLOCK + k];
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
                        f.pixels_low, c->gap, s->biased ? sums : NULL);
        if (s->data) bf16_run_slab(s->data, worker, k, f.pixels);
        for (int t = 0; t < tiles_of(c->wide); t++)
            bring_turned(s, &f, t);
        for (int portion = 0; portion < g->portions; portion++) {
            bring_x(s, &f, portion);
            for (int b = 0; b < g->blocks; b++)
                for (int left = 0; left < g->lefts; left++)
                    multiply_blocks(c, worker, &f, tiles_at(s, &f, portion), portion, b, left,
                                    k > begin, to + blocks_at(c, portion, b, left));
        }
    }
}

static void add_parts(const struct share *s, int portion, int block, int left)
{
    const struct bf16_conv *c = s->c;
    _Alignas(64) float sum[MOST_SHIFTS * BLOCK];
    const int len = c->weights.shifts * BLOCK;
    const float *from = s->blocks + blocks_at(c, portion, block, left);
    memcpy(sum, from, (size_t)len * sizeof *sum);
    for (int part = 1; part < c->weights.parts; part++) {
        from += c->weights.block / sizeof(float);
#pragma omp simd
        for (int k = 0; k < len; k++)
            sum[k] += from[k];
    }
    store_blocks(c, portion, block, left, sum, s->dw);
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
        for (int k = 0; k < g->portions * g->blocks; k++)
            for (int left = 0; left < g->lefts; left++)
                add_parts(s, k / g->blocks, k % g->blocks, left);
    }
}

static void sum_block(const struct share *s, struct bf16_worker *worker, const struct factors *f,
                      int portion, int block, int left)
{
    const struct bf16_conv *c = s->c;
    _Alignas(64) float to[MOST_SHIFTS * BLOCK];
    multiply_blocks(c, worker, f, tiles_at(s, f, portion), portion, block, left, false, to);
    store_blocks(c, portion, block, left, to, s->dw);
}

/* Rows of dy in chunks, each with sums of its own. */
static void bring_chunk(const struct share *s, const struct factors *f, int chunk)
{
    const struct bf16_conv *c = s->c;
    const int row = chunk * CHUNK_ROWS, all = f->rows + 2 * c->gap;
    const bool end = chunk + 1 == c->weights.chunks;
    const int rows = end ? all - row : CHUNK_ROWS;
    double *sums = s->sums + (size_t)chunk * (c->weights.sums / sizeof(double));
    bf16_map_pixels(&s->dy, c->gap, row - c->gap, rows, chunk == 0, end,
                    f->pixels + (size_t)(row * (c->conf.w + c->gap)) * (size_t)c->wide,
                    f->pixels_low, 0, s->biased ? sums : NULL);
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
        for (int k = 0; k < g->portions; k++)
            bring_x(s, &f, k);
#pragma omp for schedule(dynamic, 1)
        for (int k = 0; k < g->chunks; k++)
            bring_chunk(s, &f, k);
#pragma omp for schedule(dynamic, 1)
        for (int t = 0; t < tiles_of(c->wide); t++)
            bring_turned(s, &f, t);
#pragma omp for collapse(2)
        for (int k = 0; k < g->portions * g->blocks; k++)
            for (int left = 0; left < g->lefts; left++)
                sum_block(s, &worker, &f, k / g->blocks, k % g->blocks, left);
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
    struct share s = {
        .c = c, .data = data, .x = x, .dy = dy, .dw = dw, .slabs = scratch, .biased = db};
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
