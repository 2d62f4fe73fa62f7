/* Undersampling masks: exact acceleration, a full centre, columns only, refusal of the impossible.
 */
#include "data/mask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct mask *find(const char *name)
{
    for (int i = 0; mask_kinds[i]; i++)
        if (!strcmp(mask_kinds[i]->name, name)) return (const struct mask *)mask_kinds[i];
    fail_msg("no mask named %s", name);
    return NULL;
}

struct random_conf {
    double acceleration, center_fraction;
};

static void random_columns(void **state)
{
    (void)state;
    const struct mask *m = find("random");
    enum { H = 3, W = 320 };
    struct random_conf c = {4, 0.08};
    assert_int_equal(m->check(&c, H, W, NULL), 0);
    double outside[W] = {0};
    for (uint32_t k = 0; k < 500; k++) {
        float keep[H * W];
        m->draw(&c, rng_make(1, RNG_MASK, 0, k), H, W, keep);
        int n = 0;
        for (int x = 0; x < W; x++) {
            n += keep[x] == 1.0f;
            assert_true(keep[x] == keep[W + x] && keep[x] == keep[2 * W + x]);
            outside[x] += (double)keep[x] / 500;
        }
        assert_int_equal(n, 80);
    }
    /* fastMRI: 26 central columns [147, 173); the others with p = 54 / 294. */
    for (int x = 0; x < W; x++) {
        if (x >= 147 && x < 173)
            assert_true(outside[x] > 0.999);
        else
            assert_true(outside[x] > 0.10 && outside[x] < 0.27);
    }
}

static void impossible_requests_are_refused(void **state)
{
    (void)state;
    const struct mask *m = find("random");
    struct err e = {0};
    assert_int_equal(m->check(&(struct random_conf){8, 0.2}, 10, 320, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_int_equal(m->check(&(struct random_conf){64, 0}, 10, 20, &e), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_columns),
        cmocka_unit_test(impossible_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
