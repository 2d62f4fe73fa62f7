#include "base/mem.h"
#include "eval/qc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- points and how metrics rank them ---- */

static int list_points(struct qc *q, struct err *e)
{
    const struct pairs *p = &q->pairs;
    const struct images *im = p->env->images;
    int *image = mem_new((size_t)p->images, sizeof *image, e);
    q->point = mem_new((size_t)p->images * (size_t)p->methods, sizeof *q->point, e);
    for (int m = 0; m < p->methods && image && q->point; m++) {
        int n = pairs_select(p, m, -1, image);
        for (int i = 0; i < n; i++) {
            long defects =
                q->truth ? truth_of(q->truth, images_name(im, image[i]), im->list[image[i]].slice)
                         : -1;
            q->point[q->points++] =
                (struct qc_point){.image = image[i], .method = m, .defects = defects};
        }
        q->excluded += p->images - n;
    }
    bool bad = !image || !q->point;
    mem_free(image);
    if (!bad && q->points == 0)
        return err_set(e, ERR_DATA, "no image has finite scores by all metrics");
    return bad ? -1 : 0;
}

static double score_of(const struct qc *q, int point, int metric)
{
    return pairs_at(&q->pairs, q->point[point].image, q->point[point].method, metric);
}

/* Each method by itself: pooled, the ranks would tell methods apart and not images. */
static int rank_points(struct qc *q, struct err *e)
{
    double *x = mem_new(2 * (size_t)q->points, sizeof *x, e), *z = x ? x + q->points : NULL;
    int rc = x ? 0 : -1;
    for (int first = 0, end; first < q->points && rc == 0; first = end) {
        for (end = first; end < q->points && q->point[end].method == q->point[first].method;)
            end++;
        for (int m = 0; m < q->pairs.scorers.n && rc == 0; m++) {
            for (int i = first; i < end; i++)
                x[i - first] = -q->pairs.scorers.list[m].metric->better * score_of(q, i, m);
            rc = stat_normal_scores(x, end - first, z, e);
            for (int i = first; i < end && rc == 0; i++)
                q->point[i].z[m] = z[i - first];
        }
    }
    mem_free(x);
    return rc;
}

static int largest_first(const void *a, const void *b)
{
    const struct qc_disagreement *p = a, *q = b;
    double x = fabs(p->difference), y = fabs(q->difference);
    if (x != y) return (x < y) - (x > y);
    if (p->point != q->point) return (p->point > q->point) - (p->point < q->point);
    return (p->other > q->other) - (p->other < q->other);
}

static int list_disagreements(struct qc *q, struct err *e)
{
    const int metrics = q->pairs.scorers.n;
    q->disagreement = mem_new((size_t)q->points * (size_t)metrics, sizeof *q->disagreement, e);
    if (!q->disagreement) return -1;
    for (int i = 0; i < q->points; i++)
        for (int m = 0; m < metrics; m++)
            if (m != q->focus)
                q->disagreement[q->disagreements++] =
                    (struct qc_disagreement){i, m, q->point[i].z[q->focus] - q->point[i].z[m]};
    qsort(q->disagreement, (size_t)q->disagreements, sizeof *q->disagreement, largest_first);
    return 0;
}

/* The worst rank that any metric but this one gives a point. */
static double worst_of_others(const struct qc *q, int point, int metric)
{
    double worst = -INFINITY;
    for (int m = 0; m < q->pairs.scorers.n; m++)
        if (m != metric) worst = fmax(worst, q->point[point].z[m]);
    return worst;
}

/* The examples: the point that the focus finds worse than any other metric does, by the largest
 * margin; and the one on which all agree most that it is good. */
static void choose_examples(struct qc *q)
{
    double margin = -INFINITY, best = INFINITY;
    q->poor = q->good = -1;
    for (int i = 0; i < q->points && q->point[i].method == q->point[0].method; i++) {
        const double *z = q->point[i].z, others = worst_of_others(q, i, q->focus);
        const bool caught = z[q->focus] > 1.0 && others < 0.0;
        q->caught += caught;
        q->caught_bad += caught && q->point[i].defects > 0;
        if (z[q->focus] - others > margin) margin = z[q->focus] - others, q->poor = i;
        if (fmax(others, z[q->focus]) < best) best = fmax(others, z[q->focus]), q->good = i;
    }
}

/* ---- metrics as detectors of known defects ---- */

struct sample { /* of the first method: points of scans that the truth knows */
    const struct qc *q;
    int kind, n, *point;
    double *x;
    int *bad, *scan; /* beside x */
};

/* Points with other defects than the one in question are neither good nor bad. `alone`: only those
 * that every other metric ranks in its better half. */
static int gather(struct sample *s, const int *item, int count, int metric, bool alone)
{
    const struct qc *q = s->q;
    int n = 0;
    for (int i = 0; i < count; i++) {
        int point = s->point[item[i]];
        long defects = q->point[point].defects;
        bool bad = s->kind < 0 ? defects > 0 : (defects >> s->kind & 1) != 0;
        if (!bad && defects != 0) continue;
        if (alone && worst_of_others(q, point, metric) >= 0.0) continue;
        s->x[n] = -q->pairs.scorers.list[metric].metric->better * score_of(q, point, metric);
        s->scan[n] = q->pairs.env->images->list[q->point[point].image].scan;
        s->bad[n++] = bad;
    }
    return n;
}

static int statistic(void *ctx, const int *item, int count, double *value, struct err *e)
{
    struct sample *s = ctx;
    const int metrics = s->q->pairs.scorers.n;
    for (int m = 0; m < metrics; m++) {
        struct two_groups all, alone;
        if (stat_mann_whitney(s->x, s->bad, NULL, gather(s, item, count, m, false), &all, e) ||
            stat_mann_whitney(s->x, s->bad, NULL, gather(s, item, count, m, true), &alone, e))
            return -1;
        value[m] = all.auc;
        value[2 * metrics + m] = alone.auc;
    }
    for (int m = 0; m < metrics; m++)
        value[metrics + m] = value[s->q->focus] - value[m];
    return 0;
}

/* Scans that have bad (or good) ones among the first n of s->bad, as gather left them, by s->scan.
 */
static int count_scans(const struct sample *s, int n, bool bad)
{
    int count = 0;
    for (int i = 0; i < n; i++) {
        bool first = (s->bad[i] != 0) == bad;
        for (int k = 0; k < i && first; k++)
            first = (s->bad[k] != 0) != bad || s->scan[k] != s->scan[i];
        count += first;
    }
    return count;
}

/* The AUC over what gather left, of group sizes `g`, with its interval `v` if scans are enough. */
static struct interval trust(const struct sample *s, int n, struct interval v)
{
    if (count_scans(s, n, true) < FEWEST_SCANS || count_scans(s, n, false) < FEWEST_SCANS)
        v.low = v.high = NAN;
    return v;
}

static int measure_metric(struct qc *q, struct sample *s, const int *item, int metric,
                          const struct interval *v, struct err *e)
{
    struct qc_roc *r = &q->roc[q->rocs];
    struct two_groups g, alone;
    *r = (struct qc_roc){.metric = metric, .kind = s->kind};
    int n = gather(s, item, s->n, metric, true);
    if (stat_mann_whitney(s->x, s->bad, s->scan, n, &alone, e)) return -1;
    r->alone = trust(s, n, v[2 * q->pairs.scorers.n + metric]);
    r->alone_bad = alone.na;
    r->alone_good = alone.nb;
    n = gather(s, item, s->n, metric, false);
    if (stat_mann_whitney(s->x, s->bad, s->scan, n, &g, e)) return -1;
    r->auc = trust(s, n, v[metric]);
    r->over_focus = trust(s, n, v[q->pairs.scorers.n + metric]);
    r->bad_scans = count_scans(s, n, true);
    if (g.na == 0 || g.nb == 0) return 0; /* nothing to tell apart */
    r->p = g.p;
    r->bad = g.na;
    r->good = g.nb;
    if (!(r->curve = mem_new((size_t)n + 1, sizeof *r->curve, e))) return -1;
    q->rocs++;
    return stat_roc(s->x, s->bad, n, r->curve, &r->points, e);
}

static int measure_kind(struct qc *q, struct sample *s, int *item, int *unit, uint64_t seed,
                        struct err *e)
{
    const struct images *im = q->pairs.env->images;
    const int metrics = q->pairs.scorers.n;
    for (int i = 0; i < s->n; i++) {
        item[i] = i;
        unit[i] = im->list[q->point[s->point[i]].image].scan;
    }
    struct interval *v = mem_new(3 * (size_t)metrics, sizeof *v, e);
    struct bootstrap b = {.items = s->n,
                          .units = im->scans.n,
                          .unit = unit,
                          .values = 3 * metrics,
                          .resamples = q->conf->resamples,
                          .seed = seed,
                          .statistic = statistic,
                          .ctx = s};
    int rc = v ? stat_bootstrap(&b, v, e) : -1;
    for (int m = 0; m < metrics && rc == 0; m++)
        rc = measure_metric(q, s, item, m, v, e);
    mem_free(v);
    return rc;
}

static int measure_truth(struct qc *q, uint64_t seed, struct err *e)
{
    const size_t n = (size_t)q->points;
    const int kinds = truth_kinds(q->truth);
    struct sample s = {.q = q};
    int *whole = mem_new(5 * n, sizeof *whole, e), rc = -1;
    s.x = mem_new(n, sizeof *s.x, e);
    q->roc = mem_new((size_t)(1 + kinds) * (size_t)q->pairs.scorers.n, sizeof *q->roc, e);
    if (!whole || !s.x || !q->roc) goto out;
    s.point = whole;
    s.bad = whole + n;
    s.scan = whole + 4 * n;
    for (int i = 0; i < q->points; i++)
        if (q->point[i].method == 0 && q->point[i].defects >= 0) s.point[s.n++] = i;
    rc = s.n > 0 ? 0
                 : err_set(e, ERR_DATA, "%s: no scan of this study with finite scores is in it",
                           q->conf->truth);
    for (s.kind = -1; s.kind < kinds && rc == 0; s.kind++)
        rc = measure_kind(q, &s, whole + 2 * n, whole + 3 * n, seed, e);
out:
    mem_free(whole);
    mem_free(s.x);
    return rc;
}

int qc_measure(struct qc *q, uint64_t seed, struct err *e)
{
    if (list_points(q, e) || rank_points(q, e) || list_disagreements(q, e)) return -1;
    choose_examples(q);
    return q->truth ? measure_truth(q, seed, e) : 0;
}

void qc_release(void *qc)
{
    struct qc *q = qc;
    for (int i = 0; q->roc && i < q->rocs; i++)
        mem_free(q->roc[i].curve);
    mem_free(q->roc);
    mem_free(q->point);
    mem_free(q->disagreement);
    truth_free(q->truth);
    pairs_release(&q->pairs);
}
