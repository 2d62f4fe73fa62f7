#include "base/stat.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* P(|T| <= sqrt(df) tan(theta)) for integer df: Abramowitz & Stegun 26.7.3 (odd) and 26.7.4 (even).
 * Every term is positive, so nothing cancels, and no gamma function is needed. */
static double student_central(double theta, int df)
{
    double c2 = cos(theta) * cos(theta), sum = 0.0;
    double term = df % 2 ? cos(theta) : 1.0;
    for (int k = 1 + df % 2; k < df; k += 2) { /* df = 1 has no terms; term k carries cos^(k-1) */
        sum += term;
        term *= c2 * k / (k + 1);
        if (term < 1e-18 * sum) break;
    }
    return df % 2 ? 2.0 / M_PI * (theta + sin(theta) * sum) : sin(theta) * sum;
}

double stat_student_quantile(double p, int df)
{
    assert(p > 0.0 && p < 1.0 && df >= 1);
    double want = fabs(2.0 * p - 1.0), low = 0.0, high = M_PI_2;
    for (int i = 0; i < 64; i++) { /* bisection to the last bit: theta is bounded, t is not */
        double mid = 0.5 * (low + high);
        if (student_central(mid, df) < want)
            low = mid;
        else
            high = mid;
    }
    double t = sqrt(df) * tan(0.5 * (low + high));
    return p < 0.5 ? -t : t;
}

/* P(|T| > t) by the series of the incomplete beta function I_x(df / 2, 1 / 2), x = 1 / (1 + t^2 /
 * df): Abramowitz & Stegun 26.5.4 and 26.7.1. Every term is positive; slow where t is small. */
static double student_series(double t, int df)
{
    const double a = 0.5 * df, far = t * t / df, x = 1.0 / (1.0 + far);
    double sum = 0.0, term = 1.0;
    for (int k = 0; term > 1e-17 * sum; k++) {
        sum += term;
        term *= x * (a + 0.5 + k) / (a + 1.0 + k);
    }
    return exp(lgamma(a + 0.5) - lgamma(a + 1.0) - a * log1p(far)) * sqrt(far * x / M_PI) * sum;
}

double stat_student_tails(double t, int df)
{
    assert(df >= 1);
    double p = 1.0 - student_central(atan(fabs(t) / sqrt(df)), df);
    /* 1 - p leaves p few digits where it is small */
    return p > 1e-3 || isnan(t) || isinf(t) ? p : student_series(t, df);
}

double stat_normal_quantile(double p)
{
    assert(p > 0.0 && p < 1.0);
    double low = -40.0, high = 40.0;
    for (int i = 0; i < 100; i++) {
        double mid = 0.5 * (low + high);
        if (0.5 * erfc(-mid * M_SQRT1_2) < p)
            low = mid;
        else
            high = mid;
    }
    return 0.5 * (low + high);
}

double stat_mean(const double *x, int n)
{
    double sum = 0.0;
    for (int i = 0; i < n; i++)
        sum += x[i];
    return n > 0 ? sum / n : NAN;
}

double stat_sd(const double *x, int n)
{
    double mean = stat_mean(x, n), squares = 0.0;
    for (int i = 0; i < n; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    return n > 1 ? sqrt(squares / (n - 1)) : NAN;
}

/* The standard error of the mean, with its degrees of freedom; NaN of one unit. */
static double mean_error(const double *x, const int *unit, int n, int *df)
{
    const double mean = stat_mean(x, n);
    double squares = 0.0, units = 0.0, sum = 0.0;
    for (int i = 0; i < n; i++) {
        assert(!isnan(x[i]));
        sum += x[i] - mean;
        if (unit && i + 1 < n && unit[i + 1] == unit[i]) continue;
        squares += sum * sum;
        sum = 0.0;
        units++;
    }
    *df = (int)units - 1;
    return *df > 0 ? sqrt(units / (units - 1.0) * squares) / n : NAN;
}

struct interval stat_mean_ci95(const double *x, const int *unit, int n)
{
    assert(n >= 1);
    int df;
    double mean = stat_mean(x, n), error = mean_error(x, unit, n, &df);
    double half = df > 0 ? stat_student_quantile(0.975, df) * error : NAN;
    return (struct interval){.mean = mean, .low = mean - half, .high = mean + half, .n = n};
}

double stat_mean_p(const double *x, const int *unit, int n)
{
    int df;
    double error = mean_error(x, unit, n, &df);
    return error > 0.0 ? stat_student_tails(stat_mean(x, n) / error, df) : NAN;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void stat_sort(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, ascending);
}

double stat_quantile(const double *x, int n, double p)
{
    assert(n >= 1 && p >= 0.0 && p <= 1.0);
    double at = p * (n - 1);
    int k = (int)at;
    return k + 1 < n ? x[k] + (at - k) * (x[k + 1] - x[k]) : x[n - 1];
}
