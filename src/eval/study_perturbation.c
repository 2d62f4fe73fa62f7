/* How metrics respond to known perturbations (paper section 2.3, Fig. 1 and 5): every image is
 * z-scored, perturbed at levels from nothing to the extent, and compared with itself as it was. */
#include "base/mem.h"
#include "eval/perturbation.h"
#include "eval/report.h"
#include "eval/work.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const extents[] = {"given", "auto", NULL};

static const struct cfg_field fields[] = {
    CFG_PICKS(struct perturbation_conf, metrics, NULL, metric_kinds, "metrics, in figure order"),
    CFG_PICKS(struct perturbation_conf, perturbations, "{shift: {}, blur: {}, noise: {}}",
              perturb_kinds, "perturbations, in figure order"),
    CFG_INT(struct perturbation_conf, levels, "11", 2, LEVELS_MAX, "",
            "levels, evenly from 0 to the extent of each perturbation"),
    CFG_CHOICE(
        struct perturbation_conf, extent, "given", extents,
        "given: the extents of the perturbations; auto: those at which the mean of ssim, one "
        "of the metrics, is the target, or has done 95 % of its possible fall where that is "
        "less"),
    CFG_REAL(struct perturbation_conf, target, "0.3", 0.01, 0.99, "", "of extent auto"),
    CFG_TEXT(struct perturbation_conf, focus, "",
             "the metric whose sensitivities are compared; empty: the first"),
    CFG_INT(struct perturbation_conf, resamples, "2000", 100, 1000000, "", "of the bootstrap"),
    CFG_END};

static int check(const void *conf, struct err *e)
{
    const struct perturbation_conf *c = conf;
    if (c->metrics.n == 0) return err_set(e, ERR_CONFIG, "study.metrics: give at least one metric");
    if (c->perturbations.n == 0)
        return err_set(e, ERR_CONFIG, "study.perturbations: give at least one perturbation");
    if (c->perturbations.n > PERTURBATIONS_MAX)
        return err_set(e, ERR_CONFIG, "study.perturbations: more than %d", PERTURBATIONS_MAX);
    if (c->extent == EXTENT_AUTO && scorers_place(&c->metrics, "ssim") < 0)
        return err_set(e, ERR_CONFIG, "study.extent: auto needs ssim among study.metrics");
    if (c->focus[0] && scorers_place(&c->metrics, c->focus) < 0)
        return err_set(e, ERR_CONFIG, "study.focus: '%s' is not among the metrics", c->focus);
    return 0;
}

static void explain(const void *conf, FILE *out)
{
    const struct perturbation_conf *c = conf;
    fprintf(out, "scores an image: %d perturbations x %d levels x %d metrics = %d\n",
            c->perturbations.n, c->levels, c->metrics.n,
            c->perturbations.n * c->levels * c->metrics.n);
    for (int p = 0; p < c->perturbations.n; p++) {
        const struct perturb *x = (const struct perturb *)(const void *)c->perturbations.v[p].kind;
        if (c->extent == EXTENT_AUTO)
            fprintf(out, "%s: %s 0 to where the mean of ssim is %g\n", x->kind.name, x->label,
                    c->target);
        else
            fprintf(out, "%s: %s 0 to %g %s\n", x->kind.name, x->label,
                    x->extent(c->perturbations.v[p].conf), x->unit);
    }
    for (int m = 0; m < c->metrics.n; m++) {
        char text[1024];
        const struct metric *x = (const struct metric *)(const void *)c->metrics.v[m].kind;
        x->variant(c->metrics.v[m].conf, text, sizeof text);
        fprintf(out, "%s: %s\n", x->kind.name, text);
    }
}

int perturbation_apply(const struct perturbation *s, int p, double level, int key, uint32_t image,
                       const float *x, float *y, struct err *e)
{
    const struct cfg_pick *pick = &s->conf->perturbations.v[p];
    uint32_t place = 0; /* in the table: the noise does not depend on what else is configured */
    while (perturb_kinds[place] != pick->kind)
        place++;
    struct rng rng = rng_make(s->env->seed, RNG_PERTURB, place << 16 | (uint32_t)key, image);
    return perturb_at(s, p)->apply(pick->conf, level, rng, x, s->env->images->height,
                                   s->env->images->width, y, e);
}

/* ---- scores: a job is an image under one perturbation ---- */

static int fetch(void *ctx, int job, int seat, struct err *e)
{
    struct perturbation *s = ctx;
    return images_read_zscored(s->env->images, job / s->perturbations,
                               s->seat + (size_t)seat * pixels_of(s), e);
}

static int compute(void *ctx, int job, int seat, int lane, double *value, struct err *e)
{
    struct perturbation *s = ctx;
    struct images *im = s->env->images;
    const int image = job / s->perturbations, p = job % s->perturbations;
    const float *x = s->seat + (size_t)seat * pixels_of(s);
    float *y = s->work + (size_t)lane * pixels_of(s);
    for (int k = 0; k < s->levels; k++) {
        if (perturbation_apply(s, p, level_at(s, p, k), k, images_id(im, image), x, y, e))
            return -1;
        if (scorers_score(&s->scorers, lane, x, y, value + k * s->metrics, e))
            return err_wrap(e, "scan %s, slice %d, %s %g", images_name(im, image),
                            im->list[image].slice, perturb_at(s, p)->kind.name, level_at(s, p, k));
    }
    return 0;
}

static int score_all(struct perturbation *s, struct err *e)
{
    struct work w = {.what = "perturbation study",
                     .jobs = s->images * s->perturbations,
                     .values = s->levels * s->metrics,
                     .lanes = work_lanes(),
                     .seats = work_seats(),
                     .fetch = fetch,
                     .compute = compute,
                     .ctx = s};
    return work_run(&w, s->env, s->value, e);
}

/* ---- the study ---- */

static int open_study(void *state, const void *conf, const struct study_env *env, struct err *e)
{
    struct perturbation *s = state;
    s->conf = conf;
    s->env = env;
    const int focus = s->conf->focus[0] ? scorers_place(&s->conf->metrics, s->conf->focus) : 0;
    if (scorers_add(&s->scorers, &s->conf->metrics, focus, e)) return -1;
    return scorers_open(&s->scorers, env->images->height, env->images->width, work_lanes(),
                        env->notes, e);
}

static int prepare(struct perturbation *s, struct err *e)
{
    const struct images *im = s->env->images;
    s->images = im->n;
    s->perturbations = s->conf->perturbations.n;
    s->levels = s->conf->levels;
    s->metrics = s->scorers.n;
    size_t curves = (size_t)s->perturbations * (size_t)s->metrics;
    s->value = mem_new(curves * (size_t)s->levels * (size_t)im->n, sizeof *s->value, e);
    s->scratch = mem_new((size_t)im->n, sizeof *s->scratch, e);
    s->unit = mem_new((size_t)im->n, sizeof *s->unit, e);
    s->seat = mem_new((size_t)work_seats() * pixels_of(s), sizeof *s->seat, e);
    s->work = mem_new((size_t)work_lanes() * pixels_of(s), sizeof *s->work, e);
    s->curve = mem_new(curves, sizeof *s->curve, e);
    s->ratio = mem_new(curves, sizeof *s->ratio, e);
    s->anchor_at = mem_new((size_t)s->metrics, sizeof *s->anchor_at, e);
    if (!s->value || !s->scratch || !s->unit || !s->seat || !s->work || !s->curve || !s->ratio ||
        !s->anchor_at)
        return -1;
    for (int p = 0; p < s->perturbations; p++) {
        s->extent[p] = perturb_at(s, p)->extent(s->conf->perturbations.v[p].conf);
        s->extent_ssim[p] = NAN;
    }
    return 0;
}

static int score(void *state, struct err *e)
{
    struct perturbation *s = state;
    if (prepare(s, e)) return -1;
    if (s->conf->extent == EXTENT_AUTO && perturbation_search(s, e)) return -1;
    return score_all(s, e);
}

static int write_results(void *state, struct err *e)
{
    struct perturbation *s = state;
    const struct study_env *env = s->env;
    json_t *summary = NULL;
    int example = perturbation_measure(s, e) ? -1 : perturbation_typical(s, e);
    int failed = example < 0 || perturbation_tables(s, e) || perturbation_figure(s, example, e);
    if (!failed) {
        summary = perturbation_summary(s, example);
        failed = report_curves(env, "Metrics under perturbations", perturbation_curves(s),
                               perturbation_examples(s), summary, e);
    }
    return study_close_output(env, failed, summary, e);
}

static void release(void *state)
{
    struct perturbation *s = state;
    scorers_release(&s->scorers);
    mem_free(s->value);
    mem_free(s->scratch);
    mem_free(s->unit);
    mem_free(s->seat);
    mem_free(s->work);
    mem_free(s->curve);
    mem_free(s->ratio);
    mem_free(s->anchor_at);
}

const struct study study_perturbation = {
    .kind = {"perturbation", "metrics under pixel shift, blur and noise (paper Fig. 1 and 5)",
             fields, sizeof(struct perturbation_conf)},
    .size = sizeof(struct perturbation),
    .check = check,
    .explain = explain,
    .open = open_study,
    .score = score,
    .write = write_results,
    .release = release,
};
