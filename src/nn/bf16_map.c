#include "nn/bf16_map.h"

#include "nn/fetch.h"

#ifdef __AVX512BF16__

#include <assert.h>
#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 16, SLACK = 64, STEP = BF16_SIDE };
enum { MOST = BF16_MAP_MOST + 2 * LANES }; /* sums: a run may end within a vector */

struct bf16_map bf16_map_plain(int n, int h, int w, int c, const float *at)
{
    const size_t pixel = (size_t)c, row = pixel * (size_t)w;
    return (struct bf16_map){
        n,
        h,
        w,
        c,
        1,
        {{.at = at, .len = c, .image = row * (size_t)h, .row = row, .pixel = pixel}},
        .slope = 1.0f};
}

struct bf16_map bf16_map_joined(int n, int h, int w, int ca, const float *a, int cb, const float *b)
{
    struct bf16_map m = bf16_map_plain(n, h, w, ca, a);
    m.run[1] = bf16_map_plain(n, h, w, cb, b).run[0];
    m.runs = 2;
    m.c = ca + cb;
    return m;
}

struct bf16_map bf16_map_up(int n, int h, int w, int c, const float *at)
{
    const size_t pixel = 2 * (size_t)c, row = pixel * (size_t)w, image = 2 * row * (size_t)h;
    const struct bf16_run upper = {
        .at = at, .len = 2 * c, .image = image, .row = 2 * row, .pixel = pixel};
    struct bf16_run lower = upper;
    lower.at = at + row;
    return (struct bf16_map){n, h, w, 4 * c, 2, {upper, lower}, .slope = 1.0f};
}

void bf16_map_relu(struct bf16_map *m, float slope, const float *y)
{
    m->slope = slope;
    if (slope == 1.0f) return;
    for (int k = m->runs; k-- > 0;)
        m->run[k].sign = y + (m->run[k].at - m->run[0].at);
}

int bf16_map_rows(const struct bf16_map *m, int gap)
{
    return m->n * (m->h + gap) + gap;
}

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

size_t bf16_map_pixels_len(const struct bf16_map *m, int gap, int rows)
{
    /* the results of a gap are computed and thrown away: its neighbours on the right are read */
    const size_t pixels = (size_t)(2 * gap) + (size_t)rows * (size_t)(m->w + gap);
    return round_up(pixels * (size_t)m->c + SLACK, STEP);
}

struct bf16_map bf16_map_part(const struct bf16_map *m, int from, int channels)
{
    struct bf16_map part = *m;
    part.c = channels;
    part.runs = 0;
    for (int r = 0; r < m->runs && channels > 0; from -= m->run[r++].len) {
        if (from >= m->run[r].len) continue;
        struct bf16_run *run = &part.run[part.runs++];
        *run = m->run[r];
        run->at += from;
        if (run->sign) run->sign += from;
        if (run->norm.at) run->norm.at += from;
        run->len = run->len - from < channels ? run->len - from : channels;
        channels -= run->len;
        from += run->len;
    }
    return part;
}

/* --- vectors --- */

INLINE __mmask16 first(int lanes)
{
    return (__mmask16)(lanes >= LANES ? 0xffff : lanes <= 0 ? 0 : (1 << lanes) - 1);
}

INLINE __m256i high_of(__m512 v)
{
    return (__m256i)_mm512_cvtneps_pbh(v);
}

INLINE __m256i low_of(__m512 v, __m256i high)
{
    const __m512i back = _mm512_slli_epi32(_mm512_cvtepu16_epi32(high), 16);
    return high_of(_mm512_sub_ps(v, _mm512_castsi512_ps(back)));
}

INLINE __m512 back_through(__m512 d, __m512 y, float slope)
{
    const __mmask16 dead = _mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_NGT_UQ);
    return _mm512_mask_mul_ps(d, dead, d, _mm512_set1_ps(slope));
}

struct numbers {            /* that lie together */
    const float *at, *sign; /* sign: or NULL (struct bf16_run) */
    float slope;
    struct bf16_norm norm; /* its vectors are those of the numbers, again and again */
    float *sum;            /* or NULL; vector i is added to number i mod `sums` */
    int sums;
    size_t n;
};

/* What is known where it is compiled. */
struct way {
    bool back, norm, sum, split;
};

INLINE __m512 normalised(const struct bf16_norm *n, size_t place, __mmask16 some, __m512 x)
{
    const float *at = n->at + place;
    const __m512 mean = _mm512_maskz_loadu_ps(some, at);
    const __m512 scale = _mm512_maskz_loadu_ps(some, at + n->tile);
    const __m512 shift = _mm512_maskz_loadu_ps(some, at + 2 * n->tile);
    const __m512 z = _mm512_fmadd_ps(_mm512_sub_ps(x, mean), scale, shift);
    const __mmask16 below = _mm512_cmp_ps_mask(z, _mm512_setzero_ps(), _CMP_LT_OQ); /* no NaN is */
    return _mm512_mask_mul_ps(z, below, z, _mm512_set1_ps(n->slope));
}

INLINE void convert_vector(const struct numbers *f, struct way way, size_t i, size_t place, int sum,
                           __mmask16 some, bf16 *to, size_t low)
{
    __m512 v = _mm512_maskz_loadu_ps(some, f->at + i);
    if (way.norm) v = normalised(&f->norm, place, some, v);
    if (way.back) v = back_through(v, _mm512_maskz_loadu_ps(some, f->sign + i), f->slope);
    const __m256i high = high_of(v);
    _mm256_mask_storeu_epi16(to + i, some, high);
    if (way.split) _mm256_mask_storeu_epi16(to + i + low, some, low_of(v, high));
    if (!way.sum) return;
    float *s = f->sum + sum * LANES;
    _mm512_store_ps(s, _mm512_add_ps(_mm512_load_ps(s), v));
}

INLINE void convert_run(const struct numbers *f, struct way way, bf16 *to, size_t low)
{
    size_t i = 0, place = 0;
    int sum = 0;
    for (; i + LANES <= f->n; i += LANES) {
        fetch_to_read(f->at + i, LANES);
        if (way.back) fetch_to_read(f->sign + i, LANES);
        convert_vector(f, way, i, place, sum, first(LANES), to, low);
        if (way.norm) place = place + LANES == f->norm.tile ? 0 : place + LANES;
        if (way.sum) sum = sum + 1 == f->sums ? 0 : sum + 1;
    }
    if (i < f->n) convert_vector(f, way, i, place, sum, first((int)(f->n - i)), to, low);
}

INLINE void convert_planes(const struct numbers *f, struct way way, bf16 *to, size_t low)
{
    if (low)
        convert_run(f, (struct way){way.back, way.norm, way.sum, true}, to, low);
    else
        convert_run(f, (struct way){way.back, way.norm, way.sum, false}, to, 0);
}

static void convert(const struct numbers *f, bf16 *to, size_t low)
{
    assert(!f->norm.at || (!f->sign && !f->sum)); /* x has the one, dy the others */
    if (f->norm.at)
        convert_planes(f, (struct way){.norm = true}, to, low);
    else if (f->sign && f->sum)
        convert_planes(f, (struct way){.back = true, .sum = true}, to, low);
    else if (f->sign)
        convert_planes(f, (struct way){.back = true}, to, low);
    else if (f->sum)
        convert_planes(f, (struct way){.sum = true}, to, low);
    else
        convert_planes(f, (struct way){.sum = false}, to, low);
}

static void zero(bf16 *to, size_t low, size_t n)
{
    memset(to, 0, n * sizeof *to);
    if (low) memset(to + low, 0, n * sizeof *to);
}

/* --- places --- */

/* Whether row `row` of the batch is one of an image, and which: image `*k`, row `*i` of it. */
static bool find_row(const struct bf16_map *m, int gap, int row, int *k, int *i)
{
    *k = row / (m->h + gap);
    *i = row % (m->h + gap) - gap;
    return *i >= 0 && *k < m->n;
}

struct place { /* a row of each run */
    const float *at[2], *sign[2];
    struct bf16_norm norm[2];
};

static struct place place_of(const struct bf16_map *m, int k, int i)
{
    struct place p = {0};
    for (int r = 0; r < m->runs; r++) {
        const size_t offset = (size_t)k * m->run[r].image + (size_t)i * m->run[r].row;
        p.at[r] = m->run[r].at + offset;
        p.sign[r] = m->run[r].sign ? m->run[r].sign + offset : NULL;
        p.norm[r] = m->run[r].norm;
        if (p.norm[r].at) p.norm[r].at += 3 * p.norm[r].tile * (size_t)k;
    }
    return p;
}

/* --- pixels --- */

/* Vectors after which the channels of a dense row begin again, some times over: so many sums do
 * not wait for each other. */
static int period(int c)
{
    enum { AT_ONCE = 8 };
    int vectors = c;
    while (vectors % 2 == 0 && vectors * LANES / 2 % c == 0)
        vectors /= 2;
    return (AT_ONCE + vectors - 1) / vectors * vectors;
}

/* Whether a row is one run of numbers. */
static bool dense(const struct bf16_map *m)
{
    return m->runs == 1 && m->run[0].pixel == (size_t)m->c && period(m->c) * LANES <= MOST;
}

/* With the sum of each channel, if `sum`. */
static void dense_row(const struct bf16_map *m, const struct place *p, bf16 *to, size_t low,
                      double *sum)
{
    _Alignas(64) float part[MOST];
    const struct numbers f = {.at = p->at[0],
                              .sign = p->sign[0],
                              .slope = m->slope,
                              .norm = p->norm[0],
                              .sum = sum ? part : NULL,
                              .sums = period(m->c),
                              .n = (size_t)m->w * (size_t)m->c};
    const int numbers = f.sums * LANES;
    if (sum) memset(part, 0, (size_t)numbers * sizeof *part);
    convert(&f, to, low);
    for (int i = 0, c = 0; sum && i < numbers; i++, c = c + 1 == m->c ? 0 : c + 1)
        sum[c] += (double)part[i];
}

/* The sums of a run begin at a vector of their own. */
static void pixels_row(const struct bf16_map *m, const struct place *p, bf16 *to, size_t low,
                       double *sum)
{
    _Alignas(64) float part[MOST];
    const int second = (m->run[0].len + LANES - 1) / LANES * LANES;
    if (sum) memset(part, 0, (size_t)(m->c + 2 * LANES) * sizeof *part);
    struct numbers f[2];
    for (int r = 0; r < m->runs; r++)
        f[r] = (struct numbers){.at = p->at[r],
                                .sign = p->sign[r],
                                .slope = m->slope,
                                .norm = p->norm[r],
                                .sum = sum ? part + r * second : NULL,
                                .sums = MOST,
                                .n = (size_t)m->run[r].len};
    for (int j = 0; j < m->w; j++)
        for (int r = 0; r < m->runs; r++) {
            convert(&f[r], to, low);
            f[r].at += m->run[r].pixel;
            if (f[r].sign) f[r].sign += m->run[r].pixel;
            to += f[r].n;
        }
    for (int c = 0; sum && c < m->c; c++)
        sum[c] += (double)part[c < m->run[0].len ? c : second + c - m->run[0].len];
}

void bf16_map_pixels(const struct bf16_map *m, int gap, int from, int rows, bool begin, bool end,
                     bf16 *to, size_t low, int halo, double *sum)
{
    const size_t c = (size_t)m->c, width = (size_t)(m->w + gap) * c;
    if (begin) zero(to, low, (size_t)gap * c);
    to += (size_t)gap * c;
    for (int row = from; row < from + rows; row++, to += width) {
        int k, i;
        if (!find_row(m, gap, row, &k, &i)) {
            zero(to, low, width);
            continue;
        }
        const struct place p = place_of(m, k, i);
        double *const sum_here = row < from + halo || row >= from + rows - halo ? NULL : sum;
        (dense(m) ? dense_row : pixels_row)(m, &p, to, low, sum_here);
        zero(to + (size_t)m->w * c, low, (size_t)gap * c);
    }
    if (end) zero(to, low, SLACK + (size_t)gap * c);
}

/* --- pairs, and turned --- */

/* 16 numbers as the lower halves of 32-bit words; the upper ones are zero. */
INLINE __m512i lower(const bf16 *at, __mmask16 lanes)
{
    return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes, at));
}

INLINE __m512i pair(__m512i even, __m512i odd)
{
    return _mm512_or_si512(even, _mm512_slli_epi32(odd, 16));
}

void bf16_map_pairs(const bf16 *pixels, size_t pixel, int lanes, int pairs, bf16 *even, bf16 *odd)
{
    const __mmask16 some = first(lanes);
    __m512i a = lower(pixels, some);
    for (int k = 0; k < pairs; k++, pixels += 2 * pixel) {
        const __m512i b = lower(pixels + pixel, some), c = lower(pixels + 2 * pixel, some);
        _mm512_storeu_si512(even + (size_t)k * STEP, pair(a, b));
        if (odd) _mm512_storeu_si512(odd + (size_t)k * STEP, pair(b, c));
        a = c;
    }
}

/* A 16 x 16 matrix of 32-bit words: row i of the result is column i. */
INLINE void transpose(__m512i v[LANES])
{
    __m512i t[LANES];
#pragma GCC unroll 8
    for (int k = 0; k < LANES; k += 2) {
        t[k] = _mm512_unpacklo_epi32(v[k], v[k + 1]);
        t[k + 1] = _mm512_unpackhi_epi32(v[k], v[k + 1]);
    }
#pragma GCC unroll 4
    for (int k = 0; k < LANES; k += 4) /* v[k + i]: column i mod 4 of rows k to k + 3 */
#pragma GCC unroll 2
        for (int i = 0; i < 2; i++) {
            v[k + 2 * i] = _mm512_unpacklo_epi64(t[k + i], t[k + 2 + i]);
            v[k + 2 * i + 1] = _mm512_unpackhi_epi64(t[k + i], t[k + 2 + i]);
        }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        const __m512i a = _mm512_shuffle_i32x4(v[i], v[4 + i], 0x88);
        const __m512i b = _mm512_shuffle_i32x4(v[i], v[4 + i], 0xdd);
        const __m512i c = _mm512_shuffle_i32x4(v[8 + i], v[12 + i], 0x88);
        const __m512i d = _mm512_shuffle_i32x4(v[8 + i], v[12 + i], 0xdd);
        t[i] = _mm512_shuffle_i32x4(a, c, 0x88);
        t[8 + i] = _mm512_shuffle_i32x4(a, c, 0xdd);
        t[4 + i] = _mm512_shuffle_i32x4(b, d, 0x88);
        t[12 + i] = _mm512_shuffle_i32x4(b, d, 0xdd);
    }
#pragma GCC unroll 16
    for (int k = 0; k < LANES; k++)
        v[k] = t[k];
}

/* Up to 32 pixels, of which the first `count` are read, and `all` written. */
INLINE void turn(const bf16 *pixels, size_t pixel, int lanes, int count, int all, bf16 *to,
                 size_t channel)
{
    const __mmask16 some = first(lanes);
    __m512i v[LANES];
#pragma GCC unroll 16
    for (int k = 0; k < LANES; k++) {
        const __mmask16 even = 2 * k < count ? some : 0, odd = 2 * k + 1 < count ? some : 0;
        v[k] = pair(lower(pixels + (size_t)(2 * k) * pixel, even),
                    lower(pixels + (size_t)(2 * k + 1) * pixel, odd));
    }
    transpose(v);
    const __mmask32 kept = all >= STEP ? 0xffffffff : (1u << all) - 1;
#pragma GCC unroll 16
    for (int k = 0; k < LANES; k++)
        if (k < lanes) _mm512_mask_storeu_epi16(to + (size_t)k * channel, kept, v[k]);
}

void bf16_map_turned(const bf16 *pixels, size_t pixel, int lanes, int count, int all, bf16 *to,
                     size_t channel)
{
    for (; count >= STEP; count -= STEP, all -= STEP, to += STEP, pixels += STEP * pixel)
        if (lanes == LANES) /* numbers the compiler knows */
            turn(pixels, pixel, LANES, STEP, STEP, to, channel);
        else
            turn(pixels, pixel, lanes, STEP, STEP, to, channel);
    for (; all > 0; count = 0, all -= STEP, to += STEP)
        turn(pixels, pixel, lanes, count, all, to, channel);
}

/* --- weights --- */

INLINE void store_pairs(bf16 *to, __m256i even, __m256i odd)
{
    _mm512_storeu_si512(to, pair(_mm512_cvtepu16_epi32(even), _mm512_cvtepu16_epi32(odd)));
}

INLINE __m512 gather(const float *at, __mmask16 lanes, __m512i index)
{
    if (!at) return _mm512_setzero_ps();
    return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), lanes, index, at, 4);
}

void bf16_map_weights(const float *even, const float *odd, const int *column, int columns, bf16 *to,
                      size_t low)
{
    const __m512i index = _mm512_loadu_si512(column);
    const __m512 a = gather(even, first(columns), index), b = gather(odd, first(columns), index);
    const __m256i e = high_of(a), o = high_of(b);
    store_pairs(to, e, o);
    if (low) store_pairs(to + low, low_of(a, e), low_of(b, o));
}

#endif
