/* The numbers of the study of quality control: tables, the summary, the paper's claims. */
#include "base/mem.h"
#include "eval/claims.h"
#include "eval/qc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct scorer *metric_of(const struct qc *q, int m)
{
    return &q->pairs.scorers.list[m];
}

static const char *scan_of(const struct qc *q, int point)
{
    return images_name(q->pairs.env->images, q->point[point].image);
}

static double slice_of(const struct qc *q, int point)
{
    return q->pairs.env->images->list[q->point[point].image].slice;
}

static double score_of(const struct qc *q, int point, int m)
{
    return pairs_at(&q->pairs, q->point[point].image, q->point[point].method, m);
}

const char *qc_defects(const struct qc *q, int point, char *text, size_t size)
{
    long set = q->point[point].defects;
    snprintf(text, size, "%s", set == 0 ? "none" : "");
    for (int k = 0; set > 0 && k < truth_kinds(q->truth); k++)
        if (set >> k & 1) {
            size_t used = strlen(text);
            snprintf(text + used, size - used, "%s%s", used ? "+" : "", truth_kind(q->truth, k));
        }
    return text;
}

static int write_zscores(const struct qc *q, struct err *e)
{
    char names[64 * (SCORERS_MAX + 2)] = "$scan,slice,$contrast,$method,$defects", defects[1024];
    for (int m = 0; m < q->pairs.scorers.n; m++) {
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, ",z_%s", metric_of(q, m)->name);
    }
    struct table *t = table_new(names, e);
    int rc = t ? 0 : -1;
    for (int i = 0; i < q->points && rc == 0; i++) {
        const char *text[] = {
            scan_of(q, i), contrast_names[pairs_contrast(&q->pairs, q->point[i].image)],
            q->pairs.method[q->point[i].method].name, qc_defects(q, i, defects, sizeof defects)};
        double number[1 + SCORERS_MAX] = {slice_of(q, i)};
        memcpy(number + 1, q->point[i].z, sizeof q->point[i].z);
        rc = table_add_arrays(t, text, number, e);
    }
    if (rc == 0) rc = study_write_table(q->pairs.env, t, "zscores.csv", e);
    table_free(t);
    return rc;
}

static int listed(const struct qc *q)
{
    return q->disagreements < q->conf->listed ? q->disagreements : q->conf->listed;
}

static int write_disagreements(const struct qc *q, struct err *e)
{
    struct table *t =
        table_new("rank,$scan,slice,$contrast,$method,$worse_by,$better_by,difference,focus_z,"
                  "other_z,focus_score,other_score,$defects",
                  e);
    int rc = t ? 0 : -1;
    for (int k = 0; k < listed(q) && rc == 0; k++) {
        const struct qc_disagreement *d = &q->disagreement[k];
        char defects[1024];
        const char *focus = metric_of(q, q->focus)->name, *other = metric_of(q, d->other)->name;
        rc = table_add(
            t, e, k + 1.0, scan_of(q, d->point), slice_of(q, d->point),
            contrast_names[pairs_contrast(&q->pairs, q->point[d->point].image)],
            q->pairs.method[q->point[d->point].method].name, d->difference > 0.0 ? focus : other,
            d->difference > 0.0 ? other : focus, d->difference, q->point[d->point].z[q->focus],
            q->point[d->point].z[d->other], score_of(q, d->point, q->focus),
            score_of(q, d->point, d->other), qc_defects(q, d->point, defects, sizeof defects));
    }
    if (rc == 0) rc = study_write_table(q->pairs.env, t, "disagreements.csv", e);
    table_free(t);
    return rc;
}

static int add_correlation(struct table *t, const struct qc *q, int method, int a, int b, double *x,
                           double *y, int *scan, struct err *e)
{
    struct assoc spearman;
    int n = 0;
    for (int i = 0; i < q->points; i++) {
        if (q->point[i].method != method) continue;
        x[n] = score_of(q, i, a);
        scan[n] = q->pairs.env->images->list[q->point[i].image].scan;
        y[n++] = score_of(q, i, b);
    }
    if (stat_spearman(x, y, scan, n, &spearman, e)) return -1;
    struct assoc pearson = stat_pearson(x, y, scan, n);
    return table_add(t, e, q->pairs.method[method].name, metric_of(q, a)->name,
                     metric_of(q, b)->name, (double)n, pearson.r, pearson.p, spearman.r, spearman.p,
                     stat_kendall(x, y, n));
}

static int write_correlations(const struct qc *q, struct err *e)
{
    struct table *t =
        table_new("$method,$metric,$other,n,pearson,pearson_p,spearman,spearman_p,kendall", e);
    double *x = mem_new(2 * (size_t)q->points, sizeof *x, e), *y = x ? x + q->points : NULL;
    int *scan = mem_new((size_t)q->points, sizeof *scan, e), rc = t && x && scan ? 0 : -1;
    for (int k = 0; k < q->pairs.methods && rc == 0; k++)
        for (int a = 0; a < q->pairs.scorers.n && rc == 0; a++)
            for (int b = a + 1; b < q->pairs.scorers.n && rc == 0; b++)
                rc = add_correlation(t, q, k, a, b, x, y, scan, e);
    if (rc == 0) rc = study_write_table(q->pairs.env, t, "correlations.csv", e);
    table_free(t);
    mem_free(x);
    mem_free(scan);
    return rc;
}

static int write_roc(const struct qc *q, struct err *e)
{
    struct table *t = table_new(
        "$metric,$defect,false_positives,true_positives,threshold,auc,ci_low,ci_high,bad,good", e);
    int rc = t ? 0 : -1;
    for (int r = 0; r < q->rocs; r++) {
        const struct qc_roc *c = &q->roc[r];
        int better = metric_of(q, c->metric)->metric->better;
        for (int k = 0; k < c->points && rc == 0; k++) {
            double threshold = -better * c->curve[k].threshold;
            rc = table_add(t, e, metric_of(q, c->metric)->name, qc_kind_name(q, c->kind),
                           c->curve[k].false_positives, c->curve[k].true_positives,
                           isfinite(threshold) ? threshold : NAN, c->auc.mean, c->auc.low,
                           c->auc.high, (double)c->bad, (double)c->good);
        }
    }
    if (rc == 0) rc = study_write_table(q->pairs.env, t, "roc.csv", e);
    table_free(t);
    return rc;
}

int qc_tables(const struct qc *q, struct err *e)
{
    if (write_zscores(q, e) || write_disagreements(q, e) || write_correlations(q, e)) return -1;
    return q->truth ? write_roc(q, e) : study_remove(q->pairs.env, "roc.csv", e);
}

static json_t *describe_point(const struct qc *q, int point)
{
    if (point < 0) return json_null();
    json_t *scores = json_object(), *z = json_object();
    for (int m = 0; m < q->pairs.scorers.n; m++) {
        json_object_set_new(scores, metric_of(q, m)->name, study_number(score_of(q, point, m)));
        json_object_set_new(z, metric_of(q, m)->name, study_number(q->point[point].z[m]));
    }
    return json_pack("{s:s, s:i, s:s, s:o, s:o}", "scan", scan_of(q, point), "slice",
                     (int)slice_of(q, point), "method",
                     q->pairs.method[q->point[point].method].name, "scores", scores, "z", z);
}

static json_t *describe_rocs(const struct qc *q)
{
    json_t *list = json_array();
    for (int r = 0; r < q->rocs; r++) {
        const struct qc_roc *c = &q->roc[r];
        json_t *j = study_interval(c->auc);
        fprintf(q->pairs.env->out,
                "defect %s: AUC of %s %.3f [%.3f, %.3f], %d of %d images, %d scans\n",
                qc_kind_name(q, c->kind), metric_of(q, c->metric)->name, c->auc.mean, c->auc.low,
                c->auc.high, c->bad, c->bad + c->good, c->bad_scans);
        json_t *alone = study_interval(c->alone);
        json_object_set_new(alone, "bad", json_integer(c->alone_bad));
        json_object_set_new(alone, "good", json_integer(c->alone_good));
        json_t *more = json_pack("{s:s, s:s, s:i, s:i, s:i, s:o, s:o}", "defect",
                                 qc_kind_name(q, c->kind), "metric", metric_of(q, c->metric)->name,
                                 "bad", c->bad, "bad_scans", c->bad_scans, "good", c->good, "p",
                                 study_number(c->p), "where_others_rank_well", alone);
        json_object_update(j, more);
        json_decref(more);
        json_array_append_new(list, j);
    }
    return list;
}

/* That they disagree is no merit of either: whether the focus is right takes a truth. */
static void claim_caught(const struct qc *q, json_t *claims)
{
    char id[] = "catches-what-others-miss", statement[256], quantity[256];
    const struct qc_roc *r = NULL;
    for (int k = 0; k < q->rocs && !r; k++)
        if (q->roc[k].kind < 0 && q->roc[k].metric == q->focus) r = &q->roc[k];
    struct interval auc = r ? r->alone : (struct interval){NAN, NAN, NAN, 0};
    const char *focus = metric_of(q, q->focus)->label;
    snprintf(statement, sizeof statement,
             "%s highlights poor reconstructions that the other metrics find good", focus);
    snprintf(quantity, sizeof quantity,
             "AUC of %s for planted defects among the images that every other metric ranks in its "
             "better half (%d with a defect, %d without); %d found bad (z > 1) by it alone",
             focus, r ? r->alone_bad : 0, r ? r->alone_good : 0, q->caught);
    claims_add(claims, q->pairs.env->out,
               &(struct claim){.id = id,
                               .source = "section 3, Fig. 3 and 6; conclusion",
                               .statement = statement,
                               .quantity = quantity,
                               .criterion = "95 % interval above 0.5",
                               .measured = auc,
                               .held = claim_above(auc, 0.5)});
}

static void claim_detects(const struct qc *q, const struct qc_roc *r, json_t *claims)
{
    char id[96], statement[256], quantity[256];
    const char *focus = metric_of(q, q->focus)->label, *other = metric_of(q, r->metric)->label;
    snprintf(id, sizeof id, "detects-better-than-%s", metric_of(q, r->metric)->name);
    snprintf(statement, sizeof statement, "%s tells scans with a defect from others better than %s",
             focus, other);
    snprintf(quantity, sizeof quantity, "AUC of %s minus AUC of %s, any defect", focus, other);
    claims_add(claims, q->pairs.env->out,
               &(struct claim){.id = id,
                               .source = "section 2.3, as a test the paper could not make",
                               .statement = statement,
                               .quantity = quantity,
                               .criterion = "95 % interval above 0",
                               .measured = r->over_focus,
                               .held = claim_above(r->over_focus, 0.0)});
}

json_t *qc_summary(const struct qc *q)
{
    json_t *summary = json_object(), *list = json_array(), *claims = json_array();
    FILE *out = q->pairs.env->out;
    pairs_summary(&q->pairs, "qc", summary);
    for (int k = 0; k < listed(q) && k < 5; k++) {
        const struct qc_disagreement *d = &q->disagreement[k];
        fprintf(out, "disagreement %d: %s slice %.0f, %s: z by %s %.2f, by %s %.2f\n", k + 1,
                scan_of(q, d->point), slice_of(q, d->point),
                q->pairs.method[q->point[d->point].method].name, metric_of(q, q->focus)->name,
                q->point[d->point].z[q->focus], metric_of(q, d->other)->name,
                q->point[d->point].z[d->other]);
        json_t *j = describe_point(q, d->point);
        json_object_set_new(j, "other", json_string(metric_of(q, d->other)->name));
        json_object_set_new(j, "difference", json_real(d->difference));
        json_array_append_new(list, j);
    }
    json_t *rocs = describe_rocs(q);
    claim_caught(q, claims);
    for (int r = 0; r < q->rocs; r++)
        if (q->roc[r].kind < 0 && q->roc[r].metric != q->focus)
            claim_detects(q, &q->roc[r], claims);
    json_t *more = json_pack(
        "{s:s, s:s, s:i, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:i}", "focus",
        metric_of(q, q->focus)->name, "z",
        "normal scores of the ranks over the images of a method; positive is worse than the "
        "median",
        "points", q->points, "excluded_not_finite", q->excluded, "caught", q->caught,
        "caught_with_defect", q->truth ? json_integer(q->caught_bad) : json_null(), "example_poor",
        describe_point(q, q->poor), "example_good", describe_point(q, q->good),
        "largest_disagreements", list, "roc", rocs, "resamples", q->conf->resamples);
    json_object_update(summary, more);
    json_decref(more);
    json_object_set_new(summary, "claims", claims);
    return summary;
}
