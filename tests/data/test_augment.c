/* Augmentation: the eight placements of a square and the four of a rectangle, each as often as the
 * others; a factor in its range; the same for the same key. */
#include "data/augment.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void turns_and_flips(void **state)
{
    (void)state;
    const float x[9] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    static const struct {
        struct augment a;
        float y[9];
    } all[] = {
        {{false, false, 0, 1}, {0, 1, 2, 3, 4, 5, 6, 7, 8}},
        {{true, false, 0, 1}, {6, 7, 8, 3, 4, 5, 0, 1, 2}},
        {{false, true, 0, 1}, {2, 1, 0, 5, 4, 3, 8, 7, 6}},
        {{false, false, 1, 1}, {2, 5, 8, 1, 4, 7, 0, 3, 6}}, /* numpy.rot90 */
        {{false, false, 2, 1}, {8, 7, 6, 5, 4, 3, 2, 1, 0}},
        {{false, false, 3, 1}, {6, 3, 0, 7, 4, 1, 8, 5, 2}},
        {{true, false, 1, 2}, {0, 6, 12, 2, 8, 14, 4, 10, 16}},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        float y[9];
        augment_apply(&all[i].a, x, 3, 3, 1, y);
        assert_memory_equal(y, all[i].y, sizeof y);
    }
    const float wide[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}; /* 2 x 3 pixels, two channels */
    const float half[12] = {10, 11, 8, 9, 6, 7, 4, 5, 2, 3, 0, 1};
    float y[12];
    augment_apply(&(struct augment){true, true, 0, 1}, wide, 2, 3, 2, y);
    assert_memory_equal(y, half, sizeof y);
    augment_apply(&(struct augment){false, false, 2, 1}, wide, 2, 3, 2, y);
    assert_memory_equal(y, half, sizeof y);
}

static void draws(void **state)
{
    (void)state;
    const struct augment_conf all = {true, true, 0.2}, none = {0}, flip = {.flip = true};
    enum { N = 4000 };
    int hits[2][2][4] = {0};
    double low = 2, high = 0;
    for (uint32_t i = 0; i < N; i++) {
        struct augment a = augment_draw(&all, 5, 2, i), b = augment_draw(&all, 5, 2, i);
        assert_memory_equal(&a, &b, sizeof a);
        hits[a.flip_y][a.flip_x][a.turns]++;
        low = fmin(low, (double)a.factor);
        high = fmax(high, (double)a.factor);
        struct augment f = augment_draw(&flip, 5, 2, i), n = augment_draw(&none, 5, 2, i);
        assert_true(f.flip_y == a.flip_y && f.flip_x == a.flip_x && f.turns == 0 && f.factor == 1);
        assert_true(!n.flip_y && !n.flip_x && n.turns == 0 && n.factor == 1);
    }
    for (int i = 0; i < 16; i++)
        assert_true(abs(((int *)hits)[i] - N / 16) < 75); /* 5 standard deviations */
    assert_true(low > 0.799 && low < 0.81 && high < 1.201 && high > 1.19);
    assert_int_equal(augment_check(&all, 32, 32, NULL), 0);
    assert_int_equal(augment_check(&flip, 32, 48, NULL), 0);
    struct err e = {0};
    assert_int_equal(augment_check(&all, 32, 48, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_and_flips),
        cmocka_unit_test(draws),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
