/* The masks of the fastmri package (0.3), bit for bit: where a mask belongs to a file, its random
 * numbers are numpy's Mersenne Twister seeded with the characters of the file's name, as fastMRI
 * does in validation, so that results compare with published ones. In training, where fastMRI's
 * masks are unseeded, the seed comes from the sample's own stream.
 *
 * fastMRI masks all acquired columns, padding included; see mask_on of train-recon. Its random
 * masks have the acceleration only on average, its equispaced ones a higher density than asked. */
#include "base/mem.h"
#include "data/mask_budget.h"
#include "data/mt19937.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { RANDOM, EQUISPACED, EQUISPACED_FRACTION, MAGIC, MAGIC_FRACTION };
static const char *const types[] = {"random", "equispaced",     "equispaced_fraction",
                                    "magic",  "magic_fraction", NULL};

struct fastmri_conf {
    int type;
    struct cfg_reals accelerations, center_fractions;
};

static const struct cfg_field fields[] = {
    CFG_CHOICE(struct fastmri_conf, type, "random", types,
               "random columns, evenly spaced ones (spacing adjusted in …_fraction so that the "
               "centre counts), or spaced with an offset between the halves of k-space"),
    CFG_REALS(struct fastmri_conf, accelerations, "[4]", 1, 64, "",
              "one of them, with its center fraction, is drawn for each mask"),
    CFG_REALS(struct fastmri_conf, center_fractions, "[0.08]", 0, 1, "", "as many"), CFG_END};

/* What one pair of the lists asks for at `w` columns. */
struct request {
    int type, w, low; /* low: central columns */
    double acceleration;
    double spacing; /* of the columns outside, where they are evenly spaced */
};

static struct request request(const struct fastmri_conf *c, int pair, int w)
{
    struct request r = {.type = c->type, .w = w, .acceleration = c->accelerations.v[pair]};
    r.low = (int)rint(w * c->center_fractions.v[pair]); /* Python's round: half to even */
    r.spacing = r.acceleration;
    if (r.type == EQUISPACED_FRACTION)
        r.spacing = r.acceleration * (r.low - w) / (r.low * r.acceleration - w);
    if (r.type == MAGIC_FRACTION) {
        int wanted = (int)rint(w / r.acceleration);
        if (r.low > wanted) r.low = wanted;
        if (r.low < 1) r.low = 1;
        r.spacing = wanted > r.low ? rint((double)w / (wanted - r.low)) : 0.0;
    }
    return r;
}

/* Cases in which fastMRI fails, or returns another mask than was asked for. */
static const char *problem(const struct request *r)
{
    bool whole = r->type == EQUISPACED || r->type == MAGIC;
    if (whole && r->acceleration != rint(r->acceleration))
        return "its spacing is the acceleration, which must then be a whole number";
    if (whole) return r->low < r->w ? NULL : "the centre is all of k-space";
    if (r->type == MAGIC_FRACTION)
        return r->spacing >= 1.0 ? NULL : "the centre leaves no column outside it";
    return r->low * r->acceleration < r->w ? NULL : "the centre leaves no column outside it";
}

static void mark_random(const struct request *r, struct mt19937 *mt, float *keep)
{
    double p = (r->w / r->acceleration - r->low) / (r->w - r->low);
    for (int x = 0; x < r->w; x++)
        keep[x] = mt19937_uniform(mt) < p ? 1.0f : 0.0f;
}

/* numpy.around(numpy.arange(offset, w - 1, spacing)); arange's own step is that between its first
 * two elements. */
static void mark_rounded(const struct request *r, int offset, float *keep)
{
    double step = offset + r->spacing - offset;
    int n = (int)ceil((r->w - 1 - offset) / r->spacing);
    for (int i = 0; i < n; i++) {
        int x = (int)rint(i == 1 ? offset + r->spacing : offset + i * step);
        if (x < r->w) keep[x] = 1.0f;
    }
}

/* Of the halves from the centre outwards, the positive one starts at one offset, the negative one
 * at another (Defazio 2019). */
static void mark_magic(const struct request *r, int offset, float *keep)
{
    int step = (int)r->spacing, up = (r->w + 1) / 2, down = r->w - up, centre = r->w / 2;
    bool even = offset % 2 == 0;
    for (int i = even ? offset + 1 : offset + 2; i < up; i += step)
        keep[(i + centre) % r->w] = 1.0f;
    for (int i = even ? offset + 2 : offset - 1; i < down; i += step)
        keep[(r->w - 1 - i + centre) % r->w] = 1.0f;
}

static void mark(const struct request *r, struct mt19937 *mt, float *keep)
{
    if (r->type == RANDOM) {
        mark_random(r, mt, keep);
    } else {
        int offset = (int)mt19937_below(mt, (uint32_t)rint(r->spacing));
        if (r->type == EQUISPACED)
            for (int x = offset; x < r->w; x += (int)r->spacing)
                keep[x] = 1.0f;
        else if (r->type == EQUISPACED_FRACTION)
            mark_rounded(r, offset, keep);
        else
            mark_magic(r, offset, keep);
    }
    for (int x = 0, first = mask_central_first(r->w, r->low); x < r->low; x++)
        keep[first + x] = 1.0f;
}

static void seed(struct mt19937 *mt, struct mask_key key)
{
    uint32_t word[256];
    int n = 0;
    for (const char *p = key.file; p && *p && n < 256; p++)
        word[n++] = (unsigned char)*p;
    while (n < 4)
        word[n++] = rng_u32(&key.rng);
    mt19937_seed(mt, word, n);
}

static void draw(const void *conf, const struct mask_plan *p, struct mask_key key, float *keep)
{
    const struct fastmri_conf *c = conf;
    struct mt19937 mt;
    seed(&mt, key);
    struct request r = request(c, (int)mt19937_below(&mt, (uint32_t)c->accelerations.n), p->w);
    memset(keep, 0, (size_t)p->w * sizeof *keep);
    mark(&r, &mt, keep);
    mask_repeat_columns(p, keep);
}

/* What is reported is the mean of the first pair over its draws. */
static int expected(const struct request *r, const float *keep)
{
    if (r->type == RANDOM) return (int)lround(r->w / r->acceleration);
    int n = 0;
    for (int x = 0; x < r->w; x++)
        n += keep[x] > 0.0f;
    return n;
}

static int plan(const void *conf, struct mask_plan *p, struct err *e)
{
    const struct fastmri_conf *c = conf;
    int pairs = c->accelerations.n;
    if (pairs < 1 || c->center_fractions.n != pairs)
        return err_set(e, ERR_CONFIG,
                       "mask fastmri: %d accelerations and %d center_fractions: give as many of "
                       "each, and at least one",
                       pairs, c->center_fractions.n);
    float *keep = mem_new((size_t)p->w, sizeof *keep, e);
    if (!keep) return -1;
    for (int i = pairs - 1; i >= 0; i--) {
        struct request r = request(c, i, p->w);
        const char *why = problem(&r);
        if (why) {
            mem_free(keep);
            err_set(e, ERR_CONFIG,
                    "mask fastmri: %s, acceleration %g, center fraction %g, %d columns: %s",
                    types[c->type], r.acceleration, c->center_fractions.v[i], p->w, why);
            return err_hint(e, "lower acceleration or center fraction, or take another type");
        }
        struct mt19937 mt;
        seed(&mt, mask_key_of_sample(0, 0, 0));
        memset(keep, 0, (size_t)p->w * sizeof *keep);
        mark(&r, &mt, keep);
        p->of = p->w;
        p->centre_h = p->h;
        p->centre_w = r.low;
        p->kept = expected(&r, keep);
    }
    mem_free(keep);
    return 0;
}

const struct mask mask_fastmri = {
    .kind = {"fastmri", "the masks of the fastmri package, by file name, bit for bit", fields,
             sizeof(struct fastmri_conf)},
    .plan = plan,
    .draw = draw,
};
