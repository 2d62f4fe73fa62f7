#pragma once

#include <complex.h>
#include <stddef.h>

/* (x - mean) / sd in place, sd with n - 1 (as the authors' code); a constant image becomes all
 * zero. Returns the sd. */
double normalise_zscore(float *x, size_t n);
/* The k-th largest of x with k = round(share n), at least 1. Reorders x. */
float normalise_top(float *x, size_t n, double share);
/* The k-th largest magnitude with k = round(share n): the authors' TopMagnitudeNormalizer at 0.05.
 */
double normalise_top_magnitude(const float complex *x, size_t n, double share, float *scratch);
