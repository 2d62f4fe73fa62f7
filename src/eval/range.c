#include "eval/range.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

const char *const range_rules[] = {"auto", "maximum", "extent", "volume", NULL};
const struct cfg_field range_fields[] = {RANGE_FIELD, CFG_END};

bool range_wants_scan(const void *conf)
{
    return ((const struct range_conf *)conf)->range == RANGE_VOLUME;
}

static int check(const char *what, const float *x, int h, int w, struct err *e)
{
    size_t n = (size_t)h * (size_t)w;
    int bad = 0;
#pragma omp simd reduction(| : bad)
    for (size_t i = 0; i < n; i++)
        bad |= !(fabsf(x[i]) <= FLT_MAX);
    if (!bad) return 0;
    size_t at = 0;
    while (isfinite(x[at]))
        at++;
    return err_set(e, ERR_DATA, "the %s is %g at row %d, column %d", what, (double)x[at],
                   (int)(at / (size_t)w), (int)(at % (size_t)w));
}

int images_check(const struct metric_pair *p, struct err *e)
{
    return check("reference", p->reference, p->h, p->w, e) ||
                   check("image", p->image, p->h, p->w, e)
               ? -1
               : 0;
}

int images_hold(int h, int w, int least, struct err *e)
{
    if (h >= least && w >= least) return 0;
    return err_set(e, ERR_DATA, "an image of %dx%d is smaller than %dx%d, the least it can be", h,
                   w, least, least);
}

static int volume_find(double volume, float low, double high, struct range *out, struct err *e)
{
    if (!(volume > 0.0)) {
        err_set(e, ERR_CONFIG,
                "the data range 'volume' needs the maximum of the reference scan, "
                "which is not known here, or is not positive");
        return err_hint(e,
                        "use another range; a perturbation study z-scores every slice by itself, "
                        "so that the slices of a scan have no common scale");
    }
    if (low < 0.0f)
        return err_set(e, ERR_DATA,
                       "the data range 'volume' is for magnitude images: the reference has %g",
                       (double)low);
    if (high > volume * (1.0 + 1e-6))
        return err_set(e, ERR_DATA,
                       "the reference has %g, more than the maximum of its scan, which is %g", high,
                       volume);
    *out = (struct range){.width = volume};
    return 0;
}

static void extremes(const float *x, size_t n, float *low, float *high)
{
    float least = x[0], most = x[0];
#ifndef __clang__ /* it cannot, and warns of that */
#pragma omp simd reduction(min : least) reduction(max : most)
#endif
    for (size_t i = 0; i < n; i++) {
        least = x[i] < least ? x[i] : least;
        most = x[i] > most ? x[i] : most;
    }
    *low = least;
    *high = most;
}

int range_find(const struct range_conf *c, const struct metric_pair *p, struct range *out,
               struct err *e)
{
    if (images_check(p, e)) return -1;
    float low, high;
    extremes(p->reference, (size_t)p->h * (size_t)p->w, &low, &high);
    if (c->range == RANGE_VOLUME) return volume_find(p->scan.maximum, low, (double)high, out, e);
    bool extent = c->range == RANGE_EXTENT || (c->range == RANGE_AUTO && low < 0.0f);
    *out = (struct range){.low = extent ? (double)low : 0.0};
    out->width = (double)high - out->low;
    if (out->width > 0.0) return 0;
    return err_set(e, ERR_DATA,
                   extent ? "the reference is constant (%g everywhere): there is no data range"
                          : "the maximum of the reference is %g: there is no data range",
                   (double)high);
}

const char *range_text(const struct range_conf *c)
{
    switch (c->range) {
    case RANGE_MAXIMUM:
        return "data range: maximum of the reference";
    case RANGE_EXTENT:
        return "data range: maximum - minimum of the reference, the minimum subtracted from both "
               "images";
    case RANGE_VOLUME:
        return "data range: maximum of the reference scan";
    default:
        return "data range: maximum of the reference; where that is z-scored, maximum - minimum, "
               "the minimum subtracted from both images";
    }
}
