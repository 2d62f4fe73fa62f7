/* A training in bfloat16 products gets as far as one in float32: blobs are restored from copies
 * with holes, as in the pretext task. */
#include "base/par.h"
#include "base/rng.h"
#include "data/normalise.h"
#include "train/fit.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 32, PIXELS = N * N, BLOBS = 4, HOLE = 6, HOLES = 6, STEPS = 300, EVERY = 20, LAST = 3 };

struct conf {
    struct fit_conf fit;
};
static const struct cfg_field fields[] = {CFG_GROUP(struct conf, fit, fit_ssl_fields, "training"),
                                          CFG_END};

static void draw_blobs(struct rng r, float *x)
{
    memset(x, 0, PIXELS * sizeof *x);
    for (int b = 0; b < BLOBS; b++) {
        const double row = N * rng_uniform(&r), column = N * rng_uniform(&r);
        const double width = 2.0 + 5.0 * rng_uniform(&r), high = rng_normal(&r);
        for (int i = 0; i < PIXELS; i++) {
            const double y = (i / N - row) / width, z = (i % N - column) / width;
            x[i] += (float)(high * exp(-(y * y + z * z)));
        }
    }
    normalise_zscore(x, PIXELS);
}

static uint32_t training = 0, validation = 1; /* names of two sets of images */

/* Images are those of the set `ctx`; holes are new in every epoch. */
static int make(void *ctx, uint32_t index, uint32_t epoch, float *input, float *target, float *mask,
                struct err *e)
{
    (void)mask, (void)e;
    const uint32_t *set = ctx;
    struct rng holes = rng_make(1, RNG_TEST, epoch + 10, index);
    draw_blobs(rng_make(1, RNG_TEST, *set, index), target);
    memcpy(input, target, PIXELS * sizeof *input);
    for (int k = 0; k < HOLES; k++) {
        const uint32_t row = rng_below(&holes, N - HOLE), column = rng_below(&holes, N - HOLE);
        for (uint32_t i = row; i < row + HOLE; i++)
            memset(input + i * N + column, 0, HOLE * sizeof *input);
    }
    return 0;
}

static void measure(const struct task *t, const float *input, const float *output,
                    const float *target, const float *mask, double *sums)
{
    (void)t, (void)mask;
    for (int i = 0; i < PIXELS; i++) {
        sums[0] += pow((double)output[i] - (double)target[i], 2) / PIXELS;
        sums[1] += pow((double)input[i] - (double)target[i], 2) / PIXELS;
    }
}

static void summarise(const double *sums, int n, double *values)
{
    values[0] = sums[0] / n;
    values[1] = sums[1] / n; /* of leaving the holes */
}

static char *folder;

static const struct task task = {.name = "ssl",
                                 .unet = {.in_channels = 1,
                                          .out_channels = 1,
                                          .filters = 8,
                                          .levels = 3,
                                          .block = UNET_BLOCK_CONTEXT,
                                          .groups = 4},
                                 .height = N,
                                 .width = N,
                                 .train = {&training, 64, PIXELS, PIXELS, 0, make},
                                 .validation = {&validation, 32, PIXELS, PIXELS, 0, make},
                                 .nsums = 2,
                                 .nscores = 2,
                                 .scores = {"val_loss", "val_holes"},
                                 .measure = measure,
                                 .summarise = summarise};

struct losses { /* means of the last validations */
    double loss, holes;
};

static struct losses read_losses(const struct run *run)
{
    char path[1200], line[256];
    assert_int_equal(run_path(run, "metrics.jsonl", path, sizeof path, NULL), 0);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    struct losses mean = {0};
    int n = 0;
    while (fgets(line, sizeof line, f)) {
        double loss, holes;
        int step;
        const char *const form = "{\"step\": %d, \"val_loss\": %lf, \"val_holes\": %lf";
        if (sscanf(line, form, &step, &loss, &holes) != 3) continue;
        if (step <= STEPS - LAST * EVERY) continue;
        mean.loss += loss / LAST;
        mean.holes += holes / LAST;
        n++;
    }
    fclose(f);
    assert_int_equal(n, LAST);
    return mean;
}

static struct losses train(const char *precision)
{
    struct conf conf = {0};
    struct err e = {0};
    char steps[64], every[64], products[64], dir[300];
    snprintf(steps, sizeof steps, "fit.steps=%d", STEPS);
    snprintf(every, sizeof every, "fit.validate_every=%d", EVERY);
    snprintf(products, sizeof products, "fit.precision=%s", precision);
    const char *const sets[] = {
        steps, every, products, "fit.patience=0", "fit.pictures=0", "fit.schedule.kind=cosine"};
    struct cfg *cfg = cfg_load(fields, &conf, NULL, sets, sizeof sets / sizeof *sets, &e);
    assert_non_null(cfg);
    const struct cli cli = {
        .cfg = cfg, .command = "test", .fields = fields, .conf_size = sizeof conf, .quiet = true};
    struct run run;
    snprintf(dir, sizeof dir, "%s/%s", folder, precision);
    if (run_begin(&run, dir, &cli, &conf, 5, fit_may_change(&conf.fit), &e) ||
        fit(&task, &conf.fit, 5, &run, &cli, &e))
        fail_msg("%s: %s", precision, e.text);
    const struct losses l = read_losses(&run);
    run_end(&run);
    cfg_free(cfg);
    return l;
}

/* Without float32 weights to add small steps to, the loss ends a quarter higher. */
static void bf16_gets_as_far_as_fp32(void **state)
{
    (void)state;
    if (nn_bf16_missing()) skip();
    const struct losses fp32 = train("fp32"), bf16 = train("bf16");
    assert_true(fp32.loss < 0.8 * fp32.holes); /* it has learnt something */
    assert_true(bf16.loss != fp32.loss);       /* and by other kernels */
    if (fabs(bf16.loss / fp32.loss - 1.0) > 0.02)
        fail_msg("val_loss %g in bf16, %g in fp32", bf16.loss, fp32.loss);
}

int main(void)
{
    char name[] = "/tmp/ssfd-test-precision-XXXXXX";
    folder = mkdtemp(name);
    par_set_threads(1); /* steps are so short that threads would mostly wait for each other */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bf16_gets_as_far_as_fp32),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) || failed;
}
