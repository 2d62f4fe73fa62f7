#include "eval/range.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

const char *const range_rules[] = {"auto", "maximum", "extent", NULL};

static int check(const char *what, const float *x, int h, int w, struct err *e)
{
    for (int i = 0; i < h; i++)
        for (int j = 0; j < w; j++) {
            float v = x[(size_t)i * (size_t)w + (size_t)j];
            if (!isfinite(v))
                return err_set(e, ERR_DATA, "the %s is %g at row %d, column %d", what, (double)v, i,
                               j);
        }
    return 0;
}

int images_check(const float *reference, const float *image, int h, int w, struct err *e)
{
    return check("reference", reference, h, w, e) || check("image", image, h, w, e) ? -1 : 0;
}

int range_find(enum range_rule rule, const float *reference, const float *image, int h, int w,
               struct range *out, struct err *e)
{
    if (images_check(reference, image, h, w, e)) return -1;
    float low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < (size_t)h * (size_t)w; i++) {
        low = fminf(low, reference[i]);
        high = fmaxf(high, reference[i]);
    }
    bool extent = rule == RANGE_EXTENT || (rule == RANGE_AUTO && low < 0.0f);
    *out = (struct range){.low = extent ? (double)low : 0.0};
    out->width = (double)high - out->low;
    if (out->width > 0.0) return 0;
    return err_set(e, ERR_DATA,
                   extent ? "the reference is constant (%g everywhere): there is no data range"
                          : "the maximum of the reference is %g: there is no data range",
                   (double)high);
}

const char *range_text(enum range_rule rule)
{
    switch (rule) {
    case RANGE_MAXIMUM:
        return "data range: maximum of the reference";
    case RANGE_EXTENT:
        return "data range: maximum - minimum of the reference, the minimum subtracted from both "
               "images";
    default:
        return "data range: maximum of the reference; where that is z-scored, maximum - minimum, "
               "the minimum subtracted from both images";
    }
}
