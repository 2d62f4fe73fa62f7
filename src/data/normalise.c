#include "data/normalise.h"

#include <math.h>
#include <stdbool.h>

double normalise_zscore(float *x, size_t n)
{
    double sum = 0.0, square = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i];
    double mean = n ? sum / (double)n : 0.0;
    for (size_t i = 0; i < n; i++)
        square += ((double)x[i] - mean) * ((double)x[i] - mean);
    double sd = n > 1 ? sqrt(square / (double)(n - 1)) : 0.0;
    /* Below this the differences are rounding errors of a constant image, not content. */
    bool constant = !(sd > 1e-6 * fabs(mean));
    for (size_t i = 0; i < n; i++)
        x[i] = constant ? 0.0f : (float)(((double)x[i] - mean) / sd);
    return constant ? 0.0 : sd;
}

static void swap(float *a, float *b)
{
    float t = *a;
    *a = *b;
    *b = t;
}

/* Hoare's selection: x[k] becomes what it would be if x were sorted in descending order. */
static float select_descending(float *x, size_t n, size_t k)
{
    size_t lo = 0, hi = n - 1;
    while (lo < hi) {
        float pivot = x[lo + (hi - lo) / 2];
        size_t i = lo, j = hi;
        for (;;) {
            while (x[i] > pivot)
                i++;
            while (x[j] < pivot)
                j--;
            if (i >= j) break;
            swap(&x[i++], &x[j--]);
        }
        if (k <= j)
            hi = j;
        else
            lo = j + 1;
    }
    return x[k];
}

float normalise_top(float *x, size_t n, double share)
{
    if (n == 0) return 0.0f;
    size_t k = (size_t)llround(share * (double)n);
    return select_descending(x, n, k > 0 ? (k <= n ? k - 1 : n - 1) : 0);
}

double normalise_top_magnitude(const float complex *x, size_t n, double share, float *scratch)
{
    for (size_t i = 0; i < n; i++)
        scratch[i] = cabsf(x[i]);
    return (double)normalise_top(scratch, n, share);
}
