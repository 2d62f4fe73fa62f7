/* Peak signal-to-noise ratio per image: 10 log10(range^2 / mean squared error). */
#include "eval/metric.h"
#include "eval/range.h"

#include <math.h>
#include <stdio.h>

static int score(void *state, const void *conf, const struct metric_pair *pair, double *out,
                 struct err *e)
{
    (void)state;
    struct range range;
    if (range_find(conf, pair, &range, e)) return -1;
    const float *reference = pair->reference, *image = pair->image;
    size_t n = (size_t)pair->h * (size_t)pair->w;
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
    snprintf(text, (size_t)size, "per image, %s", range_text(conf));
}

const struct metric metric_psnr = {
    .kind = {"psnr", "peak signal-to-noise ratio per image; infinite for equal images",
             range_fields, sizeof(struct range_conf)},
    .label = "PSNR",
    .unit = "dB",
    .better = 1,
    .wants_scan = range_wants_scan,
    .score = score,
    .variant = variant,
};
