/* Structural similarity (Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 13(4), 2004, eq. 13; K1 = 0.01,
 * K2 = 0.03), averaged over the positions at which the whole window lies inside the image.
 *
 *     wang     11 x 11 Gaussian window of sigma 1.5, population covariance: the paper's
 *     fastmri  7 x 7 uniform window, sample covariance (49/48): what fastMRI reports */
#include "base/mem.h"
#include "eval/metric.h"
#include "eval/range.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WANG, FASTMRI, LONGEST = 11, MOMENTS = 5 };

static const char *const windows[] = {"wang", "fastmri", NULL};

struct ssim_conf {
    int window, range;
};

static const struct cfg_field fields[] = {
    CFG_CHOICE(struct ssim_conf, window, "wang", windows,
               "wang: 11x11 Gaussian, sigma 1.5; fastmri: 7x7 uniform"),
    CFG_CHOICE(struct ssim_conf, range, "auto", range_rules,
               "data range: the reference's maximum, or its maximum - minimum after shifting both "
               "images by the minimum; auto: the latter where the reference has negative values"),
    CFG_END};

struct ssim {
    int taps;
    double tap[LONGEST]; /* of the separable window, sum 1 */
    double covariance;   /* factor on variances and the covariance */
    double *rows;        /* (MOMENTS, w): window sums down the columns of one row of positions */
};

static void close_ssim(void *state)
{
    struct ssim *s = state;
    if (s) mem_free(s->rows);
    mem_free(s);
}

static void *open_ssim(const void *conf, int h, int w, struct err *e)
{
    const struct ssim_conf *c = conf;
    struct ssim *s = mem_new(1, sizeof *s, e);
    if (!s) return NULL;
    s->taps = c->window == WANG ? 11 : 7;
    s->covariance = c->window == WANG ? 1.0 : 49.0 / 48.0;
    double sum = 0.0;
    for (int k = 0; k < s->taps; k++) {
        double t = (k - s->taps / 2) / 1.5;
        sum += s->tap[k] = c->window == WANG ? exp(-0.5 * t * t) : 1.0;
    }
    for (int k = 0; k < s->taps; k++)
        s->tap[k] /= sum;
    if (h < s->taps || w < s->taps) {
        err_set(e, ERR_DATA, "an image of %dx%d is smaller than the %dx%d window", h, w, s->taps,
                s->taps);
        close_ssim(s);
        return NULL;
    }
    s->rows = mem_new((size_t)w * MOMENTS, sizeof *s->rows, e);
    if (s->rows) return s;
    close_ssim(s);
    return NULL;
}

/* Window sums of a, b, a^2, b^2, ab down each column, for windows whose first row is `top`. */
static void sum_columns(const struct ssim *s, const float *reference, const float *image, int top,
                        int w, double low)
{
    double *restrict a1 = s->rows, *restrict b1 = a1 + w, *restrict a2 = b1 + w,
                     *restrict b2 = a2 + w, *restrict ab = b2 + w;
    memset(s->rows, 0, sizeof *s->rows * MOMENTS * (size_t)w);
    for (int k = 0; k < s->taps; k++) {
        const float *ra = reference + (size_t)(top + k) * (size_t)w;
        const float *rb = image + (size_t)(top + k) * (size_t)w;
        double t = s->tap[k];
        for (int j = 0; j < w; j++) {
            double a = (double)ra[j] - low, b = (double)rb[j] - low;
            a1[j] += t * a;
            b1[j] += t * b;
            a2[j] += t * a * a;
            b2[j] += t * b * b;
            ab[j] += t * a * b;
        }
    }
}

/* SSIM of the window at column `left` of the current row of windows. */
static double window_ssim(const struct ssim *s, int left, int w, double c1, double c2)
{
    double m[MOMENTS] = {0};
    for (int q = 0; q < MOMENTS; q++)
        for (int k = 0; k < s->taps; k++)
            m[q] += s->tap[k] * s->rows[(size_t)q * (size_t)w + (size_t)(left + k)];
    double aa = s->covariance * (m[2] - m[0] * m[0]), bb = s->covariance * (m[3] - m[1] * m[1]);
    double ab = s->covariance * (m[4] - m[0] * m[1]);
    return (2.0 * m[0] * m[1] + c1) * (2.0 * ab + c2) /
           ((m[0] * m[0] + m[1] * m[1] + c1) * (aa + bb + c2));
}

static int score(void *state, const void *conf, const float *reference, const float *image, int h,
                 int w, double *out, struct err *e)
{
    const struct ssim *s = state;
    const struct ssim_conf *c = conf;
    struct range range;
    if (range_find((enum range_rule)c->range, reference, image, h, w, &range, e)) return -1;
    double c1 = 1e-4 * range.width * range.width, c2 = 9e-4 * range.width * range.width;
    int high = h - s->taps + 1, wide = w - s->taps + 1;
    double sum = 0.0;
    for (int i = 0; i < high; i++) {
        sum_columns(s, reference, image, i, w, range.low);
        for (int j = 0; j < wide; j++)
            sum += window_ssim(s, j, w, c1, c2);
    }
    *out = sum / ((double)high * (double)wide);
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
    .score = score,
    .variant = variant,
};
