#include "base/mem.h"
#include "base/stat.h"

#include <math.h>

double stat_effective(const double *x, const double *y, const int *unit, int n)
{
    if (!unit) return n;
    const double mx = stat_mean(x, n), my = stat_mean(y, n);
    double with = 0.0, without = 0.0, largest = 0.0, sum = 0.0, size = 0.0;
    int units = 0;
    for (int i = 0; i < n; i++) {
        const double t = (x[i] - mx) * (y[i] - my);
        without += t * t;
        sum += t;
        size++;
        if (i + 1 < n && unit[i + 1] == unit[i]) continue;
        with += sum * sum;
        largest += size * size;
        sum = size = 0.0;
        units++;
    }
    const double most = n > 0 ? largest / n : 1.0;
    if (units < 2 || !(without > 0.0)) return n / most;
    return n / fmin(fmax(with / without, 1.0), most);
}

/* `effective` pairs, `held` variables held fixed. */
static struct assoc with_p(double r, int n, double effective, int held)
{
    struct assoc a = {.r = r, .p = NAN, .n = n};
    const int df =
        (int)(effective * (1.0 + 1e-12)) - 2 - held; /* whole ones are not rounded down */
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

struct assoc stat_pearson(const double *x, const double *y, const int *unit, int n)
{
    return with_p(correlation(x, y, n), n, stat_effective(x, y, unit, n), 0);
}

int stat_spearman(const double *x, const double *y, const int *unit, int n, struct assoc *out,
                  struct err *e)
{
    double *rank = mem_new(2 * (size_t)n, sizeof *rank, e);
    int rc = rank ? 0 : -1;
    if (rc == 0) rc = stat_ranks(x, n, rank, e) || stat_ranks(y, n, rank + n, e) ? -1 : 0;
    if (rc == 0) *out = stat_pearson(rank, rank + n, unit, n);
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

/* What a straight line in z leaves of x. */
static void remove_line(const double *x, const double *z, int n, double *rest)
{
    const struct line f = stat_line(z, x, n);
    for (int i = 0; i < n; i++)
        rest[i] = x[i] - f.intercept - f.slope * z[i];
}

int stat_partial(const double *x, const double *y, const double *z, const int *unit, int n,
                 struct assoc *out, struct err *e)
{
    double *rest = mem_new(2 * (size_t)n, sizeof *rest, e);
    if (!rest) return -1;
    remove_line(x, z, n, rest);
    remove_line(y, z, n, rest + n);
    /* the correlation of what is left, but by the pairwise ones, which know what is nothing */
    double xy = correlation(x, y, n), xz = correlation(x, z, n), yz = correlation(y, z, n);
    double left = (1.0 - xz * xz) * (1.0 - yz * yz);
    *out = with_p(left > 0.0 ? (xy - xz * yz) / sqrt(left) : NAN, n,
                  stat_effective(rest, rest + n, unit, n), 1);
    mem_free(rest);
    return 0;
}
