/* Pretext patches: exact cover, no overlap, every position possible, a function of the stream
 * alone. */
#include "base/mem.h"
#include "data/patches.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct patches_conf paper = {.side = 16, .coverage = 0.25};

static float *draw(struct patches *p, uint32_t epoch, uint32_t sample, int h, int w)
{
    struct err e = {0};
    float *keep = mem_new((size_t)(h * w), sizeof *keep, &e);
    assert_int_equal(patches_draw(p, rng_make(7, RNG_PATCHES, epoch, sample), keep, &e), 0);
    return keep;
}

static void covers_exactly_a_quarter(void **state)
{
    (void)state;
    static const int size[][2] = {{320, 320}, {160, 160}, {128, 128},
                                  {64, 64},   {320, 160}, {96, 256}};
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        int h = size[i][0], w = size[i][1];
        struct err e = {0};
        struct patches *p = patches_new(&paper, h, w, &e);
        assert_non_null(p);
        assert_int_equal(patches_count(p), h * w / 1024);
        for (uint32_t k = 0; k < 20; k++) {
            float *keep = draw(p, 0, k, h, w);
            /* Overlap would leave more than three quarters uncovered. */
            int kept = 0;
            for (int j = 0; j < h * w; j++) {
                assert_true(keep[j] == 0.0f || keep[j] == 1.0f);
                kept += keep[j] == 1.0f;
            }
            assert_int_equal(kept, h * w * 3 / 4);
            mem_free(keep);
        }
        patches_free(p);
    }
}

/* The mean cover of every pixel of the interior is close to that of every other: no empty quadrant,
 * no preferred rows. Border pixels are covered less: a patch lies wholly inside. */
static void is_unbiased(void **state)
{
    (void)state;
    enum { N = 128, DRAWS = 400, BLOCKS = 4, SIDE = N / BLOCKS };
    struct patches *p = patches_new(&paper, N, N, NULL);
    double share[BLOCKS][BLOCKS] = {0};
    for (uint32_t k = 0; k < DRAWS; k++) {
        float *keep = draw(p, k, 0, N, N);
        for (int i = 0; i < N * N; i++)
            share[i / N / SIDE][i % N / SIDE] += (1.0 - (double)keep[i]) / (SIDE * SIDE * DRAWS);
        mem_free(keep);
    }
    for (int i = 0; i < BLOCKS; i++)
        for (int j = 0; j < BLOCKS; j++) {
            assert_true(share[i][j] > 0.20 && share[i][j] < 0.30);
            double mirror = share[BLOCKS - 1 - i][BLOCKS - 1 - j];
            assert_true(share[i][j] - mirror < 0.03 && mirror - share[i][j] < 0.03);
        }
    patches_free(p);
}

static void differs_by_image_and_epoch_only(void **state)
{
    (void)state;
    enum { N = 64 };
    struct patches *p = patches_new(&paper, N, N, NULL);
    float *a = draw(p, 1, 2, N, N), *b = draw(p, 1, 3, N, N), *c = draw(p, 2, 2, N, N);
    float *again = draw(p, 1, 2, N, N);
    assert_memory_equal(a, again, N * N * sizeof *a);
    assert_true(memcmp(a, b, N * N * sizeof *a) != 0);
    assert_true(memcmp(a, c, N * N * sizeof *a) != 0);
    mem_free(a), mem_free(b), mem_free(c), mem_free(again);
    patches_free(p);
}

static void impossible_requests_are_refused(void **state)
{
    (void)state;
    struct err e = {0};
    assert_null(patches_new(&(struct patches_conf){.side = 16, .coverage = 0.5}, 64, 64, &e));
    assert_int_equal(e.code, ERR_CONFIG);
    assert_null(patches_new(&(struct patches_conf){.side = 64, .coverage = 0.25}, 32, 32, &e));
    assert_int_equal(e.code, ERR_CONFIG);
    assert_null(patches_new(&(struct patches_conf){.side = 16, .coverage = 0.001}, 32, 32, &e));
    assert_int_equal(e.code, ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(covers_exactly_a_quarter),
        cmocka_unit_test(is_unbiased),
        cmocka_unit_test(differs_by_image_and_epoch_only),
        cmocka_unit_test(impossible_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
