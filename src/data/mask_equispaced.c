/* Evenly spaced columns beside a full central band. The spacing need not be whole, so that the
 * number of columns is exact: column i of the m outside the centre is chosen when it is the nearest
 * below (k + u) m / n for one of k = 0 … n - 1, with one random offset u. For the whole-number
 * spacing of scanners, or fastMRI's own variants, take kind fastmri. */
#include "data/mask_budget.h"

#include <string.h>

static const struct cfg_field fields[] = {MASK_BUDGET_FIELDS, CFG_END};

static int plan(const void *conf, struct mask_plan *p, struct err *e)
{
    if (mask_budget_columns(conf, "equispaced", p, e)) return -1;
    int chosen = p->kept - p->centre_w;
    p->spacing = chosen ? (double)(p->w - p->centre_w) / chosen : 0.0;
    return 0;
}

static void draw(const void *conf, const struct mask_plan *p, struct mask_key key, float *keep)
{
    (void)conf;
    int first = mask_central_first(p->w, p->centre_w);
    memset(keep, 0, (size_t)p->w * sizeof *keep);
    for (int x = first; x < first + p->centre_w; x++)
        keep[x] = 1.0f;
    double offset = rng_uniform(&key.rng);
    for (int k = 0; k < p->kept - p->centre_w; k++) {
        int outside = (int)((k + offset) * p->spacing);
        if (outside > p->w - p->centre_w - 1) outside = p->w - p->centre_w - 1; /* rounding up */
        keep[outside < first ? outside : outside + p->centre_w] = 1.0f;
    }
    mask_repeat_columns(p, keep);
}

const struct mask mask_equispaced = {
    .kind = {"equispaced", "evenly spaced columns beside a full central band", fields,
             sizeof(struct mask_budget)},
    .plan = plan,
    .draw = draw,
};
