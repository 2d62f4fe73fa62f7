/* Forward, and backward to the data, which is a convolution by rotated and transposed weights: each
 * thread takes a block of tiles at a time from input transform to output transform, so what is
 * between them stays in its cache. Backward to the weights: all threads transform a slab of tiles
 * of x and dy, then share the 36 products, each of which belongs to one thread. So nothing is added
 * across threads. */
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
    CHUNK = 16,              /* tiles a task when a slab is transformed */
};

struct pass { /* y = x * weights, by blocks of tiles */
    struct wino_map x, y;
    int block, threads;
    struct wino_layout lx, ly;
    size_t scratch, weights; /* bytes of a thread; bytes */
};

struct wino {
    struct wino_conf conf;
    struct pass forward, data;
    struct { /* backward to the weights */
        int slab;
        struct wino_layout lx, ly;
        size_t du, sums, total; /* bytes: gradient at the points, sums of dy a chunk, over all */
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

static int divide_up(int a, int b)
{
    return (a + b - 1) / b;
}

static size_t lines(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
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

static struct pass pass_make(const struct wino_conf *c, int in, int out)
{
    struct pass p = {.x = {c->n, c->h, c->w, in}, .y = {c->n, c->h, c->w, out}};
    const int tiles = wino_tiles(&p.x);
    const int tile =
        WINO_POINTS * LANES * (int)sizeof(float) * (wino_blocks(in) + wino_blocks(out));
    const int most = BLOCK_BYTES / tile > BLOCK_LEAST ? BLOCK_BYTES / tile : BLOCK_LEAST;
    p.threads = par_threads();
    const int share = divide_up(tiles, p.threads); /* in equal blocks of whole groups of 4 */
    p.block = divide_up(divide_up(share, divide_up(share, most)), 4) * 4;
    p.lx = wino_layout(in, p.block);
    p.ly = wino_layout(out, p.block);
    p.scratch = bytes_of(p.lx) + bytes_of(p.ly);
    p.weights = weights_bytes(in, out);
    return p;
}

static void weights_make(struct wino *w)
{
    const struct wino_conf *c = &w->conf;
    const int in = wino_blocks(c->in), out = wino_blocks(c->out), tiles = wino_tiles(&w->forward.x);
    const int tile = WINO_POINTS * LANES * (int)sizeof(float) * (in + out);
    const int fit = SLAB_BYTES / tile > CHUNK ? SLAB_BYTES / tile / CHUNK * CHUNK : CHUNK;
    const int most = fit < SLAB_MOST ? fit : SLAB_MOST;
    w->weights.slab = divide_up(divide_up(tiles, divide_up(tiles, most)), CHUNK) * CHUNK;
    w->weights.lx = wino_layout(c->in, w->weights.slab);
    w->weights.ly = wino_layout(c->out, w->weights.slab);
    w->weights.du = weights_bytes(in * LANES, c->out);
    w->weights.sums = (size_t)(w->weights.slab / CHUNK) * (size_t)(out * LANES) * sizeof(float);
    w->weights.total = lines((size_t)(out * LANES) * sizeof(double));
}

struct wino *wino_new(struct wino_conf conf, struct err *e)
{
    struct wino *w = mem_new(1, sizeof *w, e);
    if (!w) return NULL;
    w->conf = conf;
    w->forward = pass_make(&conf, conf.in, conf.out);
    w->data = pass_make(&conf, conf.out, conf.in);
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

size_t wino_scratch_forward(const struct wino *w)
{
    return w->forward.scratch * (size_t)w->forward.threads;
}

size_t wino_scratch_backward(const struct wino *w)
{
    const size_t data = w->conf.backward_data ? w->data.scratch * (size_t)w->data.threads : 0;
    const size_t weights = bytes_of(w->weights.lx) + bytes_of(w->weights.ly) + w->weights.du +
                           w->weights.sums + w->weights.total;
    if (!w->conf.backward) return 0;
    return data > weights ? data : weights;
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

static void pass_block(const struct pass *p, int from, int count, const float *x, const float *u,
                       const float *bias, float slope, float *y, float *v)
{
    float *m = v + wino_layout_len(p->lx);
    const size_t point = weights_point(p->x.c, p->y.c);
    wino_input(&p->x, x, from, count, p->lx, 0, v);
    for (size_t k = 0; k < WINO_POINTS; k++)
        wino_product(count, p->x.c, p->y.c, v + k * p->lx.point, p->lx, u + k * point,
                     m + k * p->ly.point, p->ly);
    wino_output(&p->y, m, p->ly, from, count, bias, slope, y);
}

/* A thread's memory goes with the number of a run of the outer loop; blocks go to who is free. */
static void pass_run(const struct pass *p, const float *x, const float *u, const float *bias,
                     float slope, float *y, unsigned char *scratch)
{
    const int tiles = wino_tiles(&p->x);
    int next = 0;
#pragma omp parallel for schedule(static, 1)
    for (int t = 0; t < p->threads; t++)
        for (;;) {
            int from;
#pragma omp atomic capture
            {
                from = next;
                next += p->block;
            }
            if (from >= tiles) break;
            pass_block(p, from, tiles - from < p->block ? tiles - from : p->block, x, u, bias,
                       slope, y, (float *)(scratch + (size_t)t * p->scratch));
        }
}

void wino_forward(const struct wino *w, const float *x, const void *packed, const float *bias,
                  float slope, float *y, void *scratch)
{
    pass_run(&w->forward, x, packed, bias, slope, y, scratch);
}

struct slabs { /* memory of the gradient of the weights */
    float *x, *y, *du, *sums;
    double *total;
};

static void slab_run(const struct wino *w, int from, int count, const float *x, const float *dy,
                     const struct slabs *s)
{
    const struct wino_map *mx = &w->forward.x, *my = &w->forward.y;
    const struct wino_layout lx = w->weights.lx, ly = w->weights.ly;
    const int chunks = divide_up(count, CHUNK), width = wino_blocks(my->c) * LANES;
    const size_t point = weights_point(wino_blocks(mx->c) * LANES, my->c);
#pragma omp parallel
    {
#pragma omp for
        for (int k = 0; k < chunks; k++) {
            const int at = k * CHUNK, len = count - at < CHUNK ? count - at : CHUNK;
            wino_input(mx, x, from + at, len, lx, at, s->x);
            wino_gradient(my, dy, from + at, len, ly, at, s->y, s->sums + (size_t)k * width);
        }
#pragma omp for
        for (int p = 0; p < WINO_POINTS; p++)
            wino_product_back(count, mx->c, my->c, s->x + (size_t)p * lx.point, lx,
                              s->y + (size_t)p * ly.point, ly, from > 0, s->du + (size_t)p * point);
    }
    for (int k = 0; k < chunks; k++)
        for (int o = 0; o < my->c; o++)
            s->total[o] += (double)s->sums[(size_t)k * width + (size_t)o];
}

static void weights_run(const struct wino *w, const float *x, const float *dy, float *dw, float *db,
                        unsigned char *scratch)
{
    const int in = w->conf.in, out = w->conf.out, tiles = wino_tiles(&w->forward.x);
    const size_t point = weights_point(wino_blocks(in) * LANES, out);
    struct slabs s = {.x = (float *)scratch};
    s.y = s.x + wino_layout_len(w->weights.lx);
    s.du = s.y + wino_layout_len(w->weights.ly);
    s.sums = s.du + w->weights.du / sizeof(float);
    s.total = (double *)(s.sums + w->weights.sums / sizeof(float));
    memset(s.total, 0, w->weights.total);
    for (int from = 0; from < tiles; from += w->weights.slab)
        slab_run(w, from, tiles - from < w->weights.slab ? tiles - from : w->weights.slab, x, dy,
                 &s);
#pragma omp parallel for collapse(2)
    for (int b = 0; b < wino_blocks(out); b++)
        for (int c = 0; c < in; c++) {
            const int left = out - b * LANES;
            wino_weights_back(s.du + ((size_t)c * (size_t)wino_blocks(out) + (size_t)b) * LANES,
                              point, (size_t)in * 9, left < LANES ? left : LANES,
                              dw + ((size_t)(b * LANES) * (size_t)in + (size_t)c) * 9);
        }
    for (int o = 0; db && o < out; o++)
        db[o] = (float)s.total[o];
}

void wino_backward(const struct wino *w, const float *x, const float *dy, const void *packed,
                   float *dx, float *dw, float *db, void *scratch)
{
    assert(w->conf.backward && (!dx || w->conf.backward_data));
    if (dx)
        pass_run(&w->data, dy, (const float *)packed + w->forward.weights / sizeof(float), NULL,
                 1.0f, dx, scratch);
    weights_run(w, x, dy, dw, db, scratch);
}
