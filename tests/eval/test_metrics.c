/* SSIM, PSNR and NRMSE against scikit-image's numbers, SSIM also against the definition written out
 * naively; and what they say to input without an answer. */
#include "closed_form.h"
#include "eval/metric.h"
#include "eval/range.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct metric metric_ssim, metric_psnr, metric_nrmse;

/* As the configuration tables lay them out: the tests set the choices by index. */
struct ssim_conf {
    int window, range;
};
enum { WANG, FASTMRI, LARGEST = 80 };

static float a[LARGEST * LARGEST], b[LARGEST * LARGEST];

static int run(const struct metric *m, const void *conf, const float *x, const float *y, int h,
               int w, double *out, struct err *e)
{
    void *state = NULL;
    if (m->open && !(state = m->open(conf, h, w, e))) return -1;
    int rc = m->score(state, conf, x, y, h, w, out, e);
    if (m->close) m->close(state);
    return rc;
}

static double score(const struct metric *m, const void *conf, const float *x, const float *y, int h,
                    int w)
{
    double out = NAN;
    struct err e = {0};
    if (run(m, conf, x, y, h, w, &out, &e)) fail_msg("%s", e.text);
    return out;
}

static void golden(void **state)
{
    (void)state;
    char path[512], line[256];
    snprintf(path, sizeof path, "%s/tests/eval/golden/metrics.txt", getenv("SSFD_SOURCE"));
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    int cases = 0;
    while (fgets(line, sizeof line, f)) {
        char name[32];
        int h, w;
        double offset, want;
        if (line[0] == '#') continue;
        assert_int_equal(sscanf(line, "%31s %d %d %lf %lf", name, &h, &w, &offset, &want), 5);
        assert_true(h <= LARGEST && w <= LARGEST);
        make_reference(a, h, w, offset);
        make_image(b, h, w, offset);
        struct ssim_conf conf = {strcmp(name, "ssim-wang") == 0 ? WANG : FASTMRI, RANGE_AUTO};
        int psnr_conf = RANGE_AUTO;
        double got = strncmp(name, "ssim", 4) == 0 ? score(&metric_ssim, &conf, a, b, h, w)
                     : strcmp(name, "psnr") == 0   ? score(&metric_psnr, &psnr_conf, a, b, h, w)
                     : strcmp(name, "nrmse") == 0  ? score(&metric_nrmse, NULL, a, b, h, w)
                                                   : NAN;
        if (!(fabs(got - want) <= 1e-10 * fabs(want)))
            fail_msg("%s %dx%d offset %g: %.15g, scikit-image has %.15g", name, h, w, offset, got,
                     want);
        cases++;
    }
    fclose(f);
    assert_int_equal(cases, 32);
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
            struct ssim_conf conf = {window, RANGE_EXTENT};
            make_reference(a, h, w, 0.75);
            make_image(b, h, w, 0.75);
            float low = a[0], high = a[0];
            for (int i = 0; i < h * w; i++) {
                low = fminf(low, a[i]);
                high = fmaxf(high, a[i]);
            }
            double want = naive_ssim(window, a, b, h, w, (double)low, (double)high - (double)low);
            assert_true(fabs(score(&metric_ssim, &conf, a, b, h, w) - want) < 1e-11);
        }
}

static void equal_images(void **state)
{
    (void)state;
    struct ssim_conf conf = {WANG, RANGE_AUTO};
    int psnr_conf = RANGE_AUTO;
    make_reference(a, 20, 30, 0);
    assert_true(fabs(score(&metric_ssim, &conf, a, a, 20, 30) - 1.0) < 1e-12);
    assert_true(isinf(score(&metric_psnr, &psnr_conf, a, a, 20, 30)));
    assert_true(score(&metric_nrmse, NULL, a, a, 20, 30) == 0.0);
}

/* Units of intensity must not matter; with rule `extent` neither must the zero. */
static void scores_do_not_depend_on_units(void **state)
{
    (void)state;
    static float c[40 * 33], d[40 * 33];
    struct ssim_conf conf = {WANG, RANGE_EXTENT};
    int psnr_conf = RANGE_EXTENT;
    make_reference(a, 40, 33, 0.5);
    make_image(b, 40, 33, 0.5);
    for (int i = 0; i < 40 * 33; i++) {
        c[i] = 1024.0f * a[i] + 3.0f;
        d[i] = 1024.0f * b[i] + 3.0f;
    }
    assert_true(fabs(score(&metric_ssim, &conf, a, b, 40, 33) -
                     score(&metric_ssim, &conf, c, d, 40, 33)) < 1e-11);
    assert_true(fabs(score(&metric_psnr, &psnr_conf, a, b, 40, 33) -
                     score(&metric_psnr, &psnr_conf, c, d, 40, 33)) < 1e-11);
}

static void expect(const struct metric *m, const void *conf, int h, int w, const char *what)
{
    double out;
    struct err e = {0};
    assert_int_equal(run(m, conf, a, b, h, w, &out, &e), -1);
    assert_int_equal(e.code, ERR_DATA);
    if (!strstr(e.text, what)) fail_msg("'%s' does not say '%s'", e.text, what);
}

static void input_without_an_answer(void **state)
{
    (void)state;
    struct ssim_conf conf = {WANG, RANGE_AUTO};
    int psnr_conf = RANGE_AUTO;
    make_reference(a, 16, 16, 0);
    make_image(b, 16, 16, 0);
    expect(&metric_ssim, &conf, 1, 1, "1x1 is smaller than the 11x11 window");
    conf.window = FASTMRI;
    expect(&metric_ssim, &conf, 16, 6, "16x6 is smaller than the 7x7 window");

    b[5 * 16 + 3] = NAN;
    expect(&metric_ssim, &conf, 16, 16, "image is nan at row 5, column 3");
    expect(&metric_psnr, &psnr_conf, 16, 16, "image is nan at row 5, column 3");
    expect(&metric_nrmse, NULL, 16, 16, "image is nan at row 5, column 3");
    a[17] = -INFINITY;
    expect(&metric_psnr, &psnr_conf, 16, 16, "reference is -inf at row 1, column 1");

    make_image(b, 16, 16, 0);
    memset(a, 0, sizeof a);
    expect(&metric_ssim, &conf, 16, 16, "maximum of the reference is 0");
    expect(&metric_psnr, &psnr_conf, 16, 16, "maximum of the reference is 0");
    expect(&metric_nrmse, NULL, 16, 16, "zero everywhere");
    for (int i = 0; i < 256; i++)
        a[i] = -2.0f;
    expect(&metric_psnr, &psnr_conf, 16, 16, "constant (-2 everywhere)");

    /* One pixel is enough for those without a window. */
    a[0] = 2.0f;
    b[0] = 1.0f;
    assert_true(fabs(score(&metric_psnr, &psnr_conf, a, b, 1, 1) - 20 * log10(2)) < 1e-12);
    assert_true(fabs(score(&metric_nrmse, NULL, a, b, 1, 1) - 0.5) < 1e-12);
}

static void constant_image_is_defined(void **state)
{
    (void)state;
    struct ssim_conf conf = {WANG, RANGE_AUTO};
    make_reference(a, 16, 16, 0);
    memset(b, 0, sizeof b);
    double s = score(&metric_ssim, &conf, a, b, 16, 16);
    assert_true(s > -1.0 && s < 0.1);
    /* A constant magnitude image against itself: full scale is its value. */
    for (int i = 0; i < 256; i++)
        a[i] = 3.0f;
    assert_true(fabs(score(&metric_ssim, &conf, a, a, 16, 16) - 1.0) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden),
        cmocka_unit_test(ssim_is_its_definition),
        cmocka_unit_test(equal_images),
        cmocka_unit_test(scores_do_not_depend_on_units),
        cmocka_unit_test(input_without_an_answer),
        cmocka_unit_test(constant_image_is_defined),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
