#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The known answers for philox4x32-10 that Random123 publishes in kat_vectors. Our counter is
 * (block low, block high << 8 | purpose, epoch, sample), our key the seed. */
static void philox_gives_the_published_words(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], word[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (int i = 0; i < 3; i++) {
        const uint32_t *c = known[i].counter;
        struct rng r = {.key = (uint64_t)known[i].key[1] << 32 | known[i].key[0],
                        .purpose = c[1] & 0xff,
                        .epoch = c[2],
                        .sample = c[3]};
        uint32_t out[4];
        rng_block(&r, (uint64_t)(c[1] >> 8) << 32 | c[0], out);
        assert_memory_equal(out, known[i].word, sizeof out);
    }
}

static void blocks_in_any_order_are_the_stream(void **state)
{
    (void)state;
    struct rng r = rng_make(42, RNG_TEST, 3, 7), copy = r;
    enum { BLOCKS = 50 };
    uint32_t word[BLOCKS][4], out[4];
    for (int i = 0; i < BLOCKS; i++)
        for (int k = 0; k < 4; k++)
            word[i][k] = rng_u32(&r);
    for (int i = BLOCKS; i-- > 0;) {
        rng_block(&copy, (uint64_t)i, out);
        assert_memory_equal(out, word[i], sizeof out);
    }
    assert_int_equal(copy.block, 0);
}

/* Also where the number of a block passes 2^32, and in the last of the 2^40 there are. */
static void many_blocks_at_once_are_those_blocks(void **state)
{
    (void)state;
    static const uint64_t firsts[] = {0, 5, UINT32_MAX - 7, 77ULL << 32, (1ULL << 40) - RNG_LANES};
    for (size_t f = 0; f < sizeof firsts / sizeof *firsts; f++) {
        const struct rng r =
            rng_make(0x9e3779b97f4a7c15u + f, RNG_TEST, UINT32_MAX, 0x80000000u + (uint32_t)f);
        uint32_t many[4][RNG_LANES], one[4];
        rng_blocks(&r, firsts[f], many);
        for (size_t i = 0; i < RNG_LANES; i++) {
            rng_block(&r, firsts[f] + i, one);
            for (int k = 0; k < 4; k++)
                assert_int_equal(many[k][i], one[k]);
        }
    }
}

static void streams_of_different_names_differ(void **state)
{
    (void)state;
    const struct rng streams[] = {
        rng_make(1, RNG_TEST, 0, 0), rng_make(2, RNG_TEST, 0, 0),
        rng_make(1, RNG_MASK, 0, 0), rng_make(1, RNG_TEST, 1, 0),
        rng_make(1, RNG_TEST, 0, 1), rng_make(1ULL << 32 | 1, RNG_TEST, 0, 0)};
    enum { N = sizeof streams / sizeof *streams };
    uint32_t word[N][4];
    for (int i = 0; i < N; i++) {
        rng_block(&streams[i], 0, word[i]);
        for (int k = 0; k < i; k++)
            assert_memory_not_equal(word[i], word[k], sizeof word[i]);
    }
}

/* Moments within five standard errors. The seed is fixed, so the test is exact, not a lottery. */
static void uniform_and_normal_have_their_moments(void **state)
{
    (void)state;
    enum { N = 1000000 };
    struct rng r = rng_make(7, RNG_TEST, 0, 0);
    double u1 = 0, u2 = 0, n1 = 0, n2 = 0, n3 = 0, n4 = 0;
    for (int i = 0; i < N; i++) {
        double u = rng_uniform(&r), x = rng_normal(&r);
        assert_true(u >= 0.0 && u < 1.0 && isfinite(x));
        u1 += u;
        u2 += u * u;
        n1 += x;
        n2 += x * x;
        n3 += x * x * x;
        n4 += x * x * x * x;
    }
    const double se = 5.0 / sqrt(N);
    assert_true(fabs(u1 / N - 1.0 / 2) < se * sqrt(1.0 / 12));
    assert_true(fabs(u2 / N - 1.0 / 3) < se * sqrt(4.0 / 45));
    assert_true(fabs(n1 / N) < se);
    assert_true(fabs(n2 / N - 1) < se * sqrt(2));
    assert_true(fabs(n3 / N) < se * sqrt(15));
    assert_true(fabs(n4 / N - 3) < se * sqrt(96));
}

static void below_is_unbiased(void **state)
{
    (void)state;
    enum { N = 600000 };
    /* For 3 * 2^30 the usual remainder would give the lowest third twice its share. */
    static const uint32_t bound[] = {1, 6, 3U << 30, UINT32_MAX};
    for (int b = 0; b < 4; b++) {
        struct rng r = rng_make(11, RNG_TEST, 0, (uint32_t)b);
        int bin[6] = {0};
        for (int i = 0; i < N; i++) {
            uint32_t x = rng_below(&r, bound[b]);
            assert_true(x < bound[b]);
            bin[(uint64_t)x * 6 / bound[b]]++;
        }
        double chi2 = 0.0;
        for (int i = 0; i < 6; i++)
            chi2 += (bin[i] - N / 6.0) * (bin[i] - N / 6.0) / (N / 6.0);
        if (bound[b] == 1)
            assert_int_equal(bin[0], N);
        else
            assert_true(chi2 < 25.7); /* five degrees of freedom, p = 1e-4 */
    }
}

static void shuffle_permutes_evenly(void **state)
{
    (void)state;
    int seen[3][3] = {{0}};
    for (uint32_t s = 0; s < 9000; s++) {
        struct rng r = rng_make(5, RNG_TEST, 0, s);
        uint32_t x[3] = {0, 1, 2};
        rng_shuffle(&r, x, 3);
        assert_int_equal((1 << x[0]) | (1 << x[1]) | (1 << x[2]), 7);
        for (int i = 0; i < 3; i++)
            seen[i][x[i]]++;
    }
    for (int i = 0; i < 9; i++)
        assert_true(abs(seen[i / 3][i % 3] - 3000) < 5 * 45); /* five standard deviations */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_published_words),
        cmocka_unit_test(blocks_in_any_order_are_the_stream),
        cmocka_unit_test(many_blocks_at_once_are_those_blocks),
        cmocka_unit_test(streams_of_different_names_differ),
        cmocka_unit_test(uniform_and_normal_have_their_moments),
        cmocka_unit_test(below_is_unbiased),
        cmocka_unit_test(shuffle_permutes_evenly),
    };
    return cmocka_run_group_tests_name("rng", tests, NULL, NULL);
}
