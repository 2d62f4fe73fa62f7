/* The feature distance with encoders of random weights, saved as checkpoints: against a naive
 * encoder in double precision, its invariances, and what it refuses. */
#include "base/par.h"
#include "closed_form.h"
#include "eval/metric.h"
#include "fixture.h"

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

extern const struct metric metric_ssfd;

struct ssfd_conf { /* as ssfd.c has it */
    const char *checkpoint, *layer;
    struct cfg_texts layers;
    struct cfg_reals weights;
};

enum { LARGEST = 48, FILTERS = 4, LEVELS = 5, GROUPS = 2 };

static const struct unet_conf ssl = {.in_channels = 1,
                                     .out_channels = 1,
                                     .filters = FILTERS,
                                     .levels = LEVELS,
                                     .block = UNET_BLOCK_CONTEXT,
                                     .groups = GROUPS,
                                     .dropout = 0.1};
static struct params *weights; /* of `ssl` */
static struct graph *graph;
static char dir[] = "/tmp/ssfd-metric-XXXXXX", good[64], recon[64], complex_ssl[64];
static float a[LARGEST * LARGEST], b[LARGEST * LARGEST], c[LARGEST * LARGEST];

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(dir)) return -1;
    snprintf(good, sizeof good, "%s/ssl.h5", dir);
    snprintf(recon, sizeof recon, "%s/recon.h5", dir);
    snprintf(complex_ssl, sizeof complex_ssl, "%s/complex.h5", dir);
    weights = save_checkpoint(good, "ssl", &ssl, &graph);
    struct graph *g;
    struct unet_conf other = ssl;
    params_free(save_checkpoint(recon, "recon", &other, &g));
    graph_free(g);
    other.in_channels = 2;
    params_free(save_checkpoint(complex_ssl, "ssl", &other, &g));
    graph_free(g);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    params_free(weights);
    graph_free(graph);
    return unlink(good) || unlink(recon) || unlink(complex_ssl) || rmdir(dir);
}

static double score(const char *layer, const float *x, const float *y, int h, int w)
{
    struct ssfd_conf conf = {good, layer, {0}, {0}};
    struct err e = {0};
    double out = NAN;
    void *state = metric_ssfd.open(&conf, h, w, &e);
    if (!state || metric_ssfd.score(state, &conf, &(struct metric_pair){x, y, h, w, {0}}, &out, &e))
        fail_msg("%s", e.text);
    metric_ssfd.close(state);
    return out;
}

/* The encoder, naively, in double precision; planar (c, h, w) features. */
struct map {
    int c, h, w;
    double *x;
};

static const float *weight(const char *fmt, int block, int r)
{
    char name[64];
    if (r)
        snprintf(name, sizeof name, fmt, block, r);
    else
        snprintf(name, sizeof name, fmt, block);
    const struct param *p = params_find(weights, name);
    if (!p) fail_msg("no parameter %s", name);
    return weights->val + p->offset;
}

static struct map map_new(int channels, int h, int w)
{
    struct map m = {channels, h, w, calloc((size_t)(channels * h * w), sizeof(double))};
    assert_non_null(m.x);
    return m;
}

static struct map conv_relu(struct map in, int filters, int block, int r)
{
    const float *k = weight("block%d.conv%d.weight", block, r);
    const float *bias = weight("block%d.conv%d.bias", block, r);
    struct map out = map_new(filters, in.h, in.w);
    for (int f = 0; f < filters; f++)
        for (int i = 0; i < in.h; i++)
            for (int j = 0; j < in.w; j++) {
                double sum = (double)bias[f];
                for (int n = 0; n < in.c * 9; n++) {
                    int u = i + n % 9 / 3 - 1, v = j + n % 3 - 1;
                    if (u >= 0 && u < in.h && v >= 0 && v < in.w)
                        sum += (double)k[f * in.c * 9 + n] * in.x[(n / 9 * in.h + u) * in.w + v];
                }
                out.x[(f * in.h + i) * in.w + j] = sum > 0 ? sum : 0;
            }
    free(in.x);
    return out;
}

static void group_norm(struct map m, int block)
{
    const float *scale = weight("block%d.norm.weight", block, 0);
    const float *bias = weight("block%d.norm.bias", block, 0);
    int plane = m.h * m.w, n = m.c / GROUPS * plane;
    for (int g = 0; g < GROUPS; g++) {
        double *x = m.x + g * n, mean = 0, square = 0;
        for (int i = 0; i < n; i++)
            mean += x[i] / n;
        for (int i = 0; i < n; i++)
            square += (x[i] - mean) * (x[i] - mean) / n;
        for (int i = 0; i < n; i++) {
            int channel = (g * n + i) / plane;
            x[i] = (x[i] - mean) / sqrt(square + 1e-5) * (double)scale[channel] +
                   (double)bias[channel];
        }
    }
}

static struct map max_pool(struct map in)
{
    struct map out = map_new(in.c, in.h / 2, in.w / 2);
    for (int k = 0; k < out.c; k++)
        for (int i = 0; i < out.h; i++)
            for (int j = 0; j < out.w; j++) {
                const double *p = in.x + (k * in.h + 2 * i) * in.w + 2 * j;
                out.x[(k * out.h + i) * out.w + j] =
                    fmax(fmax(p[0], p[1]), fmax(p[in.w], p[in.w + 1]));
            }
    free(in.x);
    return out;
}

static struct map encode(const float *image, int h, int w, int conv)
{
    struct map m = map_new(1, h, w);
    double mean = 0, square = 0;
    int n = h * w;
    for (int i = 0; i < n; i++)
        mean += (double)image[i] / n;
    for (int i = 0; i < n; i++)
        square += pow((double)image[i] - mean, 2);
    for (int i = 0; i < n; i++)
        m.x[i] = ((double)image[i] - mean) / sqrt(square / (n - 1));
    for (int k = 1; k <= conv; k++) {
        int block = (k + 1) / 2, r = k - 2 * (block - 1);
        if (r == 1 && block > 1) {
            group_norm(m, block - 1);
            m = max_pool(m);
        }
        m = conv_relu(m, FILTERS << (block - 1), block, r);
    }
    return m;
}

static double naive_ssfd(int conv, const float *x, const float *y, int h, int w)
{
    struct map p = encode(x, h, w, conv), q = encode(y, h, w, conv);
    double sum = 0;
    int n = p.c * p.h * p.w;
    for (int i = 0; i < n; i++)
        sum += (p.x[i] - q.x[i]) * (p.x[i] - q.x[i]);
    free(p.x);
    free(q.x);
    return sum / n;
}

static void every_layer_is_its_definition(void **state)
{
    (void)state;
    static const int size[][2] = {{32, 32}, {48, 16}, {37, 45}}; /* also sizes that do not halve */
    for (size_t s = 0; s < sizeof size / sizeof *size; s++) {
        int h = size[s][0], w = size[s][1];
        make_reference(a, h, w, 0);
        make_image(b, h, w, 0);
        for (int conv = 1; conv <= 2 * LEVELS; conv++) {
            char layer[16], alias[16];
            snprintf(layer, sizeof layer, "conv%d", conv);
            snprintf(alias, sizeof alias, "block%d_relu%d", (conv + 1) / 2, 2 - conv % 2);
            double want = naive_ssfd(conv, a, b, h, w), got = score(layer, a, b, h, w);
            assert_true(want > 1e-6);
            if (!(fabs(got - want) <= 3e-6 * want))
                fail_msg("%s of %dx%d: %.9g, in double precision %.9g", layer, h, w, got, want);
            assert_true(score(alias, a, b, h, w) == got);
        }
    }
}

/* A combination is the weighted sum of what the layers say by themselves, in any order. */
static void several_layers(void **state)
{
    (void)state;
    static const char *const layers[] = {"conv9", "block2_relu1", "conv10"};
    static const double factors[] = {0.5, 3.0, 0.0};
    struct ssfd_conf conf = {good, "conv1", {3, layers}, {3, factors}};
    struct err e = {0};
    char text[256];
    double out = NAN;
    make_reference(a, 32, 32, 0);
    make_image(b, 32, 32, 0);
    void *s = metric_ssfd.open(&conf, 32, 32, &e);
    if (!s || metric_ssfd.score(s, &conf, &(struct metric_pair){a, b, 32, 32, {0}}, &out, &e))
        fail_msg("%s", e.text);
    double nine = score("conv9", a, b, 32, 32), three = score("conv3", a, b, 32, 32);
    assert_true(fabs(out - (0.5 * nine + 3.0 * three)) < 1e-12 * out);
    conf.weights.n = 0;
    assert_int_equal(
        metric_ssfd.score(s, &conf, &(struct metric_pair){a, b, 32, 32, {0}}, &out, &e), 0);
    assert_true(fabs(out - (nine + three + score("conv10", a, b, 32, 32))) < 1e-12 * out);
    metric_ssfd.close(s);
    conf.weights.n = 3;
    metric_ssfd.variant(&conf, text, sizeof text);
    assert_non_null(strstr(text, "0.5 conv9 + 3 block2_relu1 + 0 conv10"));
    conf.weights.n = 2;
    assert_null(metric_ssfd.open(&conf, 32, 32, &e));
    assert_non_null(strstr(e.text, "2 weights for 3 layers"));
    static const char *const twice[] = {"conv3", "block2_relu1"};
    conf = (struct ssfd_conf){good, "conv1", {2, twice}, {0}};
    assert_null(metric_ssfd.open(&conf, 32, 32, &e));
    assert_non_null(strstr(e.text, "are the same"));
}

static void equal_images_are_at_zero(void **state)
{
    (void)state;
    make_reference(a, 32, 32, 0);
    assert_true(score("conv9", a, a, 32, 32) == 0.0);
    make_image(b, 32, 32, 0);
    assert_true(score("conv9", a, b, 32, 32) == score("conv9", b, a, 32, 32));
}

/* Scanner units do not matter, to rounding: a x + b with a > 0. */
static void affine_intensities_do_not_matter(void **state)
{
    (void)state;
    make_reference(a, 32, 32, 0);
    make_image(b, 32, 32, 0);
    double plain = score("conv9", a, b, 32, 32);
    for (int i = 0; i < 32 * 32; i++)
        c[i] = 1.7e-5f * b[i] + 3e-5f;
    assert_true(fabs(score("conv9", a, c, 32, 32) - plain) < 1e-5 * plain);
    assert_true(score("conv9", b, c, 32, 32) < 1e-8);
}

static void state_remembers_no_image(void **state)
{
    (void)state;
    struct ssfd_conf conf = {good, "conv9", {0}, {0}};
    struct err e = {0};
    void *s = metric_ssfd.open(&conf, 32, 32, &e);
    assert_non_null(s);
    double first, second, third;
    make_reference(a, 32, 32, 0);
    make_image(b, 32, 32, 0);
    assert_int_equal(
        metric_ssfd.score(s, &conf, &(struct metric_pair){a, b, 32, 32, {0}}, &first, &e), 0);
    assert_int_equal(
        metric_ssfd.score(s, &conf, &(struct metric_pair){b, b, 32, 32, {0}}, &second, &e), 0);
    assert_int_equal(
        metric_ssfd.score(s, &conf, &(struct metric_pair){a, b, 32, 32, {0}}, &third, &e), 0);
    metric_ssfd.close(s);
    assert_true(second == 0.0 && first == third && first > 0.0);
}

static void threads_do_not_matter(void **state)
{
    (void)state;
    int threads = par_threads();
    make_reference(a, 48, 48, 0);
    make_image(b, 48, 48, 0);
    par_set_threads(1);
    double one = score("conv9", a, b, 48, 48);
    par_set_threads(2);
    double two = score("conv9", a, b, 48, 48);
    par_set_threads(threads);
    assert_true(one == two);
}

static void expect(const char *checkpoint, const char *layer, enum err_code code, const char *what)
{
    struct ssfd_conf conf = {checkpoint, layer, {0}, {0}};
    struct err e = {0};
    assert_null(metric_ssfd.open(&conf, 32, 32, &e));
    assert_int_equal(e.code, code);
    if (!strstr(e.text, what)) fail_msg("'%s' does not say '%s'", e.text, what);
}

static void refusals(void **state)
{
    (void)state;
    char text[64];
    snprintf(text, sizeof text, "%s/text.h5", dir);
    FILE *f = fopen(text, "w");
    assert_non_null(f);
    fputs("not a checkpoint\n", f);
    fclose(f);
    expect("/nowhere/best.h5", "conv9", ERR_NOINPUT, "/nowhere/best.h5");
    expect(text, "conv9", ERR_DATA, "text.h5");
    expect(recon, "conv9", ERR_DATA, "task 'recon'");
    expect(complex_ssl, "conv9", ERR_DATA, "2 input channels");
    expect(good, "conv11", ERR_CONFIG, "conv11");
    expect(good, "fc7", ERR_CONFIG, "fc7");
    unlink(text);
}

static void images_without_an_answer(void **state)
{
    (void)state;
    struct ssfd_conf conf = {good, "conv9", {0}, {0}};
    struct err e = {0};
    double out;
    void *s = metric_ssfd.open(&conf, 32, 32, &e);
    assert_non_null(s);
    make_reference(a, 32, 32, 0);
    memset(b, 0, sizeof b);
    assert_int_equal(
        metric_ssfd.score(s, &conf, &(struct metric_pair){b, a, 32, 32, {0}}, &out, &e), -1);
    assert_int_equal(e.code, ERR_DATA);
    assert_non_null(strstr(e.text, "constant"));
    assert_int_equal(
        metric_ssfd.score(s, &conf, &(struct metric_pair){a, b, 32, 32, {0}}, &out, &e),
        0); /* a blank image */
    assert_true(out > 0.0);
    b[33] = NAN;
    assert_int_equal(
        metric_ssfd.score(s, &conf, &(struct metric_pair){a, b, 32, 32, {0}}, &out, &e), -1);
    assert_non_null(strstr(e.text, "row 1, column 1"));
    metric_ssfd.close(s);
    /* Five levels need 16 pixels. */
    assert_null(metric_ssfd.open(&conf, 8, 8, &e));
    assert_int_equal(e.code, ERR_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layer_is_its_definition),
        cmocka_unit_test(several_layers),
        cmocka_unit_test(equal_images_are_at_zero),
        cmocka_unit_test(affine_intensities_do_not_matter),
        cmocka_unit_test(state_remembers_no_image),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(refusals),
        cmocka_unit_test(images_without_an_answer),
    };
    return cmocka_run_group_tests_name("ssfd", tests, set_up, tear_down);
}
