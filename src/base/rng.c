#include "base/rng.h"

#include <Random123/philox.h>
#include <assert.h>
#include <math.h>

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
