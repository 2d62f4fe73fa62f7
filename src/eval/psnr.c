/* Peak signal-to-noise ratio per image: 10 log10(range^2 / mean squared error). */
#include "base/mem.h"
#include "eval/metric.h"
#include "eval/range.h"

#include <math.h>
#include <stdio.h>

struct psnr_conf {
    int range;
};

static const struct cfg_field fields[] = {
    CFG_CHOICE(struct psnr_conf, range, "auto", range_rules, "data range, see ssim"), CFG_END};

struct psnr {
    double volume; /* maximum of the scan; 0: not known */
};

static void *open_psnr(const void *conf, int h, int w, struct err *e)
{
    (void)conf, (void)h, (void)w;
    return mem_new(1, sizeof(struct psnr), e);
}

static void scan(void *state, const struct metric_scan *scan)
{
    ((struct psnr *)state)->volume = scan->maximum;
}

static int score(void *state, const void *conf, const float *reference, const float *image, int h,
                 int w, double *out, struct err *e)
{
    const struct psnr *s = state;
    const struct psnr_conf *c = conf;
    struct range range;
    if (range_find((enum range_rule)c->range, s->volume, reference, image, h, w, &range, e))
        return -1;
    size_t n = (size_t)h * (size_t)w;
    double square = 0.0;
#pragma omp simd reduction(+ : square)
    for (size_t i = 0; i < n; i++) {
        double d = (double)image[i] - (double)reference[i];
        square += d * d;
    }
    *out = square > 0.0 ? 10.0 * log10(range.width * range.width * (double)n / square) : INFINITY;
    return 0;
}

static void variant(const void *conf, char *text, int size)
{
    const struct psnr_conf *c = conf;
    snprintf(text, (size_t)size, "per image, %s", range_text((enum range_rule)c->range));
}

const struct metric metric_psnr = {
    .kind = {"psnr", "peak signal-to-noise ratio per image; infinite for equal images", fields,
             sizeof(struct psnr_conf)},
    .label = "PSNR",
    .unit = "dB",
    .better = 1,
    .open = open_psnr,
    .close = mem_free,
    .scan = scan,
    .score = score,
    .variant = variant,
};
