/* Scores of volumes against fastMRI's formulas written out plainly, and against the metrics of
 * single images where the two must agree. */
#include "eval/metric.h"
#include "eval/volume.h"

#include "eval/reconstructor.h"
#include "fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { S = 3, H = 17, W = 23, N = H * W };

static float reference[S][N], image[S][N];

static int fill(void **state)
{
    (void)state;
    for (int s = 0; s < S; s++)
        for (int i = 0; i < N; i++) {
            reference[s][i] = (float)((s + 1) * (1.2 + sin(0.3 * (i % W)) * cos(0.2 * (i / W))));
            image[s][i] = reference[s][i] + (float)(0.2 * sin(1.7 * i + s));
        }
    return 0;
}

static double maximum(void)
{
    double most = 0.0;
    for (int s = 0; s < S; s++)
        for (int i = 0; i < N; i++)
            most = fmax(most, (double)reference[s][i]);
    return most;
}

static struct volume_scores measure(int first, int slices, double range)
{
    struct volume v;
    struct err e = {0};
    assert_int_equal(volume_init(&v, H, W, range, &e), 0);
    for (int s = first; s < first + slices; s++)
        volume_add(&v, reference[s], image[s]);
    struct volume_scores out = volume_scores(&v);
    volume_release(&v);
    return out;
}

/* skimage.metrics.structural_similarity(win_size 7, data_range = range), window by window. */
static double plain_ssim(const float *a, const float *b, double range)
{
    double sum = 0.0, c1 = pow(0.01 * range, 2), c2 = pow(0.03 * range, 2);
    for (int top = 0; top <= H - 7; top++)
        for (int left = 0; left <= W - 7; left++) {
            double ma = 0, mb = 0, aa = 0, bb = 0, ab = 0;
            for (int k = 0; k < 49; k++) {
                int at = (top + k / 7) * W + left + k % 7;
                ma += (double)a[at] / 49;
                mb += (double)b[at] / 49;
            }
            for (int k = 0; k < 49; k++) {
                int at = (top + k / 7) * W + left + k % 7;
                double x = (double)a[at] - ma, y = (double)b[at] - mb;
                aa += x * x / 48;
                bb += y * y / 48;
                ab += x * y / 48;
            }
            sum += (2 * ma * mb + c1) * (2 * ab + c2) / ((ma * ma + mb * mb + c1) * (aa + bb + c2));
        }
    return sum / ((H - 6) * (W - 6));
}

static void scores_are_fastmris(void **state)
{
    (void)state;
    double square = 0, norm = 0, ssim = 0, most = maximum();
    for (int s = 0; s < S; s++) {
        for (int i = 0; i < N; i++) {
            square += pow((double)image[s][i] - (double)reference[s][i], 2);
            norm += pow((double)reference[s][i], 2);
        }
        ssim += plain_ssim(reference[s], image[s], most) / S;
    }
    struct volume_scores v = measure(0, S, most);
    assert_true(fabs(v.nmse / (square / norm) - 1) < 1e-12);
    assert_true(fabs(v.psnr / (10 * log10(most * most / (square / (S * N)))) - 1) < 1e-12);
    assert_true(fabs(v.ssim / ssim - 1) < 1e-9);
}

static double one_score(const char *name, const void *conf)
{
    for (int i = 0; metric_kinds[i]; i++) {
        const struct metric *m = (const struct metric *)(const void *)metric_kinds[i];
        struct err e = {0};
        double out = NAN;
        if (strcmp(m->kind.name, name) != 0) continue;
        void *state = m->open ? m->open(conf, H, W, &e) : NULL;
        assert_int_equal(m->score(state, conf,
                                  &(struct metric_pair){reference[1], image[1], H, W, {0}}, &out,
                                  &e),
                         0);
        if (m->close) m->close(state);
        return out;
    }
    return NAN;
}

static void a_volume_of_one_slice_is_an_image(void **state)
{
    (void)state;
    double most = 0.0;
    for (int i = 0; i < N; i++)
        most = fmax(most, (double)reference[1][i]);
    struct volume_scores v = measure(1, 1, most);
    struct {
        int range, window;
    } fastmri = {1, 1}; /* ssim: window fastmri, range maximum */
    int by_maximum = 1; /* psnr */
    assert_true(fabs(v.ssim - one_score("ssim", &fastmri)) < 1e-10);
    assert_true(fabs(v.psnr - one_score("psnr", &by_maximum)) < 1e-9);
    assert_true(fabs(sqrt(v.nmse) - one_score("nrmse", NULL)) < 1e-12);
}

static void what_is_not_defined(void **state)
{
    (void)state;
    struct volume v;
    struct err e = {0};
    assert_int_equal(volume_init(&v, 6, W, 1.0, &e), -1);
    assert_int_equal(e.code, ERR_DATA);
    assert_true(isnan(measure(0, S, 0.0).psnr)); /* a reference of zeros */
    assert_true(isnan(measure(0, 0, 1.0).ssim)); /* no slice at all */
    float same[N];
    memcpy(same, image[0], sizeof same);
    memcpy(image[0], reference[0], sizeof same);
    assert_true(isinf(measure(0, 1, 1.0).psnr));
    assert_true(fabs(measure(0, 1, 1.0).ssim - 1.0) < 1e-12);
    memcpy(image[0], same, sizeof same);
}

static const struct unet_conf small = {.in_channels = 2,
                                       .out_channels = 2,
                                       .filters = 4,
                                       .levels = 3,
                                       .groups = 1,
                                       .block = UNET_BLOCK_FASTMRI};

static int open_net(struct reconstructor *r, const char *path, int batch, int h, int w,
                    struct err *e)
{
    const struct reconstructor_conf c = {
        .checkpoint = path, .batch = batch, .height = h, .width = w, .precision = NN_FP32};
    return reconstructor_open(r, &c, e);
}

static void a_checkpoint_becomes_a_reconstructor(void **state)
{
    (void)state;
    char path[] = "/tmp/ssfd-test-volume-XXXXXX";
    struct graph *g;
    struct reconstructor r;
    struct err e = {0};
    close(mkstemp(path));
    params_free(save_checkpoint(path, "recon", &small, &g));
    graph_free(g);
    if (open_net(&r, path, 2, 0, 0, &e)) fail_msg("%s", e.text);
    assert_int_equal(r.height, 32); /* as it was trained */
    for (int i = 0; i < 2 * 32 * 32 * 2; i++)
        r.input[i] = sinf(0.1f * (float)(i % (32 * 32 * 2)));
    reconstructor_run(&r);
    assert_memory_equal(r.output, r.output + 32 * 32 * 2, 32 * 32 * 2 * sizeof(float));
    uint64_t weights = r.weights;
    reconstructor_release(&r);
    assert_int_equal(open_net(&r, path, 1, 64, 32, &e), 0);
    assert_true(r.weights == weights);
    reconstructor_release(&r);

    assert_int_equal(open_net(&r, path, 1, 34, 32, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_non_null(strstr(e.hint, "36")); /* the next height that fits */
    reconstructor_release(&r);
    params_free(save_checkpoint(path, "ssl", &small, &g));
    graph_free(g);
    assert_int_equal(open_net(&r, path, 1, 32, 32, &e), -1);
    assert_int_equal(e.code, ERR_DATA);
    assert_non_null(strstr(e.hint, "train-recon"));
    reconstructor_release(&r);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_fastmris),
        cmocka_unit_test(a_volume_of_one_slice_is_an_image),
        cmocka_unit_test(what_is_not_defined),
        cmocka_unit_test(a_checkpoint_becomes_a_reconstructor),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
