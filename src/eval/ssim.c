/* Structural similarity (Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 13(4), 2004, eq. 13; K1 = 0.01,
 * K2 = 0.03), averaged over the positions at which the whole window lies inside the image.
 *
 *     wang     11 x 11 Gaussian window of sigma 1.5, population covariance: the paper's
 *     fastmri  7 x 7 uniform window, sample covariance (49/48): what fastMRI reports */
#include "eval/pyramid.h"

#include <stdio.h>

enum { WANG, FASTMRI };

static const char *const windows[] = {"wang", "fastmri", NULL};

struct ssim_conf {
    struct range_conf full; /* first: range_wants_scan */
    int window;
};

static const struct cfg_field fields[] = {
    CFG_CHOICE(struct ssim_conf, window, "wang", windows,
               "wang: 11x11 Gaussian, sigma 1.5; fastmri: 7x7 uniform"),
    RANGE_FIELD, CFG_END};

static struct window window_of(const struct ssim_conf *c)
{
    return c->window == WANG ? window_gaussian(11, 1.5) : window_uniform(7);
}

static void *open_ssim(const void *conf, int h, int w, struct err *e)
{
    return pyramid_new(h, w, 1, window_of(conf).taps, e);
}

static int score(void *state, const void *conf, const struct metric_pair *pair, double *out,
                 struct err *e)
{
    struct pyramid *s = state;
    const struct ssim_conf *c = conf;
    const struct window window = window_of(c);
    if (pyramid_fill(s, &c->full, pair, 1.0, e)) return -1;
    struct structure structure = {1e-4, 9e-4, c->window == WANG ? 1.0 : 49.0 / 48.0};
    double sum[2];
    windowing_sum(s->windowing, &window, &s->a[0], &s->b[0], structure_row, &structure, sum);
    *out = sum[0] / ((double)(pair->h - window.taps + 1) * (double)(pair->w - window.taps + 1));
    return 0;
}

static void variant(const void *conf, char *text, int size)
{
    const struct ssim_conf *c = conf;
    snprintf(text, (size_t)size, "%s, windows inside the image, %s",
             c->window == WANG ? "Wang: 11x11 Gaussian of sigma 1.5, population covariance"
                               : "fastMRI: 7x7 uniform, sample covariance",
             range_text(&c->full));
}

const struct metric metric_ssim = {
    .kind = {"ssim", "structural similarity (Wang 2004)", fields, sizeof(struct ssim_conf)},
    .label = "SSIM",
    .unit = "",
    .better = 1,
    .open = open_ssim,
    .close = pyramid_free,
    .wants_scan = range_wants_scan,
    .score = score,
    .variant = variant,
};
