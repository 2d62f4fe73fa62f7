/* VGG-PL with made-up weights in files of Keras' layouts, and with the genuine ones of its first
 * two blocks where they are: against a naive network in double precision, and what it refuses. */
#include "base/h5.h"
#include "base/par.h"
#include "base/rng.h"
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
#include <unistd.h>

enum { LAYERS = 7, SIDE = 24, MOST = 9 * 256 * 256 };
enum layout { KERAS1, KERAS2, KERAS2_MODEL, KERAS3, LAYOUTS };

static const struct layer {
    const char *name;
    int in, out, pool; /* pool: before it */
} layers[LAYERS] = {
    {"block1_conv1", 3, 64, 0},    {"block1_conv2", 64, 64, 0},   {"block2_conv1", 64, 128, 1},
    {"block2_conv2", 128, 128, 0}, {"block3_conv1", 128, 256, 1}, {"block3_conv2", 256, 256, 0},
    {"block3_conv3", 256, 256, 0},
};
static float *kernel[LAYERS], bias[LAYERS][256]; /* kernels (row, column, in, out) */
static char dir[] = "/tmp/ssfd-vgg-XXXXXX", path[64];
static float a[SIDE * SIDE], b[SIDE * SIDE], c[SIDE * SIDE];

static void make_weights(void)
{
    for (int k = 0; k < LAYERS; k++) {
        struct rng rng = rng_make(7, RNG_INIT, (uint32_t)k, 0);
        int n = 9 * layers[k].in;
        for (int i = 0; i < n * layers[k].out; i++)
            kernel[k][i] = (float)((2 * rng_uniform(&rng) - 1) * sqrt(6.0 / n));
        for (int i = 0; i < layers[k].out; i++)
            bias[k][i] = (float)(0.2 * rng_uniform(&rng) - 0.1);
    }
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(dir)) return -1;
    snprintf(path, sizeof path, "%s/vgg.h5", dir);
    for (int k = 0; k < LAYERS; k++)
        if (!(kernel[k] = malloc(MOST * sizeof(float)))) return -1;
    make_weights();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int k = 0; k < LAYERS; k++)
        free(kernel[k]);
    unlink(path);
    return rmdir(dir);
}

static void put(struct h5 *f, const char *name, int rank, const int64_t *dim, const float *x)
{
    struct err e = {0};
    const int64_t zero[4] = {0};
    if (h5_make(f, name, H5_F32, rank, dim, &e) || h5_write_f32(f, name, rank, zero, dim, x, &e))
        fail_msg("%s", e.text);
}

static void name_of(enum layout layout, int k, int is_bias, char out[128])
{
    static const char *const form[] = {"%s/%s_%c_1:0", "%s/%s/%s:0", "model_weights/%s/%s/%s:0"};
    const char *name = layers[k].name;
    if (layout == KERAS1)
        snprintf(out, 128, form[0], name, name, is_bias ? 'b' : 'W');
    else if (layout == KERAS3 && k == 0)
        snprintf(out, 128, "layers/conv2d/vars/%d", is_bias);
    else if (layout == KERAS3)
        snprintf(out, 128, "layers/conv2d_%d/vars/%d", k, is_bias);
    else
        snprintf(out, 128, form[layout], name, name, is_bias ? "bias" : "kernel");
}

/* `without`: a layer that is left out; -1: none. */
static struct h5 *make_file(enum layout layout, int without)
{
    struct err e = {0};
    char name[128];
    struct h5 *f = h5_create(path, &e);
    if (!f) fail_msg("%s", e.text);
    for (int k = 0; k < LAYERS; k++) {
        const int64_t dim[4] = {3, 3, layers[k].in, layers[k].out};
        if (k == without) continue;
        name_of(layout, k, 0, name);
        put(f, name, 4, dim, kernel[k]);
        name_of(layout, k, 1, name);
        put(f, name, 1, &dim[3], bias[k]);
    }
    return f;
}

static void finish(struct h5 *f)
{
    struct err e = {0};
    if (h5_commit(f, &e)) fail_msg("%s", e.text);
    h5_close(f);
}

static double score(const char *more, const float *x, const float *y)
{
    char conf[256];
    snprintf(conf, sizeof conf, "{kind: vggpl, weights: %s%s}", path, more);
    return score_of(conf, x, y, SIDE, SIDE);
}

/* ---- Naively ----------------------------------------------------------------------------- */

static double *convolved(double *x, int n, const struct layer *l, const float *k, const float *add)
{
    double *y = calloc((size_t)(n * n * l->out), sizeof *y);
    assert_non_null(y);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            for (int at = 0; at < 9; at++) {
                int u = i + at / 3 - 1, v = j + at % 3 - 1;
                if (u < 0 || u >= n || v < 0 || v >= n) continue;
                for (int p = 0; p < l->in; p++)
                    for (int q = 0; q < l->out; q++)
                        y[(i * n + j) * l->out + q] +=
                            x[(u * n + v) * l->in + p] * (double)k[(at * l->in + p) * l->out + q];
            }
    for (int i = 0; i < n * n * l->out; i++)
        y[i] = fmax(y[i] + (double)add[i % l->out], 0.0);
    free(x);
    return y;
}

static double *pooled(double *x, int n, int channels)
{
    double *y = calloc((size_t)(n / 2 * (n / 2) * channels), sizeof *y);
    assert_non_null(y);
    for (int i = 0; i < n / 2; i++)
        for (int j = 0; j < n / 2; j++)
            for (int q = 0; q < channels; q++) {
                const double *p = x + (2 * i * n + 2 * j) * channels + q;
                y[(i * (n / 2) + j) * channels + q] =
                    fmax(fmax(p[0], p[channels]), fmax(p[n * channels], p[(n + 1) * channels]));
            }
    free(x);
    return y;
}

/* Features after the first `depth` convolutions; `from` gives the scale. */
static double *encoded(const float *image, const float *from, int depth, int *len)
{
    static const double mean[] = {103.939, 116.779, 123.68};
    int n = SIDE;
    double low = INFINITY, high = -INFINITY, *x = calloc((size_t)(n * n * 3), sizeof *x);
    assert_non_null(x);
    for (int i = 0; i < n * n; i++) {
        low = fmin(low, (double)from[i]);
        high = fmax(high, (double)from[i]);
    }
    for (int i = 0; i < n * n * 3; i++)
        x[i] = 255 * ((double)image[i / 3] - low) / (high - low) - mean[i % 3];
    for (int k = 0; k < depth; k++) {
        if (layers[k].pool) x = pooled(x, n, layers[k].in);
        if (layers[k].pool) n /= 2;
        x = convolved(x, n, &layers[k], kernel[k], bias[k]);
    }
    *len = n * n * layers[depth - 1].out;
    return x;
}

static double naive(const float *x, const float *y, int depth, int joint)
{
    int n;
    double sum = 0, *p = encoded(x, x, depth, &n), *q = encoded(y, joint ? x : y, depth, &n);
    for (int i = 0; i < n; i++)
        sum += (p[i] - q[i]) * (p[i] - q[i]) / n;
    free(p);
    free(q);
    return sum;
}

static void agree(const char *more, int depth, int joint, double limit)
{
    double want = naive(a, b, depth, joint), got = score(more, a, b);
    if (!(fabs(got - want) <= limit * want))
        fail_msg("%s: %.9g, in double precision %.9g", more, got, want);
}

static void make_images(void)
{
    make_reference(a, SIDE, SIDE, 0);
    make_image(b, SIDE, SIDE, 0.3);
}

/* ---- Tests ------------------------------------------------------------------------------- */

static void every_layout_is_the_network(void **state)
{
    (void)state;
    double first = 0;
    make_images();
    for (int layout = 0; layout < LAYOUTS; layout++) {
        finish(make_file((enum layout)layout, -1));
        if (layout == 0) {
            agree("", 7, 0, 1e-6);
            agree(", layer: block2_relu2", 4, 0, 1e-6);
            agree(", layer: block1_relu1", 1, 0, 1e-6);
            agree(", scaling: reference", 7, 1, 1e-6);
            first = score("", a, b);
        }
        assert_true(score("", a, b) == first);
    }
}

static void invariances(void **state)
{
    (void)state;
    make_images();
    finish(make_file(KERAS1, -1));
    double plain = score("", a, b);
    for (int i = 0; i < SIDE * SIDE; i++)
        c[i] = 1024.0f * b[i] + 8.0f;
    assert_true(score("", a, a) == 0.0);
    assert_true(score("", a, b) == score("", b, a));
    assert_true(fabs(score("", a, c) - plain) < 1e-6 * plain);
    assert_true(score(", scaling: reference", a, c) > 2 * plain);
    int threads = par_threads();
    par_set_threads(1);
    assert_true(score("", a, b) == plain);
    par_set_threads(threads);
}

static void refuse(const char *more, enum err_code code, const char *what)
{
    char conf[256];
    double out;
    struct err e = {0};
    snprintf(conf, sizeof conf, "{kind: vggpl, weights: %s%s}", path, more);
    if (!score_try(conf, 0.0, a, b, SIDE, SIDE, &out, &e)) fail_msg("not refused: %s", what);
    assert_int_equal(e.code, code);
    if (!strstr(e.text, what)) fail_msg("'%s' does not say '%s'", e.text, what);
}

static void files_that_are_wrong(void **state)
{
    (void)state;
    const int64_t turned[4] = {64, 3, 3, 3}, dim[4] = {3, 3, 3, 64};
    make_images();
    finish(make_file(KERAS1, 5));
    refuse("", ERR_DATA, "no kernel for block3_conv2");
    struct h5 *f = make_file(KERAS2, 0);
    put(f, "block1_conv1/block1_conv1/kernel:0", 4, turned, kernel[0]);
    finish(f);
    refuse("", ERR_DATA, "(64, 3, 3, 3), expected (3, 3, 3, 64)");
    f = make_file(KERAS1, -1);
    put(f, "layers/conv2d/vars/0", 4, dim, kernel[0]);
    finish(f);
    refuse("", ERR_DATA, "two kernels for block1_conv1");
    float keep = kernel[3][100];
    kernel[3][100] = NAN;
    finish(make_file(KERAS1, -1));
    kernel[3][100] = keep;
    refuse("", ERR_DATA, "block2_conv2_W_1:0' has a value that is not finite");
    FILE *text = fopen(path, "w");
    assert_non_null(text);
    fputs("not HDF5\n", text);
    fclose(text);
    refuse("", ERR_DATA, "vgg.h5");
    finish(make_file(KERAS1, -1));
    refuse(", layer: block4_relu1", ERR_CONFIG, "no layer 'block4_relu1'");
    memset(a, 0, sizeof a);
    refuse("", ERR_DATA, "the reference is constant");
    make_images();
    b[SIDE + 2] = NAN;
    refuse("", ERR_DATA, "row 1, column 2");
}

static void not_there(void **state)
{
    (void)state;
    finish(make_file(KERAS1, -1));
    unlink(path);
    make_images();
    refuse("", ERR_NOINPUT, path);
    finish(make_file(KERAS1, -1));
}

static void read_floats(const char *folder, const char *name, const char *suffix, float *x,
                        size_t n)
{
    char file[512];
    snprintf(file, sizeof file, "%s/%s_%s.bin", folder, name, suffix);
    FILE *f = fopen(file, "rb");
    assert_non_null(f);
    assert_true(fread(x, sizeof *x, n, f) == n);
    fclose(f);
}

static void genuine_weights(void **state)
{
    (void)state;
    char folder[400];
    snprintf(folder, sizeof folder, "%s/../shared/data/vgg16-partial", getenv("SSFD_SOURCE"));
    if (access(folder, R_OK)) {
        print_message("%s is absent: nothing is said about the genuine weights\n", folder);
        skip();
    }
    make_images();
    for (int k = 0; k < 4; k++) {
        read_floats(folder, layers[k].name, "kernel_HWIO_f32", kernel[k],
                    9 * (size_t)layers[k].in * (size_t)layers[k].out);
        read_floats(folder, layers[k].name, "bias_f32_from_fixed16", bias[k],
                    (size_t)layers[k].out);
    }
    finish(make_file(KERAS1, -1));
    agree(", layer: block1_relu2", 2, 0, 1e-6);
    agree(", layer: block2_relu2", 4, 0, 1e-6);
    make_weights();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layout_is_the_network),
        cmocka_unit_test(invariances),
        cmocka_unit_test(files_that_are_wrong),
        cmocka_unit_test(not_there),
        cmocka_unit_test(genuine_weights),
    };
    return cmocka_run_group_tests_name("vgg", tests, set_up, tear_down);
}
