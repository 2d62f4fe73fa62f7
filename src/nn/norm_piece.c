#include "nn/norm_piece.h"

#include "nn/fetch.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#ifdef __AVX__
#include <immintrin.h>
#endif

enum { LANES = NORM_LANES, ROWS = NORM_ROWS };
#define INLINE static inline __attribute__((always_inline))

#ifdef __AVX512F__
enum { WIDE = 8 };
#else
enum { WIDE = 4 };
#endif
typedef double wide __attribute__((vector_size(WIDE * sizeof(double))));

/* --- sums --- */

/* The compiler would convert two at a time. */
INLINE void widen(wide *v, const float *x)
{
#if defined __AVX512F__
    *v = (wide)_mm512_cvtps_pd(_mm256_loadu_ps(x));
#elif defined __AVX__
    *v = (wide)_mm256_cvtps_pd(_mm_loadu_ps(x));
#else
    *v = (wide){(double)x[0], (double)x[1], (double)x[2], (double)x[3]};
#endif
}

/* s += sum of a, q += sum of a b over `rows` rows of a column. */
INLINE void add_column(const float *a, const float *b, size_t stride, int rows, double *s,
                       double *q)
{
    enum { PARTS = LANES / WIDE };
    wide sum[PARTS], product[PARTS], u, v;
    for (int k = 0; k < PARTS; k++) {
        memcpy(&sum[k], s + WIDE * k, sizeof sum[k]);
        memcpy(&product[k], q + WIDE * k, sizeof product[k]);
    }
    for (int r = 0; r < rows; r++)
        for (int k = 0; k < PARTS; k++) {
            widen(&u, a + (size_t)r * stride + WIDE * k);
            widen(&v, b + (size_t)r * stride + WIDE * k);
            sum[k] += u;
            product[k] += u * v;
        }
    for (int k = 0; k < PARTS; k++) {
        memcpy(s + WIDE * k, &sum[k], sizeof sum[k]);
        memcpy(q + WIDE * k, &product[k], sizeof product[k]);
    }
}

static void add_one(float a, float b, double *s, double *q)
{
    *s += (double)a;
    *q += (double)a * (double)b;
}

/* Rows of the block at `at` whose column at `place` is whole. */
static int rows_at(const struct norm_piece *p, size_t at, size_t place)
{
    const size_t from = at + place;
    if (at + ROWS * p->tile <= p->len) return ROWS;
    const size_t rows = from + LANES <= p->len ? (p->len - from - LANES) / p->tile + 1 : 0;
    return rows < ROWS ? (int)rows : ROWS;
}

/* The columns of a block are too far apart for the processor to see what comes next: fetches the
 * share of column `place` of the next block, in the order of memory. */
INLINE void fetch_next(const float *x, size_t len, size_t tile, size_t at, size_t place)
{
    enum { READ = 0, NEAR_L2 = 2 };
    const size_t next = at + ROWS * (tile + place);
    if (next + ROWS * LANES > len) return;
    for (int r = 0; r < ROWS; r++)
        __builtin_prefetch(x + next + r * LANES, READ, NEAR_L2);
}

void norm_sum(const struct norm_piece *p, double *s)
{
    const size_t tile = p->tile;
    memset(s, 0, 2 * tile * sizeof *s);
    for (size_t at = 0; at < p->len; at += ROWS * tile)
        for (size_t i = 0; i < tile; i += LANES) {
            const float *x = p->x + at + i;
            fetch_next(p->x, p->len, tile, at, i);
            const int rows = rows_at(p, at, i);
            if (rows == ROWS) /* a number the compiler knows */
                add_column(x, x, tile, ROWS, s + i, s + tile + i);
            else
                add_column(x, x, tile, rows, s + i, s + tile + i);
        }
    for (size_t i = p->len / LANES * LANES; i < p->len; i++)
        add_one(p->x[i], p->x[i], s + i % tile, s + tile + i % tile);
}

/* --- elements --- */

/* z, in forward and backward. */
INLINE float normal(float x, float mean, float scale, float shift)
{
    return (x - mean) * scale + shift;
}

/* Of a column at `at`: which elements survive. */
INLINE uint32_t survivors(const struct norm_piece *p, size_t at)
{
    if (!p->mask) return UINT32_MAX;
    return (uint32_t)p->mask[at / 8] | (uint32_t)p->mask[at / 8 + 1] << 8;
}

/* A column, or its first `lanes` elements; `plain`: z is the result. */
INLINE void apply(const struct norm_piece *p, size_t at, size_t place, int lanes, bool plain,
                  float *y)
{
    const float *x = p->x + at, *mean = p->mean + place, *scale = mean + p->tile,
                *shift = scale + p->tile;
    const float slope = p->slope, survivor = p->survivor;
    const uint32_t bits = survivors(p, at);
    y += at;
#pragma omp simd
    for (int k = 0; k < lanes; k++) {
        float z = normal(x[k], mean[k], scale[k], shift[k]);
        if (!plain) {
            z = z < 0.0f ? slope * z : z; /* a NaN stays one */
            z = bits >> k & 1 ? survivor * z : 0.0f;
        }
        y[k] = z;
    }
}

/* The gradient of z. */
INLINE float before(float z, float dy, float slope, float survivor, uint32_t survives)
{
    const float g = survives ? survivor * dy : 0.0f;
    return z > 0.0f ? g : slope * g;
}

INLINE void before_column(const struct norm_piece *p, const float *dy, size_t at, size_t place,
                          int lanes, bool plain, float *g, float *centred)
{
    const float *x = p->x + at, *mean = p->mean + place, *scale = mean + p->tile,
                *shift = scale + p->tile;
    const float slope = p->slope, survivor = p->survivor;
    const uint32_t bits = survivors(p, at);
    dy += at;
#pragma omp simd
    for (int k = 0; k < lanes; k++) {
        centred[k] = x[k] - mean[k];
        g[k] = plain ? dy[k]
                     : before(normal(x[k], mean[k], scale[k], shift[k]), dy[k], slope, survivor,
                              bits >> k & 1);
    }
}

INLINE void apply_back(const struct norm_piece *p, const float *dy, size_t at, size_t place,
                       int lanes, bool plain, float *dx)
{
    const float *x = p->x + at, *mean = p->mean + place, *scale = mean + p->tile,
                *shift = scale + p->tile;
    const float *a = shift + p->tile, *b = a + p->tile, *d = b + p->tile;
    const float slope = p->slope, survivor = p->survivor;
    const uint32_t bits = survivors(p, at);
    dy += at;
    dx += at;
#pragma omp simd
    for (int k = 0; k < lanes; k++) {
        const float g = plain ? dy[k]
                              : before(normal(x[k], mean[k], scale[k], shift[k]), dy[k], slope,
                                       survivor, bits >> k & 1);
        dx[k] = a[k] * g + (b[k] * (x[k] - mean[k]) + d[k]);
    }
}

/* --- passes --- */

static bool is_plain(const struct norm_piece *p)
{
    return p->slope == 1.0f && !p->mask;
}

INLINE void apply_all(const struct norm_piece *p, bool plain, float *y)
{
    size_t at = 0, place = 0;
    for (; at + LANES <= p->len; at += LANES) {
        fetch_to_read(p->x + at, LANES);
        fetch_to_write(y + at, LANES);
        apply(p, at, place, LANES, plain, y);
        place = place + LANES == p->tile ? 0 : place + LANES;
    }
    if (at < p->len) apply(p, at, place, (int)(p->len - at), plain, y);
}

void norm_apply(const struct norm_piece *p, float *y)
{
    if (is_plain(p))
        apply_all(p, true, y);
    else
        apply_all(p, false, y);
}

INLINE void sum_column_back(const struct norm_piece *p, const float *dy, size_t at, size_t place,
                            int rows, bool plain, double *s)
{
    float g[ROWS][LANES], centred[ROWS][LANES];
    for (int r = 0; r < rows; r++)
        before_column(p, dy, at + place + (size_t)r * p->tile, place, LANES, plain, g[r],
                      centred[r]);
    add_column(g[0], centred[0], LANES, rows, s + place, s + p->tile + place);
}

INLINE void sum_back(const struct norm_piece *p, const float *dy, bool plain, double *s)
{
    const size_t tile = p->tile;
    memset(s, 0, 2 * tile * sizeof *s);
    for (size_t at = 0; at < p->len; at += ROWS * tile)
        for (size_t i = 0; i < tile; i += LANES) {
            const int rows = rows_at(p, at, i);
            fetch_next(p->x, p->len, tile, at, i);
            fetch_next(dy, p->len, tile, at, i);
            if (rows == ROWS)
                sum_column_back(p, dy, at, i, ROWS, plain, s);
            else
                sum_column_back(p, dy, at, i, rows, plain, s);
        }
    const size_t rest = p->len / LANES * LANES;
    float g[LANES], centred[LANES];
    if (rest == p->len) return;
    before_column(p, dy, rest, rest % tile, (int)(p->len - rest), plain, g, centred);
    for (size_t i = rest; i < p->len; i++)
        add_one(g[i - rest], centred[i - rest], s + i % tile, s + tile + i % tile);
}

void norm_sum_back(const struct norm_piece *p, const float *dy, double *s)
{
    if (is_plain(p))
        sum_back(p, dy, true, s);
    else
        sum_back(p, dy, false, s);
}

INLINE void apply_all_back(const struct norm_piece *p, const float *dy, bool plain, float *dx)
{
    size_t at = 0, place = 0;
    for (; at + LANES <= p->len; at += LANES) {
        fetch_to_read(p->x + at, LANES);
        fetch_to_write(dx + at, LANES); /* in place: dy as well */
        apply_back(p, dy, at, place, LANES, plain, dx);
        place = place + LANES == p->tile ? 0 : place + LANES;
    }
    if (at < p->len) apply_back(p, dy, at, place, (int)(p->len - at), plain, dx);
}

void norm_apply_back(const struct norm_piece *p, const float *dy, float *dx)
{
    if (is_plain(p))
        apply_all_back(p, dy, true, dx);
    else
        apply_all_back(p, dy, false, dx);
}
