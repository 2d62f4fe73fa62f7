#include "nn/winograd_tile.h"

#include <assert.h>
#include <string.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

enum { LANES = WINO_LANES, TILE = 4, SIDE = 6 };

typedef float vec __attribute__((vector_size(64)));
typedef float half __attribute__((vector_size(32)));
typedef int bits __attribute__((vector_size(64)));

#define INLINE static inline __attribute__((always_inline))

static const float A = 0.70710678118654752f, B = 1.41421356237309505f; /* the points ±A, ±B */

/* --- memory --- */

INLINE void load(vec *v, const float *p)
{
    memcpy(v, p, sizeof *v);
}
INLINE void store(float *p, const vec *v)
{
    memcpy(p, v, sizeof *v);
}

/* The first `lanes` floats, zeros behind them. */
INLINE void load_some(vec *v, const float *p, int lanes)
{
#ifdef __AVX512F__
    *v = (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << lanes) - 1), p);
#else
    *v = (vec){0};
    memcpy(v, p, (size_t)lanes * sizeof(float));
#endif
}

INLINE void store_some(float *p, const vec *v, int lanes)
{
#ifdef __AVX512F__
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << lanes) - 1), (__m512)*v);
#else
    memcpy(p, v, (size_t)lanes * sizeof(float));
#endif
}

int wino_blocks(int channels)
{
    return (channels + LANES - 1) / LANES;
}

static int across(int pixels)
{
    return (pixels + TILE - 1) / TILE;
}

int wino_tiles(const struct wino_map *m)
{
    return m->n * across(m->h) * across(m->w);
}

struct wino_layout wino_layout(int channels, int tiles)
{
    /* an odd number of lines between points: they fall into different sets of the cache */
    const size_t lines = ((size_t)wino_blocks(channels) * (size_t)tiles) | 1;
    return (struct wino_layout){.point = lines * LANES, .tiles = (size_t)tiles};
}

size_t wino_layout_len(struct wino_layout l)
{
    return WINO_POINTS * l.point;
}

/* Upper left pixel of a tile, and its image. */
static void corner(const struct wino_map *m, int tile, int *image, int *i, int *j)
{
    const int rows = across(m->h), cols = across(m->w);
    *j = tile % cols * TILE;
    *i = tile / cols % rows * TILE;
    *image = tile / cols / rows;
}

INLINE size_t pixel(const struct wino_map *m, int image, int i, int j)
{
    return (((size_t)image * (size_t)m->h + (size_t)i) * (size_t)m->w + (size_t)j) * (size_t)m->c;
}

static int lanes_of(int channels, int block)
{
    const int left = channels - block * LANES;
    return left < LANES ? left : LANES;
}

/* side x side pixels from (i, j) on; zeros outside of the map. */
INLINE void gather(const struct wino_map *m, const float *x, int i, int j, int side, int lanes,
                   vec *d)
{
    for (int r = 0; r < side; r++)
        for (int q = 0; q < side; q++) {
            const bool inside = i + r >= 0 && i + r < m->h && j + q >= 0 && j + q < m->w;
            if (inside)
                load_some(&d[r * side + q],
                          x + ((ptrdiff_t)(i + r) * m->w + (j + q)) * (ptrdiff_t)m->c, lanes);
            else
                d[r * side + q] = (vec){0};
        }
}

/* --- transforms of a row or column, strides in vectors --- */

INLINE void row_input(const vec *d, int s, vec *t, int ts) /* B^T */
{
    const vec even_a = d[4 * s] - 2.0f * d[2 * s], odd_a = d[3 * s] - 2.0f * d[s];
    const vec even_b = d[4 * s] - 0.5f * d[2 * s], odd_b = d[3 * s] - 0.5f * d[s];
    t[0] = d[0] - 2.5f * d[2 * s] + d[4 * s];
    t[ts] = even_a + A * odd_a;
    t[2 * ts] = even_a - A * odd_a;
    t[3 * ts] = even_b + B * odd_b;
    t[4 * ts] = even_b - B * odd_b;
    t[5 * ts] = d[s] - 2.5f * d[3 * s] + d[5 * s];
}

INLINE void row_gradient(const vec *d, int s, vec *t, int ts) /* A */
{
    const vec even_a = d[0] + 0.5f * d[2 * s], odd_a = d[s] + 0.5f * d[3 * s];
    const vec even_b = d[0] + 2.0f * d[2 * s], odd_b = d[s] + 2.0f * d[3 * s];
    t[0] = d[0];
    t[ts] = even_a + A * odd_a;
    t[2 * ts] = even_a - A * odd_a;
    t[3 * ts] = even_b + B * odd_b;
    t[4 * ts] = even_b - B * odd_b;
    t[5 * ts] = d[3 * s];
}

INLINE void row_output(const vec *d, int s, vec *t, int ts) /* A^T */
{
    const vec even_a = d[s] + d[2 * s], odd_a = A * (d[s] - d[2 * s]);
    const vec even_b = d[3 * s] + d[4 * s], odd_b = B * (d[3 * s] - d[4 * s]);
    t[0] = d[0] + even_a + even_b;
    t[ts] = odd_a + odd_b;
    t[2 * ts] = 0.5f * even_a + 2.0f * even_b;
    t[3 * ts] = d[5 * s] + 0.5f * odd_a + 2.0f * odd_b;
}

INLINE void row_weights(const vec *d, int s, vec *t, int ts) /* G */
{
    const vec even_a = (d[0] + 0.5f * d[2 * s]) * (-2.0f / 3), odd_a = d[s] * (A * (-2.0f / 3));
    const vec even_b = (d[0] + 2.0f * d[2 * s]) * (1.0f / 6), odd_b = d[s] * (B / 6);
    t[0] = d[0];
    t[ts] = even_a + odd_a;
    t[2 * ts] = even_a - odd_a;
    t[3 * ts] = even_b + odd_b;
    t[4 * ts] = even_b - odd_b;
    t[5 * ts] = d[2 * s];
}

INLINE void row_weights_back(const vec *d, int s, vec *t, int ts) /* G^T */
{
    const vec even_a = (d[s] + d[2 * s]) * (-2.0f / 3), even_b = (d[3 * s] + d[4 * s]) * (1.0f / 6);
    t[0] = d[0] + even_a + even_b;
    t[ts] = (d[s] - d[2 * s]) * (A * (-2.0f / 3)) + (d[3 * s] - d[4 * s]) * (B / 6);
    t[2 * ts] = 0.5f * even_a + 2.0f * even_b + d[5 * s];
}

INLINE void relu(vec *x, float slope) /* by address: narrower processors cannot return a vec */
{
    const bits below = *x < 0.0f; /* not so of a NaN, which stays one */
    *x = (vec)(((bits)(slope * *x) & below) | ((bits)*x & ~below));
}

/* --- tiles --- */

void wino_input(const struct wino_map *m, const float *x, int from, int count, struct wino_layout l,
                int place, float *v)
{
    for (int t = 0; t < count; t++) {
        int image, i, j;
        corner(m, from + t, &image, &i, &j);
        for (int b = 0; b < wino_blocks(m->c); b++) {
            vec d[WINO_POINTS], e[WINO_POINTS], f[WINO_POINTS];
            gather(m, x + pixel(m, image, 0, 0) + b * LANES, i - 1, j - 1, SIDE, lanes_of(m->c, b),
                   d);
            for (int r = 0; r < SIDE; r++)
                row_input(d + SIDE * r, 1, e + SIDE * r, 1);
            for (int q = 0; q < SIDE; q++)
                row_input(e + q, SIDE, f + q, SIDE);
            float *to = v + ((size_t)b * l.tiles + (size_t)(place + t)) * LANES;
            for (int p = 0; p < WINO_POINTS; p++)
                store(to + (size_t)p * l.point, &f[p]);
        }
    }
}

void wino_gradient(const struct wino_map *m, const float *dy, int from, int count,
                   struct wino_layout l, int place, float *v, float *sum)
{
    memset(sum, 0, (size_t)wino_blocks(m->c) * sizeof(vec));
    for (int t = 0; t < count; t++) {
        int image, i, j;
        corner(m, from + t, &image, &i, &j);
        for (int b = 0; b < wino_blocks(m->c); b++) {
            vec d[TILE * TILE], e[TILE * SIDE], f[WINO_POINTS], total;
            gather(m, dy + pixel(m, image, 0, 0) + b * LANES, i, j, TILE, lanes_of(m->c, b), d);
            load(&total, sum + b * LANES);
            for (int r = 0; r < TILE; r++) {
                row_gradient(d + TILE * r, 1, e + SIDE * r, 1);
                total += (d[TILE * r] + d[TILE * r + 1]) + (d[TILE * r + 2] + d[TILE * r + 3]);
            }
            store(sum + b * LANES, &total);
            for (int q = 0; q < SIDE; q++)
                row_gradient(e + q, SIDE, f + q, SIDE);
            float *to = v + ((size_t)b * l.tiles + (size_t)(place + t)) * LANES;
            for (int p = 0; p < WINO_POINTS; p++)
                store(to + (size_t)p * l.point, &f[p]);
        }
    }
}

void wino_output(const struct wino_map *m, const float *v, struct wino_layout l, int from,
                 int count, const float *bias, float slope, float *y)
{
    for (int t = 0; t < count; t++) {
        int image, i, j;
        corner(m, from + t, &image, &i, &j);
        const int rows = m->h - i < TILE ? m->h - i : TILE,
                  cols = m->w - j < TILE ? m->w - j : TILE;
        for (int b = 0; b < wino_blocks(m->c); b++) {
            vec d[WINO_POINTS], e[TILE * SIDE], f[TILE * TILE], add = {0};
            const int lanes = lanes_of(m->c, b);
            const float *at = v + ((size_t)b * l.tiles + (size_t)t) * LANES;
            if (bias) load_some(&add, bias + b * LANES, lanes);
            for (int p = 0; p < WINO_POINTS; p++)
                load(&d[p], at + (size_t)p * l.point);
            for (int q = 0; q < SIDE; q++)
                row_output(d + q, SIDE, e + q, SIDE);
            for (int r = 0; r < TILE; r++)
                row_output(e + SIDE * r, 1, f + TILE * r, 1);
            for (int k = 0; k < TILE * TILE; k++) {
                f[k] += add;
                relu(&f[k], slope);
            }
            for (int r = 0; r < rows; r++)
                for (int q = 0; q < cols; q++)
                    store_some(y + pixel(m, image, i + r, j + q) + b * LANES, &f[TILE * r + q],
                               lanes);
        }
    }
}

/* --- weights --- */

void wino_weights(const float *w, size_t lane, int lanes, bool rotated, size_t point, float *u)
{
    vec d[9], e[18], f[WINO_POINTS];
    float taps[9][LANES] = {0};
    for (int k = 0; k < lanes; k++)
        for (int t = 0; t < 9; t++)
            taps[t][k] = w[(size_t)k * lane + (size_t)(rotated ? 8 - t : t)];
    memcpy(d, taps, sizeof d);
    for (int r = 0; r < 3; r++)
        row_weights(d + 3 * r, 1, e + SIDE * r, 1);
    for (int q = 0; q < SIDE; q++)
        row_weights(e + q, SIDE, f + q, SIDE);
    for (int p = 0; p < WINO_POINTS; p++)
        store(u + (size_t)p * point, &f[p]);
}

void wino_weights_back(const float *du, size_t point, size_t lane, int lanes, float *dw)
{
    vec d[WINO_POINTS], e[18], f[9];
    float taps[9][LANES];
    for (int p = 0; p < WINO_POINTS; p++)
        load(&d[p], du + (size_t)p * point);
    for (int q = 0; q < SIDE; q++)
        row_weights_back(d + q, SIDE, e + q, SIDE);
    for (int r = 0; r < 3; r++)
        row_weights_back(e + SIDE * r, 1, f + 3 * r, 1);
    memcpy(taps, f, sizeof taps);
    for (int k = 0; k < lanes; k++)
        for (int t = 0; t < 9; t++)
            dw[(size_t)k * lane + (size_t)t] = taps[t][k];
}

/* --- products --- */

struct factor { /* strides in floats: a row of the result, 16 steps of the sum, a block of columns
                 */
    const float *a, *b;
    size_t a_run, b_block;
    float *c;
    size_t c_row, c_block;
    int steps; /* of the sum */
    bool add;
};

/* c (rows, blocks of 16) = or += a (rows, steps) b (steps, blocks of 16). Within a run of 16 steps
 * a(r, s) is at r * row + s * step. */
INLINE void multiply(int rows, int blocks, size_t row, size_t step, const struct factor *f)
{
    vec acc[12][2];
    const float *a = f->a, *b = f->b;
    for (int r = 0; r < rows; r++)
        for (int k = 0; k < blocks; k++)
            acc[r][k] = (vec){0};
    for (int from = 0; from < f->steps; from += 16, a += f->a_run) {
        const int run = f->steps - from < 16 ? f->steps - from : 16;
        for (int s = 0; s < run; s++, b += LANES) {
            vec v[2];
            for (int k = 0; k < blocks; k++)
                load(&v[k], b + (size_t)k * f->b_block);
#pragma GCC unroll 12
            for (int r = 0; r < rows; r++)
                for (int k = 0; k < blocks; k++)
                    acc[r][k] += a[(size_t)r * row + (size_t)s * step] * v[k];
        }
    }
    for (int r = 0; r < rows; r++)
        for (int k = 0; k < blocks; k++) {
            float *c = f->c + (size_t)r * f->c_row + (size_t)k * f->c_block;
            vec old;
            if (f->add) {
                load(&old, c);
                acc[r][k] += old;
            }
            store(c, &acc[r][k]);
        }
}

/* The same for a last block of at most 8 channels, whose other half becomes zero. */
INLINE void multiply_half(int rows, size_t row, size_t step, const struct factor *f)
{
    half acc[12], none = {0};
    const float *a = f->a, *b = f->b;
    for (int r = 0; r < rows; r++)
        acc[r] = none;
    for (int from = 0; from < f->steps; from += 16, a += f->a_run) {
        const int run = f->steps - from < 16 ? f->steps - from : 16;
        for (int s = 0; s < run; s++, b += LANES) {
            half v;
            memcpy(&v, b, sizeof v);
#pragma GCC unroll 12
            for (int r = 0; r < rows; r++)
                acc[r] += a[(size_t)r * row + (size_t)s * step] * v;
        }
    }
    for (int r = 0; r < rows; r++) {
        float *c = f->c + (size_t)r * f->c_row;
        half old;
        if (f->add) {
            memcpy(&old, c, sizeof old);
            acc[r] += old;
        }
        memcpy(c, &acc[r], sizeof acc[r]);
        memcpy(c + LANES / 2, &none, sizeof none);
    }
}

static int blocks_at_once(int channels, int block) /* 2, 1, or 0: half a block */
{
    const int left = channels - block * LANES;
    return left <= LANES / 2 ? 0 : left > LANES + LANES / 2 ? 2 : 1;
}

/* Rows are tiles: 16 floats apart, the sum runs along them. */
static void tiles_by(int rows, int blocks, const struct factor *f)
{
    switch (rows + blocks) {
    case 14:
        multiply(12, 2, LANES, 1, f);
        break;
    case 13:
        multiply(12, 1, LANES, 1, f);
        break;
    case 12:
        multiply_half(12, LANES, 1, f);
        break;
    case 10:
        multiply(8, 2, LANES, 1, f);
        break;
    case 9:
        multiply(8, 1, LANES, 1, f);
        break;
    case 8:
        multiply_half(8, LANES, 1, f);
        break;
    case 6:
        multiply(4, 2, LANES, 1, f);
        break;
    case 5:
        multiply(4, 1, LANES, 1, f);
        break;
    case 4:
        multiply_half(4, LANES, 1, f);
        break;
    default:
        assert(0);
    }
}

void wino_product(int tiles, int in, int out, const float *v, struct wino_layout lv, const float *u,
                  float *m, struct wino_layout lm)
{
    for (int t = 0; t < tiles;) {
        const int left = tiles - t, rows = left > 8 ? 12 : left > 4 ? 8 : 4;
        for (int b = 0, step = 1; b < wino_blocks(out); b += step) {
            const int blocks = blocks_at_once(out, b);
            step = blocks ? blocks : 1;
            tiles_by(rows, blocks,
                     &(struct factor){.a = v + (size_t)t * LANES,
                                      .a_run = lv.tiles * LANES,
                                      .b = u + (size_t)b * (size_t)in * LANES,
                                      .b_block = (size_t)in * LANES,
                                      .c = m + ((size_t)b * lm.tiles + (size_t)t) * LANES,
                                      .c_row = LANES,
                                      .c_block = lm.tiles * LANES,
                                      .steps = in});
        }
        t += rows;
    }
}

/* Rows are channels, side by side; the sum runs over tiles, 16 floats apart. */
static void channels_by(int rows, int blocks, const struct factor *f)
{
    switch (rows + blocks) {
    case 10:
        multiply(8, 2, 1, LANES, f);
        break;
    case 9:
        multiply(8, 1, 1, LANES, f);
        break;
    case 8:
        multiply_half(8, 1, LANES, f);
        break;
    case 6:
        multiply(4, 2, 1, LANES, f);
        break;
    case 5:
        multiply(4, 1, 1, LANES, f);
        break;
    case 4:
        multiply_half(4, 1, LANES, f);
        break;
    default:
        assert(0);
    }
}

void wino_product_back(int tiles, int in, int out, const float *v, struct wino_layout lv,
                       const float *d, struct wino_layout ld, bool add, float *du)
{
    const size_t width = (size_t)wino_blocks(out) * LANES;
    for (int c = 0; c < in;) {
        const int rows = in - c > 4 ? 8 : 4;
        const float *a = v + (size_t)(c / LANES) * lv.tiles * LANES + c % LANES;
        for (int b = 0, step = 1; b < wino_blocks(out); b += step) {
            const int blocks = blocks_at_once(out, b);
            step = blocks ? blocks : 1;
            channels_by(rows, blocks,
                        &(struct factor){.a = a,
                                         .a_run = LANES * LANES,
                                         .b = d + (size_t)b * ld.tiles * LANES,
                                         .b_block = ld.tiles * LANES,
                                         .c = du + (size_t)c * width + (size_t)b * LANES,
                                         .c_row = width,
                                         .c_block = LANES,
                                         .steps = tiles,
                                         .add = add});
        }
        c += rows;
    }
}
