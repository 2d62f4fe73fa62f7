/* Between the parts of the perturbation study (study_perturbation.c): what was measured, and what
 * is made of it. */
#pragma once

#include "base/table.h"
#include "eval/metric.h"
#include "eval/perturb.h"
#include "eval/study.h"

struct perturbation_conf {
    struct cfg_picks metrics, perturbations;
    int levels;
};

struct scores {
    const struct perturbation_conf *conf;
    int images;
    double *value;   /* (perturbation, metric, level, image); infinite where a metric says so */
    double *scratch; /* (image) */
};

static inline const struct perturb *perturb_at(const struct perturbation_conf *c, int p)
{
    return (const struct perturb *)c->perturbations.v[p].kind;
}

static inline const struct metric *metric_at(const struct perturbation_conf *c, int m)
{
    return (const struct metric *)c->metrics.v[m].kind;
}

static inline double level_at(const struct perturbation_conf *c, int p, int k)
{
    return perturb_at(c, p)->extent(c->perturbations.v[p].conf) * k / (c->levels - 1);
}

static inline double *scores_at(const struct scores *s, int p, int m, int k)
{
    size_t row = (size_t)(p * s->conf->metrics.n + m) * (size_t)s->conf->levels + (size_t)k;
    return s->value + row * (size_t)s->images;
}

/* y = x (h, w) perturbed at level k; `image` names the noise. */
int perturbation_apply(const struct perturbation_conf *c, int p, int k, uint64_t seed,
                       uint32_t image, const float *x, int h, int w, float *y, struct err *e);

/* Mean and interval of the finite scores at one level; n = 0 and NaN where there are none. */
struct interval scores_interval(const struct scores *s, int p, int m, int k);

/* scores.csv: a line for every score, with the acquisition of its scan. curves.csv: a line for
 * every mean. */
int perturbation_tables(const struct scores *s, const struct study_env *env, struct err *e);
/* example_NAME.png, perturbations.gp and, where gnuplot is, perturbations.png and .svg. */
int perturbation_figure(const struct scores *s, const struct study_env *env, struct err *e);
/* What the curves say: for summary.json, and as lines on env->out. NULL when out of memory. */
json_t *perturbation_summary(const struct scores *s, const struct study_env *env);
