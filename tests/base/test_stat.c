/* Statistics against SciPy (golden/stat.txt), and what holds of them by definition. */
#include "base/io.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/stat.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 64, ROOM = 3 * MOST };

static FILE *golden(void)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/base/golden/stat.txt", getenv("SSFD_SOURCE"));
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    return f;
}

/* Relative, but of what is to be nothing. */
static void near(const char *what, double got, double want, double tolerance)
{
    if (fabs(got - want) <= tolerance * (want == 0.0 ? 1.0 : fabs(want))) return;
    fail_msg("%s: %.15g, SciPy says %.15g", what, got, want);
}

static double measure(const char *name, const double *x, const double *y, const double *z,
                      const int *a, const int *unit, int n)
{
    struct err e = {0};
    struct assoc spearman, partial;
    struct two_groups groups;
    double sorted[ROOM], rank[ROOM], sum = 0.0, silhouette;
    memcpy(sorted, x, sizeof *x * (size_t)n);
    stat_sort(sorted, n);
    assert_int_equal(stat_spearman(x, y, unit, n, &spearman, &e), 0);
    assert_int_equal(stat_partial(x, y, z, unit, n, &partial, &e), 0);
    assert_int_equal(stat_mann_whitney(x, a, unit, n, &groups, &e), 0);
    assert_int_equal(stat_ranks(x, n, rank, &e), 0);
    assert_int_equal(stat_silhouette(x, a, n, &silhouette, &e), 0);
    for (int i = 0; i < n; i++)
        sum += a[i] ? rank[i] : 0.0;
    const struct {
        const char *name;
        double value;
    } all[] = {
        {"mean", stat_mean(x, n)},
        {"sd", stat_sd(x, n)},
        {"ci_low", stat_mean_ci95(x, unit, n).low},
        {"mean_p", stat_mean_p(x, unit, n)},
        {"effective", stat_effective(x, y, unit, n)},
        {"quantile", stat_quantile(sorted, n, 0.31)},
        {"pearson", stat_pearson(x, y, unit, n).r},
        {"pearson_p", stat_pearson(x, y, unit, n).p},
        {"spearman", spearman.r},
        {"spearman_p", spearman.p},
        {"kendall", stat_kendall(x, y, n)},
        {"partial", partial.r},
        {"partial_p", partial.p},
        {"u", groups.u},
        {"u_p", groups.p},
        {"auc", groups.auc},
        {"silhouette", silhouette},
        {"rank_sum", sum},
        {"slope", stat_line(x, y, n).slope},
        {"intercept", stat_line(x, y, n).intercept},
        {"r2", stat_line(x, y, n).fit.r2},
    };
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        if (strcmp(all[k].name, name) == 0) return all[k].value;
    fail_msg("golden: '%s' is unknown here", name);
    return NAN;
}

/* Three copies of every value are units of three: what SciPy says of the values alone. */
static void copies_count_once(const char *name, const double *x, const double *y, const double *z,
                              const int *a, int n, double want)
{
    enum { COPIES = 3 };
    static const char *const names[] = {"mean",       "ci_low",    "pearson_p",
                                        "spearman_p", "partial_p", "u_p"};
    double c[3][COPIES * MOST];
    int in_a[COPIES * MOST], unit[COPIES * MOST], asked = 0;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        asked |= strcmp(name, names[k]) == 0;
    for (int i = 0; i < COPIES * n; i++) {
        unit[i] = i / COPIES;
        c[0][i] = x[unit[i]];
        c[1][i] = y[unit[i]];
        c[2][i] = z[unit[i]];
        in_a[i] = a[unit[i]];
    }
    if (asked) near(name, measure(name, c[0], c[1], c[2], in_a, unit, COPIES * n), want, 1e-11);
}

static void samples_agree_with_scipy(void **state)
{
    (void)state;
    FILE *f = golden();
    char line[512], name[64];
    double x[MOST], y[MOST], z[MOST], want;
    int a[MOST], n = 0, checked = 0;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "sample %d", &n) == 1) {
            assert_in_range(n, 1, MOST);
            for (int i = 0; i < n; i++)
                assert_int_equal(fscanf(f, "%lf %lf %lf %d\n", &x[i], &y[i], &z[i], &a[i]), 4);
        } else if (strncmp(line, "clusters", 8) == 0) {
            break;
        } else if (sscanf(line, "%63s %lf", name, &want) == 2 && n > 0) {
            near(name, measure(name, x, y, z, a, NULL, n), want, 1e-11);
            copies_count_once(name, x, y, z, a, n, want);
            checked++;
        }
    }
    fclose(f);
    assert_int_equal(checked, 4 * 19);
}

static void clusters_agree_with_scipy(void **state)
{
    (void)state;
    FILE *f = golden();
    char line[512], name[64];
    double x[MOST], y[MOST], z[MOST], want;
    int a[MOST], unit[MOST], n = 0, checked = 0;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "clusters %d", &n) == 1) {
            assert_in_range(n, 1, MOST);
            for (int i = 0; i < n; i++)
                assert_int_equal(
                    fscanf(f, "%lf %lf %lf %d %d\n", &x[i], &y[i], &z[i], &a[i], &unit[i]), 5);
        } else if (strncmp(line, "decay", 5) == 0) {
            break;
        } else if (sscanf(line, "%63s %lf", name, &want) == 2 && n > 0) {
            if (strncmp(line, "sample", 6) == 0) continue;
            near(name, measure(name, x, y, z, a, unit, n), want, 1e-11);
            checked++;
        }
    }
    fclose(f);
    assert_int_equal(checked, 3 * 7);
}

/* Unrelated numbers in clusters: at a level of 5 % no more than that many tests may find something.
 * Taken for independent, a third of them do. */
static void clusters_are_not_taken_for_evidence(void **state)
{
    (void)state;
    enum { TRIALS = 2000, UNITS = 12, EACH = 5, N = UNITS * EACH };
    double x[N], y[N], own[3][UNITS];
    int unit[N], a[N], found[2][3] = {{0}};
    struct two_groups g;
    struct err e = {0};
    for (int trial = 0; trial < TRIALS; trial++) {
        struct rng rng = rng_make(1, RNG_TEST, 0, (uint32_t)trial);
        for (int k = 0; k < 3 * UNITS; k++)
            own[k / UNITS][k % UNITS] = rng_normal(&rng);
        for (int i = 0; i < N; i++) {
            unit[i] = i / EACH;
            x[i] = own[0][unit[i]] + 0.6 * rng_normal(&rng);
            y[i] = own[1][unit[i]] + 0.6 * rng_normal(&rng);
            a[i] = own[2][unit[i]] > 0.0;
        }
        for (int k = 0; k < 2; k++) {
            const int *u = k ? unit : NULL;
            assert_int_equal(stat_mann_whitney(x, a, u, N, &g, &e), 0);
            found[k][0] += stat_mean_p(x, u, N) < 0.05;
            found[k][1] += stat_pearson(x, y, u, N).p < 0.05;
            found[k][2] += g.p < 0.05;
        }
    }
    for (int what = 0; what < 3; what++) {
        static const char *const names[] = {"mean", "Pearson", "Mann and Whitney"};
        print_message("%s: p below 0.05 in %d of %d, taken for independent in %d\n", names[what],
                      found[1][what], TRIALS, found[0][what]);
        assert_true(found[0][what] > 0.2 * TRIALS);
        assert_in_range(found[1][what], 0.01 * TRIALS, 0.065 * TRIALS);
    }
}

static void decays_agree_with_scipy(void **state)
{
    (void)state;
    FILE *f = golden();
    char line[512];
    int n, checked = 0;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "decay %d", &n) != 1) continue;
        double x[MOST], y[MOST], rate, fall, end, r2, off, aicc, line_off, line_aicc;
        assert_in_range(n, 4, MOST);
        for (int i = 0; i < n; i++)
            assert_int_equal(fscanf(f, "%lf %lf\n", &x[i], &y[i]), 2);
        assert_int_equal(fscanf(f, "%lf %lf %lf %lf %lf %lf %lf %lf\n", &rate, &fall, &end, &r2,
                                &off, &aicc, &line_off, &line_aicc),
                         8);
        struct decay d = stat_decay(x, y, n);
        struct line l = stat_line(x, y, n);
        near("rate", d.rate, rate, 1e-6);
        near("fall", d.fall, fall, 1e-6);
        near("end", d.end, end, 1e-6);
        near("r2", d.fit.r2, r2, 1e-10);
        near("off", d.fit.off, off, 1e-4);
        near("aicc", d.fit.aicc, aicc, 1e-6);
        near("off the line", l.fit.off, line_off, 1e-10);
        near("aicc of the line", l.fit.aicc, line_aicc, 1e-10);
        checked++;
    }
    fclose(f);
    assert_int_equal(checked, 4);
}

static void quantiles_agree_with_scipy(void **state)
{
    (void)state;
    FILE *f = golden();
    char line[512];
    double p, want;
    int df, checked = 0;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "student %lf %d %lf", &p, &df, &want) == 3) {
            near("student", stat_student_quantile(p, df), want, 1e-12);
            near("tails", stat_student_tails(want, df), 2 * fmin(p, 1 - p), 1e-12);
            checked++;
        } else if (sscanf(line, "normal %lf %lf", &p, &want) == 2) {
            near("normal", stat_normal_quantile(p), want, 1e-12);
            checked++;
        }
    fclose(f);
    assert_int_equal(checked, 8);
}

/* Small p values, by scipy.stats.t.sf. */
static void tails_keep_their_digits(void **state)
{
    (void)state;
    static const struct {
        double t;
        int df;
        double p;
    } far[] = {{1e5, 1, 6.366197723463608e-06},
               {12, 7, 6.358310378185098e-06},
               {-15, 23, 2.287746406057715e-13},
               {30, 23, 6.045667626197319e-20},
               {40, 198, 8.390743454365965e-97},
               {6, 100000, 1.9799294556017718e-09},
               {1e200, 2, 0.0},
               {INFINITY, 5, 0.0}};
    for (size_t i = 0; i < sizeof far / sizeof *far; i++)
        if (fabs(stat_student_tails(far[i].t, far[i].df) - far[i].p) > 1e-10 * far[i].p)
            fail_msg("t %g, df %d: %.15g", far[i].t, far[i].df,
                     stat_student_tails(far[i].t, far[i].df));
}

struct sample {
    const double *x;
    int calls;
};

static int mean_of(void *ctx, const int *item, int count, double *value, struct err *e)
{
    (void)e;
    struct sample *s = ctx;
    double sum = 0.0;
    for (int i = 0; i < count; i++)
        sum += s->x[item[i]];
    value[0] = sum / count;
    value[1] = -value[0];
    s->calls++;
    return 0;
}

static void bootstrap_agrees_with_scipy(void **state)
{
    (void)state;
    FILE *f = golden();
    char line[512];
    int n = 0, used = 0, unit[MOST];
    double x[MOST], low = 0.0, high = 0.0;
    while (fgets(line, sizeof line, f)) {
        char *p = line;
        if (sscanf(line, "bootstrap %d%n", &n, &used) != 1) continue;
        p += used;
        for (int i = 0; i < n; i++)
            x[i] = strtod(p, &p), unit[i] = i;
        low = strtod(p, &p);
        high = strtod(p, &p);
    }
    fclose(f);
    assert_int_equal(n, 12);
    struct sample s = {x, 0};
    struct bootstrap b = {.items = n,
                          .units = n,
                          .unit = unit,
                          .values = 2,
                          .resamples = 20000,
                          .seed = 5,
                          .statistic = mean_of,
                          .ctx = &s};
    struct interval out[2], again[2];
    struct err e = {0};
    assert_int_equal(stat_bootstrap(&b, out, &e), 0);
    near("low", out[0].low, low, 0.01); /* the error of 20000 draws is a third of that */
    near("high", out[0].high, high, 0.01);
    near("mean", out[0].mean, stat_mean(x, n), 1e-14);
    near("paired", out[1].low, -out[0].high, 1e-14);
    assert_int_equal(s.calls, 20001);
    assert_int_equal(stat_bootstrap(&b, again, &e), 0);
    assert_memory_equal(out, again, sizeof out);
    b.seed = 6;
    assert_int_equal(stat_bootstrap(&b, again, &e), 0);
    assert_true(again[0].low != out[0].low);
}

/* Six copies of each of six values are six units, whose mean varies as much as six values do; taken
 * for 36 independent ones they would seem certain. */
static void bootstrap_keeps_units_together(void **state)
{
    (void)state;
    double x[36];
    int unit[36], single[36];
    for (int i = 0; i < 36; i++) {
        x[i] = i % 6;
        unit[i] = i % 6;
        single[i] = i;
    }
    struct sample s = {x, 0};
    struct bootstrap b = {.items = 36,
                          .units = 6,
                          .unit = unit,
                          .values = 2,
                          .resamples = 4000,
                          .seed = 1,
                          .statistic = mean_of,
                          .ctx = &s};
    struct interval of_units[2], of_items[2];
    struct err e = {0};
    assert_int_equal(stat_bootstrap(&b, of_units, &e), 0);
    b.unit = single;
    b.units = 36;
    assert_int_equal(stat_bootstrap(&b, of_items, &e), 0);
    assert_true(of_units[0].high - of_units[0].low > 2.0);
    assert_true(of_items[0].high - of_items[0].low < 1.3);
}

/* One scan, drawn from itself, would be certain of everything. */
static void bootstrap_of_few_units_has_no_interval(void **state)
{
    (void)state;
    const double x[8] = {1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0};
    int unit[8] = {0};
    struct sample s = {x, 0};
    struct bootstrap b = {.items = 8,
                          .unit = unit,
                          .values = 2,
                          .resamples = 500,
                          .seed = 1,
                          .statistic = mean_of,
                          .ctx = &s};
    for (int units = 1; units <= BOOTSTRAP_UNITS; units++) {
        struct interval out[2];
        struct err e = {0};
        for (int i = 0; i < 8; i++)
            unit[i] = i % units;
        b.units = units + 1; /* one without items does not count */
        assert_int_equal(stat_bootstrap(&b, out, &e), 0);
        assert_true(out[0].mean == 4.5);
        assert_int_equal(isnan(out[0].low) && isnan(out[0].high), units < BOOTSTRAP_UNITS);
    }
}

static int first_or_nan(void *ctx, const int *item, int count, double *value, struct err *e)
{
    (void)ctx, (void)e;
    value[0] = item[0] == 0 || count == 0 ? NAN : 1.0;
    return 0;
}

static int refuses(void *ctx, const int *item, int count, double *value, struct err *e)
{
    (void)ctx, (void)item, (void)count, (void)value;
    return err_set(e, ERR_FAILED, "no");
}

static void bootstrap_counts_what_has_no_value(void **state)
{
    (void)state;
    int unit[5] = {0, 1, 2, 3, 4};
    struct bootstrap b = {.items = 5,
                          .units = 5,
                          .unit = unit,
                          .values = 1,
                          .resamples = 1000,
                          .seed = 1,
                          .statistic = first_or_nan};
    struct interval out;
    struct err e = {0};
    assert_int_equal(stat_bootstrap(&b, &out, &e), 0);
    assert_true(isnan(out.mean) && out.low == 1.0 && out.high == 1.0);
    assert_in_range(out.n, 700, 900);
    b.statistic = refuses;
    assert_int_equal(stat_bootstrap(&b, &out, &e), -1);
    assert_string_equal(e.text, "no");
}

static void roc_encloses_the_area(void **state)
{
    (void)state;
    const double x[] = {0.1, 0.4, 0.4, 0.4, 0.8, 0.9, 0.9};
    const int a[] = {0, 0, 1, 0, 1, 0, 1};
    struct roc_point p[8];
    struct two_groups g;
    struct err e = {0};
    int n = 0;
    assert_int_equal(stat_roc(x, a, 7, p, &n, &e), 0);
    assert_int_equal(stat_mann_whitney(x, a, NULL, 7, &g, &e), 0);
    assert_int_equal(n, 5);
    assert_true(p[n - 1].false_positives == 1.0 && p[n - 1].true_positives == 1.0);
    double area = 0.0;
    for (int i = 1; i < n; i++)
        area += (p[i].false_positives - p[i - 1].false_positives) *
                (p[i].true_positives + p[i - 1].true_positives) / 2.0;
    near("area", area, g.auc, 1e-14);
}

static void what_has_no_answer_is_nan(void **state)
{
    (void)state;
    const double flat[] = {2, 2, 2, 2}, x[] = {1, 2, 3, 4};
    const int none[] = {0, 0, 0, 0};
    struct assoc a;
    struct two_groups g;
    struct err e = {0};
    a = stat_pearson(flat, x, NULL, 4);
    assert_true(isnan(a.r) && isnan(a.p));
    assert_int_equal(stat_spearman(x, flat, NULL, 4, &a, &e), 0);
    assert_true(isnan(a.r) && isnan(a.p));
    assert_true(isnan(stat_kendall(flat, x, 4)));
    assert_int_equal(stat_partial(x, x, x, NULL, 4, &a, &e), 0);
    assert_true(isnan(a.r));
    assert_int_equal(stat_mann_whitney(x, none, NULL, 4, &g, &e), 0);
    assert_true(isnan(g.auc) && isnan(g.p));
    double s = 0.0;
    assert_int_equal(stat_silhouette(x, none, 4, &s, &e), 0);
    assert_true(isnan(s));
    assert_true(isnan(stat_decay(x, flat, 4).fit.r2) && isnan(stat_decay(x, x, 3).fit.r2));
    a = stat_pearson(x, x, NULL, 4);
    assert_true(a.r == 1.0 && a.p == 0.0);
    a = stat_pearson(x, x, NULL, 2);
    assert_true(a.n == 2 && isnan(a.p));
    const int one[] = {7, 7, 7, 7};
    struct interval v = stat_mean_ci95(x, one, 4);
    assert_true(v.mean == 2.5 && v.n == 4 && isnan(v.low) && isnan(v.high));
    assert_true(isnan(stat_mean_p(x, one, 4)) && isnan(stat_mean_p(flat, NULL, 4)));
    assert_true(isnan(stat_pearson(x, x, one, 4).p));
    assert_true(stat_effective(x, x, one, 4) == 1.0);
    assert_true(
        isnan(stat_line(x, x, 4).fit.aicc)); /* four points do not afford three parameters */
    double z[4];
    assert_int_equal(stat_normal_scores(flat, 4, z, &e), 0);
    assert_true(fabs(z[0]) < 1e-12 && z[0] == z[3]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_agree_with_scipy),
        cmocka_unit_test(clusters_agree_with_scipy),
        cmocka_unit_test(clusters_are_not_taken_for_evidence),
        cmocka_unit_test(decays_agree_with_scipy),
        cmocka_unit_test(quantiles_agree_with_scipy),
        cmocka_unit_test(tails_keep_their_digits),
        cmocka_unit_test(bootstrap_agrees_with_scipy),
        cmocka_unit_test(bootstrap_keeps_units_together),
        cmocka_unit_test(bootstrap_of_few_units_has_no_interval),
        cmocka_unit_test(bootstrap_counts_what_has_no_value),
        cmocka_unit_test(roc_encloses_the_area),
        cmocka_unit_test(what_has_no_answer_is_nan),
    };
    return cmocka_run_group_tests_name("stat", tests, NULL, NULL);
}
