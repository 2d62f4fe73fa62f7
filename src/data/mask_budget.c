#include "data/mask_budget.h"

#include <math.h>
#include <string.h>

static int central(const struct mask_budget *b, int of)
{
    int n = b->calibration ? b->calibration : (int)lround(of * b->center_fraction);
    return n < of ? n : of;
}

static int spend(const struct mask_budget *b, const char *name, struct mask_plan *p, int centre,
                 struct err *e)
{
    const char *what = p->of == p->w ? "columns" : "points";
    p->kept = (int)lround(p->of / b->acceleration);
    if (p->kept < 1) p->kept = 1;
    if (centre > p->kept) {
        err_set(e, ERR_CONFIG,
                "mask %s: acceleration %g keeps %d of %d %s, but the centre alone has %d", name,
                b->acceleration, p->kept, p->of, what, centre);
        return err_hint(e, "lower acceleration, or center_fraction or calibration");
    }
    double got = (double)p->of / p->kept;
    if (fabs(got - b->acceleration) <= 0.02 * b->acceleration) return 0;
    err_set(e, ERR_CONFIG,
            "mask %s: acceleration %g cannot be met with %d %s: the nearest is %d of them, %.3f",
            name, b->acceleration, p->of, what, p->kept, got);
    return err_hint(e,
                    "ask for acceleration %.4g; for scans of many widths, mask.kind=fastmri has "
                    "the acceleration on average",
                    got);
}

int mask_budget_columns(const struct mask_budget *b, const char *name, struct mask_plan *p,
                        struct err *e)
{
    p->of = p->w;
    p->centre_h = p->h;
    p->centre_w = central(b, p->w);
    return spend(b, name, p, p->centre_w, e);
}

int mask_budget_points(const struct mask_budget *b, const char *name, struct mask_plan *p,
                       struct err *e)
{
    p->of = p->h * p->w;
    p->centre_h = central(b, p->h);
    p->centre_w = central(b, p->w);
    return spend(b, name, p, p->centre_h * p->centre_w, e);
}

void mask_repeat_columns(const struct mask_plan *p, float *keep)
{
    for (int y = 1; y < p->h; y++)
        memcpy(keep + (size_t)y * (size_t)p->w, keep, (size_t)p->w * sizeof *keep);
}
