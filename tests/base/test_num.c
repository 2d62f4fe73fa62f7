#include "base/num.h"
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void every_double_comes_back(void **state)
{
    (void)state;
    struct rng r = rng_make(1, RNG_TEST, 0, 0);
    for (int i = 0; i < 50000; i++) {
        const uint64_t bits = (uint64_t)rng_u32(&r) << 32 | rng_u32(&r);
        double x, back;
        memcpy(&x, &bits, sizeof x);
        if (!isfinite(x)) continue;
        char text[NUM_TEXT];
        assert_true(num_real(num_shortest(text, x), &back));
        assert_memory_equal(&back, &x, sizeof x);
    }
    static const double edge[] = {
        0.0, -0.0,     1e15, -1e15, 999999999999999.0, 0x1p53, 5e-324, 1.7976931348623157e308,
        0.1, 1.0 / 3.0};
    for (size_t i = 0; i < sizeof edge / sizeof *edge; i++) {
        char text[NUM_TEXT];
        double back;
        assert_true(num_real(num_shortest(text, edge[i]), &back));
        assert_memory_equal(&back, &edge[i], sizeof back);
    }
}

static void short_numbers_stay_short(void **state)
{
    (void)state;
    char text[NUM_TEXT];
    assert_string_equal(num_shortest(text, 0.1), "0.1");
    assert_string_equal(num_shortest(text, 100), "100");
    assert_string_equal(num_shortest(text, 1e-3), "0.001");
    assert_string_equal(num_shortest(text, -1e300), "-1e+300");
    assert_string_equal(num_text(text, 1.0 / 3.0, 9), "0.333333333");
}

static void whole_numbers_keep_their_bounds(void **state)
{
    (void)state;
    int64_t v;
    uint64_t u;
    assert_true(num_whole("9223372036854775807", &v) && v == INT64_MAX);
    assert_true(num_whole("-9223372036854775807", &v) && v == -INT64_MAX);
    assert_true(num_whole("+0", &v) && v == 0);
    assert_false(num_whole("9223372036854775808", &v));
    assert_true(num_whole_u64("18446744073709551615", &u) && u == UINT64_MAX);
    static const char *const wrong[] = {
        "18446744073709551616", "-1", "+1", "", " 1", "1 ", "01", "1.0"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(num_whole_u64(wrong[i], &u));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_double_comes_back),
        cmocka_unit_test(short_numbers_stay_short),
        cmocka_unit_test(whole_numbers_keep_their_bounds),
    };
    return cmocka_run_group_tests_name("num", tests, NULL, NULL);
}
