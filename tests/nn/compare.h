/* What tests of the networks share: numbers to fill arrays with, and one measure of error. */
#pragma once

#include "base/rng.h"

#include <math.h>
#include <stddef.h>

/* n normal numbers, each exactly representable in float32, so that engine and oracle see the same.
 */
static inline void fill_normal(struct rng *r, size_t n, double mean, double sd, double *x)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(mean + sd * rng_normal(r));
}

/* The relative error everywhere in these tests is norm-wise over a tensor: |x - ref| / |ref| with
 * Euclidean norms. Element-wise errors would measure cancellation in single elements. Where the
 * reference vanishes (|ref| < 1e-12 per element, RMS) it is the RMS of x itself. */
static inline double relative_error(size_t n, const double *x, const double *ref)
{
    double diff = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        diff += (x[i] - ref[i]) * (x[i] - ref[i]);
        norm += ref[i] * ref[i];
    }
    if (!(norm > 1e-24 * (double)n)) return sqrt(diff / (double)n);
    return sqrt(diff / norm);
}
