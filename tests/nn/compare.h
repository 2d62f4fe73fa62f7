/* What tests of the networks share: numbers to fill arrays with, and one measure of error. */
#pragma once

#include "base/rng.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

/* n normal numbers, each exactly representable in float32, so that engine and oracle see the same.
 */
static inline void fill_normal(struct rng *r, size_t n, double mean, double sd, double *x)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(mean + sd * rng_normal(r));
}

/* The relative error everywhere in these tests is norm-wise over a tensor: |x - ref| / |ref| with
 * Euclidean norms; element by element one would measure the cancellation in single elements. Where
 * the whole reference cancels (a bias in front of a norm has no effect; RMS below 1e-9) it is the
 * RMS of the difference. */
static inline double relative_of(double diff, double norm, size_t n)
{
    return sqrt(diff / (norm > 1e-18 * (double)n ? norm : (double)n));
}

/* For the worst of several errors, of which a NaN is the worst. */
static inline bool worse(double error, double than)
{
    return !isnan(than) && !(error <= than);
}

static inline double relative_error(size_t n, const double *x, const double *ref)
{
    double diff = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        diff += (x[i] - ref[i]) * (x[i] - ref[i]);
        norm += ref[i] * ref[i];
    }
    return relative_of(diff, norm, n);
}

static inline double relative_error_f32(size_t n, const float *x, const double *ref)
{
    double diff = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        diff += ((double)x[i] - ref[i]) * ((double)x[i] - ref[i]);
        norm += ref[i] * ref[i];
    }
    return relative_of(diff, norm, n);
}
