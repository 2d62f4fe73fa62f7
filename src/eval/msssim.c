/* Multi-scale structural similarity (Wang, Simoncelli, Bovik, Asilomar 2003, eq. 7): five scales,
 * from one to the next by 2x2 means; the contrast-structure factor of the first four and SSIM of
 * the last, each averaged over the image (11x11 Gaussian window inside it) and raised to the
 * paper's weight. A negative mean counts as 0, since a power of it would have no value. */
#include "eval/pyramid.h"

#include <math.h>
#include <stdio.h>

enum { SCALES = 5, TAPS = 11, SMALLEST = (TAPS - 1) * (1 << (SCALES - 1)) + 1 };

static void *open_msssim(const void *conf, int h, int w, struct err *e)
{
    (void)conf;
    return pyramid_new(h, w, SCALES, SMALLEST, e);
}

static int score(void *state, const void *conf, const struct metric_pair *pair, double *out,
                 struct err *e)
{
    static const double weight[SCALES] = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};
    struct pyramid *s = state;
    if (pyramid_fill(s, conf, pair, 1.0, e)) return -1;
    const struct window window = window_gaussian(TAPS, 1.5);
    const struct structure structure = {1e-4, 9e-4, 1.0};
    double product = 1.0;
    for (int k = 0; k < SCALES; k++) {
        double sum[2];
        if (k) {
            plane_halve(&s->a[k - 1], PLANE_PAD_EDGE_START, &s->a[k]);
            plane_halve(&s->b[k - 1], PLANE_PAD_EDGE_START, &s->b[k]);
        }
        windowing_sum(s->windowing, &window, &s->a[k], &s->b[k], structure_row, &structure, sum);
        double positions = (double)(s->a[k].h - TAPS + 1) * (double)(s->a[k].w - TAPS + 1);
        double mean = sum[k < SCALES - 1] / positions;
        product *= pow(mean > 0.0 ? mean : 0.0, weight[k]);
    }
    *out = product;
    return 0;
}

static void variant(const void *conf, char *text, int size)
{
    snprintf(text, (size_t)size,
             "Wang 2003: 5 scales, 11x11 Gaussian of sigma 1.5, population covariance, windows "
             "inside the image, negative factors count as 0, %s",
             range_text(conf));
}

const struct metric metric_msssim = {
    .kind = {"msssim", "multi-scale structural similarity (Wang 2003)", range_fields,
             sizeof(struct range_conf)},
    .label = "MS-SSIM",
    .unit = "",
    .better = 1,
    .open = open_msssim,
    .close = pyramid_free,
    .wants_scan = range_wants_scan,
    .score = score,
    .variant = variant,
};
