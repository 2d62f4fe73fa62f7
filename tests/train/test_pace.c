/* Steps and epochs, against counting sample by sample. */
#include "train/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void against_counting(void **state)
{
    (void)state;
    for (uint64_t samples = 1; samples <= 13; samples++)
        for (uint64_t batch = 1; batch <= 7; batch++)
            for (uint64_t every = 1; every <= 3; every++) {
                const struct pace_conf conf = {
                    .samples = samples, .batch = batch, .epochs = 5, .every_epochs = every};
                const struct pace p = pace_of(&conf);
                assert_true(p.steps * batch >= 5 * samples && (p.steps - 1) * batch < 5 * samples);
                uint64_t used = 0, epochs = 0, validations = 0;
                for (uint64_t step = 1; step <= p.steps; step++) {
                    bool due = step == p.steps;
                    for (uint64_t k = 0; k < batch; k++)
                        if (++used % samples == 0) due |= ++epochs % every == 0;
                    validations += due;
                    assert_int_equal(pace_epoch(&p, step), epochs);
                    assert_int_equal(pace_due(&p, step), due);
                    if (batch <= samples * every) /* else numbers leave some out */
                        assert_int_equal(pace_validations(&p, step), validations);
                }
            }
}

static void by_steps(void **state)
{
    (void)state;
    const struct pace_conf conf = {
        .samples = 100, .batch = 8, .epochs = 3, .steps = 25, .every_steps = 10, .every_epochs = 1};
    const struct pace p = pace_of(&conf);
    assert_int_equal(p.steps, 25);
    for (uint64_t step = 0; step <= 25; step++)
        assert_int_equal(pace_due(&p, step), step && (step % 10 == 0 || step == 25));
    assert_int_equal(pace_validations(&p, 19), 1);
    assert_int_equal(pace_validations(&p, 25), 3);
}

static void logs_are_bounded(void **state)
{
    (void)state;
    for (uint64_t steps = 1; steps < 1000000000; steps = steps * 3 + 1) {
        const struct pace_conf conf = {.samples = 1, .batch = 1, .steps = steps, .every_epochs = 1};
        const struct pace p = pace_of(&conf);
        assert_true(pace_log_every(&p) >= 10 && steps / pace_log_every(&p) <= PACE_LINES);
        const uint64_t validations = pace_validations(&p, steps);
        assert_true(validations / pace_log_validations(&p) <= PACE_LINES);
        assert_true(validations > PACE_LINES || pace_log_validations(&p) == 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(against_counting),
                                       cmocka_unit_test(by_steps),
                                       cmocka_unit_test(logs_are_bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
