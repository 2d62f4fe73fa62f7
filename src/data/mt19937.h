/* The Mersenne Twister MT19937 (Matsumoto & Nishimura, ACM TOMACS 8(1), 1998), seeded by an array
 * (their initialisation of 2002): what numpy's RandomState is, and so the source of fastMRI's
 * masks. For nothing else: our own randomness is counter-based (base/rng.h). */
#pragma once

#include <stdint.h>

enum { MT_WORDS = 624 };
struct mt19937 {
    uint32_t word[MT_WORDS];
    int next;
};

void mt19937_seed(struct mt19937 *m, const uint32_t *key, int n); /* n > 0 */
uint32_t mt19937_u32(struct mt19937 *m);
/* As numpy.random.RandomState: uniform() with 53 bits, in [0, 1) … */
double mt19937_uniform(struct mt19937 *m);
/* … and randint(n): rejection of masked words, none drawn where n is 1; n > 0. */
uint32_t mt19937_below(struct mt19937 *m, uint32_t n);
