/* Variable-density Poisson-disc points in both directions, for 3-D acquisitions with two phase
 * directions (Vasanawala et al. 2011; Levine et al. 2017).
 *
 * Around a point at p no later point comes closer than
 *
 *     r(p) = s (1 + growth * d(p)),   d: distance from the centre, 1 at the middle of an edge
 *
 * Points are tried once each in random order (dart throwing, Cook 1986); one that is accepted
 * blocks the disc around it, so a draw costs what the discs cover, whatever their radius. s is
 * found once by bisection, in a fixed number of trials, such that slightly more points fit than
 * are wanted; surplus ones are dropped at random, missing ones (rare) added. The number is exact
 * and every loop is bounded. */
#include "base/mem.h"
#include "data/mask_budget.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

struct poisson_conf {
    struct mask_budget budget;
    double growth;
    bool corners;
};

static const struct cfg_field fields[] = {
    MASK_BUDGET_FIELDS,
    CFG_REAL(struct poisson_conf, growth, "3", 0, 100, "",
             "of the distance between samples, from the centre to an edge; 0: uniform density"),
    CFG_BOOL(struct poisson_conf, corners, "false",
             "sample the corners of k-space too, outside the ellipse in it"),
    CFG_END};

enum { BISECTIONS = 24 };
static const double MARGIN = 1.02; /* fitting over wanted, when planned */
static const float FREE = 0.0f, TAKEN = 1.0f, BLOCKED = -1.0f; /* while drawing */

static double distance(const struct mask_plan *p, int y, int x)
{
    return hypot(2.0 * (y - p->h / 2) / p->h, 2.0 * (x - p->w / 2) / p->w);
}

static bool central(const struct mask_plan *p, int y, int x)
{
    int top = mask_central_first(p->h, p->centre_h), left = mask_central_first(p->w, p->centre_w);
    return y >= top && y < top + p->centre_h && x >= left && x < left + p->centre_w;
}

/* Every point that may be sampled, outside the centre, into p->order; returns their number. */
static uint32_t list_points(const struct poisson_conf *c, const struct mask_plan *p)
{
    uint32_t n = 0;
    for (int y = 0; y < p->h; y++)
        for (int x = 0; x < p->w; x++)
            if (!central(p, y, x) && (c->corners || distance(p, y, x) <= 1.0))
                p->order[n++] = (uint32_t)(y * p->w + x);
    return n;
}

static void block_disc(const struct mask_plan *p, int y, int x, double r, float *keep)
{
    for (int i = (int)fmax(0, ceil(y - r)), last = (int)fmin(p->h - 1, floor(y + r)); i <= last;
         i++) {
        double half = sqrt(fmax(0.0, r * r - (double)(i - y) * (i - y)));
        int from = (int)fmax(0, ceil(x - half)), to = (int)fmin(p->w - 1, floor(x + half));
        for (float *k = keep + (size_t)i * (size_t)p->w; from <= to; from++)
            if (k[from] == FREE) k[from] = BLOCKED;
    }
}

/* The first `n` of p->order in random order; those accepted come to its front, the others to
 * p->reserve. Returns how many were accepted. */
static uint32_t throw_darts(const struct poisson_conf *c, const struct mask_plan *p, double s,
                            uint32_t n, struct rng *rng, float *keep)
{
    uint32_t taken = 0, left = 0;
    for (size_t i = 0; i < (size_t)p->h * (size_t)p->w; i++)
        keep[i] = FREE;
    rng_shuffle(rng, p->order, n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = p->order[i];
        if (keep[at] != FREE) {
            p->reserve[left++] = at;
            continue;
        }
        int y = (int)(at / (uint32_t)p->w), x = (int)(at % (uint32_t)p->w);
        keep[at] = TAKEN;
        p->order[taken++] = at;
        block_disc(p, y, x, s * (1.0 + c->growth * distance(p, y, x)), keep);
    }
    return taken;
}

static int plan(const void *conf, struct mask_plan *p, struct err *e)
{
    const struct poisson_conf *c = conf;
    if (mask_budget_points(&c->budget, "poisson", p, e)) return -1;
    uint32_t n = list_points(c, p), wanted = (uint32_t)(p->kept - p->centre_h * p->centre_w);
    if (wanted > n) {
        err_set(e, ERR_CONFIG, "mask poisson: %d of %d points, but only %d lie inside the ellipse",
                p->kept, p->of, (int)n + p->centre_h * p->centre_w);
        return err_hint(e, "raise acceleration, or set corners: true");
    }
    float *keep = mem_new((size_t)p->of, sizeof *keep, e);
    if (!keep) return -1;
    double few = 0.0, many = (double)(p->h > p->w ? p->h : p->w); /* few px: many points */
    for (int i = 0; i < BISECTIONS; i++) {
        double s = 0.5 * (few + many);
        struct rng rng = rng_make(0, RNG_MASK, 0, (uint32_t)i);
        list_points(c, p);
        bool enough = throw_darts(c, p, s, n, &rng, keep) >= MARGIN * wanted;
        *(enough ? &few : &many) = s;
    }
    p->spacing = few;
    mem_free(keep);
    return 0;
}

static void draw(const void *conf, const struct mask_plan *p, struct mask_key key, float *keep)
{
    const struct poisson_conf *c = conf;
    uint32_t wanted = (uint32_t)(p->kept - p->centre_h * p->centre_w);
    uint32_t n = list_points(c, p);
    uint32_t taken = throw_darts(c, p, p->spacing, n, &key.rng, keep);
    for (uint32_t i = taken; i < wanted; i++)
        p->order[i] = p->reserve[i - taken]; /* in random order already */
    if (taken > wanted) rng_shuffle(&key.rng, p->order, taken);
    memset(keep, 0, (size_t)p->of * sizeof *keep);
    for (uint32_t i = 0; i < wanted; i++)
        keep[p->order[i]] = 1.0f;
    int top = mask_central_first(p->h, p->centre_h), left = mask_central_first(p->w, p->centre_w);
    for (int y = top; y < top + p->centre_h; y++)
        for (int x = left; x < left + p->centre_w; x++)
            keep[(size_t)y * (size_t)p->w + (size_t)x] = 1.0f;
}

const struct mask mask_poisson = {
    .kind = {"poisson", "variable-density Poisson-disc points in two directions", fields,
             sizeof(struct poisson_conf)},
    .needs_order = true,
    .plan = plan,
    .draw = draw,
};
