#include "nn/winograd_vector.h"

#ifdef __AVX512F__
#include <immintrin.h>
#endif

enum { MOST_ROWS = 12, MOST_PACKS = MOST_ROWS / 2 };

/* Of `rows` rows and `blocks` blocks of 16 columns. Those of a narrow block of `tail` fill vectors
 * with the columns of 16 / tail rows, a pack. */
struct sums {
    vec wide[MOST_ROWS][2], narrow[MOST_PACKS];
};

struct factor {                  /* strides in floats */
    const float *a, *a_tail, *b; /* a_tail: of a narrow block of a */
    size_t a_block, b_block;
    struct wino_layout la;
    float *c, *c_tail; /* the same of c */
    size_t c_row, c_block, c_tail_row;
    int steps; /* of the sum */
    bool add;
};

typedef void product_fn(const struct factor *f);

/* Without their loops unrolled the sums would live in memory. */
INLINE void sums_clear(struct sums *c, int rows, int blocks)
{
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (int k = 0; k < blocks; k++)
            c->wide[r][k] = (vec){0};
#pragma GCC unroll 6
    for (int k = 0; k < MOST_PACKS; k++)
        c->narrow[k] = (vec){0};
}

/* One float for all lanes. */
INLINE void load_all(vec *v, const float *p)
{
#ifdef __AVX512F__
    *v = (vec)_mm512_set1_ps(*p);
#else
    *v = *p - (vec){0};
#endif
}

/* The narrow block of a row of b, as often as it fits. */
INLINE void load_pack(vec *v, const float *p, int tail)
{
#ifdef __AVX512DQ__
    *v = tail == 4 ? (vec)_mm512_broadcast_f32x4(_mm_loadu_ps(p))
                   : (vec)_mm512_broadcast_f32x8(_mm256_loadu_ps(p));
#else
    float all[LANES];
    for (int k = 0; k < LANES; k++)
        all[k] = p[k % tail];
    load(v, all);
#endif
}

/* Place `at` of a pack: a's element of that row, for every column. */
INLINE void pack_set(vec *pack, const vec *x, int at, int tail)
{
#ifdef __AVX512F__
    const __mmask16 in = (__mmask16)(((1u << tail) - 1) << (at * tail));
    *pack = at ? (vec)_mm512_mask_blend_ps(in, (__m512)*pack, (__m512)*x) : *x;
#else
    for (int k = at * tail; k < (at + 1) * tail; k++)
        (*pack)[k] = (*x)[k];
#endif
}

/* c += a b; a(r, s) is at r * row + s * step, narrow rows of b are `b_tail` apart. */
INLINE void sums_add(struct sums *c, int rows, int blocks, int tail, int steps, const float *a,
                     size_t row, size_t step, const float *b, size_t b_block, size_t b_tail)
{
    const float *bt = b + (size_t)blocks * b_block;
    const int packed = tail ? LANES / tail : 1;
    for (int s = 0; s < steps; s++, b += LANES, bt += b_tail, a += step) {
        vec v[2], narrow, pack;
        for (int k = 0; k < blocks; k++)
            load(&v[k], b + (size_t)k * b_block);
        if (tail) load_pack(&narrow, bt, tail);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            vec x;
            load_all(&x, a + (size_t)r * row);
#pragma GCC unroll 2
            for (int k = 0; k < blocks; k++)
                c->wide[r][k] += x * v[k];
            if (tail) pack_set(&pack, &x, r % packed, tail);
            if (tail && r % packed == packed - 1) c->narrow[r / packed] += pack * narrow;
        }
    }
}

INLINE void add_old(vec *sum, const float *p)
{
    vec old;
    load(&old, p);
    *sum += old;
}

/* The rows of a pack, `row` floats apart. */
INLINE void store_pack(const vec *pack, int tail, float *to, size_t row, bool add)
{
    float all[LANES];
    if (row == (size_t)tail) { /* side by side, and new */
        store(to, pack);
        return;
    }
    store(all, pack);
    for (int k = 0; k < LANES; k++) {
        float *at = to + (size_t)(k / tail) * row + k % tail;
        *at = all[k] + (add ? *at : 0.0f);
    }
}

INLINE void sums_store(struct sums *c, int rows, int blocks, int tail, const struct factor *f)
{
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (int k = 0; k < blocks; k++) {
            float *to = f->c + (size_t)r * f->c_row + (size_t)k * f->c_block;
            if (f->add) add_old(&c->wide[r][k], to);
            store(to, &c->wide[r][k]);
        }
    const int packed = tail ? LANES / tail : 1, packs = tail ? rows / packed : 0;
#pragma GCC unroll 6
    for (int k = 0; k < packs; k++)
        store_pack(&c->narrow[k], tail, f->c_tail + (size_t)(k * packed) * f->c_tail_row,
                   f->c_tail_row, f->add);
}

/* Rows are tiles, the sum runs along them. */
INLINE void by_tiles(int rows, int blocks, int tail, const struct factor *f)
{
    struct sums c;
    const float *a = f->a, *b = f->b;
    int left = f->steps;
    sums_clear(&c, rows, blocks);
    for (int k = 0; k < f->la.full; k++, left -= LANES, a += f->a_block, b += LANES * LANES)
        sums_add(&c, rows, blocks, tail, left < LANES ? left : LANES, a, LANES, 1, b, f->b_block,
                 LANES);
    a = f->a_tail;
    if (f->la.tail == 8) sums_add(&c, rows, blocks, tail, left, a, 8, 1, b, f->b_block, LANES);
    if (f->la.tail == 4) sums_add(&c, rows, blocks, tail, left, a, 4, 1, b, f->b_block, LANES);
    sums_store(&c, rows, blocks, tail, f);
}

#define BY_TILES(rows, blocks, tail)                                                               \
    static void tiles_##rows##_##blocks##_##tail(const struct factor *f)                           \
    {                                                                                              \
        by_tiles(rows, blocks, tail, f);                                                           \
    }
#define BY_TILES_ROWS(rows)                                                                        \
    BY_TILES(rows, 0, 4)                                                                           \
    BY_TILES(rows, 0, 8)                                                                           \
    BY_TILES(rows, 1, 0)                                                                           \
    BY_TILES(rows, 1, 4)                                                                           \
    BY_TILES(rows, 1, 8)                                                                           \
    BY_TILES(rows, 2, 0)                                                                           \
    BY_TILES(rows, 2, 4)                                                                           \
    BY_TILES(rows, 2, 8)
#define ALL(name)                                                                                  \
    {                                                                                              \
        {NULL, name##_0_4, name##_0_8}, {name##_1_0, name##_1_4, name##_1_8},                      \
            {name##_2_0, name##_2_4, name##_2_8},                                                  \
    }
BY_TILES_ROWS(4)
BY_TILES_ROWS(8)
BY_TILES_ROWS(12)

/* By rows / 4 - 1, blocks, tail / 4 */
static product_fn *const tiles_by[3][3][3] = {ALL(tiles_4), ALL(tiles_8), ALL(tiles_12)};

/* Of the blocks from b on those to compute together: how many wide ones, and the narrow one. */
static int wide_at_once(struct wino_layout l, int b)
{
    return l.full - b < 2 ? l.full - b : 2;
}

static int tail_with(struct wino_layout l, int b, int blocks)
{
    return b + blocks == l.full ? l.tail : 0;
}

void wino_product(int tiles, int in, int out, const float *v, struct wino_layout lv, const float *u,
                  float *m, struct wino_layout lm)
{
    for (int b = 0; b < wino_blocks(out);) { /* outside: these weights stay in the L1 cache */
        const int blocks = wide_at_once(lm, b), tail = tail_with(lm, b, blocks);
        struct factor f = {.a = v,
                           .a_tail = v + place_of(lv, lv.full, 0),
                           .a_block = lv.tiles * LANES,
                           .la = lv,
                           .b = u + (size_t)b * (size_t)in * LANES,
                           .b_block = (size_t)in * LANES,
                           .c = m + place_of(lm, b, 0),
                           .c_row = LANES,
                           .c_block = lm.tiles * LANES,
                           .c_tail = m + place_of(lm, lm.full, 0),
                           .c_tail_row = (size_t)lm.tail,
                           .steps = in};
        for (int t = 0; t < tiles;) {
            const int left = tiles - t, rows = left > 8 && !(blocks == 2 && tail) ? 12
                                               : left > 4                         ? 8
                                                                                  : 4;
            tiles_by[rows / 4 - 1][blocks][tail / 4](&f);
            f.a += rows * LANES;
            f.a_tail += rows * lv.tail;
            f.c += rows * LANES;
            f.c_tail += rows * lm.tail;
            t += rows;
        }
        b += blocks + (tail > 0);
    }
}

/* Rows are channels, side by side; the sum runs over tiles, `step` floats apart. */
INLINE void by_channels(int rows, int step, int blocks, int tail, const struct factor *f)
{
    struct sums c;
    sums_clear(&c, rows, blocks);
    sums_add(&c, rows, blocks, tail, f->steps, f->a, 1, (size_t)step, f->b, f->b_block,
             (size_t)tail);
    sums_store(&c, rows, blocks, tail, f);
}

#define BY_CHANNELS(rows, step, blocks, tail)                                                      \
    static void channels_##step##_##blocks##_##tail(const struct factor *f)                        \
    {                                                                                              \
        by_channels(rows, step, blocks, tail, f);                                                  \
    }
#define BY_CHANNELS_STEP(rows, step)                                                               \
    BY_CHANNELS(rows, step, 0, 4)                                                                  \
    BY_CHANNELS(rows, step, 0, 8)                                                                  \
    BY_CHANNELS(rows, step, 1, 0)                                                                  \
    BY_CHANNELS(rows, step, 1, 4)                                                                  \
    BY_CHANNELS(rows, step, 1, 8)                                                                  \
    BY_CHANNELS(rows, step, 2, 0)                                                                  \
    BY_CHANNELS(rows, step, 2, 4)                                                                  \
    BY_CHANNELS(rows, step, 2, 8)
BY_CHANNELS_STEP(4, 4)
BY_CHANNELS_STEP(8, 8)
BY_CHANNELS_STEP(8, 16)

/* By what the rows are from (wide block, narrow one of 4 or 8), blocks, tail / 4 */
static product_fn *const channels_by[3][3][3] = {ALL(channels_16), ALL(channels_4),
                                                 ALL(channels_8)};

/* Rows c to c + 7 (a narrow block takes one round) of the output blocks from b on, in rows of
 * `width`; returns how many blocks. */
static int back_part(int tiles, int c, int b, const float *v, struct wino_layout lv, const float *d,
                     struct wino_layout ld, bool add, float *du, size_t width)
{
    const bool narrow = c / LANES >= lv.full;
    const int blocks = wide_at_once(ld, b), tail = tail_with(ld, b, blocks);
    channels_by[narrow ? lv.tail / 4 : 0][blocks][tail / 4](
        &(struct factor){.a = v + place_of(lv, c / LANES, 0) + c % LANES,
                         .b = d + place_of(ld, b, 0),
                         .b_block = ld.tiles * LANES,
                         .c = du,
                         .c_row = width,
                         .c_block = LANES,
                         .c_tail = du + (size_t)(blocks * LANES),
                         .c_tail_row = width,
                         .steps = tiles,
                         .add = add});
    return blocks + (tail > 0);
}

void wino_product_back(int tiles, int in, int out, const float *v, struct wino_layout lv,
                       const float *d, struct wino_layout ld, bool add, float *du)
{
    const size_t width = (size_t)wino_blocks(out) * LANES;
    for (int c = 0; c < in; c += LANES / 2)
        for (int b = 0; b < wino_blocks(out);)
            b += back_part(tiles, c, b, v, lv, d, ld, add,
                           du + (size_t)c * width + (size_t)(b * LANES), width);
}

void wino_product_back_part(int tiles, int in, int out, const float *v, struct wino_layout lv,
                            const float *d, struct wino_layout ld, float *du)
{
    const int rounds = in < lv.full ? 2 : 1;
    for (int k = 0; k < rounds; k++)
        back_part(tiles, in * LANES + k * LANES / 2, out, v, lv, d, ld, false,
                  du + k * LANES * LANES, 2 * LANES);
}
