#include "nn/bf16_map.h"

#include "nn/fetch.h"

#ifdef __AVX512BF16__

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 16, SLACK = 64, STEP = BF16_SIDE };

struct bf16_map bf16_map_plain(int n, int h, int w, int c, const float *at)
{
    const size_t pixel = (size_t)c, row = pixel * (size_t)w;
    return (struct bf16_map){
        n, h, w, c, 1, {{at, NULL, c, row * (size_t)h, row, pixel}}, .slope = 1.0f};
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
    const struct bf16_run upper = {at, NULL, 2 * c, image, 2 * row, pixel};
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

size_t bf16_map_channel(const struct bf16_map *m, int rows)
{
    /* an odd number of cache lines: channels fall into different sets */
    const size_t len = STEP + (size_t)rows * (size_t)m->w + SLACK;
    return ((len + STEP - 1) / STEP | 1) * STEP;
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

INLINE void store_split(bf16 *to, size_t low, __mmask16 lanes, __m512 v)
{
    const __m256i high = high_of(v);
    _mm256_mask_storeu_epi16(to, lanes, high);
    if (low) _mm256_mask_storeu_epi16(to + low, lanes, low_of(v, high));
}

/* `n` numbers that lie together. */
INLINE void convert_run(const float *at, const float *sign, float slope, size_t n, bf16 *to,
                        size_t low)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        fetch_to_read(at + i, LANES);
        if (sign) fetch_to_read(sign + i, LANES);
        __m512 v = _mm512_loadu_ps(at + i);
        if (sign) v = back_through(v, _mm512_loadu_ps(sign + i), slope);
        const __m256i high = high_of(v);
        _mm256_storeu_si256((__m256i *)(to + i), high);
        if (low) _mm256_storeu_si256((__m256i *)(to + i + low), low_of(v, high));
    }
    if (i == n) return;
    const __mmask16 some = first((int)(n - i));
    __m512 v = _mm512_maskz_loadu_ps(some, at + i);
    if (sign) v = back_through(v, _mm512_maskz_loadu_ps(some, sign + i), slope);
    store_split(to + i, low, some, v);
}

static void convert(const float *at, const float *sign, float slope, size_t n, bf16 *to, size_t low)
{
    if (sign && low)
        convert_run(at, sign, slope, n, to, low);
    else if (sign)
        convert_run(at, sign, slope, n, to, 0);
    else if (low)
        convert_run(at, NULL, slope, n, to, low);
    else
        convert_run(at, NULL, slope, n, to, 0);
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

struct place { /* a row or pixel of each run */
    const float *at[2], *sign[2];
};

static struct place place_of(const struct bf16_map *m, int k, int i)
{
    struct place p = {0};
    for (int r = 0; r < m->runs; r++) {
        const size_t offset = (size_t)k * m->run[r].image + (size_t)i * m->run[r].row;
        p.at[r] = m->run[r].at + offset;
        p.sign[r] = m->run[r].sign ? m->run[r].sign + offset : NULL;
    }
    return p;
}

/* --- pixels --- */

/* Adds n numbers, of pixels of c channels, to the c vectors of `sum`: number i to number i mod 16
 * c, which belongs to channel i mod c. */
static void add_run(const float *at, const float *sign, float slope, size_t n, size_t c, float *sum)
{
    for (size_t i = 0, k = 0; i < n; i += LANES, k = k + 1 == c ? 0 : k + 1) {
        const __mmask16 some = first((int)(n - i < LANES ? n - i : LANES));
        __m512 v = _mm512_maskz_loadu_ps(some, at + i);
        if (sign) v = back_through(v, _mm512_maskz_loadu_ps(some, sign + i), slope);
        _mm512_storeu_ps(sum + k * LANES, _mm512_add_ps(_mm512_loadu_ps(sum + k * LANES), v));
    }
}

/* The sums of a row of a run of `len` channels, in pieces of at most MOST channels' vectors. */
static void sum_row(const struct bf16_map *m, int run, const struct place *p, double *sum)
{
    enum { MOST = 128 };
    float part[MOST * LANES];
    const struct bf16_run *r = &m->run[run];
    const bool dense = r->pixel == (size_t)r->len && r->len <= MOST;
    const size_t c = (size_t)r->len;
    if (dense) {
        memset(part, 0, c * LANES * sizeof *part);
        add_run(p->at[run], p->sign[run], m->slope, (size_t)m->w * c, c, part);
        for (size_t i = 0; i < c * LANES; i++)
            sum[i % c] += (double)part[i];
        return;
    }
    for (size_t from = 0; from < c; from += LANES) {
        const int lanes = c - from < LANES ? (int)(c - from) : LANES;
        memset(part, 0, LANES * sizeof *part);
        for (int j = 0; j < m->w; j++) {
            const size_t at = (size_t)j * r->pixel + from;
            add_run(p->at[run] + at, p->sign[run] ? p->sign[run] + at : NULL, m->slope,
                    (size_t)lanes, 1, part);
        }
        for (int k = 0; k < lanes; k++)
            sum[from + (size_t)k] += (double)part[k];
    }
}

static void pixels_row(const struct bf16_map *m, const struct place *p, bf16 *to, size_t low)
{
    if (m->runs == 1) {
        convert(p->at[0], p->sign[0], m->slope, (size_t)m->w * (size_t)m->c, to, low);
        return;
    }
    for (int j = 0; j < m->w; j++)
        for (int r = 0; r < m->runs; r++) {
            const size_t at = (size_t)j * m->run[r].pixel, len = (size_t)m->run[r].len;
            convert(p->at[r] + at, p->sign[r] ? p->sign[r] + at : NULL, m->slope, len, to, low);
            to += len;
        }
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
        pixels_row(m, &p, to, low);
        zero(to + (size_t)m->w * c, low, (size_t)gap * c);
        if (!sum || row < from + halo || row >= from + rows - halo) continue;
        for (int r = 0, channel = 0; r < m->runs; channel += m->run[r++].len)
            sum_row(m, r, &p, sum + channel);
    }
    if (end) zero(to, low, SLACK + (size_t)gap * c);
}

/* --- channels, four at a time --- */

enum { FOUR = 4 };

/* Sixteen pixels of up to four channels: vector k has those of pixels k, 4 + k, 8 + k, 12 + k. */
INLINE void load_four(const float *at, size_t pixel, int pixels, __mmask8 channels, __m512 v[FOUR])
{
    for (int k = 0; k < FOUR; k++) {
        __m128 x[FOUR];
        for (int q = 0; q < FOUR; q++) {
            const int j = 4 * q + k;
            x[q] = j < pixels ? _mm_maskz_loadu_ps(channels, at + (size_t)j * pixel)
                              : _mm_setzero_ps();
        }
        const __m256 lower = _mm256_insertf128_ps(_mm256_castps128_ps256(x[0]), x[1], 1);
        const __m256 upper = _mm256_insertf128_ps(_mm256_castps128_ps256(x[2]), x[3], 1);
        v[k] = _mm512_insertf32x8(_mm512_castps256_ps512(lower), upper, 1);
    }
}

INLINE void transpose_four(__m512 v[FOUR])
{
    const __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(v[0], v[1]));
    const __m512d b = _mm512_castps_pd(_mm512_unpackhi_ps(v[0], v[1]));
    const __m512d c = _mm512_castps_pd(_mm512_unpacklo_ps(v[2], v[3]));
    const __m512d d = _mm512_castps_pd(_mm512_unpackhi_ps(v[2], v[3]));
    v[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
    v[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
    v[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
    v[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
}

struct four { /* channels of a run, of a row */
    const float *at, *sign;
    size_t pixel;
    int channels;
    float slope;
};

struct rows { /* of the factor: distances of channels, and of copies of all channels */
    size_t channel, copy, low;
    int side;
};

/* Once for each column of the kernel, shifted. What runs over the edges is mended by edges(). */
INLINE void four_block(const struct four *f, int j, int pixels, int side, size_t low,
                       const struct rows *r, bf16 *to)
{
    const __mmask8 some = (__mmask8)((1 << f->channels) - 1);
    __m512 v[FOUR], y[FOUR];
    load_four(f->at + (size_t)j * f->pixel, f->pixel, pixels, some, v);
    if (f->sign) {
        load_four(f->sign + (size_t)j * f->pixel, f->pixel, pixels, some, y);
        for (int k = 0; k < FOUR; k++)
            v[k] = back_through(v[k], y[k], f->slope);
    }
    transpose_four(v);
    for (int k = 0; k < FOUR; k++) {
        if (k >= f->channels) break;
        const __mmask16 lanes = first(pixels);
        const __m256i high = high_of(v[k]), rest = low ? low_of(v[k], high) : high;
        for (int b = 0; b < side; b++) {
            bf16 *at = to + (size_t)b * r->copy + (size_t)k * r->channel + j + side / 2 - b;
            _mm256_mask_storeu_epi16(at, lanes, high);
            if (low) _mm256_mask_storeu_epi16(at + low, lanes, rest);
        }
    }
}

INLINE void four_row(const struct four *f, int w, int side, size_t low, const struct rows *r,
                     bf16 *to)
{
    int j = 0;
    for (; j + LANES <= w; j += LANES)
        four_block(f, j, LANES, side, low, r, to);
    if (j < w) four_block(f, j, w - j, side, low, r, to);
}

static void four_some_row(const struct four *f, int w, const struct rows *r, bf16 *to)
{
    if (r->side == 3 && r->low)
        four_row(f, w, 3, r->low, r, to);
    else if (r->side == 3)
        four_row(f, w, 3, 0, r, to);
    else
        four_row(f, w, 1, r->low, r, to);
}

/* Channels c, …, c + channels - 1 of a row, from one run after the other. */
static void channels_row(const struct bf16_map *m, const struct place *p, int c, int channels,
                         const struct rows *rows, bf16 *to)
{
    while (channels > 0) {
        const int r = c >= m->run[0].len, at = r ? c - m->run[0].len : c;
        const int left = m->run[r].len - at, here = left < channels ? left : channels;
        const struct four f = {.at = p->at[r] + at,
                               .sign = p->sign[r] ? p->sign[r] + at : NULL,
                               .pixel = m->run[r].pixel,
                               .channels = here < FOUR ? here : FOUR,
                               .slope = m->slope};
        four_some_row(&f, m->w, rows, to);
        c += f.channels;
        channels -= f.channels;
        to += (size_t)f.channels * rows->channel;
    }
}

/* A row of w pixels has been written at `to` in every copy: the copy shifted to the right lacks its
 * first pixel, where it has the last of the row before; the one shifted to the left lacks its last,
 * and has put its own first pixel before its row. */
static void edges(int w, int channels, const struct rows *r, bf16 *to)
{
    for (int c = 0; r->side == 3 && c < channels; c++) {
        bf16 *right = to + (size_t)c * r->channel, *left = right + 2 * r->copy;
        zero(right, r->low, 1);
        zero(left - 1, r->low, 1);
        zero(left + w - 1, r->low, 1);
    }
}

void bf16_map_channels(const struct bf16_map *m, int side, int from, int rows, int channel,
                       int channels, bf16 *to, size_t low)
{
    const size_t len = bf16_map_channel(m, rows), all = (size_t)rows * (size_t)m->w;
    const struct rows r = {len, len * (size_t)channels, low, side};
    for (int k = 0; k < side * channels; k++) {
        zero(to + (size_t)k * len, low, STEP);
        zero(to + (size_t)k * len + STEP + all, low, SLACK - 1);
    }
    to += STEP;
    for (int row = from; row < from + rows; row++, to += m->w) {
        int k, i;
        if (find_row(m, side / 2, row, &k, &i)) {
            const struct place p = place_of(m, k, i);
            channels_row(m, &p, channel, channels, &r, to);
        } else {
            for (k = 0; k < side * channels; k++)
                zero(to + (size_t)k * len, low, (size_t)m->w);
        }
        edges(m->w, channels, &r, to);
    }
    for (int c = 0; side == 3 && c < channels; c++) /* behind the last row */
        zero(to + (size_t)c * len, low, 1);
}

/* --- pairs --- */

INLINE void store_pairs(bf16 *to, __m256i even, __m256i odd)
{
    const __m512i upper = _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16);
    _mm512_storeu_si512(to, _mm512_or_si512(upper, _mm512_cvtepu16_epi32(even)));
}

/* `count` pixels, w of each row, rows parted by a gap. */
static void pairs_plane(const bf16 *at, size_t c, int w, int gap, int count, __mmask16 lanes,
                        bf16 *to)
{
    const size_t mend = (size_t)gap * c;
    int column = 0, p = 0;
    for (; p + 2 <= count; p += 2, to += STEP) {
        const __m256i even = _mm256_maskz_loadu_epi16(lanes, at);
        at += c;
        if (++column == w) at += mend, column = 0;
        store_pairs(to, even, _mm256_maskz_loadu_epi16(lanes, at));
        at += c;
        if (++column == w) at += mend, column = 0;
    }
    if (p < count) {
        store_pairs(to, _mm256_maskz_loadu_epi16(lanes, at), _mm256_setzero_si256());
        p += 2;
        to += STEP;
    }
    for (; p % STEP; p += 2, to += STEP)
        _mm512_storeu_si512(to, _mm512_setzero_si512());
}

void bf16_map_pairs(const struct bf16_map *m, int gap, const bf16 *pixels, size_t pixels_low,
                    int rows, int block, bf16 *to, size_t low)
{
    const __mmask16 lanes = first(m->c - block * LANES);
    const size_t tile = bf16_map_tile(m, rows);
    const bf16 *at = pixels + (size_t)gap * (size_t)m->c + (size_t)(block * LANES);
    to += (size_t)block * tile;
    pairs_plane(at, (size_t)m->c, m->w, gap, rows * m->w, lanes, to);
    if (low) pairs_plane(at + pixels_low, (size_t)m->c, m->w, gap, rows * m->w, lanes, to + low);
}

size_t bf16_map_tile(const struct bf16_map *m, int rows)
{
    return round_up((size_t)rows * (size_t)m->w, STEP) * LANES;
}

int bf16_map_blocks(int channels)
{
    return (channels + LANES - 1) / LANES;
}

/* --- weights --- */

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
