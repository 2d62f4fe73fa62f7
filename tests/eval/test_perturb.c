/* Shift and blur against scipy's numbers, and what must hold of every perturbation. */
#include "closed_form.h"
#include "eval/perturb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { H = 37, W = 53, N = H * W, BIG = 256 };

static float x[BIG * BIG], y[BIG * BIG], z[BIG * BIG];

static const struct perturb *find(const char *name)
{
    for (const struct cfg_kind *const *k = perturb_kinds; *k; k++)
        if (strcmp((*k)->name, name) == 0) return (const struct perturb *)*k;
    fail_msg("no perturbation '%s'", name);
    return NULL;
}

static void apply(const char *name, double level, struct rng rng, const float *from, int h, int w,
                  float *to)
{
    struct err e = {0};
    double extent = 10.0;
    assert_int_equal(find(name)->apply(&extent, level, rng, from, h, w, to, &e), 0);
}

static const struct rng no_rng;

static double sum_of(const float *v, int n, int power)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += pow((double)v[i], power);
    return sum;
}

static void golden(void **state)
{
    (void)state;
    char path[512], line[4096];
    snprintf(path, sizeof path, "%s/tests/eval/golden/perturb.txt", getenv("SSFD_SOURCE"));
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    int cases = 0;
    while (fgets(line, sizeof line, f)) {
        char name[32];
        int h, w;
        double level;
        if (line[0] == '#') continue;
        assert_int_equal(sscanf(line, "%31s %lf %d %d", name, &level, &h, &w), 4);
        make_reference(x, h, w, 0.5);
        apply(name, level, no_rng, x, h, w, y);
        for (int i = 0; i < h * w; i++) {
            double want;
            assert_int_equal(fscanf(f, "%lf", &want), 1);
            if (!(fabs((double)y[i] - want) < 1e-7))
                fail_msg("%s %g of %dx%d: pixel %d is %.9g, scipy has %.9g", name, level, h, w, i,
                         (double)y[i], want);
        }
        assert_int_equal(fgetc(f), '\n');
        cases++;
    }
    fclose(f);
    assert_int_equal(cases, 27);
}

static void level_zero_changes_nothing(void **state)
{
    (void)state;
    make_reference(x, H, W, 0.5);
    for (const struct cfg_kind *const *k = perturb_kinds; *k; k++) {
        memset(y, 0xff, sizeof y);
        apply((*k)->name, 0.0, rng_make(1, RNG_PERTURB, 2, 3), x, H, W, y);
        assert_memory_equal(x, y, N * sizeof *x);
    }
}

static void whole_pixels_roll(void **state)
{
    (void)state;
    make_reference(x, H, W, 0.5);
    for (int shift = 1; shift < 3 * W; shift += 29) {
        apply("shift", shift, no_rng, x, H, W, y);
        for (int i = 0; i < H; i++)
            for (int j = 0; j < W; j++)
                assert_true(y[i * W + (j + shift) % W] == x[i * W + j]);
    }
}

/* The spline of a constant is that constant, and a shift moves a row's sum nowhere. Splines keep
 * shifts exact up to their interpolation error, which is small on a smooth wave. */
static void shift_keeps_sums_and_waves(void **state)
{
    (void)state;
    make_reference(x, H, W, 0.5);
    apply("shift", 0.37, no_rng, x, H, W, y);
    for (int i = 0; i < H; i++)
        assert_true(fabs(sum_of(x + i * W, W, 1) - sum_of(y + i * W, W, 1)) < 1e-5);
    for (int j = 0; j < W; j++)
        x[j] = (float)sin(2 * M_PI * 3 * j / W);
    apply("shift", 0.6, no_rng, x, 1, W, y);
    for (int j = 0; j < W; j++)
        assert_true(fabs((double)y[j] - sin(2 * M_PI * 3 * (j - 0.6) / W)) < 1e-3);
}

static void blur_spreads(void **state)
{
    (void)state;
    make_reference(x, H, W, 0.5);
    apply("blur", 2.0, no_rng, x, H, W, y);
    assert_true(fabs(sum_of(x, N, 1) - sum_of(y, N, 1)) < 1e-3); /* mirrored edges lose nothing */
    assert_true(sum_of(y, N, 2) < sum_of(x, N, 2));
    apply("blur", 4.0, no_rng, x, H, W, z);
    assert_true(sum_of(z, N, 2) < sum_of(y, N, 2));
    /* A point becomes a Gaussian whose variance is sigma squared, along either axis. */
    memset(x, 0, sizeof x);
    x[(BIG / 2) * BIG + BIG / 2] = 1.0f;
    apply("blur", 3.0, no_rng, x, BIG, BIG, y);
    double rows = 0, columns = 0;
    for (int i = 0; i < BIG; i++)
        for (int j = 0; j < BIG; j++) {
            rows += pow(i - BIG / 2, 2) * (double)y[i * BIG + j];
            columns += pow(j - BIG / 2, 2) * (double)y[i * BIG + j];
        }
    assert_true(fabs(rows - 9.0) < 0.02 && fabs(columns - 9.0) < 0.02); /* the cut tails: 0.1 % */
}

static void noise_has_its_moments(void **state)
{
    (void)state;
    enum { M = BIG * BIG };
    const double level = 0.8;
    make_reference(x, BIG, BIG, 0.5);
    apply("noise", level, rng_make(7, RNG_PERTURB, 0, 0), x, BIG, BIG, y);
    for (int i = 0; i < M; i++)
        z[i] = (y[i] - x[i]) / (float)level;
    double n = M; /* five standard errors of each moment */
    assert_true(fabs(sum_of(z, M, 1) / n) < 5 / sqrt(n));
    assert_true(fabs(sum_of(z, M, 2) / n - 1) < 5 * sqrt(2 / n));
    assert_true(fabs(sum_of(z, M, 3) / n) < 5 * sqrt(15 / n));
    assert_true(fabs(sum_of(z, M, 4) / n - 3) < 5 * sqrt(96 / n));
    double neighbours = 0;
    for (int i = 0; i + 1 < M; i++)
        neighbours += (double)z[i] * (double)z[i + 1];
    assert_true(fabs(neighbours / n) < 5 / sqrt(n));
}

static void noise_is_named_by_its_key(void **state)
{
    (void)state;
    make_reference(x, H, W, 0.5);
    apply("noise", 0.5, rng_make(7, RNG_PERTURB, 4, 9), x, H, W, y);
    apply("noise", 0.5, rng_make(7, RNG_PERTURB, 4, 9), x, H, W, z);
    assert_memory_equal(y, z, N * sizeof *y);
    apply("noise", 0.5, rng_make(7, RNG_PERTURB, 5, 9), x, H, W, z);
    assert_memory_not_equal(y, z, N * sizeof *y);
}

/* Edges that reach round tiny images more than once. */
static void tiny_images(void **state)
{
    (void)state;
    const float one = 0.625f;
    for (const struct cfg_kind *const *k = perturb_kinds; *k; k++) {
        apply((*k)->name, 4.5, rng_make(1, RNG_PERTURB, 0, 0), &one, 1, 1, y);
        assert_true(isfinite(y[0]));
        if (strcmp((*k)->name, "noise") != 0) assert_true(fabsf(y[0] - one) < 1e-6f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden),
        cmocka_unit_test(level_zero_changes_nothing),
        cmocka_unit_test(whole_pixels_roll),
        cmocka_unit_test(shift_keeps_sums_and_waves),
        cmocka_unit_test(blur_spreads),
        cmocka_unit_test(noise_has_its_moments),
        cmocka_unit_test(noise_is_named_by_its_key),
        cmocka_unit_test(tiny_images),
    };
    return cmocka_run_group_tests_name("perturb", tests, NULL, NULL);
}
