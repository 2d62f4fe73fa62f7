/* Counter-based random numbers (Philox4x32-10; Salmon et al., SC'11). A stream is named by what it
 * is for: (seed, purpose, epoch, sample). Drawing from it needs no shared state, so the same
 * patches, masks and dropout come out whatever the number of threads, after any crash. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Every user of randomness has its own line; never renumber. */
enum rng_purpose {
    RNG_INIT = 1,    /* initial weights */
    RNG_ORDER = 2,   /* order of samples in an epoch */
    RNG_PATCHES = 3, /* in-painting patches */
    RNG_MASK = 4,    /* k-space undersampling */
    RNG_DROPOUT = 5,
    RNG_PERTURB = 6,    /* noise of a perturbation */
    RNG_SIMULATE = 7,   /* simulated scans: anatomy */
    RNG_NOISE = 8,      /* simulated scans: receiver noise */
    RNG_SPLIT = 9,      /* partition of a data set */
    RNG_AUGMENT = 20,   /* flips, turns and factors of training images */
    RNG_BOOTSTRAP = 30, /* resampling of scans in statistics */
    RNG_TEST = 99,
};

struct rng {
    uint64_t key; /* the seed */
    uint32_t purpose, epoch, sample;
    uint64_t block; /* next block of four words; 40 bits are used */
    uint32_t word[4];
    int left; /* words of the current block not handed out yet */
};

struct rng rng_make(uint64_t seed, enum rng_purpose purpose, uint32_t epoch, uint32_t sample);

uint32_t rng_u32(struct rng *r);
double rng_uniform(struct rng *r);             /* in [0, 1), 53 bits */
uint32_t rng_below(struct rng *r, uint32_t n); /* in [0, n), without bias; n > 0 */
double rng_normal(struct rng *r);              /* mean 0, variance 1 (Box–Muller) */
void rng_shuffle(struct rng *r, uint32_t *x, size_t n);

/* Random access: the four words of block `i` of the stream, leaving the stream as it is. For
 * kernels in which many threads draw from one stream. */
void rng_block(const struct rng *r, uint64_t i, uint32_t out[4]);

/* The words of blocks first, first + 1, … first + RNG_LANES - 1 at once, at a fraction of the cost:
 * word k of block first + i is out[k][i]. */
enum { RNG_LANES = 16 };
void rng_blocks(const struct rng *r, uint64_t first, uint32_t out[4][RNG_LANES]);
