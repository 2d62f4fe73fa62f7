/* What the metrics say to images without an answer: an error that names the reason, or a defined
 * score; never a NaN. */
#include "closed_form.h"
#include "scoring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LARGEST = 180 };

static float a[LARGEST * LARGEST], b[LARGEST * LARGEST];

static const struct {
    const char *conf;
    int smallest;                /* side; 1: one pixel is enough */
    const char *constant, *zero; /* what it says to such a reference; NULL: a score */
    const char *small;           /* and to a smaller image; NULL: "smaller than" */
    bool bounded;                /* has no score of images of values too far from the reference's */
} metrics[] = {
    {"{kind: ssim}", 11, NULL, "maximum of the reference is 0", "smaller than", false},
    {"{kind: ssim, window: fastmri}", 7, NULL, "maximum of the reference is 0", "smaller than",
     false},
    {"{kind: msssim}", 161, NULL, "maximum of the reference is 0", "smaller than", false},
    {"{kind: psnr}", 1, NULL, "maximum of the reference is 0", "smaller than", false},
    {"{kind: nrmse}", 1, NULL, "zero everywhere", "smaller than", false},
    {"{kind: hfen}", 1, "no edges", "no edges", "smaller than", false},
    {"{kind: hfen, norm: none}", 1, NULL, NULL, "smaller than", false},
    {"{kind: gmsd}", 6, NULL, "maximum of the reference is 0", "smaller than", false},
    {"{kind: haarpsi}", 16, NULL, "maximum of the reference is 0", "smaller than", false},
    {"{kind: vif}", 41, NULL, "maximum of the reference is 0", "smaller than", false},
    {"{kind: nqm}", 1, "no visible contrast", "maximum of the reference is 0", "smaller than",
     false},
    {"{kind: ssfd, checkpoint: ssl.h5}", 16, "reference is constant", "reference is constant",
     "too small", false},
    {"{kind: vggpl, weights: vgg.h5}", 4, "reference is constant", "reference is constant",
     "too small", false},
    {"{kind: vggpl, weights: vgg.h5, scaling: reference}", 4, "reference is constant",
     "reference is constant", "too small", true},
};
enum { METRICS = sizeof metrics / sizeof *metrics };

/* Of images large enough; they are narrower by 9. */
static int height(int m)
{
    return metrics[m].smallest > 50 ? 177 : 63;
}

static void expect(const char *conf, int h, int w, enum err_code code, const char *what)
{
    double out;
    struct err e = {0};
    if (!score_try(conf, 0.0, a, b, h, w, &out, &e)) fail_msg("%s: %g", conf, out);
    assert_int_equal(e.code, code);
    if (!strstr(e.text, what)) fail_msg("%s: '%s' does not say '%s'", conf, e.text, what);
}

static void defined(const char *conf, int h, int w)
{
    double out = NAN;
    struct err e = {0};
    if (score_try(conf, 0.0, a, b, h, w, &out, &e)) fail_msg("%s: %s", conf, e.text);
    if (!isfinite(out)) fail_msg("%s: the score is %g", conf, out);
}

static void not_finite(void **state)
{
    (void)state;
    for (int m = 0; m < METRICS; m++) {
        const int h = height(m), w = h - 9;
        make_reference(a, h, w, 0);
        make_image(b, h, w, 0);
        b[5 * w + 3] = NAN;
        expect(metrics[m].conf, h, w, ERR_DATA, "image is nan at row 5, column 3");
        a[w + 1] = -INFINITY;
        expect(metrics[m].conf, h, w, ERR_DATA, "reference is -inf at row 1, column 1");
    }
}

static void too_small(void **state)
{
    (void)state;
    make_reference(a, LARGEST, LARGEST, -1);
    make_image(b, LARGEST, LARGEST, -1);
    for (int m = 0; m < METRICS; m++) {
        int n = metrics[m].smallest;
        if (n == 1) continue;
        const char *small = metrics[m].small;
        expect(metrics[m].conf, 1, 1, ERR_DATA, "an image of 1x1");
        expect(metrics[m].conf, n, n - 1, ERR_DATA, small);
        expect(metrics[m].conf, n - 1, n, ERR_DATA, small);
        defined(metrics[m].conf, n, n);
    }
}

/* One pixel is enough for those without a window; it has no edges and no contrast. */
static void one_pixel(void **state)
{
    (void)state;
    a[0] = 2.0f;
    b[0] = 1.0f;
    assert_true(fabs(score_of("{kind: psnr}", a, b, 1, 1) - 20 * log10(2)) < 1e-12);
    assert_true(fabs(score_of("{kind: nrmse}", a, b, 1, 1) - 0.5) < 1e-12);
    assert_true(score_of("{kind: hfen, norm: none}", a, b, 1, 1) < 1e-12);
    expect("{kind: hfen}", 1, 1, ERR_DATA, "no edges");
    expect("{kind: nqm}", 1, 1, ERR_DATA, "no visible contrast");
}

static void flat(void **state)
{
    (void)state;
    for (int m = 0; m < METRICS; m++) {
        const int h = height(m), w = h - 9;
        make_image(b, h, w, -1);
        for (int i = 0; i < h * w; i++)
            a[i] = 3.0f;
        if (metrics[m].constant)
            expect(metrics[m].conf, h, w, ERR_DATA, metrics[m].constant);
        else
            defined(metrics[m].conf, h, w);
        memset(a, 0, sizeof a);
        if (metrics[m].zero)
            expect(metrics[m].conf, h, w, ERR_DATA, metrics[m].zero);
        else
            defined(metrics[m].conf, h, w);
        /* an image without content has a score */
        make_reference(a, h, w, 0);
        memset(b, 0, sizeof b);
        defined(metrics[m].conf, h, w);
        for (int i = 0; i < h * w; i++)
            b[i] = 3.0f;
        defined(metrics[m].conf, h, w);
    }
    for (int i = 0; i < 256; i++)
        a[i] = b[i] = -2.0f;
    expect("{kind: psnr}", 16, 16, ERR_DATA, "constant (-2 everywhere)");
    for (int i = 0; i < 256; i++)
        a[i] = b[i] = 3.0f;
    expect("{kind: haarpsi}", 2, 2, ERR_DATA, "smaller than 16x16");
    assert_true(fabs(score_of("{kind: ssim}", a, b, 16, 16) - 1.0) < 1e-12);
    expect("{kind: ssim, range: extent}", 16, 16, ERR_DATA, "constant (3 everywhere)");
}

/* Values that a scanner may give, and worse. */
static void extreme_values(void **state)
{
    (void)state;
    static const float unit[] = {1e-40f, 1e-30f, 1e-5f, 1e30f};
    for (int m = 0; m < METRICS; m++)
        for (int k = 0; k < 4; k++) {
            const int h = height(m), w = h - 9;
            make_reference(a, h, w, 0);
            make_image(b, h, w, 0);
            for (int i = 0; i < h * w; i++) {
                a[i] *= unit[k];
                b[i] *= unit[k];
            }
            defined(metrics[m].conf, h, w);
            for (int sign = -1; sign <= 1; sign += 2) {
                b[h] = (float)sign * 1e38f;
                if (metrics[m].bounded && unit[k] < 1.0f)
                    expect(metrics[m].conf, h, w, ERR_DATA, "features are not finite");
                else
                    defined(metrics[m].conf, h, w);
            }
        }
}

static void a_volume_that_cannot_be(void **state)
{
    (void)state;
    struct err e = {0};
    double out;
    make_reference(a, 16, 16, 0);
    make_image(b, 16, 16, 0);
    expect("{kind: ssim, range: volume}", 16, 16, ERR_CONFIG, "maximum of the reference scan");
    assert_int_equal(score_try("{kind: gmsd, range: volume}", 0.0, a, b, 16, 16, &out, &e), -1);
    assert_non_null(strstr(e.hint, "no common scale"));
    e = (struct err){0};
    assert_int_equal(score_try("{kind: psnr, range: volume}", 0.01, a, b, 16, 16, &out, &e), -1);
    assert_non_null(strstr(e.text, "more than the maximum of its scan"));
    make_reference(a, 16, 16, 0.5);
    assert_int_equal(score_try("{kind: psnr, range: volume}", 5.0, a, b, 16, 16, &out, &e), -1);
    assert_non_null(strstr(e.text, "for magnitude images"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(not_finite),     cmocka_unit_test(too_small),
        cmocka_unit_test(one_pixel),      cmocka_unit_test(flat),
        cmocka_unit_test(extreme_values), cmocka_unit_test(a_volume_that_cannot_be),
    };
    return cmocka_run_group_tests_name("metric input", tests, networks_set_up, networks_tear_down);
}
