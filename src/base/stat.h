/* The statistics the studies quote. Values are doubles, none of them NaN unless it says so; what
 * has no answer (the correlation of a constant) is NaN, for the caller to report. Everything is
 * checked against SciPy (scripts/make-golden-stat.py). */
#pragma once

#include "base/err.h"

#include <stdint.h>

struct interval {
    double mean, low, high; /* the estimate, not always a mean, and its interval */
    int n;
};

/* ---- clusters ----
 *
 * Images of one scan resemble each other: an interval or a p value that takes them for independent
 * promises too much. Where a function has an argument unit[n], value i is of unit unit[i], and
 * those of a unit stand next to each other; NULL: each value is a unit of its own. With one value a
 * unit all of them are the textbook's. */

/* ---- one sample (stat.c) ---- */

/* Mean and 95 % confidence interval by Student's t over n values (n >= 1; one unit has no interval:
 * low and high are NaN). Of G units, with the sums D_g of their values' deviations from the mean,
 *
 *     variance of the mean = G / (G - 1) sum_g D_g^2 / n^2,    G - 1 degrees of freedom
 *
 * which is the cluster-robust variance of a regression on a constant (Liang & Zeger, Biometrika 73,
 * 1986; the factor: Cameron & Miller, Journal of Human Resources 50(2), 2015, eq. 12), and with one
 * value a unit sd^2 / n. NaN values are refused by assertion: the caller decides what a missing
 * value means. */
struct interval stat_mean_ci95(const double *x, const int *unit, int n);
/* Two-sided p, by the same variance and t, of the mean being 0; NaN where there is no variance. */
double stat_mean_p(const double *x, const int *unit, int n);
/* The t quantile used above: P(T <= t) = p for `df` degrees of freedom (df >= 1, 0 < p < 1). */
double stat_student_quantile(double p, int df);
/* P(|T| > |t|); below about 1e-15 it is 0. */
double stat_student_tails(double t, int df);
double stat_normal_quantile(double p); /* 0 < p < 1 */
double stat_mean(const double *x, int n);
double stat_sd(const double *x, int n); /* n - 1; NaN for n < 2 */
/* Of ascending values, 0 <= p <= 1: linear between order statistics (Hyndman & Fan, The American
 * Statistician 50(4), 1996, definition 7). */
double stat_quantile(const double *ascending, int n, double p);
void stat_sort(double *x, int n);

/* ---- two samples, paired (stat_assoc.c) ---- */

/* How many independent pairs these are worth in a test of association: n / deff, where the design
 * effect (Kish, Survey Sampling, 1965, ch. 5; as a divisor of the sample size: Rao & Scott,
 * Biometrics 48, 1992) is the variance that sum_i t_i, t_i = (x_i - mean x)(y_i - mean y), has with
 * units over that without, both under no association:
 *
 *     deff = sum_g (sum_{i in g} t_i)^2 / sum_i t_i^2,   from 1 to sum_g n_g^2 / n
 *
 * The bounds are: as good as independent; and, values of a unit all the same, as good as a value a
 * unit, which is also the answer where there is one unit only. */
double stat_effective(const double *x, const double *y, const int *unit, int n);

struct assoc {
    double r, p; /* p: two-sided, of no association, of stat_effective pairs; NaN for less than 3 */
    int n;
};
struct assoc stat_pearson(const double *x, const double *y, const int *unit, int n);
/* Pearson's of mid-ranks, p by Student's t (as Kendall & Stuart 31.19); exact ties are allowed. */
int stat_spearman(const double *x, const double *y, const int *unit, int n, struct assoc *out,
                  struct err *e);
/* Kendall's tau-b (Kendall, Biometrika 33, 1945). Time n^2. */
double stat_kendall(const double *x, const double *y, int n);
/* Pearson's correlation of x and y with z held fixed: of what straight lines in z leave of them. */
int stat_partial(const double *x, const double *y, const double *z, const int *unit, int n,
                 struct assoc *out, struct err *e);

/* ---- ranks and two groups (stat_rank.c) ---- */

/* Ranks from 1, ties sharing their mean. `rank` may not overlap x. */
int stat_ranks(const double *x, int n, double *rank, struct err *e);
/* Normal scores, (rank - 1/2) / n through the normal quantile: a scale on which samples of any
 * distribution compare (van der Waerden's idea with Hazen's plotting position). */
int stat_normal_scores(const double *x, int n, double *z, struct err *e);

struct two_groups {
    double auc; /* P(a > b) + P(a = b) / 2 */
    double u;   /* Mann & Whitney's U of group a */
    double p;   /* two-sided, normal approximation with corrections for ties and continuity, of
                   stat_effective values: their ranks against their group */
    int na, nb;
};
/* x of n values, those with in_a[i] != 0 are group a. NaN where a group is empty. */
int stat_mann_whitney(const double *x, const int *in_a, const int *unit, int n,
                      struct two_groups *out, struct err *e);
/* The receiver operating characteristic of "x is at least a threshold" for in_a: one point for
 * every distinct threshold after (0, 0), with its (false positives, true positives) as shares. The
 * area under it is stat_mann_whitney's auc. `point` has room for n + 1. */
struct roc_point {
    double false_positives, true_positives, threshold;
};
int stat_roc(const double *x, const int *in_a, int n, struct roc_point *point, int *points,
             struct err *e);
/* How well two groups stand apart on a line: the mean silhouette (Rousseeuw, J. Comput. Appl. Math.
 * 20, 1987) with absolute distance, in [-1, 1]. NaN where a group has fewer than two. */
int stat_silhouette(const double *x, const int *in_a, int n, double *out, struct err *e);

/* ---- curves (stat_fit.c) ---- */

/* How well a curve describes n points: R2; the largest distance of a point from it; and Akaike's
 * criterion with the correction for few points (Hurvich & Tsai, Biometrika 76, 1989), of two curves
 * the lower one is of the better. With the sum of squares S and k parameters, one the variance,
 *
 *     n ln(S / n) + 2 k + 2 k (k + 1) / (n - k - 1)
 *
 * which is NaN for n <= k + 1; an S below 1e-14 of that about the mean counts as that: rounding
 * decides nothing. */
struct misfit {
    double r2, off, aicc;
};
struct line { /* y = intercept + slope x, least squares */
    int n;
    double slope, intercept;
    struct misfit fit;
};
struct line stat_line(const double *x, const double *y, int n);
struct decay { /* y = end + fall exp(-rate x), least squares; rate > 0 saturates, < 0 runs away */
    int n;
    double rate, fall, end;
    struct misfit fit;
};
/* n >= 4 distinct x; `fit` NaN otherwise. The rate is sought between +- 1000 / (range of x). */
struct decay stat_decay(const double *x, const double *y, int n);

/* ---- resampling (stat_boot.c) ---- */

/* Percentile bootstrap (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13): units
 * 0 … units - 1 are drawn with replacement, `resamples` times; `statistic` is given the items of
 * the units drawn, `count` of them, some more than once, and sets `values` numbers, so that
 * differences between them are paired. Item i belongs to unit[i] (images of one scan go together).
 * Results: the values of the whole sample with their 95 % intervals, n the resamples in which the
 * value was a number. Of fewer than BOOTSTRAP_UNITS units with items the intervals are NaN: draws
 * of one unit are all the same, and the widest interval n units can give, from the lowest to the
 * highest of them, has the median in it with probability 1 - 2^(1 - n) only. Depends on the seed
 * and nothing else. */
enum { BOOTSTRAP_UNITS = 5 };
struct bootstrap {
    int items, units;
    const int *unit; /* (items) */
    int values, resamples;
    uint64_t seed;
    int (*statistic)(void *ctx, const int *item, int count, double *value, struct err *e);
    void *ctx;
};
int stat_bootstrap(const struct bootstrap *b, struct interval *out, struct err *e);
