/* Forward, and backward to the data, which is a convolution by rotated and transposed weights: each
 * thread takes a block of tiles at a time from input transform to output transform, so what is
 * between them stays in its cache. Backward to the weights: of few channels, each thread takes a
 * part of the tiles at a time, block by block, into a gradient of that part; these are added up in
 * order. Of many, whose gradient is large, all threads transform a slab of tiles of x and dy, then
 * share the 36 products, each of which belongs to one thread: nothing is added across threads. */
#include "nn/winograd.h"

#include "base/mem.h"
#include "base/par.h"
#include "nn/winograd_tile.h"

#include <assert.h>
#include <string.h>

enum {
    LANES = WINO_LANES,
    BLOCK_BYTES = 640 << 10, /* transformed tiles of a thread, about an L2 cache */
    BLOCK_LEAST = 48,        /* tiles: they share one pass over the weights */
    SLAB_BYTES = 8 << 20,    /* transformed tiles of all threads, in L3 */
    SLAB_MOST = 512,         /* tiles: a longer sum in single precision loses digits */
    CHUNK = 16,              /* tiles a task when a slab is transformed, and a sum of dy */
    PARTS_MOST = 32,         /* of the tiles, and bytes of all their gradients, and of one */
    PARTS_BYTES = 8 << 20,
    PART_BYTES = 640 << 10,
};

struct pass { /* y = x * weights, by blocks of tiles */
    struct wino_map x, y;
    bool whole; /* one block of all tiles; threads share its points, not its tiles */
    int block, threads;
    struct wino_layout lx, ly;
    size_t scratch, weights; /* bytes of a block; bytes */
};

struct wino {
    struct wino_conf conf;
    struct pass forward, data;
    struct {              /* backward to the weights */
        int parts, part;  /* tiles of a part; parts 0: by slabs */
        bool once;        /* one slab: the gradient at the points is not kept */
        int slab, places; /* tiles transformed at once; memories for so many */
        struct wino_layout lx, ly;
        /* bytes: gradient at the points and sum of dy, of each part; transformed tiles and sums of
         * dy a chunk, of each place */
        size_t du, total, tiles, sums;
    } weights;
};

bool wino_pays(const struct wino_conf *c)
{
#ifdef __AVX512F__
    return c->in >= 20 && c->out >= 20 && c->h >= 8 && c->w >= 8;
#else
    (void)c;
    return false;
#endif
}

static size_t bytes_of(struct wino_layout l)
{
    return wino_layout_len(l) * sizeof(float);
}

/* Floats of the weights at one point; an odd number of lines as in wino_layout. */
static size_t weights_point(int in, int out)
{
    return (((size_t)wino_blocks(out) * (size_t)in) | 1) * LANES;
}

static size_t weights_bytes(int in, int out)
{
    return WINO_POINTS * weights_point(in, out) * sizeof(float);
}

/* Bytes of a tile transformed. */
static int tile_bytes(int channels)
{
    return (int)(bytes_of(wino_layout(channels, 4)) / 4);
}

/* Tiles of a block that fills `bytes`. */
static int block_of(const struct wino_conf *c, int bytes, int least)
{
    const int fit = bytes / (tile_bytes(c->in) + tile_bytes(c->out));
    return fit > least ? fit : least;
}

/* The least step, a multiple of `unit`, that takes as few steps to `all` as one of at most `most`.
 */
static int even(int all, int most, int unit)
{
    return divide_up(divide_up(all, divide_up(all, most)), unit) * unit;
}

static struct pass pass_make(const struct wino_conf *c, struct wino_map x, struct wino_map y)
{
    const int in = x.c, out = y.c;
    struct pass p = {.x = x, .y = y};
    const int tiles = wino_tiles(&x);
    p.threads = par_threads();
    p.weights = weights_bytes(in, out);
    p.whole = (size_t)tiles * (size_t)(tile_bytes(in) + tile_bytes(out)) < p.weights;
    p.block = p.whole ? divide_up(tiles, 4) * 4
                      : even(divide_up(tiles, p.threads), block_of(c, BLOCK_BYTES, BLOCK_LEAST), 4);
    p.lx = wino_layout(in, p.block);
    p.ly = wino_layout(out, p.block);
    p.scratch = bytes_of(p.lx) + bytes_of(p.ly);
    return p;
}

static void weights_make(struct wino *w)
{
    const struct wino_conf *c = &w->conf;
    const int in = wino_blocks(c->in), out = wino_blocks(c->out), tiles = wino_tiles(&w->forward.x);
    w->weights.du = weights_bytes(in * LANES, c->out);
    w->weights.total = mem_lines((size_t)(out * LANES) * sizeof(double));
    if (w->weights.du <= PART_BYTES) {
        const int fit = (int)(PARTS_BYTES / w->weights.du);
        const int least = divide_up(tiles, fit < PARTS_MOST ? fit : PARTS_MOST);
        w->weights.slab = even(least, block_of(c, BLOCK_BYTES, BLOCK_LEAST), CHUNK);
        w->weights.part = divide_up(least, w->weights.slab) * w->weights.slab;
        w->weights.parts = divide_up(tiles, w->weights.part);
        w->weights.places = par_threads();
    } else {
        const int fit = block_of(c, SLAB_BYTES, CHUNK);
        w->weights.slab = even(tiles, fit < SLAB_MOST ? fit : SLAB_MOST, CHUNK);
        w->weights.places = 1;
        w->weights.once = tiles <= w->weights.slab;
        if (w->weights.once) w->weights.du = 0;
    }
    w->weights.lx = wino_layout(c->in, w->weights.slab);
    w->weights.ly = wino_layout(c->out, w->weights.slab);
    w->weights.tiles = bytes_of(w->weights.lx) + bytes_of(w->weights.ly);
    w->weights.sums = (size_t)(w->weights.slab / CHUNK) * (size_t)(out * LANES) * sizeof(float);
}

struct wino *wino_new(struct wino_conf conf, struct err *e)
{
    struct wino *w = mem_new(1, sizeof *w, e);
    if (!w) return NULL;
    w->conf = conf;
    const struct wino_map x = {conf.n, conf.h, conf.w, conf.in, conf.first};
    const struct wino_map y = {conf.n, conf.h, conf.w, conf.out, conf.out};
    w->forward = pass_make(&conf, x, y);
    w->data = pass_make(&conf, y, x);
    weights_make(w);
    return w;
}

void wino_free(struct wino *w)
{
    mem_free(w);
}

size_t wino_packed_bytes(const struct wino *w)
{
    return w->forward.weights + (w->conf.backward_data ? w->data.weights : 0);
}

static size_t pass_scratch(const struct pass *p)
{
    return p->scratch * (size_t)(p->whole ? 1 : p->threads);
}

size_t wino_scratch_forward(const struct wino *w)
{
    return pass_scratch(&w->forward);
}

size_t wino_scratch_backward(const struct wino *w)
{
    const size_t data = w->conf.backward_data ? pass_scratch(&w->data) : 0;
    const size_t parts = w->weights.parts ? (size_t)w->weights.parts : 1;
    const size_t weights = parts * (w->weights.du + w->weights.total) +
                           (size_t)w->weights.places * (w->weights.tiles + w->weights.sums);
    return data > weights || !w->conf.backward_weights ? data : weights;
}

/* Transformed weights of `in` to `out` channels; those of lane k and input c are at
 * k * lane + c * input. */
static void pack(const float *weights, int in, int out, size_t lane, size_t input, bool rotated,
                 float *u)
{
    const size_t point = weights_point(in, out);
#pragma omp parallel for collapse(2)
    for (int b = 0; b < wino_blocks(out); b++)
        for (int c = 0; c < in; c++) {
            const int left = out - b * LANES;
            wino_weights(weights + (size_t)(b * LANES) * lane + (size_t)c * input, lane,
                         left < LANES ? left : LANES, rotated, point,
                         u + ((size_t)b * (size_t)in + (size_t)c) * LANES);
        }
}

void wino_pack(const struct wino *w, const float *weights, void *packed)
{
    const int in = w->conf.in, out = w->conf.out;
    float *u = packed;
    pack(weights, in, out, (size_t)in * 9, 9, false, u);
    if (w->conf.backward_data)
        pack(weights, out, in, 9, (size_t)in * 9, true, u + w->forward.weights / sizeof(float));
}

struct pass_io {
    const float *x[2], *u, *bias;
    struct wino_relu behind; /* of x */
    float slope, *y[2];
};

static void pass_point(const struct pass *p, size_t point, int count, const float *u, float *v)
{
    wino_product(count, p->x.c, p->y.c, v + point * p->lx.point, p->lx,
                 u + point * weights_point(p->x.c, p->y.c),
                 v + wino_layout_len(p->lx) + point * p->ly.point, p->ly);
}

static void pass_block(const struct pass *p, int from, int count, const struct pass_io *io,
                       float *v)
{
    wino_input(&p->x, io->x, io->behind, from, count, p->lx, 0, v);
    for (size_t k = 0; k < WINO_POINTS; k++)
        pass_point(p, k, count, io->u, v);
    wino_output(&p->y, v + wino_layout_len(p->lx), p->ly, 0, from, count, io->bias, io->slope,
                io->y);
}

/* Weights that are larger than all tiles are read once, not by every thread. */
static void pass_whole(const struct pass *p, const struct pass_io *io, float *v)
{
    const int tiles = wino_tiles(&p->x);
#pragma omp parallel
    {
#pragma omp for
        for (int t = 0; t < tiles; t += 4)
            wino_input(&p->x, io->x, io->behind, t, tiles - t < 4 ? tiles - t : 4, p->lx, t, v);
#pragma omp for
        for (int k = 0; k < WINO_POINTS; k++)
            pass_point(p, (size_t)k, tiles, io->u, v);
#pragma omp for
        for (int t = 0; t < tiles; t += 4)
            wino_output(&p->y, v + wino_layout_len(p->lx), p->ly, t, t,
                        tiles - t < 4 ? tiles - t : 4, io->bias, io->slope, io->y);
    }
}

/* A thread's memory goes with the number of a run of the outer loop. */
static void pass_run(const struct pass *p, const struct pass_io *io, unsigned char *scratch)
{
    const int tiles = wino_tiles(&p->x);
    int next = 0;
    if (p->whole) {
        pass_whole(p, io, (float *)scratch);
        return;
    }
#pragma omp parallel for schedule(static, 1)
    for (int t = 0; t < p->threads; t++)
        for (int from; (from = par_take(&next, p->block)) < tiles;)
            pass_block(p, from, tiles - from < p->block ? tiles - from : p->block, io,
                       (float *)(scratch + (size_t)t * p->scratch));
}

void wino_forward(const struct wino *w, const float *const x[2], const void *packed,
                  const float *bias, float slope, float *y, void *scratch)
{
    const struct pass_io io = {
        .x = {x[0], x[1]}, .u = packed, .bias = bias, .slope = slope, .y = {y}};
    pass_run(&w->forward, &io, scratch);
}

/* --- gradient of the weights --- */

struct place { /* transformed tiles; sums of dy a chunk */
    float *x, *y, *sums;
};

static struct place place_at(const struct wino *w, unsigned char *scratch, int k)
{
    float *x = (float *)(scratch + (size_t)k * (w->weights.tiles + w->weights.sums));
    float *y = x + wino_layout_len(w->weights.lx);
    return (struct place){x, y, y + wino_layout_len(w->weights.ly)};
}

/* Chunk k of the slab that begins at `from`. */
static void chunk_transform(const struct wino *w, int from, int count, int k,
                            const struct wino_gradient *g, const struct place *s)
{
    const int at = k * CHUNK, len = count - at < CHUNK ? count - at : CHUNK;
    float *sum = s->sums + (size_t)k * (size_t)(wino_blocks(w->conf.out) * LANES);
    wino_input(&w->forward.x, g->x, (struct wino_relu){0}, from + at, len, w->weights.lx, at, s->x);
    wino_output_back(&w->forward.y, g->dy, (struct wino_relu){g->y, g->slope}, from + at, len,
                     w->weights.ly, at, s->y, sum);
}

static void slab_product(const struct wino *w, int count, int p, bool add, const struct place *s,
                         float *du)
{
    const int in = w->conf.in, out = w->conf.out;
    wino_product_back(count, in, out, s->x + (size_t)p * w->weights.lx.point, w->weights.lx,
                      s->y + (size_t)p * w->weights.ly.point, w->weights.ly, add,
                      du + (size_t)p * weights_point(wino_blocks(in) * LANES, out));
}

/* dw of a block of inputs and of two of outputs, from the only slab. */
static void once_block(const struct wino *w, int count, int block, int pair, const struct place *s,
                       float *dw)
{
    enum { ROW = 2 * LANES, POINT = LANES * ROW };
    float du[WINO_POINTS * POINT];
    const int in = w->conf.in, out = w->conf.out;
    for (size_t p = 0; p < WINO_POINTS; p++)
        wino_product_back_part(count, block, 2 * pair, s->x + p * w->weights.lx.point,
                               w->weights.lx, s->y + p * w->weights.ly.point, w->weights.ly,
                               du + p * POINT);
    const size_t lane = (size_t)in * 9;
    for (int c = block * LANES; c < in && c < (block + 1) * LANES; c++)
        for (int o = pair * ROW; o < out && o < (pair + 1) * ROW; o += LANES)
            wino_weights_back(du + c % LANES * ROW + o % ROW, POINT, lane,
                              out - o < LANES ? out - o : LANES,
                              dw + (size_t)o * lane + (size_t)c * 9);
}

static void add_sums(const struct wino *w, int chunks, const float *sums, double *total)
{
    const int out = w->conf.out, width = wino_blocks(out) * LANES;
    for (int k = 0; k < chunks; k++)
        for (int o = 0; o < out; o++)
            total[o] += (double)sums[(size_t)k * (size_t)width + (size_t)o];
}

static void once_run(const struct wino *w, const struct wino_gradient *g, unsigned char *scratch,
                     double *total)
{
    const int tiles = wino_tiles(&w->forward.x), chunks = divide_up(tiles, CHUNK);
    const int in = wino_blocks(w->conf.in), pairs = divide_up(wino_blocks(w->conf.out), 2);
    const struct place s = place_at(w, scratch, 0);
#pragma omp parallel
    {
#pragma omp for
        for (int k = 0; k < chunks; k++)
            chunk_transform(w, 0, tiles, k, g, &s);
#pragma omp for collapse(2)
        for (int block = 0; block < in; block++)
            for (int pair = 0; pair < pairs; pair++)
                once_block(w, tiles, block, pair, &s, g->dw);
    }
    add_sums(w, chunks, s.sums, total);
}

static void part_run(const struct wino *w, int from, int end, const struct wino_gradient *g,
                     const struct place *s, float *du, double *total)
{
    const int slab = w->weights.slab;
    for (int at = from; at < end; at += slab) {
        const int count = end - at < slab ? end - at : slab, chunks = divide_up(count, CHUNK);
        for (int k = 0; k < chunks; k++)
            chunk_transform(w, at, count, k, g, s);
        for (int p = 0; p < WINO_POINTS; p++)
            slab_product(w, count, p, at > from, s, du);
        add_sums(w, chunks, s->sums, total);
    }
}

static void parts_run(const struct wino *w, const struct wino_gradient *g, unsigned char *scratch,
                      unsigned char *du, unsigned char *total)
{
    const int tiles = wino_tiles(&w->forward.x), part = w->weights.part;
    int next = 0;
#pragma omp parallel for schedule(static, 1)
    for (int t = 0; t < w->weights.places; t++) {
        const struct place s = place_at(w, scratch, t);
        for (int k; (k = par_take(&next, 1)) < w->weights.parts;)
            part_run(w, k * part, tiles - k * part < part ? tiles : (k + 1) * part, g, &s,
                     (float *)(du + (size_t)k * w->weights.du),
                     (double *)(total + (size_t)k * w->weights.total));
    }
}

static void slabs_run(const struct wino *w, const struct wino_gradient *g, unsigned char *scratch,
                      float *du, double *total)
{
    const int tiles = wino_tiles(&w->forward.x), slab = w->weights.slab;
    const struct place s = place_at(w, scratch, 0);
    for (int from = 0; from < tiles; from += slab) {
        const int count = tiles - from < slab ? tiles - from : slab;
        const int chunks = divide_up(count, CHUNK);
#pragma omp parallel
        {
#pragma omp for
            for (int k = 0; k < chunks; k++)
                chunk_transform(w, from, count, k, g, &s);
#pragma omp for
            for (int p = 0; p < WINO_POINTS; p++)
                slab_product(w, count, p, from > 0, &s, du);
        }
        add_sums(w, chunks, s.sums, total);
    }
}

/* dw for a block of outputs and an input, whose gradient at the first point begins at du. */
static void weights_back(const struct wino *w, int block, int input, const unsigned char *du,
                         float *dw)
{
    const int in = w->conf.in, out = w->conf.out, left = out - block * LANES;
    const size_t point = weights_point(wino_blocks(in) * LANES, out);
    const size_t first =
        ((size_t)input * (size_t)wino_blocks(out) + (size_t)block) * LANES * sizeof(float);
    const size_t lane = (size_t)in * 9;
    const int lanes = left < LANES ? left : LANES;
    float sum[WINO_POINTS * LANES] = {0};
    dw += (size_t)(block * LANES) * lane + (size_t)input * 9;
    if (w->weights.parts <= 1) {
        wino_weights_back((const float *)(du + first), point, lane, lanes, dw);
        return;
    }
    for (int k = 0; k < w->weights.parts; k++) {
        const float *part = (const float *)(du + (size_t)k * w->weights.du + first);
        for (size_t p = 0; p < WINO_POINTS; p++)
            for (size_t o = 0; o < LANES; o++)
                sum[p * LANES + o] += part[p * point + o];
    }
    wino_weights_back(sum, LANES, lane, lanes, dw);
}

static void weights_run(const struct wino *w, const struct wino_gradient *g)
{
    const int parts = w->weights.parts ? w->weights.parts : 1;
    unsigned char *du = (unsigned char *)g->scratch +
                        (size_t)w->weights.places * (w->weights.tiles + w->weights.sums);
    unsigned char *total = du + (size_t)parts * w->weights.du;
    memset(total, 0, (size_t)parts * w->weights.total);
    if (w->weights.once)
        once_run(w, g, g->scratch, (double *)total);
    else if (w->weights.parts)
        parts_run(w, g, g->scratch, du, total);
    else
        slabs_run(w, g, g->scratch, (float *)du, (double *)total);
    if (!w->weights.once) {
#pragma omp parallel for collapse(2)
        for (int b = 0; b < wino_blocks(w->conf.out); b++)
            for (int c = 0; c < w->conf.in; c++)
                weights_back(w, b, c, du, g->dw);
    }
    for (int o = 0; g->db && o < w->conf.out; o++) {
        double sum = 0.0;
        for (int k = 0; k < parts; k++)
            sum += ((const double *)(total + (size_t)k * w->weights.total))[o];
        g->db[o] = (float)sum;
    }
}

void wino_backward(const struct wino *w, const struct wino_gradient *g)
{
    const bool data = g->dx[0] || g->dx[1];
    assert((!g->dw || w->conf.backward_weights) && (!data || w->conf.backward_data));
    if (data) {
        const struct pass_io io = {.x = {g->dy},
                                   .u = (const float *)g->packed +
                                        w->forward.weights / sizeof(float),
                                   .behind = {g->y, g->slope},
                                   .slope = 1.0f,
                                   .y = {g->dx[0], g->dx[1]}};
        pass_run(&w->data, &io, g->scratch);
    }
    if (g->dw) weights_run(w, g);
}
