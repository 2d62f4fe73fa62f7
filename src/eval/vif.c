/* Visual information fidelity (Sheikh and Bovik, IEEE TIP 15(2), 2006), in the pixel domain: the
 * authors' vifp, a scalar Gaussian model over four scales, Gaussian windows of 17, 9, 5 and 3
 * taps and sigma taps / 5, visual noise of variance 2 for images of 0..255. The information the
 * image keeps of the reference over that of the reference; more than 1 where contrast is raised. */
#include "eval/pyramid.h"

#include <math.h>
#include <stdio.h>

enum { SCALES = 4, SMALLEST = 41, BLOCK = 64 };

static void *open_vif(const void *conf, int h, int w, struct err *e)
{
    (void)conf;
    return pyramid_new(h, w, SCALES, SMALLEST, e);
}

/* Sum of log10 of n <= BLOCK numbers from 1 up, as the logarithm of their product: one call
 * instead of n. They are below 2^14 for images of 0..255; where others overflow, one by one. */
static double sum_log10(const double *x, int n)
{
    double product = 1.0, sum = 0.0;
#pragma omp simd reduction(* : product)
    for (int j = 0; j < n; j++)
        product *= x[j];
    if (product < INFINITY) return log10(product);
    for (int j = 0; j < n; j++)
        sum += log10(x[j]);
    return sum;
}

/* sum[0]: information kept, sum[1]: of the reference. */
static void information_row(const void *ctx, const struct moments *m, double sum[2])
{
    const double eps = 1e-8, noise = 2.0;
    double kept[BLOCK], all[BLOCK];
    (void)ctx;
    for (int from = 0; from < m->n; from += BLOCK) {
        int n = m->n - from < BLOCK ? m->n - from : BLOCK;
        const double *aa = m->aa + from, *bb = m->bb + from, *ab = m->ab + from;
#pragma omp simd
        for (int j = 0; j < n; j++) {
            double a = aa[j] > 0.0 ? aa[j] : 0.0, b = bb[j] > 0.0 ? bb[j] : 0.0;
            double gain = ab[j] / (a + eps), rest = b - gain * ab[j];
            int flat = a < eps, blank = b < eps;
            rest = flat ? b : rest;
            rest = blank ? 0.0 : rest;
            gain = flat | blank ? 0.0 : gain;
            a = flat ? 0.0 : a;
            rest = gain < 0.0 ? b : rest;
            gain = gain < 0.0 ? 0.0 : gain;
            rest = rest > eps ? rest : eps;
            kept[j] = 1.0 + gain * gain * a / (rest + noise);
            all[j] = 1.0 + a / noise;
        }
        sum[0] += sum_log10(kept, n);
        sum[1] += sum_log10(all, n);
    }
}

static int score(void *state, const void *conf, const struct metric_pair *pair, double *out,
                 struct err *e)
{
    struct pyramid *s = state;
    if (pyramid_fill(s, conf, pair, 255.0, e)) return -1;
    const double eps = 1e-8;
    double kept = eps, all = eps;
    for (int k = 0; k < SCALES; k++) {
        int taps = (1 << (SCALES - k)) + 1;
        struct window window = window_gaussian(taps, taps / 5.0);
        if (k) {
            windowing_reduce(s->windowing, &window, &s->a[k - 1], &s->a[k]);
            windowing_reduce(s->windowing, &window, &s->b[k - 1], &s->b[k]);
        }
        double sum[2];
        windowing_sum(s->windowing, &window, &s->a[k], &s->b[k], information_row, NULL, sum);
        kept += sum[0];
        all += sum[1];
    }
    *out = kept / all;
    return 0;
}

static void variant(const void *conf, char *text, int size)
{
    snprintf(text, (size_t)size,
             "pixel domain (vifp), 4 scales, noise variance 2 in units of 0..255, %s",
             range_text(conf));
}

const struct metric metric_vif = {
    .kind = {"vif", "visual information fidelity, pixel domain (Sheikh and Bovik 2006)",
             range_fields, sizeof(struct range_conf)},
    .label = "VIF",
    .unit = "",
    .better = 1,
    .open = open_vif,
    .close = pyramid_free,
    .wants_scan = range_wants_scan,
    .score = score,
    .variant = variant,
};
