#include "nn/winograd_vector.h"

#include <assert.h>
#include <string.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

typedef int bits __attribute__((vector_size(64)));

/* --- memory --- */

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

/* Lanes from, …, to - 1 from p + lane; the others stay. */
INLINE void load_between(vec *v, const float *p, int from, int to)
{
#ifdef __AVX512F__
    const __mmask16 in = (__mmask16)((1u << to) - (1u << from));
    *v = (vec)_mm512_mask_loadu_ps((__m512)*v, in, p);
#else
    float all[LANES];
    store(all, v);
    memcpy(all + from, p + from, (size_t)(to - from) * sizeof(float));
    load(v, all);
#endif
}

/* 4 or 8 lanes each from p, p + apart, …: a narrow block of tiles side by side. */
INLINE void load_narrow(vec *v, const float *p, ptrdiff_t apart, int tail)
{
#ifdef __AVX512DQ__
    __m512 d = tail == 4 ? _mm512_broadcast_f32x4(_mm_loadu_ps(p))
                         : _mm512_broadcast_f32x8(_mm256_loadu_ps(p));
    if (tail == 4) {
        d = _mm512_mask_broadcast_f32x4(d, 0x00f0, _mm_loadu_ps(p + apart));
        d = _mm512_mask_broadcast_f32x4(d, 0x0f00, _mm_loadu_ps(p + 2 * apart));
        d = _mm512_mask_broadcast_f32x4(d, 0xf000, _mm_loadu_ps(p + 3 * apart));
    } else {
        d = _mm512_mask_broadcast_f32x8(d, 0xff00, _mm256_loadu_ps(p + apart));
    }
    *v = (vec)d;
#else
    float all[LANES];
    for (int k = 0; k < LANES; k += tail)
        memcpy(all + k, p + k / tail * apart, (size_t)tail * sizeof(float));
    load(v, all);
#endif
}

INLINE void store_narrow(float *p, const vec *v, ptrdiff_t apart, int tail)
{
#ifdef __AVX512DQ__
    const __m512 d = (__m512)*v;
    if (tail == 4) {
        _mm_storeu_ps(p, _mm512_castps512_ps128(d));
        _mm_storeu_ps(p + apart, _mm512_extractf32x4_ps(d, 1));
        _mm_storeu_ps(p + 2 * apart, _mm512_extractf32x4_ps(d, 2));
        _mm_storeu_ps(p + 3 * apart, _mm512_extractf32x4_ps(d, 3));
    } else {
        _mm256_storeu_ps(p, _mm512_castps512_ps256(d));
        _mm256_storeu_ps(p + apart, _mm512_extractf32x8_ps(d, 1));
    }
#else
    float all[LANES];
    store(all, v);
    for (int k = 0; k < LANES; k += tail)
        memcpy(p + k / tail * apart, all + k, (size_t)tail * sizeof(float));
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
    assert(tiles % 4 == 0);
    const int rest = channels % LANES, tail = rest == 0 || rest > 8 ? 0 : rest > 4 ? 8 : 4;
    const int full = wino_blocks(channels) - (tail > 0);
    /* an odd number of lines between points: they fall into different sets of the cache */
    const size_t lines = (size_t)(tiles * (full * LANES + tail) / LANES) | 1;
    return (struct wino_layout){lines * LANES, (size_t)tiles, full, tail};
}

size_t wino_layout_len(struct wino_layout l)
{
    return WINO_POINTS * l.point;
}

struct spot { /* upper left pixel of a tile */
    int image, i, j;
};

static struct spot spot_of(const struct wino_map *m, int tile)
{
    const int rows = across(m->h), cols = across(m->w);
    const int row = tile / cols, image = row / rows;
    return (struct spot){image, (row - image * rows) * TILE, (tile - row * cols) * TILE};
}

static int lanes_of(int channels, int block)
{
    const int left = channels - block * LANES;
    return left < LANES ? left : LANES;
}

/* A block of channels within one of two joined maps. */
struct run {
    ptrdiff_t at; /* of the first lane of the block at the first pixel, were it in this map */
    ptrdiff_t pixel, row; /* floats from one to the next */
    int from, to;         /* lanes that are */
};

static struct run run_of(const struct wino_map *m, int which, int block)
{
    const int channels = which ? m->c - m->first : m->first, first = which ? m->first : 0;
    const int from = first - block * LANES, to = from + channels, lanes = lanes_of(m->c, block);
    return (struct run){.at = -from,
                        .pixel = channels,
                        .row = (ptrdiff_t)m->w * channels,
                        .from = from > 0 ? from : 0,
                        .to = to < lanes ? to : lanes};
}

/* Which of two maps a block is in, the second if it is in both. */
static int map_of(const struct wino_map *m, int block)
{
    return block * LANES + lanes_of(m->c, block) > m->first;
}

static bool in_both(const struct wino_map *m, int block)
{
    return map_of(m, block) && block * LANES < m->first;
}

/* Where to read, within one block of channels. */
struct source {
    const float *x, *y; /* y NULL: no ReLU */
    float slope;
    int h, w, lanes;      /* of an image */
    ptrdiff_t pixel, row; /* floats from one to the next */
    /* Of a block in both maps: the first one, with `split` lanes; NULL: of any other */
    const float *left;
    ptrdiff_t left_pixel, left_row;
    int split;
};

static struct source source_of(const struct wino_map *m, const float *const x[2],
                               struct wino_relu relu, int block)
{
    const int which = map_of(m, block);
    const struct run r = run_of(m, which, block);
    struct source s = {.x = x[which] + r.at,
                       .y = relu.y ? relu.y + r.at : NULL,
                       .slope = relu.slope,
                       .h = m->h,
                       .w = m->w,
                       .lanes = r.to,
                       .pixel = r.pixel,
                       .row = r.row};
    if (in_both(m, block)) {
        const struct run left = run_of(m, 0, block);
        s.left = x[0] + left.at;
        s.left_pixel = left.pixel;
        s.left_row = left.row;
        s.split = left.to;
    }
    return s;
}

static struct source in_image(const struct source *s, int image)
{
    const ptrdiff_t rows = (ptrdiff_t)image * s->h;
    struct source t = *s;
    t.x += rows * s->row;
    if (s->y) t.y += rows * s->row;
    if (s->left) t.left += rows * s->left_row;
    return t;
}

/* What a vector is made of: one tile's pixel, one in both maps, or those of a narrow block of 4 or
 * 8 channels of as many tiles side by side as fill it; all but the second may lie behind a ReLU. */
enum kind { PLAIN, BEHIND, JOINED, FOURS, FOURS_BEHIND, EIGHTS, EIGHTS_BEHIND, KINDS };

static enum kind kind_of(const struct source *s)
{
    return s->left ? JOINED : s->y ? BEHIND : PLAIN;
}

static enum kind narrow_kind(const struct source *s, int tail)
{
    return (tail == 4 ? FOURS : EIGHTS) + (s->y != NULL);
}

INLINE int tail_of(enum kind kind) /* 0: of a wide block */
{
    return kind >= EIGHTS ? 8 : kind >= FOURS ? 4 : 0;
}

/* What passes back through the ReLU that gave y: x where y > 0, slope x elsewhere. */
INLINE void pass_back(vec *x, const vec *y, float slope)
{
#ifdef __AVX512F__
    const __mmask16 rest = _mm512_cmp_ps_mask((__m512)*y, _mm512_setzero_ps(), _CMP_NGT_UQ);
    *x = (vec)_mm512_mask_mul_ps((__m512)*x, rest, (__m512)*x, _mm512_set1_ps(slope));
#else
    const bits above = *y > 0.0f;
    *x = (vec)(((bits)*x & above) | ((bits)(slope * *x) & ~above));
#endif
}

INLINE void read_map(const struct source *s, const float *p, enum kind kind, vec *d)
{
    const int tail = tail_of(kind);
    if (tail)
        load_narrow(d, p, TILE * s->pixel, tail);
    else
        load_some(d, p, s->lanes);
}

INLINE void read_pixel(const struct source *s, int i, int j, enum kind kind, vec *d)
{
    const ptrdiff_t at = i * s->row + j * s->pixel;
    if (kind == JOINED) {
        load_some(d, s->left + i * s->left_row + j * s->left_pixel, s->split);
        load_between(d, s->x + at, s->split, s->lanes);
        return;
    }
    read_map(s, s->x + at, kind, d);
    if (kind == BEHIND || kind == FOURS_BEHIND || kind == EIGHTS_BEHIND) {
        vec y;
        read_map(s, s->y + at, kind, &y);
        pass_back(d, &y, s->slope);
    }
}

/* `side` pixels of row i from column j on; zeros outside of the map, of which there are none if
 * `inside`. */
INLINE void read_row(const struct source *s, int i, int j, int side, bool inside, enum kind kind,
                     vec *d)
{
    const bool row = inside || (i >= 0 && i < s->h);
#pragma GCC unroll 6
    for (int q = 0; q < side; q++)
        if (inside || (row && j + q >= 0 && j + q < s->w))
            read_pixel(s, i, j + q, kind, &d[q]);
        else
            d[q] = (vec){0};
}

static bool all_inside(const struct source *s, int i, int j, int side)
{
    return i >= 0 && j >= 0 && i + side <= s->h && j + side <= s->w;
}

/* --- transforms of a row or column --- */

INLINE void row_input(const vec *d, vec *t) /* B^T */
{
    const vec even_a = d[4] - 2.0f * d[2], odd_a = d[3] - 2.0f * d[1];
    const vec even_b = d[4] - 0.5f * d[2], odd_b = d[3] - 0.5f * d[1];
    t[0] = d[0] - 2.5f * d[2] + d[4];
    t[1] = even_a + A * odd_a;
    t[2] = even_a - A * odd_a;
    t[3] = even_b + B * odd_b;
    t[4] = even_b - B * odd_b;
    t[5] = d[1] - 2.5f * d[3] + d[5];
}

INLINE void row_gradient(const vec *d, vec *t) /* A */
{
    const vec even_a = d[0] + 0.5f * d[2], odd_a = d[1] + 0.5f * d[3];
    const vec even_b = d[0] + 2.0f * d[2], odd_b = d[1] + 2.0f * d[3];
    t[0] = d[0];
    t[1] = even_a + A * odd_a;
    t[2] = even_a - A * odd_a;
    t[3] = even_b + B * odd_b;
    t[4] = even_b - B * odd_b;
    t[5] = d[3];
}

INLINE void row_output(const vec *d, vec *t) /* A^T */
{
    const vec even_a = d[1] + d[2], odd_a = A * (d[1] - d[2]);
    const vec even_b = d[3] + d[4], odd_b = B * (d[3] - d[4]);
    t[0] = d[0] + even_a + even_b;
    t[1] = odd_a + odd_b;
    t[2] = 0.5f * even_a + 2.0f * even_b;
    t[3] = d[5] + 0.5f * odd_a + 2.0f * odd_b;
}

INLINE void relu(vec *x, float slope) /* by address: narrower processors cannot return a vec */
{
    /* not below 0 is a NaN, which stays one */
#ifdef __AVX512F__
    const __mmask16 below = _mm512_cmp_ps_mask((__m512)*x, _mm512_setzero_ps(), _CMP_LT_OQ);
    *x = (vec)_mm512_mask_mul_ps((__m512)*x, below, (__m512)*x, _mm512_set1_ps(slope));
#else
    const bits below = *x < 0.0f;
    *x = (vec)(((bits)(slope * *x) & below) | ((bits)*x & ~below));
#endif
}

/* --- tiles --- */

/* Transforms are in two halves, of which each fits into the registers: with temporaries in memory
 * they take twice as long, as their loads seem to depend on the stores to the 36 points. */

enum { HALF = SIDE / 2, MOST_GROUP = 4 };

typedef void input_fn(const struct source *s, int i, int j, float *to, size_t point);
typedef void gradient_fn(const struct source *s, int i, int j, float *to, size_t point, float *sum);

INLINE void input_half(const struct source *s, int i, int j, int first, bool inside, enum kind kind,
                       float *to, size_t point)
{
    vec e[HALF][SIDE];
#pragma GCC unroll 6
    for (int r = 0; r < SIDE; r++) {
        vec d[SIDE], t[SIDE];
        read_row(s, i + r, j, SIDE, inside, kind, d);
        row_input(d, t);
#pragma GCC unroll 3
        for (int q = 0; q < HALF; q++)
            e[q][r] = t[first + q];
    }
#pragma GCC unroll 3
    for (int q = 0; q < HALF; q++) {
        vec f[SIDE];
        row_input(e[q], f);
#pragma GCC unroll 6
        for (int r = 0; r < SIDE; r++)
            store(to + (size_t)(SIDE * r + first + q) * point, &f[r]);
    }
}

INLINE void gradient_half(const struct source *s, int i, int j, int first, bool inside,
                          enum kind kind, float *to, size_t point, float *sum)
{
    vec e[HALF][TILE], total;
    load(&total, sum);
#pragma GCC unroll 4
    for (int r = 0; r < TILE; r++) {
        vec d[TILE], t[SIDE];
        read_row(s, i + r, j, TILE, inside, kind, d);
        row_gradient(d, t);
        total += (d[0] + d[1]) + (d[2] + d[3]);
#pragma GCC unroll 3
        for (int q = 0; q < HALF; q++)
            e[q][r] = t[first + q];
    }
    if (first == 0) store(sum, &total);
#pragma GCC unroll 3
    for (int q = 0; q < HALF; q++) {
        vec f[SIDE];
        row_gradient(e[q], f);
#pragma GCC unroll 6
        for (int r = 0; r < SIDE; r++)
            store(to + (size_t)(SIDE * r + first + q) * point, &f[r]);
    }
}

/* One function a case, as in one of all cases the compiler keeps the addresses of all in memory. */
#define INPUT(name, inside, kind)                                                                  \
    __attribute__((noinline)) static void input_##name(const struct source *s, int i, int j,       \
                                                       float *to, size_t point)                    \
    {                                                                                              \
        input_half(s, i, j, 0, inside, kind, to, point);                                           \
        input_half(s, i, j, HALF, inside, kind, to, point);                                        \
    }
#define GRADIENT(name, inside, kind)                                                               \
    __attribute__((noinline)) static void gradient_##name(const struct source *s, int i, int j,    \
                                                          float *to, size_t point, float *sum)     \
    {                                                                                              \
        gradient_half(s, i, j, 0, inside, kind, to, point, sum);                                   \
        gradient_half(s, i, j, HALF, inside, kind, to, point, sum);                                \
    }
INPUT(inside, true, PLAIN)
INPUT(inside_behind, true, BEHIND)
INPUT(inside_joined, true, JOINED)
INPUT(fours, true, FOURS)
INPUT(fours_behind, true, FOURS_BEHIND)
INPUT(eights, true, EIGHTS)
INPUT(eights_behind, true, EIGHTS_BEHIND)
INPUT(edge, false, PLAIN)
INPUT(edge_behind, false, BEHIND)
INPUT(edge_joined, false, JOINED)
GRADIENT(inside, true, PLAIN)
GRADIENT(inside_behind, true, BEHIND)
GRADIENT(fours, true, FOURS)
GRADIENT(fours_behind, true, FOURS_BEHIND)
GRADIENT(eights, true, EIGHTS)
GRADIENT(eights_behind, true, EIGHTS_BEHIND)
GRADIENT(edge, false, PLAIN)
GRADIENT(edge_behind, false, BEHIND)

/* By whether all pixels are in the map */
static input_fn *const inputs[2][KINDS] = {{input_edge, input_edge_behind, input_edge_joined},
                                           {input_inside, input_inside_behind, input_inside_joined,
                                            input_fours, input_fours_behind, input_eights,
                                            input_eights_behind}};
static gradient_fn *const gradients[2][KINDS] = {{gradient_edge, gradient_edge_behind},
                                                 {gradient_inside, gradient_inside_behind, NULL,
                                                  gradient_fours, gradient_fours_behind,
                                                  gradient_eights, gradient_eights_behind}};

/* The narrow last block of tiles anywhere, as pixels of one tile of 16 channels. */
struct gathered {
    float x[WINO_POINTS][LANES], y[WINO_POINTS][LANES];
    struct source source;
};

/* In pieces that a later load can take from the queue of stores, and earlier stores give. */
INLINE void copy_narrow(float *to, const float *from, int lanes)
{
    if (lanes == 4)
        memcpy(to, from, sizeof(quarter));
    else if (lanes == 8)
        memcpy(to, from, sizeof(half));
    else
        for (int k = 0; k < lanes; k++)
            to[k] = from[k];
}

/* side x side pixels from (i, j) of an image on, of which some lanes begin at `from`; what is
 * outside of it stays as it is. */
INLINE void gather_pixels(const struct source *s, const float *from, ptrdiff_t pixel, ptrdiff_t row,
                          int lanes, struct spot at, int side, float *to)
{
    const int i = at.i, j = at.j, top = i < 0 ? -i : 0, left = j < 0 ? -j : 0;
    const int bottom = i + side > s->h ? s->h - i : side, right = j + side > s->w ? s->w - j : side;
    from += ((ptrdiff_t)at.image * s->h + i) * row + j * pixel;
    for (int r = top; r < bottom; r++)
        for (int q = left; q < right; q++)
            copy_narrow(to + (r * side + q) * LANES, from + r * row + q * pixel, lanes);
}

INLINE void gather(const struct source *s, struct wino_layout l, const struct spot *at, int count,
                   int side, struct gathered *g)
{
    const int out = (side - TILE) / 2, split = s->split; /* out: pixels around the tile */
    memset(g->x, 0, sizeof g->x);
    memset(g->y, 0, sizeof g->y);
    for (int k = 0; k < count; k++) {
        const struct spot first = {at[k].image, at[k].i - out, at[k].j - out};
        float *to = g->x[0] + k * l.tail;
        if (s->left) gather_pixels(s, s->left, s->left_pixel, s->left_row, split, first, side, to);
        gather_pixels(s, s->x + split, s->pixel, s->row, s->lanes - split, first, side, to + split);
        if (s->y)
            gather_pixels(s, s->y, s->pixel, s->row, s->lanes, first, side, g->y[0] + k * l.tail);
    }
    g->source = (struct source){.x = g->x[0],
                                .y = s->y ? g->y[0] : NULL,
                                .slope = s->slope,
                                .h = side,
                                .w = side,
                                .lanes = LANES,
                                .pixel = LANES,
                                .row = side * LANES};
}

/* Tiles whose narrow blocks fill a vector, 1 if there are none; and where they are. */
static int group_of(struct wino_layout l)
{
    return l.tail ? LANES / l.tail : 1;
}

static int spots(const struct wino_map *m, int from, int count, struct wino_layout l,
                 struct spot *at)
{
    const int group = group_of(l), n = count < group ? count : group;
    for (int k = 0; k < n; k++)
        at[k] = spot_of(m, from + k);
    return n;
}

/* Whether `count` tiles that follow each other fill a vector and are side by side, with all of
 * their `side` x `side` pixels in the map. */
static bool side_by_side(const struct wino_map *m, struct wino_layout l, const struct spot *at,
                         int count, int side)
{
    const int out = (side - TILE) / 2, last = count - 1;
    return count == group_of(l) && m->c % LANES == l.tail && at[0].image == at[last].image &&
           at[0].i == at[last].i && at[0].i >= out && at[0].j >= out &&
           at[0].i + TILE + out <= m->h && at[last].j + TILE + out <= m->w;
}

/* Pixels are fetched so many tiles ahead: between accesses to 36 places, processors do not see by
 * themselves that rows of a map are read or written one after the other. */
enum { AHEAD = 6 };

/* What a tile needs of a map of so many channels, with `out` pixels around it. */
INLINE void fetch_map(const struct wino_map *m, const float *x, ptrdiff_t channels, struct spot at,
                      int out, bool to_write)
{
    const int top = at.i > out ? at.i - out : 0;
    const int bottom = at.i + TILE + out < m->h ? at.i + TILE + out : m->h;
    const ptrdiff_t row = (ptrdiff_t)m->w * channels;
    const ptrdiff_t len = (m->w - at.j < TILE ? m->w - at.j : TILE) * channels;
    x += ((ptrdiff_t)at.image * m->h + top) * row + at.j * channels;
    for (int r = top; r < bottom; r++, x += row)
        for (ptrdiff_t k = 0; k < len; k += LANES)
            if (to_write)
                __builtin_prefetch(x + k, 1);
            else
                __builtin_prefetch(x + k);
}

/* Of one map or two joined ones those that are not NULL, for tiles `AHEAD` behind these. */
INLINE void fetch(const struct wino_map *m, const float *const x[2], const struct spot *at,
                  int count, int out, bool to_write)
{
    for (int k = 0; k < count; k++) {
        const struct spot later = {at[k].image, at[k].i, at[k].j + AHEAD * TILE};
        if (later.j >= m->w) return;
        if (x[0]) fetch_map(m, x[0], m->first, later, out, to_write);
        if (x[1]) fetch_map(m, x[1], m->c - m->first, later, out, to_write);
    }
}

/* A call takes so many blocks of channels of a tile before it goes on to the next. */
enum { BLOCKS = 16 };

struct sources { /* blocks from, …, end - 1 of a map */
    int from, end;
    struct source at[BLOCKS];
    const float *x[2], *y; /* the maps */
};

static struct sources sources_of(const struct wino_map *m, const float *const x[2],
                                 struct wino_relu relu, int from)
{
    const int left = wino_blocks(m->c) - from;
    struct sources s = {.from = from,
                        .end = from + (left < BLOCKS ? left : BLOCKS),
                        .x = {x[0], x[1]},
                        .y = relu.y};
    for (int b = s.from; b < s.end; b++)
        s.at[b - from] = source_of(m, x, relu, b);
    return s;
}

INLINE void fetch_sources(const struct wino_map *m, const struct sources *s, const struct spot *at,
                          int count, int out)
{
    fetch(m, s->x, at, count, out, false);
    if (s->y) fetch(m, (const float *const[]){s->y, NULL}, at, count, out, false);
}

INLINE void input_tile(const struct source *s, struct spot at, float *to, size_t point)
{
    const int i = at.i - 1, j = at.j - 1;
    if (all_inside(s, i, j, SIDE)) {
        inputs[true][kind_of(s)](s, at.image * s->h + i, j, to, point);
    } else {
        const struct source edge = in_image(s, at.image);
        inputs[false][kind_of(s)](&edge, i, j, to, point);
    }
}

INLINE void gradient_tile(const struct source *s, struct spot at, float *to, size_t point,
                          float *sum)
{
    if (all_inside(s, at.i, at.j, TILE)) {
        gradients[true][kind_of(s)](s, at.image * s->h + at.i, at.j, to, point, sum);
    } else {
        const struct source edge = in_image(s, at.image);
        gradients[false][kind_of(s)](&edge, at.i, at.j, to, point, sum);
    }
}

static void input_narrow(const struct wino_map *m, const struct source *s, const struct spot *at,
                         int count, struct wino_layout l, float *to)
{
    struct gathered g;
    if (!s->left && side_by_side(m, l, at, count, SIDE)) {
        inputs[true][narrow_kind(s, l.tail)](s, at->image * s->h + at->i - 1, at->j - 1, to,
                                             l.point);
        return;
    }
    gather(s, l, at, count, SIDE, &g);
    inputs[true][kind_of(&g.source)](&g.source, 0, 0, to, l.point);
}

static void input_blocks(const struct wino_map *m, const struct sources *s, int from, int count,
                         struct wino_layout l, int place, float *v)
{
    const int end = s->end < l.full ? s->end : l.full;
    for (int t = 0; t < count; t += group_of(l)) {
        struct spot at[MOST_GROUP];
        const int n = spots(m, from + t, count - t, l, at);
        if (s->from == 0) fetch_sources(m, s, at, n, 1);
        for (int k = 0; k < n; k++)
            for (int b = s->from; b < end; b++)
                input_tile(&s->at[b - s->from], at[k], v + place_of(l, b, place + t + k), l.point);
        if (end < s->end)
            input_narrow(m, &s->at[end - s->from], at, n, l, v + place_of(l, end, place + t));
    }
}

void wino_input(const struct wino_map *m, const float *const x[2], struct wino_relu relu, int from,
                int count, struct wino_layout l, int place, float *v)
{
    for (int b = 0; b < wino_blocks(m->c); b += BLOCKS) {
        const struct sources s = sources_of(m, x, relu, b);
        input_blocks(m, &s, from, count, l, place, v);
    }
}

static void gradient_narrow(const struct wino_map *m, const struct source *s, const struct spot *at,
                            int count, struct wino_layout l, float *to, float *sum)
{
    struct gathered g;
    if (side_by_side(m, l, at, count, TILE)) {
        gradients[true][narrow_kind(s, l.tail)](s, at->image * s->h + at->i, at->j, to, l.point,
                                                sum);
        return;
    }
    gather(s, l, at, count, TILE, &g);
    gradients[true][kind_of(&g.source)](&g.source, 0, 0, to, l.point, sum);
}

static void gradient_blocks(const struct wino_map *m, const struct sources *s, int from, int count,
                            struct wino_layout l, int place, float *v, float *sum)
{
    const int end = s->end < l.full ? s->end : l.full;
    for (int t = 0; t < count; t += group_of(l)) {
        struct spot at[MOST_GROUP];
        const int n = spots(m, from + t, count - t, l, at);
        if (s->from == 0) fetch_sources(m, s, at, n, 0);
        for (int k = 0; k < n; k++)
            for (int b = s->from; b < end; b++)
                gradient_tile(&s->at[b - s->from], at[k], v + place_of(l, b, place + t + k),
                              l.point, sum + b * LANES);
        if (end < s->end)
            gradient_narrow(m, &s->at[end - s->from], at, n, l, v + place_of(l, end, place + t),
                            sum + end * LANES);
    }
}

void wino_output_back(const struct wino_map *m, const float *dy, struct wino_relu relu, int from,
                      int count, struct wino_layout l, int place, float *v, float *sum)
{
    float *last = sum + l.full * LANES;
    assert(m->first == m->c);
    memset(sum, 0, (size_t)wino_blocks(m->c) * sizeof(vec));
    for (int b = 0; b < wino_blocks(m->c); b += BLOCKS) {
        const struct sources s = sources_of(m, (const float *const[]){dy, NULL}, relu, b);
        gradient_blocks(m, &s, from, count, l, place, v, sum);
    }
    for (int k = l.tail; l.tail && k < LANES; k++)
        last[k % l.tail] += last[k];
}

struct target { /* a tile of y, within one block of channels */
    float *y;
    int rows, cols;
    int from, to;         /* lanes; from 0 on but in the second of two maps that share the block */
    ptrdiff_t pixel, row; /* floats from one to the next */
};

/* What becomes of a vector: a pixel of a tile, of one that the edge of the map cuts, or of a narrow
 * block of tiles side by side. */
enum fate { WHOLE, CUT, TO_FOURS, TO_EIGHTS };

INLINE void put(const struct target *to, int r, int q, enum fate fate, const vec *x)
{
    float *p = to->y + r * to->row + q * to->pixel;
    if (fate == TO_FOURS || fate == TO_EIGHTS)
        store_narrow(p, x, TILE * to->pixel, fate == TO_FOURS ? 4 : 8);
    else if (fate == WHOLE || (r < to->rows && q < to->cols))
        store_some(p, x, to->to);
}

/* Rows `first` and first + 2, which share their terms */
INLINE void output_half(const float *v, size_t point, int first, const vec *add, float slope,
                        enum fate fate, const struct target *to)
{
    vec e[2][SIDE];
#pragma GCC unroll 6
    for (int q = 0; q < SIDE; q++) {
        vec d[SIDE], t[TILE];
#pragma GCC unroll 6
        for (int r = 0; r < SIDE; r++)
            load(&d[r], v + (size_t)(SIDE * r + q) * point);
        row_output(d, t);
        e[0][q] = t[first];
        e[1][q] = t[first + 2];
    }
#pragma GCC unroll 2
    for (int k = 0; k < 2; k++) {
        vec f[TILE];
        const int r = first + 2 * k;
        row_output(e[k], f);
#pragma GCC unroll 4
        for (int q = 0; q < TILE; q++) {
            f[q] += *add;
            relu(&f[q], slope);
            put(to, r, q, fate, &f[q]);
        }
    }
}

typedef void output_fn(const float *v, size_t point, const vec *add, float slope,
                       const struct target *to);

#define OUTPUT(name, fate)                                                                         \
    __attribute__((noinline)) static void output_##name(                                           \
        const float *v, size_t point, const vec *add, float slope, const struct target *to)        \
    {                                                                                              \
        output_half(v, point, 0, add, slope, fate, to);                                            \
        output_half(v, point, 1, add, slope, fate, to);                                            \
    }
OUTPUT(whole, WHOLE)
OUTPUT(cut, CUT)
OUTPUT(fours, TO_FOURS)
OUTPUT(eights, TO_EIGHTS)

/* The tile at the first pixel of all. */
static struct target target_of(const struct wino_map *m, float *const y[2], int which, int block)
{
    const struct run r = run_of(m, which, block);
    return (struct target){.y = y[which] ? y[which] + r.at : NULL,
                           .from = r.from,
                           .to = r.to,
                           .pixel = r.pixel,
                           .row = r.row};
}

static struct target move_to(const struct wino_map *m, const struct target *first, struct spot at)
{
    const int rows = m->h - at.i, cols = m->w - at.j;
    struct target t = *first;
    t.y += ((ptrdiff_t)at.image * m->h + at.i) * t.row + at.j * t.pixel;
    t.rows = rows < TILE ? rows : TILE;
    t.cols = cols < TILE ? cols : TILE;
    return t;
}

/* Where a block goes, and what is added; `left`: a map that has its first lanes, of y NULL: none */
struct sink {
    struct target main, left;
    vec add;
};

static void sink_make(const struct wino_map *m, float *const y[2], int block, const float *bias,
                      struct sink *s)
{
    *s = (struct sink){.main = target_of(m, y, map_of(m, block), block)};
    if (in_both(m, block)) s->left = target_of(m, y, 0, block);
    if (bias) load_some(&s->add, bias + block * LANES, lanes_of(m->c, block));
}

/* A tile that the cache has whole. */
INLINE void output_cached(const float pixel[TILE * TILE][LANES], int lane, const struct target *to)
{
    for (int r = 0; r < to->rows; r++)
        for (int q = 0; q < to->cols; q++)
            copy_narrow(to->y + r * to->row + q * to->pixel + to->from,
                        pixel[r * TILE + q] + lane + to->from, to->to - to->from);
}

/* By way of the cache: a block in two maps, or a narrow one of `count` tiles `apart`. */
static void output_shared(const struct wino_map *m, const float *v, size_t point,
                          const struct sink *s, const vec *add, const struct spot *at, int count,
                          int apart, float slope)
{
    float pixel[TILE * TILE][LANES];
    const struct target all = {pixel[0], TILE, TILE, 0, LANES, LANES, TILE * LANES};
    output_whole(v, point, add, slope, &all);
    for (int k = 0; k < count; k++) {
        if (s->main.y) {
            const struct target to = move_to(m, &s->main, at[k]);
            output_cached(pixel, k * apart, &to);
        }
        if (s->left.y) {
            const struct target to = move_to(m, &s->left, at[k]);
            output_cached(pixel, k * apart, &to);
        }
    }
}

INLINE void output_tile(const struct wino_map *m, const float *v, size_t point,
                        const struct sink *s, const struct spot *at, float slope)
{
    if (s->left.y || s->main.from > 0) {
        output_shared(m, v, point, s, &s->add, at, 1, 0, slope);
    } else if (s->main.y) {
        const struct target to = move_to(m, &s->main, *at);
        const bool whole = to.rows == TILE && to.cols == TILE;
        (whole ? output_whole : output_cut)(v, point, &s->add, slope, &to);
    }
}

static void output_narrow(const struct wino_map *m, const float *v, struct wino_layout l,
                          const struct sink *s, const vec *add, const struct spot *at, int count,
                          float slope)
{
    if (s->left.y || s->main.from > 0 || !side_by_side(m, l, at, count, TILE)) {
        output_shared(m, v, l.point, s, add, at, count, l.tail, slope);
    } else if (s->main.y) {
        const struct target to = move_to(m, &s->main, *at);
        (l.tail == 4 ? output_fours : output_eights)(v, l.point, add, slope, &to);
    }
}

struct sinks { /* blocks from, …, end - 1 of a map */
    int from, end;
    struct sink at[BLOCKS];
    vec many; /* added to a narrow block, for each tile */
    float *const *y;
    float slope;
};

static void sinks_make(const struct wino_map *m, float *const y[2], int from, struct wino_layout l,
                       const float *bias, float slope, struct sinks *s)
{
    const int left = wino_blocks(m->c) - from;
    float all[LANES];
    *s = (struct sinks){
        .from = from, .end = from + (left < BLOCKS ? left : BLOCKS), .y = y, .slope = slope};
    for (int b = s->from; b < s->end; b++)
        sink_make(m, y, b, bias, &s->at[b - from]);
    if (s->end <= l.full) return;
    memcpy(all, &s->at[l.full - from].add, sizeof all);
    for (int k = l.tail; k < LANES; k++)
        all[k] = all[k - l.tail];
    load(&s->many, all);
}

static void output_blocks(const struct wino_map *m, const float *v, struct wino_layout l, int place,
                          const struct sinks *s, int from, int count)
{
    const int wide = s->end < l.full ? s->end : l.full;
    for (int t = 0; t < count; t += group_of(l)) {
        struct spot at[MOST_GROUP];
        const int n = spots(m, from + t, count - t, l, at);
        if (s->from == 0) fetch(m, (const float *const *)s->y, at, n, 0, true);
        for (int k = 0; k < n; k++)
            for (int b = s->from; b < wide; b++)
                output_tile(m, v + place_of(l, b, place + t + k), l.point, &s->at[b - s->from],
                            &at[k], s->slope);
        if (s->end > wide)
            output_narrow(m, v + place_of(l, wide, place + t), l, &s->at[wide - s->from], &s->many,
                          at, n, s->slope);
    }
}

void wino_output(const struct wino_map *m, const float *v, struct wino_layout l, int place,
                 int from, int count, const float *bias, float slope, float *const y[2])
{
    for (int b = 0; b < wino_blocks(m->c); b += BLOCKS) {
        struct sinks s;
        sinks_make(m, y, b, l, bias, slope, &s);
        output_blocks(m, v, l, place, &s, from, count);
    }
}
