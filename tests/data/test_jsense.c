#include "base/mem.h"
#include "data/fft.h"
#include "data/jsense.h"
#include "data/jsense_model.h"
#include "data/jsense_normal.h"
#include "scratch.h"

#include <math.h>

static struct err e;

static void *buffer(size_t n, size_t size)
{
    void *p = mem_new(n, size, &e);
    assert_non_null(p);
    return p;
}

/* ---- The operators ----------------------------------------------------------------------- */

static const int shapes[][4] = {/* coils, k, rows, cols */
                                {1, 2, 2, 2},   {3, 8, 26, 26}, {2, 8, 13, 13}, {2, 5, 9, 12},
                                {4, 6, 17, 10}, {1, 7, 7, 33},  {2, 16, 16, 24}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* A model of random content, a tenth of the samples missing. */
static struct jsense_model model_of(const int s[4], uint32_t seed)
{
    struct jsense_model j;
    assert_int_equal(jsense_model_init(&j, s[0], s[1], s[2], s[3], &e), 0);
    for (size_t i = 0; i < j.maps_len; i++)
        j.maps[i] = scratch_noise(&seed);
    for (int part = 0; part < 2; part++)
        for (int y = 0; y < j.rows + j.k - 1; y++)
            for (int x = 0; x < j.cols + j.k - 1; x++)
                j.image[(size_t)part * j.plane + (size_t)(y * j.stride + x)] = scratch_noise(&seed);
    for (int y = 0; y < j.rows; y++)
        for (int x = 0; x < j.cols; x++) {
            size_t at = jsense_model_at(&j, y, x);
            j.mask[at] = scratch_noise(&seed) < 0.8f;
            for (size_t c = 0; c < 2 * (size_t)j.coils; c++)
                j.y[c * j.plane + at] = j.mask[at] * scratch_noise(&seed);
        }
    return j;
}

static double real_dot(const float *a, const float *b, size_t n)
{
    double s = 0;
    for (size_t i = 0; i < n; i++)
        s += (double)a[i] * (double)b[i];
    return s;
}

static double complex value(const float *planes, size_t plane, size_t at)
{
    return (double)planes[at] + (double)planes[at + plane] * I;
}

/* P[p] sum_q m[q] r[p + k - 1 - q], as it is written. */
static void test_apply_is_the_convolution(void **state)
{
    (void)state;
    for (int s = 0; s < SHAPES; s++) {
        struct jsense_model j = model_of(shapes[s], (uint32_t)s);
        size_t n = (size_t)(j.k * j.k);
        for (int y = 0; y < j.rows; y++)
            for (int x = 0; x < j.cols; x++) {
                double complex want = 0;
                for (int v = 0; v < j.k; v++)
                    for (int u = 0; u < j.k; u++)
                        want += value(j.maps, n, (size_t)(v * j.k + u)) *
                                value(j.image, j.plane,
                                      (size_t)((y + j.k - 1 - v) * j.stride + x + j.k - 1 - u));
                size_t at = jsense_model_at(&j, y, x);
                want *= (double)j.mask[at];
                if (y + x == 0) jsense_apply(&j, j.maps, j.image, j.scratch);
                assert_true(cabs(value(j.scratch, j.plane, at) - want) < 2e-5);
            }
        jsense_model_release(&j);
    }
}

/* Re <A m, y> = Re <m, A^H y>, in m and in r. Real parts suffice for every y: i y is one of them.
 */
static void test_adjoints(void **state)
{
    (void)state;
    for (int s = 0; s < SHAPES; s++) {
        struct jsense_model j = model_of(shapes[s], 100 + (uint32_t)s);
        size_t len = 2 * (size_t)(j.k * j.k);
        for (int turn = 0; turn < 2; turn++) {
            jsense_apply(&j, j.maps, j.image, j.scratch);
            double left = real_dot(j.scratch, j.y, j.image_len);
            double size =
                sqrt(real_dot(j.scratch, j.scratch, j.image_len) * real_dot(j.y, j.y, j.image_len));
            jsense_adjoint_maps(&j, j.y, j.image, j.input);
            memset(j.rest, 0, j.image_len * sizeof *j.rest);
            jsense_adjoint_image(&j, j.y, j.maps, j.rest);
            assert_true(fabs(left - real_dot(j.maps, j.input, len)) < 1e-5 * size);
            assert_true(fabs(left - real_dot(j.image, j.rest, j.image_len)) < 1e-5 * size);
            for (size_t i = 0; i < j.plane; i++) { /* y := i y */
                float re = j.y[i];
                j.y[i] = -j.y[i + j.plane];
                j.y[i + j.plane] = re;
            }
        }
        jsense_model_release(&j);
    }
}

static void test_objective_never_rises(void **state)
{
    (void)state;
    const double lambdas[] = {0.0, 0.05};
    for (int l = 0; l < 2; l++)
        for (int s = 0; s < SHAPES; s++) {
            struct jsense_model j = model_of(shapes[s], 200 + (uint32_t)s);
            jsense_model_start(&j);
            double before = jsense_objective(&j, lambdas[l]), first = before;
            for (int i = 0; i < 12; i++) {
                if (i % 2 == 0)
                    jsense_solve_maps(&j, 10, lambdas[l]);
                else
                    jsense_solve_image(&j, 10, lambdas[l]);
                double now = jsense_objective(&j, lambdas[l]);
                if (now > before * (1 + 1e-6) + 1e-10 * first)
                    fail_msg("shape %d, half iteration %d: %g after %g", s, i, now, before);
                before = now;
            }
            assert_true(before < 0.9 * first);
            jsense_model_release(&j);
        }
}

/* The matrices of conjugate gradients are the operators, one after the other. */
static void test_normal_matrices(void **state)
{
    (void)state;
    for (int s = 0; s < SHAPES; s++) {
        struct jsense_model j = model_of(shapes[s], 300 + (uint32_t)s);
        const size_t n = 2 * (size_t)(j.k * j.k);
        double *x = buffer(j.image_len + j.maps_len, 8), *y = buffer(j.image_len + j.maps_len, 8);
        float *want = buffer(j.image_len + j.maps_len, 4);
        for (size_t i = 0; i < j.maps_len; i++)
            x[i] = (double)j.maps[i];
        normal_maps_update(j.normal_maps, &j);
        normal_maps_times(j.normal_maps, &j, x, y);
        for (size_t c = 0; c < (size_t)j.coils; c++) {
            jsense_apply(&j, j.maps + c * n, j.image, j.scratch);
            jsense_adjoint_maps(&j, j.scratch, j.image, want + c * n);
        }
        double off = 0, size = 0;
        for (size_t i = 0; i < j.maps_len; i++) {
            off += pow(y[i] - (double)want[i], 2);
            size += pow((double)want[i], 2);
        }
        assert_true(sqrt(off / size) < 1e-6);

        struct normal_image *image = normal_image_new(&j, &e); /* also where it does not pay */
        assert_non_null(image);
        for (size_t i = 0; i < j.image_len; i++) {
            x[i] = (double)j.image[i];
            y[i] = want[i] = 0;
        }
        normal_image_update(image, &j);
        normal_image_times(image, &j, x, y);
        for (size_t c = 0; c < (size_t)j.coils; c++) {
            jsense_apply(&j, j.maps + c * n, j.image, j.scratch);
            jsense_adjoint_image(&j, j.scratch, j.maps + c * n, want);
        }
        off = size = 0;
        for (size_t i = 0; i < j.image_len; i++) {
            off += pow(y[i] - (double)want[i], 2);
            size += pow((double)want[i], 2);
        }
        assert_true(sqrt(off / size) < 1e-6);
        normal_image_free(image);
        mem_free(x);
        mem_free(y);
        mem_free(want);
        jsense_model_release(&j);
    }
}

/* ---- The whole method -------------------------------------------------------------------- */

/* An ellipse with structure and phase, seen by coils around it: (coil, h, w) images and k-space. */
static void simulate(int coils, int h, int w, float noise, float complex *images,
                     float complex *kspace)
{
    uint32_t seed = 7;
    size_t n = (size_t)(h * w);
    struct fft2 *f = fft2_new(h, w, &e);
    for (int c = 0; c < coils; c++) {
        double angle = 2 * M_PI * c / coils;
        for (int i = 0; i < h; i++)
            for (int k = 0; k < w; k++) {
                double y = 2.0 * i / h - 1, x = 2.0 * k / w - 1;
                double far = (y - 1.3 * sin(angle)) * (y - 1.3 * sin(angle)) +
                             (x - 1.3 * cos(angle)) * (x - 1.3 * cos(angle));
                double v = y * y / 0.6 + x * x / 0.5 < 1 ? 1 + 0.4 * cos(9 * x) * sin(7 * y) : 0;
                float complex s = (float complex)(v / (1 + far) * cexp((angle + x * y + y) * I));
                images[(size_t)c * n + (size_t)(i * w + k)] =
                    s + noise * (scratch_noise(&seed) + scratch_noise(&seed) * I);
            }
        memcpy(kspace + (size_t)c * n, images + (size_t)c * n, n * sizeof *images);
        fft2_forward(f, kspace + (size_t)c * n);
    }
    fft2_free(f);
}

static bool calibrate(struct jsense *j, const float complex *kspace, float complex *kernels)
{
    float complex *square = buffer((size_t)(j->coils * j->rows * j->cols), sizeof *square);
    jsense_square(j, kspace, square);
    bool any = jsense_kernels(j, square, kernels);
    mem_free(square);
    return any;
}

struct outcome {
    float complex *images, *kspace, *kernels, *maps, *combined;
    float *rss;
};

static struct outcome reconstruct(const struct jsense_conf *conf, int coils, int h, int w,
                                  float noise)
{
    size_t n = (size_t)(h * w), all = n * (size_t)coils;
    struct outcome o = {.images = buffer(all, 8),
                        .kspace = buffer(all, 8),
                        .maps = buffer(all, 8),
                        .kernels = buffer((size_t)(coils * conf->kernel * conf->kernel), 8),
                        .combined = buffer(n, 8),
                        .rss = buffer(n, 4)};
    simulate(coils, h, w, noise, o.images, o.kspace);
    struct jsense *j = jsense_new(conf, coils, h, w, &e);
    if (!j) fail_msg("%s", e.text);
    assert_true(calibrate(j, o.kspace, o.kernels));
    jsense_maps(j, o.kernels, o.maps);
    jsense_free(j);
    coils_combine(o.maps, o.images, coils, h, w, o.combined);
    coils_rss(o.images, coils, h, w, o.rss);
    return o;
}

static void outcome_release(struct outcome *o)
{
    mem_free(o->images);
    mem_free(o->kspace);
    mem_free(o->kernels);
    mem_free(o->maps);
    mem_free(o->combined);
    mem_free(o->rss);
}

static const struct jsense_conf defaults = {
    .kernel = 8, .calibration = 0.4, .iterations = 10, .inner_iterations = 10, .lambda = 0};

/* Odd sizes, one coil, wide and tall, image smaller than the calibration asked for. */
static void test_properties(void **state)
{
    (void)state;
    const int cases[][3] = {{8, 64, 48}, {4, 45, 39}, {1, 32, 32}, {2, 9, 50}, {3, 60, 8}};
    for (int k = 0; k < 5; k++) {
        int coils = cases[k][0], h = cases[k][1], w = cases[k][2];
        struct outcome o = reconstruct(&defaults, coils, h, w, 0.01f);
        float peak = 0;
        for (int i = 0; i < h * w; i++)
            peak = fmaxf(peak, o.rss[i]);
        for (int i = 0; i < h * w; i++) {
            double s = 0;
            for (int c = 0; c < coils; c++)
                s += pow((double)cabsf(o.maps[c * h * w + i]), 2);
            assert_true(fabs(s - 1) < 1e-5);                              /* unit maps */
            assert_true(cabsf(o.combined[i]) <= o.rss[i] + 1e-5f * peak); /* Cauchy-Schwarz */
            if (coils == 1) assert_true(fabsf(cabsf(o.combined[i]) - o.rss[i]) < 1e-5f * peak);
        }
        outcome_release(&o);
    }
}

/* Combining without storing the maps is combining with them, at widths that are no whole vectors.
 */
static void test_combine(void **state)
{
    (void)state;
    const int cases[][3] = {{8, 64, 48}, {4, 45, 39}, {1, 32, 33}, {3, 60, 12}};
    for (int t = 0; t < 4; t++) {
        int coils = cases[t][0], h = cases[t][1], w = cases[t][2];
        struct outcome o = reconstruct(&defaults, coils, h, w, 0.01f);
        float complex *out = buffer((size_t)(h * w), sizeof *out);
        float *rss = buffer((size_t)(h * w), sizeof *rss);
        struct jsense *j = jsense_new(&defaults, coils, h, w, &e);
        jsense_combine(j, o.kernels, o.images, out, rss);
        for (int i = 0; i < h * w; i++) {
            assert_true(cabsf(out[i] - o.combined[i]) < 1e-5f);
            assert_true(fabsf(rss[i] - o.rss[i]) < 1e-5f);
        }
        jsense_free(j);
        mem_free(out);
        mem_free(rss);
        outcome_release(&o);
    }
}

/* Kernels to maps as the definition says it: zero-padded, transformed, normalised. */
static void test_maps_are_the_transform(void **state)
{
    (void)state;
    const int cases[][4] = {{3, 32, 24, 8}, {2, 31, 27, 6}, {1, 24, 41, 5}};
    for (int t = 0; t < 3; t++) {
        const int coils = cases[t][0], h = cases[t][1], w = cases[t][2], k = cases[t][3], n = h * w;
        struct jsense_conf conf = defaults;
        conf.kernel = k;
        struct jsense *j = jsense_new(&conf, coils, h, w, &e);
        struct fft2 *f = fft2_new(h, w, &e);
        float complex *kernels = buffer((size_t)(coils * k * k), 8);
        float complex *maps = buffer((size_t)(coils * n), 8),
                      *want = buffer((size_t)(coils * n), 8);
        uint32_t seed = 5;
        int row, col;
        jsense_model_centre(j->model, &row, &col);
        for (int i = 0; i < coils * k * k; i++)
            kernels[i] = scratch_noise(&seed) + scratch_noise(&seed) * I;
        for (int c = 0; c < coils; c++) {
            for (int i = 0; i < k * k; i++)
                want[c * n + (h / 2 - row + i / k) * w + w / 2 - col + i % k] =
                    kernels[c * k * k + i];
            fft2_inverse(f, want + c * n);
        }
        coils_unit_rss(want, coils, h, w);
        jsense_maps(j, kernels, maps);
        for (int i = 0; i < coils * n; i++)
            assert_true(cabsf(maps[i] - want[i]) < 2e-5f);
        fft2_free(f);
        jsense_free(j);
        mem_free(kernels);
        mem_free(maps);
        mem_free(want);
    }
}

/* Without noise the coil images lie in the span of the maps: |x - S S^H x| is small. */
static void test_maps_explain_the_images(void **state)
{
    (void)state;
    enum { C = 8, H = 64, W = 48 };
    struct outcome o = reconstruct(&defaults, C, H, W, 0.0f);
    double left = 0, all = 0;
    for (int i = 0; i < H * W; i++)
        for (int c = 0; c < C; c++) {
            float complex d = o.images[c * H * W + i] - o.maps[c * H * W + i] * o.combined[i];
            left += pow((double)cabsf(d), 2);
            all += pow((double)cabsf(o.images[c * H * W + i]), 2);
        }
    assert_true(sqrt(left / all) < 0.02);
    outcome_release(&o);
}

/* Maps carry no linear phase of their own, at odd sizes either: one coil of constant sensitivity.
 */
static void test_no_linear_phase(void **state)
{
    (void)state;
    const int cases[][3] = {{32, 32, 8}, {33, 31, 8}, {32, 31, 5}, {31, 32, 4}, {9, 9, 8}};
    for (int k = 0; k < 5; k++) {
        int h = cases[k][0], w = cases[k][1], n = h * w;
        struct jsense_conf conf = defaults;
        conf.kernel = cases[k][2];
        conf.calibration = 1;
        float complex *kspace = buffer((size_t)n, 8), *maps = buffer((size_t)n, 8), kernel[64];
        kspace[(h / 2) * w + w / 2] = 3;
        struct jsense *j = jsense_new(&conf, 1, h, w, &e);
        assert_true(calibrate(j, kspace, kernel));
        jsense_maps(j, kernel, maps);
        for (int i = 0; i < n; i++)
            assert_true(cabsf(maps[i] - 1) < 1e-4f);
        jsense_free(j);
        mem_free(kspace);
        mem_free(maps);
    }
}

static void test_units_do_not_matter(void **state)
{
    (void)state;
    enum { C = 4, H = 32, W = 32, N = C * H * W };
    struct outcome o = reconstruct(&defaults, C, H, W, 0.01f);
    const float units[] = {1e-20f, 1e6f};
    for (int u = 0; u < 2; u++) {
        float complex *k = buffer(N, 8), *maps = buffer(N, 8), *kernels = buffer(C * 64, 8);
        for (int i = 0; i < N; i++)
            k[i] = units[u] * o.kspace[i];
        struct jsense *j = jsense_new(&defaults, C, H, W, &e);
        assert_true(calibrate(j, k, kernels));
        jsense_maps(j, kernels, maps);
        for (int i = 0; i < H * W; i++)
            for (int c = 0; c < C && o.rss[i] > 0.1f; c++)
                assert_true(cabsf(maps[c * H * W + i] - o.maps[c * H * W + i]) < 1e-2f);
        jsense_free(j);
        mem_free(k);
        mem_free(maps);
        mem_free(kernels);
    }
    outcome_release(&o);
}

/* Samples that no coil has do not count as zeros: the magnitude hardly changes. */
static void test_missing_samples(void **state)
{
    (void)state;
    enum { C = 8, H = 64, W = 48, N = H * W };
    struct outcome o = reconstruct(&defaults, C, H, W, 0.0f);
    float complex *maps = buffer(C * N, 8), *kernels = buffer(C * 64, 8), combined[N];
    for (int i = 0; i < C * N; i++)
        if (i % N / W % 5 == 0 && i % W % 4 == 0) o.kspace[i] = 0;
    struct jsense *j = jsense_new(&defaults, C, H, W, &e);
    assert_true(calibrate(j, o.kspace, kernels));
    jsense_maps(j, kernels, maps);
    jsense_free(j);
    coils_combine(maps, o.images, C, H, W, combined);
    double off = 0, size = 0;
    for (int i = 0; i < N; i++) {
        off += pow((double)(cabsf(combined[i]) - o.rss[i]), 2);
        size += pow((double)o.rss[i], 2);
    }
    assert_true(sqrt(off / size) < 0.02);
    mem_free(maps);
    mem_free(kernels);
    outcome_release(&o);
}

static void test_nothing_there(void **state)
{
    (void)state;
    enum { C = 2, H = 40, W = 32 };
    float complex *k = buffer(C * H * W, 8), *maps = buffer(C * H * W, 8), kernels[C * 64];
    struct jsense *j = jsense_new(&defaults, C, H, W, &e);
    kernels[5] = NAN;
    assert_false(calibrate(j, k, kernels));
    jsense_maps(j, kernels, maps);
    for (int i = 0; i < C * H * W; i++)
        assert_true(maps[i] == 0);
    jsense_free(j);
    mem_free(k);
    mem_free(maps);

    assert_null(jsense_new(&defaults, C, 7, 20, &e));
    assert_int_equal(e.code, ERR_CONFIG);
    assert_non_null(strstr(e.text, "7 by 20"));
}

/* Magnitudes of sigpy's JsenseRecon, by scripts/make-golden-jsense.py. Never the complex maps:
 * their common phase is arbitrary. */
static void test_against_sigpy(void **state)
{
    (void)state;
    enum { C = 8, H = 48, W = 40, N = H * W };
    const struct {
        int kernel, side, iterations, inner;
        double lambda;
    } cases[] = {
        {8, 24, 10, 10, 0.0}, {5, 13, 4, 6, 1e-3}, {8, 40, 3, 10, 0.0}, {6, 19, 10, 10, 0.0}};
    char path[512];
    snprintf(path, sizeof path, "%s/tests/data/golden/jsense.h5", getenv("SSFD_SOURCE"));
    struct h5 *g = h5_open(path, &e);
    if (!g) fail_msg("%s", e.text);
    const int64_t dim[3] = {C, H, W};
    float complex *k = buffer(C * N, 8), *maps = buffer(C * N, 8), *kernels = buffer(C * 64, 8);
    float complex combined[N];
    float want[N];
    assert_int_equal(h5_read_c64(g, "kspace", 3, NULL, dim, k, &e), 0);
    for (int t = 0; t < 4; t++) {
        char name[16];
        snprintf(name, sizeof name, "magnitude%d", t);
        assert_int_equal(h5_read_f32(g, name, 2, NULL, dim + 1, want, &e), 0);
        const struct jsense_conf conf = {.kernel = cases[t].kernel,
                                         .calibration = (double)cases[t].side / W,
                                         .iterations = cases[t].iterations,
                                         .inner_iterations = cases[t].inner,
                                         .lambda = cases[t].lambda};
        struct jsense *j = jsense_new(&conf, C, H, W, &e);
        assert_true(calibrate(j, k, kernels));
        jsense_maps(j, kernels, maps);
        jsense_free(j);
        struct fft2 *f = fft2_new(H, W, &e);
        float complex *images = buffer(C * N, 8);
        memcpy(images, k, C * N * sizeof *k);
        for (int c = 0; c < C; c++)
            fft2_inverse(f, images + c * N);
        fft2_free(f);
        coils_combine(maps, images, C, H, W, combined);
        mem_free(images);
        double off = 0, size = 0;
        for (int i = 0; i < N; i++) {
            off += pow((double)(cabsf(combined[i]) - want[i]), 2);
            size += pow((double)want[i], 2);
        }
        printf("case %d: normalised difference to sigpy %.2e\n", t, sqrt(off / size));
        assert_true(sqrt(off / size) < 1e-5);
    }
    mem_free(k);
    mem_free(maps);
    mem_free(kernels);
    h5_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_apply_is_the_convolution),
        cmocka_unit_test(test_adjoints),
        cmocka_unit_test(test_normal_matrices),
        cmocka_unit_test(test_objective_never_rises),
        cmocka_unit_test(test_properties),
        cmocka_unit_test(test_combine),
        cmocka_unit_test(test_maps_are_the_transform),
        cmocka_unit_test(test_maps_explain_the_images),
        cmocka_unit_test(test_no_linear_phase),
        cmocka_unit_test(test_units_do_not_matter),
        cmocka_unit_test(test_missing_samples),
        cmocka_unit_test(test_nothing_there),
        cmocka_unit_test(test_against_sigpy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
