/* Convolutions that are thin on one side, on AVX-512 in float32: 3x3 ones of one or two channels,
 * as a network begins, and 1x1 ones to one or two, as it ends. They are bound by memory, so the
 * wide map is read or written once, in vectors of its channels. A pixel has `scalars` numbers on
 * the thin side: the 9 pixels around it, or its own. */
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
    MOST_THIN = 2,  /* channels */
    MOST_WIDE = 64, /* channels; at least a vector's half */
    RUN = 64,       /* pixels of a row at a time */
    PARTS = 16,     /* of all runs, each with a gradient of its own */
    MOST_SCALARS = 9 * MOST_THIN,
    QUAD = 4, /* pixels whose results fill the registers */
};

struct thin {
    struct conv_conf conf;
    bool begins;             /* 3x3; else 1x1 */
    int wide, vecs, scalars; /* channels of the wide map, and in vectors; of a pixel */
    int runs, part;          /* of a row; of a part */
    size_t row;              /* floats packed for a scalar, and of a gradient */
};

/* --- the thin side --- */

/* Scalars of the pixels of a run: number m of line r of pixel p is at line[r] + p * step + m. */
struct lines {
    const float *at[3];
    int step;
};

struct run {
    int image, i, j, count; /* from pixel j of row i on */
};

static struct run run_at(const struct thin *t, int number)
{
    const int row = number / t->runs, j = number % t->runs * RUN, left = t->conf.w - j;
    return (struct run){row / t->conf.h, row % t->conf.h, j, left < RUN ? left : RUN};
}

static size_t pixel_of(const struct thin *t, const struct run *r)
{
    return ((size_t)r->image * (size_t)t->conf.h + (size_t)r->i) * (size_t)t->conf.w + (size_t)r->j;
}

/* The rows above, at and below a run, with a pixel to the left and to the right, zero outside. */
static void lines_around(const struct thin *t, const struct run *r, const float *x,
                         float around[3][(RUN + 2) * MOST_THIN], struct lines *l)
{
    const int in = t->conf.in, from = r->j > 0 ? -1 : 0;
    const int end = r->j + r->count < t->conf.w ? r->count + 1 : r->count;
    *l = (struct lines){.at = {around[0], around[1], around[2]}, .step = in};
    for (int k = 0; k < 3; k++) {
        struct run row = *r;
        row.i += k - 1;
        memset(around[k], 0, (size_t)((RUN + 2) * MOST_THIN) * sizeof(float));
        if (row.i < 0 || row.i >= t->conf.h) continue;
        memcpy(around[k] + (from + 1) * in,
               x + (ptrdiff_t)(pixel_of(t, &row) * (size_t)in) + from * in,
               (size_t)((end - from) * in) * sizeof(float));
    }
}

/* dy passed back through the ReLU that gave y. */
static void line_of_dy(const struct thin *t, const struct run *r, const float *dy, const float *y,
                       float line[RUN * MOST_THIN], struct lines *l)
{
    const int out = t->conf.out;
    const size_t first = pixel_of(t, r) * (size_t)out;
    for (int k = 0; k < r->count * out; k++) {
        const bool above = t->conf.slope == 1.0f || y[first + (size_t)k] > 0.0f;
        line[k] = dy[first + (size_t)k] * (above ? 1.0f : t->conf.slope);
    }
    *l = (struct lines){.at = {line}, .step = out};
}

/* --- products of a run, with so many scalars in so many lines --- */

INLINE __mmask16 lanes(const struct thin *t, int vec)
{
    const int left = t->wide - vec * LANES;
    return (__mmask16)(left >= LANES ? 0xffff : (1 << left) - 1);
}

INLINE __m512 relu(__m512 x, __m512 slope)
{
    const __mmask16 below = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ); /* no NaN is */
    return _mm512_mask_mul_ps(x, below, x, slope);
}

INLINE __m512 relu_back(__m512 dy, __m512 y, __m512 slope)
{
    const __mmask16 rest = _mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_NGT_UQ);
    return _mm512_mask_mul_ps(dy, rest, dy, slope);
}

/* `pixels` pixels of the wide map: scalars times weights, plus a bias, through a ReLU. */
INLINE void spread(int nlines, int each, int pixels, const struct thin *t, const struct lines *l,
                   int p, const float *weights, const float *bias, float slope, float *to)
{
    fetch_to_write(to + p * t->wide, (size_t)(pixels * t->wide));
    for (int v = 0; v < t->vecs; v++) {
        const float *w = weights + v * LANES;
        const __m512 first = bias ? _mm512_loadu_ps(bias + v * LANES) : _mm512_setzero_ps();
        const __mmask16 in = lanes(t, v);
        __m512 sum[QUAD];
#pragma GCC unroll 4
        for (int q = 0; q < pixels; q++)
            sum[q] = first;
#pragma GCC unroll 3
        for (int r = 0; r < nlines; r++)
#pragma GCC unroll 6
            for (int m = 0; m < each; m++, w += t->row) {
                const __m512 right = _mm512_loadu_ps(w);
#pragma GCC unroll 4
                for (int q = 0; q < pixels; q++)
                    sum[q] = _mm512_fmadd_ps(_mm512_set1_ps(l->at[r][(p + q) * l->step + m]), right,
                                             sum[q]);
            }
#pragma GCC unroll 4
        for (int q = 0; q < pixels; q++)
            _mm512_mask_storeu_ps(to + (p + q) * t->wide + v * LANES, in,
                                  relu(sum[q], _mm512_set1_ps(slope)));
    }
}

/* Adds scalars times the wide map, summed over a run, to `gradient`, and to `total` (NULL: not
 * wanted) the map's own sum. `y`: the map is a gradient, which passes back through a ReLU first. */
INLINE void collect(int nlines, int each, const struct thin *t, const struct lines *l, int count,
                    const float *map, const float *y, float *gradient, float *total)
{
    const __m512 slope = _mm512_set1_ps(t->conf.slope);
    for (int v = 0; v < t->vecs; v++) {
        const __mmask16 in = lanes(t, v);
        __m512 sum[MOST_SCALARS], all = _mm512_setzero_ps();
#pragma GCC unroll 18
        for (int k = 0; k < nlines * each; k++)
            sum[k] = _mm512_setzero_ps();
        for (int p = 0; p < count; p++) {
            const size_t at = (size_t)(p * t->wide + v * LANES);
            __m512 x = _mm512_maskz_loadu_ps(in, map + at);
            if (v == 0) fetch_to_read(map + at, (size_t)t->wide);
            if (v == 0 && y) fetch_to_read(y + at, (size_t)t->wide);
            if (y) x = relu_back(x, _mm512_maskz_loadu_ps(in, y + at), slope);
            all = _mm512_add_ps(all, x);
#pragma GCC unroll 3
            for (int r = 0; r < nlines; r++)
#pragma GCC unroll 6
                for (int m = 0; m < each; m++)
                    sum[r * each + m] = _mm512_fmadd_ps(_mm512_set1_ps(l->at[r][p * l->step + m]),
                                                        x, sum[r * each + m]);
        }
        float *to = gradient + v * LANES;
#pragma GCC unroll 18
        for (int k = 0; k < nlines * each; k++, to += t->row)
            _mm512_storeu_ps(to, _mm512_add_ps(_mm512_loadu_ps(to), sum[k]));
        if (!total) continue;
        _mm512_storeu_ps(total + v * LANES, _mm512_add_ps(_mm512_loadu_ps(total + v * LANES), all));
    }
}

/* The sums of four vectors. */
INLINE __m128 sums_of(const __m512 x[QUAD])
{
    const __m512 a = _mm512_add_ps(_mm512_unpacklo_ps(x[0], x[1]), _mm512_unpackhi_ps(x[0], x[1]));
    const __m512 b = _mm512_add_ps(_mm512_unpacklo_ps(x[2], x[3]), _mm512_unpackhi_ps(x[2], x[3]));
    const __m512d lower = _mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b));
    const __m512d upper = _mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b));
    const __m512 c = _mm512_add_ps(_mm512_castpd_ps(lower), _mm512_castpd_ps(upper));
    const __m256 d = _mm256_add_ps(_mm512_castps512_ps256(c), _mm512_extractf32x8_ps(c, 1));
    return _mm_add_ps(_mm256_castps256_ps128(d), _mm256_extractf128_ps(d, 1));
}

/* Four scalars of a run, from number k on, of which the last may be beyond it: the wide map times
 * weights. */
INLINE __m128 narrow(int out, const struct thin *t, int k, int end, const float *map,
                     const float *weights)
{
    __m512 sum[QUAD];
#pragma GCC unroll 4
    for (int q = 0; q < QUAD; q++)
        sum[q] = _mm512_setzero_ps();
    for (int v = 0; v < t->vecs; v++) {
        const __mmask16 in = lanes(t, v);
#pragma GCC unroll 4
        for (int q = 0; q < QUAD; q++) {
            const int number = k + q < end ? k + q : k;
            sum[q] = _mm512_fmadd_ps(
                _mm512_maskz_loadu_ps(in, map + number / out * t->wide + v * LANES),
                _mm512_loadu_ps(weights + (size_t)(number % out) * t->row + (size_t)(v * LANES)),
                sum[q]);
        }
    }
    return sums_of(sum);
}

/* The scalars of a run, plus a bias, through a ReLU. */
INLINE void narrow_run(int out, const struct thin *t, int count, const float *map,
                       const float *weights, const float *bias, float *y)
{
    const int end = count * out;
    const __m128 add = _mm_setr_ps(bias[0], bias[1 % out], bias[2 % out], bias[3 % out]);
    for (int k = 0; k < end; k += QUAD) {
        fetch_to_read(map + k / out * t->wide, (size_t)(QUAD / out * t->wide));
        const __m128 x = _mm_add_ps(narrow(out, t, k, end, map, weights), add);
        const __mmask8 below = _mm_cmp_ps_mask(x, _mm_setzero_ps(), _CMP_LT_OQ);
        const __mmask8 in = (__mmask8)(end - k >= QUAD ? 15 : (1 << (end - k)) - 1);
        _mm_mask_storeu_ps(y + k, in, _mm_mask_mul_ps(x, below, x, _mm_set1_ps(t->conf.slope)));
    }
}

INLINE void spread_run(int nlines, int each, const struct thin *t, const struct lines *l, int count,
                       const float *weights, const float *bias, float slope, float *to)
{
    int p = 0;
    for (; p + QUAD <= count; p += QUAD)
        spread(nlines, each, QUAD, t, l, p, weights, bias, slope, to);
    for (; p < count; p++)
        spread(nlines, each, 1, t, l, p, weights, bias, slope, to);
}

/* Not inlined, so that the compiler sees one case at a time. */
typedef void spread_fn(const struct thin *t, const struct lines *l, int count, const float *weights,
                       const float *bias, float slope, float *to);
typedef void collect_fn(const struct thin *t, const struct lines *l, int count, const float *map,
                        const float *y, float *gradient, float *total);

#define CASE(nlines, each)                                                                         \
    __attribute__((noinline)) static void spread_##nlines##_##each(                                \
        const struct thin *t, const struct lines *l, int count, const float *weights,              \
        const float *bias, float slope, float *to)                                                 \
    {                                                                                              \
        spread_run(nlines, each, t, l, count, weights, bias, slope, to);                           \
    }                                                                                              \
    __attribute__((noinline)) static void collect_##nlines##_##each(                               \
        const struct thin *t, const struct lines *l, int count, const float *map, const float *y,  \
        float *gradient, float *total)                                                             \
    {                                                                                              \
        collect(nlines, each, t, l, count, map, y, gradient, total);                               \
    }
CASE(1, 1)
CASE(1, 2)
CASE(3, 3)
CASE(3, 6)

/* By whether the network begins with it, and the channels of the thin side - 1 */
static spread_fn *const spreads[2][MOST_THIN] = {{spread_1_1, spread_1_2},
                                                 {spread_3_3, spread_3_6}};
static collect_fn *const collects[2][MOST_THIN] = {{collect_1_1, collect_1_2},
                                                   {collect_3_3, collect_3_6}};

/* --- plan --- */

static bool takes(const struct conv_conf *c, enum dn_isa isa)
{
    const bool begins = c->side == 3 && !c->backward_data, ends = c->side == 1;
    const int thin = begins ? c->in : c->out, wide = begins ? c->out : c->in;
    return c->precision != NN_FP32_DIRECT && (begins || ends) && thin <= MOST_THIN &&
           wide >= LANES / 2 && wide <= MOST_WIDE && isa >= DN_ISA_AVX512;
}

static int all_runs(const struct thin *t)
{
    return t->conf.n * t->conf.h * t->runs;
}

/* Bytes of a part: its gradient, sums of the wide map, sums of dy on the thin side. */
static size_t gradient_bytes(const struct thin *t)
{
    return (size_t)(t->scalars + 1) * t->row * sizeof(float);
}

static size_t part_bytes(const struct thin *t)
{
    return gradient_bytes(t) + mem_lines(MOST_THIN * sizeof(double));
}

static void *make(const struct conv_conf *c, enum dn_isa isa, struct dn *d, struct conv_need *need,
                  struct err *e)
{
    (void)isa;
    (void)d;
    struct thin *t = mem_new(1, sizeof *t, e);
    if (!t) return NULL;
    t->conf = *c;
    t->begins = c->side == 3;
    t->wide = t->begins ? c->out : c->in;
    t->vecs = divide_up(t->wide, LANES);
    t->scalars = t->begins ? 9 * c->in : c->out;
    t->row = (size_t)(t->vecs * LANES);
    t->runs = divide_up(c->w, RUN);
    t->part = divide_up(all_runs(t), PARTS);
    need->packed = ((size_t)t->scalars + 1) * t->row * sizeof(float);
    need->backward = c->backward_weights ? PARTS * part_bytes(t) : 0;
    return t;
}

/* Where the stored weight is of a scalar and a channel of the wide map: (out, in, side, side). */
static size_t stored_at(const struct thin *t, int scalar, int channel)
{
    const int in = t->conf.in;
    if (!t->begins) return (size_t)(scalar * in + channel);
    return (size_t)((channel * in + scalar % in) * 9 + scalar / in);
}

/* Weights, a row for each scalar, and the bias. */
static void pack(const void *state, const float *weights, const float *bias, void *packed)
{
    const struct thin *t = state;
    float *u = packed;
    memset(u, 0, ((size_t)t->scalars + 1) * t->row * sizeof *u);
    for (int k = 0; k < t->scalars; k++)
        for (int c = 0; c < t->wide; c++)
            u[(size_t)k * t->row + (size_t)c] = weights[stored_at(t, k, c)];
    if (bias) memcpy(u + (size_t)t->scalars * t->row, bias, (size_t)t->conf.out * sizeof *u);
}

/* --- passes --- */

static void forward(const void *state, const struct conv_x *x, const void *packed, float *y,
                    double *sums, void *scratch)
{
    (void)sums, (void)scratch; /* need has none */
    const struct thin *t = state;
    const float *weights = packed, *bias = weights + (size_t)t->scalars * t->row;
#pragma omp parallel for
    for (int k = 0; k < all_runs(t); k++) {
        const struct run r = run_at(t, k);
        float *to = y + pixel_of(t, &r) * (size_t)t->conf.out;
        if (t->begins) {
            float around[3][(RUN + 2) * MOST_THIN];
            struct lines l;
            lines_around(t, &r, x->at[0], around, &l);
            spreads[1][t->conf.in - 1](t, &l, r.count, weights, bias, t->conf.slope, to);
        } else {
            const float *from = x->at[0] + pixel_of(t, &r) * (size_t)t->conf.in;
            if (t->conf.out == 1)
                narrow_run(1, t, r.count, from, weights, bias, to);
            else
                narrow_run(2, t, r.count, from, weights, bias, to);
        }
    }
}

static void backward_begin(const struct thin *t, const struct run *r, const struct conv_gradient *g,
                           float *gradient)
{
    float around[3][(RUN + 2) * MOST_THIN];
    struct lines l;
    const size_t at = pixel_of(t, r) * (size_t)t->wide;
    const float *y = t->conf.slope == 1.0f ? NULL : g->y + at;
    lines_around(t, r, g->x.at[0], around, &l);
    collects[1][t->conf.in - 1](t, &l, r->count, g->dy + at, y, gradient,
                                gradient + (size_t)t->scalars * t->row);
}

static void backward_end(const struct thin *t, const struct run *r, const struct conv_gradient *g,
                         float *gradient, double *sums)
{
    float line[RUN * MOST_THIN];
    struct lines l;
    const int out = t->conf.out;
    const size_t at = pixel_of(t, r) * (size_t)t->wide;
    line_of_dy(t, r, g->dy, g->y, line, &l);
    if (g->dx[0]) spreads[0][out - 1](t, &l, r->count, g->packed, NULL, 1.0f, g->dx[0] + at);
    if (!gradient) return;
    collects[0][out - 1](t, &l, r->count, g->x.at[0] + at, NULL, gradient, NULL);
    for (int k = 0; k < r->count * out; k++)
        sums[k % out] += (double)line[k];
}

/* Adds the parts up, in order. */
static void finish(const struct thin *t, const unsigned char *parts, float *dw, float *db)
{
    const size_t part = part_bytes(t);
    for (int k = 0; k < t->scalars; k++)
        for (int c = 0; c < t->wide; c++) {
            double sum = 0.0;
            for (size_t p = 0; p < PARTS; p++)
                sum += (double)((const float *)(parts + p * part))[(size_t)k * t->row + (size_t)c];
            dw[stored_at(t, k, c)] = (float)sum;
        }
    for (int o = 0; db && o < t->conf.out; o++) {
        double sum = 0.0;
        for (size_t p = 0; p < PARTS; p++) {
            const float *total = (const float *)(parts + p * part) + (size_t)t->scalars * t->row;
            const double *sums = (const double *)(parts + p * part + gradient_bytes(t));
            sum += t->begins ? (double)total[o] : sums[o];
        }
        db[o] = (float)sum;
    }
}

static void backward(const void *state, const struct conv_gradient *g)
{
    const struct thin *t = state;
    unsigned char *parts = g->scratch;
    if (g->dw) memset(parts, 0, PARTS * part_bytes(t));
#pragma omp parallel for schedule(dynamic)
    for (int p = 0; p < PARTS; p++) {
        unsigned char *at = parts + (size_t)p * part_bytes(t);
        const int end = (p + 1) * t->part;
        for (int k = p * t->part; k < end && k < all_runs(t); k++) {
            const struct run r = run_at(t, k);
            if (t->begins)
                backward_begin(t, &r, g, (float *)at);
            else
                backward_end(t, &r, g, g->dw ? (float *)at : NULL,
                             (double *)(at + gradient_bytes(t)));
        }
    }
    if (g->dw) finish(t, parts, g->dw, g->db);
}

static void describe(const void *state, char *text, size_t size)
{
    (void)state;
    snprintf(text, size, "own thin avx512");
}

const struct conv_kernel conv_thin = {.name = "thin",
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

const struct conv_kernel conv_thin = {.name = "thin", .takes = takes_nothing};

#endif
