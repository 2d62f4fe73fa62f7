#include "nn/bf16_product.h"

#include <assert.h>
#include <string.h>

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif
#if defined(__AMX_BF16__) || defined(__AMXBF16__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#define INLINE static inline __attribute__((always_inline))

/* --- AMX --- */

#if defined(__AMX_BF16__) || defined(__AMXBF16__)

/* Linux saves the tiles of a process that has asked for them. */
static bool amx_granted(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA) == 0;
}

/* Tiles 0 to 3 are c, in the order (rows, columns) 00 01 10 11; 4, 5 are a; 6, 7 are b. */
static void amx_configure(int rows)
{
    struct {
        uint8_t palette, start, zero[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } t = {.palette = 1};
    const uint8_t upper = (uint8_t)(rows < 16 ? rows : 16), lower = (uint8_t)(rows - upper);
    const uint8_t all[8] = {upper, upper, lower, lower, upper, lower, 16, 16};
    for (int i = 0; i < 8; i++) {
        t.rows[i] = all[i];
        t.bytes[i] = all[i] ? 64 : 0;
    }
    __asm__ volatile("" ::"r"(&t) : "memory"); /* gcc 12 does not see that the next line reads t */
    _tile_loadconfig(&t);
}

/* One of the three products of a step is done per call: `a` and `b` are loaded as asked. */
INLINE void amx_load_a(const bf16 *a, const struct bf16_factor *f, int upper_lower)
{
    const size_t row = f->row * sizeof(bf16);
    _tile_loadd(4, a, row);
    if (upper_lower == 2) _tile_loadd(5, a + f->tile, row);
}

INLINE void amx_load_b(const bf16 *b, const struct bf16_factor *f, int left_right)
{
    _tile_loadd(6, b, 64);
    if (left_right == 2) _tile_loadd(7, b + f->tile, 64);
}

INLINE void amx_dot(int m, int n)
{
    _tile_dpbf16ps(0, 4, 6);
    if (n == 2) _tile_dpbf16ps(1, 4, 7);
    if (m == 2) _tile_dpbf16ps(2, 5, 6);
    if (m == 2 && n == 2) _tile_dpbf16ps(3, 5, 7);
}

enum { C_ROW = BF16_SIDE * sizeof(float) };

INLINE void amx_start(int m, int n, bool add, const float *c)
{
    _tile_zero(0);
    if (n == 2) _tile_zero(1);
    if (m == 2) _tile_zero(2);
    if (m == 2 && n == 2) _tile_zero(3);
    if (!add) return;
    _tile_loadd(0, c, C_ROW);
    if (n == 2) _tile_loadd(1, c + 16, C_ROW);
    if (m == 2) _tile_loadd(2, c + 16 * BF16_SIDE, C_ROW);
    if (m == 2 && n == 2) _tile_loadd(3, c + 16 * BF16_SIDE + 16, C_ROW);
}

INLINE void amx_finish(int m, int n, float *c)
{
    _tile_stored(0, c, C_ROW);
    if (n == 2) _tile_stored(1, c + 16, C_ROW);
    if (m == 2) _tile_stored(2, c + 16 * BF16_SIDE, C_ROW);
    if (m == 2 && n == 2) _tile_stored(3, c + 16 * BF16_SIDE + 16, C_ROW);
}

INLINE void amx_product(int m, int n, bool split, const struct bf16_product *p, float *c)
{
    amx_start(m, n, p->add, c);
    for (int g = 0; g < p->segments; g++) {
        const bf16 *a = p->a.at + (size_t)g * p->a.segment, *b = p->b.at + (size_t)g * p->b.segment;
        for (int s = 0; s < p->steps; s++, a += p->a.step, b += p->b.step) {
            amx_load_b(b, &p->b, n);
            if (split) { /* small summands first; each factor is loaded once but for high(a) */
                amx_load_a(a + p->a.low, &p->a, m);
                amx_dot(m, n);
            }
            amx_load_a(a, &p->a, m);
            amx_dot(m, n);
            if (split) {
                amx_load_b(b + p->b.low, &p->b, n);
                amx_dot(m, n);
            }
        }
    }
    amx_finish(m, n, c);
}

static void amx_multiply(struct bf16_worker *w, const struct bf16_product *p, float *c)
{
    if (w->rows != p->rows) amx_configure(w->rows = p->rows);
    switch ((p->rows > 16) + 2 * (p->columns > 16) + 4 * p->split) {
    case 0:
        amx_product(1, 1, false, p, c);
        break;
    case 1:
        amx_product(2, 1, false, p, c);
        break;
    case 2:
        amx_product(1, 2, false, p, c);
        break;
    case 3:
        amx_product(2, 2, false, p, c);
        break;
    case 4:
        amx_product(1, 1, true, p, c);
        break;
    case 5:
        amx_product(2, 1, true, p, c);
        break;
    case 6:
        amx_product(1, 2, true, p, c);
        break;
    default:
        amx_product(2, 2, true, p, c);
    }
}

#endif

/* --- AVX512_BF16 --- */

#ifdef __AVX512BF16__

INLINE __m512bh pairs(const bf16 *at) /* 16 pairs */
{
    return (__m512bh)_mm512_loadu_si512(at);
}

INLINE __m512bh pair(const bf16 *at) /* one, 16 times */
{
    int32_t two;
    memcpy(&two, at, sizeof two);
    return (__m512bh)_mm512_set1_epi32(two);
}

/* Rows from `first` on of one tile of a, 16 n columns. */
INLINE void avx_rows(int rows, int n, const struct bf16_product *p, const bf16 *a, float *c)
{
    enum { MOST = 8 };
    __m512 acc[MOST][2];
    for (int r = 0; r < rows; r++)
        for (int k = 0; k < n; k++)
            acc[r][k] = p->add ? _mm512_loadu_ps(c + r * BF16_SIDE + 16 * k) : _mm512_setzero_ps();
    for (int g = 0; g < p->segments; g++)
        for (int s = 0; s < p->steps; s++) {
            const bf16 *x = a + (size_t)g * p->a.segment + (size_t)s * p->a.step;
            const bf16 *y = p->b.at + (size_t)g * p->b.segment + (size_t)s * p->b.step;
            for (int i = 0; i < 16; i++, x += 2, y += 32) {
                __m512bh right[2];
                for (int k = 0; k < n; k++)
                    right[k] = pairs(y + (size_t)k * p->b.tile);
#pragma GCC unroll 8
                for (int r = 0; r < rows; r++) {
                    const __m512bh left = pair(x + (size_t)r * p->a.row);
                    for (int k = 0; k < n; k++)
                        acc[r][k] = _mm512_dpbf16_ps(acc[r][k], left, right[k]);
                }
            }
        }
    for (int r = 0; r < rows; r++)
        for (int k = 0; k < n; k++)
            _mm512_storeu_ps(c + r * BF16_SIDE + 16 * k, acc[r][k]);
}

INLINE void avx_product(int n, const struct bf16_product *p, float *c)
{
    for (int r = 0; r < p->rows;) {
        const bf16 *a = p->a.at + (size_t)(r / 16) * p->a.tile + (size_t)(r % 16) * p->a.row;
        const int left = (r < 16 && p->rows > 16 ? 16 : p->rows) - r;
        const int rows = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        float *to = c + r * BF16_SIDE;
        if (rows == 8)
            avx_rows(8, n, p, a, to);
        else if (rows == 4)
            avx_rows(4, n, p, a, to);
        else if (rows == 2)
            avx_rows(2, n, p, a, to);
        else
            avx_rows(1, n, p, a, to);
        r += rows;
    }
}

static void avx_multiply(const struct bf16_product *p, float *c)
{
    assert(!p->split); /* three products at twice the rate lose against float32 */
    if (p->columns > 16)
        avx_product(2, p, c);
    else
        avx_product(1, p, c);
}

#endif

/* --- either --- */

bool bf16_unit_works(enum bf16_unit unit)
{
#if defined(__AMX_BF16__) || defined(__AMXBF16__)
    if (unit == BF16_AMX) return amx_granted();
#endif
#ifdef __AVX512BF16__
    if (unit == BF16_AVX512) return true;
#endif
    (void)unit;
    return false;
}

void bf16_begin(struct bf16_worker *w, enum bf16_unit unit)
{
    *w = (struct bf16_worker){.unit = unit};
}

void bf16_multiply(struct bf16_worker *w, const struct bf16_product *p, float *c)
{
    assert(p->rows >= 1 && p->rows <= BF16_SIDE && p->columns >= 1 && p->columns <= BF16_SIDE);
#if defined(__AMX_BF16__) || defined(__AMXBF16__)
    if (w->unit == BF16_AMX) {
        amx_multiply(w, p, c);
        return;
    }
#endif
    (void)w; /* where there is no AMX */
#ifdef __AVX512BF16__
    avx_multiply(p, c);
#else
    assert(false && "this program was compiled without bfloat16");
    (void)c;
#endif
}

void bf16_end(struct bf16_worker *w)
{
#if defined(__AMX_BF16__) || defined(__AMXBF16__)
    if (w->unit == BF16_AMX && w->rows) _tile_release();
#endif
    w->rows = 0;
}
