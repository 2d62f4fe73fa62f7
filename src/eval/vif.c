/* Visual information fidelity (Sheikh and Bovik, IEEE TIP 15(2), 2006), in the pixel domain: the
 * authors' vifp, a scalar Gaussian model over four scales, Gaussian windows of 17, 9, 5 and 3
 * taps and sigma taps / 5, visual noise of variance 2 for images of 0..255. The information the
 * image keeps of the reference over that of the reference; more than 1 where contrast is raised. */
#include "base/mem.h"
#include "eval/metric.h"
#include "eval/range.h"
#include "eval/window.h"

#include <math.h>
#include <stdio.h>

enum { SCALES = 4, SMALLEST = 41, BLOCK = 64 };

struct vif_conf {
    int range;
};

static const struct cfg_field fields[] = {
    CFG_CHOICE(struct vif_conf, range, "auto", range_rules,
               "what becomes 0..255, see the data range of ssim"),
    CFG_END};

struct vif {
    struct windowing *windowing;
    struct plane a[SCALES], b[SCALES];
    double volume; /* maximum of the scan; 0: not known */
};

static void close_vif(void *state)
{
    struct vif *s = state;
    if (!s) return;
    for (int k = 0; k < SCALES; k++) {
        plane_free(&s->a[k]);
        plane_free(&s->b[k]);
    }
    windowing_free(s->windowing);
    mem_free(s);
}

static void *open_vif(const void *conf, int h, int w, struct err *e)
{
    (void)conf;
    if (h < SMALLEST || w < SMALLEST) {
        err_set(e, ERR_DATA, "an image of %dx%d is smaller than %dx%d, which %d scales need", h, w,
                SMALLEST, SMALLEST, SCALES);
        return NULL;
    }
    struct vif *s = mem_new(1, sizeof *s, e);
    if (!s) return NULL;
    if (!(s->windowing = windowing_new(h, w, e))) goto fail;
    for (int k = 0; k < SCALES; k++, h = (h + 1) / 2, w = (w + 1) / 2)
        if (plane_new(&s->a[k], h, w, e) || plane_new(&s->b[k], h, w, e)) goto fail;
    return s;
fail:
    close_vif(s);
    return NULL;
}

static void scan(void *state, const struct metric_scan *scan)
{
    ((struct vif *)state)->volume = scan->maximum;
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

static int score(void *state, const void *conf, const float *reference, const float *image, int h,
                 int w, double *out, struct err *e)
{
    struct vif *s = state;
    const struct vif_conf *c = conf;
    struct range range;
    if (range_find((enum range_rule)c->range, s->volume, reference, image, h, w, &range, e))
        return -1;
    plane_fill(&s->a[0], reference, range.low, 255.0 / range.width);
    plane_fill(&s->b[0], image, range.low, 255.0 / range.width);
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
    const struct vif_conf *c = conf;
    snprintf(text, (size_t)size,
             "pixel domain (vifp), 4 scales, noise variance 2 in units of 0..255, %s",
             range_text((enum range_rule)c->range));
}

const struct metric metric_vif = {
    .kind = {"vif", "visual information fidelity, pixel domain (Sheikh and Bovik 2006)", fields,
             sizeof(struct vif_conf)},
    .label = "VIF",
    .unit = "",
    .better = 1,
    .open = open_vif,
    .close = close_vif,
    .scan = scan,
    .score = score,
    .variant = variant,
};
