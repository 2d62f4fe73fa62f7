/* Metrics as tools of quality control (paper section 2.3, Fig. 3 and 6): which reconstructions they
 * disagree on, and, where it is known which scans are bad, how well each finds them. */
#include "base/mem.h"
#include "eval/qc.h"
#include "eval/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct cfg_field fields[] = {
    PAIRS_FIELDS(struct qc_conf),
    CFG_PICKS(struct qc_conf, metrics, NULL, metric_kinds, "metrics"),
    CFG_TEXT(struct qc_conf, focus, "ssfd",
             "the metric whose disagreement with others is looked at"),
    CFG_TEXTS(struct qc_conf, against, "[ssim, psnr]",
              "metrics that get a figure: all others against them"),
    CFG_TEXT(
        struct qc_conf, truth, "",
        "CSV table of scans known to be bad, with columns scan, kind, first_slice, last_slice"),
    CFG_INT(struct qc_conf, listed, "50", 1, 1000000, "", "disagreements in the table"),
    CFG_INT(struct qc_conf, resamples, "2000", 100, 1000000, "", "of the bootstrap"),
    CFG_END};

static int check(const void *conf, struct err *e)
{
    const struct qc_conf *c = conf;
    if (c->metrics.n < 2)
        return err_set(e, ERR_CONFIG, "study.metrics: give at least two, to compare them");
    if (scorers_place(&c->metrics, c->focus) < 0)
        return err_set(e, ERR_CONFIG, "study.focus: '%s' is not among the metrics", c->focus);
    for (int i = 0; i < c->against.n; i++)
        if (scorers_place(&c->metrics, c->against.v[i]) < 0)
            return err_set(e, ERR_CONFIG, "study.against: '%s' is not among the metrics",
                           c->against.v[i]);
    return pairs_check(&c->reconstructions, e);
}

static void explain(const void *conf, FILE *out)
{
    const struct qc_conf *c = conf;
    fprintf(out, "%d metrics, %s against the others; truth: %s\n", c->metrics.n, c->focus,
            c->truth[0] ? c->truth : "none");
    pairs_explain(&c->reconstructions, out);
}

/* The report has pictures of what the metrics disagree most on, where there are too many. */
static int write_report(const struct qc *q, const json_t *summary, struct err *e)
{
    const int cells = q->pairs.images * q->pairs.methods;
    struct report_extra extra = {.count = q->disagreements};
    char **notes = mem_new((size_t)cells, sizeof *notes, e);
    int *first = mem_new((size_t)q->disagreements, sizeof *first, e), rc = notes && first ? 0 : -1;
    for (int i = 0; i < q->disagreements && rc == 0; i++)
        first[i] = q->point[q->disagreement[i].point].image;
    for (int i = 0; q->truth && i < q->points && rc == 0; i++) {
        const struct qc_point *at = &q->point[i];
        char text[1024];
        if (!(notes[at->image * q->pairs.methods + at->method] =
                  strdup(qc_defects(q, i, text, sizeof text))))
            rc = err_set(e, ERR_FAILED, "out of memory");
    }
    extra.first = first;
    extra.notes = notes;
    if (q->truth) extra.notes_label = "defects";
    if (rc == 0) rc = report_pairs(&q->pairs, "Metrics in quality control", &extra, summary, e);
    for (int i = 0; notes && i < cells; i++)
        free(notes[i]);
    mem_free(notes);
    mem_free(first);
    return rc;
}

static bool knows_a_scan(const struct truth *t, const struct scans *scans)
{
    for (int i = 0; i < scans->n; i++)
        if (truth_of(t, scans->list[i].name, 0) >= 0) return true;
    return false;
}

static int open_study(void *state, const void *conf, const struct study_env *env, struct err *e)
{
    struct qc *q = state;
    q->conf = conf;
    if (q->conf->truth[0]) {
        if (!(q->truth = truth_read(q->conf->truth, e))) return err_wrap(e, "study.truth");
        if (!knows_a_scan(q->truth, &env->images->scans))
            return err_set(e, ERR_DATA, "study.truth: %s: none of the scans of this study is in it",
                           q->conf->truth);
    }
    const int focus = scorers_place(&q->conf->metrics, q->conf->focus);
    if (scorers_add(&q->pairs.scorers, &q->conf->metrics, focus, e)) return -1;
    return pairs_open(&q->pairs, env, &q->conf->reconstructions, &q->conf->references, e);
}

static int score(void *state, struct err *e)
{
    return pairs_score(&((struct qc *)state)->pairs, e);
}

static int write_results(void *state, struct err *e)
{
    struct qc *q = state;
    const struct study_env *env = q->pairs.env;
    json_t *summary = NULL;
    int failed = qc_measure(q, env->seed, e) || pairs_tables(&q->pairs, e) || qc_tables(q, e) ||
                 qc_figures(q, e);
    if (!failed) failed = write_report(q, summary = qc_summary(q), e);
    return study_close_output(env, failed, summary, e);
}

const struct study study_qc = {
    .kind = {"qc", "which reconstructions metrics disagree on, which defects they find (Fig. 3, 6)",
             fields, sizeof(struct qc_conf)},
    .size = sizeof(struct qc),
    .check = check,
    .explain = explain,
    .open = open_study,
    .score = score,
    .write = write_results,
    .release = qc_release,
};
