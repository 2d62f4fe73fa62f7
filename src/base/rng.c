#include "base/rng.h"

#include <Random123/philox.h>
#include <assert.h>
#include <math.h>
#include <string.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

struct rng rng_make(uint64_t seed, enum rng_purpose purpose, uint32_t epoch, uint32_t sample)
{
    return (struct rng){
        .key = seed, .purpose = (uint32_t)purpose, .epoch = epoch, .sample = sample};
}

void rng_block(const struct rng *r, uint64_t i, uint32_t out[4])
{
    philox4x32_key_t key = {{(uint32_t)r->key, (uint32_t)(r->key >> 32)}};
    philox4x32_ctr_t ctr = {
        {(uint32_t)i, (uint32_t)(i >> 32) << 8 | r->purpose, r->epoch, r->sample}};
    philox4x32_ctr_t x = philox4x32(ctr, key);
    for (int k = 0; k < 4; k++)
        out[k] = x.v[k];
}

/* Of several blocks at once, each word in the low half of a lane of its own. What is left in the
 * high half does no harm: only the product looks at more than the low one, and it drops the rest.
 */
#ifdef __AVX512F__
enum { WIDE = 8 };
#else
enum { WIDE = 4 };
#endif
typedef uint64_t wide __attribute__((vector_size(WIDE * sizeof(uint64_t))));
typedef uint32_t words __attribute__((vector_size(WIDE * sizeof(uint32_t))));

/* The compiler does not see by itself that half of a 64-bit product will do. */
static inline wide product(wide a, uint32_t b)
{
#if defined __AVX512F__
    return (wide)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64(b));
#elif defined __AVX2__
    return (wide)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(b));
#else
    return (a & UINT32_MAX) * b;
#endif
}

void rng_blocks(const struct rng *r, uint64_t first, uint32_t out[4][RNG_LANES])
{
    enum { GROUPS = RNG_LANES / WIDE };
    wide x[4][GROUPS];
    for (int g = 0; g < GROUPS; g++) {
        wide i = {0, 1, 2, 3};
        for (int k = 4; k < WIDE; k++)
            i[k] = (uint64_t)k;
        i += first + (uint64_t)(g * WIDE);
        x[0][g] = i;
        x[1][g] = i >> 32 << 8 | r->purpose;
        x[2][g] = (wide){0} + r->epoch;
        x[3][g] = (wide){0} + r->sample;
    }
    uint32_t key[2] = {(uint32_t)r->key, (uint32_t)(r->key >> 32)};
    for (int round = 0; round < philox4x32_rounds; round++) {
        for (int g = 0; g < GROUPS; g++) {
            const wide p = product(x[0][g], PHILOX_M4x32_0), q = product(x[2][g], PHILOX_M4x32_1);
            x[0][g] = q >> 32 ^ x[1][g] ^ key[0];
            x[1][g] = q;
            x[2][g] = p >> 32 ^ x[3][g] ^ key[1];
            x[3][g] = p;
        }
        key[0] += PHILOX_W32_0;
        key[1] += PHILOX_W32_1;
    }
    for (int k = 0; k < 4; k++)
        for (int g = 0; g < GROUPS; g++) {
            const words low = __builtin_convertvector(x[k][g], words);
            memcpy(out[k] + g * WIDE, &low, sizeof low);
        }
}

uint32_t rng_u32(struct rng *r)
{
    if (r->left == 0) {
        rng_block(r, r->block++, r->word);
        r->left = 4;
    }
    return r->word[4 - r->left--];
}

double rng_uniform(struct rng *r)
{
    uint64_t hi = rng_u32(r) >> 5, lo = rng_u32(r) >> 6;
    return (double)(hi << 26 | lo) * 0x1p-53;
}

uint32_t rng_below(struct rng *r, uint32_t n)
{
    assert(n > 0);
    uint64_t m = (uint64_t)rng_u32(r) * n; /* Lemire, ACM TOMACS 29(1), 2019 */
    if ((uint32_t)m < n)
        for (uint32_t t = -n % n; (uint32_t)m < t;)
            m = (uint64_t)rng_u32(r) * n;
    return (uint32_t)(m >> 32);
}

double rng_normal(struct rng *r)
{
    double u = 1.0 - rng_uniform(r), v = rng_uniform(r); /* u in (0, 1]: the logarithm is finite */
    return sqrt(-2.0 * log(u)) * cos(2.0 * M_PI * v);
}

void rng_shuffle(struct rng *r, uint32_t *x, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = rng_below(r, (uint32_t)i);
        uint32_t t = x[i - 1];
        x[i - 1] = x[j];
        x[j] = t;
    }
}
