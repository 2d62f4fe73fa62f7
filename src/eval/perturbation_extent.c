/* The extent of a perturbation as the paper chose it: where the mean SSIM over the images reaches a
 * target. Noise of one image is the same at every level, so that the mean changes smoothly. */
#include "base/mem.h"
#include "eval/perturbation.h"
#include "eval/work.h"

#include <math.h>

static const double TOLERANCE = 2e-3; /* of the mean SSIM */
/* Where the target is out of reach, as under blur when the images are smooth, the perturbation goes
 * as far as matters: to where all but this share of the possible fall is done. */
static const double REST = 0.05;
enum { DOUBLINGS = 6, STEPS = 30 };

struct search {
    struct perturbation *s;
    int p, ssim;
    double level, *score; /* (images) */
};

static int fetch(void *ctx, int image, int seat, struct err *e)
{
    const struct search *q = ctx;
    return images_read_zscored(q->s->env->images, image,
                               q->s->seat + (size_t)seat * pixels_of(q->s), e);
}

static int compute(void *ctx, int image, int seat, int lane, double *value, struct err *e)
{
    const struct search *q = ctx;
    const struct perturbation *s = q->s;
    struct images *im = s->env->images;
    const float *x = s->seat + (size_t)seat * pixels_of(s);
    float *y = s->work + (size_t)lane * pixels_of(s);
    return perturbation_apply(s, q->p, q->level, KEY_SEARCH, images_id(im, image), x, y, e) ||
                   scorers_score_one(&s->scorers, lane, q->ssim, x, y, value, e)
               ? -1
               : 0;
}

static int mean_ssim(struct search *q, double level, double *mean, struct err *e)
{
    struct work w = {.what = "search",
                     .jobs = q->s->images,
                     .values = 1,
                     .lanes = work_lanes(),
                     .seats = work_seats(),
                     .fetch = fetch,
                     .compute = compute,
                     .ctx = q,
                     .brief = true};
    q->level = level;
    if (work_run(&w, q->s->env, q->score, e)) return -1;
    *mean = stat_mean(q->score, q->s->images);
    return 0;
}

/* Regula falsi between a level with too high and one with too low a mean; the end that stays is
 * given half its weight (Illinois), so that both move. */
static int narrow(struct search *q, double a, double fa, double b, double fb, double target,
                  struct err *e)
{
    double x = b, f = fb, wa = fa - target, wb = fb - target;
    for (int i = 0; i < STEPS && fabs(f - target) > TOLERANCE; i++) {
        x = (a * wb - b * wa) / (wb - wa);
        if (mean_ssim(q, x, &f, e)) return -1;
        if (f > target) {
            a = x;
            wa = f - target;
            wb *= 0.5;
        } else {
            b = x;
            wb = f - target;
            wa *= 0.5;
        }
    }
    q->s->extent[q->p] = x;
    q->s->extent_ssim[q->p] = f;
    return 0;
}

/* Between the two levels tried between which the mean passes the target. */
static int narrow_tried(struct search *q, const double *level, const double *mean, double target,
                        struct err *e)
{
    int k = 1;
    while (mean[k] > target)
        k++;
    return narrow(q, level[k - 1], mean[k - 1], level[k], mean[k], target, e);
}

static int search_one(struct search *q, double target, struct err *e)
{
    struct perturbation *s = q->s;
    double level[DOUBLINGS + 2] = {0.0, s->extent[q->p]}, mean[DOUBLINGS + 2] = {1.0}, floor = 1.0;
    int n = 1; /* the last level tried */
    for (;; n++, level[n] = 2.0 * level[n - 1]) {
        if (mean_ssim(q, level[n], &mean[n], e)) return -1;
        floor = fmin(floor, mean[n]);
        if (mean[n] <= target || n > DOUBLINGS) break;
    }
    s->extent_reaches[q->p] = mean[n] <= target;
    if (floor == 1.0) { /* it changes nothing: an extent of 0, say */
        s->extent_ssim[q->p] = 1.0;
        return 0;
    }
    if (mean[n] > target) target = floor + REST * (1.0 - floor);
    if (narrow_tried(q, level, mean, target, e)) return -1;
    const char *name = perturb_at(s, q->p)->kind.name, *unit = perturb_at(s, q->p)->unit;
    if (!s->extent_reaches[q->p])
        fprintf(
            s->env->notes,
            "%s: the mean of ssim stays above %.3f, even at %g%s%s, and cannot be %g; the extent "
            "is where it has fallen by 95 %% of what it can\n",
            name, floor, level[n], unit[0] ? " " : "", unit, s->conf->target);
    if (!s->env->quiet || !s->extent_reaches[q->p])
        fprintf(s->env->notes, "%s: the mean of ssim is %.4f at %g\n", name, s->extent_ssim[q->p],
                s->extent[q->p]);
    return 0;
}

int perturbation_search(struct perturbation *s, struct err *e)
{
    struct search q = {.s = s, .ssim = scorers_find(&s->scorers, "ssim")};
    int rc = (q.score = mem_new((size_t)s->images, sizeof *q.score, e)) ? 0 : -1;
    for (q.p = 0; q.p < s->perturbations && rc == 0; q.p++)
        if ((rc = search_one(&q, s->conf->target, e)))
            err_wrap(e, "searching the extent of %s", perturb_at(s, q.p)->kind.name);
    mem_free(q.score);
    return rc;
}
