/* Between the parts of the study of quality control: what was measured (study_qc.c, qc_stat.c), and
 * what is made of it (qc_report.c, qc_figure.c). */
#pragma once

#include "eval/pairs.h"
#include "eval/truth.h"

struct qc_conf {
    struct cfg_picks reconstructions, metrics;
    const char *focus;
    struct cfg_texts references, against;
    const char *truth;
    int listed, resamples;
};

/* An image of a method whose scores are all finite. */
struct qc_point {
    int image, method;
    long defects;          /* truth_of, or -1 */
    double z[SCORERS_MAX]; /* normal scores over its method's, positive: worse than the median */
};

/* How far the focus metric and another disagree on a point. */
struct qc_disagreement {
    int point, other;
    double difference; /* z of the focus minus z of the other */
};

struct qc_roc { /* of a metric as a detector of one kind of defect, or (-1) of any */
    int metric, kind, bad, good, bad_scans; /* images, and scans of the bad ones */
    /* Without an interval where fewer than FEWEST_SCANS scans are bad, or fewer good: resampled,
     * so few say little. over_focus: focus minus this metric, paired. */
    struct interval auc, over_focus;
    struct interval
        alone; /* AUC among the images that every other metric ranks in its better half */
    double p;
    int alone_bad, alone_good;
    struct roc_point *curve;
    int points;
};

enum { FEWEST_SCANS = 5 };

struct qc {
    const struct qc_conf *conf;
    struct pairs pairs;
    struct truth *truth; /* NULL: none */
    int focus;           /* its place among the metrics */
    int points, excluded;
    struct qc_point *point;
    int disagreements;
    struct qc_disagreement *disagreement; /* largest first, (points x (metrics - 1)) */
    /* Of the first method: points the focus finds bad (z > 1) and every other metric good (z < 0),
     * and those of them that have a defect; the examples of the figures, points or -1. */
    int caught, caught_bad, poor, good;
    int rocs;
    struct qc_roc *roc; /* of the first method: for any defect and each kind, every metric */
};

int qc_measure(struct qc *q, uint64_t seed, struct err *e);
void qc_release(void *qc);
int qc_tables(const struct qc *q, struct err *e); /* zscores, disagreements, correlations, roc */
json_t *qc_summary(const struct qc *q);
int qc_figures(const struct qc *q, struct err *e); /* qc_METRIC, roc */

/* The names of the defects of a point, "motion+spike"; "" where nothing is known. */
const char *qc_defects(const struct qc *q, int point, char *text, size_t size);

static inline const char *qc_kind_name(const struct qc *q, int kind)
{
    return kind < 0 ? "any" : truth_kind(q->truth, kind);
}
