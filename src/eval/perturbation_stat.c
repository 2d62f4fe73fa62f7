#include "base/mem.h"
#include "eval/perturbation.h"

#include <math.h>
#include <stdlib.h>

struct interval perturbation_mean(const struct perturbation *s, int p, int m, int k)
{
    int n = 0;
    for (int i = 0; i < s->images; i++) {
        double v = score_at(s, p, m, k, i);
        if (!isfinite(v)) continue;
        s->unit[n] = s->env->images->list[i].scan;
        s->scratch[n++] = v;
    }
    return n > 0 ? stat_mean_ci95(s->scratch, s->unit, n) : (struct interval){NAN, NAN, NAN, 0};
}

bool perturbation_worsens(const struct perturbation *s, int p, int m, int i)
{
    double last = NAN;
    for (int k = 0; k < s->levels; k++) {
        double v = i < 0 ? perturbation_mean(s, p, m, k).mean : score_at(s, p, m, k, i);
        if (!isfinite(v)) continue;
        if (isfinite(last) && !((v - last) * s->scorers.list[m].metric->better < 0)) return false;
        last = v;
    }
    return true;
}

int perturbation_typical(const struct perturbation *s, struct err *e)
{
    const int m = s->metrics > 1 ? 1 : 0, n = s->images;
    double *score = mem_new(2 * (size_t)n, sizeof *score, e);
    int found = 0;
    if (!score) return -1;
    for (int i = 0; i < n; i++) {
        for (int p = 0; p < s->perturbations; p++)
            score[i] += score_at(s, p, m, s->levels / 2, i);
        score[n + i] = score[i];
    }
    stat_sort(score, n);
    while (found < n - 1 && score[n + found] != score[n / 2])
        found++;
    mem_free(score);
    return found;
}

/* ---- what is resampled ---- */

enum { FEWEST_LEVELS = 4 };

/* Means of a sample: curve (perturbation, metric, level) over the items' finite scores. */
struct means {
    const struct perturbation *s;
    double *curve;
    double *x, *y; /* (levels): of one curve, where it is finite */
};

static double *curve_of(const struct means *q, int p, int m)
{
    const struct perturbation *s = q->s;
    return q->curve + ((size_t)p * (size_t)s->metrics + (size_t)m) * (size_t)s->levels;
}

static void take_means(const struct means *q, const int *item, int count)
{
    const struct perturbation *s = q->s;
    for (int p = 0; p < s->perturbations; p++)
        for (int m = 0; m < s->metrics; m++)
            for (int k = 0; k < s->levels; k++) {
                double sum = 0.0;
                int n = 0;
                for (int i = 0; i < count; i++) {
                    double v = score_at(s, p, m, k, item[i]);
                    if (isfinite(v)) sum += v, n++;
                }
                curve_of(q, p, m)[k] = n ? sum / n : NAN;
            }
}

/* The curve at a place k that need not be whole: linear between levels. */
static double between(const double *curve, int levels, double k)
{
    int low = (int)k;
    return low + 1 < levels ? curve[low] + (k - low) * (curve[low + 1] - curve[low])
                            : curve[levels - 1];
}

static double half_share(const double *curve, int levels)
{
    double all = curve[levels - 1] - curve[0];
    return all != 0.0 ? (between(curve, levels, 0.5 * (levels - 1)) - curve[0]) / all : NAN;
}

static struct line line_of(const struct means *q, int p, int m, struct decay *decay)
{
    const double *curve = curve_of(q, p, m);
    int n = 0;
    for (int k = 0; k < q->s->levels; k++) {
        if (!isfinite(curve[k])) continue;
        q->x[n] = level_at(q->s, p, k);
        q->y[n++] = curve[k];
    }
    if (decay) *decay = stat_decay(q->x, q->y, n);
    return stat_line(q->x, q->y, n);
}

/* After line_of, whose values are in q->y. */
static double off_share(const struct means *q, const struct line *line)
{
    const double all = line->n ? fabs(q->y[line->n - 1] - q->y[0]) : 0.0;
    return line->n >= FEWEST_LEVELS && all > 0.0 ? line->fit.off / all : NAN;
}

/* Where a curve first reaches a value, as a place between levels; NaN where it does not. */
static double reach(const double *curve, int levels, int better, double value)
{
    for (int k = 1; k < levels; k++) {
        double a = better * (curve[k - 1] - value), b = better * (curve[k] - value);
        if (a > 0.0 && b <= 0.0) return k - 1 + a / (a - b);
    }
    return NAN;
}

/* The change of the focus metric where the anchor has the value. */
static double change_at(const struct means *q, int p, int anchor, double value)
{
    const struct perturbation *s = q->s;
    const double *focus = curve_of(q, p, s->focus);
    double k =
        reach(curve_of(q, p, anchor), s->levels, s->scorers.list[anchor].metric->better, value);
    return isnan(k) ? NAN : fabs(between(focus, s->levels, k) - focus[0]);
}

/* A value of the anchor that every perturbation passes: 5 % short of the mildest one's worst, from
 * the worst of their first steps. */
static double common_value(const struct means *q, int anchor)
{
    const struct perturbation *s = q->s;
    const int better = s->scorers.list[anchor].metric->better;
    double first = INFINITY, last = -INFINITY;
    for (int p = 0; p < s->perturbations; p++) {
        const double *curve = curve_of(q, p, anchor);
        int k = isfinite(curve[0]) ? 0 : 1;
        first = fmin(first, better * curve[k]);
        last = fmax(last, better * curve[s->levels - 1]);
    }
    return first > last ? better * (last + 0.05 * (first - last)) : NAN;
}

/* Values: of every curve its distance from a line and the share at half the extent; then the
 * ratios. */
static int statistic(void *ctx, const int *item, int count, double *value, struct err *e)
{
    const struct means *q = ctx;
    const struct perturbation *s = q->s;
    (void)e;
    take_means(q, item, count);
    for (int p = 0; p < s->perturbations; p++)
        for (int m = 0; m < s->metrics; m++) {
            const struct line line = line_of(q, p, m, NULL);
            *value++ = off_share(q, &line);
            *value++ = half_share(curve_of(q, p, m), s->levels);
        }
    for (int a = 0; a < s->metrics; a++)
        for (int p = 0; p < s->perturbations; p++) {
            /* of this sample: the whole sample's value is one that some resamples do not reach, and
             * the interval would be of the others */
            double at = a == s->focus ? NAN : common_value(q, a);
            *value++ = p == 0 || isnan(at) ? NAN : change_at(q, 0, a, at) / change_at(q, p, a, at);
        }
    return 0;
}

static int resample(struct perturbation *s, struct means *q, int *item, int *unit,
                    struct interval *v, int values, struct err *e)
{
    const struct images *im = s->env->images;
    for (int i = 0; i < s->images; i++) {
        item[i] = i;
        unit[i] = im->list[i].scan;
    }
    take_means(q, item, s->images);
    for (int a = 0; a < s->metrics; a++)
        s->anchor_at[a] = a == s->focus ? NAN : common_value(q, a);
    for (int p = 0; p < s->perturbations; p++)
        for (int m = 0; m < s->metrics; m++) {
            struct curve_stats *c = &s->curve[p * s->metrics + m];
            c->line = line_of(q, p, m, &c->decay);
        }
    struct bootstrap b = {.items = s->images,
                          .units = im->scans.n,
                          .unit = unit,
                          .values = values,
                          .resamples = s->conf->resamples,
                          .seed = s->env->seed,
                          .statistic = statistic,
                          .ctx = q};
    return stat_bootstrap(&b, v, e);
}

int perturbation_measure(struct perturbation *s, struct err *e)
{
    const int curves = s->perturbations * s->metrics, values = 3 * curves;
    struct means q = {.s = s};
    q.curve = mem_new((size_t)curves * (size_t)s->levels, sizeof *q.curve, e);
    q.x = mem_new(2 * (size_t)s->levels, sizeof *q.x, e);
    q.y = q.x ? q.x + s->levels : NULL;
    int *item = mem_new(2 * (size_t)s->images, sizeof *item, e), rc = -1;
    struct interval *v = mem_new((size_t)values, sizeof *v, e);
    if (q.curve && q.x && item && v) rc = resample(s, &q, item, item + s->images, v, values, e);
    for (int c = 0; c < curves && rc == 0; c++) {
        s->curve[c].off_line = v[2 * c];
        s->curve[c].half = v[2 * c + 1];
        s->ratio[c] = v[2 * curves + c];
    }
    mem_free(q.curve);
    mem_free(q.x);
    mem_free(item);
    mem_free(v);
    return rc;
}
