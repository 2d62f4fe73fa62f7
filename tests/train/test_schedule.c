#include "train/schedule.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define assert_close(a, b) assert_true(fabs((a) - (b)) <= 1e-12 * fabs(b))

static void constant(void **state)
{
    (void)state;
    struct schedule_conf c = {.kind = SCHEDULE_CONSTANT};
    assert_close(schedule_lr(&c, 1e-3, 0, 100, 0), 1e-3);
    assert_close(schedule_lr(&c, 1e-3, 99, 100, 9), 1e-3);
}

static void step_down_every_two_epochs(void **state)
{
    (void)state;
    struct schedule_conf c = {.kind = SCHEDULE_STEP, .factor = 0.9, .every = 2, .min_lr = 5e-4};
    assert_close(schedule_lr(&c, 1e-3, 19, 1000, 1), 1e-3);
    assert_close(schedule_lr(&c, 1e-3, 20, 1000, 2), 0.9e-3);
    assert_close(schedule_lr(&c, 1e-3, 59, 1000, 5), 0.81e-3);
    assert_close(schedule_lr(&c, 1e-3, 999, 1000, 99), 5e-4); /* the floor */
}

static void cosine_with_warmup(void **state)
{
    (void)state;
    struct schedule_conf c = {.kind = SCHEDULE_COSINE, .warmup = 10};
    assert_close(schedule_lr(&c, 1.0, 0, 110, 0), 0.1);
    assert_close(schedule_lr(&c, 1.0, 9, 110, 0), 1.0);
    assert_close(schedule_lr(&c, 1.0, 10, 110, 1), 1.0);
    assert_close(schedule_lr(&c, 1.0, 60, 110, 6), 0.5);
    assert_true(schedule_lr(&c, 1.0, 109, 110, 10) < 1e-3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant),
        cmocka_unit_test(step_down_every_two_epochs),
        cmocka_unit_test(cosine_with_warmup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
