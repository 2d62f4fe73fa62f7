#include "base/par.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Terms of very different size and sign: any change in the order of summation changes the bits. */
static double term(const void *ctx, size_t from, size_t to)
{
    double sum = 0.0;
    (void)ctx;
    for (size_t i = from; i < to; i++)
        sum += sin((double)i) * pow(10.0, (double)(i % 13) - 6.0);
    return sum;
}

static double count(const void *ctx, size_t from, size_t to)
{
    (void)ctx;
    return (double)(to - from);
}

static void sum_has_the_same_bits_at_any_thread_count(void **state)
{
    (void)state;
    const size_t n = 1000003;
    par_set_threads(1);
    assert_int_equal(par_threads(), 1);
    double one = par_sum(n, term, NULL);
    for (int threads = 2; threads <= 3; threads++) {
        par_set_threads(threads);
        double sum = par_sum(n, term, NULL);
        assert_memory_equal(&sum, &one, sizeof sum);
    }
    assert_true(fabs(one - term(NULL, 0, n)) < 1e-9 * 1e6 * sqrt((double)n));
}

static void sum_covers_every_element_once(void **state)
{
    (void)state;
    static const size_t size[] = {0, 1, (1 << 14) - 1, 1 << 14, (1 << 14) + 1, (1 << 22) + 5};
    for (size_t i = 0; i < sizeof size / sizeof *size; i++)
        assert_true(par_sum(size[i], count, NULL) == (double)size[i]);
}

static void mark(void *ctx, int i)
{
    ((int *)ctx)[i]++;
}

static void for_calls_every_index_once(void **state)
{
    (void)state;
    enum { N = 1000 };
    int seen[N] = {0};
    par_set_threads(3);
    par_for(N, mark, seen);
    par_for(0, mark, seen);
    for (int i = 0; i < N; i++)
        assert_int_equal(seen[i], 1);
    par_set_threads(0);
    assert_true(par_threads() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sum_has_the_same_bits_at_any_thread_count),
        cmocka_unit_test(sum_covers_every_element_once),
        cmocka_unit_test(for_calls_every_index_once),
    };
    return cmocka_run_group_tests_name("par", tests, NULL, NULL);
}
