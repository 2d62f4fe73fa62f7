#include "data/normalise.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void zscore(void **state)
{
    (void)state;
    float x[] = {1e-4f, 2e-4f, 3e-4f,
                 4e-4f}; /* fastMRI's scale: no absolute epsilon may hide here */
    double sd = normalise_zscore(x, 4);
    assert_true(fabs(sd - 1.2909944e-4) < 1e-10);
    assert_true(fabsf(x[0] + 1.1618950f) < 1e-5f && fabsf(x[3] - 1.1618950f) < 1e-5f);
}

static void a_constant_image_becomes_zero(void **state)
{
    (void)state;
    float x[] = {0.3f, 0.3f, 0.3f}, zero[] = {0, 0, 0}, one[] = {5};
    assert_true(normalise_zscore(x, 3) == 0.0 && x[0] == 0.0f && x[2] == 0.0f);
    assert_true(normalise_zscore(zero, 3) == 0.0 && zero[1] == 0.0f);
    assert_true(normalise_zscore(one, 1) == 0.0 && one[0] == 0.0f);
}

static void top_magnitude(void **state)
{
    (void)state;
    enum { N = 1000 };
    float complex x[N];
    float scratch[N];
    for (int i = 0; i < N; i++)
        x[i] = (float)(i * 7 % N) * (i % 2 ? I : -1.0f); /* magnitudes 0 … 999, shuffled */
    /* The 50th largest of 0 … 999 is 950, as torch.topk(50)[-1]. */
    assert_true(normalise_top_magnitude(x, N, 0.05, scratch) == 950.0);
    assert_true(normalise_top_magnitude(x, N, 0.0, scratch) == 999.0);
    assert_true(normalise_top_magnitude(x, N, 1.0, scratch) == 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zscore),
        cmocka_unit_test(a_constant_image_becomes_zero),
        cmocka_unit_test(top_magnitude),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
