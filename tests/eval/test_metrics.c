/* The metrics against other implementations' numbers, SSIM and HFEN also against their definitions
 * written out naively; and what must not matter: units, threads, what was scored before. */
#include "base/par.h"
#include "closed_form.h"
#include "scoring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WANG, FASTMRI, LARGEST = 180 };

static float a[LARGEST * LARGEST], b[LARGEST * LARGEST], c[LARGEST * LARGEST], d[LARGEST * LARGEST];

/* All that need no files. */
static const struct {
    const char *name, *conf;
    int smallest; /* side */
} metrics[] = {
    {"ssim-wang", "{kind: ssim}", 11},
    {"ssim-fastmri", "{kind: ssim, window: fastmri}", 7},
    {"msssim", "{kind: msssim}", 161},
    {"psnr", "{kind: psnr}", 1},
    {"nrmse", "{kind: nrmse}", 1},
    {"hfen", "{kind: hfen}", 2},
    {"hfen-zero", "{kind: hfen, border: zero}", 1},
    {"gmsd", "{kind: gmsd}", 6},
    {"haarpsi", "{kind: haarpsi}", 16},
    {"vif", "{kind: vif}", 41},
    {"nqm", "{kind: nqm}", 3},
};
enum { METRICS = sizeof metrics / sizeof *metrics };

/* And those of networks_set_up; large enough for every kernel of their convolutions. */
static const char *const networks[] = {
    "{kind: ssfd, checkpoint: ssl.h5}", "{kind: ssfd, checkpoint: ssl.h5, layers: [conv3, conv10]}",
    "{kind: vggpl, weights: vgg.h5}", "{kind: vggpl, weights: vgg.h5, scaling: reference}"};
enum { NETWORKS = sizeof networks / sizeof *networks };

static const char *conf_of(int m) /* m < METRICS + NETWORKS */
{
    return m < METRICS ? metrics[m].conf : networks[m - METRICS];
}

static void extremes(const float *x, int n, float *low, float *high)
{
    *low = *high = x[0];
    for (int i = 0; i < n; i++) {
        *low = fminf(*low, x[i]);
        *high = fmaxf(*high, x[i]);
    }
}

/* Into a and b, the image cut off as scripts/make-golden-eval.py does it. */
static void make_pair(int h, int w, double offset)
{
    float low, high;
    make_reference(a, h, w, offset);
    make_image(b, h, w, offset);
    extremes(a, h * w, &low, &high);
    for (int i = 0; i < h * w; i++)
        b[i] = fminf(fmaxf(b[i], fminf(low, 0.0f)), high);
}

static void golden(void **state)
{
    (void)state;
    char path[512], line[256];
    snprintf(path, sizeof path, "%s/tests/eval/golden/metrics.txt", getenv("SSFD_SOURCE"));
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    int cases[METRICS] = {0};
    while (fgets(line, sizeof line, f)) {
        char name[32];
        int h, w, m = 0;
        double offset, want;
        if (line[0] == '#') continue;
        assert_int_equal(sscanf(line, "%31s %d %d %lf %lf", name, &h, &w, &offset, &want), 5);
        assert_true(h <= LARGEST && w <= LARGEST);
        while (m < METRICS && strcmp(name, metrics[m].name) != 0)
            m++;
        assert_true(m < METRICS);
        make_pair(h, w, offset);
        double got = score_of(metrics[m].conf, a, b, h, w);
        if (!(fabs(got - want) <= 1e-10 * fabs(want)))
            fail_msg("%s %dx%d offset %g: %.15g, its peer has %.15g", name, h, w, offset, got,
                     want);
        cases[m]++;
    }
    fclose(f);
    for (int m = 0; m < METRICS; m++)
        assert_true(cases[m] >= 2);
}

/* Wang's equation 13 over every window inside the image, by its two-dimensional definition: means
 * first, then central moments. */
static double naive_ssim(int window, const float *x, const float *y, int h, int w, double low,
                         double width)
{
    int n = window == WANG ? 11 : 7, positions = 0;
    double weight[11][11], total = 0, sum = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double u = i - n / 2, v = j - n / 2;
            weight[i][j] = window == WANG ? exp(-(u * u + v * v) / (2 * 1.5 * 1.5)) : 1.0;
            total += weight[i][j];
        }
    double factor = window == WANG ? 1.0 : n * n / (n * n - 1.0);
    double c1 = pow(0.01 * width, 2), c2 = pow(0.03 * width, 2);
    for (int top = 0; top + n <= h; top++)
        for (int left = 0; left + n <= w; left++, positions++) {
            double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
            for (int i = 0; i < n; i++)
                for (int j = 0; j < n; j++) {
                    int at = (top + i) * w + left + j;
                    mx += weight[i][j] / total * ((double)x[at] - low);
                    my += weight[i][j] / total * ((double)y[at] - low);
                }
            for (int i = 0; i < n; i++)
                for (int j = 0; j < n; j++) {
                    int at = (top + i) * w + left + j;
                    double dx = (double)x[at] - low - mx, dy = (double)y[at] - low - my;
                    xx += factor * weight[i][j] / total * dx * dx;
                    yy += factor * weight[i][j] / total * dy * dy;
                    xy += factor * weight[i][j] / total * dx * dy;
                }
            sum += (2 * mx * my + c1) * (2 * xy + c2) / ((mx * mx + my * my + c1) * (xx + yy + c2));
        }
    return sum / positions;
}

static void ssim_is_its_definition(void **state)
{
    (void)state;
    static const int size[][2] = {{11, 11}, {11, 30}, {13, 12}, {31, 23}, {20, 45}};
    for (size_t k = 0; k < sizeof size / sizeof *size; k++)
        for (int window = WANG; window <= FASTMRI; window++) {
            int h = size[k][0], w = size[k][1];
            float low, high;
            make_reference(a, h, w, 0.75);
            make_image(b, h, w, 0.75);
            extremes(a, h * w, &low, &high);
            double want = naive_ssim(window, a, b, h, w, (double)low, (double)high - (double)low);
            double got = score_of(window == WANG ? "{kind: ssim, range: extent}"
                                                 : "{kind: ssim, window: fastmri, range: extent}",
                                  a, b, h, w);
            assert_true(fabs(got - want) < 1e-11);
        }
}

static double naive_log(const float *x, const float *y, int h, int w, int i, int j)
{
    double weight[15][15], total = 0, mean = 0, sum = 0;
    for (int u = -7; u <= 7; u++)
        for (int v = -7; v <= 7; v++)
            total += exp(-(u * u + v * v) / 4.5);
    for (int u = -7; u <= 7; u++)
        for (int v = -7; v <= 7; v++) {
            double g = exp(-(u * u + v * v) / 4.5) / total;
            mean += (weight[u + 7][v + 7] = g * (u * u + v * v - 4.5) / (2.25 * 2.25)) / 225;
        }
    for (int u = -7; u <= 7; u++)
        for (int v = -7; v <= 7; v++) {
            int r = i + u < 0 ? -1 - i - u : i + u >= h ? 2 * h - 1 - i - u : i + u;
            int s = j + v < 0 ? -1 - j - v : j + v >= w ? 2 * w - 1 - j - v : j + v;
            double value = (double)x[r * w + s] - (y ? (double)y[r * w + s] : 0.0);
            sum += (weight[u + 7][v + 7] - mean) * value;
        }
    return sum;
}

static void hfen_is_its_definition(void **state)
{
    (void)state;
    int h = 21, w = 30;
    double square = 0, of = 0;
    make_reference(a, h, w, 0);
    make_image(b, h, w, 0);
    for (int i = 0; i < h; i++)
        for (int j = 0; j < w; j++) {
            square += pow(naive_log(b, a, h, w, i, j), 2);
            of += pow(naive_log(a, NULL, h, w, i, j), 2);
        }
    double plain = score_of("{kind: hfen, norm: none}", a, b, h, w);
    assert_true(fabs(plain - sqrt(square)) < 1e-12 * plain);
    assert_true(fabs(score_of("{kind: hfen}", a, b, h, w) - sqrt(square / of)) < 1e-12);
}

static void equal_images(void **state)
{
    (void)state;
    make_reference(a, 177, 162, 0);
    for (int m = 0; m < METRICS; m++) {
        double got = score_of(metrics[m].conf, a, a, 177, 162);
        struct scoring *s = scoring_new(metrics[m].conf, 177, 162);
        bool decibels = strcmp(scoring_metric(s)->unit, "dB") == 0;
        bool higher = scoring_metric(s)->better > 0;
        scoring_free(s);
        if (decibels)
            assert_true(isinf(got) && got > 0);
        else
            assert_true(fabs(got - (higher ? 1.0 : 0.0)) < 1e-6); /* VIF has an eps of 1e-8 */
    }
}

/* More noise is worse, for each in its own direction. */
static void direction(void **state)
{
    (void)state;
    make_pair(177, 162, 0);
    for (int i = 0; i < 177 * 162; i++)
        c[i] = a[i] + 3.0f * (b[i] - a[i]);
    for (int m = 0; m < METRICS + NETWORKS; m++) {
        struct scoring *s = scoring_new(conf_of(m), 177, 162);
        double less = scoring_score(s, a, b), more = scoring_score(s, a, c);
        assert_true(scoring_metric(s)->better > 0 ? less > more : less < more);
        scoring_free(s);
    }
}

/* Units of intensity must not matter; with rule `extent` neither must the zero. */
static void scores_do_not_depend_on_units(void **state)
{
    (void)state;
    for (int m = 0; m < METRICS; m++) {
        /* NRMSE's zero is black; a border of zeros is one as well */
        bool zero = strcmp(metrics[m].name, "nrmse") == 0 || strstr(metrics[m].name, "zero");
        float up = zero ? 0.0f : 3.0f;
        make_reference(a, 177, 162, 0.5);
        make_image(b, 177, 162, 0.5);
        for (int i = 0; i < 177 * 162; i++) {
            c[i] = 1024.0f * a[i] + up;
            d[i] = 1024.0f * b[i] + up;
        }
        /* a has negative values, c has not where it was raised: `auto` would change its mind */
        char conf[128];
        snprintf(conf, sizeof conf, "%.*s%s", (int)strlen(metrics[m].conf) - 1, metrics[m].conf,
                 zero || strncmp(metrics[m].name, "hfen", 4) == 0 ? "}" : ", range: extent}");
        double one = score_of(conf, a, b, 177, 162), two = score_of(conf, c, d, 177, 162);
        if (!(fabs(one - two) <= 1e-9 * fabs(one)))
            fail_msg("%s: %.15g, in other units %.15g", metrics[m].name, one, two);
    }
}

static void neither_threads_nor_history_matter(void **state)
{
    (void)state;
    int threads = par_threads();
    for (int m = 0; m < METRICS + NETWORKS; m++) {
        make_pair(177, 162, 0);
        make_image(c, 177, 162, -0.25);
        par_set_threads(1);
        double one = score_of(conf_of(m), a, b, 177, 162);
        par_set_threads(3);
        struct scoring *s = scoring_new(conf_of(m), 177, 162);
        double three = scoring_score(s, a, b);
        scoring_score(s, c, a);
        double again = scoring_score(s, a, b);
        scoring_free(s);
        par_set_threads(threads);
        if (!(one == three && one == again))
            fail_msg("%s: %.17g by one thread, %.17g by three, %.17g after another pair",
                     conf_of(m), one, three, again);
    }
}

/* fastMRI's SSIM and PSNR: full scale is the maximum of the scan. */
static void volume_is_the_range(void **state)
{
    (void)state;
    static const char *const conf[] = {"{kind: ssim, window: fastmri, range: volume}",
                                       "{kind: psnr, range: volume}"};
    struct err e = {0};
    double got[2];
    make_pair(30, 26, -0.25);
    for (int k = 0; k < 2; k++)
        if (score_try(conf[k], 7.5, a, b, 30, 26, &got[k], &e)) fail_msg("%s", e.text);
    assert_true(fabs(got[0] - naive_ssim(FASTMRI, a, b, 30, 26, 0.0, 7.5)) < 1e-11);
    double square = 0;
    for (int i = 0; i < 30 * 26; i++)
        square += pow((double)b[i] - (double)a[i], 2) / (30 * 26);
    assert_true(fabs(got[1] - 10 * log10(7.5 * 7.5 / square)) < 1e-10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden),
        cmocka_unit_test(ssim_is_its_definition),
        cmocka_unit_test(hfen_is_its_definition),
        cmocka_unit_test(equal_images),
        cmocka_unit_test(direction),
        cmocka_unit_test(scores_do_not_depend_on_units),
        cmocka_unit_test(neither_threads_nor_history_matter),
        cmocka_unit_test(volume_is_the_range),
    };
    return cmocka_run_group_tests_name("metrics", tests, networks_set_up, networks_tear_down);
}
