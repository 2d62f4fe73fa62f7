#include "base/mem.h"
#include "base/stat.h"

#include <math.h>

static struct assoc with_p(double r, int n, int df)
{
    struct assoc a = {.r = r, .p = NAN, .n = n};
    if (df >= 1 && isfinite(r)) {
        double rest = 1.0 - r * r;
        a.p = rest > 0.0 ? stat_student_tails(r * sqrt(df / rest), df) : 0.0;
    }
    return a;
}

static double correlation(const double *x, const double *y, int n)
{
    double mx = stat_mean(x, n), my = stat_mean(y, n), sxx = 0.0, syy = 0.0, sxy = 0.0;
    for (int i = 0; i < n; i++) {
        double dx = x[i] - mx, dy = y[i] - my;
        sxx += dx * dx;
        syy += dy * dy;
        sxy += dx * dy;
    }
    double r = sxx > 0.0 && syy > 0.0 ? sxy / sqrt(sxx * syy) : NAN;
    return fabs(r) > 1.0 ? copysign(1.0, r) : r; /* by rounding */
}

struct assoc stat_pearson(const double *x, const double *y, int n)
{
    return with_p(correlation(x, y, n), n, n - 2);
}

int stat_spearman(const double *x, const double *y, int n, struct assoc *out, struct err *e)
{
    double *rank = mem_new(2 * (size_t)n, sizeof *rank, e);
    int rc = rank ? 0 : -1;
    if (rc == 0) rc = stat_ranks(x, n, rank, e) || stat_ranks(y, n, rank + n, e) ? -1 : 0;
    if (rc == 0) *out = with_p(correlation(rank, rank + n, n), n, n - 2);
    mem_free(rank);
    return rc;
}

double stat_kendall(const double *x, const double *y, int n)
{
    double agree = 0.0, of_x = 0.0, of_y = 0.0; /* pairs that differ in x, in y */
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++) {
            int a = (x[i] > x[j]) - (x[i] < x[j]), b = (y[i] > y[j]) - (y[i] < y[j]);
            agree += a * b;
            of_x += a != 0;
            of_y += b != 0;
        }
    return of_x > 0.0 && of_y > 0.0 ? agree / (sqrt(of_x) * sqrt(of_y)) : NAN;
}

struct assoc stat_partial(const double *x, const double *y, const double *z, int n)
{
    double xy = correlation(x, y, n), xz = correlation(x, z, n), yz = correlation(y, z, n);
    double rest = (1.0 - xz * xz) * (1.0 - yz * yz);
    return with_p(rest > 0.0 ? (xy - xz * yz) / sqrt(rest) : NAN, n, n - 3);
}
