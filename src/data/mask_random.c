/* Random columns as in fastMRI (Zbontar et al. 2018, section 4.9): all of a central band and,
 * outside it, columns at random. The number of columns is exact, not binomial, so that every draw
 * has the acceleration that was asked for. */
#include "data/mask.h"

#include <math.h>
#include <string.h>

struct random_conf {
    double acceleration, center_fraction;
};

static const struct cfg_field fields[] = {
    CFG_REAL(struct random_conf, acceleration, "4", 1, 64, "",
             "columns of k-space per column kept"),
    CFG_REAL(struct random_conf, center_fraction, "0.08", 0, 1, "",
             "share of all columns, at the centre, that is always kept"),
    CFG_END};

static int kept(const struct random_conf *c, int w)
{
    return (int)lround(w / c->acceleration);
}
static int central(const struct random_conf *c, int w)
{
    return (int)lround(w * c->center_fraction);
}

static int check(const void *conf, int h, int w, struct err *e)
{
    const struct random_conf *c = conf;
    (void)h;
    if (kept(c, w) >= 1 && central(c, w) <= kept(c, w)) return 0;
    err_set(e, ERR_CONFIG,
            "mask random: acceleration %g keeps %d of %d columns, but the centre alone has %d",
            c->acceleration, kept(c, w), w, central(c, w));
    return err_hint(e, "lower center_fraction or acceleration");
}

static void draw(const void *conf, struct rng rng, int h, int w, float *keep)
{
    const struct random_conf *c = conf;
    int low = central(c, w), first = (w - low + 1) / 2, left = kept(c, w) - low, outside = w - low;
    for (int x = 0; x < w; x++) {
        bool centre = x >= first && x < first + low;
        /* Selection sampling (Knuth, TAOCP 2, algorithm 3.4.2S): exactly `left` of `outside`. */
        bool chosen = !centre && rng_below(&rng, (uint32_t)outside) < (uint32_t)left;
        if (!centre) outside--;
        if (chosen) left--;
        keep[x] = centre || chosen ? 1.0f : 0.0f;
    }
    for (int y = 1; y < h; y++)
        memcpy(keep + (size_t)y * (size_t)w, keep, (size_t)w * sizeof *keep);
}

const struct mask mask_random = {
    .kind = {"random", "columns at random beside a full central band (fastMRI)", fields,
             sizeof(struct random_conf)},
    .check = check,
    .draw = draw,
};
