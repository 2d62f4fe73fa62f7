/* Random columns as in fastMRI (Zbontar et al. 2018, section 4.9): all of a central band and,
 * outside it, columns at random. The number of columns is exact, not binomial, so that every draw
 * has the acceleration that was asked for. */
#include "data/mask_budget.h"

#include <stdbool.h>
#include <string.h>

static const struct cfg_field fields[] = {MASK_BUDGET_FIELDS, CFG_END};

static int plan(const void *conf, struct mask_plan *p, struct err *e)
{
    return mask_budget_columns(conf, "random", p, e);
}

static void draw(const void *conf, const struct mask_plan *p, struct mask_key key, float *keep)
{
    (void)conf;
    int first = mask_central_first(p->w, p->centre_w);
    int left = p->kept - p->centre_w, outside = p->w - p->centre_w;
    for (int x = 0; x < p->w; x++) {
        bool centre = x >= first && x < first + p->centre_w;
        /* Selection sampling (Knuth, TAOCP 2, algorithm 3.4.2S): exactly `left` of `outside`. */
        bool chosen = !centre && rng_below(&key.rng, (uint32_t)outside) < (uint32_t)left;
        if (!centre) outside--;
        if (chosen) left--;
        keep[x] = centre || chosen ? 1.0f : 0.0f;
    }
    mask_repeat_columns(p, keep);
}

const struct mask mask_random = {
    .kind = {"random", "columns at random beside a full central band (fastMRI)", fields,
             sizeof(struct mask_budget)},
    .plan = plan,
    .draw = draw,
};
