/* The transforms of weights and of their gradient. */
#include "nn/winograd_vector.h"

#include <string.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

/* A whole line past the cache: what is too much to stay there. The end of a parallel region orders
 * it before reads of other threads. */
INLINE void store_past(float *p, const vec *v)
{
#ifdef __AVX512F__
    _mm512_stream_ps(p, (__m512)*v);
#else
    store(p, v);
#endif
}

/* `lanes` floats that are `apart` from one to the next, zeros behind them. */
INLINE void load_apart(vec *v, const float *p, size_t apart, int lanes)
{
#ifdef __AVX512F__
    const __m512i steps = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i at = _mm512_mullo_epi32(steps, _mm512_set1_epi32((int)apart));
    *v = (vec)_mm512_mask_i32gather_ps(_mm512_setzero_ps(), (__mmask16)((1u << lanes) - 1), at, p,
                                       sizeof(float));
#else
    float all[LANES] = {0};
    for (int k = 0; k < lanes; k++)
        all[k] = p[(size_t)k * apart];
    load(v, all);
#endif
}

/* Of a row or column; strides in vectors. */
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

void wino_weights(const float *w, size_t lane, int lanes, bool rotated, size_t point, float *u)
{
    vec d[9], e[18], f[WINO_POINTS];
    for (int t = 0; t < 9; t++)
        load_apart(&d[t], w + (rotated ? 8 - t : t), lane, lanes);
    for (int r = 0; r < 3; r++)
        row_weights(d + 3 * r, 1, e + SIDE * r, 1);
    for (int q = 0; q < SIDE; q++)
        row_weights(e + q, SIDE, f + q, SIDE);
    for (int p = 0; p < WINO_POINTS; p++)
        store_past(u + (size_t)p * point, &f[p]);
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
