/* Multi-scale structural similarity (Wang, Simoncelli, Bovik, Asilomar 2003, eq. 7): five scales,
 * from one to the next by 2x2 means; the contrast-structure factor of the first four and SSIM of
 * the last, each averaged over the image (11x11 Gaussian window inside it) and raised to the
 * paper's weight. A negative mean counts as 0, since a power of it would have no value. */
#include "base/mem.h"
#include "eval/metric.h"
#include "eval/range.h"
#include "eval/window.h"

#include <math.h>
#include <stdio.h>

enum { SCALES = 5, TAPS = 11, SMALLEST = (TAPS - 1) * (1 << (SCALES - 1)) + 1 };

struct msssim_conf {
    int range;
};

static const struct cfg_field fields[] = {
    CFG_CHOICE(struct msssim_conf, range, "auto", range_rules, "data range, see ssim"), CFG_END};

struct msssim {
    struct window window;
    struct windowing *windowing;
    struct plane a[SCALES], b[SCALES];
    double volume; /* maximum of the scan; 0: not known */
};

static void close_msssim(void *state)
{
    struct msssim *s = state;
    if (!s) return;
    for (int k = 0; k < SCALES; k++) {
        plane_free(&s->a[k]);
        plane_free(&s->b[k]);
    }
    windowing_free(s->windowing);
    mem_free(s);
}

static void *open_msssim(const void *conf, int h, int w, struct err *e)
{
    (void)conf;
    if (h < SMALLEST || w < SMALLEST) {
        err_set(e, ERR_DATA, "an image of %dx%d is smaller than %dx%d, which %d scales need", h, w,
                SMALLEST, SMALLEST, SCALES);
        return NULL;
    }
    struct msssim *s = mem_new(1, sizeof *s, e);
    if (!s) return NULL;
    s->window = window_gaussian(TAPS, 1.5);
    if (!(s->windowing = windowing_new(h, w, e))) goto fail;
    for (int k = 0; k < SCALES; k++, h = (h + 1) / 2, w = (w + 1) / 2)
        if (plane_new(&s->a[k], h, w, e) || plane_new(&s->b[k], h, w, e)) goto fail;
    return s;
fail:
    close_msssim(s);
    return NULL;
}

static void scan(void *state, const struct metric_scan *scan)
{
    ((struct msssim *)state)->volume = scan->maximum;
}

static int score(void *state, const void *conf, const float *reference, const float *image, int h,
                 int w, double *out, struct err *e)
{
    static const double weight[SCALES] = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};
    struct msssim *s = state;
    const struct msssim_conf *c = conf;
    struct range range;
    if (range_find((enum range_rule)c->range, s->volume, reference, image, h, w, &range, e))
        return -1;
    plane_fill(&s->a[0], reference, range.low, 1.0 / range.width);
    plane_fill(&s->b[0], image, range.low, 1.0 / range.width);
    const struct structure structure = {1e-4, 9e-4, 1.0};
    double product = 1.0;
    for (int k = 0; k < SCALES; k++) {
        double sum[2];
        if (k) {
            plane_halve(&s->a[k - 1], PLANE_PAD_EDGE_START, &s->a[k]);
            plane_halve(&s->b[k - 1], PLANE_PAD_EDGE_START, &s->b[k]);
        }
        windowing_sum(s->windowing, &s->window, &s->a[k], &s->b[k], structure_row, &structure, sum);
        double positions = (double)(s->a[k].h - TAPS + 1) * (double)(s->a[k].w - TAPS + 1);
        double mean = sum[k < SCALES - 1] / positions;
        product *= pow(mean > 0.0 ? mean : 0.0, weight[k]);
    }
    *out = product;
    return 0;
}

static void variant(const void *conf, char *text, int size)
{
    const struct msssim_conf *c = conf;
    snprintf(text, (size_t)size,
             "Wang 2003: 5 scales, 11x11 Gaussian of sigma 1.5, population covariance, windows "
             "inside the image, negative factors count as 0, %s",
             range_text((enum range_rule)c->range));
}

const struct metric metric_msssim = {
    .kind = {"msssim", "multi-scale structural similarity (Wang 2003)", fields,
             sizeof(struct msssim_conf)},
    .label = "MS-SSIM",
    .unit = "",
    .better = 1,
    .open = open_msssim,
    .close = close_msssim,
    .scan = scan,
    .score = score,
    .variant = variant,
};
