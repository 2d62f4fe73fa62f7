#include "base/mem.h"
#include "data/dft.h"
#include "data/fft.h"
#include "data/fft_line.h"
#include "data/jsense.h"
#include "scratch.h"

#include <math.h>

static struct err e;

static void fill(float complex *x, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        float re = scratch_noise(&seed);
        x[i] = re + scratch_noise(&seed) * I;
    }
}

/* The definition, in double: centred frequencies and positions. */
static void naive(const float complex *x, int h, int w, int sign, double complex *out)
{
    for (int u = 0; u < h; u++)
        for (int v = 0; v < w; v++) {
            double complex sum = 0;
            for (int i = 0; i < h; i++)
                for (int j = 0; j < w; j++) {
                    double turn = (double)(u - h / 2) * (i - h / 2) / h +
                                  (double)(v - w / 2) * (j - w / 2) / w;
                    sum += (double complex)x[i * w + j] * cexp(sign * 2 * M_PI * turn * I);
                }
            out[u * w + v] = sum / sqrt((double)h * w);
        }
}

static const int sizes[][2] = {{1, 1},  {1, 7},  {2, 1},   {3, 2},   {4, 4},   {5, 5},  {6, 9},
                               {7, 13}, {8, 12}, {17, 16}, {13, 11}, {20, 31}, {32, 18}};
enum { SIZES = sizeof sizes / sizeof *sizes, MOST = 640 };

static void test_definition(void **state)
{
    (void)state;
    for (int k = 0; k < SIZES; k++) {
        int h = sizes[k][0], w = sizes[k][1];
        float complex x[MOST], y[MOST];
        double complex want[MOST];
        assert_true(h * w <= MOST);
        fill(x, (size_t)(h * w), (uint32_t)k);
        struct fft2 *f = fft2_new(h, w, &e);
        assert_non_null(f);
        for (int sign = -1; sign <= 1; sign += 2) {
            naive(x, h, w, sign, want);
            memcpy(y, x, sizeof *x * (size_t)(h * w));
            if (sign < 0)
                fft2_forward(f, y);
            else
                fft2_inverse(f, y);
            for (int i = 0; i < h * w; i++)
                if (cabs((double complex)y[i] - want[i]) > 3e-6)
                    fail_msg("%d x %d, sign %d, element %d", h, w, sign, i);
        }
        fft2_free(f);
    }
}

static void test_unitary_and_adjoint(void **state)
{
    (void)state;
    const int big[][2] = {{128, 128}, {97, 60}, {64, 45}, {320, 320}};
    for (int k = 0; k < 4; k++) {
        int h = big[k][0], w = big[k][1];
        size_t n = (size_t)h * (size_t)w;
        float complex *x = mem_new(3 * n, sizeof *x, &e), *y = x + n, *fx = x + 2 * n;
        fill(x, n, 1);
        fill(y, n, 2);
        memcpy(fx, x, n * sizeof *x);
        struct fft2 *f = fft2_new(h, w, &e);
        fft2_forward(f, fx);
        double before = 0, after = 0;
        double complex left = 0, right = 0;
        for (size_t i = 0; i < n; i++) {
            before += (double)(crealf(x[i]) * crealf(x[i]) + cimagf(x[i]) * cimagf(x[i]));
            after += (double)(crealf(fx[i]) * crealf(fx[i]) + cimagf(fx[i]) * cimagf(fx[i]));
            left += (double complex)fx[i] * conj((double complex)y[i]);
        }
        assert_true(fabs(before / after - 1) < 1e-6);
        fft2_inverse(f, y); /* the adjoint of a unitary transform is its inverse */
        for (size_t i = 0; i < n; i++)
            right += (double complex)x[i] * conj((double complex)y[i]);
        assert_true(cabs(left - right) < 1e-6 * before);
        fft2_inverse(f, fx);
        for (size_t i = 0; i < n; i++)
            assert_true(cabsf(fx[i] - x[i]) < 1e-5f);
        fft2_free(f);
        mem_free(x);
    }
}

/* numpy's fftshift(fft2(ifftshift(x), norm="ortho")), by scripts/make-golden-fft.py. */
static void test_convention_of_numpy(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s/tests/data/golden/fft.h5", getenv("SSFD_SOURCE"));
    struct h5 *g = h5_open(path, &e);
    if (!g) fail_msg("%s", e.text);
    const int64_t shape[][2] = {{4, 6}, {5, 4}, {7, 9}};
    for (int k = 0; k < 3; k++) {
        int h = (int)shape[k][0], w = (int)shape[k][1];
        float complex x[63], want[63];
        char name[3][32];
        const char *const kinds[] = {"x", "forward", "inverse"};
        for (int i = 0; i < 3; i++)
            snprintf(name[i], sizeof name[i], "%dx%d/%s", h, w, kinds[i]);
        struct fft2 *f = fft2_new(h, w, &e);
        for (int way = 1; way <= 2; way++) {
            if (h5_read_c64(g, name[0], 2, NULL, shape[k], x, &e) ||
                h5_read_c64(g, name[way], 2, NULL, shape[k], want, &e))
                fail_msg("%s", e.text);
            if (way == 1)
                fft2_forward(f, x);
            else
                fft2_inverse(f, x);
            for (int i = 0; i < h * w; i++)
                assert_true(cabsf(x[i] - want[i]) < 1e-6f);
        }
        fft2_free(f);
    }
    h5_close(g);
}

static void test_repeatable(void **state)
{
    (void)state;
    enum { H = 48, W = 45 };
    static float complex x[H * W + 1], y[H * W + 1];
    fill(x, H * W, 3);
    memcpy(y + 1, x, H * W * sizeof *x); /* another alignment, another plan: the same bits */
    struct fft2 *a = fft2_new(H, W, &e), *b = fft2_new(H, W, &e);
    fft2_forward(a, x);
    fft2_forward(b, y + 1);
    assert_memory_equal(x, y + 1, H * W * sizeof *x);
    fft2_free(a);
    fft2_free(b);
}

/* fastMRI's center_crop starts at (n - m) / 2: rows 160 of 640, columns 24 of 368, 26 of 372. */
static void test_fit(void **state)
{
    (void)state;
    const int cases[][3] = {{640, 320, 160}, {368, 320, 24}, {372, 320, 26},
                            {322, 320, 1},   {7, 4, 1},      {5, 5, 0}};
    for (int k = 0; k < 6; k++) {
        int n = cases[k][0], m = cases[k][1];
        float x[640], y[640];
        for (int i = 0; i < n; i++)
            x[i] = (float)i;
        image_fit_f32(x, 1, n, y, 1, m);
        assert_true(y[0] == (float)cases[k][2] && y[m - 1] == (float)(cases[k][2] + m - 1));
        image_fit_f32(x, n, 1, y, m, 1);
        assert_true(y[0] == (float)cases[k][2] && y[m - 1] == (float)(cases[k][2] + m - 1));
    }
    /* Cropping rows while padding columns, complex: (4, 2) -> (2, 5). */
    const float complex x[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    const float complex want[10] = {0, 2, 3, 0, 0, 0, 4, 5, 0, 0};
    float complex y[10];
    image_fit(x, 4, 2, y, 2, 5);
    assert_memory_equal(y, want, sizeof y);
}

/* Transform and crop in one is the transform, then the crop: cropped, padded, odd, narrow. */
static void test_fft_fit(void **state)
{
    (void)state;
    const int cases[][4] = {{64, 37, 32, 32}, {31, 20, 15, 24}, {9, 50, 20, 11}, {7, 5, 7, 5},
                            {1, 1, 1, 1},     {1, 3, 4, 2},     {40, 16, 40, 16}};
    for (int k = 0; k < 7; k++) {
        const int h = cases[k][0], w = cases[k][1], oh = cases[k][2], ow = cases[k][3];
        float complex x[64 * 50], before[64 * 50], got[32 * 64], want[32 * 64];
        fill(x, (size_t)(h * w), (uint32_t)k);
        fill(got, (size_t)(oh * ow), 9);
        memcpy(before, x, sizeof x);
        struct fft_fit *fit = fft_fit_new(h, w, oh, ow, &e);
        struct fft2 *f = fft2_new(h, w, &e);
        for (int again = 0; again < 2; again++) { /* nothing is left from the first */
            fft_fit_inverse(fit, x, got);
            assert_memory_equal(x, before, (size_t)(h * w) * sizeof *x);
        }
        fft2_inverse(f, x);
        image_fit(x, h, w, want, oh, ow);
        for (int i = 0; i < oh * ow; i++)
            assert_true(cabsf(got[i] - want[i]) < 2e-6f);
        fft2_free(f);
        fft_fit_free(fit);
    }
}

/* Columns that are left out are columns of zeros, to the bit: all, none, some of them. */
static void test_fft_fit_kept(void **state)
{
    (void)state;
    const int cases[][4] = {{64, 37, 32, 32}, {31, 20, 15, 24}, {9, 50, 20, 11}, {5, 3, 7, 5}};
    for (int k = 0; k < 4; k++)
        for (int every = 0; every < 5; every++) {
            const int h = cases[k][0], w = cases[k][1], oh = cases[k][2], ow = cases[k][3];
            float complex x[64 * 50], zeroed[64 * 50], got[32 * 32], want[32 * 32];
            float keep[50];
            fill(x, (size_t)(h * w), (uint32_t)k);
            fill(got, (size_t)(oh * ow), 9);
            for (int j = 0; j < w; j++)
                keep[j] = every && j % every == 0;
            for (int i = 0; i < h * w; i++)
                zeroed[i] = keep[i % w] != 0.0f ? x[i] : 0.0f;
            struct fft_fit *fit = fft_fit_new(h, w, oh, ow, &e);
            fft_fit_inverse(fit, x, want); /* leaves what must not be found */
            fft_fit_inverse_kept(fit, keep, x, got);
            fft_fit_inverse(fit, zeroed, want);
            for (int i = 0; i < oh * ow; i++)
                assert_true(got[i] == want[i]);
            fft_fit_free(fit);
        }
}

/* Dropping columns of the image's k-space in passing is doing so afterwards: with columns cropped,
 * all kept and padded, and rows likewise. */
static void test_fft_fit_masked(void **state)
{
    (void)state;
    const int cases[][4] = {{64, 37, 32, 32}, {40, 24, 20, 24}, {9, 50, 20, 11},
                            {12, 17, 12, 17}, {5, 3, 7, 5},     {20, 46, 10, 31}};
    for (int k = 0; k < 6; k++)
        for (int every = 0; every < 5; every++) {
            const int h = cases[k][0], w = cases[k][1], oh = cases[k][2], ow = cases[k][3];
            float complex x[64 * 50], got[32 * 32], want[32 * 32];
            float keep[50];
            fill(x, (size_t)(h * w), (uint32_t)k);
            fill(got, (size_t)(oh * ow), 9);
            for (int j = 0; j < ow; j++)
                keep[j] = every && j % every == 0;
            struct fft_fit *fit = fft_fit_new(h, w, oh, ow, &e);
            struct fft_mask *mask = fft_mask_new(ow, &e);
            struct fft2 *whole = fft2_new(h, w, &e), *f = fft2_new(oh, ow, &e);
            fft_fit_inverse(fit, x, want); /* leaves what must not be found */
            fft_fit_inverse_masked(fit, mask, keep, x, got);
            fft2_inverse(whole, x);
            image_fit(x, h, w, want, oh, ow);
            fft2_forward(f, want);
            for (int i = 0; i < oh * ow; i++)
                want[i] *= keep[i % ow];
            fft2_inverse(f, want);
            for (int i = 0; i < oh * ow; i++)
                assert_true(cabsf(got[i] - want[i]) < 3e-6f);
            fft2_free(f);
            fft2_free(whole);
            fft_mask_free(mask);
            fft_fit_free(fit);
        }
}

/* Every length up to 200, and those of fastMRI and of large primes: the definition in double, the
 * same bits whoever asks, nothing written beyond the line. */
static void test_line(void **state)
{
    (void)state;
    static const int large[] = {320, 322, 328, 332, 356, 368, 372, 386, 640, 646, 692, 1021, 1996};
    for (int k = 0; k < 200 + (int)(sizeof large / sizeof *large); k++) {
        const int n = k < 200 ? k + 1 : large[k - 200];
        float complex *x = mem_new((size_t)n, sizeof *x, &e);
        float complex *y = mem_new((size_t)n + 1, sizeof *y, &e);
        double complex *root = mem_new((size_t)n, sizeof *root, &e);
        fill(x, (size_t)n, (uint32_t)n);
        for (int sign = -1; sign <= 1; sign += 2) {
            struct fft_line *f = fft_line_new(n, sign, &e), *g = fft_line_new(n, sign, &e);
            assert_true(f && g);
            memcpy(y, x, (size_t)n * sizeof *x);
            y[n] = 17;
            fft_line_run(f, y);
            assert_true(y[n] == 17);
            for (int j = 0; j < n; j++)
                root[j] = cexp(sign * 2 * M_PI * j / n * I);
            double worst = 0;
            for (int u = 0; u < n; u++) {
                double complex want = 0;
                for (int j = 0; j < n; j++)
                    want += (double complex)x[j] * root[(long)u * j % n];
                worst = fmax(worst, cabs((double complex)y[u] - want));
            }
            if (worst > 1.5e-6 * sqrt(n)) fail_msg("%d, sign %d: %g", n, sign, worst);
            float complex *other = mem_new((size_t)n, sizeof *other, &e);
            memcpy(other, x, (size_t)n * sizeof *x);
            fft_line_run(g, other);
            assert_memory_equal(other, y, (size_t)n * sizeof *other);
            mem_free(other);
            fft_line_free(f);
            fft_line_free(g);
        }
        mem_free(root);
        mem_free(y);
        mem_free(x);
    }
}

/* A few frequencies by matrix are those of the whole transform. */
static void test_dft(void **state)
{
    (void)state;
    const int cases[][4] = {{64, 37, 26, 26}, {31, 40, 13, 12}, {9, 50, 9, 50},
                            {8, 8, 8, 8},     {48, 45, 1, 2},   {5, 64, 2, 33}};
    for (int k = 0; k < 6; k++) {
        const int h = cases[k][0], w = cases[k][1], rows = cases[k][2], cols = cases[k][3];
        float complex x[64 * 64], got[64 * 64];
        fill(x, (size_t)(h * w), (uint32_t)k);
        struct dft *d = dft_new(h, w, rows, cols, &e);
        struct fft2 *f = fft2_new(h, w, &e);
        dft_centre(d, x, got);
        fft2_forward(f, x);
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < cols; j++)
                assert_true(cabsf(got[i * cols + j] -
                                  x[(h / 2 - rows / 2 + i) * w + w / 2 - cols / 2 + j]) < 5e-6f);
        fft2_free(f);
        dft_free(d);
    }
}

static void test_coils(void **state)
{
    (void)state;
    const float complex maps[4] = {1, I, 0.6f, 0.8f * I}, images[4] = {2, 3 * I, 3, 4 * I};
    float complex out[2];
    float rss[2];
    coils_combine(maps, images, 2, 1, 2, out);
    assert_true(cabsf(out[0] - 3.8f) < 1e-6f && cabsf(out[1] - 6.2f) < 1e-6f);
    coils_rss(images, 2, 1, 2, rss);
    assert_true(fabsf(rss[0] - sqrtf(13)) < 1e-6f && fabsf(rss[1] - 5) < 1e-6f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definition),
        cmocka_unit_test(test_unitary_and_adjoint),
        cmocka_unit_test(test_convention_of_numpy),
        cmocka_unit_test(test_repeatable),
        cmocka_unit_test(test_fit),
        cmocka_unit_test(test_fft_fit),
        cmocka_unit_test(test_fft_fit_kept),
        cmocka_unit_test(test_fft_fit_masked),
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_dft),
        cmocka_unit_test(test_coils),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
