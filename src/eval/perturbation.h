/* Between the parts of the perturbation study: what was measured (study_perturbation.c, with
 * perturbation_extent.c), its statistics (perturbation_stat.c), and what is made of them
 * (perturbation_report.c, perturbation_figure.c). */
#pragma once

#include "eval/perturb.h"
#include "eval/scorers.h"
#include "eval/study.h"

enum { PERTURBATIONS_MAX = 16, LEVELS_MAX = 1001 };
enum { EXTENT_GIVEN, EXTENT_AUTO };

struct perturbation_conf {
    struct cfg_picks metrics, perturbations;
    int levels, extent, resamples;
    double target;
    const char *focus;
};

struct curve_stats { /* of a metric's mean under one perturbation */
    struct line line;
    struct decay decay;
    /* The largest distance of a mean from the line, as a share of the change at the extent. NaN
     * where there are less than four levels, which say nothing of a shape. */
    struct interval off_line;
    /* The change at half the extent as a share of the change at the extent: 1/2 for a straight
     * line, more for a curve that levels off. NaN where level 0 is infinite. */
    struct interval half;
};

struct perturbation {
    const struct perturbation_conf *conf;
    const struct study_env *env;
    struct scorers scorers;
    int images, perturbations, levels, metrics, focus;
    double extent[PERTURBATIONS_MAX];
    double extent_ssim[PERTURBATIONS_MAX];  /* of a search: mean SSIM there; else NaN */
    bool extent_reaches[PERTURBATIONS_MAX]; /* of a search: that is the target */
    double *value;                          /* (image, perturbation, level, metric) */
    double *scratch;                        /* (images) */
    int *unit;                              /* (images): the scans of those in scratch */
    float *seat;                            /* (seats, h, w) */
    float *work;                            /* (lanes, h, w) */
    struct curve_stats *curve;              /* (perturbation, metric) */
    /* How far the focus metric moves under a perturbation, relative to the first perturbation,
     * where both move the metric `anchor` equally: (anchor, perturbation); NaN in the row of the
     * focus. Below 1: it is less sensitive to the first. */
    struct interval *ratio;
    double *anchor_at; /* (anchor): the value at which they are compared */
};

static inline const struct perturb *perturb_at(const struct perturbation *s, int p)
{
    return (const struct perturb *)(const void *)s->conf->perturbations.v[p].kind;
}

static inline double level_at(const struct perturbation *s, int p, int k)
{
    return s->extent[p] * k / (s->levels - 1);
}

static inline double score_at(const struct perturbation *s, int p, int m, int k, int image)
{
    size_t row = ((size_t)image * (size_t)s->perturbations + (size_t)p) * (size_t)s->levels;
    return s->value[(row + (size_t)k) * (size_t)s->metrics + (size_t)m];
}

/* Of an image. */
static inline size_t pixels_of(const struct perturbation *s)
{
    return (size_t)s->env->images->height * (size_t)s->env->images->width;
}

/* y = x (h, w) perturbed; (place in the table of perturbations, key, image) name the noise. */
int perturbation_apply(const struct perturbation *s, int p, double level, int key, uint32_t image,
                       const float *x, float *y, struct err *e);
/* The noise of levels has keys 0 … levels - 1. */
enum { KEY_SEARCH = 0xfffe, KEY_EXAMPLE = 0xffff };

/* Searches the extents at which the mean of SSIM is the target, or near the lowest it can be. */
int perturbation_search(struct perturbation *s, struct err *e);
int perturbation_measure(struct perturbation *s, struct err *e); /* fills curve and ratio */
/* Mean and interval of the finite scores at one level; n = 0 and NaN where there are none. */
struct interval perturbation_mean(const struct perturbation *s, int p, int m, int k);
/* Whether the score gets worse from each level to the next: of the mean (i < 0) or of image i. */
bool perturbation_worsens(const struct perturbation *s, int p, int m, int i);
/* The image that is least extreme: of median score by the second metric at the middle level. */
int perturbation_typical(const struct perturbation *s, struct err *e);

/* scores.csv: a line for every score, with the acquisition of its scan. curves.csv: a line for
 * every mean. */
int perturbation_tables(const struct perturbation *s, struct err *e);
/* example_NAME.png, perturbations.gp and, where gnuplot is, perturbations.png and .svg. */
int perturbation_figure(const struct perturbation *s, int example, struct err *e);
/* What the curves say: for summary.json, and as lines on env->out. */
json_t *perturbation_summary(const struct perturbation *s, int example);
json_t *perturbation_curves(const struct perturbation *s);   /* for report_curves */
json_t *perturbation_examples(const struct perturbation *s); /* likewise */
/* What an example shows: "Gaussian blur \u03c3 2.25 px". */
void perturbation_example_title(const struct perturbation *s, int p, char *text, size_t size);
