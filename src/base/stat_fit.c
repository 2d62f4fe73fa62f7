#include "base/stat.h"

#include <math.h>

/* Of a curve with `parameters` that leaves the sum `rest` of `all` squares. */
static struct misfit misfit_of(double rest, double all, double off, int n, int parameters)
{
    const double k = parameters + 1.0, least = 1e-14 * all;
    return (struct misfit){.r2 = 1.0 - rest / all,
                           .off = off,
                           .aicc = n > k + 1.0 ? n * log(fmax(rest, least) / n) + 2.0 * k +
                                                     2.0 * k * (k + 1.0) / (n - k - 1.0)
                                               : NAN};
}

struct line stat_line(const double *x, const double *y, int n)
{
    double mx = stat_mean(x, n), my = stat_mean(y, n), sxx = 0.0, sxy = 0.0, syy = 0.0;
    for (int i = 0; i < n; i++) {
        sxx += (x[i] - mx) * (x[i] - mx);
        sxy += (x[i] - mx) * (y[i] - my);
        syy += (y[i] - my) * (y[i] - my);
    }
    struct line f = {.n = n, .slope = sxx > 0.0 ? sxy / sxx : 0.0};
    f.intercept = n > 0 ? my - f.slope * mx : 0.0;
    double rest = 0.0, off = 0.0;
    for (int i = 0; i < n; i++) {
        const double d = y[i] - my - f.slope * (x[i] - mx);
        rest += d * d;
        off = fmax(off, fabs(d));
    }
    f.fit = misfit_of(rest, syy, off, n, 2);
    f.fit.r2 = sxx > 0.0 && syy > 0.0 ? sxy * sxy / (sxx * syy) : 0.0;
    return f;
}

/* For a given rate the model is a straight line in u = (1 - exp(-rate x)) / rate, which tends to x
 * as the rate tends to 0: the least squares problem has one dimension left (variable projection;
 * Golub & Pereyra, SIAM J. Numer. Anal. 10, 1973). */
static double rest_of(const double *x, const double *y, int n, double rate, struct line *f)
{
    double mu = 0.0, my = 0.0, suu = 0.0, suy = 0.0, rest = 0.0;
    for (int pass = 0; pass < 3; pass++) {
        for (int i = 0; i < n; i++) {
            double u = rate == 0.0 ? x[i] : -expm1(-rate * x[i]) / rate;
            if (pass == 0) {
                mu += u / n;
                my += y[i] / n;
            } else if (pass == 1) {
                suu += (u - mu) * (u - mu);
                suy += (u - mu) * (y[i] - my);
            } else {
                double d = y[i] - my - f->slope * (u - mu);
                rest += d * d;
            }
        }
        if (pass == 1) {
            f->slope = suu > 0.0 ? suy / suu : 0.0;
            f->intercept = my - f->slope * mu;
        }
    }
    return rest;
}

struct decay stat_decay(const double *x, const double *y, int n)
{
    struct decay f = {.n = n, .fit = {NAN, NAN, NAN}};
    double low = INFINITY, high = -INFINITY, my = stat_mean(y, n), syy = 0.0;
    for (int i = 0; i < n; i++) {
        low = fmin(low, x[i]);
        high = fmax(high, x[i]);
        syy += (y[i] - my) * (y[i] - my);
    }
    if (n < 4 || !(high > low) || !(syy > 0.0)) return f;
    /* A grid in s with rate = sinh(s) / range is even near 0 and logarithmic beyond; the best cell
     * is then narrowed by golden section. */
    const double range = high - low, end = asinh(1000.0), gold = 0.5 * (sqrt(5.0) - 1.0);
    enum { GRID = 401 };
    struct line l;
    double best = INFINITY, at = 0.0, step = 2.0 * end / (GRID - 1);
    for (int k = 0; k < GRID; k++) {
        double s = -end + k * step, rest = rest_of(x, y, n, sinh(s) / range, &l);
        if (rest < best) best = rest, at = s;
    }
    double a = fmax(at - step, -end), b = fmin(at + step, end);
    for (int k = 0; k < 60; k++) {
        double p = b - gold * (b - a), q = a + gold * (b - a);
        if (rest_of(x, y, n, sinh(p) / range, &l) < rest_of(x, y, n, sinh(q) / range, &l))
            b = q;
        else
            a = p;
    }
    f.rate = sinh(0.5 * (a + b)) / range;
    if (fabs(f.rate) * range < 1e-9) f.rate = 1e-9 / range; /* a line: keep end and fall finite */
    double rest = rest_of(x, y, n, f.rate, &l);
    f.fall = -l.slope / f.rate;
    f.end = l.intercept - f.fall;
    double off = 0.0;
    for (int i = 0; i < n; i++)
        off = fmax(off, fabs(y[i] - f.end - f.fall * exp(-f.rate * x[i])));
    f.fit = misfit_of(rest, syy, off, n, 3);
    return f;
}
