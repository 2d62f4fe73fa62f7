/* Structural similarity (Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 13(4), 2004, eq. 13; K1 = 0.01,
 * K2 = 0.03), averaged over the positions at which the whole window lies inside the image.
 *
 *     wang     11 x 11 Gaussian window of sigma 1.5, population covariance: the paper's
 *     fastmri  7 x 7 uniform window, sample covariance (49/48): what fastMRI reports */
#include "base/mem.h"
#include "eval/metric.h"
#include "eval/range.h"
#include "eval/window.h"

#include <stdio.h>

enum { WANG, FASTMRI };

static const char *const windows[] = {"wang", "fastmri", NULL};

struct ssim_conf {
    int window, range;
};

static const struct cfg_field fields[] = {
    CFG_CHOICE(struct ssim_conf, window, "wang", windows,
               "wang: 11x11 Gaussian, sigma 1.5; fastmri: 7x7 uniform"),
    CFG_CHOICE(struct ssim_conf, range, "auto", range_rules,
               "data range: the reference's maximum, its maximum - minimum after shifting both "
               "images by the minimum, or the maximum of the whole reference scan (volume, as "
               "fastMRI does); auto: extent where the reference has negative values, else maximum"),
    CFG_END};

struct ssim {
    struct window window;
    struct windowing *windowing;
    struct plane a, b;
    double volume; /* maximum of the scan; 0: not known */
};

static void close_ssim(void *state)
{
    struct ssim *s = state;
    if (!s) return;
    plane_free(&s->a);
    plane_free(&s->b);
    windowing_free(s->windowing);
    mem_free(s);
}

static void *open_ssim(const void *conf, int h, int w, struct err *e)
{
    const struct ssim_conf *c = conf;
    struct ssim *s = mem_new(1, sizeof *s, e);
    if (!s) return NULL;
    s->window = c->window == WANG ? window_gaussian(11, 1.5) : window_uniform(7);
    int taps = s->window.taps;
    if (h < taps || w < taps) {
        err_set(e, ERR_DATA, "an image of %dx%d is smaller than the %dx%d window", h, w, taps,
                taps);
        goto fail;
    }
    if (plane_new(&s->a, h, w, e) || plane_new(&s->b, h, w, e)) goto fail;
    if ((s->windowing = windowing_new(h, w, e))) return s;
fail:
    close_ssim(s);
    return NULL;
}

static void scan(void *state, const struct metric_scan *scan)
{
    ((struct ssim *)state)->volume = scan->maximum;
}

static int score(void *state, const void *conf, const float *reference, const float *image, int h,
                 int w, double *out, struct err *e)
{
    struct ssim *s = state;
    const struct ssim_conf *c = conf;
    struct range range;
    if (range_find((enum range_rule)c->range, s->volume, reference, image, h, w, &range, e))
        return -1;
    plane_fill(&s->a, reference, range.low, 1.0 / range.width);
    plane_fill(&s->b, image, range.low, 1.0 / range.width);
    struct structure structure = {1e-4, 9e-4, c->window == WANG ? 1.0 : 49.0 / 48.0};
    double sum[2];
    windowing_sum(s->windowing, &s->window, &s->a, &s->b, structure_row, &structure, sum);
    *out = sum[0] / ((double)(h - s->window.taps + 1) * (double)(w - s->window.taps + 1));
    return 0;
}

static void variant(const void *conf, char *text, int size)
{
    const struct ssim_conf *c = conf;
    snprintf(text, (size_t)size, "%s, windows inside the image, %s",
             c->window == WANG ? "Wang: 11x11 Gaussian of sigma 1.5, population covariance"
                               : "fastMRI: 7x7 uniform, sample covariance",
             range_text((enum range_rule)c->range));
}

const struct metric metric_ssim = {
    .kind = {"ssim", "structural similarity (Wang 2004)", fields, sizeof(struct ssim_conf)},
    .label = "SSIM",
    .unit = "",
    .better = 1,
    .open = open_ssim,
    .close = close_ssim,
    .scan = scan,
    .score = score,
    .variant = variant,
};
